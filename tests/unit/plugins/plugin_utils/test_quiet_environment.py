# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.connection.local import Connection
from ansible.plugins.shell.sh import ShellModule

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _quiet_environment
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietNormal
from ansible_collections.azureops.pod_identity.tests.support.players import Player, kill
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

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


@cases(
    "made, written, inherited",
    ("here", action(Connection), "LANG=C MY-TOKEN=odd", {"AZURE_SECRET": "hush"}),
    ("as-another-user", action(Connection, becomes=True), ALL, {}),
    ("elsewhere", action(Elsewhere), ALL, {}),
    ("without-need", action(Elsewhere, reads=False), "LANG=C", {}),
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


MARK, SERVER, PLANTED = (
    "{{ lookup('ansible.builtin.env', 'PLANTED') }}",
    "http://127.0.0.1:{{ port }}",
    "planted-7d1c9e",
)
MODULES: dict[str, dict[str, Any]] = {
    "kubernetes_object_info": {"api_version": "v1", "kind": "Node", "api_key": MARK, "host": SERVER},
    "kubernetes_core": {"module": "k8s_info", "kind": "Node", "api_key": MARK, "host": SERVER},
    "ansible_builtin": {"module": "get_url", "url": SERVER, "dest": "/nowhere", "headers": {"X": MARK}},
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_is_killed_leaves_no_arguments(tmp_path: Path, module: str) -> None:
    """While it waits for an answer; it is none that runs in a fork."""
    place = tmp_path / "player"
    player = Player(place, {"ANSIBLE_REMOTE_TMP": str(place / "remote"), "PLANTED": PLANTED})
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        variables = {"port": server.getsockname()[1], "pod_identity_in_process": False}
        play = player.start([{f"azureops.pod_identity.{module}": MODULES[module]}], **variables)
        try:
            asked, _address = server.accept()
            with asked:
                assert PLANTED in asked.recv(65536).decode()
        finally:
            kill(play)
            output = play.communicate()[0]
    files = [path for below in (place, player.temporary) for path in below.rglob("*") if path.is_file()]
    assert files and [path for path in files if PLANTED.encode() in path.read_bytes()] == [], output
