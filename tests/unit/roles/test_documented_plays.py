# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plays in the documentation of roles and connections are what Ansible reads, with variables that there are."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import known

ROLES = sorted(path.parent.name for path in CHECKOUT.glob("roles/*/README.md"))
CONNECTIONS = ("aks_node_pod", "vmss_run_command")


def plays(role: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (CHECKOUT / f"roles/{role}/README.md").read_text(), re.M | re.S)
    return [play for block in blocks for play in yaml.safe_load(block)]


def set_variables(part: Any) -> Iterator[str]:
    """The names under every ``vars``."""
    if isinstance(part, dict):
        yield from part.get("vars") or {}
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from set_variables(one)


def is_read(folder: Path, written: list[dict[str, Any]]) -> None:
    player = Player(folder / "play")
    book = folder / "book.yml"
    book.write_text(json.dumps(written))
    status, output = player.play(str(book), "--syntax-check")
    assert status == 0, output


@pytest.mark.parametrize("role", ROLES)
def test_roles(role: str, tmp_path: Path) -> None:
    written = plays(role)
    assert f"azureops.pod_identity.{role}" in json.dumps(written)
    assert set(set_variables(written)) <= known()
    is_read(tmp_path, written)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections(name: str, tmp_path: Path) -> None:
    plugin = importlib.import_module(f"ansible_collections.azureops.pod_identity.plugins.connection.{name}")
    written = yaml.safe_load(plugin.EXAMPLES)
    documented = yaml.safe_load(plugin.DOCUMENTATION)["options"].values()
    variables = {each["name"] for option in documented for each in option.get("vars", ())}
    general = {"ansible_connection", "ansible_python_interpreter"}
    assert set(set_variables(written)) <= variables | general
    is_read(tmp_path, written)
