# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Microsoft.Compute: the identities of scale sets and virtual machines. They are written by PATCH alone."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.azure import arm_id, clusters
from .._domain.azure import attached_identities as attached
from .._domain.azure.attached_identities import Carrier
from .._domain.errors import Failure
from . import identities, managed_clusters, resource_groups, scale_sets, virtual_machines
from .busy_wait import in_turn, is_taken
from .client import Arm, Body
from .errors import Refused, Unreachable

_API = "2023-09-01"
_ABOUT_IDENTITIES = ("LinkedAuthorizationFailed", "FailedIdentityOperation")

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Place:
    """Where to look: a resource group (its id), '' where it is the node resource group of a cluster that is not there.

    ``cluster_id`` is the cluster that was named, '' where none was; ``cluster`` is None where it does not exist.
    """

    group: str
    cluster_id: str
    cluster: Body | None


def place(arm: Arm, options: Options) -> Place:
    name = options["cluster_name"]
    cluster_id = arm_id.resource(arm.subscription, options["resource_group"], clusters.KIND, name) if name else ""
    cluster = managed_clusters.get_by_id(arm, cluster_id) if cluster_id else None
    if options["resource_id"]:
        attached.require_carrier(options["resource_id"])
        group = arm_id.group_of(options["resource_id"])
    elif options["node_resource_group"]:
        group = arm_id.resource_group(arm.subscription, options["node_resource_group"])
    else:
        group = clusters.node_group(cluster) if cluster else ""
    return Place(group, cluster_id, cluster)


def carriers(arm: Arm, options: Options, where: Place) -> tuple[Carrier, ...]:
    """What the options mean and is there.

    One resource, or the scale sets and single machines of the group; and what nodes in groups that are named are on.
    """
    bodies: list[Body] = []
    if options["resource_id"]:
        body = _read(arm, options["resource_id"])
        bodies = [body] if body else []
    elif where.group:
        machines = virtual_machines.list_group(arm, where.group)
        bodies = [*scale_sets.list_group(arm, where.group), *(one for one in machines if not attached.set_of(one))]
        if not bodies and where.cluster and arm_id.same(clusters.node_group(where.cluster), where.group):
            attached.require_listed(where.cluster, where.group)
    known = {arm_id.normal(str(body["id"])) for body in bodies}
    within, _elsewhere = _nodes(arm, options, where)
    for each in within:
        listed = not options["resource_id"] and arm_id.same(arm_id.group_of(each), where.group)
        body = None if listed else _of_node(arm, each)
        if body and arm_id.normal(str(body["id"])) not in known:
            known.add(arm_id.normal(str(body["id"])))
            bodies.append(body)
    return tuple(each for each in map(Carrier.parse, bodies) if not each.going)


def elsewhere(arm: Arm, options: Options, where: Place) -> tuple[str, ...]:
    """A sentence for each scale set or machine that a node names, and that is left alone for where it lies."""
    _within, outside = _nodes(arm, options, where)
    return tuple(attached.left_alone(each) for each in outside)


def _nodes(arm: Arm, options: Options, where: Place) -> tuple[list[str], list[str]]:
    """Ids of what nodes are on: in the groups that may be touched, and elsewhere.

    A node's providerID is written by whoever registers it, so that it chooses nothing outside of what is proved or
    named.
    """
    groups = {arm_id.normal(where.group)}
    for each in options["further_resource_groups"]:
        groups.add(arm_id.normal(each if each.startswith("/") else arm_id.resource_group(arm.subscription, each)))
    within: list[str] = []
    outside: list[str] = []
    for each in attached.of_nodes(options["provider_ids"]):
        (within if arm_id.normal(arm_id.group_of(each)) in groups else outside).append(each)
    return within, outside


def _of_node(arm: Arm, resource: str) -> Body | None:
    """What a node is on, given by its id; an instance of a flexible scale set has the identities of that."""
    body = _read(arm, resource)
    flexible = attached.set_of(body or {})
    return scale_sets.get(arm, flexible) if flexible else body


def settled(arm: Arm, carrier: Carrier) -> Carrier:
    """The carrier when what goes on there has ended."""
    return carrier if carrier.settled else _in_turn(arm, f"look at {carrier.text}", lambda: _free(arm, carrier))


def owner(arm: Arm, where: Place, found: t.Iterable[Carrier]) -> tuple[Body | None, str]:
    """The cluster whose nodes those ``found`` are; where that cannot be told, None and the reason.

    Those in other groups than the one that was asked for must at least not be in that of another cluster.
    """
    try:
        if where.cluster and arm_id.same(clusters.node_group(where.cluster), where.group):
            cluster: Body | None = where.cluster
            unknown = ""
        else:
            cluster, unknown = _managing(arm, where)
        groups = {arm_id.normal(arm_id.group_of(each.id)) for each in found} - {arm_id.normal(where.group)}
        for group in sorted(groups) if cluster else ():
            _managing(arm, Place(group, str((cluster or {})["id"]), cluster))
        return cluster, unknown
    except Refused as refused:
        if not refused.forbids():
            raise
        return None, refused.sentence.rstrip(".")


def _managing(arm: Arm, where: Place) -> tuple[Body | None, str]:
    found = resource_groups.managed_by(arm, where.group)
    is_cluster = bool(found) and arm_id.parse(found).type.lower() == clusters.KIND.lower()
    if where.cluster_id and is_cluster and not arm_id.same(found, where.cluster_id):
        raise Failure(
            f"The resource group {arm_id.last_segment(where.group)} belongs to the cluster {found}, not to "
            f"{where.cluster_id}; correct resource_group and cluster_name, or leave them out."
        )
    if where.cluster:  # a resource in a group of somebody else, such as a node pool that was put there
        return where.cluster, ""
    wanted = where.cluster_id or (found if is_cluster else "")
    if not wanted:
        return None, f"the resource group {arm_id.last_segment(where.group)} does not say which cluster it belongs to"
    cluster = managed_clusters.get_by_id(arm, wanted)
    return cluster, "" if cluster else f"there is no cluster {wanted}"


def change(
    arm: Arm, carrier: Carrier, ids: t.Sequence[str], *, attach: bool, doing: str, alone: bool = False
) -> Carrier:
    """Attach or detach when nothing else goes on there. Others may write as well, so it is read before and after.

    ``alone``: where others do, or it is not any more as in ``carrier``, that is a Failure.
    """
    lost = 0

    def attempt() -> Carrier | None:
        nonlocal lost
        current = _free(arm, carrier)
        if alone and not lost:
            attached.require_quiet(doing, carrier, current)
        if current is None or not attached.outstanding(current, ids, attach=attach):
            return current
        body = attached.patch(current, ids, attach=attach)
        try:
            arm.follow(arm.send("PATCH", carrier.id, _API, doing=doing, body=body), doing=doing)
        except Unreachable:
            lost += 1
            if lost > 1:
                raise
            return None  # whether it was done is seen at the next look
        except Refused as refused:
            if alone and is_taken(refused):
                raise Failure(attached.stopped(doing), error=refused.error) from None
            _explain(arm, doing, current, refused)
            raise
        found = _get(arm, carrier.id)
        attached.compare(attached.changed(current, ids, attach=attach, unknown=""), found, attach=attach)
        return found

    return _in_turn(arm, doing, attempt)


def holders(arm: Arm, identity: str) -> list[str]:
    """Ids of the resources that an identity, given by its id, is attached to.

    Azure's list of them lags, so what it says of scale sets and machines is looked up.
    """
    found: dict[str, str] = {}
    for each in identities.carriers(arm, identity):
        machine = attached.of_machine(each)
        body = _read(arm, machine) if machine else None
        if not machine or body and Carrier.parse(body).carried(identity):
            found[arm_id.normal(machine or each)] = machine or each
    return list(found.values())


def client_ids(arm: Arm, ids: t.Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Client ids of the identities that exist in the groups of ``ids``, by normal id; one list for each group.

    And why a group (normal id) could not be read. That a list lacks one of ``ids`` proves nothing: its own answer does.
    """
    found: dict[str, str] = {}
    unread: dict[str, str] = {}
    asked: dict[str, list[str]] = {}
    for each in dict.fromkeys(map(arm_id.normal, ids)):
        asked.setdefault(arm_id.normal(arm_id.group_of(each)), []).append(each)
    for group, several in asked.items():
        try:
            bodies = identities.list_group(arm, group)
            listed = {arm_id.normal(body["id"]) for body in bodies}
            alone = (identities.get_by_id(arm, each) for each in several if each not in listed)
            bodies += [body for body in alone if body is not None]
        except Failure as failure:
            unread[group] = failure.sentence
            continue
        for body in bodies:
            found[arm_id.normal(body["id"])] = str((body.get("properties") or {}).get("clientId") or "")
    return found, unread


def _explain(arm: Arm, doing: str, carrier: Carrier, refused: Refused) -> None:
    """Raises a better Failure where identities that the refusal names are gone; Azure calls that a missing right."""
    named = attached.named_in(refused.service.message) if refused.service.code in _ABOUT_IDENTITIES else ()
    known, unread = client_ids(arm, named)
    sentence = "" if unread else attached.explain_dead(doing, carrier, named, known)
    if sentence:
        raise Failure(sentence, error=refused.error) from refused


def _in_turn(arm: Arm, doing: str, attempt: t.Callable[[], Carrier | None]) -> Carrier:
    return in_turn(arm, attempt, doing, other="another operation", timeout=arm.patience.timeout)


def _free(arm: Arm, carrier: Carrier) -> Carrier | None:
    current = _get(arm, carrier.id)
    return current if current.settled else None


def _get(arm: Arm, resource: str) -> Carrier:
    body = _read(arm, resource)
    if body is None:
        raise Failure(f"{resource} does not exist any more; run again.")
    return Carrier.parse(body)


def _read(arm: Arm, resource: str) -> Body | None:
    is_machine = arm_id.parse(resource).type.lower().endswith("/virtualmachines")
    return virtual_machines.get(arm, resource) if is_machine else scale_sets.get(arm, resource)
