# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a report is made of: results of modules and facts of roles, each with the time of its observation.

The document is ``{"clusters": [{"name": ..., "failure": ..., "sources": {KEY: {"observed_at": ..., "result": ...}}}]}``
with the keys of ``SOURCES``; a source that could not be looked at is ``{KEY: {"failure": ...}}``. All its text may be
anybody's, so that each is made printable before anything else.
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..errors import Failure

Raw = t.Mapping[str, t.Any]

(INVENTORY, DIAGNOSIS, VERIFICATION, INSTALLATIONS, NODES, RULES, CARRIERS, LEFTOVERS, REMOVAL, PLAN, STAGES) = (
    *("inventory", "diagnosis", "verification", "installations", "nodes", "rules"),
    *("carriers", "leftovers", "removal", "plan", "stages"),
)
# Longer than any name or id; a cut command would be another one, and long ones are left out where they are made.
_LONGEST = 10_000
NOTHING_GIVEN = "The report was given nothing of it."
# RFC 3339 in UTC, in full seconds.
_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII)


@dataclass(frozen=True)
class Source:
    """``what``: it tells of. ``needs``: what makes it."""

    key: str
    what: str
    needs: str


SOURCES = (
    Source(INVENTORY, "who gets which identity", "the module pod_identity_info"),
    Source(DIAGNOSIS, "causes of what is wrong", "the playbook diagnose"),
    Source(VERIFICATION, "tokens of pods", "the playbook verify"),
    Source(INSTALLATIONS, "NMI on each node", "the module nmi_info"),
    Source(NODES, "nodes and their scale sets", "the module aks_node_info"),
    Source(RULES, "rules on nodes", "the playbook cleanup_nodes"),
    Source(CARRIERS, "identities on scale sets", "the module vmss_identity_info"),
    Source(LEFTOVERS, "identities that pod identity left", "the playbook leftovers"),
    Source(REMOVAL, "what a removal left", "the playbook uninstall"),
    Source(PLAN, "the way to Workload ID", "the module workload_identity_info"),
    Source(STAGES, "phases of a migration", "the playbook migrate"),
)
_KEYS = tuple(source.key for source in SOURCES)


@dataclass(frozen=True)
class Observed:
    """A cluster. ``results`` and ``times`` by the keys of ``SOURCES``; what is not there was not looked at.

    ``failure``: why it could not be looked at; '' where it could. ``failures``: the same of sources, by their keys.
    """

    name: str
    failure: str
    results: t.Mapping[str, t.Any]
    times: t.Mapping[str, str]
    failures: t.Mapping[str, str]

    @property
    def observed_at(self) -> str:
        """When the oldest of it was looked at; '' where nothing was."""
        return min(self.times.values(), default="")

    def result(self, key: str) -> Raw:
        return t.cast(Raw, self.results.get(key) or {})

    def rows(self, key: str) -> t.Sequence[Raw]:
        """Of a source that is a list."""
        return t.cast("t.Sequence[Raw]", self.results.get(key) or ())


def parse(document: t.Any) -> t.Iterator[Observed]:
    """One after the other, so that nobody holds more than one; raises Failure where it is not such a document."""
    names: set[str] = set()
    for raw in _field(document, "clusters", list, "The observation"):
        found = _cluster(raw)
        if found.name in names:
            raise Failure(f"The observation has the cluster {found.name} twice: give each cluster a name of its own.")
        names.add(found.name)
        yield found


def _cluster(raw: t.Any) -> Observed:
    name = shown(_field(raw, "name", str, "A cluster of the observation"))
    of = f"The observation of the cluster {name}"
    if not name:
        raise Failure("A cluster of the observation has no name: name it.")
    results, times, failures = {}, {}, {}
    sources = raw.get("sources") or {}
    if not isinstance(sources, dict):
        raise Failure(f"{of} has sources that are no dictionary: give each by its key.")
    for key, source in sources.items():
        if key not in _KEYS:
            raise Failure(f"{of} has the source {shown(key)}, which is none: give some of {', '.join(_KEYS)}.")
        if isinstance(source, dict) and source.get("failure"):
            failures[key] = shown(str(source["failure"]), _LONGEST)
            continue
        time = _field(source, "observed_at", str, f"The source {key} of the cluster {name}")
        if not is_time(time):
            raise Failure(
                f"The source {key} of the cluster {name} was observed at {shown(time)}: give the time as in "
                "2026-03-01T12:00:00Z."
            )
        kind = list if key in (VERIFICATION, RULES, STAGES) else dict
        results[key] = printable(_field(source, "result", kind, f"The source {key} of the cluster {name}"))
        times[key] = time
    return Observed(name, shown(raw.get("failure") or "", _LONGEST), results, times, failures)


def is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text))


def _field(raw: t.Any, key: str, kind: type, of: str) -> t.Any:
    found = raw.get(key) if isinstance(raw, dict) else None
    if not isinstance(found, kind):
        named: dict[type, str] = {list: "list", dict: "dictionary", str: "text"}
        raise Failure(f"{of} needs the {named[kind]} {key}: see the documentation of the filter report.")
    return found


def printable(value: t.Any) -> t.Any:
    """The same with every text on one line, without control characters, marks of direction and tokens."""
    if isinstance(value, str):
        return shown(value, _LONGEST)
    if value is None or isinstance(value, int):  # before what is asked of abstract classes, which takes long
        return value
    if isinstance(value, (dict, t.Mapping)):
        return {_key(str(key)): printable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(each) for each in value]
    return value


@functools.lru_cache(maxsize=4096)
def _key(text: str) -> str:
    """Most rows have the same."""
    return shown(text, _LONGEST)
