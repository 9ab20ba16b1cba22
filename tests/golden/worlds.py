# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worlds of the golden record. They are its own, so that what becomes of other tests does not change it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    MUTATING_WEBHOOK_CONFIGURATION,
    NAMESPACE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from ansible_collections.azureops.pod_identity.tests.golden import plays
from ansible_collections.azureops.pod_identity.tests.golden.plays import IDENTITIES, MIC_CREDENTIAL, SHOP
from ansible_collections.azureops.pod_identity.tests.golden.recording import Raw
from ansible_collections.azureops.pod_identity.tests.golden.site import OPERATOR, Site, put
from ansible_collections.azureops.pod_identity.tests.kube import migration_nodes, migration_site
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity as webhook
from azsandbox.azure.state import CLUSTER

CHART = "aad-pod-identity"
CARRIER = {"resource_group": "rg", "cluster_name": "demo"}
NAMED: Raw = {
    "pod_identity_cluster_name": "demo",
    "pod_identity_resource_group": "rg",
    "pod_identity_location": "westeurope",
    "pod_identity_cluster_poll_interval": 1,
}


def empty(site: Site) -> None:
    """An empty subscription."""
    site.variables.update(NAMED)


def bare(site: Site) -> None:
    """A cluster without AAD Pod Identity, with a namespace and two identities, one of which its scale set carries."""
    empty(site)
    for name in site.servers:
        site.azure.cluster(name=name)
        put(site.servers[name].client(), NAMESPACE, None, SHOP)
    identity(site, "billing")
    attach(site, identity(site, "foreign")["id"])


def chart(site: Site, release: str = CHART, namespace: str = "default", **values: Any) -> None:
    """The chart, as its user installs it; its programs never run."""
    given = {"adminsecret": MIC_CREDENTIAL, **values}
    options = [word for name, value in given.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
    site.server.helm("install", release, "CHART", "--namespace", namespace, "--create-namespace", *options)


def demo(site: Site) -> None:
    """The chart with an identity for the pods of a workload; what was assigned has its node no more, nor its MIC."""
    bare(site)
    chart(site)
    billing = identity(site, "billing")
    attach(site, billing["id"])
    pair(site.client, SHOP, "billing", billing, labels=marks("shop"))
    agents, spec = {"labels": marks("shop")}, {"podLabels": {"app": "agent"}}
    put(site.client, AZURE_POD_IDENTITY_EXCEPTION, SHOP, "agents", spec=spec, metadata=agents)
    assigned(site.client, SHOP, "billing", billing)
    grant(site, billing["id"], "Managed Identity Operator")


def used(site: Site) -> None:
    """The same with a workload that selects the identity."""
    demo(site)
    workload(site.client, SHOP, "api", "billing")


def addon(site: Site) -> None:
    """The add-on of AKS with an identity and an exception."""
    bare(site)
    entry = {"name": "billing", "namespace": SHOP, "identity": identity(site, "billing")["id"]}
    exception = {"name": "agents", "namespace": SHOP, "pod_labels": {"app": "agent"}}
    options = {"enabled": True, "poll_interval": 0.1, "restore_timeout": 0}
    site.modules.succeed("aks_pod_identity", **CARRIER, **options, identities=[entry], exceptions=[exception])


def namespaced(site: Site) -> None:
    """The chart in namespaced mode, with an identity of the same name in two namespaces."""
    bare(site)
    chart(site, forceNamespaced="true")
    for namespace in (SHOP, "store"):
        if namespace != SHOP:
            put(site.client, NAMESPACE, None, namespace)
        pair(site.client, namespace, "billing", identity(site, "billing"), labels=marks("shop"))
        workload(site.client, namespace, "api", "billing")


def others(site: Site) -> None:
    """Somebody else has installed the chart under another name, for identities that are his."""
    bare(site)
    put(site.client, NAMESPACE, None, "platform")
    chart(site, release="theirs", namespace="platform", installMICException=False)
    foreign = identity(site, "foreign")
    pair(site.client, "platform", "foreign", foreign)
    workload(site.client, "platform", "collector", "foreign")


def broken(site: Site) -> None:
    """A release that helm did not finish, no MIC, two bindings of one selector, one of which names what is missing, a
    wrong client id, and an identity that is gone in Azure while the scale set carries it."""
    used(site)
    client = site.client
    client.delete(DEPLOYMENT, "default", f"{CHART}-mic")
    put(client, AZURE_IDENTITY_BINDING, SHOP, "second", spec={"azureIdentity": "missing", "selector": "billing"})
    gone = identity(site, "gone")
    attach(site, gone["id"])
    site.names[gone["properties"]["clientId"]] = "CLIENT(gone)"
    site.azure.arm("DELETE", gone["id"]).raise_for_status()
    spec = {"type": 0, "resourceID": gone["id"], "clientID": "00000000-0000-4000-8000-000000000001"}
    put(client, AZURE_IDENTITY, SHOP, "gone", spec=spec)
    put(client, AZURE_IDENTITY_BINDING, SHOP, "gone", spec={"azureIdentity": "gone", "selector": "gone"})
    workload(client, SHOP, "late", "gone")


def pending(site: Site) -> None:
    """An upgrade of the release began and never ended."""
    demo(site)
    (secret,) = site.client.list_all(SECRET, "default", labels="owner=helm")
    name = secret["metadata"]["name"].removesuffix(".v1") + ".v2"
    labels = {**secret["metadata"]["labels"], "status": "pending-upgrade", "version": "2"}
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    release["version"] = 2
    release["info"]["status"] = labels["status"]
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    metadata = {"labels": labels}
    put(site.client, SECRET, "default", name, metadata=metadata, type=secret["type"], data={"release": packed})


def leftover(site: Site) -> None:
    """AAD Pod Identity is gone; the scale set carries what it attached, and what somebody else did."""
    bare(site)
    attach(site, identity(site, "billing")["id"], identity(site, "old")["id"])


def saved(site: Site) -> None:
    """What a removal wrote down is missing: a release, a role of the nodes, the objects."""
    demo(site)
    group = f"/subscriptions/{site.azure.subscription_id}/resourceGroups/MC_rg_demo_westeurope"
    grant(site, group, "Virtual Machine Contributor")
    removed(site)


def addon_saved(site: Site) -> None:
    """The add-on was switched off."""
    addon(site)
    removed(site)


def removed(site: Site) -> None:
    """By the playbook; its bundle is what is restored."""
    before = dict(site.variables)
    plays.uninstall(site)
    site.succeed()
    (name,) = [each["metadata"]["name"] for each in site.client.list_all(SECRET, SHOP)]
    bundle = {"pod_identity_restore_bundle": f"secret:{SHOP}/{name}", "pod_identity_restore_accept": ["unverified"]}
    site.variables = {**before, **bundle}


def nothing_permitted(site: Site) -> None:
    """A cluster with the chart, for somebody without a role in Azure or a right in the cluster."""
    used(site)
    site.log_in(site.azure.principal("nobody"))
    site.restrict()


def reader(site: Site) -> None:
    """A cluster with the chart, for somebody who may read all of Azure, and everything in the cluster."""
    used(site)
    site.log_in(site.azure.principal("reader", ("Reader", f"/subscriptions/{site.azure.subscription_id}")))


def cluster_user(site: Site) -> None:
    """A cluster with the chart, for the owner of the subscription, whom the cluster permits nothing."""
    used(site)
    site.restrict()


# workloads that move


def moving(site: Site) -> None:
    """Two workloads of one identity on a node, one of which has the service account default; Workload ID works."""
    bare(site)
    client, azure = site.client, site.azure
    site.ends.enter_context(webhook.running(site.server))
    node = site.ends.enter_context(migration_nodes.running(site.server, azure, site.folder))
    chart(site)
    money = identity(site, "money")
    attach(site, money["id"])
    node.client_ids[SHOP] = money["properties"]["clientId"]
    spec = {"type": 0, "resourceID": money["id"], "clientID": money["properties"]["clientId"]}
    put(client, AZURE_IDENTITY, SHOP, "money", spec=spec)
    put(client, AZURE_IDENTITY_BINDING, SHOP, "money", spec={"azureIdentity": "money", "selector": SHOP})
    _rights(client)
    for name, account in (("plain", "default"), ("web", "web")):
        if account != "default":
            put(client, SERVICE_ACCOUNT, SHOP, account)
        workload(client, SHOP, name, SHOP, account)
    server.until("the workloads run", lambda: _all_run(client))

    def enable() -> None:
        for found in azure.server.azure.state.all(CLUSTER):
            found.properties["oidcIssuerProfile"] = {"enabled": True, "issuerURL": site.compute.of(found.id).url}

    azure.in_loop(enable)


def half_migrated(site: Site) -> None:
    """Both have been switched, and none has left AAD Pod Identity."""
    moving(site)
    before = dict(site.variables)
    plays.migrate(site, until="switch", confirm="demo")
    site.succeed()
    site.variables = before


def _rights(client: Client) -> None:
    """Of the service account default."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": SHOP}]
    put(client, SERVICE_ACCOUNT, SHOP, "default")
    put(client, ROLE_BINDING, SHOP, "reads", roleRef=role, subjects=subjects)
    put(client, CLUSTER_ROLE_BINDING, None, "reads", roleRef={**role, "name": "system:discovery"}, subjects=subjects)


def _all_run(client: Client) -> bool:
    found = client.list_all(DEPLOYMENT, SHOP)
    return bool(found) and all((each.get("status") or {}).get("availableReplicas") == 1 for each in found)


# two clusters


def two_clusters(site: Site) -> None:
    """Each has the same two workloads of one identity, one of which belongs to a helm release."""
    bare(site)
    money = identity(site, "money")
    attach(site, money["id"])
    first = site.server
    site.ends.enter_context(webhook.running(first))
    for name, one in site.servers.items():
        client = one.client()
        server.install(client, server.definitions())
        spec = {"type": 0, "resourceID": money["id"], "clientID": money["properties"]["clientId"]}
        put(client, AZURE_IDENTITY, SHOP, "money", spec=spec)
        put(client, AZURE_IDENTITY_BINDING, SHOP, "money", spec={"azureIdentity": "money", "selector": SHOP})
        for each in ("api", "web"):
            put(client, SERVICE_ACCOUNT, SHOP, each)
            workload(client, SHOP, each, SHOP, each)
        if one is not first:
            entry = webhook.entry(first)
            put(client, MUTATING_WEBHOOK_CONFIGURATION, None, webhook.CONFIGURATION, webhooks=[entry])
        site.names[one.url] = f"ISSUER({name})"

    def enable() -> None:
        for found in site.azure.server.azure.state.all(CLUSTER):
            found.properties["oidcIssuerProfile"] = {"enabled": True, "issuerURL": site.compute.of(found.id).url}

    site.azure.in_loop(enable)
    python = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    local = {**python, "pod_identity_resource_group": "rg"}
    hosts = {
        name: {
            **local,
            "pod_identity_cluster_name": name,
            "pod_identity_kubeconfig": site.servers[name].kubeconfig(OPERATOR),
        }
        for name in site.servers
    }
    path = site.folder / "clusters.json"
    path.write_text(json.dumps({"clusters": {"hosts": hosts}}))
    site.arguments = ("-i", str(path))
    site.variables = {"pod_identity_hosts": "clusters"}


# parts


def identity(site: Site, name: str) -> Raw:
    answer = site.azure.arm("PUT", f"{IDENTITIES}/{name}", {"location": "westeurope"})
    answer.raise_for_status()
    return dict(answer.json())


def attach(site: Site, *resources: str) -> None:
    for each in resources:
        migration_site.attach(site.azure, each)


def grant(site: Site, scope: str, role: str) -> None:
    """A role for the identity of the kubelets."""
    (cluster,) = site.modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
    site.modules.succeed(
        "role_assignment", scope=scope, role=role, principal_id=cluster["kubelet_identity"]["object_id"]
    )


def pair(client: Client, namespace: str, name: str, of: Raw, **metadata: Any) -> None:
    spec = {"type": 0, "resourceID": of["id"], "clientID": of["properties"]["clientId"]}
    put(client, AZURE_IDENTITY, namespace, name, spec=spec, metadata=metadata)
    binding = {"azureIdentity": name, "selector": name}
    put(client, AZURE_IDENTITY_BINDING, namespace, name, spec=binding, metadata=metadata)


def assigned(client: Client, namespace: str, name: str, of: Raw) -> None:
    """To a pod that is gone with its node."""

    def reference(kind: Any, spec: Raw) -> Raw:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}

    spec = {
        "azureIdentityRef": reference(
            AZURE_IDENTITY, {"type": 0, "resourceID": of["id"], "clientID": of["properties"]["clientId"]}
        ),
        "azureBindingRef": reference(AZURE_IDENTITY_BINDING, {"azureIdentity": name, "selector": name}),
        "pod": "api",
        "podNamespace": namespace,
        "nodename": "gone",
    }
    metadata = {"finalizers": [FINALIZER]}
    put(client, AZURE_ASSIGNED_IDENTITY, "default", f"api-{name}", spec=spec, metadata=metadata)


def workload(client: Client, namespace: str, name: str, selector: str, account: str = "") -> None:
    labels = {"app": name, "aadpodidbinding": selector}
    pod: Raw = {"containers": [{"name": "app", "image": "app"}]}
    if account:
        pod["serviceAccountName"] = account
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    put(client, DEPLOYMENT, namespace, name, spec=spec)
