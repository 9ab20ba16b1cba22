# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Identities on scale sets and virtual machines: what a PATCH must say, what it must lead to, and what is dead."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from .. import names
from ..change import Change, Verb
from ..errors import Failure
from . import arm_id, identities, long_running
from .protected_identities import Protection

Body = t.Mapping[str, t.Any]

# What ARM takes in one request.
LIMIT = 150

SCALE_SET, _MACHINE_TYPE = "Microsoft.Compute/virtualMachineScaleSets", "Microsoft.Compute/virtualMachines"
INSTANCE = f"{SCALE_SET}/virtualMachines"
_TYPES = {each.lower(): each for each in (SCALE_SET, _MACHINE_TYPE)}
_POOL_OF_SETS = "virtualmachinescalesets"  # the type of a node pool
_KINDS = {SCALE_SET: "scale set", _MACHINE_TYPE: "virtual machine"}
# A scale set or a machine, or what is in one.
_MACHINE = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.compute"
    r"/(?:virtualmachinescalesets|virtualmachines)/[^/]+",
    re.I,
)
_IN_TEXT = re.compile(
    r"/subscriptions/[^/\s,']+/resourcegroups/[^/\s,']+/providers/microsoft\.managedidentity"
    r"/userassignedidentities/[\w-]+",
    re.I,
)


@dataclass(frozen=True)
class Attached:
    """One user-assigned identity as its carrier shows it; without a client id it is new, or dead."""

    id: str
    client_id: str = ""
    principal_id: str = ""


@dataclass(frozen=True)
class Carrier:
    """A scale set, or a virtual machine. ``principal_id`` is that of its own identity, '' where it has none."""

    id: str
    state: str
    system: bool
    principal_id: str
    identities: tuple[Attached, ...]

    @classmethod
    def parse(cls, body: Body) -> Carrier:
        identity = body.get("identity") or {}
        carried = identity.get("userAssignedIdentities") or {}
        return cls(
            id=str(body["id"]),
            state=str((body.get("properties") or {}).get("provisioningState") or "Succeeded"),
            system="systemassigned" in _kinds(identity),
            principal_id=str(identity.get("principalId") or ""),
            identities=tuple(
                Attached(key, str((value or {}).get("clientId") or ""), str((value or {}).get("principalId") or ""))
                for key, value in sorted(carried.items(), key=lambda item: arm_id.normal(item[0]))
            ),
        )

    @property
    def name(self) -> str:
        return arm_id.last_segment(self.id)

    @property
    def type(self) -> str:
        """Its resource type, in the spelling of ARM's documentation."""
        return _TYPES[arm_id.parse(self.id).type.lower()]

    @property
    def kind(self) -> str:
        return _KINDS[self.type]

    @property
    def text(self) -> str:
        return f"the {self.kind} {self.name}"

    @property
    def settled(self) -> bool:
        return long_running.ended(self.state)

    @property
    def going(self) -> bool:
        return self.state.lower() == "deleting"

    def carried(self, identity: str) -> Attached | None:
        return next((each for each in self.identities if arm_id.same(each.id, identity)), None)


def _kinds(identity: Body) -> list[str]:
    return [part.strip().lower() for part in str(identity.get("type") or "").split(",")]


def require_carrier(text: str) -> None:
    kind = arm_id.parse(text).type.lower()
    if kind == INSTANCE.lower():
        raise Failure(f"{text} is an instance, which has the identities of its scale set; give the id of that.")
    if kind not in _TYPES:
        raise Failure(f"{text} is neither a scale set nor a virtual machine; give the resource id of one.")


def set_of(machine: Body) -> str:
    """Id of the scale set that a virtual machine is in, '' for none; a flexible one lists its instances as machines."""
    return str(((machine.get("properties") or {}).get("virtualMachineScaleSet") or {}).get("id") or "")


def of_machine(resource: str) -> str:
    """Id of the scale set that an instance is in, or of a scale set or machine itself; '' for other resources."""
    match = _MACHINE.match(resource)
    return match.group() if match else ""


def of_node(provider_id: str) -> str:
    """Id of the scale set or machine that a node is on, by its provider id; '' where that is not in Azure."""
    return of_machine(provider_id.strip().partition("azure://")[2])


def of_nodes(provider_ids: t.Iterable[str]) -> tuple[str, ...]:
    """Ids of the scale sets and machines that nodes are on, once each."""
    found = {arm_id.normal(each): each for each in map(of_node, provider_ids) if each}
    return tuple(found.values())


def require_listed(cluster: Body, group: str) -> None:
    """Raises Failure where a cluster whose nodes are on scale sets has none by the list of its node resource group."""
    pools = (cluster.get("properties") or {}).get("agentPoolProfiles") or ()
    on_sets = [str(each.get("name")) for each in pools if str(each.get("type") or "").lower() == _POOL_OF_SETS]
    if on_sets:
        raise Failure(
            f"Azure lists no scale set in the resource group {arm_id.last_segment(group)}, though the cluster "
            f"{cluster.get('name')} has the node pools {names.listed(on_sets)} there, so it cannot be told what "
            "they carry; look who answers for Azure here, such as a proxy, and run again."
        )


def left_alone(resource: str) -> str:
    """Why what a node is on, given by its id, is not touched."""
    group = arm_id.last_segment(arm_id.group_of(resource))
    return (
        f"{resource}, which the providerID of a node names, was left alone: it does not lie in the node resource "
        f"group of the cluster; if nodes of it lie in the resource group {group}, name that in further_resource_groups."
    )


def wanted(ids: t.Iterable[str]) -> tuple[str, ...]:
    """The ids, each once whatever its casing; raises Failure for what is not the id of an identity."""
    found: dict[str, str] = {}
    for each in ids:
        if arm_id.parse(each).type.lower() != identities.KIND.lower():
            raise Failure(
                f"{each} is not the resource id of a user-assigned identity; it ends in /{identities.KIND}/NAME."
            )
        found.setdefault(arm_id.normal(each), each.strip().rstrip("/"))
    return tuple(found.values())


def outstanding(carrier: Carrier, ids: t.Iterable[str], *, attach: bool) -> tuple[str, ...]:
    """Those of the ids that are not as they shall be; what is to be detached is spelled as the carrier spells it."""
    if attach:
        return tuple(each for each in ids if carrier.carried(each) is None)
    held = (carrier.carried(each) for each in ids)
    return tuple(each.id for each in held if each is not None)


def batches(ids: t.Sequence[str]) -> t.Iterator[tuple[str, ...]]:
    """The ids in portions that ARM takes."""
    for start in range(0, len(ids), LIMIT):
        yield tuple(ids[start : start + LIMIT])


def change(ids: t.Iterable[str], carrier: str, kind: str = "", *, attach: bool) -> Change:
    """The ids stand in ``why``; ``kind`` is that of a carrier that is still to come."""
    kind = kind or _TYPES[arm_id.parse(carrier).type.lower()]
    return Change(_verb(attach=attach), kind, carrier, ", ".join(ids))


def action(ids: t.Sequence[str], what: str, *, attach: bool) -> str:
    """What is done with the ids, for people."""
    shown = names.listed([arm_id.last_segment(each) for each in ids])
    return f"{_verb(attach=attach)} {shown} {'to' if attach else 'from'} {what}"


def _verb(*, attach: bool) -> Verb:
    return "attach" if attach else "detach"


def place_text(options: t.Mapping[str, t.Any]) -> str:
    """What the options of the modules mean, for people."""
    if options["resource_id"]:
        return str(options["resource_id"])
    if options["node_resource_group"]:
        return f"the scale sets in the resource group {options['node_resource_group']}"
    return f"the scale sets of the cluster {options['cluster_name']}"


def refuse_nothing(options: t.Mapping[str, t.Any]) -> t.NoReturn:
    if options["resource_id"]:
        raise Failure(f"{options['resource_id']} does not exist; check the id, or create it first.")
    if options["node_resource_group"]:
        raise Failure(
            f"There is neither a scale set nor a virtual machine in the resource group {options['node_resource_group']}"
            "; check its name and subscription_id, or create them first."
        )
    raise Failure(
        f"There is no cluster {options['cluster_name']} with nodes in the resource group {options['resource_group']}; "
        "check both names, or create it first."
    )


def predicted(ids: t.Iterable[str], unknown: str) -> dict[str, t.Any]:
    """A carrier that is to be created before the ids are attached."""
    return {
        "id": unknown,
        "name": unknown,
        "type": unknown,
        "identities": [{"id": each, "client_id": unknown, "principal_id": unknown} for each in ids],
    }


def changed(carrier: Carrier, ids: t.Iterable[str], *, attach: bool, unknown: str) -> Carrier:
    """The carrier once the ids are attached or detached; ``unknown`` stands for what Azure will say of new ones."""
    due = outstanding(carrier, ids, attach=attach)
    if attach:
        held = (*carrier.identities, *(Attached(each, unknown, unknown) for each in due))
    else:
        held = tuple(each for each in carrier.identities if each.id not in due)
    return replace(carrier, identities=tuple(sorted(held, key=lambda each: arm_id.normal(each.id))))


def without(carrier: Carrier, detached: t.Iterable[Body]) -> Carrier:
    """The carrier once somebody else has ``detached`` from it, as the option assume_detached tells that."""
    gone = [each["id"] for each in detached if arm_id.same(of_node(each["provider_id"]), carrier.id)]
    return changed(carrier, gone, attach=False, unknown="")


def patch(carrier: Carrier, ids: t.Iterable[str], *, attach: bool) -> dict[str, t.Any]:
    """The body that attaches or detaches what is outstanding of the ids, and leaves everything else as it is."""
    due = outstanding(carrier, ids, attach=attach)
    left = changed(carrier, due, attach=attach, unknown="").identities
    kinds = [*(["SystemAssigned"] if carrier.system else ()), *(["UserAssigned"] if left else ())]
    identity: dict[str, t.Any] = {"type": ", ".join(kinds) or "None"}
    if left:  # otherwise the type alone takes the last ones away
        identity["userAssignedIdentities"] = {each: {} if attach else None for each in due}
    return {"identity": identity}


def _differences(expected: Carrier, found: Carrier, *, attach: bool = False) -> list[str]:
    missing = [each.id for each in expected.identities if found.carried(each.id) is None]
    extra = [each.id for each in found.identities if expected.carried(each.id) is None and not attach]
    wrong = []
    if missing:
        wrong.append(f"lacks {', '.join(missing)}")
    if extra:
        wrong.append(f"carries {', '.join(extra)}")
    if (expected.system, expected.principal_id) != (found.system, found.principal_id):
        wrong.append("has another system-assigned identity than before")
    return wrong


def require_quiet(doing: str, seen: Carrier, found: Carrier | None) -> None:
    """Raises Failure where somebody else writes to the carrier, or has since it was ``seen``; None: it is busy."""
    if found is None:
        raise Failure(stopped(doing))
    wrong = _differences(seen, found)
    if wrong:
        raise Failure(
            f"Could not {doing}: {found.text} {' and '.join(wrong)}, unlike when it was decided what may go, so "
            "somebody else, such as MIC or AKS, writes its identities too; look who that is and run again."
        )


def stopped(doing: str) -> str:
    return (
        f"Could not {doing}: another operation is in progress there, and what it leads to cannot be told; wait for its "
        "end, and run again."
    )


def compare(expected: Carrier, found: Carrier, *, attach: bool) -> None:
    """Raises Failure where the carrier has not become what the request asked for.

    What others have attached, too, is right after an ``attach``: MIC does so for the pods that it serves meanwhile.
    """
    wrong = _differences(expected, found, attach=attach)
    if wrong:
        raise Failure(
            f"After the change {found.text} {' and '.join(wrong)}, which was not asked for: somebody else, such as MIC "
            "or AKS, writes its identities too; look who that is and run again."
        )


def refuse_protected(
    carriers: t.Iterable[Carrier],
    ids: t.Sequence[str],
    protection: Protection,
    *,
    allowed: t.Iterable[str],
    unjudged: bool,
) -> None:
    """Raises Failure where something would be detached that a cluster needs, or nobody can say whether one does.

    ``allowed`` may be detached all the same; with ``unjudged`` also what nobody can judge.
    """
    free = {arm_id.normal(each) for each in allowed}
    for carrier in carriers:
        due = [each for each in outstanding(carrier, ids, attach=False) if arm_id.normal(each) not in free]
        kept = [f"{each} ({protection.reason(each)})" for each in due if protection.reason(each)]
        if kept:
            raise Failure(
                f"Nothing was detached from {carrier.text}, because this must stay: {', '.join(kept)}; leave it out, "
                "or name it in allow_detach_protected too."
            )
        if due and protection.unknown and not unjudged:
            raise Failure(
                f"Nothing was detached from {carrier.text}, because it cannot be told which identities its cluster "
                f"needs: {protection.unknown}; name the cluster in resource_group and cluster_name, each identity in "
                "allow_detach_protected, or set allow_unknown_owner."
            )


def named_in(message: str) -> tuple[str, ...]:
    """The identities that a refusal names."""
    return tuple(dict.fromkeys(_IN_TEXT.findall(message)))


def is_dead(attached: Attached, client_ids: t.Mapping[str, str] | None) -> bool | None:
    """Whether nothing is behind the identity on a settled carrier any more; None where that is not known.

    ``client_ids`` are those of the identities that exist, by normal id; None: nobody looked.
    """
    if not attached.client_id:
        return True  # it was deleted, and may have been created again since
    if client_ids is None:
        return None
    return client_ids.get(arm_id.normal(attached.id), "").lower() != attached.client_id.lower()


def explain_dead(doing: str, carrier: Carrier, named: t.Iterable[str], client_ids: t.Mapping[str, str]) -> str:
    """Why a change was refused that named these identities; '' where all of them are alive."""
    ghosts, absent = [], []
    for each in named:
        attached = carrier.carried(each)
        if attached is not None and is_dead(attached, client_ids):
            ghosts.append(each)
        elif attached is None and arm_id.normal(each) not in client_ids:
            absent.append(each)
    if ghosts:
        return (
            f"Could not {doing}: {carrier.text} still carries {', '.join(ghosts)}, deleted since, and Azure refuses a "
            "change that leaves it there; detach it first, by state=absent."
        )
    if absent:
        return f"Could not {doing}: there is no identity {', '.join(absent)}; create it first, or leave it out."
    return ""


def dead_warnings(carriers: t.Iterable[Carrier]) -> tuple[str, ...]:
    found = []
    for carrier in carriers:
        dead = [each.id for each in carrier.identities if carrier.settled and is_dead(each, None)]
        if dead:
            found.append(
                f"{carrier.text} carries {', '.join(dead)} without a client id, which was deleted (and perhaps created "
                "again): detach it by state=absent, then attach it again if it exists."
            )
    return tuple(each[0].upper() + each[1:] for each in found)


def view(carrier: Carrier) -> dict[str, t.Any]:
    """A carrier as the modules return it."""
    return {
        "id": carrier.id,
        "name": carrier.name,
        "type": carrier.kind.replace(" ", "_"),
        "identities": [
            {"id": each.id, "client_id": each.client_id, "principal_id": each.principal_id}
            for each in carrier.identities
        ],
    }


def report(
    carrier: Carrier, protection: Protection, client_ids: t.Mapping[str, str] | None, unread: t.Collection[str]
) -> dict[str, t.Any]:
    """A carrier as the info module tells of it. ``unread`` are resource groups, by normal id, that were not listed."""
    shown = view(carrier)
    for entry, attached in zip(shown["identities"], carrier.identities):
        group = arm_id.normal(arm_id.group_of(attached.id))
        known = None if client_ids is None or group in unread else client_ids
        reason = protection.reason(attached.id) or protection.unknown
        entry.update(
            exists=None if known is None else arm_id.normal(attached.id) in known,
            ghost=is_dead(attached, known) if carrier.settled else None,
            protected=bool(reason),
            protected_because=reason,
            protected_code=protection.code(attached.id),
        )
    return {
        **shown,
        "provisioning_state": carrier.state,
        "system_assigned": carrier.system,
        "system_assigned_principal_id": carrier.principal_id,
    }
