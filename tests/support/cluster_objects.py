# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of a small cluster, as the API server gives them."""

from __future__ import annotations

import base64
import gzip
import json
import typing as t

Raw = dict[str, t.Any]

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


def owned(kind: str, name: str) -> list[Raw]:
    return [{"kind": kind, "name": name, "controller": True}] if kind else []


def identity(name: str = "i", namespace: str = "team", **spec: t.Any) -> Raw:
    annotations = {"aadpodidentity.k8s.io/Behavior": spec.pop("behavior")} if "behavior" in spec else {}
    return {
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"type": 0, "resourceID": f"{ID}{namespace}-{name}", "clientID": f"client-{namespace}-{name}", **spec},
    }


def binding(name: str = "b", to: str = "i", selector: str = "x", namespace: str = "team") -> Raw:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"azureIdentity": to, "selector": selector}}


def pod(
    name: str = "web-1-a",
    selector: str = "x",
    namespace: str = "team",
    owner: tuple[str, str] = ("", ""),
    **more: t.Any,
) -> Raw:
    labels = {"app": "web", **({"aadpodidbinding": selector} if selector else {}), **more.pop("labels", {})}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owned(*owner)},
        "spec": {"nodeName": "n1", "serviceAccountName": "web", **more.pop("spec", {})},
        "status": {"phase": "Running", **more},
    }


def template(
    name: str = "web", selector: str = "x", namespace: str = "team", owner: tuple[str, str] = ("", ""), **more: t.Any
) -> Raw:
    """A Deployment, or whatever has a template at the same place."""
    one = pod(name, selector, namespace, labels=more.pop("labels", {}), spec=more.pop("spec", {}))
    made = {"metadata": {"labels": one["metadata"]["labels"]}, "spec": {**one["spec"], "nodeName": ""}}
    return {
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owned(*owner)},
        "spec": {"template": made, **more},
    }


def assigned(of: Raw, by: Raw, to: Raw, state: str = "Assigned", namespace: str = "default") -> Raw:
    name, place = of["metadata"]["name"], of["metadata"]["namespace"]
    spec = {"pod": name, "podNamespace": place, "nodename": of["spec"]["nodeName"]}
    return {
        "metadata": {"name": f"{name}-{place}-{to['metadata']['name']}", "namespace": namespace},
        "spec": {**spec, "azureIdentityRef": to, "azureBindingRef": by},
        "status": {"status": state},
    }


def exception(name: str = "e", namespace: str = "team", **labels: str) -> Raw:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podLabels": labels}}


def healthy() -> dict[str, list[Raw]]:
    """A Deployment with its ReplicaSet and pod, and the identity that it gets."""
    one = pod(owner=("ReplicaSet", "web-1"))
    return {
        "AzureIdentity": [identity()],
        "AzureIdentityBinding": [binding()],
        "AzurePodIdentityException": [],
        "AzureAssignedIdentity": [assigned(one, binding(), identity())],
        "Pod": [one],
        "Deployment": [template()],
        "ReplicaSet": [template("web-1", owner=("Deployment", "web"), replicas=1)],
        "Node": [{"metadata": {"name": "n1"}}],
    }


def release(
    name: str = "aad-pod-identity",
    revision: int = 1,
    status: str = "deployed",
    chart: str = "aad-pod-identity",
    namespace: str = "kube-system",
    **more: t.Any,
) -> Raw:
    """The Secret in which helm keeps a revision; ``more`` is what else the record holds, such as its manifest."""
    body = {
        "name": name,
        "version": revision,
        "namespace": namespace,
        "info": {"status": status},
        "chart": {"metadata": {"name": chart, "version": "4.1.18"}},
        **more,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{revision}",
            "namespace": namespace,
            "labels": {"owner": "helm", "name": name, "status": status, "version": str(revision)},
        },
        "data": {"release": base64.b64encode(base64.b64encode(gzip.compress(json.dumps(body).encode()))).decode()},
    }
