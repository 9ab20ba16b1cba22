# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of a cluster, made by hand as people, controllers and kubelets make them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/money"
CLIENT_ID = "00000000-0000-0000-0000-00000000000a"


def manifest(kind: Kind, name: str, namespace: str | None = None, **body: Any) -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **place, **body.pop("metadata", {})}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **body}


def create(client: Client, kind: Kind, namespace: str | None, name: str, **body: Any) -> Object:
    return client.create(kind, namespace if kind.namespaced else None, manifest(kind, name, **body))


def patch(
    client: Client,
    kind: Kind,
    namespace: str | None,
    name: str,
    body: Object,
    *,
    part: str | None = None,
    manager: str = "",
) -> None:
    """Change an object, or a ``part`` of it such as its status, as another field manager than this collection."""
    path, query = kind.path(namespace, name, part), [("fieldManager", manager)] if manager else ()
    code, answer = client._request("PATCH", path, query, body, content_type="application/merge-patch+json")
    assert code == 200, answer


def set_status(client: Client, kind: Kind, namespace: str | None, name: str, **status: Any) -> None:
    """As its controller or kubelet does."""
    patch(client, kind, namespace, name, {"status": status}, part="status")


def use_up(client: Client, namespace: str, what: str, number: str = "1", used: str = "1") -> None:
    """A quota; here is no controller that counts."""
    create(client, kinds.RESOURCE_QUOTA, namespace, "quota", spec={"hard": {what: number}})
    set_status(client, kinds.RESOURCE_QUOTA, namespace, "quota", hard={what: number}, used={what: used})


@contextlib.contextmanager
def another_namespace(client: Client, name: str) -> Iterator[str]:
    create(client, kinds.NAMESPACE, None, name)
    yield name
    client.delete(kinds.NAMESPACE, None, name)


def pair(
    client: Client,
    namespace: str,
    name: str,
    resource_id: str,
    client_id: str = CLIENT_ID,
    selector: str = "",
    **metadata: Any,
) -> tuple[Object, Object]:
    """An AzureIdentity and its AzureIdentityBinding, by default for the selector with the name of the namespace."""
    spec = {"type": 0, "resourceID": resource_id, "clientID": client_id}
    bound = {"azureIdentity": name, "selector": selector or namespace}
    return (
        create(client, kinds.AZURE_IDENTITY, namespace, name, spec=spec, metadata=metadata),
        create(client, kinds.AZURE_IDENTITY_BINDING, namespace, name, spec=bound, metadata=metadata),
    )


def assignment(pod: str, namespace: str, identity: Object, binding: Object, node: str = "node-1") -> dict[str, Any]:
    """The spec of what MIC makes for a pod: it holds the identity and the binding as they were."""
    references = {"azureIdentityRef": identity, "azureBindingRef": binding}
    return {"pod": pod, "podNamespace": namespace, "nodename": node, **references}


def reference(kind: Kind, namespace: str, spec: dict[str, Any], name: str = "money") -> dict[str, Any]:
    return manifest(kind, name, namespace, spec=spec)


def call(azure: SimulatedAzure, name: str) -> None:
    """Give the API server of the cluster another name."""

    def work() -> None:
        (cluster,) = azure.server.azure.state.all(CLUSTER)
        cluster.body["properties"]["fqdn"] = name

    azure.in_loop(work)


def make(client: Client, kind: Kind, namespace: str, name: str, selector: str) -> None:
    """A pod that selects, or something that would make such pods; no controller makes them here."""
    labels = {"aadpodidbinding": selector, "app": name}
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "app"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec: dict[str, Any]
    if kind == kinds.POD:
        spec = pod
    elif kind == kinds.JOB:
        spec = {"suspend": True, "template": template}
    elif kind == kinds.CRON_JOB:
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    else:
        pod["restartPolicy"] = "Always"
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        spec |= {"serviceName": name} if kind == kinds.STATEFUL_SET else {}
    create(client, kind, namespace, name, metadata={"labels": labels if kind == kinds.POD else {}}, spec=spec)


def workload(client: Client, namespace: str, name: str, account: str = "", **metadata: Any) -> None:
    """A Deployment that the migration moves."""
    labels = {"app": name, "aadpodidbinding": namespace}
    pod = {"serviceAccountName": account or name, "containers": [{"name": "app", "image": "app"}]}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    create(client, kinds.SERVICE_ACCOUNT, namespace, account or name)
    create(client, kinds.DEPLOYMENT, namespace, name, spec=spec, metadata=metadata)


def may_list(of: Iterable[Kind]) -> list[dict[str, Any]]:
    """The rules of who may list objects of these kinds, and no more."""
    return [{"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["list"]} for kind in of]


def dump(api_server: ApiServer, *names: str) -> bytes:
    """What kubectl writes of all objects of these kinds."""
    binaries, _charts = server.programs()
    command = [str(binaries / "kubectl"), "--kubeconfig", api_server.kubeconfig(), "get", "-A", "-o", "json"]
    return subprocess.check_output([*command, ",".join(names)])


def identities(modules: Modules, *names: str) -> list[dict[str, Any]]:
    """Managed identities in the resource group rg."""
    place = {"resource_group": "rg", "location": "westeurope"}
    return [dict(modules.succeed("user_assigned_identity", name=name, **place)["state"]) for name in names]
