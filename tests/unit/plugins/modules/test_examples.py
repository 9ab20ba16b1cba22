# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of every module: options that the module takes, keywords that a task takes, expressions that work.

Most run in tests/kube and tests/wire too; here nothing is asked.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player

OURS = "azureops.pod_identity."
# What these return in the documentation tells of something that is missing or left, which their examples refuse.
REFUSED = ("access_review_info", "permission_info", "pod_identity_diagnosis_info", "pod_identity_removal_info")
NAMES = sorted(path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py"))


def module(name: str) -> ModuleType:
    return importlib.import_module(f"ansible_collections.{OURS}plugins.modules.{name}")


def tasks(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load(module(name).EXAMPLES))


def ours(task: Mapping[str, Any]) -> str:
    """Which of our modules it runs; empty where it is another's."""
    return next((key.removeprefix(OURS) for key in task if key.startswith(OURS)), "")


def cases() -> Iterator[Any]:
    for name in NAMES:
        for task in tasks(name):
            # An action plugin alone takes what the module takes that it runs.
            if (used := ours(task)) and hasattr(module(used), "main"):
                yield pytest.param(used, task[OURS + used] or {}, id=f"{name}: {task['name']}")


class Accepted(Exception):
    """The options are what the module takes."""


@pytest.mark.parametrize(("name", "options"), list(cases()))
def test_the_module_takes_the_options(name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    create = ArgumentSpec.create_module

    def accept(spec: ArgumentSpec) -> None:
        create(spec)
        raise Accepted

    monkeypatch.setattr(ArgumentSpec, "create_module", accept)
    with patch_module_args(options), pytest.raises(Accepted):
        module(name).main()


@pytest.mark.parametrize("name", NAMES)
def test_every_module_shows_how_it_is_used(name: str) -> None:
    assert name in {ours(task) for task in tasks(name)}


def test_what_is_done_with_results(tmp_path: Path) -> None:
    """With what the documentation says that modules return."""
    after: list[dict[str, Any]] = []
    for name in NAMES:
        results: dict[str, Any] = {}
        for task in tasks(name):
            if used := ours(task):
                results[task.get("register", "nothing")] = sample(yaml.safe_load(module(used).RETURN))
            else:
                after.append({**task, "vars": {**results, **task.get("vars", {})}, "ignore_errors": True})
    status, output = Player(tmp_path / "play").play(after)
    assert status == 0, output
    (ok, ignored) = re.findall(r"ok=(\d+) .*ignored=(\d+)", output)[0]
    assert (int(ok), int(ignored)) == (len(after), len(REFUSED)), output
    for name in REFUSED[:2]:
        assert sample(yaml.safe_load(module(name).RETURN))["missing"][0]["remedy"] in output


def sample(documented: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, entry in documented.items():
        value = entry.get("sample")
        if value is None and "contains" in entry:
            value = sample(entry["contains"])
            value = [value] if entry["type"] == "list" else value
        found[key] = value
    return found


def test_keywords(tmp_path: Path) -> None:
    every = [task for name in NAMES for task in tasks(name)]
    status, output = Player(tmp_path / "play").play(every, "--syntax-check")
    assert status == 0, output
