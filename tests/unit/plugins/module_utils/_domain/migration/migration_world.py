# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose only workload uses Workload ID and is proved to, and changes of it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.dry_run import (
    MUTATED,
    ContainerChange,
    DryRun,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import (
    Choices,
    Exchange,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.plan import Plan, plans
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.telling import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.world import World
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw

USE, CLIENT = "azure.workload.identity/use", "azure.workload.identity/client-id"
PROXY = "azure.workload.identity/inject-proxy-sidecar"
BOUND = "azure.workload.identity/use-identity-binding"
HOME = "azure-workload-identity-system"
CLIENT_ID, OTHER_ID = (f"00000000-0000-0000-0000-00000000000{end}" for end in "ab")
TENANT = "11111111-2222-4333-8444-555555555555"
IDS = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
ISSUER = "https://westeurope.oic.prod-aks.azure.com/tenant/cluster/"
SUBJECT, AUDIENCE = "system:serviceaccount:team:web", "api://AzureADTokenExchange"
LABEL = "Deployment team/web"
ADMITTED = DryRun(MUTATED, "", containers=(ContainerChange("app", False, True, {}, (), ""),))
ENVIRONMENT = {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_FEDERATED_TOKEN_FILE": "/token"}


@dataclass
class Made:
    """All that is observed, to be changed. ``dry_runs`` by the label of a workload."""

    objects: dict[str, list[Raw]]
    credentials: dict[str, list[Credential]] | None
    issuer: str | None = ISSUER
    tenant: str = TENANT
    client_ids: dict[str, str] = field(default_factory=dict)
    addon: bool | None = False
    dry_runs: dict[str, DryRun] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    choices: Choices = Choices()

    @property
    def web(self) -> Raw:
        """The pod template of the workload."""
        found: Raw = self.objects["Deployment"][0]["spec"]["template"]
        return found

    @property
    def container(self) -> Raw:
        found: Raw = self.web["spec"]["containers"][0]
        return found

    @property
    def account(self) -> Raw:
        return self.objects["ServiceAccount"][0]

    @property
    def webhook(self) -> Raw:
        found: Raw = self.objects["MutatingWebhookConfiguration"][0]["webhooks"][0]
        return found

    @property
    def namespace(self) -> Raw:
        found: Raw = self.objects["Namespace"][0]["metadata"]
        return found

    def world(self) -> World:
        observed = Observed(
            inventory=Inventory(Cluster.parse(self.objects, {})),
            objects=self.objects,
            issuer=self.issuer,
            tenant=self.tenant,
            client_ids=self.client_ids,
            addon=self.addon,
            credentials=self.credentials,
            exchanges=tuple(self.exchanges),
        )
        runs = {
            one.key: self.dry_runs[one.label]
            for one in World(observed, self.choices).candidates
            if one.label in self.dry_runs
        }
        return World(replace(observed, dry_runs=runs), self.choices)

    def plan(self, label: str = LABEL) -> Plan:
        (found,) = (each for one, each in plans(self.world()) if one.label == label)
        return found

    def data(self) -> dict[str, t.Any]:
        return as_data(self.world())


Change = t.Callable[[Made], object]


def container(name: str = "app", *words: str, **environment: str) -> Raw:
    entries = [{"name": key, "value": value} for key, value in environment.items()]
    return {"name": name, "image": f"registry.example/{name}:v1", "env": entries, "args": list(words)}


def metadata(name: str, namespace: str = "team", by: tuple[str, str] = ("", ""), **more: t.Any) -> Raw:
    owners = [{"kind": by[0], "name": by[1], "uid": by[1], "controller": True}] if by[0] else []
    return {"name": name, "namespace": namespace, "uid": name, "ownerReferences": owners, **more}


def template(selector: str = "x", account: str = "web", *containers: Raw, **labels: str) -> Raw:
    marks = {"aadpodidbinding": selector} if selector else {}
    spec: Raw = {"containers": list(containers or (container(),))}
    if account != "default":
        spec["serviceAccountName"] = account
    return {"metadata": {"labels": {"app": "web", **marks, **labels}}, "spec": spec}


def identity(name: str = "i", client_id: str = CLIENT_ID, **spec: t.Any) -> Raw:
    return {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"type": 0, "resourceID": f"{IDS}{name}", "clientID": client_id, **spec},
    }


def principal(one: Made) -> None:
    """The workload has a service principal in place of the managed identity; its application trusts the workload."""
    of_principal: Raw = {"tenantID": TENANT, "clientPassword": {"namespace": "team", "name": "secret"}}
    one.objects["AzureIdentity"] = [identity(type=1, resourceID="", **of_principal)]
    one.credentials = {CLIENT_ID: [credential()]}


def binding(name: str = "i", selector: str = "x") -> Raw:
    return {
        "metadata": {"name": f"{name}-{selector}", "namespace": "team"},
        "spec": {"azureIdentity": name, "selector": selector},
    }


def credential(name: str = "web", issuer: str = ISSUER, subject: str = SUBJECT, audience: str = AUDIENCE) -> Credential:
    return Credential(name, issuer, subject, (audience,))


def exchange(**more: t.Any) -> Exchange:
    told: dict[str, t.Any] = {"service_account": "team/web", "client_id": CLIENT_ID, "asked": 50, "granted": 50}
    return Exchange(**{**told, **more})


def objects() -> dict[str, list[Raw]]:
    serving = {"azure-workload-identity.io/system": "true"}
    manager = {"name": "manager", "image": "mcr.example/oss/azure/workload-identity/webhook:v1.5.1"}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    labels = {"app": "web", "aadpodidbinding": "x", USE: "true"}
    return {
        "AzureIdentity": [identity()],
        "AzureIdentityBinding": [binding()],
        "AzurePodIdentityException": [],
        "AzureAssignedIdentity": [],
        "Deployment": [
            {"metadata": metadata("web"), "spec": {"replicas": 2, "template": template(**{USE: "true"})}},
            {
                "metadata": metadata("controller", HOME),
                "spec": {"template": {"metadata": {"labels": serving}, "spec": {"containers": [manager]}}},
            },
        ],
        "ReplicaSet": [
            {"metadata": metadata("web-1", by=("Deployment", "web")), "spec": {"replicas": 1}},
            {"metadata": metadata("controller-1", HOME, by=("Deployment", "controller")), "spec": {"replicas": 1}},
        ],
        "Pod": [
            {
                "metadata": metadata("web-1-a", by=("ReplicaSet", "web-1"), labels=labels),
                "spec": {"nodeName": "n1", "serviceAccountName": "web", "containers": [container(**ENVIRONMENT)]},
                "status": {"phase": "Running"},
            },
            {
                "metadata": metadata("controller-1-a", HOME, by=("ReplicaSet", "controller-1"), labels=serving),
                "spec": {"nodeName": "n1", "containers": [manager]},
                "status": ready,
            },
        ],
        "ServiceAccount": [
            {"metadata": metadata("web", annotations={CLIENT: CLIENT_ID})},
            {"metadata": metadata("default")},
        ],
        "Namespace": [{"metadata": {"name": name}} for name in ("team", HOME)],
        "Node": [{"metadata": {"name": "n1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.33.1"}}}],
        "MutatingWebhookConfiguration": [
            {
                "metadata": {"name": "wi"},
                "webhooks": [
                    {
                        "name": "mutation.azure-workload-identity.io",
                        "failurePolicy": "Fail",
                        "clientConfig": {"caBundle": "QQ==", "service": {"namespace": HOME, "name": "webhook"}},
                        "objectSelector": {"matchLabels": {USE: "true"}},
                    }
                ],
            }
        ],
        **{
            kind: []
            for kind in (
                *("StatefulSet", "DaemonSet", "CronJob", "Job", "NetworkPolicy", "PodDisruptionBudget"),
                *("ResourceQuota", "LimitRange", "PersistentVolumeClaim"),
                *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy"),
            )
        },
    }


def made(*changes: Change) -> Made:
    """The cluster in which all is done and proved, changed."""
    one = Made(
        copy.deepcopy(objects()),
        {f"{IDS}i".lower(): [credential()]},
        dry_runs={LABEL: ADMITTED},
        exchanges=[exchange(), exchange(workload=LABEL)],
    )
    for change in changes:
        change(one)
    return one


def unlabelled(one: Made) -> None:
    del one.web["metadata"]["labels"][USE]


def proxied(one: Made) -> None:
    one.web["metadata"]["annotations"] = {PROXY: "true"}
