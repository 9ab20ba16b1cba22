# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_info with the objects of all products that take tokens for others, before and after they move.

The kinds are defined here, each with the fields that count, as their products have them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.consumer_proofs import changed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.moments import moment
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.migration import OPTIONAL
from ansible_collections.azureops.pod_identity.tests.kube.installation import owned
from ansible_collections.azureops.pod_identity.tests.kube.objects import CLIENT_ID, create, pair, set_status
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

Raw = dict[str, Any]

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/tools"
USE, ANNOTATION = "azure.workload.identity/use", "azure.workload.identity/client-id"
BEFORE, AFTER = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
KINDS = {versions[0].name: versions[0] for versions in OPTIONAL}
CONTROLLERS = {
    "keda-operator": "ghcr.io/kedacore/keda:2.14.0",
    "ingress-azure": "mcr.microsoft.com/azure-application-gateway/kubernetes-ingress:1.7.2",
    "external-dns": "registry.k8s.io/external-dns/external-dns:v0.14.0",
    "cert-manager": "quay.io/jetstack/cert-manager-controller:v1.15.0",
    "velero": "docker.io/velero/velero:v1.14.0",
    "source-controller": "ghcr.io/fluxcd/source-controller:v1.3.0",
    "image-reflector-controller": "ghcr.io/fluxcd/image-reflector-controller:v0.32.0",
    "azureserviceoperator": "mcr.microsoft.com/k8s/azureserviceoperator:v2.8.0",
}
PLUGIN = {"name": "plugin", "image": "docker.io/velero/velero-plugin-for-microsoft-azure:v1.10.0"}

TEXT, TEXTS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
READY = [{"type": "Ready", "status": "True"}]


def fields(**properties: Any) -> Raw:
    return {"type": "object", "properties": properties}


def several(**properties: Any) -> Raw:
    return {"type": "array", "items": fields(**properties)}


CONDITIONS = several(type=TEXT, status=TEXT, reason=TEXT, message=TEXT)
AUTHENTICATION = fields(spec=fields(podIdentity=fields(provider=TEXT, identityId=TEXT)))
SCALER = fields(
    spec=fields(triggers=several(type=TEXT, authenticationRef=fields(name=TEXT, kind=TEXT))),
    status=fields(
        conditions=CONDITIONS,
        lastActiveTime=TEXT,
        health={"type": "object", "additionalProperties": fields(status=TEXT, numberOfFailures={"type": "integer"})},
    ),
)
AZURE_DNS = fields(hostedZoneName=TEXT, managedIdentity=fields(clientID=TEXT, resourceID=TEXT))
ISSUER = fields(spec=fields(acme=fields(solvers=several(dns01=fields(azureDNS=AZURE_DNS)))))
SOURCE = fields(
    spec=fields(provider=TEXT, serviceAccountName=TEXT),
    status=fields(conditions=CONDITIONS, artifact=fields(lastUpdateTime=TEXT), lastScanResult=fields(scanTime=TEXT)),
)
SHAPES: Mapping[str, Raw] = {
    "TriggerAuthentication": AUTHENTICATION,
    "ClusterTriggerAuthentication": AUTHENTICATION,
    "ScaledObject": SCALER,
    "ScaledJob": SCALER,
    "SecretProviderClass": fields(spec=fields(provider=TEXT, parameters=TEXTS)),
    "SecretProviderClassPodStatus": fields(
        status=fields(podName=TEXT, secretProviderClassName=TEXT, mounted={"type": "boolean"})
    ),
    "Issuer": ISSUER,
    "ClusterIssuer": ISSUER,
    "Order": fields(
        spec=fields(issuerRef=fields(name=TEXT, kind=TEXT)),
        status=fields(state=TEXT, authorizations=several(initialState=TEXT)),
    ),
    "BackupStorageLocation": fields(
        spec=fields(provider=TEXT, config=TEXTS), status=fields(phase=TEXT, lastValidationTime=TEXT)
    ),
    **dict.fromkeys(("GitRepository", "HelmRepository", "OCIRepository", "Bucket", "ImageRepository"), SOURCE),
}


class World:
    """The controllers of all products in one namespace, each with a pod."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def create(self, kind: Kind, name: str, **more: Any) -> Raw:
        return dict(create(self.client, kind, self.namespace, name, **more))

    def set(self, kind: str, name: str, **more: Any) -> None:
        found = KINDS[kind]
        self.client.merge(found, self.namespace if found.namespaced else None, name, more)

    def controller(self, name: str, image: str, **more: Any) -> None:
        template = {
            "metadata": {"labels": {"app": name, "aadpodidbinding": self.namespace}},
            "spec": {"serviceAccountName": name, "containers": [{"name": "main", "image": image}], **more},
        }
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        self.create(kinds.SERVICE_ACCOUNT, name)
        made = self.create(kinds.DEPLOYMENT, name, spec=spec)
        owner = self.create(kinds.REPLICA_SET, f"{name}-1", metadata=owned(made), spec=spec)
        self.pod(name, owner, template)

    def pod(self, name: str, owner: Raw, template: Raw, **env: str) -> None:
        spec = {**template["spec"]}
        told = [{"name": key, "value": value} for key, value in env.items()]
        spec["containers"] = [{**each, "env": told} for each in spec["containers"]]
        metadata = {**template["metadata"], **owned(owner)}
        self.create(kinds.POD, f"{name}-1-a", metadata=metadata, spec=spec)
        set_status(self.client, kinds.POD, self.namespace, f"{name}-1-a", phase="Running", startTime=BEFORE)

    def moves(self, name: str) -> None:
        """As after the phase leave: template, account and pod."""
        labels = {"aadpodidbinding": None, USE: "true"}
        self.client.merge(
            kinds.SERVICE_ACCOUNT, self.namespace, name, {"metadata": {"annotations": {ANNOTATION: CLIENT_ID}}}
        )
        template = {"template": {"metadata": {"labels": labels}}}
        self.client.merge(kinds.DEPLOYMENT, self.namespace, name, {"spec": template})
        server.end_pod(self.client, self.namespace, f"{name}-1-a")
        live = self.client.get(kinds.DEPLOYMENT, self.namespace, name)
        owner = self.client.get(kinds.REPLICA_SET, self.namespace, f"{name}-1")
        assert live and owner
        own = {**dict(owner), "apiVersion": kinds.REPLICA_SET.api_version, "kind": kinds.REPLICA_SET.name}
        environment = {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_FEDERATED_TOKEN_FILE": "/token"}
        self.pod(name, own, dict(live["spec"]["template"]), **environment)


@pytest.fixture
def world(client: Client, crds: None, namespace: str) -> Iterator[World]:
    made = World(client, namespace)
    definitions = [server.definition(KINDS[name], shape) for name, shape in SHAPES.items()]
    with contextlib.ExitStack() as stack:
        server.install(client, definitions)
        stack.callback(server.remove, client, definitions)
        pair(client, namespace, "tools", f"{ID}-{namespace}")
        for name, image in CONTROLLERS.items():
            made.controller(name, image, **({"initContainers": [PLUGIN]} if name == "velero" else {}))
        volume = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}
        made.controller("web", "web", volumes=[{"name": "vault", "csi": volume}])
        provider = {"name": "provider", "image": "mcr.microsoft.com/oss/azure/secrets-store/provider-azure:v1.5.2"}
        labels = {"app": "provider"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [provider]}}
        made.create(kinds.DAEMON_SET, "provider", spec={"selector": {"matchLabels": labels}, "template": template})
        yield made


def rows(result: Raw, namespace: str) -> Raw:
    """Of objects and of workloads by themselves."""
    return {each["object"].replace(f"{namespace}/", ""): each for each in result["consumers"]}


def test_all_products_in_one_world(api_server: ApiServer, client: Client, world: World) -> None:
    info, namespace = Runner(api_server, "workload_identity_info"), world.namespace
    by_pods = {"podIdentity": {"provider": "azure"}}
    world.create(KINDS["TriggerAuthentication"], "queue", spec=by_pods)
    world.create(KINDS["ClusterTriggerAuthentication"], "all", spec=by_pods)
    world.create(
        KINDS["SecretProviderClass"], "vault", spec={"provider": "azure", "parameters": {"usePodIdentity": "true"}}
    )
    dns = {"dns01": {"azureDNS": {"hostedZoneName": "example.com"}}}
    world.create(KINDS["ClusterIssuer"], "dns", spec={"acme": {"solvers": [dns]}})
    world.create(KINDS["BackupStorageLocation"], "default", spec={"provider": "azure", "config": {"useAAD": "true"}})
    for source in ("OCIRepository", "ImageRepository"):
        world.create(KINDS[source], "apps", spec={"provider": "azure"})

    before = rows(info().ok(), namespace)
    askers = {
        "TriggerAuthentication queue": "keda-operator",
        "ClusterTriggerAuthentication all": "keda-operator",
        "SecretProviderClass vault": "web",
        "ClusterIssuer dns": "cert-manager",
        "BackupStorageLocation default": "velero",
        "OCIRepository apps": "source-controller",
        "ImageRepository apps": "image-reflector-controller",
        **{f"Deployment {name}": name for name in CONTROLLERS},
    }
    subjects = {label: [f"system:serviceaccount:{namespace}:{name}"] for label, name in askers.items()}
    assert {label: each["subjects"] for label, each in before.items()} == subjects
    assert {each["state"] for each in before.values()} == {"not_moved"}
    assert all(each["version"] and each["change"] for label, each in before.items() if label.startswith("Deployment"))
    keeping = {label for label, each in before.items() if each["blocks_finish"]}
    assert keeping == {"TriggerAuthentication queue", "ClusterTriggerAuthentication all", "SecretProviderClass vault"}
    assert before["SecretProviderClass vault"]["version"] == "v1.5.2"

    for name in (*CONTROLLERS, "web"):
        world.moves(name)
    for trigger, name in (("TriggerAuthentication", "queue"), ("ClusterTriggerAuthentication", "all")):
        world.set(trigger, name, spec={"podIdentity": {"provider": "azure-workload"}})
    world.set("SecretProviderClass", "vault", spec={"parameters": {"usePodIdentity": "false", "clientID": CLIENT_ID}})
    moved = rows(info().ok(), namespace)
    assert {label: each["state"] for label, each in moved.items()} == dict.fromkeys(askers, "moved")
    assert not any(each["blocks_finish"] for each in moved.values())

    triggers = {"queue": {"name": "queue"}, "all": {"name": "all", "kind": "ClusterTriggerAuthentication"}}
    for name, reference in triggers.items():
        status = {"conditions": READY, "lastActiveTime": AFTER, "health": {"s0": {"status": "Happy"}}}
        spec = {"triggers": [{"type": "azure-queue", "authenticationRef": reference}]}
        world.create(KINDS["ScaledObject"], name, spec=spec, status=status)
    status = {"state": "valid", "authorizations": [{"initialState": "pending"}]}
    world.create(KINDS["Order"], "web", spec={"issuerRef": {"name": "dns", "kind": "ClusterIssuer"}}, status=status)
    world.set("BackupStorageLocation", "default", status={"phase": "Available", "lastValidationTime": AFTER})
    world.set("OCIRepository", "apps", status={"conditions": READY, "artifact": {"lastUpdateTime": AFTER}})
    world.set("ImageRepository", "apps", status={"conditions": READY, "lastScanResult": {"scanTime": AFTER}})
    mount = {"podName": "web-1-a", "secretProviderClassName": "vault", "mounted": True}
    mounts = KINDS["SecretProviderClassPodStatus"]
    written = changed(client.get(KINDS["SecretProviderClass"], namespace, "vault") or {})
    assert written is not None

    def is_later() -> bool:
        """Times of objects are whole seconds."""
        client.delete(mounts, namespace, "web")
        made = moment(world.create(mounts, "web", status=mount)["metadata"]["creationTimestamp"])
        return made is not None and made > written

    server.until("a mount is later than the change of the class", is_later)
    proved = {label: each["state"] for label, each in rows(info().ok(), namespace).items()}
    assert proved == {label: "moved" if label.startswith("Deployment") else "proved" for label in askers}
