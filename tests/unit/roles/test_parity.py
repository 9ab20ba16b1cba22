# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role's defaults, its argument specs and its README say about its variables is the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import variables
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    pod_identity_bindings,
    pod_identity_chart,
    pod_identity_cluster,
    pod_identity_restore,
    pod_identity_uninstall,
    pod_identity_verify,
    workload_identity_migration,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import plain
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles
from ansible_collections.azureops.pod_identity.tests import readmes
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import BY_PLAN
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ROLES = sorted(path for path in (Path(__file__).resolve().parents[3] / "roles").iterdir() if path.is_dir())
SHARED = re.compile(r"^\{\{ (?P<name>\w+)(?: \| default\((?P<fallback>''|'\w+'|true|false)\))? \}\}$")


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _entry_points(role: Path) -> dict[str, dict[str, Any]]:
    specs: dict[str, dict[str, Any]] = _yaml(role / "meta/argument_specs.yml")["argument_specs"]
    return specs


def _options(role: Path) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = _entry_points(role)["main"]["options"]
    return options


def _documented(default: Any) -> str:
    """A default as the README's table writes it."""
    if isinstance(default, str) and (shared := SHARED.match(default)):
        fallback = (shared["fallback"] or "").strip("'")
        return f"`{shared['name']}`" + (f", else `{fallback}`" if fallback else "")
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
def test_every_entry_point_takes_the_same_options(role: Path) -> None:
    """All of them are set by the same defaults, and a wrong value is refused wherever the role is entered."""
    readme = (role / "README.md").read_text()
    for name, spec in _entry_points(role).items():
        assert spec["options"] == _options(role), name
        assert name == "main" or f"`{name}`" in readme, name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_readme_lists_the_variables_with_their_defaults(role: Path) -> None:
    defaults, options = _yaml(role / "defaults/main.yml"), _options(role)
    assert _table(role, "Variable") == [(name, _documented(defaults.get(name))) for name in options]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_the_role(role: Path) -> None:
    assert [name for name in _options(role) if not name.startswith(f"{role.name}_")] == []


@table(
    "role, option, heading",
    ("pod_identity_bindings", "pod_identity_bindings_list", "Key"),
    ("pod_identity_bindings", "pod_identity_bindings_exceptions", "Key of an exception"),
    ("pod_identity_verify", "pod_identity_verify_workloads", "Key"),
)
def test_readme_lists_the_keys_of_entries(role: str, option: str, heading: str) -> None:
    path = next(path for path in ROLES if path.name == role)
    entries = _options(path)[option]["options"]
    expected = [
        (name, "required" if entry.get("required") else _documented(entry.get("default")))
        for name, entry in entries.items()
    ]
    assert _table(path, heading) == expected


def test_example_variables_exist() -> None:
    """Every variable of site.example.yml, commented out or not, is one that a role or playbook reads."""
    root = ROLES[0].parents[1]
    example = (root / "playbooks/vars/site.example.yml").read_text()
    named = re.findall(r"^(?:# )?((?:pod|workload)_identity_\w+):", example, re.MULTILINE)
    sources = [*root.glob("playbooks/*.yml"), *(role / "defaults/main.yml" for role in ROLES)]
    known = {name for role in ROLES for name in _options(role)}
    known |= {name for playbook in _roles.PLAYBOOKS for name in _roles.SPECS[playbook]}
    known |= {name for path in sources for name in re.findall(r"(?:pod|workload)_identity_\w+", path.read_text())}
    assert named and set(named) <= {*known, *_roles.FACTS, variables.OWN}


def test_a_copied_example_creates_no_cluster() -> None:
    """Or a misspelled name makes a second one."""
    example = yaml.safe_load((ROLES[0].parents[1] / "playbooks/vars/site.example.yml").read_text())
    assert example["pod_identity_cluster_create"] is False


@pytest.mark.parametrize("playbook", _roles.PLAYBOOKS)
def test_playbooks_read_variables_that_are_documented(playbook: str) -> None:
    """In site.example.yml or by a role, which then says what they look like."""
    options = _roles.SPECS[playbook]
    of_roles = {name: option for role in ROLES for name, option in _options(role).items()}
    example = (ROLES[0].parents[1] / "playbooks/vars/site.example.yml").read_text()
    others = {name: option for name, option in options.items() if name not in of_roles}
    assert set(others) <= set(re.findall(r"^(?:# )?(pod_identity_\w+):", example, re.MULTILINE))
    lists = [{"type": "list", "elements": "str"}, {"type": "list", "elements": "path"}]
    for name, option in others.items():
        if option.get("elements") == "dict":
            (shown,) = re.findall(rf"^# {name}:\n#   - (.*)", example, re.MULTILINE)
            assert [key for key in option["options"] if f"{key}: " not in shown] == []
            lists.append(option)
    types = ({"type": "str"}, {"type": "bool"}, {"type": "int"}, *lists)
    assert [name for name, option in others.items() if option not in types] == []
    assert {name: option for name, option in options.items() if name in of_roles} == {
        name: of_roles[name] for name in options if name in of_roles
    }


CLUSTER, BINDINGS = (ROLES[0].parent / f"pod_identity_{name}" for name in ("cluster", "bindings"))
PLANNED = {
    "pod_identity_bindings": pod_identity_bindings.PERMISSIONS,
    "pod_identity_chart": pod_identity_chart.PERMISSIONS,
    "pod_identity_cluster": pod_identity_cluster.PERMISSIONS,
    "pod_identity_restore": pod_identity_restore.PERMISSIONS,
    "pod_identity_uninstall": pod_identity_uninstall.PERMISSIONS,
    "pod_identity_verify": pod_identity_verify.PERMISSIONS,
    "workload_identity_migration": workload_identity_migration.PERMISSIONS,
}
ASKING = [role for role in ROLES if role.name in PLANNED]


def _permissions(role: Path) -> dict[str, dict[str, Any]]:
    if role.name in PLANNED:
        planned = {name: plain(each) for name, each in PLANNED[role.name].items()}
        return {name: {key: value for key, value in each.items() if value} for name, each in planned.items()}
    permissions: dict[str, dict[str, Any]] = _yaml(role / "vars/main.yml")[f"_{role.name}_permissions"]
    return permissions


@pytest.mark.parametrize("role", ASKING, ids=lambda role: role.name)
def test_readme_lists_the_permissions_in_its_last_section(role: Path) -> None:
    text = (role / "README.md").read_text()
    assert text == readmes.written(text, PLANNED[role.name]), f"run {readmes.COMMAND}"


@pytest.mark.parametrize("role", ASKING, ids=lambda role: role.name)
def test_permissions_belong_to_phases_that_exist(role: Path) -> None:
    tasks = "".join(path.read_text() for path in (role / "tasks").glob("*.yml"))
    phases = {need["phase"] for need in _permissions(role).values()}
    # The plan of the options tells whether the identities are created, see test_plans.
    assert {phase for phase in phases if f"tags: [{phase}]" not in tasks} <= {"always", *BY_PLAN}


def test_the_page_of_permissions_has_those_of_all_roles() -> None:
    text = readmes.PERMITTED.read_text()
    domain = "ansible_collections.azureops.pod_identity.plugins.module_utils._domain"
    assert text == readmes.permitted(text, domain), f"run {readmes.COMMAND}"


def test_the_minimal_role_of_the_page_is_what_the_roles_ask_for() -> None:
    """On a cluster that exists, with the usual options; and what lets deny assignments and locks be seen."""
    page = readmes.PERMITTED.read_text()
    documented = json.loads(page.partition("```json")[2].partition("```")[0])["Actions"]
    cluster, bindings = _permissions(CLUSTER), _permissions(BINDINGS)
    left_out = {
        *("connect_as_admin", "write_group", "write_cluster", "write_addon", "use_identity", "join_subnet"),
        "look_up_roles",
    }
    left_out |= {"delete_cluster", "delete_group", "read_scale_sets", "write_scale_sets", "attach_identities"}
    needed = {
        action
        for name, need in {**cluster, **bindings}.items()
        if name not in left_out
        for action in need.get("actions", ())
    }
    seeing = {"Microsoft.Authorization/denyAssignments/read", "Microsoft.Authorization/locks/read"}
    assert set(documented) == needed | seeing
    others = ("write_group", "write_cluster", "read_scale_sets", "write_scale_sets", "attach_identities")
    also = [action for name in others for action in cluster[name]["actions"]]
    assert all(f"`{action}`" in page for action in also)
