# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The podIdentityProfile state machine of the AKS add-on. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable

from .. import ids
from ..compute import PodIdentity, PodIdentityAddon, PodIdentityException
from ..wire import JsonObject

LIMIT = 200
UPDATING, ASSIGNED, DELETING, FAILED = "Updating", "Assigned", "Deleting", "Failed"


class Refused(Exception):
    """Why a profile is not accepted; one sentence."""


def requested(current: JsonObject, given: JsonObject, network_plugin: str, kubenet_needs_consent: bool) -> JsonObject:
    """The profile while the operation runs: new entries Updating, dropped ones Deleting."""
    if not given.get("enabled"):
        return {}
    consent = given.get("allowNetworkPluginKubenet")
    if network_plugin == "kubenet" and kubenet_needs_consent and not consent:
        raise Refused("Network plugin kubenet is not supported to use with PodIdentity addon.")
    profile: JsonObject = {"enabled": True}
    if consent is not None:
        profile["allowNetworkPluginKubenet"] = consent
    identities = _identities(current.get("userAssignedIdentities") or [], given)
    exceptions = _exceptions(current, given)
    if len(identities) > LIMIT or len(exceptions) > LIMIT:
        raise Refused(f"At most {LIMIT} pod identities and {LIMIT} pod identity exceptions are allowed.")
    if identities:
        profile["userAssignedIdentities"] = identities
    if exceptions:
        profile["userAssignedIdentityExceptions"] = exceptions
    return profile


def _key(entry: JsonObject) -> tuple[str, str]:
    return entry["namespace"], entry["name"]


def _identities(current: list[JsonObject], given: JsonObject) -> list[JsonObject]:
    if given.get("userAssignedIdentities") is None:
        return copy.deepcopy(current)
    before = {_key(entry): entry for entry in current}
    result = []
    for asked in given["userAssignedIdentities"]:
        identity = dict(asked.get("identity") or {})
        if not asked.get("name") or not asked.get("namespace") or not identity.get("resourceId"):
            raise Refused("A pod identity needs a name, a namespace and identity.resourceId.")
        identity["resourceId"] = ids.with_lower_groups(identity["resourceId"])
        entry = {"name": asked["name"], "namespace": asked["namespace"], "identity": identity}
        if asked.get("bindingSelector"):
            entry["bindingSelector"] = asked["bindingSelector"]
        old = before.pop(_key(entry), None)
        unchanged = (
            old is not None
            and old["provisioningState"] == ASSIGNED
            and all(old.get(part) == entry.get(part) for part in ("bindingSelector", "identity"))
        )
        entry["provisioningState"] = ASSIGNED if unchanged else UPDATING
        result.append(entry)
    for left in before.values():
        result.append({**left, "provisioningState": DELETING})
    return result


def _exceptions(current: JsonObject, given: JsonObject) -> list[JsonObject]:
    asked = given.get("userAssignedIdentityExceptions")
    if asked is None:
        return list(current.get("userAssignedIdentityExceptions") or [])
    return [
        {"name": e["name"], "namespace": e["namespace"], "podLabels": dict(sorted((e.get("podLabels") or {}).items()))}
        for e in asked
    ]


def settled(profile: JsonObject, problem: Callable[[JsonObject], JsonObject | None]) -> JsonObject:
    """The profile when the operation has ended; ``problem`` tells why an entry cannot be assigned."""
    result = {name: value for name, value in profile.items() if name != "userAssignedIdentities"}
    kept = []
    for entry in profile.get("userAssignedIdentities") or []:
        if entry["provisioningState"] == DELETING:
            continue
        error = problem(entry) if entry["provisioningState"] == UPDATING else None
        if error is not None:
            kept.append({**entry, "provisioningState": FAILED, "provisioningInfo": {"error": {"error": error}}})
        else:
            kept.append({**entry, "provisioningState": ASSIGNED})
    if kept:
        result["userAssignedIdentities"] = kept
    return result


def addon(profile: JsonObject) -> PodIdentityAddon | None:
    """What the cluster gets of a settled profile. Self-consistent: nothing of an entry that is not assigned."""
    if not profile.get("enabled"):
        return None
    identities = [
        PodIdentity(
            entry["namespace"],
            entry["name"],
            entry.get("bindingSelector") or entry["name"],
            entry["identity"]["resourceId"],
            entry["identity"].get("clientId") or "",
        )
        for entry in profile.get("userAssignedIdentities") or []
        if entry["provisioningState"] == ASSIGNED
    ]
    exceptions = [
        PodIdentityException(entry["namespace"], entry["name"], tuple(entry["podLabels"].items()))
        for entry in profile.get("userAssignedIdentityExceptions") or []
    ]
    return PodIdentityAddon(bool(profile.get("allowNetworkPluginKubenet")), tuple(identities), tuple(exceptions))
