# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Everything that the verdict ``healthy`` over a cluster rests on: without one of it nothing is known to be all right.

What of it was not looked at is a gap, told in words. A ground without a row in ``GROUNDS`` counts for nothing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis import cause
from ..names import listed
from ..nodes.node_rules import ENDED_WELL, IN_USE
from ..tokens.token import NOT_VERIFIED, OK
from . import ways
from .observation import (
    DIAGNOSIS,
    INSTALLATIONS,
    INVENTORY,
    NODES,
    PLAN,
    RULES,
    SOURCES,
    VERIFICATION,
    Observed,
    Raw,
)

_SOURCES = {source.key: source for source in SOURCES}
# On these NMI never runs, so that it has left no rules there.
_VIRTUAL = "virtual-kubelet"
# What a diagnosis may not have looked at, and the source that has.
_LOOKED_AT_BY = {cause.PROBE: VERIFICATION, cause.RULES: RULES}


@dataclass(frozen=True)
class Ground:
    """``gaps``: what of the source ``key`` was not looked at."""

    key: str
    gaps: t.Callable[[Observed], t.Iterable[str]]

    def told(self, observed: Observed) -> str:
        """The gaps of it with what fills them; '' where there is none."""
        gaps = list(dict.fromkeys(self.gaps(observed)))
        return f"{listed(gaps)} ({_SOURCES[self.key].needs})" if gaps else ""


def gaps(observed: Observed) -> tuple[str, ...]:
    """Of all grounds, in their order; nothing where all was looked at, and something proved healthy."""
    return tuple(filter(None, (ground.told(observed) for ground in GROUNDS)))


def dead_rules(observed: Observed) -> tuple[str, ...]:
    """Names of the nodes on which a clean-up found rules that it left, and where no NMI serves."""
    serving = _serving(observed)
    left = (row for row in observed.rows(RULES) if row.get("found") and row["outcome"] not in (*ENDED_WELL, IN_USE))
    return tuple(row["node"] for row in left if row["node"] not in serving)


def is_of(token: Raw, row: Raw) -> bool:
    """Whether the pods of a workload get what was verified: by their selector, without one by their service account.

    Of what nobody has asked neither is told.
    """
    if token["namespace"] != row["namespace"]:
        return False
    if token.get("selector"):
        return bool(token["selector"] == row["selector"])
    account = token.get("service_account")
    return bool(account) and not row["selector"] and bool(account == row["service_account"])


def unread_by_diagnosis(observed: Observed) -> t.Iterator[Raw]:
    """Rows of what the diagnosis did not look at, and no other source either."""
    for row in observed.result(DIAGNOSIS).get("unread", ()):
        if _LOOKED_AT_BY.get(row["source"]) not in observed.results:
            yield row


def _read(key: str) -> t.Callable[[Observed], t.Iterable[str]]:
    """A source that is there, whatever is in it."""
    return lambda observed: () if key in observed.results else (_SOURCES[key].what,)


def _diagnosed(observed: Observed) -> t.Iterator[str]:
    yield from _read(DIAGNOSIS)(observed)
    yield from (str(row["what"]) for row in unread_by_diagnosis(observed))


def _nmi_seen(observed: Observed) -> t.Iterator[str]:
    yield from _read(INSTALLATIONS)(observed)
    if observed.result(INSTALLATIONS).get("unread"):
        yield "who has the rights of NMI"


def _verified(observed: Observed) -> t.Iterator[str]:
    """At least one token is right, and of each workload that gets an identity there is one."""
    rows = observed.rows(VERIFICATION)
    if not any(row["verdict"] == OK for row in rows):
        yield _SOURCES[VERIFICATION].what
        return
    for row in rows:
        if row["verdict"] == NOT_VERIFIED:
            yield f"the token of {row['namespace']}/{row['pod'] or row.get('selector', '')}"
    for workload in observed.result(INVENTORY).get("workloads", ()):
        if workload["identities"] and not any(is_of(row, workload) for row in rows):
            yield f"the token of {ways.label(workload)}"


def _serving(observed: Observed) -> frozenset[str]:
    """Nodes where NMI says that it serves: the rules there are its own."""
    seen = [(row["name"], row.get("nmi_state")) for row in observed.result(NODES).get("nodes", ())]
    for installation in observed.result(INSTALLATIONS).get("installations", ()):
        seen += [(row["node"], row["state"]) for row in installation["nodes"]]
    return frozenset(name for name, state in seen if state == "active")


def _nodes_seen(observed: Observed) -> t.Iterator[str]:
    yield from _read(NODES)(observed)
    if NODES in observed.results and not observed.result(NODES)["nodes"]:
        yield "the nodes, of which none was told"


def _rules_seen(observed: Observed) -> t.Iterator[str]:
    """Rules of an NMI that is gone may be on each node where none serves."""
    serving = _serving(observed)
    proved = {row["node"] for row in observed.rows(RULES) if row["outcome"] in (*ENDED_WELL, IN_USE)}
    for row in observed.result(NODES).get("nodes", ()):
        never = row.get("os", "linux") != "linux" or (row.get("labels") or {}).get("type") == _VIRTUAL
        if not never and row["name"] not in serving | proved:
            yield f"the rules on node {row['name']}"


GROUNDS = (
    Ground(INVENTORY, _read(INVENTORY)),
    Ground(DIAGNOSIS, _diagnosed),
    Ground(VERIFICATION, _verified),
    Ground(INSTALLATIONS, _nmi_seen),
    Ground(NODES, _nodes_seen),
    Ground(RULES, _rules_seen),
    Ground(PLAN, _read(PLAN)),
)
