# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An update of a cluster carries every field that was not named, also those that nobody here has heard of.

The clusters are those of recordings of real Azure, where they lie beside the checkout, and one of our own; each gets
made-up fields at every level.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire import recordings
from azsandbox.azure.loopback import SimulatedAzure

Path = tuple[Any, ...]
IDENTITY = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cp"
OWN: dict[str, Any] = {
    "id": "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/demo",
    "name": "demo",
    "location": "westeurope",
    "eTag": "e",
    "identity": {
        "type": "UserAssigned",
        "userAssignedIdentities": {IDENTITY.replace("/cp", "/old"): {"principalId": "p", "clientId": "c"}},
    },
    "properties": {
        "provisioningState": "Failed",
        "fqdn": "demo.hcp",
        "apiServerAccessProfile": {"authorizedIPRanges": ["203.0.113.0/24"], "disableRunCommand": True},
        "podIdentityProfile": {
            "enabled": True,
            "userAssignedIdentities": [
                {"name": "i", "namespace": "n", "identity": {"clientId": "c"}, "provisioningInfo": {"error": {}}}
            ],
            "userAssignedIdentityExceptions": [{"name": "x", "namespace": "y", "podLabels": {"a": "b"}}],
        },
        "agentPoolProfiles": [
            {"name": "nodepool1", "nodeLabels": {"a": "b"}, "nodeTaints": ["a=b:NoSchedule"], "eTag": "f"},
            {"name": "other", "powerState": {"code": "Stopped"}},
        ],
    },
}
# What only AKS writes; "*" stands for any one step.
POOL, ENTRY = "properties.agentPoolProfiles.*", "properties.podIdentityProfile.userAssignedIdentities.*"
OF_AKS = {
    "": "id name type systemData eTag",
    "identity": "principalId tenantId",
    "identity.userAssignedIdentities.*": "principalId clientId",
    "properties": "provisioningState powerState currentKubernetesVersion maxAgentPools fqdn privateFQDN azurePortalFQDN"
    " resourceUID status",
    POOL: "provisioningState currentOrchestratorVersion nodeImageVersion eTag status",
    ENTRY: "provisioningState provisioningInfo",
}
NOT_CARRIED: tuple[Path, ...] = tuple(
    (*filter(None, place.split(".")), name) for place, names in OF_AKS.items() for name in names.split()
)
# What an option may change.
NAMED: dict[str, tuple[Path, ...]] = {
    "kubernetes_version": (("properties", "kubernetesVersion"),),
    "network_policy": (("properties", "networkProfile", "networkPolicy"),),
    "oidc_issuer_enabled": (("properties", "oidcIssuerProfile", "enabled"),),
    "workload_identity_enabled": (("properties", "securityProfile", "workloadIdentity", "enabled"),),
    "authorized_ip_ranges": (("properties", "apiServerAccessProfile", "authorizedIPRanges"),),
    "sku_tier": (("sku", "tier"),),
    "user_assigned_identity": (("identity", "type"), ("identity", "userAssignedIdentities")),
    "kubelet_identity": (("properties", "identityProfile", "kubeletidentity"),),
    "tags": (("tags",),),
}
NAMED_OF_POOL = {
    "count": ("count",),
    "mode": ("mode",),
    "orchestrator_version": ("orchestratorVersion",),
    "node_labels": ("nodeLabels", "x"),
    "node_taints": ("nodeTaints",),
}
# Their keys are names of users, not fields.
MAPS = ("tags", "nodeLabels", "podLabels", "userAssignedIdentities")

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "/Some/Id"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "B"]), inner, max_size=2),
    max_leaves=4,
)
OPTIONS = st.fixed_dictionaries(
    {"agent_pools": st.just([]) | st.just([{"name": "new", "count": 1}])},
    optional={
        "kubernetes_version": st.just("9.9.9"),
        "network_policy": st.sampled_from(["azure", "cilium", "none"]),
        "oidc_issuer_enabled": st.booleans(),
        "workload_identity_enabled": st.booleans(),
        "authorized_ip_ranges": st.lists(st.sampled_from(["10.0.0.0/8", "203.0.113.0/24", "198.51.100.7"])),
        "purge_authorized_ip_ranges": st.booleans(),
        "sku_tier": st.sampled_from(["Free", "Standard"]),
        "user_assigned_identity": st.just(IDENTITY),
        "kubelet_identity": st.just(IDENTITY.replace("/cp", "/kubelet")),
        "tags": st.dictionaries(st.sampled_from(["team", "Team"]), st.integers(), max_size=1),
        "append_tags": st.booleans(),
        "pool": st.fixed_dictionaries(
            {},
            optional={
                "count": st.integers(1, 5),
                "mode": st.sampled_from(["System", "User"]),
                "orchestrator_version": st.just("9.9.9"),
                "node_labels": st.just({"x": "y"}),
                "node_taints": st.just(["a=c:NoSchedule", "d:NoExecute"]),
            },
        ),
    },
)


@functools.cache
def known_clusters() -> tuple[dict[str, Any], ...]:
    """One of our own, and of each recording the last that it shows."""
    found = [OWN]
    if recordings.RECORDINGS.is_dir():
        for file in sorted(recordings.RECORDINGS.glob("*.yaml")):
            bodies = [item.body for item in recordings.load(file.name) if (item.method, item.status) == ("GET", 200)]
            shown = [body for body in bodies if isinstance(body, dict) and _is_cluster(body)]
            found += shown[-1:]
        assert len(found) > 8
    return tuple(found)


def _is_cluster(body: dict[str, Any]) -> bool:
    return str(body.get("type", "")).lower() == "microsoft.containerservice/managedclusters"


def decorated(value: Any, junk: Iterator[Any], name: str = "") -> Any:
    """With a made-up field in every object."""
    if isinstance(value, dict):
        inside = {key: decorated(inner, junk, key) for key, inner in value.items()}
        return inside if name in MAPS else {**inside, "futureField": next(junk)}
    if isinstance(value, list):
        return [decorated(inner, junk) for inner in value]
    return value


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for key, item in inner:
        empty = False
        yield from leaves(item, (*path, key))
    if empty:
        yield path, value


def begins_with(path: Path, prefix: Path) -> bool:
    return len(path) >= len(prefix) and all(want in ("*", have) for want, have in zip(prefix, path, strict=False))


def lost(current: dict[str, Any], put: dict[str, Any], named: tuple[Path, ...]) -> list[Path]:
    """Fields of ``current`` that are neither named nor AKS's own, and that the PUT does not carry as they were."""
    carried = dict(leaves(put))
    return [
        path
        for path, value in leaves(current)
        if not any(begins_with(path, prefix) for prefix in (*NOT_CARRIED, *named))
        # An empty object may have got something that was named.
        and carried.get(path, _EMPTY) != value
        and not (value in ({}, None) and any(begins_with(name, path) for name in named))
    ]


_EMPTY = object()


def named_by(desired: dict[str, Any], body: dict[str, Any]) -> tuple[Path, ...]:
    found = [path for option in desired for path in NAMED.get(option, ())]
    for index, pool in enumerate(body["properties"]["agentPoolProfiles"]):
        for option in next((one for one in desired["agent_pools"] if one["name"] == pool["name"]), {}):
            if option in NAMED_OF_POOL:
                found.append(("properties", "agentPoolProfiles", index, *NAMED_OF_POOL[option]))
    return tuple(found)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), OPTIONS, st.lists(JUNK, min_size=1, max_size=5))
def test_what_was_not_named_is_carried(data: st.DataObject, desired: dict[str, Any], junk: list[Any]) -> None:
    plain = data.draw(st.sampled_from(known_clusters()))
    endless = (junk[number % len(junk)] for number in range(10**6))
    body = decorated(plain, endless)
    pools = [{"name": body["properties"]["agentPoolProfiles"][0]["name"], **desired.pop("pool", {})}]
    desired = {"name": "demo", **desired, "agent_pools": [*pools, *desired["agent_pools"]]}
    before = list(leaves(body))
    try:
        put = clusters.writable(clusters.changed(body, desired))
    except Failure:
        return  # what a cluster cannot change is another matter
    assert lost(body, put, named_by(desired, body)) == []
    assert list(leaves(body)) == before


def test_the_property_can_fail() -> None:
    put = clusters.writable(OWN)
    assert lost(OWN, put, ()) == []
    del put["properties"]["podIdentityProfile"]["userAssignedIdentityExceptions"][0]["podLabels"]
    put["properties"]["agentPoolProfiles"][1]["powerState"] = {"code": "Running"}
    assert lost(OWN, put, ()) == [
        ("properties", "podIdentityProfile", "userAssignedIdentityExceptions", 0, "podLabels", "a"),
        ("properties", "agentPoolProfiles", 1, "powerState", "code"),
    ]


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Canceled"])
def test_what_was_not_named_is_carried_over_the_wire(modules: Modules, azure: SimulatedAzure, state: str) -> None:
    """One change of a cluster with made-up fields; one whose last operation ended badly is written without any."""
    path = azure.cluster(name="demo")["id"]

    def decorate() -> dict[str, Any]:
        cluster = azure.server.azure.state.get(path)
        assert cluster is not None
        cluster.body = decorated(cluster.body, iter(lambda: {"mode": ["new", {"a": None}]}, None))
        cluster.body["properties"]["provisioningState"] = state
        return dict(cluster.body)

    current = azure.in_loop(decorate)
    mark = modules.mark()
    change = {"sku_tier": "Standard"} if state == "Succeeded" else {}
    done = modules.succeed("aks_cluster", resource_group="rg", name="demo", poll_interval=0.1, **change)
    assert done["changed"]
    assert done["state"]["provisioning_state"] == "Succeeded"
    (write,) = modules.requests(mark, method="PUT")
    assert lost(current, write["body"], NAMED["sku_tier"] if change else ()) == []
    assert not modules.succeed("aks_cluster", resource_group="rg", name="demo", **change)["changed"]
