# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which api-versions Azure offers for which resource types, and how it refuses others. Pure.

The list of managed clusters up to 2023-07-02-preview is Azure's own, from the text of such a refusal. All others are
those that recordings, Microsoft's client libraries and its documentation name; a version of a client that is missing
here belongs into the list, with its source.
"""

from __future__ import annotations

from .. import ids
from ..wire import gateway_error


def _versions(text: str) -> tuple[str, ...]:
    """``2019: 03-01 06-01-preview`` lines as api-versions, oldest first."""
    found = []
    for line in text.strip().splitlines():
        year, _, days = line.partition(":")
        found += [f"{year.strip()}-{day}" for day in days.split()]
    return tuple(sorted(found))


_RESOURCES = _versions("""
    2014: 04-01
    2015: 01-01 11-01
    2016: 02-01 06-01 07-01 09-01
    2017: 03-01 05-01 05-10 06-01 08-01
    2018: 01-01 02-01 05-01 06-01 07-01 08-01 09-01 11-01
    2019: 03-01 04-01 05-01 05-10 06-01 07-01 08-01 09-01 10-01 11-01
    2020: 01-01 05-01 06-01 07-01 08-01 09-01 10-01
    2021: 01-01 04-01
    2022: 01-01 05-01 06-01 09-01 12-01
    2023: 07-01
    2024: 03-01 07-01 08-01 11-01
    2025: 03-01 04-01
""")

_CLUSTERS = _versions("""
    2017: 08-31
    2018: 03-31 08-01-preview
    2019: 02-01 04-01 06-01 08-01 10-01 11-01
    2020: 01-01 02-01 03-01 04-01 06-01 07-01 09-01 11-01 12-01
    2021: 02-01 03-01 05-01 07-01 08-01 09-01 10-01 11-01-preview
    2022: 01-01 01-02-preview 02-01 02-02-preview 03-01 03-02-preview 04-01 04-02-preview 05-02-preview 06-01
    2022: 06-02-preview 07-01 07-02-preview 08-01 08-02-preview 08-03-preview 09-01 09-02-preview 10-02-preview 11-01
    2022: 11-02-preview
    2023: 01-01 01-02-preview 02-01 02-02-preview 03-01 03-02-preview 04-01 04-02-preview 05-01 05-02-preview 06-01
    2023: 06-02-preview 07-01 07-02-preview 08-01 08-02-preview 09-01 09-02-preview 10-01 10-02-preview 11-01
    2023: 11-02-preview
    2024: 01-01 01-02-preview 02-01 02-02-preview 03-02-preview 04-02-preview 05-01 05-02-preview 06-02-preview 07-01
    2024: 07-02-preview 08-01 09-01 09-02-preview 10-01 10-02-preview
    2025: 01-01 01-02-preview 02-01 02-02-preview 03-01 03-02-preview 04-01 04-02-preview 05-01 05-02-preview
    2025: 06-02-preview 07-01 07-02-preview 08-01 08-02-preview 09-01 09-02-preview 10-01 10-02-preview 11-01 12-01
    2026: 01-01 02-01 03-01 04-01 05-01 06-01 07-01 08-01
""")

_COMPUTE = _versions("""
    2015: 05-01-preview 06-15
    2016: 03-30 04-30-preview 08-30
    2017: 03-30 12-01
    2018: 04-01 06-01 10-01
    2019: 03-01 07-01 12-01
    2020: 06-01 12-01
    2021: 03-01 04-01 07-01 11-01
    2022: 03-01 08-01 11-01
    2023: 03-01 07-01 09-01
    2024: 03-01 07-01 11-01
    2025: 04-01 11-01
    2026: 04-01
""")

_ROLES = _versions("""
    2014: 04-01-preview 07-01-preview 10-01-preview
    2015: 05-01-preview 06-01 07-01
    2017: 10-01-preview
    2018: 01-01-preview 05-01-preview 07-01 09-01-preview
    2019: 04-01-preview
    2020: 03-01-preview 04-01-preview 08-01-preview 10-01-preview
    2021: 04-01-preview
    2022: 01-01-preview 04-01 05-01-preview
""")

_CREDENTIALS = _versions("""
    2022: 01-31-preview
    2023: 01-31 07-31-preview
    2024: 11-30
    2025: 01-31-preview 05-31-preview
""")

OFFERED: dict[str, dict[str, tuple[str, ...]]] = {
    "Microsoft.Authorization": {
        "roleAssignments": _ROLES,
        "roleDefinitions": _ROLES,
        "permissions": _ROLES,
        "locks": _versions("2015: 01-01 05-01-preview 06-01\n2016: 09-01\n2017: 04-01\n2020: 05-01"),
        "denyAssignments": _versions(
            "2018: 07-01-preview 07-01\n2019: 03-01-preview\n2022: 04-01\n2024: 07-01-preview"
        ),
    },
    "Microsoft.Compute": {
        "virtualMachineScaleSets": _COMPUTE,
        "virtualMachineScaleSets/virtualMachines": _COMPUTE,
        # Those of Microsoft.Network for scale sets.
        "virtualMachineScaleSets/virtualMachines/networkInterfaces": ("2017-03-30", "2018-10-01"),
        "virtualMachines": _COMPUTE,
        "locations/operations": _COMPUTE,
    },
    "Microsoft.ContainerService": {
        "managedClusters": _CLUSTERS,
        "managedClusters/agentPools": _CLUSTERS,
        "locations/kubernetesVersions": _CLUSTERS,
        "locations/orchestrators": ("2017-09-30", "2019-04-01", "2019-06-01", "2019-08-01", "2019-10-01"),
        # Versions of their own, whatever the client asked with.
        "locations/operations": ("2016-03-30", "2017-08-31", "2018-10-31", "2025-03-01"),
        "locations/operationresults": ("2016-03-30", "2017-08-31", "2018-10-31", "2025-03-01"),
    },
    "Microsoft.Insights": {"eventtypes/values": ("2014-04-01", "2015-04-01", "2017-03-01-preview")},
    "Microsoft.ManagedIdentity": {
        "userAssignedIdentities": ("2015-08-31-preview", "2018-11-30", "2021-09-30-preview", *_CREDENTIALS),
        "userAssignedIdentities/federatedIdentityCredentials": _CREDENTIALS,
        # A preview that never became more.
        "userAssignedIdentities/listAssociatedResources": ("2021-09-30-preview", "2022-01-31-preview"),
    },
    "Microsoft.Network": {"virtualNetworks": ("2024-05-01",), "publicIPAddresses": ("2024-05-01",)},
    "Microsoft.Resources": {"subscriptions": _RESOURCES, "resourceGroups": _RESOURCES, "tenants": _RESOURCES},
    "Microsoft.Storage": {"storageAccounts": ("2024-01-01",)},
}

_TRACKED = frozenset({"managedclusters", "userassignedidentities", "virtualmachines", "virtualmachinescalesets"})


def asked(path: str) -> tuple[str, str]:
    """Namespace and type that a path is about; of an action, those of its resource where it has none of its own."""
    if "/providers/" not in path.lower():
        return "Microsoft.Resources", "resourceGroups" if "/resourcegroups" in path.lower() else "subscriptions"
    tail = path[path.lower().rindex("/providers/") :].strip("/").split("/")[1:]
    if len(tail) < 2:
        return "Microsoft.Resources", "subscriptions"  # a provider itself
    if tail[1].lower() in ("register", "unregister"):
        return "Microsoft.Resources", "subscriptions"
    namespace = next((each for each in OFFERED if each.lower() == tail[0].lower()), tail[0])
    types = {each.lower(): each for each in OFFERED.get(namespace, {})}
    parts = [each.lower() for each in tail[1::2]]
    for end in range(len(parts), 0, -1):
        if "/".join(parts[:end]) in types:
            return namespace, types["/".join(parts[:end])]
    return namespace, "/".join(tail[1::2])


def offered(path: str) -> tuple[str, ...]:
    """Oldest first; none where nothing of this type is served."""
    namespace, kind = asked(path)
    return OFFERED.get(namespace, {}).get(kind, ())


def check(path: str, api_version: str, location: str, locations: list[str]) -> None:
    """Refuse an api-version that is not offered, in the words of ARM; ``location`` is that of the resource, if any."""
    known = offered(path)
    if api_version.lower() in known:
        return
    namespace, kind = asked(path)
    versions = ", ".join(known)
    if namespace == "Microsoft.Resources":
        raise gateway_error(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{api_version}' is invalid. The supported versions are '{','.join(reversed(known))}'.",
        )
    if kind.lower() in _TRACKED and location and ids.target(path) == path.rstrip("/"):
        message = (
            f"No registered resource provider found for location '{location}' and API version '{api_version}' for type"
            f" '{kind}'. The supported api-versions are '{versions}'. The supported locations are"
            f" '{', '.join(locations)}'."
        )
        raise gateway_error(400, "NoRegisteredProviderFound", message)
    message = (
        f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{api_version}'."
        f" The supported api-versions are '{versions}'."
    )
    raise gateway_error(404, "InvalidResourceType", message)


def usual(path: str, wanted: str) -> str:
    """An api-version for a path: the wanted one, or else the newest that is no preview, or the newest."""
    known = offered(path)
    stable = [each for each in known if "preview" not in each]
    return wanted if wanted in known or not known else (stable or list(known))[-1]
