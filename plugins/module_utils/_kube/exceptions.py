# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""AzurePodIdentityExceptions in a cluster, and the pods around them."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace

from .._domain.bindings import exceptions
from .._domain.kubernetes import workloads
from .._domain.matching.matching import Pod
from .client import Client
from .errors import ApiFailure
from .kinds import AZURE_POD_IDENTITY_EXCEPTION, POD, TEMPLATES, Kind, Object
from .pairs import list_places, unless_forbidden


def observe(
    client: Client, desired_list: t.Sequence[exceptions.Desired], rules: exceptions.Rules
) -> exceptions.Observed | None:
    """What the cluster holds around the exceptions; None where it does not know them at all."""
    namespaces = rules.places(desired_list)
    try:
        found = _list(client, namespaces, AZURE_POD_IDENTITY_EXCEPTION)
    except ApiFailure as failure:
        if failure.kind_missing:
            return None
        raise
    pods = unless_forbidden(functools.partial(_list, client, namespaces, POD))
    seen = exceptions.Observed(found, None if pods is None else tuple(map(Pod.parse, pods)))
    going = exceptions.leaving(desired_list, seen, rules).values()
    return replace(seen, templates=_templates(client, namespaces) if any(not one.allowed for one in going) else ())


def _list(client: Client, namespaces: t.AbstractSet[str], kind: Kind) -> tuple[Object, ...]:
    if len(namespaces) == 1:
        return client.list_all(kind, next(iter(namespaces)))
    return list_places(client, kind, namespaces)


def _templates(client: Client, namespaces: t.AbstractSet[str]) -> tuple[exceptions.Template, ...] | None:
    found: list[exceptions.Template] = []
    for kind in TEMPLATES:
        listed = unless_forbidden(functools.partial(_list, client, namespaces, kind))
        if listed is None:
            return None
        found += [exceptions.Template.parse(kind.name, raw) for raw in workloads.present(kind.name, listed)]
    return tuple(found)
