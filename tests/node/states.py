# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of a node: what NMI can have left there, in every shape, among rules of others."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, CHECKOUT, Node

KUBE_PROXY = Path(__file__).with_name("kube-proxy.save")
CHAIN = "aad-metadata"
METADATA = ("-d", "169.254.169.254/32", "-p", "tcp", "-m", "tcp", "--dport", "80")
HOSTILE = (
    'it\'s "quoted" \\ back',
    "x\n-A PREROUTING -j aad-metadata",
    '"\nCOMMIT\n*nat\n:aad-metadata - [0:0]\n-A OUTPUT -g aad-metadata\n"',
    "-j aad-metadata",
    "-j",
    "aad-metadata",
    "!",
    "{{ 7 * 7 }} {% raw %}",
    "$(id) `id` $HOME ~ %s",
    "",
    "\xff\xfe",
    "\x81\x88\t\r\n\x7f",
)
Rule = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """``chain``: rules of the chain, None for no chain; ``jumps``: rules that lead there; ``bare``: others of ours."""

    chain: tuple[Rule, ...] | None
    jumps: tuple[Rule, ...] = ()
    bare: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class State:
    shape: str
    variant: str
    where: tuple[str, ...]
    port: int = 2579
    metadata: tuple[str, int] = ("169.254.169.254", 80)

    def __str__(self) -> str:
        other = "" if self.metadata == State.metadata else f"-{self.metadata[0]}:{self.metadata[1]}"
        return f"{self.shape}-{self.variant}-{'+'.join(self.where)}-{self.port}{other}"

    def laid(self) -> Shape:
        """The rules that NMI with these options leaves."""
        address, port = self.metadata
        known = {METADATA[1]: f"{address}/32", METADATA[-1]: str(port)}

        def of(rule: Rule) -> Rule:
            return tuple(known.get(word, word) for word in rule)

        shape = _vary(_shape(self.shape, self.port), self.variant)
        chain = None if shape.chain is None else tuple(map(of, shape.chain))
        return Shape(chain, tuple(map(of, shape.jumps)), tuple(map(of, shape.bare)))


def _dnat(source: Rule, to: str, metadata: Rule = METADATA) -> Rule:
    return (*source, *metadata, "-j", "DNAT", "--to-destination", to)


def _shape(name: str, port: int) -> Shape:
    pods, others, back = ("-s", "10.244.0.0/16"), ("!", "-s", "127.0.0.1/32"), ("-j", "RETURN")
    host = "10.240.0.4"
    prerouting, output = ("PREROUTING", "-j", CHAIN), ("OUTPUT", "-j", CHAIN)
    return {
        "R0": Shape(None, bare=(("PREROUTING", *_dnat(pods, f"{host}:{port}")),)),
        "R1": Shape(None, bare=(("OUTPUT", *_dnat(pods, f"{host}:{port}")),)),
        "R2": Shape((_dnat(pods, f"{host}:{port}"), back), (prerouting, output)),
        "R2b": Shape(
            (
                _dnat(("!", *pods), f"{host}:{port}"),
                _dnat(others, f"{host}:{port}"),
                _dnat(("!", "-s", f"{host}/32"), f"{host}:{port}"),
                _dnat(pods, f"{host}:{port}"),
                back,
            ),
            (prerouting, output),
        ),
        "R3": Shape((_dnat(others, f"{host}:{port}"), back), (prerouting,)),
        "R4": Shape((_dnat(others, f"127.0.0.1:{port}"), back), (prerouting,)),
        "R5": Shape((_dnat(others, f"10.9.0.9:{port}", (*METADATA[:-1], "8081")), back), (prerouting,)),
        "no-jump": Shape((_dnat(others, f"127.0.0.1:{port}"), back)),
        "empty": Shape((), (prerouting,)),
        "other": Shape((("-p", "udp", "-j", "KUBE-MARK-MASQ"), ("-j", "LOG"), back), (prerouting,)),
        "none": Shape(None),
    }[name]


SHAPES = ("R0", "R1", "R2", "R2b", "R3", "R4", "R5", "no-jump", "empty", "other", "none")


def _foreign(kube_proxy: str) -> str:
    """kube-proxy's table, with what else lives on nodes and must stay: look-alikes, hostile texts, counters."""
    rules = [
        "[3:180] -A PREROUTING -i eth9 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j IMDS-BLOCK",
        "[0:0] -A IMDS-BLOCK -d 169.254.169.254/32 -j RETURN",
        f"[4:240] -A IMDS-BLOCK {' '.join(_shape('R0', 2579).bare[0][1:])}",
        "[1:60] -A PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:2579",
        "[1:60] -A OUTPUT -d 169.254.169.253/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:2579",
        "[0:0] -A PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:2580",
        "[0:0] -A PREROUTING -d 169.254.169.254/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.0.0.1:2579",
        "[7:420] -A PREROUTING -j aad-metadata-2",
        "[7:420] -A aad-metadata-2 -p tcp -m tcp --dport 80 -j RETURN",
        "[9:540] -A POSTROUTING -s 10.244.0.0/16 ! -d 10.0.0.0/8 -j MASQUERADE",
        "[2:120] -A POSTROUTING -p tcp -m tcp --dport 2579 -j RETURN",
    ]
    chains = [":IMDS-BLOCK - [0:0]", ":aad-metadata-2 - [0:0]"]
    head, _commit, _tail = kube_proxy.rpartition("COMMIT")
    return "\n".join([head.rstrip("\n"), *chains, *rules, "COMMIT", ""])


def inhabited(
    where: Sequence[str], checkout: Path = CHECKOUT, python: str | Path = sys.executable, entrance: Sequence[str] = ()
) -> Node:
    """A node with rules of others in these back ends."""
    node = Node(checkout, entrance, python)
    for back_end in where:
        node.restore(back_end, _foreign(KUBE_PROXY.read_text()))
        for text, chain in zip(HOSTILE, itertools.cycle(["PREROUTING", "OUTPUT"])):
            node.iptables(back_end, "-I", chain, "2", "-m", "comment", "--comment", text, "-j", "KUBE-SERVICES")
    return node


def _comment(rule: Rule, text: str) -> Rule:
    return (rule[0], "-m", "comment", "--comment", text, *rule[1:])


def _vary(shape: Shape, variant: str) -> Shape:
    """The shape as somebody or something changed it; ``plain`` is as NMI wrote it."""
    change: dict[str, Callable[[], Shape]] = {
        "plain": lambda: shape,
        "reordered": lambda: shape,
        "duplicated": lambda: Shape(shape.chain and shape.chain * 2, shape.jumps * 3, shape.bare * 3),
        "foreign-reference": lambda: _with(shape, ("KUBE-SERVICES", "-j", CHAIN)),
        "goto": lambda: _with(shape, ("PREROUTING", "-g", CHAIN)),
        "conditional": lambda: _with(
            shape, ("PREROUTING", "-i", "eth9", "-p", "tcp", "-m", "tcp", "--dport", "80", "-j", CHAIN)
        ),
        "output": lambda: _with(shape, ("OUTPUT", "-j", CHAIN)),
        "hostile": lambda: Shape(
            shape.chain,
            tuple(_comment(jump, text) for text, jump in itertools.product(HOSTILE, shape.jumps)),
            tuple(_comment(rule, text) for text, rule in itertools.product(HOSTILE, shape.bare)),
        ),
    }
    return change[variant]()


def _with(shape: Shape, jump: Rule) -> Shape:
    return Shape(shape.chain, (*shape.jumps, jump), shape.bare)


VARIANTS = ("plain", "duplicated", "reordered", "foreign-reference", "hostile", "goto", "conditional", "output")


def lay(node: Node, state: State) -> int:
    """Write the state's rules, as NMI does: jumps at the front, rules without a chain at the end.

    Returns how many rules and chains that is in each back end.
    """
    shape = state.laid()
    for back_end in state.where:
        if shape.chain is not None:
            node.iptables(back_end, "-N", CHAIN)
            for rule in shape.chain:
                node.iptables(back_end, "-A", CHAIN, *rule)
        for jump in shape.jumps:
            position = ["3"] if state.variant == "reordered" else ["1"]
            node.iptables(back_end, "-I", jump[0], *position, *jump[1:])
        for rule in shape.bare:
            if state.variant == "reordered":
                node.iptables(back_end, "-I", rule[0], "2", *rule[1:])
            else:
                node.iptables(back_end, "-A", *rule)

    chain = () if shape.chain is None else (CHAIN, *shape.chain)
    return len((*chain, *shape.jumps, *shape.bare))


def states() -> Iterator[State]:
    """Every shape in every back end for both ports; every variation of what it can vary, in one back end or in both."""
    everywhere = (("nft",), ("legacy",), BACK_ENDS)
    for shape, where, port in itertools.product(SHAPES, everywhere, (2579, 8579)):
        yield State(shape, "plain", where, port)
    turn = itertools.cycle(everywhere)
    for shape, variant in itertools.product(SHAPES, VARIANTS[1:]):
        varied = _vary(_shape(shape, 2579), variant)
        if variant == "reordered" or varied != _shape(shape, 2579):
            if shape != "none" and (varied.chain is not None or not varied.jumps):
                for where in everywhere if shape == "R4" else [next(turn)]:
                    yield State(shape, variant, where)
    for variant in VARIANTS[1:]:
        yield State("R4", variant, BACK_ENDS, 8579)
    for shape in ("R0", "R1"):  # which are known by address and port alone
        yield State(shape, "plain", BACK_ENDS, 8579, ("10.9.9.9", 8181))
