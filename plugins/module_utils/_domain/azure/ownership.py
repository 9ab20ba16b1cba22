# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whose the identities on a scale set are, and which of them are leftovers of pod identity that may go.

MIC keeps no record of what it attached, so that is put together from what it can have known. Every identity that a
carrier has is in exactly one of the sets below.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from .. import names
from ..errors import Failure
from . import arm_id, attached_identities, azure_roles, long_running
from .attached_identities import Attached, Carrier, is_dead
from .protected_identities import Protection

# What must stay; what pods are still to get; what was deleted in Azure, also if it was made again under its name; what
# pod identity is known to have handled; what nobody knows anything of.
PROTECTED, USED, GHOST, REMOVABLE, UNKNOWN = "protected", "used", "ghost", "removable", "unknown"
SETS = (PROTECTED, USED, GHOST, REMOVABLE, UNKNOWN)

Reasons = t.Mapping[str, t.Sequence[str]]

_MANAGED = 0  # the type of an AzureIdentity that is on scale sets

# The role that MIC needs on an identity to attach it.
OPERATOR = "Managed Identity Operator"

# The field of AzureIdentities and of the values of the chart; resources of Azure spell theirs resourceId.
_FIELD = re.compile(
    r"\b[Rr]esourceID\\*[\"']?\s*:\s*\\*[\"']?"
    r"(?P<id>(?i:/subscriptions/[^/\s,'\"\\]+/resourcegroups/[^/\s,'\"\\]+/providers/microsoft\.managedidentity"
    r"/userassignedidentities/[\w-]+))"
)


@dataclass(frozen=True)
class Claims:
    """What is known of identities besides what a cluster names: reasons by normal id.

    ``known``: that pod identity has handled them. ``claimed``: that objects of the cluster name them, which whoever may
    write these chooses; it counts only with what is ``proved``, which nobody in the cluster writes. ``used``: which
    pods are to get them. ``named`` may go although they are unknown.
    """

    known: Reasons = field(default_factory=dict)
    used: Reasons = field(default_factory=dict)
    named: t.AbstractSet[str] = frozenset()
    claimed: Reasons = field(default_factory=dict)
    proved: Reasons = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One identity of a carrier, the set that it is in, why, and whether it may be detached.

    ``claimed``: that objects of the cluster name it.
    """

    identity: Attached
    set: str
    because: str
    removable: bool
    claimed: bool = False


def reasons(pairs: t.Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Identities and a reason each, by normal id."""
    found: dict[str, dict[str, None]] = {}
    for identity, reason in pairs:
        found.setdefault(arm_id.normal(identity), {})[reason] = None
    return {identity: tuple(several) for identity, several in found.items()}


def merged(*several: Reasons) -> dict[str, tuple[str, ...]]:
    return reasons((identity, reason) for one in several for identity, found in one.items() for reason in found)


def normal_ids(ids: t.Iterable[str]) -> frozenset[str]:
    return frozenset(map(arm_id.normal, ids))


def named_by_objects(text: str) -> tuple[str, ...]:
    """The identities that AzureIdentities name in a text, as objects, manifests or values of the chart have them.

    Only what stands in their field resourceID counts: a text may also tell what else a scale set carries.
    """
    return tuple(dict.fromkeys(match.group("id") for match in _FIELD.finditer(text)))


def inventoried(inventory: t.Mapping[str, t.Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The identities that objects and releases of an inventory name, and those that its workloads still get.

    Each with a reason. What pods get is decided by labels and bindings, whether or not somebody runs who serves them.
    """

    def listed(key: str, within: t.Mapping[str, t.Any] = inventory) -> list[t.Mapping[str, t.Any]]:
        return [each for each in within.get(key) or () if isinstance(each, dict)]

    def managed(entries: t.Iterable[t.Mapping[str, t.Any]], source: str) -> list[tuple[str, str]]:
        kinds = ((each, each.get("type", _MANAGED), str(each.get("resource_id") or "")) for each in entries)
        return [
            (identity, source.format(**{"namespace": "", "name": "", **each}))
            for each, kind, identity in kinds
            if kind == _MANAGED and identity
        ]

    known = managed(listed("identities"), "AzureIdentity {namespace}/{name}")
    known += managed(listed("assigned"), "AzureAssignedIdentity {namespace}/{name}")
    used: list[tuple[str, str]] = []
    for each in listed("releases"):
        source = "the values of the helm release {namespace}/{name}".format(**{"namespace": "", "name": "", **each})
        known += [(identity, source) for identity in named_by_objects(json.dumps(each.get("given_values") or {}))]
    for each in listed("workloads"):
        label = f"{each.get('kind', '')} {each.get('namespace', '')}/{each.get('name', '')}"
        used += [(identity, label) for identity, dummy in managed(listed("identities", each), "")]
    return known, used


def proof(identity: str, principal: str, assignments: t.Iterable[azure_roles.Assignment]) -> str:
    """Tell what proves that a principal of MIC could attach the identity; '' where none of its roles does."""
    for each in assignments:
        role = azure_roles.named(each.role_definition_id)
        if role is not None and role.name == OPERATOR and arm_id.contains(each.scope, identity):
            return f"{principal} holds the role {OPERATOR} at {each.scope}"
    return ""


def judge(
    carrier: Carrier,
    protection: Protection,
    claims: Claims,
    client_ids: t.Mapping[str, str] | None,
    unread: t.Collection[str] = (),
    *,
    unjudged: bool = False,
) -> tuple[Verdict, ...]:
    """A verdict for each identity of the carrier.

    ``client_ids`` are those of the identities that exist, by normal id (None: nobody looked); of the resource groups
    ``unread`` (normal ids) that is not known. ``unjudged``: that nobody can tell what must stay is no hindrance.
    """

    def verdict(attached: Attached) -> Verdict:
        identity = arm_id.normal(attached.id)
        kept = protection.reason(attached.id) or ("" if unjudged else protection.unknown)
        if kept:
            return Verdict(attached, PROTECTED, kept, removable=False)
        if claims.used.get(identity):
            return Verdict(attached, USED, f"it is still for {names.listed(claims.used[identity])}", removable=False)
        looked = None if arm_id.normal(arm_id.group_of(attached.id)) in unread else client_ids
        dead = carrier.settled and bool(is_dead(attached, looked))
        if dead and looked is not None:
            return Verdict(attached, GHOST, _end(identity, looked), removable=True)
        if claims.known.get(identity):
            return Verdict(attached, REMOVABLE, f"known from {names.listed(claims.known[identity])}", removable=True)
        claimed, proved = claims.claimed.get(identity, ()), claims.proved.get(identity, ())
        if claimed and proved:
            because = f"known from {names.listed(claimed)}, and {names.listed(proved)}"
            return Verdict(attached, REMOVABLE, because, removable=True)
        named = identity in claims.named
        if dead:
            because = "it has no client id, so it was deleted, but whether it exists again could not be looked up"
            return Verdict(attached, GHOST, because, removable=named)
        because = "it is named to be detached" if named else _unproved(claimed)
        return Verdict(attached, UNKNOWN, because, removable=named, claimed=bool(claimed))

    return tuple(map(verdict, carrier.identities))


def removable(verdicts: t.Iterable[Verdict]) -> tuple[str, ...]:
    """The ids that may be detached, as the carrier spells them."""
    return tuple(each.identity.id for each in verdicts if each.removable)


def require_settled(carriers: t.Iterable[Carrier], cluster: t.Mapping[str, t.Any] | None) -> None:
    """Raises Failure where something goes on that may change what was judged."""
    state = str(((cluster or {}).get("properties") or {}).get("provisioningState") or "Succeeded")
    if cluster is not None and not long_running.ended(state):
        raise Failure(
            f"Nothing was detached, because AKS is working on the cluster {cluster.get('name', '')} ({state}) and may "
            "write to its scale sets; run again when it has ended."
        )
    for carrier in carriers:
        if not carrier.settled:
            raise Failure(
                f"Nothing was detached, because another operation goes on at {carrier.text} ({carrier.state}); run "
                "again when it has ended."
            )


def with_bundle(failure: Failure, bundle: str) -> Failure:
    """The same failure, which also says where it is written down what was attached before."""
    if not bundle:
        return failure
    sentence = f"{failure.sentence.rstrip('.')}; what was attached before is in {bundle}."
    return Failure(sentence, error=failure.error, results=failure.results)


def view(verdict: Verdict) -> dict[str, t.Any]:
    """A verdict as the modules return it."""
    return {
        "id": verdict.identity.id,
        "ownership": verdict.set,
        "ownership_because": verdict.because,
        "removable": verdict.removable,
        "claimed": verdict.claimed,
    }


def report(
    carrier: Carrier,
    protection: Protection,
    claims: Claims,
    client_ids: t.Mapping[str, str] | None,
    unread: t.Collection[str],
) -> dict[str, t.Any]:
    """A carrier as the info module tells of it."""
    shown = attached_identities.report(carrier, protection, client_ids, unread)
    for entry, verdict in zip(shown["identities"], judge(carrier, protection, claims, client_ids, unread)):
        entry.update(view(verdict))
    return shown


def _unproved(claimed: t.Sequence[str]) -> str:
    if not claimed:
        return "nothing says that pod identity attached it"
    return (
        f"{names.listed(claimed)} names it, but that alone is no proof that MIC attached it: neither does a principal "
        f"of MIC hold the role {OPERATOR} on it, nor does the activity log or a file that is named tell it"
    )


def _end(identity: str, existing: t.Mapping[str, str]) -> str:
    if identity in existing:
        return "it was deleted and made again under the same name, and what is attached is the dead one"
    return "it does not exist any more"
