# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab notices a wrong decision: each mutant of the code breaks a promise that the lab holds on real iptables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, CHECKOUT, Node
from ansible_collections.azureops.pod_identity.tests.node.promises import ends_connections, hold, removes_proxy
from ansible_collections.azureops.pod_identity.tests.node.states import State, inhabited, states
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

RULES = "_domain/nodes/node_rules.py"
TEXT = "_domain/nodes/node_rules_text.py"
TABLES = "_node/tables.py"
CONNTRACK = "_node/conntrack.py"
CLEANUP = "_node/cleanup.py"
OTHER = (8579, ("10.9.9.9", 8181))
Proof = State | Callable[[Node], None]


@dataclass(frozen=True)
class Mutant:
    """``old`` becomes ``new`` in a file of plugins/module_utils; ``proof`` is the state or the promise that must tell.

    ``raw`` is on a node without Python.
    """

    file: str
    old: str
    new: str
    proof: Proof
    raw: bool = False

    @property
    def where(self) -> tuple[str, ...]:
        return self.proof.where if isinstance(self.proof, State) else ("nft",)

    def prove(self, node: Node) -> None:
        if isinstance(self.proof, State):
            hold(node, self.proof)
        else:
            self.proof(node)


JUMPS = "if rule.jump == CHAIN and rule.chain != CHAIN"
CHAINS = "chains = [CHAIN] if CHAIN in table.chains else []"
SHAPE = "shape = _chain_shape(inside, into)"
NFT, LEGACY = ("nft",), ("legacy",)
MUTANTS = {
    "goto-is-no-jump": Mutant(TEXT, 'in ("-j", "-g")', 'in ("-j",)', State("R4", "goto", NFT)),
    "goto-alone-is-a-jump": Mutant(TEXT, 'in ("-j", "-g")', 'in ("-g",)', State("R4", "plain", LEGACY)),
    "output-is-not-looked-at": Mutant(
        RULES, JUMPS, 'if rule.jump == CHAIN and rule.chain == "PREROUTING"', State("R2", "plain", LEGACY)
    ),
    "only-built-in-chains": Mutant(
        RULES,
        JUMPS,
        'if rule.jump == CHAIN and rule.chain in ("PREROUTING", "OUTPUT")',
        State("R4", "foreign-reference", NFT),
    ),
    "conditional-jumps-are-not-looked-at": Mutant(
        RULES,
        JUMPS,
        'if rule.words == ("-j", CHAIN) and rule.chain != CHAIN',
        State("R4", "conditional", BACK_ENDS, 8579),
    ),
    "jumps-are-counted-once": Mutant(
        RULES, "inside = table.of(CHAIN)", "inside, into = table.of(CHAIN), into[:1]", State("R4", "duplicated", LEGACY)
    ),
    "rules-without-a-chain-are-counted-once": Mutant(
        RULES, SHAPE, "shape, bare = _chain_shape(inside, into), bare[:1]", State("R0", "duplicated", NFT)
    ),
    "conditions-are-forgotten": Mutant(
        RULES,
        'Deletion("-D", rule.chain, rule.words) for rule in into',
        'Deletion("-D", rule.chain, rule.words[-2:]) for rule in into',
        State("R4", "conditional", NFT),
    ),
    "chain-without-jump-is-forgotten": Mutant(
        RULES, CHAINS, "chains = [CHAIN] if into else []", State("no-jump", "plain", NFT)
    ),
    "jump-to-an-empty-chain-is-forgotten": Mutant(
        RULES, SHAPE, "shape, into = _chain_shape(inside, into), into if inside else []", State("empty", "plain", NFT)
    ),
    "unknown-rules-keep-the-chain": Mutant(
        RULES,
        CHAINS,
        "chains = [CHAIN] if CHAIN in table.chains and shape != 'unknown' else []",
        State("other", "plain", NFT),
    ),
    "empty-chain-is-forgotten": Mutant(
        RULES, CHAINS, "chains = [CHAIN] if inside else []", State("empty", "plain", LEGACY)
    ),
    "chain-is-not-emptied": Mutant(
        RULES, 'deletions += [Deletion("-F", chain)] if inside else []', "", State("R4", "plain", NFT)
    ),
    "R0-is-not-looked-for": Mutant(RULES, '"PREROUTING": "R0", ', "", State("R0", "plain", LEGACY)),
    "R1-is-not-looked-for": Mutant(RULES, ', "OUTPUT": "R1"', "", State("R1", "plain", NFT)),
    "the-same-in-a-chain-of-others-is-ours": Mutant(
        RULES, ".get(rule.chain)\n", '.get(rule.chain, "R0")\n', State("none", "plain", NFT)
    ),
    "only-the-usual-port": Mutant(
        RULES, "        wanted.nmi_port,\n    )", "        NMI_PORT,\n    )", State("R0", "plain", LEGACY, 8579)
    ),
    "only-the-usual-destination-port": Mutant(
        RULES, "        wanted.metadata_port,\n", "        METADATA_PORT,\n", State("R1", "plain", BACK_ENDS, *OTHER)
    ),
    "only-the-usual-address": Mutant(
        RULES,
        "        wanted.metadata_address,\n",
        "        METADATA_ADDRESS,\n",
        State("R0", "plain", BACK_ENDS, *OTHER),
    ),
    "port-is-ignored": Mutant(
        RULES, "        wanted.nmi_port,\n    )", "        redirect.to_port,\n    )", State("none", "plain", NFT)
    ),
    "destination-port-is-ignored": Mutant(
        RULES, "        wanted.metadata_port,\n", "        redirect.port,\n", State("none", "plain", LEGACY)
    ),
    "address-is-ignored": Mutant(
        RULES, "        wanted.metadata_address,\n", "        redirect.address,\n", State("none", "plain", NFT)
    ),
    "names-match-by-their-beginning": Mutant(
        RULES, JUMPS, "if (rule.jump or '').startswith(CHAIN) and rule.chain != CHAIN", State("R4", "plain", NFT)
    ),
    "escapes-are-kept": Mutant(
        TEXT, 'return _ESCAPE.sub(r"\\1", match[1])', "return match[1]", State("R4", "hostile", NFT)
    ),
    "lines-are-rules": Mutant(TEXT, r'[^"\\]|', r'[^"\\\n]|', State("R4", "plain", LEGACY)),
    "variables-are-expanded": Mutant(
        "_node/here.py", "expand_user_and_vars=False", "expand_user_and_vars=True", State("R4", "hostile", LEGACY)
    ),
    "words-are-not-quoted": Mutant(
        "_domain/nodes/raw_commands.py", "map(shlex.quote, words)", "words", State("R4", "hostile", NFT), raw=True
    ),
    "spaces-alone-are-quoted": Mutant(
        "_domain/nodes/raw_commands.py",
        "shlex.quote, words",
        """lambda word: f'"{word}"', words""",
        State("R4", "hostile", LEGACY),
        raw=True,
    ),
    "legacy-is-not-looked-at": Mutant(TABLES, '("nft", "legacy")', '("nft",)', State("R4", "plain", BACK_ENDS)),
    "nft-is-not-looked-at": Mutant(TABLES, '("nft", "legacy")', '("legacy",)', State("R4", "plain", BACK_ENDS)),
    "one-back-end-is-enough": Mutant(
        CLEANUP, "for seen, decision in work:", "for seen, decision in work[:1]:", State("R4", "plain", BACK_ENDS)
    ),
    "table-is-made-by-looking": Mutant(
        TABLES, "if holds else", "if holds or back_end == 'legacy' else", State("R4", "plain", NFT)
    ),
    "check-mode-writes": Mutant("_plan.py", "step.preview if predict else", "", State("R4", "plain", LEGACY)),
    "nothing-is-saved": Mutant(
        CLEANUP,
        "        for seen, _decision in work:\n",
        "        for seen, _decision in []:\n",
        State("R4", "plain", NFT),
    ),
    "connections-to-other-addresses-end": Mutant(CONNTRACK, '"--orig-dst", self.address, ', "", ends_connections),
    "connections-to-other-ports-end": Mutant(CONNTRACK, ', "--orig-port-dst", str(self.port)', "", ends_connections),
    "whoever-answers-connections-end": Mutant(
        CONNTRACK, ', "--reply-port-src", str(self.nmi_port)', "", ends_connections
    ),
    "rules-name-no-connections": Mutant(CONNTRACK, "(named, *written)", "(named,)", ends_connections),
    "connections-stay": Mutant(CONNTRACK, '"-D", *way.filter', '"-L", *way.filter', ends_connections),
    "proxy-goes-unasked": Mutant(RULES, "if not wanted.azwi_proxy_chains:", "if False:", removes_proxy),
    "any-jump-is-the-proxys": Mutant(RULES, "all(map(_is_azwi_jump, into)) and ", "", removes_proxy),
    "any-rule-is-the-proxys": Mutant(RULES, " and all(map(_is_azwi_rule, inside))", "", removes_proxy),
    "the-proxy-jumps-from-anywhere": Mutant(RULES, 'rule.chain == "OUTPUT" and exact', "exact", removes_proxy),
    "the-proxy-has-any-condition": Mutant(
        RULES,
        "exact and len(rule.words) == 10 and rule.words[8:] == target",
        "rule.words[-2:] == target",
        removes_proxy,
    ),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(CHECKOUT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    yield tmp_path


def notice(checkout: Path, mutant: Mutant) -> None:
    """Fails, as pytest does, where no promise is broken."""
    file = checkout / "plugins/module_utils" / mutant.file
    text = file.read_text()
    assert mutant.old in text, "there is no such code any more"
    file.write_text(text.replace(mutant.old, mutant.new))
    with inhabited(mutant.where, checkout) as node:
        node.raw = mutant.raw
        with pytest.raises(AssertionError) as noticed:
            mutant.prove(node)
    assert "defect" not in str(noticed.value) and "Traceback" not in str(noticed.value), "the mutant does not run"


@pytest.mark.parametrize("name", fixed(MUTANTS, *list(MUTANTS)[::4]))
def test_mutant_is_noticed(checkout: Path, name: str) -> None:
    notice(checkout, MUTANTS[name])


@pytest.mark.parametrize(
    "proof", [State("R4", "hostile", ("nft",)), ends_connections, removes_proxy], ids=["state", "connections", "proxy"]
)
def test_what_changes_nothing_is_not_noticed(checkout: Path, proof: Proof) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        notice(checkout, Mutant(RULES, "CHAIN =", "CHAIN = AAD_METADATA =", proof))


def test_what_tells_of_mutants_is_held_of_the_code() -> None:
    proofs = {mutant.proof for mutant in MUTANTS.values()}
    assert {proof for proof in proofs if isinstance(proof, State)} <= set(states())
