# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each command that the documentation names is one that a test runs: in a guide, by tests/sandbox/test_guides.py.

And what they name exists: playbooks, variables, pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.tests.support import guides, reader
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import known
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

CHECKOUT = Path(__file__).resolve().parents[3]
PLAYBOOKS = {f"azureops.pod_identity.{path.stem}" for path in (CHECKOUT / "playbooks").glob("*.yml")}
COMMANDS = [(name, command.text) for name in guides.FOLLOWED for command in guides.commands(name)]
TYPED = {text for _name, text in COMMANDS}
# How pages beside the guides name what the guides have.
NAMED = {"GROUP": "pod-identity-demo", "NAME": "demo", "RG": "pod-identity-demo"}
README = (CHECKOUT / "README.md").read_text()
SANDBOX = "it builds and starts a sandbox: the story that it shows is that of tests/sandbox/test_site.py"
MIGRATION = "it does the same with that of tests/sandbox/test_migration.py"
NOT_RUN = guides.NOT_TYPED | {"make demo": SANDBOX, "make demo-migrate": MIGRATION}
"""Commands of the README that no test of guides runs, and why."""


OWN_VARIABLES = {"ansible_connection", "ansible_python_interpreter", "kubeconfig", "terraform"}
"""Variables of the files of guides that are not the collection's."""


def variables(text: str) -> Iterator[str]:
    """Names that a command or a file of a guide gives variables by."""
    yield from re.findall(r"-e (\w+)=", text)
    for given in re.findall(r"-e '(\{.*?\})'", text):
        yield from json.loads(given)


def variables_of_file(content: Any) -> Iterator[str]:
    """Those of a file of variables, of an inventory, or of the plays and tasks of a playbook."""
    if isinstance(content, list):
        for part in content:
            yield from part.get("vars") or {}
            yield from variables_of_file(part.get("tasks") or [])
        return
    hosts = (content.get("clusters") or {}) if isinstance(content, dict) else {}
    for part in (hosts.get("vars"), *(hosts.get("hosts") or {}).values()) if hosts else (content,):
        yield from part or {}


def documented_variables() -> set[str]:
    """Of all roles and playbooks, those of comments in the example included."""
    example = (CHECKOUT / "playbooks/vars/site.example.yml").read_text()
    return known() | set(re.findall(r"^(?:# )?(\w+):", example, re.MULTILINE)) | {"pod_identity_hosts", "node"}


def test_all_guides_with_commands_are_followed() -> None:
    assert set(guides.FOLLOWED) == {name for name in guides.names() if guides.commands(name)}


def test_each_situation_is_one_that_the_story_makes() -> None:
    named = {step.name for name in guides.names() for step in guides.steps(name) if isinstance(step, guides.Before)}
    assert named == reader.SITUATIONS.keys()


@pytest.mark.parametrize(("guide", "command"), COMMANDS)
def test_what_a_command_names_exists(guide: str, command: str) -> None:
    named = set(re.findall(r"azureops\.pod_identity\.\w+", command))
    assert named <= PLAYBOOKS, guide
    assert set(variables(command)) <= documented_variables(), guide
    written = {step.name for name in guides.names() for step in guides.steps(name) if isinstance(step, guides.File)}
    written |= {name for _guide, text in COMMANDS for name in re.findall(r"--output (\S+)", text)}
    assert set(re.findall(r"(?:-e @|-i |-f )(\S+\.yml)", command)) <= written, guide


@pytest.mark.parametrize("guide", guides.FOLLOWED)
def test_variables_of_files_exist(guide: str) -> None:
    files = [step for step in guides.steps(guide) if isinstance(step, guides.File) and step.name.endswith(".yml")]
    for file in files:
        content = yaml.safe_load(file.text)
        if "kind" not in content and "plugin" not in content:
            assert set(variables_of_file(content)) - OWN_VARIABLES <= documented_variables(), file.name


def in_a_guide(command: str) -> str:
    return re.sub(r"(?<==)[A-Z]+\b", lambda word: NAMED[word[0]], command)


def test_the_guide_of_the_migration_names_commands_of_guides() -> None:
    found = guides.commands_of_markdown((CHECKOUT / "docs/migration.md").read_text())
    assert found and set(map(in_a_guide, found)) <= TYPED


def test_the_readme_names_a_command_for_each_situation_that_a_guide_has() -> None:
    situations = README.partition("\n## Which situation are you in?\n")[2].partition("\n## ")[0]
    rows = [row for row in situations.splitlines() if row.startswith("| ") and ".rst)" in row]
    found = [re.findall(r"`(ansible-playbook [^`]+)`", row) for row in rows]
    assert [len(each) for each in found] == [1] * len(rows)
    assert {in_a_guide(command) for each in found for command in each} <= TYPED
    linked = {name for row in rows for name in re.findall(r"docs/docsite/rst/(\w+)\.rst", row)}
    assert linked == set(guides.FOLLOWED)


def test_the_readme_names_no_other_commands_but_these() -> None:
    assert set(guides.commands_of_markdown(README)) == {*guides.installation(), *NOT_RUN}


def test_every_guide_is_in_the_table_of_contents() -> None:
    sections = yaml.safe_load((guides.FOLDER.parent / "extra-docs.yml").read_text())["sections"]
    assert sorted(name for section in sections for name in section["toctree"]) == guides.names()


@cases(
    "output, says, missing",
    ("all", "a\nb\n", "a\nb\n", ""),
    ("more", "a\nb\nc\n", "a\nb\n", "a\nb"),
    ("lines behind", "a\nb\nc\n", "a\n...\n", ""),
    ("lines before", "a\nb\nc\n", "...\nc\n", ""),
    ("not the last line", "a\nb\nc\n", "...\nb\n", "b"),
    ("in the middle", "a\nb\nc\n", "...\nb\n...\n", ""),
    ("another order", "a\nb\nc\n", "...\nc\n...\nb\n...\n", "b"),
    ("part of a line", "pod-x1 ok\n", "pod-... ok\n", ""),
    ("another line", "pod-x1 no\n", "pod-... ok\n", "pod-... ok"),
    ("no pattern", "a (1)\n", "a (1)\n", ""),
)
def test_what_a_command_does_not_say_is_told(output: str, says: str, missing: str) -> None:
    assert guides.not_said(output, says) == missing


def test_a_guide_is_read_in_its_order() -> None:
    text = """
.. before: there
.. file: a.yml

.. code-block:: yaml

   a: 1
   b:

     - 2

.. status: 2
.. code-block:: bash

   one --long \\
     option  # why
   two

.. code-block:: text

   said

.. code-block:: text

   of nobody

.. code-block:: bash

   three
"""
    assert list(guides.parsed(text)) == [
        guides.Before("there"),
        guides.File("a.yml", "a: 1\nb:\n\n  - 2\n"),
        guides.Command("one --long option", status=2),
        guides.Command("two", "said\n", 2),
        guides.Command("three"),
    ]


def test_a_mark_without_a_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="last mark"):
        list(guides.parsed(".. file: a.yml\n\nNothing.\n"))
