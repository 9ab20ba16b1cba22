# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters of different shape in which nothing is wrong. Each function leaves everything running, and pods served."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube.worlds import OTHER_TEAM, TEAM, World

Make = Callable[[World], None]
HEALTHY: dict[str, Make] = {}


def healthy(make: Make) -> Make:
    HEALTHY[make.__name__] = make
    return make


@healthy
def usual(world: World) -> None:
    world.start()
    world.workload()
    world.settled()


@healthy
def managed_mode(world: World) -> None:
    """No MIC: people put the identities on the nodes."""
    world.values |= {"operationMode": "managed", "forceNamespaced": "true"}
    world.start()
    world.workload()
    world.give("web")
    world.settled()


@healthy
def namespaced(world: World) -> None:
    """Two teams, with identities of the same name and label."""
    world.values["forceNamespaced"] = "true"
    world.start()
    world.workload()
    made = world.managed_identity("billing-web")
    world.bind("web", OTHER_TEAM, "web", resource_id=made["id"], client_id=made["properties"]["clientId"])
    pod = world.deployment("web", OTHER_TEAM)[0]
    world.until_assigned(2)
    world.settled()
    world.until_served(pod, OTHER_TEAM)


@healthy
def addon(world: World) -> None:
    world.addon = True
    world.start()
    world.workload()
    world.give("web")
    made = world.managed_identity("web")
    names = {"clientId": made["properties"]["clientId"], "objectId": made["properties"]["principalId"]}
    entry = {"name": "web", "namespace": TEAM, "identity": {"resourceId": made["id"], **names}}
    entry["provisioningState"] = "Assigned"
    profile = {"enabled": True, "userAssignedIdentities": [entry]}
    world.edit(lambda body: body["properties"].update(podIdentityProfile=profile), world.cluster["id"])
    world.settled()


@healthy
def kubenet_allowed(world: World) -> None:
    world.network_plugin = "kubenet"
    world.values["nmi.allowNetworkPluginKubenet"] = "true"
    world.start()
    world.workload()
    world.settled()


@healthy
def windows_nodes_beside(world: World) -> None:
    """Which NMI does not run on, and on which no pod asks for an identity."""
    world.network_plugin = "azure"
    world.more_pools = [{"name": "win1", "count": 1, "mode": "User", "osType": "Windows"}]
    world.start()
    world.workload()
    world.deployment("site", selector=None, node=1, nodeSelector={"kubernetes.io/os": "windows"})
    world.settled()


@healthy
def many_workloads(world: World) -> None:
    """Three hundred, with thirty identities."""
    world.values["mic.clientQps"] = "500"
    world.start()
    world.workload()
    for number in range(30):
        world.identity(f"team{number}")
    for number in range(300):
        world.deployment(f"app{number}", selector=f"team{number % 30}")
    world.until_assigned(301, 120)
    world.settled()


@healthy
def more_identities_than_a_request_takes(world: World) -> None:
    """#813: MIC asks for them in portions."""
    world.values["mic.clientQps"] = "500"
    world.start()
    world.workload()
    for number in range(152):
        world.identity(f"many{number}")
        world.deployment(f"many{number}", selector=f"many{number}")
    world.until_assigned(153, 120)
    world.settled()


@healthy
def workload_id_beside(world: World) -> None:
    world.properties["oidcIssuerProfile"] = {"enabled": True}
    world.start()
    world.workload()
    world.mover()
    world.webhook()
    world.settled()


@healthy
def service_principals(world: World) -> None:
    """Of type 1, in a Secret beside it."""
    world.start()
    world.workload()
    reports = world.azure.principal("reports")
    world.create(kinds.SECRET, "reports", stringData={"clientSecret": reports.secret})
    spec = {
        "type": 1,
        "tenantID": world.azure.tenant_id,
        "adEndpoint": world.azure.endpoints.entra,
        "clientID": reports.client_id,
        "clientPassword": {"namespace": TEAM, "name": "reports"},
    }
    world.create(kinds.AZURE_IDENTITY, "reports", spec=spec)
    world.create(kinds.AZURE_IDENTITY_BINDING, "reports", spec={"azureIdentity": "reports", "selector": "reports"})
    pod = world.deployment("reports", selector="reports")[0]
    world.until_assigned(2)
    world.settled()
    world.until_served(pod)


@healthy
def exceptions(world: World) -> None:
    """A pod with a label that an exception names, which asks for the identity of its node."""
    world.start()
    world.workload()
    world.settled()
    world.create(kinds.AZURE_POD_IDENTITY_EXCEPTION, "agent", spec={"podLabels": {"app": "agent"}})
    pod = world.deployment("agent", selector=None)[0]
    world.until_served(pod, client_id=world.kubelet_client_id)


@healthy
def several_namespaces(world: World) -> None:
    """An identity and a binding of one namespace serve pods of another, as the usual mode allows."""
    world.start()
    world.workload()
    world.identity("shared", OTHER_TEAM)
    pod = world.deployment("shared", selector="shared")[0]
    world.until_assigned(2)
    world.settled()
    world.until_served(pod)


@healthy
def policies_that_allow_nmi(world: World) -> None:
    """#716"""
    world.properties["networkProfile"] = {"networkPolicy": "azure"}
    world.start()
    world.workload()
    world.settled()
    nmi = [{"ipBlock": {"cidr": "127.0.0.1/32"}}]
    egress = [{"to": nmi, "ports": [{"port": 2579, "protocol": "TCP"}]}]
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": egress}
    world.create(kinds.NETWORK_POLICY, "egress", spec=spec)


@healthy
def application_that_names_its_identity(world: World) -> None:
    """Two identities, and a pod that says which."""
    world.start()
    world.workload()
    world.settled()
    pod = world.pod_of()
    client_id = world.managed_identity("web")["properties"]["clientId"]
    world.until_served(pod, client_id=client_id)
