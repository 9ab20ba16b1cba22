# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.connection.local import Connection
from ansible.plugins.shell.sh import ShellModule

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _quiet_environment
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietNormal

GIVEN = {"LANG": "C", "AZURE_SECRET": "hush", "MY-TOKEN": "odd"}


class Elsewhere(Connection):
    """One that is not Ansible's own."""


def action(kind: type[Connection], *, becomes: bool = False, reads: bool = True) -> QuietNormal:
    made = QuietNormal.__new__(QuietNormal)
    connection = kind.__new__(kind)
    vars(connection).update(_shell=ShellModule(), become=object() if becomes else None)
    untouched = SimpleNamespace(template=lambda value: value)
    known: dict[str, Any] = {
        "_connection": connection,
        "_play_context": SimpleNamespace(become=becomes),
        "_task": SimpleNamespace(environment=[GIVEN]),
        "_templar": untouched,
        "reads_secrets": reads,
    }
    vars(made).update(known)
    return made


ALL = "LANG=C AZURE_SECRET=hush MY-TOKEN=odd"


@pytest.mark.parametrize(
    ("made", "written", "inherited"),
    [
        (action(Connection), "LANG=C MY-TOKEN=odd", {"AZURE_SECRET": "hush"}),
        (action(Connection, becomes=True), ALL, {}),
        (action(Elsewhere), ALL, {}),
        (action(Elsewhere, reads=False), "LANG=C", {}),
    ],
    ids=["here", "as-another-user", "elsewhere", "without-need"],
)
def test_where_the_secrets_of_an_environment_go(made: QuietNormal, written: str, inherited: dict[str, str]) -> None:
    named: dict[str, Any] = {}
    assert made._compute_environment_string(named) == written
    assert named == GIVEN
    assert made._inherited == inherited


def test_only_commands_inherit_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SECRET", "before")
    monkeypatch.delenv("OTHER_SECRET", raising=False)
    names = ("AZURE_SECRET", "OTHER_SECRET")
    with _quiet_environment._environment(dict.fromkeys(names, "hush")):
        assert [os.environ[name] for name in names] == ["hush", "hush"]
    assert [os.environ.get(name) for name in names] == ["before", None]
