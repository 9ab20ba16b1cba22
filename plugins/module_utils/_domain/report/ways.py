# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The ways of workloads to their tokens, as a graph: by AAD Pod Identity and by Workload ID."""

from __future__ import annotations

import functools
import typing as t

from ..azure import arm_id
from ..matching.matching import USER_ASSIGNED
from ..tokens.token import OK
from .graph import (
    ACCOUNT,
    CREDENTIAL,
    IDENTITY,
    MISSING,
    PRESENT,
    SCALE_SET,
    SELECTOR,
    UNKNOWN,
    WORKLOAD,
    WRONG,
    Edge,
    Graph,
    Node,
)
from .observation import CARRIERS, INVENTORY, LEFTOVERS, NODES, PLAN, VERIFICATION, Observed, Raw

_WORKLOAD_ID = "workload_identity"
BY_WORKLOAD_ID = (_WORKLOAD_ID, "both")
# States of federated credentials as workload_identity_info has them.
_STATES = {"exists": PRESENT, "missing": MISSING, "misspelled": WRONG, "unknown": UNKNOWN}


def find(observed: Observed) -> Graph:
    edges = list(_pod_identity(observed))
    edges += _workload_id(observed)
    identities = {edge.end for edge in edges if edge.end.kind == IDENTITY}
    for row in observed.result(INVENTORY).get("identities", ()):
        identities.add(identity(row))
    edges += _on_scale_sets(observed, {node.key: node for node in sorted(identities)})
    alone = (workload(row) for row in observed.result(INVENTORY).get("workloads", ()) if row["selector"])
    return Graph.of((*identities, *alone), edges)


def label(row: Raw) -> str:
    """Of a workload, or of a template."""
    return f"{row['kind']} {row['namespace']}/{row['name']}"


def workload(row: Raw) -> Node:
    """Owners of kinds that are not known may have several rows, one for each selector."""
    return Node(WORKLOAD, f"{label(row)} {row['selector']}", f"{row['kind']} {row['name']}", row["namespace"])


def identity(row: Raw) -> Node:
    """A managed identity, by whatever AzureIdentities, or one of another type, of that AzureIdentity alone.

    ``row``: with resource_id, type, and the name of an AzureIdentity, beside its namespace or with it.
    """
    key = arm_id.normal(row["resource_id"])
    if row["type"] == USER_ASSIGNED and arm_id.is_user_assigned_identity(key):
        return _managed(key)
    namespace, _slash, name = "/".join(filter(None, (row.get("namespace"), row["name"]))).partition("/")
    return Node(IDENTITY, f"{namespace}/{name}", name, namespace)


@functools.lru_cache(maxsize=4096)
def _managed(key: str) -> Node:
    found = arm_id.parse(key)
    return Node(IDENTITY, key, found.name, found.resource_group)


def _pod_identity(observed: Observed) -> t.Iterator[Edge]:
    for row in observed.result(INVENTORY).get("workloads", ()):
        label = Node(SELECTOR, f"{row['namespace']}/{row['selector']}", row["selector"], row["namespace"])
        if row["selector"] or row["identities"]:
            yield Edge(workload(row), label)
        for each in row["identities"]:
            yield Edge(label, identity(each))


def _workload_id(observed: Observed) -> t.Iterator[Edge]:
    """Of workloads that use it, or whose credentials are there already."""
    for row in observed.result(PLAN).get("templates", ()):
        account = Node(
            ACCOUNT, f"{row['namespace']}/{row['new_service_account']}", row["new_service_account"], row["namespace"]
        )
        if has_left(row):
            yield Edge(workload(row), account)
            if row["client_id"]:
                yield _by_client_id(account, row["client_id"], observed)
        for each in row["credentials"]:
            uses, state = row["uses"] in BY_WORKLOAD_ID, _STATES.get(each["state"], UNKNOWN)
            key = arm_id.normal(each["identity_id"])
            if not arm_id.is_user_assigned_identity(key) or not (uses or state in (PRESENT, WRONG)):
                continue
            trusted = _managed(key)
            name = each["credential"] or each["subject"]
            yield Edge(workload(row), account, PRESENT if uses else MISSING)
            yield Edge(account, trusted, state)
            yield Edge(trusted, Node(CREDENTIAL, f"{key} {each['subject']}", name), state)


def has_left(row: Raw) -> bool:
    """Of a template: whether no object of AAD Pod Identity says any more which identity it gets."""
    return bool(row["uses"] == _WORKLOAD_ID and not row["selector"] and not row["credentials"])


def _by_client_id(account: Node, client_id: str, observed: Observed) -> Edge:
    """To the identity that a verified token was of; without one nobody knows more than the client id."""
    for token in observed.rows(VERIFICATION):
        claims = token.get("claims") or {}
        of = (token["namespace"], token.get("service_account"), claims.get("appid"))
        key = arm_id.normal(str(claims.get("xms_mirid", "")))
        if token["verdict"] == OK and of == (account.where, account.name, client_id):
            if arm_id.is_user_assigned_identity(key):
                return Edge(account, _managed(key))
    return Edge(account, Node(IDENTITY, client_id, client_id), UNKNOWN)


def _on_scale_sets(observed: Observed, identities: t.Mapping[str, Node]) -> t.Iterator[Edge]:
    carried = carriers(observed)
    wanted = _wanted(observed)
    for key, node in identities.items():
        there = (carried or {}).get(key, {})
        for scale_set, name in sorted(there.items()):
            yield Edge(node, Node(SCALE_SET, scale_set, name))
        for scale_set, name in sorted(wanted.get(key, {}).items()):
            if scale_set not in there:
                yield Edge(node, Node(SCALE_SET, scale_set, name), UNKNOWN if carried is None else MISSING)


def carriers(observed: Observed) -> dict[str, dict[str, str]] | None:
    """By identity, the scale sets that carry it, by id with their names; None where nobody looked."""
    found: dict[str, dict[str, str]] = {}
    if CARRIERS in observed.results:
        for place in observed.result(CARRIERS).get("resources", ()):
            for each in place["identities"]:
                found.setdefault(arm_id.normal(each["id"]), {})[arm_id.normal(place["id"])] = place["name"]
        return found
    if LEFTOVERS in observed.results:
        for row in observed.result(LEFTOVERS).get("identities", ()):
            if row["outcome"] != "detached":
                found.setdefault(arm_id.normal(row["id"]), {})[arm_id.normal(row["resource_id"])] = row["scale_set"]
        return found
    return None


def _wanted(observed: Observed) -> dict[str, dict[str, str]]:
    """By identity, the scale sets of the nodes for whose pods MIC has assigned it."""
    homes = {
        row["name"]: (arm_id.normal(row["scale_set"]), row["scale_set_name"])
        for row in observed.result(NODES).get("nodes", ())
        if row["scale_set"]
    }
    found: dict[str, dict[str, str]] = {}
    for row in observed.result(INVENTORY).get("assigned", ()):
        if row["type"] == USER_ASSIGNED and row["node"] in homes:
            scale_set, name = homes[row["node"]]
            found.setdefault(arm_id.normal(row["resource_id"]), {})[scale_set] = name
    return found
