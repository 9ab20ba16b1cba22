# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What ``kubectl get -o json`` wrote, as objects with their kinds; checked, because any file may be given."""

from __future__ import annotations

import typing as t

from ..errors import Failure

Object = dict[str, t.Any]

# What is behind the kind of a constraint of Gatekeeper, of which each cluster has others: K8sRequiredLabels and so on.
CONSTRAINTS = ".constraints.gatekeeper.sh"
_LIST = "List"
_TEXTS = t.Mapping  # of texts by texts
_METADATA = {
    "name": str,
    "namespace": str,
    "labels": _TEXTS,
    "annotations": _TEXTS,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "generation": int,
    "uid": str,
    "finalizers": [str],
    "ownerReferences": [{"kind": str, "name": str, "uid": str, "controller": bool}],
    "managedFields": [{"manager": str}],
}
_CONTAINER = {
    "name": str,
    "image": str,
    "command": [str],
    "args": [str],
    "env": [{"name": str, "value": str}],
    "restartPolicy": str,
    "volumeMounts": [{"name": str, "mountPath": str}],
}
_ENDED = {"reason": str, "message": str, "exitCode": int, "startedAt": str, "finishedAt": str}
_STATE = {"waiting": {"reason": str, "message": str}, "running": {"startedAt": str}, "terminated": _ENDED}
_RUN = {"name": str, "ready": bool, "restartCount": int, "state": _STATE, "lastState": _STATE}
_CONDITION = {
    "type": str,
    "status": str,
    "reason": str,
    "message": str,
    "lastHeartbeatTime": str,
    "lastTransitionTime": str,
}
_REQUIREMENT = {"key": str, "operator": str, "values": [str]}
_SELECTOR = {"matchLabels": _TEXTS, "matchExpressions": [_REQUIREMENT]}
_PEER = {"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR, "ipBlock": {"cidr": str, "except": [str]}}
_PORT = {"protocol": str, "endPort": int}
_POD = {
    "metadata": _METADATA,
    "spec": {
        "nodeName": str,
        "serviceAccountName": str,
        "hostNetwork": bool,
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "nodeSelector": _TEXTS,
        "tolerations": [{"key": str, "operator": str, "value": str, "effect": str}],
        "os": {"name": str},
        "volumes": [
            {
                "name": str,
                "projected": {"sources": [{"serviceAccountToken": {"audience": str}}]},
                "persistentVolumeClaim": {"claimName": str},
                "csi": {"driver": str, "volumeAttributes": _TEXTS},
            }
        ],
    },
    "status": {
        "phase": str,
        "podIP": str,
        "hostIP": str,
        "reason": str,
        "message": str,
        "startTime": str,
        "conditions": [_CONDITION],
        "containerStatuses": [_RUN],
        "initContainerStatuses": [_RUN],
    },
}
_IDENTITY = {"metadata": _METADATA, "spec": {"type": int, "resourceID": str, "clientID": str}}
_BINDING = {"metadata": _METADATA, "spec": {"azureIdentity": str, "selector": str}}
_STRATEGY: dict[str, t.Any] = {"type": str, "rollingUpdate": {}}
_TEMPLATE = {
    "metadata": _METADATA,
    "spec": {
        "template": _POD,
        "replicas": int,
        "selector": _SELECTOR,
        "strategy": _STRATEGY,
        "updateStrategy": _STRATEGY,
    },
    "status": {
        "completionTime": str,
        "observedGeneration": int,
        "replicas": int,
        "updatedReplicas": int,
        "readyReplicas": int,
        "desiredNumberScheduled": int,
        "updatedNumberScheduled": int,
        "conditions": [_CONDITION],
    },
}
_ROLE = {
    "metadata": _METADATA,
    "rules": [{"apiGroups": [str], "resources": [str], "resourceNames": [str], "verbs": [str]}],
}
_ROLE_BINDING = {
    "metadata": _METADATA,
    "roleRef": {"kind": str, "name": str},
    "subjects": [{"kind": str, "namespace": str, "name": str}],
}
_CONSTRAINT = {
    "metadata": _METADATA,
    "spec": {
        "match": {
            "kinds": [{"kinds": [str]}],
            "namespaces": [str],
            "excludedNamespaces": [str],
            "namespaceSelector": _SELECTOR,
        }
    },
}
# Kinds of which whoever reads them looks at each field himself.
_ANY_SPEC = (
    *("ConstraintTemplate", "ClusterPolicy", "Policy", "TriggerAuthentication", "ClusterTriggerAuthentication"),
    *("SecretProviderClass", "Issuer", "ClusterIssuer", "BackupStorageLocation", "GitRepository", "HelmRepository"),
    *(
        "OCIRepository",
        "Bucket",
        "ImageRepository",
        "ScaledObject",
        "ScaledJob",
        "SecretProviderClassPodStatus",
        "Order",
    ),
)
_SHAPES: dict[str, t.Any] = {
    "AzureIdentity": _IDENTITY,
    "AzureIdentityBinding": _BINDING,
    "AzurePodIdentityException": {"metadata": _METADATA, "spec": {"podLabels": _TEXTS}},
    "AzureAssignedIdentity": {
        "metadata": _METADATA,
        "spec": {
            "pod": str,
            "podNamespace": str,
            "nodename": str,
            "azureIdentityRef": _IDENTITY,
            "azureBindingRef": _BINDING,
        },
        "status": {"status": str},
    },
    "Pod": _POD,
    "CronJob": {"metadata": _METADATA, "spec": {"jobTemplate": _TEMPLATE}},
    "Node": {
        "metadata": _METADATA,
        "spec": {
            "providerID": str,
            "unschedulable": bool,
            "taints": [{"key": str, "value": str, "effect": str}],
        },
        "status": {
            "conditions": [_CONDITION],
            "addresses": [{"type": str, "address": str}],
            "nodeInfo": {"osImage": str, "kernelVersion": str, "kubeletVersion": str, "operatingSystem": str},
        },
    },
    "NetworkPolicy": {
        "metadata": _METADATA,
        "spec": {
            "podSelector": _SELECTOR,
            "policyTypes": [str],
            "egress": [{"to": [_PEER], "ports": [_PORT]}],
            "ingress": [{"from": [_PEER], "ports": [_PORT]}],
        },
    },
    "MutatingWebhookConfiguration": {
        "metadata": _METADATA,
        "webhooks": [
            {
                "name": str,
                "failurePolicy": str,
                "clientConfig": {"service": {"namespace": str, "name": str}},
                "namespaceSelector": _SELECTOR,
                "objectSelector": _SELECTOR,
                "timeoutSeconds": int,
                "rules": [{"operations": [str], "resources": [str]}],
            }
        ],
    },
    "Lease": {
        "metadata": _METADATA,
        "spec": {"holderIdentity": str, "renewTime": str, "acquireTime": str, "leaseDurationSeconds": int},
    },
    "Event": {"metadata": _METADATA},
    "Namespace": {"metadata": _METADATA, "status": {"phase": str}},
    "CustomResourceDefinition": {
        "metadata": _METADATA,
        "spec": {"group": str},
        "status": {"conditions": [{"type": str, "message": str}]},
    },
    **dict.fromkeys(("Role", "ClusterRole"), _ROLE),
    **dict.fromkeys(("RoleBinding", "ClusterRoleBinding"), _ROLE_BINDING),
    "PodDisruptionBudget": {"metadata": _METADATA, "spec": {"selector": _SELECTOR}},
    "ResourceQuota": {"metadata": _METADATA, "spec": {"hard": {}}},
    "LimitRange": {"metadata": _METADATA, "spec": {"limits": [{"type": str, "default": {}, "defaultRequest": {}}]}},
    "PersistentVolumeClaim": {"metadata": _METADATA, "spec": {"accessModes": [str]}},
    "ValidatingAdmissionPolicy": {
        "metadata": _METADATA,
        "spec": {"matchConstraints": {"resourceRules": [{"resources": [str]}], "namespaceSelector": _SELECTOR}},
    },
    "Secret": {"metadata": _METADATA, "data": _TEXTS},
    "ConfigMap": {"metadata": _METADATA, "data": _TEXTS},
    "ServiceAccount": {
        "metadata": _METADATA,
        "imagePullSecrets": [{"name": str}],
        "automountServiceAccountToken": bool,
    },
    "Endpoints": {"metadata": _METADATA},
    **dict.fromkeys(_ANY_SPEC, {"metadata": _METADATA}),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), _TEMPLATE),
}


def parse(name: str, document: t.Any, kind: str = "") -> t.Iterator[tuple[str, Object]]:
    """Objects with their kinds, of a document or list, or list of lists; ``name`` is that of the file.

    Objects of a PodList do not say themselves what they are: ``kind``.
    """
    if not isinstance(document, dict):
        raise Failure(f"The file {name} holds something that is no object: write it with kubectl get -o json.")
    own = str(document.get("kind", kind))
    if isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from parse(name, item, own[: -len(_LIST)])
        return
    shape = _SHAPES.get(own)
    if str(document.get("apiVersion", "")).startswith(f"{CONSTRAINTS[1:]}/"):
        own, shape = f"{own}{CONSTRAINTS}", _CONSTRAINT
    if shape is not None:
        if not (_fits(document, shape) and (document.get("metadata") or {}).get("name")):
            raise Failure(
                f"The file {name} holds an object of kind {own} which no API server gives out: write it with kubectl "
                "get -o json."
            )
        yield own, _without_nulls(document)


def _without_nulls(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _fits(value: t.Any, shape: t.Any) -> bool:
    """Whether everything that has a place in the shape is of its type; what is null or missing fits."""
    if value is None:
        return True
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_fits(value.get(key), inner) for key, inner in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(item is not None and _fits(item, shape[0]) for item in value)
    if shape is _TEXTS:
        return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
