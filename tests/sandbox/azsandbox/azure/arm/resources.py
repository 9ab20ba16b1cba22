# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.Resources: subscriptions, tenants, providers, resource groups; and what ARM answers to anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .. import ids
from ..operations import job_id, refused_url
from ..routing import Call, Route, paged
from ..state import CLUSTER, GROUP, PROVIDERS, Resource
from ..wire import Answer, AzureError, JsonObject, arm_error, gateway_error, not_served
from . import containerservice, versions
from .linked import group_body, require_group, resource_missing

LOCATIONS = {
    "eastus": "East US",
    "eastus2": "East US 2",
    "eastus2euap": "East US 2 EUAP",
    "northeurope": "North Europe",
    "westcentralus": "West Central US",
    "westeurope": "West Europe",
    "westus": "West US",
    "westus2": "West US 2",
    "westus3": "West US 3",
}

SUB = "/subscriptions/{subscription}"
RG = SUB + "/resourceGroups/{group}"


# asked without a token


async def metadata(call: Call) -> Answer:
    """Cloud endpoints: a list of clouds from 2019-05-01, the one cloud from 2022 on, and a flat form before."""
    endpoints = call.azure.config.endpoints
    entra = endpoints.entra
    if call.api_version < "2019-05-01":
        return Answer(
            200,
            {
                "galleryEndpoint": "https://gallery.azure.com/",
                "graphEndpoint": "https://graph.windows.net/",
                "portalEndpoint": "https://portal.azure.com/",
                "authentication": {
                    "loginEndpoint": f"{entra}/",
                    "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
                },
            },
        )
    suffixes = {
        "acrLoginServer": "azurecr.io",
        "azureDatalakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
        "azureDatalakeStoreFileSystem": "azuredatalakestore.net",
        "keyVaultDns": "vault.azure.net",
        "mariadbServer": "mariadb.database.azure.com",
        "mysqlServer": "mysql.database.azure.com",
        "postgresqlServer": "postgres.database.azure.com",
        "sqlServerHostname": "database.windows.net",
        "storage": "core.windows.net",
    }
    cloud = {
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": entra,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": "https://rest.media.azure.net",
        "graphAudience": "https://graph.windows.net/",
        "graph": "https://graph.windows.net/",
        "name": "AzureCloud",
        "suffixes": suffixes,
        "batch": "https://batch.core.windows.net/",
        "resourceManager": f"{endpoints.arm}/",
        "vmImageAliasDoc": f"{endpoints.charts}/Azure/azure-rest-api-specs/main/arm-compute/aliases.json",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "microsoftGraphResourceId": f"{endpoints.graph}/",
        "appInsightsResourceId": "https://api.applicationinsights.io",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "gallery": "https://gallery.azure.com/",
    }
    return Answer(200, cloud if call.api_version >= "2022" else [cloud])


async def group_deletion(call: Call) -> Answer:
    """Polling a group's deletion: 202 while it runs, then 200 and nothing."""
    if not call.azure.operations.is_genuine(call.query, call.path):
        raise refused_url()
    operation = call.azure.operations.find(call.params["job"], call.query, call.path)
    if operation.done:
        if operation.error is not None:
            raise arm_error(409, operation.error["code"], operation.error["message"])
        return Answer(200)
    return Answer(202, headers=_poll_headers(call, call.path, call.api_version))


def _poll_headers(call: Call, path: str, api_version: str) -> dict[str, str]:
    seconds = max(1, round(15 * call.state.settings.time_scale))
    return {"Location": call.azure.operations.url(path, api_version), "Retry-After": str(seconds)}


# subscriptions, tenants, providers


def _subscription(call: Call, subscription: str) -> JsonObject:
    state = call.state
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": state.tenant_id,
        "displayName": state.subscriptions[subscription],
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def _has_any_role(call: Call, subscription: str) -> bool:
    """Somebody with a role anywhere below a subscription sees the subscription."""
    if not call.state.settings.enforce_rbac:
        return True
    scope = f"/subscriptions/{subscription}"
    return any(
        grant.principal_id == call.principal.object_id and ids.is_within(grant.scope, scope)
        for grant in call.azure.grants()
    )


async def list_subscriptions(call: Call) -> Answer:
    found = [_subscription(call, each) for each in call.state.subscriptions if _has_any_role(call, each)]
    return Answer(200, {"value": found, "count": {"type": "Total", "value": len(found)}})


async def get_subscription(call: Call) -> Answer:
    if not _has_any_role(call, call.subscription):
        message = (
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' does not have"
            " authorization to perform action 'Microsoft.Resources/subscriptions/read' over scope"
            f" '/subscriptions/{call.params['subscription']}' or the scope is invalid. If access was recently granted,"
            " please refresh your credentials."
        )
        raise gateway_error(403, "AuthorizationFailed", message)
    return Answer(200, _subscription(call, call.subscription))


async def list_tenants(call: Call) -> Answer:
    tenant = call.state.tenant_id
    return paged(
        [
            {
                "id": f"/tenants/{tenant}",
                "tenantId": tenant,
                "countryCode": "US",
                "displayName": "Sandbox",
                "domains": ["sandbox.onmicrosoft.com"],
                "tenantCategory": "Home",
                "defaultDomain": "sandbox.onmicrosoft.com",
                "tenantType": "AAD",
            }
        ]
    )


async def list_locations(call: Call) -> Answer:
    return paged(
        [
            {
                "id": f"/subscriptions/{call.subscription}/locations/{name}",
                "name": name,
                "type": "Region",
                "displayName": display,
                "regionalDisplayName": display,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
            for name, display in LOCATIONS.items()
        ]
    )


def _provider(call: Call, namespace: str) -> JsonObject:
    lower = namespace.lower()
    proper = next((name for name in PROVIDERS if name.lower() == lower), None)
    if proper is None:
        raise not_served(f"The provider '{namespace}' is not served")
    return {
        "id": f"/subscriptions/{call.subscription}/providers/{proper}",
        "namespace": proper,
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": list(LOCATIONS.values()),
                "apiVersions": list(reversed(offered)),
                "capabilities": "SupportsTags, SupportsLocation",
            }
            for kind, offered in versions.OFFERED[proper].items()
        ],
        "registrationState": "NotRegistered" if _is_unregistered(call, namespace) else "Registered",
        "registrationPolicy": "RegistrationRequired",
    }


def _is_unregistered(call: Call, namespace: str) -> bool:
    return (call.subscription, namespace.lower()) in call.state.unregistered


async def list_providers(call: Call) -> Answer:
    return paged([_provider(call, name) for name in PROVIDERS])


async def get_provider(call: Call) -> Answer:
    return Answer(200, _provider(call, call.params["namespace"]))


async def register_provider(call: Call) -> Answer:
    _provider(call, call.params["namespace"])
    call.state.unregistered.discard((call.subscription, call.params["namespace"].lower()))
    return Answer(200, _provider(call, call.params["namespace"]))


async def unregister_provider(call: Call) -> Answer:
    _provider(call, call.params["namespace"])
    call.state.unregistered.add((call.subscription, call.params["namespace"].lower()))
    return Answer(200, _provider(call, call.params["namespace"]))


def check_registration(call: Call) -> None:
    """409 for a write to a provider that the subscription has not registered."""
    match = re.search(r"/providers/([^/]+)/", call.path, re.IGNORECASE)
    if match and call.method == "PUT" and _is_unregistered(call, match.group(1)):
        message = (
            f"The subscription is not registered to use namespace '{match.group(1)}'. See"
            " https://aka.ms/rps-not-found for how to register subscriptions."
        )
        raise gateway_error(409, "MissingSubscriptionRegistration", message)


# resource groups


def check_scope(call: Call, scope: str) -> None:
    """404 for an extension resource whose scope does not exist."""
    group = ids.group_name(scope)
    if group is None:
        return
    require_group(call, group)
    if "/providers/" in scope.lower() and call.state.get(scope) is None:
        kind, name = ids.type_and_name(scope)
        raise resource_missing(kind, name, group)


async def put_group(call: Call) -> Answer:
    given = call.json()
    name = call.params["group"]
    existing = call.state.get(ids.group_id(call.subscription, name))
    location = _location(given, existing)
    if existing is not None and existing.properties["provisioningState"] == "Deleting":
        message = f"The resource group '{name}' is in deprovisioning state and cannot perform this operation."
        raise gateway_error(409, "ResourceGroupBeingDeleted", message)
    if not re.fullmatch(r"[\w().-]{0,89}[\w()-]", name):
        raise gateway_error(400, "InvalidResourceGroup", f"The provided resource group name '{name}' is invalid.")
    resource = existing or Resource(ids.group_id(call.subscription, name), GROUP, {})
    resource.body = group_body(resource.id, location, given.get("tags"), given.get("managedBy"))
    call.state.put(resource)
    return Answer(200 if existing else 201, resource.body)


def _location(given: JsonObject, existing: Resource | None) -> str:
    location = str(given.get("location") or "").replace(" ", "").lower()
    if not location:
        raise gateway_error(400, "LocationRequired", "The location property is required for this definition.")
    if location not in LOCATIONS:
        message = (
            f"The provided location '{location}' is not available for resource group. List of available regions is"
            f" '{','.join(LOCATIONS)}'."
        )
        raise gateway_error(400, "LocationNotAvailableForResourceGroup", message)
    if existing is not None and existing.body["location"] != location:
        message = (
            f"Invalid resource group location '{location}'. The Resource group already exists in location"
            f" '{existing.body['location']}'."
        )
        raise gateway_error(409, "InvalidResourceGroupLocation", message)
    return location


async def patch_group(call: Call) -> Answer:
    group, given = require_group(call), call.json()
    if "tags" in given:
        group.body = group_body(group.id, group.body["location"], given["tags"] or {}, group.body.get("managedBy"))
    return Answer(200, group.body)


async def get_group(call: Call) -> Answer:
    return Answer(200, require_group(call).body)


async def head_group(call: Call) -> Answer:
    try:
        require_group(call)
    except AzureError:
        return Answer(404, headers={"x-ms-failure-cause": "gateway"})
    return Answer(204)


_TAG_FILTER = re.compile(r"tagname eq '([^']*)'(?: and tagvalue eq '([^']*)')?", re.IGNORECASE)


async def list_groups(call: Call) -> Answer:
    """Those that the caller may read, as ARM filters them."""
    action = "Microsoft.Resources/subscriptions/resourceGroups/read"
    groups = [
        g
        for g in call.state.within(f"/subscriptions/{call.subscription}", GROUP)
        if call.azure.allowed(call.principal, action, g.id)
    ]
    text = call.query.get("$filter", "")
    if text:
        match = _TAG_FILTER.fullmatch(text.strip())
        if match is None:
            raise not_served(f"The filter '{text}' is not understood")
        name, value = match.groups()
        groups = [g for g in groups if _tagged(g.body, name, value)]
    return paged([group.body for group in groups])


def _tagged(body: JsonObject, name: str, value: str | None) -> bool:
    tags = {key.lower(): text for key, text in (body.get("tags") or {}).items()}
    return name.lower() in tags and (value is None or tags[name.lower()] == value)


async def delete_group(call: Call) -> Answer:
    group = require_group(call)
    job = job_id("RESOURCEGROUPDELETIONJOB", group.name.replace("-", ":2D"), group.body["location"])
    path = f"/subscriptions/{call.params['subscription']}/operationresults/{job}"
    group.properties["provisioningState"] = "Deleting"
    operation = call.azure.operations.start(path.rpartition("/")[0], job)

    async def work() -> None:
        azure = call.azure
        for cluster in list(azure.state.within(group.id, CLUSTER)):
            await containerservice.tear_down(azure, cluster)
        await azure.pause(azure.state.settings.group_delete)
        azure.state.remove(group.id)
        operation.succeed()

    call.azure.spawn(work())
    return Answer(202, headers=_poll_headers(call, path, call.api_version))


async def list_resources(call: Call) -> Answer:
    """Top-level resources of a group or the subscription that the caller may read."""
    scope = call.path.rpartition("/")[0]
    if "group" in call.params:
        require_group(call)
    found = []
    for resource in call.state.within(scope):
        kind = resource.type
        if kind.count("/") != 1 or kind == GROUP or kind.startswith("Microsoft.Authorization/"):
            continue
        if call.azure.allowed(call.principal, f"{kind}/read", resource.id):
            item: JsonObject = {
                key: resource.body[key]
                for key in ("id", "name", "type", "location", "identity", "tags")
                if key in resource.body
            }
            found.append(item)
    text = call.query.get("$filter", "").strip()
    tag = _TAG_FILTER.fullmatch(text)
    if tag is not None:
        return paged([item for item in found if _tagged(item, *tag.groups())])
    clauses = [_clause(each) for each in re.split(r"\s+and\s+", text) if each]
    return paged([item for item in found if all(_fits(item, *clause) for clause in clauses)])


def _clause(text: str) -> tuple[str, str]:
    """A clause of a filter of resources: lower-cased field and value."""
    match = re.fullmatch(r"(resourceType|resourceGroup|name|location) eq '([^']*)'", text, re.IGNORECASE)
    if match is None:
        raise not_served(f"The filter '{text}' is not understood")
    return match.group(1).lower(), match.group(2).lower()


def _fits(item: Mapping[str, Any], field: str, value: str) -> bool:
    values = {
        "resourcetype": item["type"],
        "resourcegroup": ids.group_name(item["id"]),
        "name": item["name"],
        "location": item.get("location"),
    }
    return str(values[field]).lower() == value


PUBLIC_ROUTES = (Route("GET", "/metadata/endpoints", metadata),)

_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"

ROUTES = (
    Route("GET", "/subscriptions", list_subscriptions),
    Route("GET", SUB, get_subscription),
    Route("GET", "/tenants", list_tenants),
    Route("GET", SUB + "/locations", list_locations),
    Route("GET", SUB + "/providers", list_providers),
    Route("GET", SUB + "/providers/{namespace}", get_provider),
    Route("POST", SUB + "/providers/{namespace}/register", register_provider, "{namespace}/register/action"),
    Route("POST", SUB + "/providers/{namespace}/unregister", unregister_provider, "{namespace}/unregister/action"),
    Route("GET", SUB + "/operationresults/{job}", group_deletion),
    Route("GET", SUB + "/resourceGroups", list_groups),
    Route("GET", SUB + "/resources", list_resources),
    Route("PUT", RG, put_group, f"{_GROUPS}/write"),
    Route("PATCH", RG, patch_group, f"{_GROUPS}/write"),
    Route("GET", RG, get_group, f"{_GROUPS}/read"),
    Route("HEAD", RG, head_group, f"{_GROUPS}/read"),
    Route("DELETE", RG, delete_group, f"{_GROUPS}/delete"),
    Route("GET", RG + "/resources", list_resources),
)
