# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files for the owners of manifests, as the role workload_identity_migration writes them."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.unit.moving import HELM, HOME, READY, mover, seen, tried

NAMES = {
    *("1-switch/kustomization.yaml", "1-switch/patch.yaml", "2-leave/kustomization.yaml", "2-leave/patch.yaml"),
    *("PULL_REQUEST.md", "helm-values.yaml"),
}
# It stands in a file as it is.
NOT_A_TEMPLATE = "{{ lookup('pipe', 'false') }}"


def test_a_second_run_writes_nothing(player: Player, tmp_path: Path) -> None:
    home = tmp_path / "out" / "localhost" / HOME
    # Directories, and then files.
    for arguments, changed in ((["--check", "--diff"], 2), ([], 2), ([], 0), (["--check"], 0)):
        status, output = rendered(player, tmp_path, *arguments)
        assert (status, re.findall(r"changed=(\d+)", output)) == (0, [str(changed)]), output
        written = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
        assert written == (set() if arguments and changed else NAMES)
        if "--diff" in arguments:
            assert '+        azure.workload.identity/use: "true"' in output and "+## Undo" in output
    assert f"helm release {NOT_A_TEMPLATE}" in (home / "PULL_REQUEST.md").read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")} == {0o600, 0o700}


def test_nothing_is_written_where_links_lead(player: Player, tmp_path: Path) -> None:
    """Nor is anything shown of what is there."""
    home, elsewhere = tmp_path / "out" / "localhost" / HOME, tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "key").write_text("a key")
    links = {home.parent: elsewhere, home / "PULL_REQUEST.md": elsewhere / "key"}
    for link, target in links.items():
        link.parent.mkdir(parents=True)
        link.symlink_to(target)
        for arguments in (["--check", "--diff"], ["--diff"]):
            status, output = rendered(player, tmp_path, *arguments)
            assert status == 2 and f"{link} is a symbolic link" in " ".join(output.split()), output
            assert "a key" not in output
        assert [path.name for path in elsewhere.rglob("*")] == ["key"]
        assert (elsewhere / "key").read_text() == "a key" and link.is_symlink()
        link.unlink()
    assert rendered(player, tmp_path)[0] == 0


def rendered(player: Player, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of a run that writes the files of one workload into ``out`` of the folder."""
    one = mover(**{**READY, **HELM, "owner": {"kind": "helm", "name": NOT_A_TEMPLATE}})
    (folder / "work.json").write_text(json.dumps({"plan": tried(seen(one))}))
    # As the result of a task, of which nothing is a template.
    work = "{{ lookup('ansible.builtin.file', work_file) | from_json }}"
    render = {"name": "azureops.pod_identity.workload_identity_migration", "tasks_from": "render"}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.set_fact": {"__workload_identity_migration_work": work}},
        {"ansible.builtin.include_role": render},
    ]
    variables = {"workload_identity_migration_directory": str(folder / "out"), "work_file": str(folder / "work.json")}
    return player.play(tasks, *arguments, **variables)
