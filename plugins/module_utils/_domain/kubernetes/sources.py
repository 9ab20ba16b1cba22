# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Workloads with the objects that they are made from, and their living pods."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..matching.matching import Raw, pod_template
from .workloads import TEMPLATES, Workload, of_object


@dataclass(frozen=True)
class Source:
    """A workload with what it is made from: ``raw`` and its ``template``, a pod itself where nobody known makes it.

    ``pods``: those that live.
    """

    workload: Workload
    raw: Raw
    template: Raw
    pods: tuple[Raw, ...]

    @property
    def label(self) -> str:
        return self.workload.label

    @property
    def made_by_hand(self) -> bool:
        """Whether nobody is known who makes its pods, so that how they were before a webhook is not known."""
        return self.raw is self.template


def find(workloads: t.Iterable[Workload], objects: t.Mapping[str, t.Sequence[Raw]]) -> list[Source]:
    """Those that have a template or a living pod."""
    made = {(kind, *place(raw)): raw for kind in TEMPLATES for raw in objects.get(kind, ())}
    pods = {place(raw): raw for raw in objects.get("Pod", ())}
    found = []
    for one in workloads:
        places = ((each.namespace, each.name) for each in one.pods if each.lives)
        living = tuple(pods[each] for each in places if each in pods)
        raw = made.get((one.kind, one.pod.namespace, one.name))
        if raw is not None:
            found.append(Source(one, raw, pod_template(raw), living))
        elif living:
            found.append(Source(one, living[0], living[0], living))
    return found


def of_template(kind: str, raw: Raw) -> Source:
    """Of one object alone, without its pods."""
    return Source(of_object(kind, raw), raw, pod_template(raw), ())


def place(raw: Raw) -> tuple[str, str]:
    """Namespace and name, of which files may leave out the first."""
    metadata = raw["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
