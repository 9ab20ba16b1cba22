# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The nat table as ``iptables-save`` prints it, read the way iptables wrote it.

A comment is text of whoever made the rule. It may hold quotes, options and raw newlines, also a newline followed by
what looks like a rule. So the output is read as one text: a quoted word ends at its closing quote, wherever that is.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..errors import Failure
from ..printed import escaped

# libxtables escapes these within quotes, and nothing else.
_ESCAPED = "\"\\'"
# What follows these is printed as it is, without quotes.
_RAW_AFTER = frozenset(["-A", "-i", "-o", "-j", "-g", "--physdev-in", "--physdev-out", "--match-set"])
_COUNTERS = re.compile(r"\[\d+:\d+\] ")
_ESCAPE = re.compile(r"\\([\"\\'])")
_QUOTED = re.compile(r'((?:[^"\\]|\\[\s\S])*)"')
_PLAIN = re.compile(r"[^ \n]+")
_CHAIN = re.compile(r":(?P<name>\S+) (?P<policy>\S+)(?: \[\d+:\d+\])?$")


@dataclass(frozen=True)
class Rule:
    """One rule: its chain and the words after it, ready for an argument vector.

    ``quoted`` holds the positions of words that iptables quoted; those are never options or names of chains.
    """

    chain: str
    words: tuple[str, ...]
    quoted: frozenset[int] = field(default=frozenset(), compare=False)

    @property
    def jump(self) -> str | None:
        """The chain or target that ends this rule with ``-j`` or ``-g`` and no options of its own."""
        plain = self.words[-2:] if not self.quoted & {len(self.words) - 2, len(self.words) - 1} else ()
        if len(plain) == 2 and plain[0] in ("-j", "-g") and self.words[-3:-2] != ("--comment",):
            return plain[1]
        return None

    @property
    def text(self) -> str:
        """The rule on one line, for people: control characters of comments are shown escaped."""
        return " ".join(["-A", self.chain, *(_shown(word, at in self.quoted) for at, word in enumerate(self.words))])


@dataclass(frozen=True)
class Table:
    """Chains with their policies (``-`` for chains that are not built in), and all rules in order."""

    chains: t.Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def of(self, chain: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.chain == chain)


def parse(text: str) -> Table:
    """Read the nat table out of the output of ``iptables-save``; other tables in it are passed over."""
    chains: dict[str, str] = {}
    rules: list[Rule] = []
    table: str | None = None
    at = 0
    while at < len(text):
        if text[at] in "#*:C\n":
            line, at = _line(text, at)
            if line.startswith("#"):
                _refuse_incompatible(line)
            elif line.startswith("*"):
                table = line[1:]
            elif line == "COMMIT":
                table = None
            elif line and table == "nat":
                match = _CHAIN.match(line)
                if not match:
                    raise _unreadable(line)
                chains[match["name"]] = match["policy"]
            continue
        start = at
        counters = _COUNTERS.match(text, at)
        words, quoted, at = _words(text, counters.end() if counters else at)
        if table is None or len(words) < 2 or words[0] != "-A" or 0 in quoted:
            raise _unreadable(text[start:at])
        if table == "nat":
            if words[1] not in chains:
                raise _unreadable(text[start:at])
            rules.append(Rule(words[1], tuple(words[2:]), frozenset(position - 2 for position in quoted)))
    if table is not None:
        raise Failure("The saved nat table ends before its last line; save it again.")
    return Table(chains, tuple(rules))


def _line(text: str, at: int) -> tuple[str, int]:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at:end], end + 1


def _words(text: str, at: int) -> tuple[list[str], set[int], int]:
    """The words up to the newline that ends the rule, which of them were quoted, and where the next rule starts."""
    words: list[str] = []
    quoted: set[int] = set()
    while at < len(text) and text[at] != "\n":
        if text[at] == " ":
            at += 1
            continue
        raw = bool(words) and words[-1] in _RAW_AFTER and len(words) - 1 not in quoted
        if text[at] == '"' and not raw:
            word, at = _quoted_word(text, at + 1)
            quoted.add(len(words))
        else:
            match = _PLAIN.match(text, at)
            word = match[0] if match else ""
            at += len(word)
        words.append(word)
    return words, quoted, at + 1


def _quoted_word(text: str, at: int) -> tuple[str, int]:
    match = _QUOTED.match(text, at)
    if match:
        return _ESCAPE.sub(r"\1", match[1]), match.end()
    raise Failure("A quoted text in the saved nat table does not end; save it again, or look at the table by hand.")


def _shown(word: str, quoted: bool) -> str:
    if quoted:
        word = '"' + "".join("\\" + letter if letter in _ESCAPED else letter for letter in word) + '"'
    return escaped(word)


def _refuse_incompatible(comment: str) -> None:
    if "is incompatible, use 'nft' tool" in comment:
        raise Failure(
            "The nat table holds rules of the nft program that iptables cannot read; "
            "look at it with 'nft list table ip nat' and remove the chain aad-metadata by hand if it is there."
        )


def _unreadable(line: str) -> Failure:
    return Failure(f"The saved nat table cannot be read at {escaped(line[:120])!r}; look at the table by hand.")
