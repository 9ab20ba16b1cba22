# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lists that people and tools read (README, runtime.yml, changelog) name what the tree holds, and nothing else.

And the folders of tests/unit/plugins are those of plugins.
"""

from __future__ import annotations

import ast
import fnmatch
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import chart
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = {path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py")}
KINDS = ("connection", "filter", "inventory")
PLUGINS = {kind: {path.stem for path in (CHECKOUT / "plugins" / kind).glob("*.py")} for kind in KINDS}
ROLES = {path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir()}
PLAYBOOKS = {path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")}


README = (CHECKOUT / "README.md").read_text()
SIMULATED = CHECKOUT / "tests/sandbox/azsandbox/azure/core.py"
"""It has the version of Kubernetes that sandboxes run."""


def _rows(heading: str) -> list[tuple[str, str]]:
    """Rows of the README's tables under that heading: the first cell without markup and prefix, and the others."""
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", README, re.MULTILINE)
    row = re.compile(r"^\| \[?`?(?:azureops\.pod_identity\.)?([\w.]+)`?(?:\]\(\S+\))? \| (.*) \|$", re.MULTILINE)
    return [found for table in tables for found in row.findall(table)]


@cases(
    "heading, present",
    ("modules", "Module", MODULES),
    ("connections", "Connection plugin", PLUGINS["connection"]),
    ("filters", "Filter", PLUGINS["filter"]),
    ("inventories", "Inventory plugin", PLUGINS["inventory"]),
    ("roles", "Role", ROLES),
    ("playbooks", "Playbook", PLAYBOOKS),
)
def test_readme_lists_the_content(heading: str, present: set[str]) -> None:
    assert sorted(name for name, _text in _rows(heading)) == sorted(present)


@pytest.mark.parametrize("heading", ["Module", "Connection plugin", "Filter", "Inventory plugin", "Role", "Playbook"])
def test_readme_says_first_what_the_content_does(heading: str) -> None:
    assert [text for _name, text in _rows(heading) if not re.match(r"[A-Z][a-z]+s\b", text)] == []


def test_readme_marks_what_is_internal() -> None:
    internal = README.partition("\n### Internal modules\n")[2].partition("\n### ")[0]
    named = set(re.findall(r"^\| `(\w+)`", internal, re.MULTILINE))
    documented = {name: (CHECKOUT / f"plugins/modules/{name}.py").read_text() for name in MODULES}
    assert {name for name, text in documented.items() if "It is internal to" in text} <= named < MODULES


def test_readme_names_the_versions_that_are_tested() -> None:
    sessions = (CHECKOUT / "noxfile.py").read_text()
    lanes = ast.literal_eval(re.findall(r"^LANES = (.*)$", sessions, re.MULTILINE)[0])
    targets = ast.literal_eval(re.findall(r"^TARGETS = (.*)$", sessions, re.MULTILINE)[0])
    assert _rows("ansible-core") == list(lanes)
    said = " ".join(README.split())
    assert f"Modules compile and import on Python {targets[0]} to {targets[-1]}." in said
    built = re.findall(r"^\s+kubernetes_version: str = \"(\S+)\.\d+\"$", SIMULATED.read_text(), re.MULTILINE)
    assert [f"Kubernetes in the tests is {version};" in said for version in built] == [True]
    images = dict(each.split("=") for each in chart.LATEST_IMAGES.split(","))
    assert f"AAD Pod Identity is {images['mic.tag'].lstrip('v')} (chart {chart.LATEST})." in said
    required = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["requires_ansible"]
    assert required.startswith(f">={lanes[0][0]}")


def test_readme_links_to_what_is_there() -> None:
    links = set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", README))
    assert links and [link for link in links if not (CHECKOUT / link).exists()] == []


def _with(*fragments: str) -> set[str]:
    """Modules that extend one of these fragments."""
    texts = {name: (CHECKOUT / f"plugins/modules/{name}.py").read_text() for name in MODULES}
    names = [f"  - azureops.pod_identity.{each}\n" for each in fragments]
    return {name for name, text in texts.items() if any(each in text for each in names)}


def test_every_module_has_its_action_group() -> None:
    groups = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
    grouped = {module for group in groups.values() for module in group}
    # They ask neither Azure nor an API server, or run other modules for it.
    own = {"imds_iptables_cleanup", "imds_node_cleanup_step", "pod_identity_inventory_files", "role_plan"}
    without = {*own, "ansible_builtin", "cluster_report", "cluster_session"}
    assert grouped == MODULES - without
    assert all(group == sorted(set(group)) for group in groups.values())


@pytest.mark.parametrize("group", ["azure", "kubernetes"])
def test_documentation_states_the_action_group(group: str) -> None:
    """And whatever takes the options by which that side is reached is in it."""
    groups = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
    stating = _with(f"_attributes.actiongroup_{group}", "_attributes.actiongroup_both")
    assert stating == set(groups[group]) >= _with(f"_{group}_auth")


def test_changelog_names_what_is_new() -> None:
    releases = yaml.safe_load((CHECKOUT / "changelogs/changelog.yaml").read_text())["releases"].values()
    modules = {module["name"] for release in releases for module in release.get("modules", [])}
    plugins = {
        kind: {plugin["name"] for release in releases for plugin in release.get("plugins", {}).get(kind, [])}
        for kind in KINDS
    }
    assert (modules, plugins) == (MODULES, PLUGINS)


def test_unit_tests_mirror_the_plugins() -> None:
    """In the folders of module_utils each file of tests is named after the file that it tests."""
    tests = CHECKOUT / "tests/unit/plugins"
    of_files = tests.glob("module_utils/_*/test_*.py")
    mirrored = {path.parent for path in tests.rglob("test_*.py")}
    mirrored |= {path.with_name(path.name.removeprefix("test_")) for path in of_files}
    missing = {path for path in mirrored if not (CHECKOUT / "plugins" / path.relative_to(tests)).exists()}
    assert mirrored and not missing


def test_of_tests_the_tarball_holds_what_the_sanity_tests_read() -> None:
    ignored = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["build_ignore"]
    names = [f"tests/{path.name}" for path in (CHECKOUT / "tests").iterdir()]
    packed = [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
    assert packed == ["tests/config.yml"]


def test_hooks_have_the_versions_of_the_checks() -> None:
    requirements = {
        line for path in (CHECKOUT / "tests/requirements").glob("*.txt") for line in path.read_text().splitlines()
    }
    (own,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    installed = {package for hook in own["hooks"] for package in hook["additional_dependencies"]}
    assert installed and installed <= requirements
