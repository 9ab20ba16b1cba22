# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pages name exists: tests as proofs, playbooks and variables."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
PAGES = ("SECURITY.md", "docs/versions.md")
NAMED = sorted(
    {each for page in PAGES for each in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (CHECKOUT / page).read_text())}
)

GUIDES = ("docs/awx.md", "docs/execution_environment.md")
VARIABLE = re.compile(r"\b(?:pod_identity|imds_node_cleanup|workload_identity_migration)_\w+")
FOLDERS = (
    *("README.md", "playbooks/*.yml", "playbooks/vars/*.yml", "roles/*/meta/argument_specs.yml"),
    *("roles/*/README.md", "docs/docsite/rst/*.rst"),
)
READ = {name for each in FOLDERS for file in CHECKOUT.glob(each) for name in VARIABLE.findall(file.read_text())}


@pytest.mark.parametrize("name", NAMED)
def test_each_proof_exists(name: str) -> None:
    file, _colons, test = name.partition("::")
    tests = [
        node.name
        for node in ast.parse((CHECKOUT / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert test in tests if test else tests


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_to_jobs_names_what_there_is(guide: str) -> None:
    text = (CHECKOUT / guide).read_text()
    assert set(VARIABLE.findall(text)) - READ == set()
    playbooks = re.findall(r"azureops\.pod_identity\.(\w+)", text)
    assert playbooks and not [name for name in playbooks if not (CHECKOUT / f"playbooks/{name}.yml").exists()]
    for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        assert yaml.safe_load(block)
