# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab notices a wrong decision: each mutant of the code fails in a state that the lab holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, CHECKOUT
from ansible_collections.azureops.pod_identity.tests.node.states import State, hold, inhabited

RULES = "_domain/node_rules.py"
TEXT = "_domain/node_rules_text.py"
TABLES = "_node/tables.py"


@dataclass(frozen=True)
class Mutant:
    """``old`` becomes ``new`` in a file of plugins/module_utils; ``state`` is one that must tell.

    ``raw`` is on a node without Python.
    """

    file: str
    old: str
    new: str
    state: State
    raw: bool = False


MUTANTS = {
    "goto-is-no-jump": Mutant(TEXT, 'in ("-j", "-g")', 'in ("-j",)', State("R4", "goto", ("nft",))),
    "output-is-not-looked-at": Mutant(
        RULES,
        "if rule.jump == CHAIN and rule.chain != CHAIN",
        'if rule.jump == CHAIN and rule.chain == "PREROUTING"',
        State("R2", "plain", ("legacy",)),
    ),
    "only-built-in-chains": Mutant(
        RULES,
        "if rule.jump == CHAIN and rule.chain != CHAIN",
        'if rule.jump == CHAIN and rule.chain in ("PREROUTING", "OUTPUT")',
        State("R4", "foreign-reference", ("nft",)),
    ),
    "jumps-are-counted-once": Mutant(
        RULES,
        "inside = table.of(CHAIN)",
        "inside, into = table.of(CHAIN), into[:1]",
        State("R4", "duplicated", ("legacy",)),
    ),
    "conditions-are-forgotten": Mutant(
        RULES,
        'Deletion("-D", rule.chain, rule.words) for rule in into',
        'Deletion("-D", rule.chain, rule.words[-2:]) for rule in into',
        State("R4", "conditional", ("nft",)),
    ),
    "chain-without-jump-is-forgotten": Mutant(
        RULES,
        "chains = [CHAIN] if CHAIN in table.chains else []",
        "chains = [CHAIN] if into else []",
        State("no-jump", "plain", ("nft",)),
    ),
    "empty-chain-is-forgotten": Mutant(
        RULES,
        "chains = [CHAIN] if CHAIN in table.chains else []",
        "chains = [CHAIN] if inside else []",
        State("empty", "plain", ("legacy",)),
    ),
    "chain-is-not-emptied": Mutant(
        RULES, 'deletions += [Deletion("-F", chain)] if inside else []', "", State("R4", "plain", ("nft",))
    ),
    "R1-is-not-looked-for": Mutant(RULES, ', "OUTPUT": "R1"', "", State("R1", "plain", ("nft",))),
    "port-is-ignored": Mutant(
        RULES, "        wanted.nmi_port,\n    )", "        redirect.to_port,\n    )", State("none", "plain", ("nft",))
    ),
    "destination-port-is-ignored": Mutant(
        RULES, "        wanted.metadata_port,\n", "        redirect.port,\n", State("none", "plain", ("legacy",))
    ),
    "address-is-ignored": Mutant(
        RULES, "        wanted.metadata_address,\n", "        redirect.address,\n", State("none", "plain", ("nft",))
    ),
    "names-match-by-their-beginning": Mutant(
        RULES,
        "if rule.jump == CHAIN and rule.chain != CHAIN",
        "if (rule.jump or '').startswith(CHAIN) and rule.chain != CHAIN",
        State("R4", "plain", ("nft",)),
    ),
    "escapes-are-kept": Mutant(
        TEXT, 'return _ESCAPE.sub(r"\\1", match[1])', "return match[1]", State("R4", "hostile", ("nft",))
    ),
    "lines-are-rules": Mutant(TEXT, r'[^"\\]|', r'[^"\\\n]|', State("R4", "plain", ("legacy",))),
    "variables-are-expanded": Mutant(
        "_node/here.py",
        "expand_user_and_vars=False",
        "expand_user_and_vars=True",
        State("R4", "hostile", ("legacy",)),
    ),
    "words-are-not-quoted": Mutant(
        "_domain/raw_commands.py", "map(shlex.quote, words)", "words", State("R4", "hostile", ("nft",)), raw=True
    ),
    "spaces-alone-are-quoted": Mutant(
        "_domain/raw_commands.py",
        "shlex.quote, words",
        """lambda word: f'"{word}"', words""",
        State("R4", "hostile", ("legacy",)),
        raw=True,
    ),
    "legacy-is-not-looked-at": Mutant(TABLES, '("nft", "legacy")', '("nft",)', State("R4", "plain", BACK_ENDS)),
    "table-is-made-by-looking": Mutant(
        TABLES, "if holds else", "if holds or back_end == 'legacy' else", State("R4", "plain", ("nft",))
    ),
    "nothing-is-saved": Mutant(
        "_node/cleanup.py",
        "        for seen, _decision in work:\n",
        "        for seen, _decision in []:\n",
        State("R4", "plain", ("nft",)),
    ),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(CHECKOUT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    yield tmp_path


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_mutant_is_noticed(checkout: Path, mutant: Mutant) -> None:
    file = checkout / "plugins/module_utils" / mutant.file
    text = file.read_text()
    assert mutant.old in text
    file.write_text(text.replace(mutant.old, mutant.new))
    with inhabited(mutant.state.where, checkout) as node:
        node.raw = mutant.raw
        with pytest.raises(AssertionError) as noticed:
            hold(node, mutant.state)
    assert "defect" not in str(noticed.value) and "Traceback" not in str(noticed.value), "the mutant does not run"


def test_an_exact_copy_passes(checkout: Path) -> None:
    with inhabited(["nft"], checkout) as node:
        hold(node, State("R4", "hostile", ("nft",)))
