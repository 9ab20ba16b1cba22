# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What NMI left in a node's nat table, and the exact deletions that remove it and nothing else.

Text of ``iptables-save`` in, argument vectors out: ``decide(parse(text), wanted).commands(...)``. Runs on the node and,
for nodes without Python, on the controller.

The chain that every NMI since 1.0 writes is known by its name, whatever is in it. Before that (R0, R1) there was no
chain; those rules are known by all that they consist of.
"""

from __future__ import annotations

import ipaddress
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..printed import escaped
from .node_rules_text import Rule, Table

CHAIN = "aad-metadata"
AZWI_OUTPUT = "AZWI_PROXY_OUTPUT"
AZWI_REDIRECT = "AZWI_PROXY_REDIRECT"
METADATA_ADDRESS = "169.254.169.254"
METADATA_PORT = 80
NMI_PORT = 2579
# How a node ends a clean-up: nothing is left of an NMI that is gone, or would be left outside check mode, or what is
# there is that of one that serves.
CLEAN, CLEANED, WOULD_CLEAN, IN_USE = "clean", "cleaned", "would_clean", "in_use"
ENDED_WELL = (CLEAN, CLEANED)

_VERSIONS = {
    "R0": "before 1.0 (May 2018)",
    "R1": "before 1.0 (May 2018)",
    "R2": "1.0 and 1.1",
    "R2b": "before 1.1 (July 2018)",
    "R3": "1.2 to 1.6.1, or 1.8.10 and later with --nmi-listen-address",
    "R4": "1.6.2 and later",
    "R5": "1.8.10 and later with another listen address or metadata address",
    "empty": "any; left by an exit that failed half way",
    "unknown": "none that is known",
    "AZWI": "Workload ID's proxy, not NMI",
}


@dataclass(frozen=True)
class Wanted:
    """What counts as NMI's. The chain always does; addresses and ports say what R0 and R1 look like."""

    nmi_port: int = NMI_PORT
    metadata_address: str = METADATA_ADDRESS
    metadata_port: int = METADATA_PORT
    azwi_proxy_chains: bool = False


@dataclass(frozen=True)
class Redirect:
    """A rule that does what R0 to R5 do: TCP connections to one address and port go to another."""

    source: str | None
    address: str
    port: int
    to_address: str
    to_port: int


@dataclass(frozen=True)
class Found:
    rule: str
    shape: str

    @property
    def versions(self) -> str:
        return _VERSIONS[self.shape]


@dataclass(frozen=True)
class Left:
    rule: str
    reason: str


@dataclass(frozen=True)
class Deletion:
    """One command, without the program: a rule by its exact words, or flush or removal of one chain."""

    action: str
    chain: str
    words: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        return (self.action, self.chain, *self.words)


@dataclass(frozen=True)
class Decision:
    """``removed`` are all rules and chains that go, as lines; ``redirects`` are the ways into NMI among them."""

    found: tuple[Found, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    left: tuple[Left, ...] = ()
    ours: tuple[Rule, ...] = ()
    our_chains: tuple[str, ...] = ()
    redirects: tuple[Redirect, ...] = ()

    @property
    def removed(self) -> tuple[str, ...]:
        return (*(rule.text for rule in self.ours), *(f"-N {chain}" for chain in self.our_chains))

    def carried_out(self, done: t.Iterable[Deletion]) -> tuple[str, ...]:
        """Which of ``removed`` are gone when these deletions were done and others were not."""
        rest = list(done)
        gone = []
        for rule in self.ours:
            deletion = Deletion("-D", rule.chain, rule.words)
            if deletion in rest:  # one for each of several equal rules
                rest.remove(deletion)
                gone.append(rule.text)
            elif Deletion("-F", rule.chain) in rest:
                gone.append(rule.text)
        return (*gone, *(f"-N {chain}" for chain in self.our_chains if Deletion("-X", chain) in rest))

    def commands(self, program: t.Sequence[str], lock_timeout: int) -> tuple[tuple[str, ...], ...]:
        """Argument vectors, in the order in which they have to run."""
        return tuple(command(program, lock_timeout, deletion) for deletion in self.deletions)


@dataclass(frozen=True)
class Changes:
    """How the foreign part of the table differs between two looks at it."""

    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    reordered: tuple[str, ...] = ()

    def view(self) -> dict[str, list[str]]:
        return {"gone": list(self.gone), "new": list(self.new), "reordered": list(self.reordered)}


def command(program: t.Sequence[str], lock_timeout: int, deletion: Deletion) -> tuple[str, ...]:
    return (*program, "-w", str(lock_timeout), "-t", "nat", *deletion.arguments)


def decide(table: Table, wanted: Wanted) -> Decision:
    """Jumps to the chain first, from wherever they come, then the chain; then rules without a chain."""
    into = [rule for rule in table.rules if rule.jump == CHAIN and rule.chain != CHAIN]
    inside = table.of(CHAIN)
    bare = [rule for rule in table.rules if _bare_shape(rule, wanted)]
    shape = _chain_shape(inside, into)
    found = [Found(rule.text, shape) for rule in (*into, *inside)]
    deletions = [Deletion("-D", rule.chain, rule.words) for rule in into]
    chains = [CHAIN] if CHAIN in table.chains else []
    for chain in chains:
        found.append(Found(f"-N {chain}", shape))
        deletions += [Deletion("-F", chain)] if inside else []
        deletions.append(Deletion("-X", chain))
    for rule in bare:
        found.append(Found(rule.text, _bare_shape(rule, wanted) or "unknown"))
        deletions.append(Deletion("-D", rule.chain, rule.words))
    ours = [*into, *inside, *bare]
    proxy, refusal = _azwi(table, wanted)
    found += proxy.found
    deletions += proxy.deletions
    ours += proxy.ours
    chains += proxy.our_chains
    redirects = [redirect for redirect in map(_redirect, (*inside, *bare)) if redirect]
    return Decision(
        tuple(found),
        tuple(deletions),
        tuple(_left(table, wanted, ours, refusal)),
        tuple(ours),
        tuple(chains),
        tuple(dict.fromkeys(redirects)),
    )


def compare(before: Table, after: Table, wanted: Wanted) -> Changes:
    """What else changed: everything except what ``decide`` would remove from either table."""
    first, second = _foreign(before, wanted), _foreign(after, wanted)
    gone, new = Counter(first) - Counter(second), Counter(second) - Counter(first)
    apart = {*gone, *new}
    kept, still = _by_chain(first, apart), _by_chain(second, apart)
    reordered = [chain for chain, rules in still.items() if kept[chain] != rules]
    old, now = _foreign_chains(before, wanted), _foreign_chains(after, wanted)
    return Changes(
        (*(rule.text for rule in gone.elements()), *(line for line in old if line not in now)),
        (*(rule.text for rule in new.elements()), *(line for line in now if line not in old)),
        tuple(reordered),
    )


def taken(before: Table, after: Table, deleted: t.Iterable[Deletion], wanted: Wanted) -> tuple[str, ...]:
    """Foreign rules that our own commands must have removed.

    Deletions that succeeded in a chain are as many as rules of ours that left it. Where there were more, a command hit
    something that iptables takes for equal and that is not ours; every foreign rule missing there is under suspicion.
    """
    hits = Counter(deletion.chain for deletion in deleted if deletion.action == "-D")
    ours_before, ours_after = decide(before, wanted).ours, decide(after, wanted).ours
    gone = Counter(_foreign(before, wanted)) - Counter(_foreign(after, wanted))
    suspects = []
    for chain, count in hits.items():
        left = sum(rule.chain == chain for rule in ours_before) - sum(rule.chain == chain for rule in ours_after)
        if count > left:
            suspects += [rule.text for rule in gone.elements() if rule.chain == chain]
    return tuple(suspects)


def is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _bare_shape(rule: Rule, wanted: Wanted) -> str | None:
    shape = {"PREROUTING": "R0", "OUTPUT": "R1"}.get(rule.chain)
    redirect = _redirect(rule) if shape else None
    known = redirect and (redirect.address, redirect.port, redirect.to_port) == (
        wanted.metadata_address,
        wanted.metadata_port,
        wanted.nmi_port,
    )
    return shape if known else None


def _chain_shape(inside: t.Sequence[Rule], into: t.Sequence[Rule]) -> str:
    redirects = [_redirect(rule) for rule in inside if rule.words != ("-j", "RETURN")]
    if not inside:
        return "empty"
    known = list(dict.fromkeys(redirect for redirect in redirects if redirect))
    if not known or None in redirects:
        return "unknown"
    first = known[0]
    if len(known) > 1:
        return "R2b"
    if first.source and not first.source.startswith("! "):
        return "R2"
    if (first.address, first.port) != (METADATA_ADDRESS, METADATA_PORT):
        return "R5"
    if first.to_address == "127.0.0.1":
        return "R4"
    return "R3" if first.to_port == NMI_PORT else "R5"


def _redirect(rule: Rule) -> Redirect | None:
    """The rule as a redirection, when it says that and nothing more; a comment says nothing."""
    options = _options(rule)
    if options is None or set(options) - {"-s", "-d", "-p", "-m", "--dport", "-j", "--to-destination", "--comment"}:
        return None
    fixed = (options.get("-p"), options.get("-j"))
    to_address, dummy, to_port = options.get("--to-destination", "").rpartition(":")
    address, dummy, length = options.get("-d", "").partition("/")
    numbers = (options.get("--dport", ""), to_port)
    if fixed != ("tcp", "DNAT") or length != "32" or not all(number.isdecimal() for number in numbers):
        return None
    if not (is_address(address) and is_address(to_address)):
        return None
    return Redirect(options.get("-s"), address, int(numbers[0]), to_address, int(to_port))


def _options(rule: Rule) -> dict[str, str] | None:
    """Options with one value each, a negated one as ``! value``; None for any rule that is made otherwise."""
    options: dict[str, str] = {}
    at = 0
    while at < len(rule.words):
        negated = rule.words[at] == "!" and at not in rule.quoted
        at += negated
        pair = rule.words[at : at + 2]
        if len(pair) < 2 or not pair[0].startswith("-") or at in rule.quoted:
            return None
        name, value = pair
        if name == "-m":
            if value not in ("tcp", "comment"):
                return None
        elif name in options and name != "--comment":
            return None
        if at + 1 in rule.quoted and name != "--comment":
            return None
        options[name] = f"! {value}" if negated else value
        at += 2
    return options


def _azwi(table: Table, wanted: Wanted) -> tuple[Decision, str]:
    """Workload ID's chains when they are exactly what its init container writes; else none, and why."""
    names = [chain for chain in (AZWI_OUTPUT, AZWI_REDIRECT) if chain in table.chains]
    if not names:
        return Decision(), ""
    if not wanted.azwi_proxy_chains:
        return Decision(), "belongs to Workload ID's proxy; azwi_proxy_chains removes it"
    inside = [rule for rule in table.rules if rule.chain in names]
    into = [rule for rule in table.rules if rule.chain not in names and rule.jump in names]
    if not (all(map(_is_azwi_jump, into)) and all(map(_is_azwi_rule, inside))):
        return Decision(), "is not exactly what Workload ID's proxy writes"
    deletions = [Deletion("-D", rule.chain, rule.words) for rule in into]
    deletions += [Deletion("-F", chain) for chain in names if table.of(chain)]
    deletions += [Deletion("-X", chain) for chain in names]
    ours = (*into, *inside)
    lines = (*(rule.text for rule in ours), *(f"-N {chain}" for chain in names))
    found = tuple(Found(line, "AZWI") for line in lines)
    return Decision(found, tuple(deletions), ours=ours, our_chains=tuple(names)), ""


def _is_azwi_jump(rule: Rule) -> bool:
    target = ("-j", AZWI_OUTPUT)
    exact = rule.words[:1] == ("-d",) and rule.words[2:7] == ("-p", "tcp", "-m", "tcp", "--dport")
    return rule.chain == "OUTPUT" and exact and len(rule.words) == 10 and rule.words[8:] == target


def _is_azwi_rule(rule: Rule) -> bool:
    words = rule.words
    if rule.chain == AZWI_OUTPUT:
        owner = words[:3] == ("-m", "owner", "--uid-owner") and len(words) == 6 and words[4:] == ("-j", "ACCEPT")
        return owner or words == ("-j", AZWI_REDIRECT)
    return words[:5] == ("-p", "tcp", "-j", "REDIRECT", "--to-ports") and len(words) == 6


def _left(table: Table, wanted: Wanted, ours: t.Sequence[Rule], azwi: str) -> t.Iterator[Left]:
    """Rules that people may take for NMI's, and why they stay."""
    address = ("-d", f"{wanted.metadata_address}/32")
    for rule in table.rules:
        if rule in ours:
            continue
        if azwi and (rule.chain in (AZWI_OUTPUT, AZWI_REDIRECT) or rule.jump in (AZWI_OUTPUT, AZWI_REDIRECT)):
            yield Left(rule.text, azwi)
        elif address in zip(rule.words, rule.words[1:]):
            yield Left(rule.text, f"concerns {wanted.metadata_address}, but no NMI writes such a rule")


def _foreign(table: Table, wanted: Wanted) -> list[Rule]:
    ours = set(decide(table, wanted).ours)
    return [rule for rule in table.rules if rule not in ours]


def _foreign_chains(table: Table, wanted: Wanted) -> list[str]:
    ours = decide(table, wanted).our_chains
    return [f":{escaped(chain)} {policy}" for chain, policy in table.chains.items() if chain not in ours]


def _by_chain(rules: t.Iterable[Rule], apart: t.Collection[Rule]) -> dict[str, list[Rule]]:
    chains: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule not in apart:
            chains.setdefault(rule.chain, []).append(rule)
    return chains
