# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is new, gone and changed between two reports."""

from __future__ import annotations

import typing as t
from dataclasses import fields

from ..diagnosis.shown import shown
from ..errors import Failure
from .data import VERSION
from .model import Difference, Since
from .observation import is_time

Raw = t.Mapping[str, t.Any]
_Rows = dict[tuple[str, str], str]

NEW, GONE, CHANGED = CHANGES = ("new", "gone", "changed")
CLUSTER, PROBLEM, WORKLOAD, PHASE, TOKEN, LEFTOVER = KINDS = (
    *("cluster", "problem", "workload", "phase", "token", "leftover"),
)


def compare(before: t.Any, after: Raw) -> Since | None:
    """What differs between two reports as data, of which the earlier one may come from a file.

    Where that has the same observation, it is this report, and what was new of it stays: a run that replaces it changes
    nothing then. What could not be looked at in one of them is no difference but that of its cluster. Raises Failure
    where the earlier one is no report of this version.
    """
    if not isinstance(before, dict) or before.get("version") != VERSION:
        raise Failure(
            f"The earlier report is none of version {VERSION}, so that nothing can be compared with it: write one with "
            "this version of the collection first."
        )
    try:
        if {**before, "since": None} == {**after, "since": None}:
            return _again(before.get("since"))
        old, new = _by_name(before), _by_name(after)
        found = tuple(one for name in sorted({*old, *new}) for one in _of(name, old.get(name), new.get(name)))
        return Since(_time(min(filter(None, (one["observed_at"] for one in old.values())), default="")), found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Failure(
            f"The earlier report is not as this collection writes it ({type(error).__name__}: {error}): write it anew."
        ) from error


def _again(told: Raw | None) -> Since | None:
    """As the file has it, which may be anybody's."""
    if told is None:
        return None
    names = [each.name for each in fields(Difference)]
    rows = [{name: shown(row[name]) for name in names} for row in told["differences"]]
    return Since(_time(told["observed_at"]), tuple(Difference(**row) for row in rows))


def _time(text: str) -> str:
    if text and not is_time(text):
        raise ValueError(f"{shown(text)} is no time")
    return text


def _by_name(report: Raw) -> dict[str, Raw]:
    return {cluster["name"]: cluster for cluster in report["clusters"]}


def _of(name: str, old: Raw | None, new: Raw | None) -> t.Iterator[Difference]:
    yield from _compared(name, CLUSTER, _verdict(old), _verdict(new))
    if old is None or new is None or old["failure"] or new["failure"]:
        return
    for kind, rows in _ROWS.items():
        yield from _compared(name, kind, rows(old), rows(new))


def _compared(cluster: str, kind: str, old: _Rows, new: _Rows) -> t.Iterator[Difference]:
    for key in sorted({*old, *new}):
        before, after = old.get(key, ""), new.get(key, "")
        if key in old and key in new and before == after:
            continue
        change = NEW if key not in old else GONE if key not in new else CHANGED
        # What the earlier file says may be anybody's.
        said = (shown(" ".join(filter(None, key))), shown(before), shown(after))
        yield Difference(shown(cluster), change, kind, *said)


def _verdict(cluster: Raw | None) -> _Rows:
    return {} if cluster is None else {(cluster["name"], ""): cluster["verdict"]}


def _gathered(rows: t.Iterable[Raw], key: t.Callable[[Raw], tuple[str, str]], value: str) -> _Rows:
    """Several may share a key: one code may be told of one object twice, pods of one selector asked each."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row[value])
    return {each: ", ".join(sorted(values)) for each, values in found.items()}


_ROWS: t.Mapping[str, t.Callable[[Raw], _Rows]] = {
    PROBLEM: lambda cluster: _gathered(cluster["problems"], lambda row: (row["code"], row["object"]), "severity"),
    # Whatever its selector: a workload that leaves AAD Pod Identity loses it.
    WORKLOAD: lambda cluster: _gathered(cluster["workloads"], lambda row: (row["label"], ""), "verdict"),
    PHASE: lambda cluster: _gathered(
        (row for row in cluster["movers"] if row["phase"]), lambda row: (row["label"], ""), "phase"
    ),
    # By what stays when a pod is replaced.
    TOKEN: lambda cluster: _gathered(
        cluster["tokens"], lambda row: (row["namespace"], row["selector"] or row["service_account"]), "verdict"
    ),
    LEFTOVER: lambda cluster: _gathered(cluster["leftovers"], lambda row: (row["place"], row["what"]), "state"),
}
