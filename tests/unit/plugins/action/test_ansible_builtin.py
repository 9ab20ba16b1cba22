# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import Player

COPY = {"content": "{{ item | default('new') }}\n", "dest": "{{ here }}/file", "mode": "0600", "backup": True}
GET = {"url": "file://{{ here }}/file", "dest": "{{ here }}/got", "mode": "0640"}
FILE = {"path": "{{ here }}/folder", "state": "directory", "mode": "0700"}
# Each changes what the next one finds: module, arguments, keywords of the task.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("copy", COPY, {"check_mode": True, "diff": True}),
    ("copy", COPY, {"diff": True}),
    ("copy", COPY, {"diff": True}),
    ("copy", COPY, {"loop": ["a", "b"]}),
    ("copy", COPY, {"vars": {"item": "hidden"}, "diff": False}),
    ("copy", {**COPY, "mode": "{{ omit }}"}, {"no_log": True}),
    ("copy", {**COPY, "dest": "/nowhere/file"}, {}),
    ("copy", {"content": "x"}, {}),
    ("file", FILE, {"check_mode": True, "diff": True}),
    ("file", FILE, {"diff": True}),
    ("file", {**FILE, "state": "absent"}, {"diff": True}),
    ("file", {**FILE, "misspelt": 1}, {}),
    ("stat", {"path": "{{ here }}/file", "checksum_algorithm": "sha256"}, {}),
    ("get_url", GET, {"check_mode": True}),
    ("get_url", GET, {}),
    ("get_url", GET, {"changed_when": False}),
    ("get_url", {**GET, "url": "http://127.0.0.1:9/"}, {"failed_when": False}),
]
# What differs between two runs of one play.
OF_A_MOMENT = (
    *("_original_basename", "atime", "backup_file", "ctime", "elapsed"),
    *("inode", "mtime", "src", "tempfile", "version"),
)


def test_results_and_files_are_those_of_the_module(tmp_path: Path) -> None:
    itself, wrapped = (_play(tmp_path / way, wrapped=way == "wrapped") for way in ("itself", "wrapped"))
    assert wrapped == itself
    results, files = wrapped
    outcomes = {(each["changed"], each.get("failed", False)) for each in results}
    assert outcomes == {(True, False), (False, False), (False, True)}
    assert files == {"file": "new\n", "got": "new\n"}


def test_the_query_of_an_address_is_not_told(tmp_path: Path) -> None:
    """It may be the signature of a blob, as that of a chart."""
    get = {"module": "get_url", "url": "http://127.0.0.1:9/chart.tgz?sig=S3CRET", "dest": str(tmp_path / "chart")}
    status, output = Player(tmp_path).play([{"azureops.pod_identity.ansible_builtin": get}], "-vvvv")
    assert (status, "chart.tgz?" in output, "S3CRET" in output) == (2, True, False), output


def _play(folder: Path, *, wrapped: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Results, and the files that are there then but backups; those that Ansible makes for itself are gone."""
    tasks = []
    for number, (module, arguments, keywords) in enumerate(CASES):
        name = "azureops.pod_identity.ansible_builtin" if wrapped else f"ansible.builtin.{module}"
        given = {**arguments, "module": module} if wrapped else arguments
        tasks.append({name: given, "register": f"result{number}", "ignore_errors": True, **keywords})
    (folder / "here").mkdir(parents=True)
    write = {"content": f"{{{{ [{', '.join(f'result{n}' for n in range(len(CASES)))}] | to_json }}}}"}
    tasks.append({"ansible.builtin.copy": {**write, "dest": "{{ here }}/../results"}})
    player = Player(folder / "player", {"ANSIBLE_REMOTE_TMP": str(folder / "remote")})
    status, output = player.play(tasks, here=str(folder / "here"))
    assert status == 0, output
    assert list((folder / "remote").iterdir()) == []
    files = {path.name: path.read_text() for path in (folder / "here").iterdir() if not path.name.endswith("~")}
    return _lasting(json.loads((folder / "results").read_text().replace(str(folder), ""))), files


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in OF_A_MOMENT}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value
