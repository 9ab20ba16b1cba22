# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of a migration costs, by its requests to a real API server; ``tests/bench/migrated.py`` has the size."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.tests.kube.objects import CLIENT_ID, ID, create
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

MANY = 60


def made_by(kind: Kind, owner: Object) -> list[dict[str, Any]]:
    named = {key: owner["metadata"][key] for key in ("name", "uid")}
    return [{"apiVersion": kind.api_version, "kind": kind.name, "controller": True, **named}]


def planned(api_server: ApiServer, namespace: str) -> tuple[dict[str, Any], Counter[str]]:
    """The plan, and how often each request was made."""
    before = len(api_server.requests())
    plan = Runner(api_server, "workload_identity_info")(namespaces=[namespace], dry_run=True).ok()
    return plan, Counter(api_server.requests()[before:])


def test_neither_the_plan_nor_its_requests_grow_with_pods(
    api_server: ApiServer, client: Client, crds: None, namespace: str
) -> None:
    spec: dict[str, Any] = {"type": 0, "resourceID": f"{ID}-{namespace}", "clientID": CLIENT_ID}
    create(client, kinds.AZURE_IDENTITY, namespace, "money", spec=spec)
    create(
        client, kinds.AZURE_IDENTITY_BINDING, namespace, "money", spec={"azureIdentity": "money", "selector": namespace}
    )
    create(client, kinds.SERVICE_ACCOUNT, namespace, "web")
    pod = {"serviceAccountName": "web", "containers": [{"name": "app", "image": "app"}]}
    labels = {"app": "web", "aadpodidbinding": namespace}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    create(client, kinds.DEPLOYMENT, namespace, "web", spec=spec)
    (deployment,) = client.list_all(kinds.DEPLOYMENT, namespace)
    create(
        client,
        kinds.REPLICA_SET,
        namespace,
        "web-1",
        spec=spec,
        metadata={"ownerReferences": made_by(kinds.DEPLOYMENT, deployment)},
    )
    (replicas,) = client.list_all(kinds.REPLICA_SET, namespace)
    metadata = {"labels": labels, "ownerReferences": made_by(kinds.REPLICA_SET, replicas)}
    create(client, kinds.POD, namespace, "web-1-0", spec=pod, metadata=metadata)
    with workload_identity.running(api_server):
        one = planned(api_server, namespace)
        for number in range(1, MANY):
            create(client, kinds.POD, namespace, f"web-1-{number}", spec=pod, metadata=metadata)
        many = planned(api_server, namespace)
    assert len(client.list_all(kinds.POD, namespace)) == MANY and many == one
    plan, requests = many
    assert [(each["kind"], each["name"]) for each in plan["templates"]] == [("Deployment", "web")]
    # One list for each kind, and two dry runs for the template.
    assert requests.pop("create pods") == 2
    assert {what: number for what, number in requests.items() if what.startswith("list ") and number > 1} == {}
