# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who may do everything in two namespaces of his own, and nothing else, and what he lays out for operators."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from applications import sleeper
from operators import Operator

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import node_access
from ansible_collections.azureops.pod_identity.tests.support import forged_release

NAMESPACE, OF_NODE_ACCESS = NAMESPACES = ("tenant", "pod-identity-node-access-0123456789abcdef")
"""The second looks like one that an earlier run made for privileged pods, by the connection aks_node_pod."""
ENFORCE = "pod-security.kubernetes.io/enforce"
SUBJECT = {"kind": "ServiceAccount", "name": NAMESPACE, "namespace": NAMESPACE}
RBAC = "rbac.authorization.k8s.io"
WHO = f"system:serviceaccount:{NAMESPACE}:{NAMESPACE}"
HOST = "tenant.example"
"""In each address that an object of the tenant names."""
MARK = "tenant-was-here"
"""Name of what the tenant's programs make where they can: files in /tmp, a ClusterRoleBinding."""
IMAGE = f"{HOST}/small:1"
SHELL = f"$(touch /tmp/{MARK})`touch /tmp/{MARK}`; touch /tmp/{MARK} #"
TEMPLATE = f"{{{{ lookup('ansible.builtin.pipe', 'touch /tmp/{MARK}') }}}}"
STRANGE = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
"""A subscription of nobody here."""
SECRET = "database"
"""A Secret of the operator, in default."""
_LARGE = 250_000
"""Bytes of an annotation; an object may have 262,144 of them."""
_KEPT = (
    *("secrets", "configmaps", "services", "serviceaccounts", "pods", "deployments.apps", "daemonsets.apps"),
    *("networkpolicies.networking.k8s.io", "leases.coordination.k8s.io", "roles.rbac.authorization.k8s.io"),
    *("rolebindings.rbac.authorization.k8s.io", "poddisruptionbudgets.policy"),
)
VERSION = "aadpodidentity.k8s.io/v1"
OF_POD_IDENTITY = tuple(
    f"{name}.aadpodidentity.k8s.io"
    for name in ("azureidentities", "azureidentitybindings", "azurepodidentityexceptions")
)


def hostile_image(path: Path, reference: str) -> None:
    """An archive with the smallest image on any node, whose environment and /etc tell the loader to load its files."""
    layer = _archive({"etc/ld.so.preload": b"/of-the-file.so\n", "etc/ld.so.cache": b"x", "of-the-file.so": b"x"})
    digest = hashlib.sha256(layer).hexdigest()
    configuration = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Env": ["LD_PRELOAD=/of-the-environment.so"], "Entrypoint": ["/of-the-image"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    documents = {"config.json": configuration, "manifest.json": manifest}
    path.write_bytes(
        _archive({"layer.tar": layer, **{name: json.dumps(each).encode() for name, each in documents.items()}})
    )


def _archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def move_in(operator: Operator) -> None:
    """Give the tenant his two namespaces and all that may be done in them."""
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "everything"}
    objects: list[dict[str, Any]] = []
    for namespace in NAMESPACES:
        labels = {**(marks("default") if namespace == OF_NODE_ACCESS else {}), ENFORCE: "baseline"}
        metadata = {"name": namespace, "labels": labels, "annotations": {node_access.CREATED: "0"}}
        objects += [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
            _named(f"{RBAC}/v1", "Role", "everything", namespace, rules=[rule]),
            _named(f"{RBAC}/v1", "RoleBinding", "everything", namespace, roleRef=reference, subjects=[SUBJECT]),
        ]
    objects.append(_named("v1", "ServiceAccount", NAMESPACE))
    operator.apply(*objects, verb="create")


def lay_out(operator: Operator, principal: str) -> None:
    """Create all of it, with the rights of the tenant. ``principal``: of an identity that would like to be Owner."""
    items = operator.kubectl("get", "secrets", "-n", "default", "-l", "owner=helm")["items"]
    nmi = operator.kubectl("get", "daemonset", "-n", "default", "-l", "app.kubernetes.io/component=nmi")["items"]
    mic = operator.kubectl("get", "deployment", "-n", "default", "-l", "app.kubernetes.io/component=mic")["items"]
    subscription = operator.sandbox.az("account", "show")["id"]
    objects = [*_records(items[-1]), *_bundles(principal), *_copies([*nmi, *mic])]
    objects += [*_identities(subscription), *_others()]
    # What is applied would be an annotation, and too long.
    operator.apply(*objects, verb="create", arguments=("--as", WHO))


def _named(
    version: str,
    kind: str,
    name: str,
    namespace: str = NAMESPACE,
    /,
    metadata: Mapping[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    written = {"name": name, "namespace": namespace, **(metadata or {})}
    return {"apiVersion": version, "kind": kind, "metadata": written, **rest}


def _binding() -> dict[str, Any]:
    """What a program with an operator's rights would create for the tenant."""
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    metadata = {"name": MARK}
    about = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": metadata}
    return {**about, "roleRef": reference, "subjects": [SUBJECT]}


def _records(real: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Releases of helm with hooks at each event, and what points to them."""
    events = [f"{when}-{what}" for when in ("pre", "post") for what in ("delete", "upgrade", "rollback", "install")]
    hook = {"name": MARK, "kind": "ClusterRoleBinding", "path": "templates/hook.yaml", "events": events}
    hook["manifest"] = json.dumps(_binding())
    for namespace in NAMESPACES:
        for name in ("aad-pod-identity", "pod-identity"):
            raw = forged_release.record(real, namespace, name, hooks=[hook])
            yield {"apiVersion": "v1", "kind": "Secret", **raw}
        settings = forged_release.settings((namespace, "aad-pod-identity"))
        yield _named("v1", "ConfigMap", settings["metadata"]["name"], namespace, metadata=settings["metadata"])


def _bundles(principal: str) -> Iterator[dict[str, Any]]:
    """What would make the principal an Owner and start an image, if somebody restored it."""
    subscription = {"role": "Owner", "scope": "/", "principal_id": principal}
    content = {
        "schema": 1,
        "role_assignments": [subscription],
        "releases": [{"name": "aad-pod-identity", "namespace": "default", "values": {"image": {"repository": HOST}}}],
        "objects": [_binding()],
        "addon": {"identities": [{"name": "kubelet"}]},
    }
    for namespace in NAMESPACES:
        yield _named(
            *("v1", "Secret", "pod-identity-restore-20260101t000000z", namespace),
            metadata={"labels": marks("default")},
            stringData={"bundle.json": json.dumps(content)},
        )


def _copies(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """MIC and NMI as they are called and labelled, with programs of the tenant in them."""
    mark = f"for root in '' /host /proc/*/root; do touch $root/tmp/{MARK}; done"
    for each in found:
        labels = each["spec"]["template"]["metadata"]["labels"]
        name = each["spec"]["template"]["spec"]["containers"][0]["name"]
        pod = {"containers": [sleeper(name, command=["sh", "-c", f"{mark}; exec sleep 1000000"])]}
        yield _named(
            *(each["apiVersion"], each["kind"], each["metadata"]["name"]),
            metadata={"labels": each["metadata"].get("labels") or {}, "annotations": {"meta": TEMPLATE}},
            spec={
                "selector": each["spec"]["selector"],
                "template": {
                    "metadata": {"labels": labels, "annotations": {"meta": SHELL}},
                    "spec": {**pod, "terminationGracePeriodSeconds": 0},
                },
            },
        )


def _identities(subscription: str) -> Iterator[dict[str, Any]]:
    """Templates and shell in whatever of AAD Pod Identity's objects holds text, and identities that nobody can see."""
    provider = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    texts = (TEMPLATE, SHELL, "-oProxyCommand=touch", "../../..", "x\ny")
    places = [(text, text, text) for text in texts]
    places += [(STRANGE, "rg", "strange"), (subscription, "nowhere", "missing")]
    for number, (where, group, text) in enumerate(places):
        large = "x" * (_LARGE if not number else 1)
        annotations = {"aadpodidentity.k8s.io/Behavior": text, "text": text, "large": large}
        name = f"i{number}"
        held = {"annotations": annotations, "finalizers": [f"{HOST}/never"] if number == 1 else []}
        resource = f"/subscriptions/{where}/resourceGroups/{group}/{provider}/{text}"
        spec = {"type": 0, "resourceID": resource, "clientID": text, "adEndpoint": f"https://{HOST}/"}
        yield _named(VERSION, "AzureIdentity", name, metadata=held, spec=spec)
        chosen = {"azureIdentity": name, "selector": text}
        yield _named(VERSION, "AzureIdentityBinding", name, metadata={"annotations": annotations}, spec=chosen)
    for name, secret in (("steals", SECRET), ("dots", "..")):
        place = {"namespace": "default", "name": secret}
        spec = {"type": 1, "tenantID": "t", "clientID": "c", "clientPassword": place}
        yield _named(VERSION, "AzureIdentity", name, spec=spec)
    labels = {"app.kubernetes.io/component": "mic", "text": "x"}
    yield _named(VERSION, "AzurePodIdentityException", "everything", spec={"podLabels": labels})


def _others() -> Iterator[dict[str, Any]]:
    networking = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    spec = {"holderIdentity": SHELL, "leaseDurationSeconds": 1_000_000, "renewTime": "2099-01-01T00:00:00.000000Z"}
    for namespace in NAMESPACES:
        yield _named("networking.k8s.io/v1", "NetworkPolicy", "nothing", namespace, spec=networking)
        yield _named("coordination.k8s.io/v1", "Lease", "azureops-pod-identity", namespace, spec=spec)
        for name in ("mic", "nmi", "kubernetes", "metadata"):
            service = {"type": "ExternalName", "externalName": f"{name}.{HOST}"}
            yield _named("v1", "Service", name, namespace, spec=service)
    for name in ("aad-pod-identity-mic", "aad-pod-identity-nmi"):
        yield _named("v1", "ServiceAccount", name, metadata={"labels": {"app.kubernetes.io/name": "aad-pod-identity"}})
        yield _named(f"{RBAC}/v1", "Role", name, rules=[])
    chosen = {"matchLabels": {"app.kubernetes.io/component": "nmi"}}
    yield _named("policy/v1", "PodDisruptionBudget", "never", spec={"maxUnavailable": 0, "selector": chosen})
    for number, text in enumerate((TEMPLATE, SHELL)):
        pod = {"containers": [sleeper()], "terminationGracePeriodSeconds": 0}
        labels = {"aadpodidbinding": f"i{number}"}
        yield _named("v1", "Pod", f"p{number}", metadata={"labels": labels, "annotations": {"text": text}}, spec=pod)


def objects(operator: Operator, *kinds: str) -> dict[str, Any]:
    """All of the tenant's that nobody but he changes, each whole but for what Kubernetes itself keeps up to date."""
    found: dict[str, Any] = {}
    for namespace in NAMESPACES:
        for each in operator.kubectl("get", ",".join((*_KEPT, *kinds)), "-n", namespace)["items"]:
            metadata = each["metadata"]
            of_cluster = metadata["name"] in ("kube-root-ca.crt", "default") or metadata.get("ownerReferences")
            if each["kind"] in ("Pod", "Deployment", "DaemonSet", "PodDisruptionBudget"):
                each.pop("status", None)
                metadata.pop("resourceVersion")
                metadata.pop("managedFields", None)
                (metadata.get("annotations") or {}).pop("deployment.kubernetes.io/revision", None)
            if not of_cluster:
                found[f"{each['kind']} {namespace}/{metadata['name']}"] = each
    return found
