# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules change in a cluster: a case for each kind of write, and what has to be there before it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.restarts import ANNOTATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION, marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import assignment, manifest
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
CLIENT_ID = "11111111-1111-4111-8111-111111111111"
TENANT_ID = "22222222-1111-4111-8111-111111111111"
Options = dict[str, Any]
Need = dict[str, Any]


class World:
    def __init__(self, api_server: ApiServer, client: Client, definitions: list[dict[str, Any]]) -> None:
        self.api_server, self.client, self.definitions = api_server, client, definitions
        self.namespace = ""

    def run(self, module: str, **options: Any) -> server.Outcome:
        return Runner(self.api_server, module)(**options)

    def begin(self) -> None:
        """In a namespace of its own; that before goes."""
        self.end()
        self.namespace = "t-" + base64.b32encode(os.urandom(5)).decode().lower()
        self._create(server.NAMESPACE, self.namespace)

    def end(self) -> None:
        if self.namespace:
            self.client.delete(server.NAMESPACE, None, self.namespace)

    def create(self, kind: Kind, name: str, **body: Any) -> None:
        self._create(kind, name, self.namespace, **body)

    def create_of_all(self, kind: Kind, name: str, **body: Any) -> None:
        """One that is in no namespace."""
        self._create(kind, name, **body)

    def _create(self, kind: Kind, name: str, namespace: str = "", **body: Any) -> None:
        self.client.create(kind, namespace or None, manifest(kind, name, namespace, **body))

    def somebody(self, granted: list[Need]) -> Options:
        """Who may read everything, and beyond that exactly this; as options of a module."""
        user = f"somebody-{base64.b32encode(os.urandom(5)).decode().lower()}"
        read = {"verbs": ["get", "list"], "resource": "*", "api_group": "*", "namespace": ""}
        for number, need in enumerate([read, *granted]):
            name = f"{user}-{number}"
            rule = {"apiGroups": [need["api_group"]], "resources": [need["resource"]], "verbs": need["verbs"]}
            self._create(kinds.CLUSTER_ROLE, name, rules=[rule])
            reference = {"apiGroup": kinds.CLUSTER_ROLE.group, "kind": "ClusterRole", "name": name}
            subject = {"kind": "User", "apiGroup": kinds.CLUSTER_ROLE.group, "name": user}
            kind = kinds.ROLE_BINDING if need["namespace"] else kinds.CLUSTER_ROLE_BINDING
            self._create(kind, name, need["namespace"], subjects=[subject], roleRef=reference)
        return {"impersonate_user": user, "impersonate_groups": ["system:authenticated"]}


@dataclass(frozen=True)
class Case:
    """A change by a module; ``prepare`` makes what there must be. ``needs``: verbs and resource of each of them."""

    module: str
    options: Callable[[str], Options]
    needs: tuple[str, ...]
    prepare: Callable[[World], None] = lambda _world: None


def _do(module: str, options: Callable[[str], Options]) -> Callable[[World], None]:
    def do(world: World) -> None:
        world.run(module, **options(world.namespace)).ok()

    return do


def _object(**options: Any) -> Callable[[str], Options]:
    return lambda namespace: {"kind": "ConfigMap", "name": "settings", "namespace": namespace, **options}


def _pair(**options: Any) -> Callable[[str], Options]:
    """Under a name of its own, and for pods of its own."""
    selector = {name: options.pop(name) for name in ("selector",) if name in options}

    def of(namespace: str) -> Options:
        chosen = {name: value.format(namespace) for name, value in selector.items()}
        return {"name": namespace, "namespace": namespace, **options, **chosen}

    return of


def _lease(**options: Any) -> Callable[[str], Options]:
    holder = {"holder": "alice@laptop, process 9", "process": "boot/2/9/5"}
    return lambda namespace: {"name": "needs", "namespace": namespace, **holder, **options}


def _documents(namespace: str) -> Options:
    return {
        "documents": [
            manifest(kind, "billing", namespace, spec=spec)
            for kind, spec in (
                (kinds.AZURE_POD_IDENTITY_EXCEPTION, {"podLabels": {"app": "agent"}}),
                (kinds.AZURE_IDENTITY, {"type": 0, "resourceID": ID, "clientID": CLIENT_ID}),
                (kinds.AZURE_IDENTITY_BINDING, {"azureIdentity": "billing", "selector": namespace}),
            )
        ]
    }


def _workload(world: World) -> None:
    labels = {"app": "api", "aadpodidbinding": world.namespace}
    template = {
        "metadata": {"labels": labels, "annotations": {ANNOTATION: "of old"}},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    world.create(kinds.DEPLOYMENT, "api", spec={"selector": {"matchLabels": {"app": "api"}}, "template": template})


def _restart(namespace: str) -> Options:
    match = {"selector": namespace, "content": ["an identity"]}
    return {"kind": "Deployment", "name": "api", "namespace": namespace, "matches": [match]}


def _switched(world: World) -> None:
    """A Deployment that uses Workload ID beside AAD Pod Identity, and has no pods."""
    labels = {"app": "api", "aadpodidbinding": world.namespace, of_chart.USE_LABEL: "true"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    note = {MIGRATION: '{"label":null}'}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "api"}}, "template": template}
    world.create(kinds.DEPLOYMENT, "api", metadata={"annotations": note}, spec=spec)


def _original(namespace: str) -> Options:
    return {"name": "api", "namespace": namespace, "state": "original", "wait": False}


def _left_by_mic(world: World) -> None:
    """Nothing of other tests is there with it, nor what could not be removed before."""
    server.clear_assigned(world.client)
    server.remove(world.client, world.definitions)
    server.install(world.client, world.definitions)
    spec = {"type": 0, "resourceID": ID, "clientID": CLIENT_ID}
    world.create(kinds.AZURE_IDENTITY, "billing", metadata={"labels": marks("needs")}, spec=spec)
    identity = manifest(kinds.AZURE_IDENTITY, "billing", world.namespace, spec=spec)
    binding = manifest(kinds.AZURE_IDENTITY_BINDING, "billing", world.namespace)
    assigned = assignment("api", world.namespace, identity, binding, "gone")
    world.create(kinds.AZURE_ASSIGNED_IDENTITY, "api", metadata={"finalizers": [FINALIZER]}, spec=assigned)


def _remove(_namespace: str) -> Options:
    return {"parts": ["assigned", "identities"], "owner": "needs", "clean_identities": [ID], "wait_sleep": 1}


def _account(**options: Any) -> Callable[[str], Options]:
    return lambda namespace: {"namespace": namespace, "name": "web", **options}


def _accounts(world: World) -> None:
    """One that is annotated by nobody, and one with a right."""
    world.create(kinds.SERVICE_ACCOUNT, "web")
    world.create(kinds.SERVICE_ACCOUNT, "old")
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    world.create(kinds.ROLE, "reads", rules=[rule])
    subject = {"kind": "ServiceAccount", "name": "old", "namespace": world.namespace}
    reference = {"apiGroup": kinds.ROLE.group, "kind": "Role", "name": "reads"}
    world.create(kinds.ROLE_BINDING, "reads", roleRef=reference, subjects=[subject])


def _prepared_accounts(**options: Any) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        _accounts(world)
        _do(ACCOUNT, _account(**options))(world)

    return prepare


ACCOUNT = "workload_identity_service_account"
ANNOTATED = {"client_id": CLIENT_ID}
MADE = {"name": "new", "like": "old", "client_id": CLIENT_ID}
IDENTITY = {"resource_id": ID, "client_id": CLIENT_ID, "selector": "{}"}
SERVICE_PRINCIPAL = {
    "type": 1,
    "client_id": CLIENT_ID,
    "tenant_id": TENANT_ID,
    "selector": "{}",
    "client_password": "planted-7c2e",
}
EXCEPTION = {"pod_labels": {"app": "agent"}}
MODULE, EXCEPTIONS = "azure_identity_binding", "azure_pod_identity_exception"
CASES = {
    "object": Case("kubernetes_object", _object(data={"a": "Yg=="}), ("create configmaps",)),
    "object-patched": Case(
        "kubernetes_object",
        _object(definition={"data": {"a": "b"}}, state="patched"),
        ("patch configmaps",),
        _do("kubernetes_object", _object()),
    ),
    "object-gone": Case(
        "kubernetes_object", _object(state="absent"), ("delete configmaps",), _do("kubernetes_object", _object())
    ),
    "namespace": Case(
        "kubernetes_object", lambda namespace: {"kind": "Namespace", "name": f"{namespace}-new"}, ("create namespaces",)
    ),
    "pair": Case(MODULE, _pair(**IDENTITY), ("create,patch azureidentities", "create,patch azureidentitybindings")),
    "pair-of-a-secret": Case(
        MODULE,
        _pair(**SERVICE_PRINCIPAL),
        ("create,patch secrets", "create,patch azureidentities", "create,patch azureidentitybindings"),
    ),
    "pair-changed": Case(
        MODULE,
        _pair(**{**IDENTITY, "selector": "{}-shop"}),
        ("patch azureidentitybindings",),
        _do(MODULE, _pair(**IDENTITY)),
    ),
    "pair-gone": Case(
        MODULE,
        _pair(state="absent"),
        ("delete azureidentitybindings", "delete azureidentities"),
        _do(MODULE, _pair(**IDENTITY)),
    ),
    "exception": Case(EXCEPTIONS, _pair(**EXCEPTION), ("create,patch azurepodidentityexceptions",)),
    "exception-changed": Case(
        EXCEPTIONS,
        _pair(pod_labels={"app": "other"}),
        ("patch azurepodidentityexceptions",),
        _do(EXCEPTIONS, _pair(**EXCEPTION)),
    ),
    "exception-gone": Case(
        EXCEPTIONS, _pair(state="absent"), ("delete azurepodidentityexceptions",), _do(EXCEPTIONS, _pair(**EXCEPTION))
    ),
    "lease": Case("cluster_lease", _lease(), ("create leases",)),
    "lease-renewed": Case("cluster_lease", _lease(), ("patch leases",), _do("cluster_lease", _lease())),
    "lease-given-back": Case(
        "cluster_lease", _lease(state="absent"), ("delete leases",), _do("cluster_lease", _lease())
    ),
    "restart": Case("workload_restart", _restart, ("patch deployments",), _workload),
    "account-annotated": Case(ACCOUNT, _account(**ANNOTATED), ("patch serviceaccounts",), _accounts),
    "account-as-before": Case(
        ACCOUNT, _account(state="absent"), ("patch serviceaccounts",), _prepared_accounts(**ANNOTATED)
    ),
    "account-made": Case(
        ACCOUNT,
        _account(**MADE),
        ("create serviceaccounts", "create subjectaccessreviews", "create rolebindings"),
        _accounts,
    ),
    "account-gone": Case(
        ACCOUNT,
        _account(name="new", state="absent"),
        ("delete rolebindings", "delete serviceaccounts"),
        _prepared_accounts(**MADE),
    ),
    "workload-original": Case("workload_identity_workload", _original, ("patch deployments",), _switched),
    "restored": Case(
        "pod_identity_restoration",
        _documents,
        ("create azurepodidentityexceptions", "create azureidentities", "create azureidentitybindings"),
    ),
    "removed": Case(
        "pod_identity_removal",
        _remove,
        ("delete,patch azureassignedidentities", "delete azureidentities"),
        _left_by_mic,
    ),
}
