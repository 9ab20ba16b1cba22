# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lists that people and tools read (README, runtime.yml, changelog) name what the tree holds, and nothing else.

And the folders of tests/unit/plugins are those of plugins.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = {path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py")}
KINDS = ("connection", "filter", "inventory")
PLUGINS = {kind: {path.stem for path in (CHECKOUT / "plugins" / kind).glob("*.py")} for kind in KINDS}
ROLES = {path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir()}
PLAYBOOKS = {path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")}


def _table(heading: str) -> set[str]:
    """First cells of the README's table under that heading, without markup and the collection's prefix."""
    text = (CHECKOUT / "README.md").read_text()
    rows = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| \[?`(?:azureops\.pod_identity\.)?(\w+)`", rows, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "present"),
    [
        pytest.param("Module", MODULES, id="modules"),
        pytest.param("Connection plugin", PLUGINS["connection"], id="connections"),
        pytest.param("Filter", PLUGINS["filter"], id="filters"),
        pytest.param("Inventory plugin", PLUGINS["inventory"], id="inventories"),
        pytest.param("Role", ROLES, id="roles"),
        pytest.param("Playbook", PLAYBOOKS, id="playbooks"),
    ],
)
def test_readme_lists_the_content(heading: str, present: set[str]) -> None:
    assert _table(heading) == present


def test_every_module_has_its_action_group() -> None:
    groups = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
    grouped = [module for group in groups.values() for module in group]
    # They ask neither Azure nor an API server, or run other modules for it.
    own = {"imds_iptables_cleanup", "imds_node_cleanup_step", "pod_identity_inventory_files", "role_plan"}
    without = {*own, "ansible_builtin", "cluster_report", "cluster_session"}
    assert sorted(grouped) == sorted(MODULES - without)


@pytest.mark.parametrize("group", ["azure", "kubernetes"])
def test_documentation_states_the_action_group(group: str) -> None:
    groups = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
    fragment = f"azureops.pod_identity._attributes.actiongroup_{group}"
    stating = {name for name in MODULES if fragment in (CHECKOUT / f"plugins/modules/{name}.py").read_text()}
    assert stating == set(groups[group])


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
