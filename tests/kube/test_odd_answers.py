# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is answered to a read in the place of the API server, no write follows it, and nothing counts as absent.

The matrix: each read of each scenario, taken from the log, and each odd answer. Reads before the first write have the
writes refused, so that a run leaves to the next what it has found; for reads behind it everything is made anew.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import changes
from ansible_collections.azureops.pod_identity.tests.kube.changes import CLIENT_ID, ID, Options, World
from ansible_collections.azureops.pod_identity.tests.kube.objects import call
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Instead, instead
from ansible_collections.azureops.pod_identity.tests.kube.server_answers import ODD
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import fixed as fixed_set
from ansible_collections.azureops.pod_identity.tests.support import forged_release, odd_answers
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, RESTRICTED, ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.azure_changes import World as AzureWorld
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import Ended, Read, Tolerated
from azsandbox.azure.loopback import SimulatedAzure

SPEC = {"type": 0, "resourceID": ID, "clientID": CLIENT_ID}
NAME = "billing"
SUBSCRIPTION = "/subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b"
CLUSTER = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/shop"
ANSWER_WITHIN = 3
"""Seconds until an answer that does not come is given up, at least: on a slow machine as long as a whole run took."""
LONGEST = 150
"""Requests of a run; more are a circle."""


# what is there before each task


def nothing(world: World) -> None:
    pass


def an_identity(world: World) -> None:
    world.create(kinds.AZURE_IDENTITY, NAME, metadata={"labels": marks("odd")}, spec=SPEC)


def a_pair(world: World) -> None:
    an_identity(world)
    spec = {"azureIdentity": NAME, "selector": world.namespace}
    world.create(kinds.AZURE_IDENTITY_BINDING, NAME, metadata={"labels": marks("odd")}, spec=spec)


def a_pod_of_the_pair(world: World) -> None:
    a_pair(world)
    labels = {"aadpodidbinding": world.namespace}
    spec = {"nodeName": world.namespace, "containers": [{"name": "app", "image": "app"}]}
    world.create(kinds.POD, "api", metadata={"labels": labels}, spec=spec)
    assigned(world)


def assigned(world: World, name: str = NAME) -> None:
    place = {"apiVersion": kinds.AZURE_IDENTITY.api_version, "metadata": {"name": name, "namespace": world.namespace}}
    binding = {"azureIdentity": name, "selector": world.namespace}
    spec = {
        "azureIdentityRef": {**place, "kind": "AzureIdentity", "spec": SPEC},
        "azureBindingRef": {**place, "kind": "AzureIdentityBinding", "spec": binding},
        "pod": "api",
        "podNamespace": world.namespace,
        "nodename": "n1",
    }
    world.create(kinds.AZURE_ASSIGNED_IDENTITY, f"api-{world.namespace}-{name}", spec=spec)


def two_assigned_pairs(world: World) -> None:
    """To a pod that is gone, so that nobody has to assign them again."""
    world.run(BINDING, **two_pairs(world.namespace)).ok()
    for name in ("a", "b"):
        assigned(world, name)


def two_pairs(namespace: str, **options: Any) -> Options:
    entries = [{"name": name, "selector": f"{namespace}-{name}", **PAIR} for name in ("a", "b")]
    return {"namespace": namespace, "bindings": [{**entry, **options} for entry in entries]}


def an_exception(world: World) -> None:
    metadata = {"labels": marks("odd")}
    world.create(kinds.AZURE_POD_IDENTITY_EXCEPTION, NAME, metadata=metadata, spec={"podLabels": {"app": "a"}})


def a_service_principal(world: World) -> None:
    world.run("azure_identity_binding", **_of("pair-of-a-secret").options(world.namespace)).ok()


def a_foreign_lease(world: World) -> None:
    """Of a run that is over."""
    spec = {
        "holderIdentity": "boot/1/1/1",
        "leaseDurationSeconds": 1,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
    }
    world.create(kinds.LEASE, "odd", spec=spec)


def a_bundle(world: World) -> None:
    place = f"secret:{world.namespace}/{NAME}"
    world.run("pod_identity_bundle", place=place, content=content(), owner="odd").ok()


def content(name: str = NAME) -> str:
    entries = [{"name": name, "namespace": NAME, "identity": ID}]
    return json.dumps(
        {"cluster": CLUSTER, "objects": [], "releases": [], "addon": {"identities": entries}, "secrets": []}
    )


def a_release(world: World) -> None:
    """Of the chart, with a record that names APIs that this API server does not have any more."""
    values = f"nameOverride={world.namespace},installMICException=false,mic.podDisruptionBudget.minAvailable=1"
    world.api_server.helm("install", "real", "CHART", "--namespace", world.namespace, "--set", values)


def an_old_release(world: World) -> None:
    a_release(world)
    (real,) = world.client.list_all(kinds.SECRET, world.namespace, labels="owner=helm")
    record = forged_release.of(real)
    old = {**record, "manifest": record["manifest"].replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n")}
    assert old != record
    world.client.merge(kinds.SECRET, world.namespace, real["metadata"]["name"], {"data": forged_release.packed(old)})


def a_webhook_of_workload_id(world: World) -> None:
    """And a Deployment, for whose pods it is asked."""
    mark = {"azure-workload-identity.io/system": "true"}
    certificate = {"name": "certificate", "secret": {"secretName": NAME}}
    pod = {"containers": [{"name": "app", "image": "app"}], "volumes": [certificate]}
    template = {"metadata": {"labels": mark}, "spec": pod}
    world.create(kinds.DEPLOYMENT, NAME, spec={"selector": {"matchLabels": mark}, "template": template})
    world.create(kinds.SECRET, NAME, data={"tls.crt": ""})
    subset = {"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 443}]}
    world.create(kinds.ENDPOINTS, NAME, subsets=[subset])
    entry = {
        "name": "mutation.azure-workload-identity.io",
        "clientConfig": {"service": {"namespace": world.namespace, "name": NAME}},
        "objectSelector": {"matchLabels": {"azure.workload.identity/use": "true"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    world.create_of_all(kinds.MUTATING_WEBHOOK_CONFIGURATION, world.namespace, webhooks=[entry])


MIC_ROLE = "aad-pod-id-mic-role"


def remains_of_mic(world: World) -> None:
    account = {"kind": "ServiceAccount", "namespace": world.namespace, "name": "aad-pod-id-mic-service-account"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": MIC_ROLE}
    rules = [{"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["*"]}]
    world.create(kinds.SERVICE_ACCOUNT, account["name"])
    world.create(kinds.CONFIG_MAP, residue.SETTINGS)
    world.create_of_all(kinds.CLUSTER_ROLE, MIC_ROLE, rules=rules)
    world.create_of_all(kinds.CLUSTER_ROLE_BINDING, MIC_ROLE, roleRef=reference, subjects=[account])


def a_mic(world: World) -> None:
    """As the manifests of the project install it."""
    remains_of_mic(world)
    labels = {"component": "mic", "k8s-app": "aad-pod-id"}
    image = "mcr.microsoft.com/oss/azure/aad-pod-identity/mic:v1.8.17"
    pod = {"containers": [{"name": "mic", "image": image}], "serviceAccountName": "aad-pod-id-mic-service-account"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    world.create(kinds.DEPLOYMENT, "mic", spec={"selector": {"matchLabels": labels}, "template": template})


def a_node(world: World) -> None:
    world.create_of_all(kinds.NODE, world.namespace, spec={"providerID": f"azure://{SUBSCRIPTION}/{world.namespace}"})
    world.create(kinds.POD, "api", spec={"nodeName": world.namespace, "containers": [{"name": "app", "image": "app"}]})


def a_pod_of_the_pair_on_a_node(world: World) -> None:
    a_pod_of_the_pair(world)
    world.create_of_all(kinds.NODE, world.namespace, spec={"providerID": f"azure://{SUBSCRIPTION}/{world.namespace}"})


def _of(name: str) -> changes.Case:
    return changes.CASES[name]


@dataclass(frozen=True)
class Scenario:
    """A task that removes or changes something, or tells what is there."""

    module: str
    options: Callable[[str], Options]
    prepare: Callable[[World], None] = nothing
    tells: str = ""
    """The key of its result, where it only looks."""
    file: bool = False
    """Whether what it writes is a file, at its option `path`."""
    token: str = ADMIN
    azure: Callable[[SimulatedAzure, World], Options] | None = None
    """What there is in Azure, with further options, for modules that ask both."""


def kept(name: str) -> Callable[[str], Options]:
    """A bundle with an identity of that name, to a Secret."""
    return lambda namespace: {"place": f"secret:{namespace}/{NAME}", "content": content(name), "owner": "odd"}


def an_addon(azure: SimulatedAzure, world: World) -> Options:
    """With one entry, of the cluster whose API server is the real one."""
    made = azure_world(azure).identity("one")
    entry = {
        "name": "web",
        "namespace": world.namespace,
        "identity": {"resourceId": made, "clientId": "c", "objectId": "o"},
    }
    azure.cluster(name="demo", podIdentityProfile={"enabled": True, "userAssignedIdentities": [entry]})
    return of_this_server(azure)


def credentials_of_the_cluster(azure: SimulatedAzure, world: World) -> Options:
    """One, of a service account that does not exist."""
    made = azure_world(azure).identity("one")
    issuer = azure.cluster(name="demo", oidcIssuerProfile={"enabled": True})["properties"]["oidcIssuerProfile"]
    trust = {
        "issuer": issuer["issuerURL"],
        "subject": f"system:serviceaccount:{world.namespace}:web",
        "audiences": ["a"],
    }
    azure.arm("PUT", f"{made}/federatedIdentityCredentials/web", {"properties": trust}).raise_for_status()
    return of_this_server(azure)


def nodes_of_the_cluster(azure: SimulatedAzure, world: World) -> Options:
    azure.cluster(name="demo")
    world.create_of_all(kinds.NODE, world.namespace, spec={"providerID": f"azure://{azure.first_instance()['id']}"})
    return of_this_server(azure)


def azure_world(azure: SimulatedAzure) -> AzureWorld:
    made = AzureWorld(azure, Modules(azure, azure.ca_file.parent))
    made.group("rg")
    return made


def of_this_server(azure: SimulatedAzure) -> Options:
    call(azure, "127.0.0.1")
    return {"resource_group": "rg", "cluster_name": "demo"}


def fixed(**options: Any) -> Callable[[str], Options]:
    return lambda _namespace: options


def placed(**options: Any) -> Callable[[str], Options]:
    return lambda namespace: {
        name: value.format(namespace) if isinstance(value, str) else value for name, value in options.items()
    }


def lists(**options: Any) -> Callable[[str], Options]:
    return lambda namespace: {**options, "namespace": namespace, "owner": "odd"}


BINDING = "azure_identity_binding"
EXCEPTION = "azure_pod_identity_exception"
PAIR = {"resource_id": ID, "client_id": CLIENT_ID}
OTHER_ID = "33333333-1111-4111-8111-111111111111"
WAIT: Options = {"wait_timeout": 5, "wait_sleep": 1}
REMOVAL: Options = {"owner": "odd", **WAIT}
FURTHER: dict[str, Scenario] = {
    "pairs-purged": Scenario(BINDING, lists(bindings=[], purge_bindings=True, purge_allow_empty=True), a_pair),
    "pairs-listed": Scenario(BINDING, two_pairs, a_pair),
    "pairs-in-batches": Scenario(
        BINDING, lambda namespace: {**two_pairs(namespace, client_id=OTHER_ID), "batch": 1, **WAIT}, two_assigned_pairs
    ),
    "pair-waited": Scenario(BINDING, placed(name=NAME, namespace="{}", selector="{}", wait=True, **PAIR, **WAIT)),
    "pair-gone-waited": Scenario(
        BINDING, placed(name=NAME, namespace="{}", owner="odd", state="absent", wait=True, **WAIT), a_pair
    ),
    "pair-in-use-gone": Scenario(
        BINDING, placed(name=NAME, namespace="{}", owner="odd", state="absent", allow_in_use=True), a_pod_of_the_pair
    ),
    "pair-adopted": Scenario(
        BINDING, placed(name=NAME, namespace="{}", selector="{}-b", owner="others", adopt=True), a_pod_of_the_pair
    ),
    "password-changed": Scenario(
        BINDING,
        lambda namespace: {**_of("pair-of-a-secret").options(namespace), "client_password": "planted-8d3f"},
        a_service_principal,
    ),
    "exceptions-purged": Scenario(
        EXCEPTION, lists(exceptions=[], purge_exceptions=True, purge_allow_empty=True), an_exception
    ),
    "account-replaced": Scenario(
        "workload_identity_service_account",
        placed(name="web", namespace="{}", client_id=OTHER_ID, override_client_id=True),
        _of("account-as-before").prepare,
    ),
    "lease-taken-over": Scenario(
        "cluster_lease", placed(name="odd", namespace="{}", holder="a", process="boot/2/2/2"), a_foreign_lease
    ),
    "object-gone-waited": Scenario(
        "kubernetes_object",
        placed(
            kind="AzureIdentity",
            api_version=kinds.AZURE_IDENTITY.api_version,
            name=NAME,
            namespace="{}",
            state="absent",
            wait=True,
            wait_timeout=5,
        ),
        an_identity,
    ),
    "secret-overwritten": Scenario(
        "kubernetes_object", placed(kind="Secret", name=NAME, namespace="{}", data={"bundle.json": "e30="}), a_bundle
    ),
    "bundle": Scenario("pod_identity_bundle", kept(NAME)),
    "bundle-over-another": Scenario("pod_identity_bundle", kept("other"), a_bundle),
    "removed-identities": Scenario("pod_identity_removal", fixed(parts=["identities"], **REMOVAL), an_identity),
    "removed-exceptions": Scenario("pod_identity_removal", fixed(parts=["exceptions"], **REMOVAL), an_exception),
    "removed-definitions": Scenario("pod_identity_removal", fixed(parts=["definitions"], **REMOVAL)),
    "removed-remains": Scenario(
        "pod_identity_removal", fixed(parts=["remains"], **{**REMOVAL, "scope": "all"}), remains_of_mic
    ),
    "removed-programs": Scenario(
        "pod_identity_removal", fixed(parts=["programs"], **{**REMOVAL, "scope": "all"}), a_mic
    ),
    "repaired-record": Scenario(
        "pod_identity_removal",
        lambda namespace: {**REMOVAL, "parts": ["records"], "scope": "all", "release_namespaces": [namespace]},
        an_old_release,
    ),
    "inventory-file": Scenario("pod_identity_info", fixed(audit=True), a_pod_of_the_pair, file=True),
    "probe": Scenario(
        "pod_token_info", placed(namespace="{}", selector="{}", node="{}", start_timeout=2), a_pod_of_the_pair_on_a_node
    ),
    "probe-of-a-node": Scenario("imds_answer_info", placed(node="{}", namespace="{}", start_timeout=2), a_node),
}
FURTHER_OF_BOTH = {
    "addon-entry-in-use": Scenario(
        "aks_pod_identity",
        placed(name="web", namespace="{}", state="absent", poll_interval=0.1),
        a_node,
        azure=an_addon,
    )
}
LOOKS: dict[str, Scenario] = {
    "nodes": Scenario("aks_node_info", fixed(), a_node, "nodes"),
    "nodes-of-a-cluster": Scenario("aks_node_info", fixed(), tells="nodes", azure=nodes_of_the_cluster),
    "credentials-checked": Scenario(
        "federated_identity_credential_info",
        fixed(identity_name="one", cluster_resource_group="rg", check_service_accounts=True),
        tells="findings",
        azure=credentials_of_the_cluster,
    ),
    "access": Scenario(
        "access_review_info",
        placed(needs=[{"resource": "secrets", "verbs": ["list"], "namespace": "default"}]),
        tells="missing",
        token=RESTRICTED,
    ),
    "object": Scenario(
        "kubernetes_object_info",
        placed(kind="AzureIdentity", api_version=kinds.AZURE_IDENTITY.api_version, name=NAME, namespace="{}"),
        an_identity,
        "resources",
    ),
    "objects": Scenario(
        "kubernetes_object_info",
        placed(kind="AzureIdentity", api_version=kinds.AZURE_IDENTITY.api_version, namespace="{}"),
        an_identity,
        "resources",
    ),
    "installations": Scenario("nmi_info", fixed(), a_release, "installations"),
    "webhook": Scenario(
        "workload_identity_webhook_info",
        lambda namespace: {"templates": [{"kind": "Deployment", "namespace": namespace, "name": NAME}]},
        a_webhook_of_workload_id,
        "webhooks",
    ),
    "soak": Scenario(
        "workload_identity_soak_info",
        lambda namespace: {"workloads": [{"kind": "Deployment", "namespace": namespace, "name": NAME}]},
        a_webhook_of_workload_id,
        "soaks",
    ),
    "pods-of-a-node": Scenario("node_pods_info", placed(node="{}"), a_node, "pods"),
    "bundle": Scenario(
        "pod_identity_bundle_info",
        placed(source="secret:{}/" + NAME, cluster_id=CLUSTER, node_resource_group="MC"),
        a_bundle,
        "bundle",
    ),
    "bundles": Scenario(
        "pod_identity_bundle_info", placed(target="secret:{}/" + NAME, cluster_id=CLUSTER), a_bundle, "bundles"
    ),
    "inventory": Scenario("pod_identity_info", fixed(), a_pod_of_the_pair, "workloads"),
    "audit": Scenario("pod_identity_info", fixed(audit=True), a_release, "residue"),
    "release": Scenario(
        "pod_identity_release_info", placed(release_name="real", release_namespace="{}"), a_release, "exists"
    ),
    "removal": Scenario("pod_identity_removal_info", fixed(), a_pod_of_the_pair, "objects"),
    "removal-release": Scenario(
        "pod_identity_removal_info", lambda namespace: {"release_namespaces": [namespace]}, a_release, "releases"
    ),
}
SCENARIOS: dict[str, Scenario] = {
    **{name: Scenario(case.module, case.options, case.prepare) for name, case in changes.CASES.items()},
    **FURTHER,
    **FURTHER_OF_BOTH,
    **{f"look {name}": scenario for name, scenario in LOOKS.items()},
}
ELSEWHERE = {
    "pod_identity_diagnosis_info": "what it could not read is a result: test_pod_identity_diagnosis_info.py",
    "workload_identity_info": "what it could not read is a result: test_workload_identity_info.py",
    "cluster_connection": "it writes down how to connect, and asks nobody",
    "federated_identity_credential": "it asks for tokens of service accounts after its writes only",
    "application_federated_credential": "as federated_identity_credential",
    "federated_identity_exchange_info": "it asks for tokens only: test_federated_identity_exchange_info.py (wire)",
}
"""Modules that ask an API server, and are not among the scenarios here, with the reason."""
READS_BEHIND = (
    "account-made",
    "pairs-in-batches",
    "pair-waited",
    "pair-gone-waited",
    "object-gone-waited",
    "bundle",
    "bundle-over-another",
    "removed",
    "removed-identities",
    "removed-exceptions",
    "removed-definitions",
    "removed-remains",
    "removed-programs",
    "probe",
    "probe-of-a-node",
)
"""The scenarios that read behind their first write."""
TOLERATED: tuple[Tolerated, ...] = (
    Tolerated(
        "pod_identity_removal",
        r"^GET /apis/policy/v1beta1$",
        "that the server does not serve it is proved by its list of groups, which is read next",
        goes_on=True,
        answers="404.*",
        scenario="repaired-record",
    ),
    Tolerated(
        "workload_identity_service_account",
        r"^DELETE \S+/rolebindings/",
        "it is no list, and that the object can be deleted still stands in it",
        goes_on=True,
        answers="circle",
    ),
    Tolerated(
        "aks_node_info",
        r"^GET /api/v1/nodes\b",
        "the nodes are those of the scale sets then, of which Azure tells",
        goes_on=True,
        scenario="look nodes-of-a-cluster",
        unread=r"^Cannot list (nodes|Node): |^The API server \S+ cannot be reached: ",
    ),
    Tolerated(
        "aks_node_info",
        r"^GET /apis/apps/v1/daemonsets\b",
        "the state of NMI on each node is unknown then, so it does not count as absent",
        goes_on=True,
        unread=r"^Cannot list (daemonsets\.apps|DaemonSet): |^The API server \S+ cannot be reached: ",
    ),
    Tolerated(
        "aks_node_info",
        r"^GET /apis(/cilium\.io/v2/ciliumnodes\b|$)",
        "few clusters have this kind, and what AKS's own monitor found only adds to what is known",
        goes_on=True,
    ),
)
ONLY_WITHOUT_A_POD = re.compile(r"/events\?")
"""What is read of a Job until it has its pod, which the first look may see already."""
TAKEN_AWAY = re.compile(r"DELETE .*/jobs/pod-identity-probe-$")
"""What was made only to look goes in any case."""


class Matrix:
    """One scenario, through a proxy."""

    def __init__(
        self,
        world: World,
        proxy: Instead,
        name: str,
        folder: Path,
        azure: SimulatedAzure | None = None,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        self.scenario, self.proxy, self.world = SCENARIOS[name], proxy, world
        self.name, self.folder = name, folder
        self.file = folder / "written"
        self.kubeconfig = folder / "kubeconfig"
        self.scenario.prepare(world)
        self.options = dict(self.scenario.options(world.namespace))
        if self.scenario.file:
            self.options["path"] = str(self.file)
        self.kubeconfig.write_bytes(Path(world.api_server.kubeconfig(self.scenario.token, proxy.url)).read_bytes())
        self.variables: dict[str, str] = {}
        self.answer_within = answer_within
        self.modules: Modules | None = None
        if azure and self.scenario.azure:
            self.modules = Modules(azure, folder)
            self.options = {**self.scenario.azure(azure, world), **self.options}
            self.modules.refuse_writes()
            self.variables = self.modules.environment

    def anew(self) -> Matrix:
        """The same where everything is made again."""
        clear(self.world)
        self.world.begin()
        return Matrix(self.world, self.proxy, self.name, self.folder, answer_within=self.answer_within)

    def run(self, read: Read | None = None, odd: str = "204") -> tuple[Ended, list[Read]]:
        """How it ended, and what it had read."""
        self.file.unlink(missing_ok=True)
        self.proxy.begin(read, ODD[odd])
        mark = self.modules.mark() if self.modules else 0
        within = {"ANSWER_WITHIN": str(self.answer_within)} if odd == "hang" else {}
        runner = Runner(self.world.api_server, self.scenario.module, {**self.variables, **within})
        began = time.monotonic()
        outcome = runner(**self.options, kubeconfig=str(self.kubeconfig))
        if read is None:
            self.answer_within = max(self.answer_within, time.monotonic() - began)
        assert "Traceback" not in outcome.output
        assert len(self.proxy.requests) < LONGEST, f"it goes on and on: {self.proxy.requests[-1]}"
        wrote = [
            *self.proxy.writes[self.proxy.writes_before :],
            *(self.modules.writes(mark) if self.modules else ()),
            *([f"write {self.file}"] if self.file.exists() else ()),
        ]
        told = outcome.result.get(self.scenario.tells) if self.scenario.tells else None
        return Ended(outcome.result, wrote, str(told or "")), self.proxy.reads()


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Callable[[], SimulatedAzure]]:
    """Starts one where that is needed."""
    with contextlib.ExitStack() as started:

        def start() -> SimulatedAzure:
            folder = tmp_path / "azure"
            folder.mkdir()
            made = SimulatedAzure(folder)
            started.callback(made.close)
            return made

        yield start


@pytest.fixture
def world(api_server: ApiServer, client: Client, crds: None, definitions: list[dict[str, Any]]) -> Iterator[World]:
    made = World(api_server, client, definitions)
    made.begin()
    yield made
    clear(made)


def clear(made: World) -> None:
    """Take away what the scenario has left and found; the definitions are there again."""
    client = made.client
    live = [client.get(server.CRD, None, each["metadata"]["name"]) for each in made.definitions]
    if not all(each and "deletionTimestamp" not in each["metadata"] for each in live):
        server.remove(client, made.definitions)
        server.install(client, made.definitions)
    # Its namespace goes a while later, and whoever looks for a webhook meets each Deployment that is like it.
    for kind in (*CUSTOM, kinds.LEASE, kinds.POD, kinds.DEPLOYMENT):
        for each in client.list_all(kind, made.namespace):
            client.merge(kind, made.namespace, each["metadata"]["name"], {"metadata": {"finalizers": None}})
            client.delete(kind, made.namespace, each["metadata"]["name"])
    for kind, name in (
        (kinds.NODE, made.namespace),
        (kinds.MUTATING_WEBHOOK_CONFIGURATION, made.namespace),
        (kinds.CLUSTER_ROLE, MIC_ROLE),
    ):
        client.delete(kind, None, name)
    if client.list_all(kinds.SECRET, made.namespace, labels="owner=helm"):
        repair = {"parts": ["records"], "scope": "all", "release_namespaces": [made.namespace]}
        made.run("pod_identity_removal", **repair).ok()
        made.api_server.helm("uninstall", "real", "--namespace", made.namespace)
        server.install(client, made.definitions)
    server.forget(client, made.namespace)
    made.end()


CUSTOM = (
    kinds.AZURE_IDENTITY_BINDING,
    kinds.AZURE_IDENTITY,
    kinds.AZURE_POD_IDENTITY_EXCEPTION,
    kinds.AZURE_ASSIGNED_IDENTITY,
)


# In the fixed set each of the first four scenarios has another answer.
@pytest.mark.parametrize(
    ("name", "odd"),
    fixed_set.fixed([(name, odd) for name in SCENARIOS for odd in ODD], *list(zip(SCENARIOS, ODD, strict=False))[:4]),
)
def test_nothing_follows_an_odd_answer(
    api_server: ApiServer,
    world: World,
    azure: Callable[[], SimulatedAzure],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    name: str,
    odd: str,
) -> None:
    """To each read in turn. Without one the task writes, or tells something."""
    scenario = SCENARIOS[name]
    counted: Counter[str] = Counter()
    with instead(api_server) as proxy:
        matrix = Matrix(world, proxy, name, tmp_path, azure() if scenario.azure else None)
        ended, log = matrix.run()
        found = odd_answers.before_writes(log)
        assert found, "nothing is read"
        assert ended.told if scenario.tells else ended.wrote, ended.result
        for read in found:
            exception = odd_answers.tolerated(TOLERATED, scenario.module, name, read, odd)
            ended, _reads = matrix.run(read, odd)
            assert proxy.hits, f"not asked again: {read}, {ended.result}"
            with odd_answers.naming(f"{read}, number {read.nth}"):
                counted[odd_answers.judge(ended, exception, scenario.tells)] += 1
    for kind, number in counted.items():
        record_property(f"odd answers {kind}", number)


@pytest.mark.soak
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", READS_BEHIND)
def test_an_odd_answer_behind_a_write_ends_the_run(
    api_server: ApiServer,
    world: World,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    name: str,
    odd: str,
) -> None:
    """To each read in turn, whenever it is asked for again. What was written stays, and the run tells of it."""
    server.clear_assigned(world.client)
    with instead(api_server, lets_write=True) as proxy:
        matrix = Matrix(world, proxy, name, tmp_path)
        true, log = matrix.run()
        assert not true.result.get("failed"), true.result
        found = [each for each in odd_answers.behind_writes(log) if not ONLY_WITHOUT_A_POD.search(each.path)]
        assert found, "nothing is read"
        first = world.namespace
        for seen in found:
            matrix = matrix.anew()
            read = replace(seen, path=seen.path.replace(first, world.namespace))
            ended, _reads = matrix.run(read, odd)
            assert proxy.hits, f"not asked again: {read}, {ended.result}"
            left = replace(ended, wrote=[each for each in ended.wrote if not TAKEN_AWAY.fullmatch(each)])
            with odd_answers.naming(str(read)):
                odd_answers.judge_behind(left, None)
                assert ended.result.get("changed", False) == true.result["changed"], "what was written is not told"
    record_property("odd answers ended", len(found))


@pytest.mark.soak
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "name", [name for name, each in SCENARIOS.items() if not (each.tells or each.azure or each.file)]
)
def test_no_write_is_done_for_an_odd_answer(
    api_server: ApiServer,
    world: World,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    name: str,
    odd: str,
) -> None:
    """Each write in turn, which is not carried out, whenever it is sent again."""
    server.clear_assigned(world.client)
    with instead(api_server, lets_write=True) as proxy:
        matrix = Matrix(world, proxy, name, tmp_path)
        true, _reads = matrix.run()
        assert true.wrote and not true.result.get("failed"), true.result
        for write in odd_answers.writes(true):
            matrix = matrix.anew()
            ended, _reads = matrix.run(write, odd)
            assert proxy.hits, f"not sent again: {write}, {ended.result}"
            # With it go others of its kind, all at once.
            beside = f"{write.method} {str(proxy.odd_path).rpartition('/')[0]}"
            wrote = [each for each in ended.wrote if not each.startswith(beside) and not TAKEN_AWAY.fullmatch(each)]
            with odd_answers.naming(str(write)):
                odd_answers.judge_behind(replace(ended, wrote=wrote), None)
    record_property("odd answers to writes ended", len(true.wrote))


@pytest.mark.soak
@pytest.mark.parametrize(
    "name", [name for name, each in SCENARIOS.items() if not (each.tells or each.azure or name in READS_BEHIND)]
)
def test_what_reads_behind_its_first_write_is_listed(
    api_server: ApiServer, world: World, tmp_path: Path, name: str
) -> None:
    with instead(api_server, lets_write=True) as proxy:
        ended, found = Matrix(world, proxy, name, tmp_path).run()
        assert not ended.result.get("failed"), ended.result
        assert odd_answers.behind_writes(found) == []


def test_each_module_has_a_scenario() -> None:
    asking = odd_answers.asking_modules("_kubernetes_auth")
    assert set(asking) - {each.module for each in SCENARIOS.values()} == set(ELSEWHERE)
    changing = {each.module for each in SCENARIOS.values() if not each.tells}
    assert {name for name in asking if asking[name]} - set(ELSEWHERE) <= changing
    assert set(odd_answers.CLASSES) <= set(ODD)


def test_what_the_server_itself_says_is_believed(
    api_server: ApiServer, client: Client, crds: None, namespace: str
) -> None:
    look = Runner(api_server, "kubernetes_object_info")
    version = kinds.AZURE_IDENTITY.api_version
    assert look(kind="AzureIdentity", api_version=version, namespace=namespace, name="none").ok()["resources"] == []
    assert look(kind="Secret", namespace=namespace, label_selectors=["a=b"]).ok()["resources"] == []
    spec = {"azureIdentity": NAME, "selector": NAME}
    for kind, body in ((kinds.AZURE_IDENTITY, SPEC), (kinds.AZURE_IDENTITY_BINDING, spec)):
        metadata = {"name": NAME, "namespace": namespace}
        client.create(kind, namespace, {"apiVersion": version, "kind": kind.name, "metadata": metadata, "spec": body})
    (found,) = look(kind="AzureIdentity", api_version=version, namespace=namespace).ok()["resources"]
    assert (found["kind"], found["apiVersion"], found["spec"]) == ("AzureIdentity", version, SPEC)
    assert "managedFields" not in found["metadata"]
    hidden = look(kind="AzureIdentity", api_version=version, hidden_fields=["metadata.uid", "spec.type"], name=NAME)
    assert "set namespace" in hidden.failure()
    (found,) = look(
        kind="AzureIdentity", api_version=version, hidden_fields=["metadata.uid", "spec.type"], namespace=namespace
    ).ok()["resources"]
    assert "uid" not in found["metadata"] and "type" not in found["spec"]
    (node,) = [look(kind="Namespace", name=namespace).ok()["resources"][0]["metadata"]["name"]]
    assert node == namespace
    client.delete(kinds.AZURE_IDENTITY_BINDING, namespace, NAME)
    client.delete(kinds.AZURE_IDENTITY, namespace, NAME)
