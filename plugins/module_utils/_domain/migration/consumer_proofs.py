# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether the status of an object shows that a consumer has got tokens since it was changed.

What is from before proves nothing, and neither does what tells no time. A status that is not as its kind has it proves
nothing.
"""

from __future__ import annotations

import typing as t
from datetime import datetime

from ..kubernetes.fields import Raw, at, entries
from ..kubernetes.sources import Source, place
from ..moments import moment

Objects = t.Mapping[str, t.Sequence[Raw]]


def changed(raw: Raw) -> datetime | None:
    """When somebody last wrote its spec; None where nobody tells, as files of kubectl do not."""
    times = [
        moment(entry.get("time"))
        for entry in entries(raw, "metadata", "managedFields")
        if "f:spec" in (at(entry, "fieldsV1") or {}) and not entry.get("subresource")
    ]
    return max((each for each in times if each), default=None)


def started(sources: t.Sequence[Source]) -> datetime | None:
    """When the youngest of their pods started; None where one of them has no pod, or does not tell."""
    times: list[datetime] = []
    for one in sources:
        mine = [moment(at(pod, "status", "startTime")) for pod in one.pods]
        if not mine or None in mine:
            return None
        times += [each for each in mine if each]
    return max(times, default=None)


def _later(text: object, since: datetime) -> bool:
    when = moment(text)
    return when is not None and when > since


def _ready(raw: Raw) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in entries(raw, "status", "conditions")
    )


def scaled(raw: Raw, objects: Objects, since: datetime) -> bool:
    """Of a TriggerAuthentication: all that scale by it do, and each of them by nothing else."""
    kind = "TriggerAuthentication" if place(raw)[0] else "ClusterTriggerAuthentication"
    users = [
        each
        for scaler in ("ScaledObject", "ScaledJob")
        for each in objects.get(scaler, ())
        if (not place(raw)[0] or place(each)[0] == place(raw)[0])
        and any(_refers(trigger, kind, place(raw)[1]) for trigger in entries(each, "spec", "triggers"))
    ]
    return bool(users) and all(
        _ready(each)
        and not _fails(each)
        and all(_refers(trigger, kind, place(raw)[1]) for trigger in entries(each, "spec", "triggers"))
        and _later(at(each, "status", "lastActiveTime"), since)
        for each in users
    )


def _refers(trigger: Raw, kind: str, name: str) -> bool:
    told = at(trigger, "authenticationRef") or {}
    return at(told, "name") == name and (at(told, "kind") or "TriggerAuthentication") == kind


def _fails(raw: Raw) -> bool:
    health = at(raw, "status", "health") or {}
    return not isinstance(health, dict) or any(at(each, "status") != "Happy" for each in health.values())


def mounted(raw: Raw, objects: Objects, since: datetime, sources: t.Sequence[Source]) -> bool:
    """Of a SecretProviderClass: every living pod has mounted it."""
    namespace, name = place(raw)
    told = {
        at(each, "status", "podName")
        for each in objects.get("SecretProviderClassPodStatus", ())
        if place(each)[0] == namespace
        and at(each, "status", "secretProviderClassName") == name
        and at(each, "status", "mounted") is True
        and _later(at(each, "metadata", "creationTimestamp"), since)
    }
    pods = {place(pod)[1] for one in sources for pod in one.pods}
    return bool(pods) and pods <= told


def ordered(raw: Raw, objects: Objects, since: datetime) -> bool:
    """Of an Issuer that has no other solver: a certificate was ordered by it, and had to be authorized anew."""
    namespace, name = place(raw)
    kind = "Issuer" if namespace else "ClusterIssuer"
    if not all(at(each, "dns01", "azureDNS") is not None for each in entries(raw, "spec", "acme", "solvers")):
        return False
    return any(
        at(each, "spec", "issuerRef", "name") == name
        and (at(each, "spec", "issuerRef", "kind") or "Issuer") == kind
        and (not namespace or place(each)[0] == namespace)
        and at(each, "status", "state") == "valid"
        and _later(at(each, "metadata", "creationTimestamp"), since)
        and any(one.get("initialState") == "pending" for one in entries(each, "status", "authorizations"))
        for each in objects.get("Order", ())
    )


def available(raw: Raw, _objects: Objects, since: datetime) -> bool:
    """Of a BackupStorageLocation."""
    return at(raw, "status", "phase") == "Available" and _later(at(raw, "status", "lastValidationTime"), since)


def fetched(raw: Raw, _objects: Objects, since: datetime) -> bool:
    """Of a source of Flux, which a controller that starts has to fetch anew."""
    last = at(raw, "status", "artifact", "lastUpdateTime") or at(raw, "status", "lastScanResult", "scanTime")
    return _ready(raw) and _later(last, since)
