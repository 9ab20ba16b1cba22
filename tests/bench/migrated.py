# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``PODS TEMPLATES IDENTITIES NAMESPACES``, run by ``figures``: workload_identity_info with dry runs, as JSON.

The API server, the controllers that make the pods and the webhook are real, Azure is simulated; no pod runs. It is
measured with one pod for each template and with all of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import FIELD_MANAGER
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.bench.listed import Object, create
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

ROUNDS = 3
STARTED_WITHIN = 600
GROUP, CLUSTER = "rg", "demo"
BINDINGS_OF_ROLES = 1500
IDENTITIES = f"/resourceGroups/{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Size:
    pods: int
    templates: int
    identities: int
    namespaces: int

    def namespace(self, index: int) -> str:
        return f"team-{index % self.namespaces}"

    def replicas(self, index: int) -> int:
        return self.pods // self.templates + (index < self.pods % self.templates)


def identities(azure: SimulatedAzure, issuer: str, size: Size) -> list[dict[str, str]]:
    """They trust the service account of every other template."""

    def made(index: int) -> dict[str, str]:
        path = f"{IDENTITIES}/identity-{index}"
        answer = azure.arm("PUT", path, {"location": "westeurope"})
        answer.raise_for_status()
        if index % 2:
            subject = f"system:serviceaccount:{size.namespace(index)}:w{index}"
            trust = {"issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
            credential = f"{path}/federatedIdentityCredentials/trust-{index}"
            azure.arm("PUT", credential, {"properties": trust}).raise_for_status()
        body = answer.json()
        return {"resourceID": str(body["id"]), "clientID": str(body["properties"]["clientId"])}

    return [made(index) for index in range(size.identities)]


def objects(size: Size, known: list[dict[str, str]], provider: str) -> Iterator[Object]:
    for index in range(size.namespaces):
        yield server.NAMESPACE, None, {"metadata": {"name": size.namespace(index)}}
    yield kinds.NODE, None, {"metadata": {"name": "n0"}, "spec": {"providerID": provider}}
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}]
    yield kinds.CLUSTER_ROLE, None, {"metadata": {"name": "deployer"}, "rules": rules}
    for index, identity in enumerate(known):
        spec = {"type": 0, **identity}
        yield kinds.AZURE_IDENTITY, size.namespace(index), {"metadata": {"name": f"i{index}"}, "spec": spec}
        spec = {"azureIdentity": f"i{index}", "selector": f"s{index}"}
        yield kinds.AZURE_IDENTITY_BINDING, size.namespace(index), {"metadata": {"name": f"b{index}"}, "spec": spec}
    for index in range(BINDINGS_OF_ROLES):
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "deployer"}
        subject = {"apiGroup": RBAC, "kind": "Group", "name": f"team-{index % size.templates}"}
        body = {"metadata": {"name": f"b{index}"}, "roleRef": role, "subjects": [subject]}
        yield kinds.ROLE_BINDING, size.namespace(index), body
    for index in range(size.templates):
        name = f"w{index}"
        yield kinds.SERVICE_ACCOUNT, size.namespace(index), {"metadata": {"name": name}}
        pod = {"serviceAccountName": name, "nodeName": "n0", "containers": [{"name": "app", "image": "app"}]}
        template = {"metadata": {"labels": {"app": name, "aadpodidbinding": f"s{index}"}}, "spec": pod}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        yield kinds.DEPLOYMENT, size.namespace(index), {"metadata": {"name": name}, "spec": spec}


def has_pods(client: Any, number: int) -> bool:
    return len(client.list_all(kinds.POD)) == number


def scale(client: Any, size: Size) -> None:
    def grow(index: int) -> None:
        body = {"spec": {"replicas": size.replicas(index)}}
        client.merge(kinds.DEPLOYMENT, size.namespace(index), f"w{index}", body)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(grow, range(size.templates)))


@dataclass(frozen=True)
class Planned:
    """``lists``: kinds that were listed more than once. ``azure``: requests to ARM."""

    seconds: float
    requests: int
    lists: dict[str, int]
    dry_runs: int
    azure: int
    plan: dict[str, Any]


def plan(started: Any, modules: Modules, info: Any) -> Planned:
    # Pages of one list are several requests.
    events, mark = len(started.events()), modules.mark()
    begin = time.monotonic()
    found = info(resource_group=GROUP, cluster_name=CLUSTER, dry_run=True).ok()
    seconds = time.monotonic() - begin
    asked = [
        (event["verb"], event["requestURI"], (event.get("objectRef") or {}).get("resource", ""))
        for event in started.events()[events:]
        if event.get("userAgent") == FIELD_MANAGER
    ]
    lists = Counter(what for verb, uri, what in asked if verb == "list" and "continue=" not in uri)
    arm = [entry for entry in modules.requests(mark) if "/providers/" in entry["path"]]
    created = sum(verb == "create" for verb, _uri, _what in asked)
    twice = {what: number for what, number in lists.items() if number > 1}
    return Planned(seconds, sum(lists.values()) + created, twice, created, len(arm), found)


def main(*numbers: int) -> None:
    size = Size(*numbers)
    with (
        tempfile.TemporaryDirectory() as folder,
        server.running("deployment-controller", "replicaset-controller") as started,
        workload_identity.running(started),
    ):
        azure = SimulatedAzure(Path(folder))
        try:
            cluster = azure.cluster(GROUP, CLUSTER, oidcIssuerProfile={"enabled": True})
            issuer = cluster["properties"]["oidcIssuerProfile"]["issuerURL"]
            provider = f"azure://{azure.first_instance()['id']}"
            client, modules = started.client(), Modules(azure, Path(folder))
            server.install(client, server.definitions())
            create(client, objects(size, identities(azure, issuer, size), provider))
            info = server.Runner(started, "workload_identity_info", modules.environment)
            made: dict[int, list[Planned]] = {}
            for pods in (size.templates, size.pods):
                server.until("every pod is there", partial(has_pods, client, pods), STARTED_WITHIN)
                made[pods] = [plan(started, modules, info) for _round in range(ROUNDS)]
                scale(client, size)
        finally:
            azure.close()
    check(size, made)
    told = {
        pods: {"s": [one.seconds for one in several], **{name: getattr(several[0], name) for name in COUNTED}}
        for pods, several in made.items()
    }
    print(json.dumps(told))


COUNTED = ("requests", "dry_runs", "azure")


def without_replicas(plan: dict[str, Any]) -> dict[str, Any]:
    """How many pods a workload is to have is told of it."""
    templates = [{**each, "rollout": {**each["rollout"], "replicas": None}} for each in plan["templates"]]
    return {**plan, "templates": templates}


def check(size: Size, made: dict[int, list[Planned]]) -> None:
    """Whether it is the plan of this cluster, made by one list for each kind, one request for each identity, and two
    dry runs for each template; and the same whatever the number of pods."""
    few, many = (several[-1] for several in made.values())
    if without_replicas(few.plan) != without_replicas(many.plan) or (few.requests, few.azure) != (
        many.requests,
        many.azure,
    ):
        raise RuntimeError("the plan, or the number of its requests, depends on the number of pods")
    told = many.plan["summary"]
    if (told["templates"], told["needs"], told["identities"]) != (size.templates, size.templates, size.identities):
        raise RuntimeError(f"this came to {told}")
    if many.lists or many.azure != size.identities + 1 or many.dry_runs != 2 * size.templates:
        raise RuntimeError(f"lists {many.lists}, {many.azure} requests to Azure, {many.dry_runs} dry runs")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
