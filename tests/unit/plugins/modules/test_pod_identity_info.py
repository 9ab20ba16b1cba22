# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that pod_identity_info writes; what is in it is tested with a real API server."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_info


def saved(folder: Path, *names: str) -> str:
    """A file with pods that no binding matches."""
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "team", "labels": {"aadpodidbinding": name}},
            "spec": {"containers": []},
        }
        for name in names
    ]
    path = folder / "saved.json"
    path.write_text(json.dumps({"kind": "List", "items": pods}))
    return str(path)


def run(check: bool = False, **options: Any) -> dict[str, Any]:
    printed, told = io.StringIO(), {"_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args({**options, **told}), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        pod_identity_info.main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    # ansible.module_utils keeps the warnings of what has run in this process before.
    return {key: value for key, value in result.items() if key not in ("invocation", "warnings")}


@pytest.mark.parametrize("audit", [True, False], ids=["audit", "plain"])
def test_the_file_has_what_is_returned_without_it(tmp_path: Path, audit: bool) -> None:
    path = tmp_path / "inventory.json"
    asked: dict[str, Any] = {"files": [saved(tmp_path, "one", "two")], "audit": audit}
    predicted = run(check=True, path=str(path), **asked)
    assert not path.exists()
    done = run(path=str(path), **asked)
    assert (
        predicted == {**done, "permissions": []}
        and done["changed"]
        and done["actions"] == [f"write the inventory {path}"]
    )
    kept, returned = json.loads(path.read_text()), run(**asked)
    assert {**kept, "changed": False} == returned
    lists = {key: len(value) for key, value in kept.items() if isinstance(value, list)}
    assert not set(lists) & set(done) and {key: done["summary"][key] for key in lists} == lists
    assert done["diff"] == {"before": {}, "after": {key: done["summary"][key] for key in ("path", "sha256")}}
    assert path.stat().st_mode & 0o777 == 0o600


def untouched(path: Path) -> tuple[int, ...]:
    """What a write changes of a file; reading it may change its atime."""
    stat = path.stat()
    return stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def test_only_a_change_is_written(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    first = run(path=str(path), files=[saved(tmp_path, "one")])
    path.chmod(0o640)
    before = untouched(path)
    again = run(path=str(path), files=[saved(tmp_path, "one")])
    assert (again["changed"], again["actions"], untouched(path)) == (False, [], before)
    changed = run(path=str(path), files=[saved(tmp_path, "one", "two")])
    assert (changed["changed"], changed["diff"]["before"]) == (True, first["diff"]["after"])
    assert path.stat().st_mode & 0o777 == 0o640 and len(json.loads(path.read_text())["workloads"]) == 2


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_a_file_that_cannot_be_written(tmp_path: Path, check: bool) -> None:
    failed = run(check=check, path="/nowhere/inventory.json", files=[saved(tmp_path, "one")])
    assert failed["failed"] and failed["msg"] == (
        "The file /nowhere/inventory.json cannot be written (the folder /nowhere does not exist): create its folder, "
        "or name another path."
    )


def test_what_is_returned_is_documented(tmp_path: Path) -> None:
    documented = yaml.safe_load(pod_identity_info.RETURN)
    done = run(path=str(tmp_path / "inventory.json"), files=[saved(tmp_path, "one")], audit=True)
    assert set(done) - {"changed", "diff"} == {"rules", "assignments", "summary", "actions", "changes"}
    assert set(done) - {"changed", "diff"} < set(documented)
    assert set(done["summary"]) == set(documented["summary"]["contains"])
