# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Custom resources of AAD Pod Identity are seen, one list per kind, and put back."""

from __future__ import annotations

import typing as t

from .._domain.needs import KubernetesNeed
from .._domain.removal.restoration import Document, Object, Place
from . import needs
from .client import Client
from .errors import ApiFailure
from .kinds import AZURE_IDENTITY, AZURE_IDENTITY_BINDING, AZURE_POD_IDENTITY_EXCEPTION, NAMESPACE, Kind

_KINDS: t.Mapping[str, Kind] = {
    kind.name: kind for kind in (AZURE_POD_IDENTITY_EXCEPTION, AZURE_IDENTITY, AZURE_IDENTITY_BINDING)
}


def observe(client: Client, kinds: t.AbstractSet[str]) -> dict[str, dict[Place, Object]] | None:
    """What there is of these kinds; None where the cluster does not know one of them."""
    found: dict[str, dict[Place, Object]] = {}
    for name in sorted(kinds):
        try:
            listed = client.list_all(_KINDS[name])
        except ApiFailure as failure:
            if failure.kind_missing:
                return None
            raise
        found[name] = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in listed}
    return found


def namespaces(client: Client) -> frozenset[str]:
    return frozenset(str(each["metadata"]["name"]) for each in client.list_all(NAMESPACE))


def need(document: Document) -> KubernetesNeed:
    return needs.need(_KINDS[document.kind], document.wanted["metadata"]["namespace"], "create")


def put_back(client: Client, document: Document, *, dry_run: bool = False) -> None:
    """Create it as it was; what has come in the meantime stays as it is."""
    try:
        client.create(_KINDS[document.kind], document.wanted["metadata"]["namespace"], document.wanted, dry_run=dry_run)
    except ApiFailure as failure:
        if not failure.conflict:
            raise
