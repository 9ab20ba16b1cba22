# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several inventories become two files, one cluster at a time."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan
from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_inventory_files as module

LISTS: dict[str, list[Any]] = {key: [] for key in ("workloads", "identities", "findings", "assigned")}


def found(tmp_path: Path, cluster: str, note: str = "") -> dict[str, Any]:
    path = tmp_path / f"{cluster}.part"
    path.write_text(json.dumps({**LISTS, "rules": {"note": note}, "assignments": None}))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"cluster": cluster, "path": str(path), "sha256": sha256, "failure": None}


def failed(cluster: str, reason: str | None = "No.") -> dict[str, Any]:
    return {"cluster": cluster, "path": None, "sha256": None, "failure": reason}


def plan(tmp_path: Path, *inventories: dict[str, Any]) -> Plan:
    path = tmp_path / "files"
    path.mkdir(exist_ok=True)
    options = {"path": str(path / "all"), "clusters": ["east", "west"], "inventories": inventories}
    return module.make_plan(options)


def carry_out(plan: Plan) -> None:
    for step in plan.steps:
        step.apply()


def files(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (tmp_path / "files").iterdir()}


def clusters(text: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text)["clusters"]
    return read


def test_all_clusters(tmp_path: Path) -> None:
    both = found(tmp_path, "west"), found(tmp_path, "east")
    planned = plan(tmp_path, *both)
    assert files(tmp_path) == {} and planned.before == {}
    carry_out(planned)
    assert set(files(tmp_path)) == {"all.json", "all.csv"}
    assert planned.after == {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "files").iterdir()
    }
    assert list(clusters(files(tmp_path)["all.json"])) == ["east", "west"]
    again = plan(tmp_path, *both)
    assert not again.steps and again.before == again.after and again.result == planned.result
    (tmp_path / "files/all.csv").write_text("mine")
    assert len(plan(tmp_path, *both).steps) == 1


def test_a_failed_cluster_replaces_no_good_file(tmp_path: Path) -> None:
    carry_out(plan(tmp_path, found(tmp_path, "east"), found(tmp_path, "west")))
    good = files(tmp_path)
    half = plan(tmp_path, found(tmp_path, "east", "new"), failed("west"))
    carry_out(half)
    now = files(tmp_path)
    assert {name: now[name] for name in good} == good
    assert set(now) - set(good) == {"all.incomplete.json", "all.incomplete.csv"}
    told = clusters(now["all.incomplete.json"])
    assert (told["east"]["rules"], told["west"]) == ({"note": "new"}, {"error": "No."})
    assert half.result and half.result["failures"] == {"west": "No."}
    assert not plan(tmp_path, found(tmp_path, "east", "new"), failed("west")).steps
    whole = plan(tmp_path, found(tmp_path, "east"), found(tmp_path, "west"))
    assert [step.summary.split()[0] for step in whole.steps] == ["remove", "remove"]
    carry_out(whole)
    assert files(tmp_path) == good


@pytest.mark.parametrize("told", [(), (failed("west", None),)], ids=["nothing", "no reason"])
def test_a_cluster_of_which_nothing_is_known(tmp_path: Path, told: tuple[dict[str, Any], ...]) -> None:
    result = plan(tmp_path, found(tmp_path, "east"), *told).result
    assert result and result["failures"] == {
        "west": "The cluster was not looked at: see with what its host failed, or run without --limit."
    }


def test_a_file_that_is_not_here(tmp_path: Path) -> None:
    east, west = found(tmp_path, "east"), found(tmp_path, "west")
    (tmp_path / "east.part").unlink()
    (tmp_path / "west.part").write_text("of another")
    result = plan(tmp_path, east, west).result
    assert result and result["failures"] == {
        name: f"The inventory of {name} cannot be read where ansible-playbook runs: give that host "
        "ansible_connection=local and no become."
        for name in ("east", "west")
    }


def test_no_folder_for_the_files(tmp_path: Path) -> None:
    options = {"path": str(tmp_path / "nowhere/all"), "clusters": [], "inventories": []}
    with pytest.raises(Failure, match="nowhere does not exist"):
        module.make_plan(options)


class Held(dict[str, Any]):
    """A cluster that can be counted."""


def test_one_cluster_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Held]] = []
    load, most = module.load, [0]

    def counting(path: str) -> Held:
        gc.collect()
        one = Held(load(path))
        held.append(weakref.ref(one))
        most[0] = max(most[0], sum(each() is not None for each in held))
        return one

    monkeypatch.setattr(module, "load", counting)
    carry_out(plan(tmp_path, found(tmp_path, "east"), found(tmp_path, "west")))
    assert (most, len(held)) == ([1], 4)


KILLED = """
import importlib, json, os, signal, sys
import conftest  # makes the checkout importable under the collection's name
module = importlib.import_module(sys.argv[1])
planned = module.make_plan(json.loads(sys.argv[2]))
load = module.load
module.load = lambda path: os.kill(os.getpid(), signal.SIGKILL) if "west" in path else load(path)
planned.steps[0].apply()
"""


def test_killed_between_two_clusters(tmp_path: Path) -> None:
    carry_out(plan(tmp_path, found(tmp_path, "east"), found(tmp_path, "west")))
    good = files(tmp_path)
    new = found(tmp_path, "east", "new"), found(tmp_path, "west", "new")
    options = {"path": str(tmp_path / "files/all"), "clusters": ["east", "west"], "inventories": new}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.run(
        [sys.executable, "-c", KILLED, module.__name__, json.dumps(options)], env=environment, check=False
    )
    assert process.returncode == -signal.SIGKILL
    now = files(tmp_path)
    assert {name: now[name] for name in good} == good
    carry_out(plan(tmp_path, *new))
    assert clusters(files(tmp_path)["all.json"])["west"]["rules"] == {"note": "new"}
