# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that has steps documents the changes that they return, in words that there are."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import VERBS, Change

MODULES = Path(__file__).resolve().parents[3] / "plugins/modules"
WITH_STEPS = sorted(
    path.stem
    for path in MODULES.glob("*.py")
    if re.search(r"^ +(_plan\.)?run\(|\bmake_plan,$", path.read_text(), re.MULTILINE)
)
NAMES = [each.name for each in fields(Change)]


def returned(module: str) -> dict[str, Any]:
    found = importlib.import_module(f"ansible_collections.azureops.pod_identity.plugins.modules.{module}")
    documented: dict[str, Any] = yaml.safe_load(found.RETURN)
    return documented


def test_which_modules_have_steps() -> None:
    calling = [path.stem for path in MODULES.glob("*.py") if "Step(" in path.read_text()]
    assert set(calling) <= set(WITH_STEPS) and len(WITH_STEPS) > 15


@pytest.mark.parametrize("module", WITH_STEPS)
def test_changes_are_documented(module: str) -> None:
    documented = returned(module)
    changes = documented["changes"]
    assert changes["returned"] == documented["actions"]["returned"]
    assert list(changes["contains"]) == NAMES
    named = set(re.findall(r"V\((\w+)\)", "".join(changes["contains"]["verb"]["description"])))
    assert named and named <= set(VERBS)
    assert [list(each) for each in changes["sample"]] == [NAMES] * len(documented["actions"]["sample"])
    assert {each["verb"] for each in changes["sample"]} <= named
    assert ("failed_change" in documented) == ("failed_action" in documented) == ("begun" in documented)
    if "failed_change" in documented:
        assert documented["failed_change"]["sample"] in changes["sample"]


@pytest.mark.parametrize("module", sorted(path.stem for path in MODULES.glob("[!_]*.py")))
def test_changes_are_a_list_of_changes_wherever_a_result_has_them(module: str) -> None:
    documented = returned(module) or {}
    assert (documented.get("changes") or {"type": "list"})["type"] == "list"
