# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What MIC wrote to scale sets and machines, by the activity log of Azure, which keeps 90 days."""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass

LONGEST = 90  # days

Body = t.Mapping[str, t.Any]

# Without this margin, the log refuses a question for all that it keeps.
_MARGIN = datetime.timedelta(minutes=5)
_WRITES = ("microsoft.compute/virtualmachinescalesets/write", "microsoft.compute/virtualmachines/write")
_CALLERS = ("appid", "http://schemas.microsoft.com/identity/claims/objectidentifier")


@dataclass(frozen=True)
class Writes:
    """Identities that MIC attached or detached, each with the time (of the last event); ``undetermined``: how many of
    its writes the log shows without what was written."""

    identities: tuple[tuple[str, str], ...]
    undetermined: int


def query(group: str, days: int, now: datetime.datetime) -> str:
    """The filter that asks for the events of a resource group, by its name, in the last days."""
    since = now - datetime.timedelta(days=min(days, LONGEST)) + _MARGIN
    begin, end = (each.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for each in (since, now))
    return f"eventTimestamp ge '{begin}' and eventTimestamp le '{end}' and resourceGroupName eq '{group}'"


def principals(cluster: Body | None, carriers: t.Iterable[str], named: t.Iterable[str]) -> frozenset[str]:
    """As whom MIC may have written, lower case: the kubelets' identity or the service principal of the cluster, the
    machines' own identities (``carriers``), and those that somebody ``named``."""
    properties = (cluster or {}).get("properties") or {}
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    service = str((properties.get("servicePrincipalProfile") or {}).get("clientId") or "")
    found = [kubelet.get("objectId"), kubelet.get("clientId"), service, *carriers, *named]
    return frozenset(str(each).strip().lower() for each in found if each and str(each).lower() != "msi")


def operators(cluster: Body | None, carriers: t.Iterable[str], named: t.Iterable[str]) -> dict[str, str]:
    """Object ids of the principals that may have attached for MIC, lower case, each with words for people.

    Of a cluster with the add-on that of its control plane, which runs MIC there.
    """
    properties = (cluster or {}).get("properties") or {}
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    found = {str(kubelet.get("objectId") or ""): "the identity of the kubelets"}
    if (properties.get("podIdentityProfile") or {}).get("enabled"):
        identity = (cluster or {}).get("identity") or {}
        brought = (identity.get("userAssignedIdentities") or {}).values()
        own = [identity.get("principalId"), *((each or {}).get("principalId") for each in brought)]
        found.update({str(each or ""): "the identity of the control plane" for each in own})
    found.update(dict.fromkeys(carriers, "the system-assigned identity of the nodes"))
    found.update({each.strip(): f"the principal {each.strip()}" for each in named})
    return {each.lower(): who for each, who in found.items() if each}


def writes(events: t.Iterable[Body], callers: t.Collection[str]) -> Writes:
    """What the ``callers`` wrote. MIC sends nothing but identities; a body with more is somebody else's."""
    found: dict[str, str] = {}
    told: dict[str, bool] = {}
    for event in events:
        if _value(event.get("operationName")).lower() not in _WRITES or not _who(event) & set(callers):
            continue
        operation = str(event.get("operationId") or event.get("correlationId") or event.get("eventDataId") or "")
        body = _request(event)
        told[operation] = told.get(operation, False) or body is not None
        if body is None or set(body) != {"identity"}:
            continue
        for identity in (body["identity"] or {}).get("userAssignedIdentities") or {}:
            found[identity] = max(found.get(identity, ""), str(event.get("eventTimestamp") or ""))
    return Writes(tuple(found.items()), sum(not each for each in told.values()))


def sources(found: Writes) -> t.Iterator[tuple[str, str]]:
    """The identities, each with a reason for people."""
    for identity, at in found.identities:
        yield identity, f"the activity log (MIC wrote it on {at[:10]})" if at else "the activity log"


def undetermined(found: Writes) -> str:
    """A sentence about what the log does not show; '' where it shows all."""
    if not found.undetermined:
        return ""
    return (
        f"The activity log has {found.undetermined} writes of MIC to scale sets without what was written, so it does "
        "not tell all that MIC has attached."
    )


def nobody() -> str:
    return (
        "The activity log was not asked, because nobody can tell as whom MIC wrote: name that in mic_principals, or "
        "the cluster in resource_group and cluster_name."
    )


def _value(text: t.Any) -> str:
    return str((text.get("value") if isinstance(text, dict) else text) or "")


def _who(event: Body) -> set[str]:
    claims = event.get("claims") or {}
    return {str(each).lower() for each in (event.get("caller"), *(claims.get(key) for key in _CALLERS)) if each}


def _request(event: Body) -> Body | None:
    """The body of the request, None where the event does not hold it."""
    properties = event.get("properties") or {}
    text = next((value for key, value in properties.items() if key.lower() == "requestbody"), None)
    try:
        body = json.loads(text) if isinstance(text, str) and text else text
    except ValueError:  # such as one that was too long for the log
        return None
    identity = body.get("identity") if isinstance(body, dict) else None
    return body if isinstance(body, dict) and (identity is None or isinstance(identity, dict)) else None
