# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role's defaults, its argument specs and its README say about its variables is the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "roles").iterdir() if path.is_dir())
SHARED = re.compile(r"^\{\{ (?P<name>\w+)(?: \| default\((?P<fallback>''|true|false)\))? \}\}$")


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _options(role: Path) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = _yaml(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def _documented(default: Any) -> str:
    """A default as the README's table writes it."""
    if isinstance(default, str) and (shared := SHARED.match(default)):
        fallback = shared["fallback"]
        return f"`{shared['name']}`" + (f", else `{fallback}`" if fallback in ("true", "false") else "")
    if default is None or default == "":
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


def _table(role: Path, heading: str) -> list[tuple[str, str]]:
    """Name and default of every row of the table that starts with that heading."""
    text = (role / "README.md").read_text().partition(f"| {heading} | Default |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    defaults, options = _yaml(role / "defaults/main.yml"), _options(role)
    assert set(defaults) <= set(options)
    for name, option in options.items():
        default = defaults.get(name)
        if isinstance(default, str) and (shared := SHARED.match(default)):
            text = str(option["description"])
            assert "default" not in option, f"{name} takes its default from another variable"
            assert f"C({shared['name']})" in text, f"{name} does not say where its default comes from"
        else:
            assert option.get("default") == default, name
            assert ("default" in option) == (name in defaults), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_readme_lists_the_variables_with_their_defaults(role: Path) -> None:
    defaults, options = _yaml(role / "defaults/main.yml"), _options(role)
    assert _table(role, "Variable") == [(name, _documented(defaults.get(name))) for name in options]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_the_role(role: Path) -> None:
    assert [name for name in _options(role) if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize(
    ("role", "option"),
    [("pod_identity_bindings", "pod_identity_bindings_list"), ("pod_identity_verify", "pod_identity_verify_workloads")],
)
def test_readme_lists_the_keys_of_entries(role: str, option: str) -> None:
    path = next(path for path in ROLES if path.name == role)
    entries = _options(path)[option]["options"]
    expected = [
        (name, "required" if entry.get("required") else _documented(entry.get("default")))
        for name, entry in entries.items()
    ]
    assert _table(path, "Key") == expected


def test_example_variables_exist() -> None:
    """Every variable of site.example.yml, commented out or not, is one that a role or playbook reads."""
    root = ROLES[0].parents[1]
    example = (root / "playbooks/vars/site.example.yml").read_text()
    named = re.findall(r"^(?:# )?(pod_identity_\w+):", example, re.MULTILINE)
    sources = [*root.glob("playbooks/*.yml"), *(role / "defaults/main.yml" for role in ROLES)]
    known = {name for role in ROLES for name in _options(role)}
    known |= {name for path in sources for name in re.findall(r"pod_identity_\w+", path.read_text())}
    assert named and set(named) <= known
