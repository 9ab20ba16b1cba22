# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares records, object by object: in which order different objects were written is no difference.

A record has modes (`== check mode`), these have parts (`# writes to Azure`), and these have facts: a line each, with
indented lines that belong to it. Facts with one subject are compared in their order.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

MODE, PART = "== ", "# "
_WRITE = re.compile(r"(?P<verb>\S+) (?P<object>.+?) \d+( by helm| [A-Za-z]+)?$")
_CHANGE = re.compile(r"(?P<object>.+?) [a-z]+( \(.*\))?$")
_READ = re.compile(r"(?P<object>.+) \d+$")
Record = dict[tuple[str, str, str], list[str]]
"""Lines by mode, part and subject."""


def parse(lines: Iterable[str]) -> Record:
    found: Record = {}
    mode = part = subject = ""
    for line in lines:
        if line.startswith(MODE):
            mode, part = line.removeprefix(MODE), ""
        elif line.startswith(PART):
            part = line.removeprefix(PART)
        elif _is_of_reads(part):
            verb, _colon, told = line.partition(": ")
            for each in told.split(", "):
                found.setdefault((mode, part, f"{verb} {_subject(part, each)}"), []).append(f"{verb} {each}")
        else:
            subject = subject if line.startswith("  ") else _subject(part, line)
            found.setdefault((mode, part, subject), []).append(line)
    return found


def _subject(part: str, line: str) -> str:
    """What a fact is about."""
    if part.startswith("writes to "):
        # Collections are named by their kind alone in a kind/subresource, so that a pod and what runs in it are two.
        found = _WRITE.match(line)
    elif part == "changes":
        found = _CHANGE.match(line)
    elif _is_of_reads(part):
        found = _READ.match(line)
    elif part:  # hosts, failures and what is shown begin with the host, a table with the host and its columns
        return line if part == "tables" else line.partition(" ")[0].rstrip(":")
    else:
        return "exit status"
    return found["object"] if found else line


def differences(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines of text; none where the records say the same."""
    old, new = parse(before), parse(after)
    told: list[str] = []
    heading = ("", "")
    for key in sorted({*old, *new}, key=lambda key: (key[0], _is_of_reads(key[1]), key)):
        one, other = old.get(key, []), new.get(key, [])
        if one == other:
            continue
        mode, part, subject = key
        if (mode, part) != heading:
            heading = (mode, part)
            told.append(f"  {mode}{f', {part}' if part else ''}")
        if _is_of_reads(part):
            told.append(f"    {subject}: {_number(one)} before, {_number(other)} now")
        else:
            told.append(f"    {subject}: {_summary(one, other)}")
            told += [f"      {line}" for line in _lines(one, other)]
    return told


def _is_of_reads(part: str) -> bool:
    """These are many, and come last."""
    return part.startswith("reads of ")


def _number(lines: Sequence[str]) -> str:
    return lines[0].rpartition(" ")[2] if lines else "0"


def _summary(one: Sequence[str], other: Sequence[str]) -> str:
    facts, now = (len([line for line in lines if not line.startswith("  ")]) for lines in (one, other))
    if not other:
        return "gone"
    if not one:
        return "new"
    if sorted(one) == sorted(other):
        return "in another order"
    return "different" if facts == now else f"{facts} before, {now} now"


def _lines(one: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    for line in difflib.unified_diff(one, other, n=1, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def page(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> str:
    """What is different, pair by pair; empty where nothing is."""
    told: list[str] = []
    for name in sorted({*before, *after}):
        if name not in before:
            told.append(f"{name}: it has no record; make one with --record {name}")
        elif name not in after:
            told.append(f"{name}: there is no such pair any more; its record is to be deleted")
        elif found := differences(before[name], after[name]):
            told += [f"{name}:", *found]
    return "".join(f"{line}\n" for line in told)
