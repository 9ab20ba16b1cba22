# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is new, gone and changed between two reports."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..errors import Failure
from .data import VERSION

Raw = t.Mapping[str, t.Any]
_Rows = dict[tuple[str, str], str]

NEW, GONE, CHANGED = CHANGES = ("new", "gone", "changed")
CLUSTER, PROBLEM, WORKLOAD, PHASE, TOKEN, LEFTOVER = KINDS = (
    *("cluster", "problem", "workload", "phase", "token", "leftover"),
)


@dataclass(frozen=True)
class Difference:
    """``before`` and ``after``: severities of problems, verdicts or phases; '' where there is none."""

    cluster: str
    change: str
    kind: str
    what: str
    before: str
    after: str


def compare(before: t.Any, after: Raw) -> tuple[Difference, ...]:
    """Of two reports as data; the earlier one may come from a file.

    What could not be looked at in one of them is no difference but that of its cluster. Raises Failure where the
    earlier one is no report of this version.
    """
    if not isinstance(before, dict) or before.get("version") != VERSION:
        raise Failure(
            f"The earlier report is none of version {VERSION}, so that nothing can be compared with it: write one with "
            "this version of the collection first."
        )
    try:
        old, new = _by_name(before), _by_name(after)
        return tuple(one for name in sorted({*old, *new}) for one in _of(name, old.get(name), new.get(name)))
    except (AttributeError, KeyError, TypeError) as error:
        raise Failure(
            f"The earlier report is not as this collection writes it ({type(error).__name__}: {error}): write it anew."
        ) from error


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
    WORKLOAD: lambda cluster: _gathered(cluster["workloads"], lambda row: (row["label"], row["selector"]), "verdict"),
    PHASE: lambda cluster: _gathered(
        (row for row in cluster["movers"] if row["phase"]), lambda row: (row["label"], ""), "phase"
    ),
    # By what stays when a pod is replaced.
    TOKEN: lambda cluster: _gathered(
        cluster["tokens"], lambda row: (row["namespace"], row["selector"] or row["service_account"]), "verdict"
    ),
    LEFTOVER: lambda cluster: _gathered(cluster["leftovers"], lambda row: (row["place"], row["what"]), "state"),
}
