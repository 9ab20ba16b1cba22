# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The table of causes: each is one function that looks at what was observed, marked with what a person has to know.

The certainty of a cause is what the evidence allows:

- ``proved``: the present state of an object, of Azure, or an answer that was given now is the cause itself. An answer
  proves what it says (that NMI does not know the pod, that Entra refuses a credential), and, where a request got just
  what a present state leads to, that this state is in effect. What it only hints at (a clock that is off, by an
  assertion past its time) is likely.
- ``likely``: a log or an event names the cause, and nothing that was observed contradicts it. Logs and events hold
  what is past, and text of tenants, so that they alone prove nothing.
- ``possible``: the observed state would lead to the symptom, but nothing shows that it did; or an event alone names a
  cause that concerns every pod.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

from .. import codes

if t.TYPE_CHECKING:
    from .observed import Observed

ERROR, WARNING, INFO = SEVERITIES = ("error", "warning", "info")
PROVED, LIKELY, POSSIBLE = CERTAINTIES = ("proved", "likely", "possible")
# What causes look at; the page of codes says it.
OBJECTS, EVENTS, LOGS, NODES, AZURE, PROBE = SOURCES = ("objects", "events", "logs", "nodes", "azure", "probe")
# What no cause looks at, and a verdict rests on all the same: the rules that NMI leaves on a node.
RULES = "rules"
# What is seen where MIC assigns nothing, and where it does not finish: NMI waits 80 seconds for an assignment, 100 for
# its end.
NO_IDENTITY = "New pods get no identity: NMI answers 404 after 80 seconds."
PENDING = "New pods get no identity: NMI answers 404 after 80 or 100 seconds, and assignments stay Created."


@dataclass(frozen=True)
class Evidence:
    """``source``: an object, or whose log it is. ``time``: as the source has it, in RFC 3339; may be empty."""

    source: str
    text: str
    time: str = ""


@dataclass(frozen=True)
class Suspicion:
    """What a function of the table finds.

    ``object``: label of what has to be changed. ``concerns``: labels of what suffers from it (workloads, pods, their
    identities, AzureAssignedIdentities), None for every pod of the cluster. ``remedy`` and ``command`` where they are
    other than those of the table; ``command`` can be pasted into a shell, and is empty where a part of it is not known.
    ``references``: beside those of the table.
    """

    object: str
    symptom: str
    cause: str
    evidence: tuple[Evidence, ...]
    certainty: str = PROVED
    concerns: frozenset[str] | None = frozenset()
    namespaces: frozenset[str] = frozenset()
    remedy: str = ""
    command: str = ""
    references: tuple[str, ...] = ()


Suspicions = t.Iterator[Suspicion]


Look = t.Callable[["Observed"], Suspicions]


@dataclass(frozen=True)
class Entry(codes.Entry):
    """``sources``: of ``SOURCES``, what it needs. ``symptom``: it tells what is seen rather than why, so that a cause
    that concerns the same object comes before it.
    """

    severity: str
    sources: tuple[str, ...]
    symptom: bool
    look: Look = field(repr=False)


class Table(codes.Table[Entry]):
    """The causes of one file, in its order."""

    def cause(
        self,
        severity: str,
        remedy: str,
        *,
        told_by: str,
        sources: t.Sequence[str] = (OBJECTS,),
        references: t.Sequence[str] = (),
        symptom: bool = False,
    ) -> t.Callable[[Look], Look]:
        """Puts a function into the table."""
        return self._marking(
            functools.partial(
                Entry,
                told_by=told_by,
                remedy=remedy,
                references=tuple(references),
                severity=severity,
                sources=tuple(sources),
                symptom=symptom,
            )
        )
