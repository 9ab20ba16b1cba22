# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AKS puts into a cluster for its pod identity add-on: the real NMI in managed mode, and what it hands out.

Arguments, rights and resources of NMI, and which kinds there are, are those of the project's own manifest for managed
mode: there is no MIC and no AzureAssignedIdentity. Nothing that is recorded or documented says the following, which is
self-consistent: the name of a binding, that missing namespaces are made, and when what is written appears (before the
operation ends). With the add-on all kinds go, as users reported. AKS puts back what somebody deletes; here only its
next change of the cluster does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any, Protocol

import aiohttp
import yaml

from . import paths, programs
from .azure.compute import PodIdentityAddon

Object = dict[str, Any]

_GROUP = "aadpodidentity.k8s.io"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROLES = "/apis/rbac.authorization.k8s.io/v1"
_PLURALS = {
    "AzureIdentity": "azureidentities",
    "AzureIdentityBinding": "azureidentitybindings",
    "AzurePodIdentityException": "azurepodidentityexceptions",
}
_NAMESPACE, _NAME, _ACCOUNT = "kube-system", "nmi", "aad-pod-id-nmi-service-account"
_MODE = "addonmanager.kubernetes.io/mode"
_OURS = {_MODE: "Reconcile", "kubernetes.azure.com/managedby": "aks"}
_PODS = {"component": "nmi", "tier": "node"}
_PROBE = 8085
_TIMEOUT = 60.0
_NOT_YET = (404, 429)
"""What the API server says of a kind that is new: not served, and served but without its store."""


class Call(Protocol):
    """One request to the API server; aiohttp.ClientResponseError when it is refused."""

    def __call__(self, method: str, path: str, body: object = None, kind: str = ...) -> Awaitable[object]: ...


async def deploy(call: Call, addon: PodIdentityAddon) -> None:
    """Bring all of it to what is desired, whatever is there."""
    for definition in _definitions():
        await _apply(call, _DEFINITIONS, definition)
    async with asyncio.timeout(_TIMEOUT):
        for kind in _PLURALS.values():
            while not await _there(call, f"/apis/{_GROUP}/v1/{kind}"):
                await asyncio.sleep(0.1)
    for place, each in _installation(addon.kubenet):
        await _apply(call, place, each)
    namespaces = {one.namespace for one in addon.identities} | {one.namespace for one in addon.exceptions}
    for namespace in sorted(namespaces):
        await _apply(call, "/api/v1/namespaces", _object("v1", "Namespace", namespace))
    wanted = {_path(each): each for each in _handed_out(addon)}
    for path, each in wanted.items():
        await _apply(call, path.rpartition("/")[0], each)
    for kind, plural in _PLURALS.items():
        listed = await call("GET", f"/apis/{_GROUP}/v1/{plural}?labelSelector={_MODE}%3DReconcile")
        assert isinstance(listed, dict)
        for found in listed["items"]:
            path = _path({**found, "kind": kind})
            if path not in wanted:
                await _delete(call, path)


async def remove(call: Call) -> None:
    """Take all of it away."""
    for place, each in _installation(kubenet=False):
        await _delete(call, f"{place}/{each['metadata']['name']}")
    for definition in _definitions():
        await _delete(call, f"{_DEFINITIONS}/{definition['metadata']['name']}")
    async with asyncio.timeout(_TIMEOUT):
        for plural in _PLURALS.values():
            while await _there(call, f"{_DEFINITIONS}/{plural}.{_GROUP}"):
                await asyncio.sleep(0.1)


def _definitions() -> Iterator[Object]:
    for each in yaml.safe_load_all((paths.CHARTS / "aad-pod-identity/crds/crd.yaml").read_text()):
        if each and each["spec"]["names"]["kind"] in _PLURALS:
            yield each


def _installation(kubenet: bool) -> Iterator[tuple[str, Object]]:
    """NMI, each object with the path of its collection."""
    role = "aad-pod-id-nmi"
    yield f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts", _object("v1", "ServiceAccount", _ACCOUNT, _NAMESPACE)
    rules = [
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [_GROUP], "resources": list(_PLURALS.values()), "verbs": ["get", "list", "watch"]},
    ]
    api = "rbac.authorization.k8s.io/v1"
    yield f"{_ROLES}/clusterroles", {**_object(api, "ClusterRole", f"{role}-role"), "rules": rules}
    yield (
        f"{_ROLES}/clusterrolebindings",
        {
            **_object(api, "ClusterRoleBinding", f"{role}-binding"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{role}-role"},
            "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": _NAMESPACE}],
        },
    )
    daemon_set = _object("apps/v1", "DaemonSet", _NAME, _NAMESPACE)
    daemon_set["metadata"]["labels"] |= {**_PODS, "k8s-app": "aad-pod-id"}
    daemon_set["spec"] = {
        "selector": {"matchLabels": _PODS},
        "template": {"metadata": {"labels": {**_PODS, **_OURS}}, "spec": _pod(kubenet)},
    }
    yield f"/apis/apps/v1/namespaces/{_NAMESPACE}/daemonsets", daemon_set


def _pod(kubenet: bool) -> Object:
    kubelet = "/etc/default/kubelet"
    return {
        "serviceAccountName": _ACCOUNT,
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "volumes": [
            {"name": "iptableslock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
            {"name": "kubelet-config", "hostPath": {"path": kubelet, "type": "FileOrCreate"}},
        ],
        "containers": [
            {
                "name": "nmi",
                "image": f"mcr.microsoft.com/oss/azure/aad-pod-identity/nmi:{programs.version('aad-pod-identity')}",
                "args": [
                    "--node=$(NODE_NAME)",
                    "--operation-mode=managed",
                    "--forceNamespaced",
                    f"--http-probe-port={_PROBE}",
                    "--enableScaleFeatures=true",
                    "--metadata-header-required=true",
                    *(["--allow-network-plugin-kubenet=true"] if kubenet else []),
                ],
                "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                "resources": {
                    "limits": {"cpu": "200m", "memory": "512Mi"},
                    "requests": {"cpu": "100m", "memory": "256Mi"},
                },
                "securityContext": {
                    "runAsUser": 0,
                    "capabilities": {"drop": ["ALL"], "add": ["DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW"]},
                },
                "volumeMounts": [
                    {"name": "iptableslock", "mountPath": "/run/xtables.lock"},
                    {"name": "kubelet-config", "mountPath": kubelet, "readOnly": True},
                ],
                "livenessProbe": {
                    "httpGet": {"path": "/healthz", "port": _PROBE},
                    "initialDelaySeconds": 10,
                    "periodSeconds": 5,
                },
            }
        ],
    }


def _handed_out(addon: PodIdentityAddon) -> Iterator[Object]:
    api = f"{_GROUP}/v1"
    for one in addon.identities:
        identity = {"type": 0, "resourceID": one.resource_id, "clientID": one.client_id}
        yield {**_object(api, "AzureIdentity", one.name, one.namespace), "spec": identity}
        binding = {"azureIdentity": one.name, "selector": one.selector}
        yield {**_object(api, "AzureIdentityBinding", f"{one.name}-binding", one.namespace), "spec": binding}
    for exception in addon.exceptions:
        labels = {"podLabels": dict(exception.labels)}
        yield {**_object(api, "AzurePodIdentityException", exception.name, exception.namespace), "spec": labels}
    own = {"podLabels": {"kubernetes.azure.com/managedby": "aks"}}
    yield {**_object(api, "AzurePodIdentityException", "aks-addon-exception", _NAMESPACE), "spec": own}


def _object(api: str, kind: str, name: str, namespace: str = "") -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    # A namespace is the user's own.
    labels = {} if kind == "Namespace" else {"labels": dict(_OURS)}
    return {"apiVersion": api, "kind": kind, "metadata": {**metadata, **labels}}


def _path(each: Object) -> str:
    metadata = each["metadata"]
    return f"/apis/{_GROUP}/v1/namespaces/{metadata['namespace']}/{_PLURALS[each['kind']]}/{metadata['name']}"


async def _apply(call: Call, place: str, each: Object) -> None:
    path = f"{place}/{each['metadata']['name']}?fieldManager=aks&force=true"
    await call("PATCH", path, each, "application/apply-patch+yaml")


async def _there(call: Call, path: str) -> bool:
    try:
        await call("GET", path)
    except aiohttp.ClientResponseError as error:
        if error.status not in _NOT_YET:
            raise
        return False
    return True


async def _delete(call: Call, path: str) -> None:
    try:
        await call("DELETE", path)
    except aiohttp.ClientResponseError as error:
        if error.status != 404:
            raise
