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
from collections.abc import Iterator

import yaml

from . import addons, paths, programs
from .addons import Call, Object
from .azure.compute import PodIdentityAddon

_GROUP = "aadpodidentity.k8s.io"
_PLURALS = {
    "AzureIdentity": "azureidentities",
    "AzureIdentityBinding": "azureidentitybindings",
    "AzurePodIdentityException": "azurepodidentityexceptions",
}
_NAMESPACE, _NAME, _ACCOUNT = "kube-system", "nmi", "aad-pod-id-nmi-service-account"
_MODE = "addonmanager.kubernetes.io/mode"
_OURS = {_MODE: "Reconcile", **addons.MANAGED}
_PODS = {"component": "nmi", "tier": "node"}
_PROBE = 8085
_TIMEOUT = 60.0


async def deploy(call: Call, addon: PodIdentityAddon) -> None:
    """Bring all of it to what is desired, whatever is there."""
    for definition in _definitions():
        await addons.apply(call, definition)
    async with asyncio.timeout(_TIMEOUT):
        for kind in _PLURALS.values():
            while not await addons.there(call, f"/apis/{_GROUP}/v1/{kind}"):
                await asyncio.sleep(0.1)
    for each in _installation(addon.kubenet):
        await addons.apply(call, each)
    namespaces = {one.namespace for one in addon.identities} | {one.namespace for one in addon.exceptions}
    for namespace in sorted(namespaces):
        await addons.apply(call, _object("v1", "Namespace", namespace))
    wanted = {addons.path_of(each): each for each in _handed_out(addon)}
    for each in wanted.values():
        await addons.apply(call, each)
    for kind, plural in _PLURALS.items():
        listed = await call("GET", f"/apis/{_GROUP}/v1/{plural}?labelSelector={_MODE}%3DReconcile")
        assert isinstance(listed, dict)
        for found in listed["items"]:
            left = {**found, "apiVersion": f"{_GROUP}/v1", "kind": kind}
            if addons.path_of(left) not in wanted:
                await addons.delete(call, left)


async def remove(call: Call) -> None:
    """Take all of it away."""
    for each in _installation(kubenet=False):
        await addons.delete(call, each)
    for definition in _definitions():
        await addons.delete(call, definition)
    async with asyncio.timeout(_TIMEOUT):
        for definition in _definitions():
            while await addons.there(call, addons.path_of(definition)):
                await asyncio.sleep(0.1)


def _definitions() -> Iterator[Object]:
    for each in yaml.safe_load_all((paths.CHARTS / "aad-pod-identity/crds/crd.yaml").read_text()):
        if each and each["spec"]["names"]["kind"] in _PLURALS:
            yield each


def _installation(kubenet: bool) -> Iterator[Object]:
    """NMI."""
    role = "aad-pod-id-nmi"
    yield _object("v1", "ServiceAccount", _ACCOUNT, _NAMESPACE)
    rules = [
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [_GROUP], "resources": list(_PLURALS.values()), "verbs": ["get", "list", "watch"]},
    ]
    api = "rbac.authorization.k8s.io/v1"
    yield {**_object(api, "ClusterRole", f"{role}-role"), "rules": rules}
    yield {
        **_object(api, "ClusterRoleBinding", f"{role}-binding"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{role}-role"},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": _NAMESPACE}],
    }
    daemon_set = _object("apps/v1", "DaemonSet", _NAME, _NAMESPACE)
    daemon_set["metadata"]["labels"] |= {**_PODS, "k8s-app": "aad-pod-id"}
    daemon_set["spec"] = {
        "selector": {"matchLabels": _PODS},
        "template": {"metadata": {"labels": {**_PODS, **_OURS}}, "spec": _pod(kubenet)},
    }
    yield daemon_set


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
    own = {"podLabels": dict(addons.MANAGED)}
    yield {**_object(api, "AzurePodIdentityException", "aks-addon-exception", _NAMESPACE), "spec": own}


def _object(api: str, kind: str, name: str, namespace: str = "") -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    # A namespace is the user's own.
    labels = {} if kind == "Namespace" else {"labels": dict(_OURS)}
    return {"apiVersion": api, "kind": kind, "metadata": {**metadata, **labels}}
