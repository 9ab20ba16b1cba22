# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of the roles of site.yml is tried by itself, is tested elsewhere, or has a reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import option_cases as cases
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TRIED = {case.option for case in (*cases.CHANGES, *cases.REFUSALS, *cases.CREATIONS, *cases.VERDICTS)}


def _names(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, option in options.items():
        yield f"{prefix}{name}"
        yield from _names(option.get("options", {}), f"{prefix}{name}.")


def _documented() -> set[str]:
    """The options of the roles that site.yml runs; a list or dictionary with keys of its own is its keys."""
    roles = set(re.findall(r"azureops\.pod_identity\.(pod_identity_\w+)", (ROOT / "playbooks/site.yml").read_text()))
    assert roles
    names = set()
    for role in roles:
        spec = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
        names |= set(_names(spec["argument_specs"]["main"]["options"]))
    return names


def _whole(names: set[str]) -> set[str]:
    return {name for name in names if any(other.startswith(f"{name}.") for other in names)}


def test_every_option_is_accounted_for() -> None:
    documented = _documented()
    named = TRIED | set(cases.ELSEWHERE) | set(cases.UNTRIED)
    assert sorted(documented - named - _whole(documented)) == [], "tests/sandbox/option_cases.py says nothing of these"
    assert sorted(named - documented) == [], "these options do not exist"


def test_no_option_has_an_excuse_and_a_test() -> None:
    assert sorted(TRIED & set(cases.UNTRIED)) == []
    assert sorted(set(cases.ELSEWHERE) & set(cases.UNTRIED)) == []


@pytest.mark.parametrize("place", sorted(set(cases.ELSEWHERE.values())))
def test_tests_elsewhere_exist(place: str) -> None:
    path, dummy, function = place.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_cases_have_names_of_their_own() -> None:
    for table in (cases.CHANGES, cases.REFUSALS, cases.CREATIONS, cases.VERDICTS):
        names = [case.id for case in table]
        assert sorted(set(names)) == sorted(names)
