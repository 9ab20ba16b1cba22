# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole cluster without nodes, in which something is broken for real, and its diagnosis.

The API server, what helm makes of the chart, MIC and NMI are real; MIC and NMI run as processes of this machine, with
the arguments that their pods have, and work with the simulated Azure, where MIC is the identity of its node. What
kubelets, the scheduler and the controllers of workloads would do is done here: pods are made, their states are set by
what became of the processes, and logs are what these wrote.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINTS,
    EVENT,
    LEASE,
    MUTATING_WEBHOOK_CONFIGURATION,
    NETWORK_POLICY,
    NODE,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.kube import kubelet as kubelets
from ansible_collections.azureops.pod_identity.tests.kube import mic as mics
from ansible_collections.azureops.pod_identity.tests.kube import nmi as nmis
from ansible_collections.azureops.pod_identity.tests.kube.installation import READY, owned
from ansible_collections.azureops.pod_identity.tests.kube.kubelet import Kubelet
from ansible_collections.azureops.pod_identity.tests.kube.objects import manifest, set_status
from ansible_collections.azureops.pod_identity.tests.kube.token_server import Reply, TokenServer
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Processes, Runner
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure import entra
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import INSTANCE

Raw = dict[str, Any]

PLACE, TEAM, OTHER_TEAM = "pod-identity", "shop", "billing"
"""Namespaces: of the chart, and of two teams."""
MIC, NMI = "aad-pod-identity-mic", "aad-pod-identity-nmi"
OPERATOR, CONTRIBUTOR = "Managed Identity Operator", "Virtual Machine Contributor"
AZURE = {"resource_group": "rg", "cluster_name": "c1"}
USE = {"azure.workload.identity/use": "true"}
"""The label of pods that Workload ID serves."""
PROXIED = {"azure.workload.identity/inject-proxy-sidecar": "true"}
"""The annotation of pods that get its proxy sidecar."""
LEADS = "became leader", "successfully acquired lease"
"""What MIC says when it leads."""
_TURN = re.compile(r"work done: true\. Found (\d+) pods, (\d+) ids, (\d+) bindings")
SCALE_SETS = "/virtualMachineScaleSets/"
"""In the path of a request that is about one."""
_IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
_AUTHORIZATION = "/providers/Microsoft.Authorization"
_RESTARTS = 6
_KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        *(DEPLOYMENT, DAEMON_SET, REPLICA_SET, POD, SERVICE, SERVICE_ACCOUNT, SECRET, CONFIG_MAP, NETWORK_POLICY),
        *(AZURE_IDENTITY_BINDING, AZURE_IDENTITY, AZURE_POD_IDENTITY_EXCEPTION, AZURE_ASSIGNED_IDENTITY),
        *(EVENT, ENDPOINTS, LEASE, NODE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, MUTATING_WEBHOOK_CONFIGURATION),
    )
}
"""What a world has of. In this order it is taken away, so that nothing puts it back."""


Answer = Callable[[Mapping[str, str]], tuple[int, bytes]]
"""Status and body, by the query of a request for a token."""


class _Tokens(TokenServer):
    """The way from MIC and NMI to the metadata service of their node: they ask as App Service is asked, whose address
    can be given to them."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def answer(self, path: str) -> Reply:
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(path).query).items()}
        query = {"resource": asked.get("resource") or "https://management.azure.com/"}
        query |= {"client_id": asked["clientid"]} if asked.get("clientid") else {}
        return (*self._answer(query), {})


class Relay:
    """Passes connections on to the API server, until it is cut."""

    def __init__(self, api_server: ApiServer) -> None:
        self._api_server = api_server
        self._target = ("127.0.0.1", int(api_server.url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def kubeconfig(self, folder: Path) -> str:
        own = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        path = folder / "relayed.kubeconfig"
        path.write_text(Path(self._api_server.kubeconfig()).read_text().replace(self._api_server.url, own))
        return str(path)

    def cut(self) -> None:
        """As a firewall would that lets nothing through any more."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pass, args=pair, daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@dataclass
class Program:
    """MIC, or NMI of a node, as a process behind a pod. ``log``: a file."""

    name: str
    processes: Processes
    pod: str
    container: str

    @property
    def log(self) -> Path:
        return self.processes.folder / f"{self.name}.log"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.processes._running[self.name]

    def says(self, *texts: str) -> bool:
        """Whether one of the texts stands in its log."""
        said = self.log.read_text(errors="replace")
        return any(text in said for text in texts)


@dataclass
class World:
    """One cluster. What is set before ``start`` is how it is made.

    ``values``: of the chart. ``roles``: what the identity of the nodes has, as role and place (``identities``,
    ``nodes``). ``more_nodes``: labels and taints of each beside the first, which alone has NMI. ``more_pools`` and
    ``properties``: of the managed cluster. ``relay``: NMI reaches the API server through it.
    ``mic_arguments``, ``nmi_arguments``: beside those of the chart. ``mic_variables``: of its process. ``iptables``: a
    script in place of the program. ``network_plugin``: as kubelets have it among their arguments. ``mic_says`` and
    ``nmi_says``: what ``start`` waits for, one of these lines of MIC, and what NMI says of itself. ``mic_asks_nmi``:
    NMI catches the requests of MIC for tokens, too.
    """

    api_server: ApiServer
    folder: Path
    client: Client
    azure: SimulatedAzure
    kubelet: Kubelet
    modules: Modules
    values: dict[str, str] = field(default_factory=dict)
    roles: set[tuple[str, str]] = field(default_factory=lambda: {(OPERATOR, "identities"), (CONTRIBUTOR, "nodes")})
    more_nodes: list[Raw] = field(default_factory=list)
    more_pools: list[Raw] = field(default_factory=list)
    properties: Raw = field(default_factory=dict)
    relay: Relay | None = None
    mic_arguments: list[str] = field(default_factory=list)
    nmi_arguments: list[str] = field(default_factory=list)
    iptables: str = nmis.IPTABLES
    network_plugin: str = "azure"
    addon: bool = False
    mic: Program | None = None
    nmi: Program | None = None
    mic_says: tuple[str, ...] = LEADS
    nmi_says: str = "Active"
    mic_asks_nmi: bool = False
    nmi_port: int = 0
    scale_set: str = ""
    cluster: Raw = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    _settled: bool = False
    _ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # how it is made

    def start(self) -> None:
        """Everything runs as far as it can: MIC leads and NMI serves, or they have ended."""
        server.install(self.client, server.definitions())
        self._make_cluster()
        self._make_nodes()
        if self.addon:
            self._install_addon()
        else:
            self._install_chart()
        self.see()

    def _make_cluster(self) -> None:
        pool = {"name": "nodepool1", "count": 1 + len(self.more_nodes), "mode": "System"}
        network = {"networkPlugin": self.network_plugin, **self.properties.pop("networkProfile", {})}
        properties = {"agentPoolProfiles": [pool, *self.more_pools], "networkProfile": network, **self.properties}
        self.cluster = self.azure.cluster(**properties)
        instance = self.azure.first_instance()
        self.scale_set = str(instance["id"]).partition("/virtualMachines/")[0]
        self.azure.compute.addresses["127.0.0.1"] = str(instance["id"])
        for role, place in sorted(self.roles):
            self.grant(role, place)

    def grant(self, role: str, place: str) -> None:
        """Give it to the identity of the nodes."""
        scope = self.place(place)
        definition = f"/subscriptions/{self.azure.subscription_id}{_AUTHORIZATION}/roleDefinitions/"
        principal = self.cluster["properties"]["identityProfile"]["kubeletidentity"]["objectId"]
        properties = {"roleDefinitionId": definition + azure_roles.BUILT_IN[role], "principalId": principal}
        properties["principalType"] = "ServicePrincipal"
        path = f"{scope}{_AUTHORIZATION}/roleAssignments/{uuid.uuid4()}"
        answer = self.azure.arm("PUT", path, {"properties": properties}, version="2022-04-01")
        assert answer.ok, answer.text

    def place(self, name: str) -> str:
        groups = f"/subscriptions/{self.azure.subscription_id}/resourceGroups"
        return {"identities": f"{groups}/rg", "nodes": self.scale_set.partition("/providers/")[0]}.get(name, name)

    def _make_nodes(self) -> None:
        instances = self.azure.in_loop(lambda: [dict(one.body) for one in self.azure.server.azure.state.all(INSTANCE)])
        for number, instance in enumerate(instances):
            more = self.more_nodes[number - 1] if 0 < number <= len(self.more_nodes) else {}
            name = str(instance["properties"]["osProfile"]["computerName"])
            windows = any(f"{pool['name']}" in str(instance["id"]) for pool in self.more_pools if "osType" in pool)
            labels = {"kubernetes.io/os": "windows" if windows else "linux", **more.get("labels", {})}
            self.add_node(name, str(instance["id"]), labels, more.get("taints", []))

    def add_node(
        self, name: str, machine: str, labels: Mapping[str, str] | None = None, taints: list[Raw] | None = None
    ) -> None:
        self.nodes.append(name)
        given = dict(labels or {"kubernetes.io/os": "linux"})
        self.create(NODE, name, "", labels=given, spec={"providerID": f"azure://{machine}", "taints": taints or []})
        address = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoint = {"kubeletEndpoint": {"Port": self.kubelet.port}}
        self.set_status(NODE, name, "", conditions=READY, addresses=address, daemonEndpoints=endpoint)

    def _install_chart(self) -> None:
        mic_ports, nmi_ports = server.free_ports(2), server.free_ports(2)
        self.values = {
            "mic.replicas": "1",
            "mic.probePort": str(mic_ports[0]),
            "mic.prometheusPort": str(mic_ports[1]),
            "nmi.probePort": str(nmi_ports[0]),
            "nmi.prometheusPort": str(nmi_ports[1]),
            "nmi.retryAttemptsForCreated": "2",
            "nmi.retryAttemptsForAssigned": "3",
            "nmi.findIdentityRetryIntervalInSeconds": "1",
            "nmi.micNamespace": PLACE,
            **self.values,
        }
        given = [f"{key}={value}" for key, value in self.values.items()]
        sets = itertools.chain.from_iterable(("--set", one) for one in given)
        made = self.api_server.helm("template", "pi", "CHART", "--namespace", PLACE, *sets)
        for each in filter(None, yaml.safe_load_all(made)):
            self.add(each)
        deployment = self.client.get(DEPLOYMENT, PLACE, MIC)
        if deployment and self.values["mic.replicas"] != "0":
            self._start_mic(self._with_arguments(DEPLOYMENT, deployment, self.mic_arguments))
        daemon_set = self.client.get(DAEMON_SET, PLACE, NMI)
        assert daemon_set
        self._start_nmi(self._with_arguments(DAEMON_SET, daemon_set, self.nmi_arguments))

    def _install_addon(self) -> None:
        """As AKS would; the sandbox knows its objects."""
        from azsandbox import pod_identity_addon

        probe, metrics = server.free_ports(2)
        for each in pod_identity_addon._installation(self.network_plugin == "kubenet"):
            whole = json.loads(json.dumps(each).replace(str(pod_identity_addon._PROBE), str(probe)))
            if whole["kind"] == "DaemonSet":
                arguments = [f"--prometheus-port={metrics}", *self.nmi_arguments]
                whole["spec"]["template"]["spec"]["containers"][0]["args"] += arguments
            self.add(whole)
        if self.addon:  # the chart has it too
            labels = {"podLabels": {"kubernetes.azure.com/managedby": "aks"}}
            self.create(AZURE_POD_IDENTITY_EXCEPTION, "aks-addon-exception", "kube-system", spec=labels)
        daemon_set = self.client.get(DAEMON_SET, "kube-system", "nmi")
        assert daemon_set
        if self.addon:
            self._start_nmi(daemon_set)
            return
        pod = self.pods(daemon_set)[0]
        second = self.run_nmi(daemon_set, pod, "kube-system")
        server.until("the second NMI has ended", lambda: second.process.poll() is not None)
        self.crashed(second, "kube-system")

    def add_second_nmi(self) -> None:
        """That of the add-on beside the chart's, which wants the same port."""
        self._install_addon()

    def _with_arguments(self, kind: Kind, raw: Raw, arguments: list[str]) -> Raw:
        if not arguments:
            return raw
        raw["spec"]["template"]["spec"]["containers"][0]["args"] += arguments
        patch = {"spec": {"template": {"spec": {"containers": raw["spec"]["template"]["spec"]["containers"]}}}}
        return self.client.merge(kind, raw["metadata"]["namespace"], raw["metadata"]["name"], patch)

    def _start_mic(self, deployment: Raw) -> None:
        self._run_mic(deployment, self.pods(deployment)[0])

    def _run_mic(self, deployment: Raw, pod: str) -> None:
        login = mics.managed_identity(self.kubelet_client_id)
        cloud = mics.cloud(self.azure, self.place("nodes").rpartition("/")[2], login)
        answer = partial(self._answer_of_nmi, pod) if self.mic_asks_nmi else self._answer_of_imds
        processes = self._processes(MIC)
        self._run(
            processes,
            "mic",
            *self._arguments(deployment, {"cloudconfig": str(cloud)}),
            f"--kubeconfig={self.api_server.kubeconfig()}",
            f"--leader-election-instance={pod}",  # the name of the host, which in a pod is the pod's
            MIC_POD_NAMESPACE=PLACE,
            AZURE_ENVIRONMENT_FILEPATH=str(self.folder / "environment.json"),
            **self._variables(deployment, answer),
        )
        self.mic = Program("mic", processes, pod, "mic")
        self.kubelet.files[PLACE, pod, False] = self.mic.log
        self._until(self.mic, "MIC leads", lambda found: found.says(*self.mic_says))

    def stop_mic(self) -> None:
        """Its pod is gone."""
        assert self.mic
        self.mic.process.kill()
        self.mic.process.wait()
        self.delete(POD, self.mic.pod, PLACE)
        self.mic = None

    def pause_mic(self) -> None:
        assert self.mic
        self.mic.process.send_signal(signal.SIGSTOP)

    def restart_mic(self) -> None:
        """In its pod."""
        before = self.mic
        deployment = self.client.get(DEPLOYMENT, PLACE, MIC)
        assert before and deployment
        before.process.kill()
        before.process.wait()
        self._run_mic(deployment, before.pod)
        self.kubelet.files[PLACE, before.pod, True] = before.log
        containers = [container("mic", {"running": {"startedAt": _now()}}, restarts=1)]
        self.set_status(POD, before.pod, PLACE, containerStatuses=containers)

    def _start_nmi(self, daemon_set: Raw) -> None:
        pod, place = self.pods(daemon_set)[0], daemon_set["metadata"]["namespace"]
        self.nmi = self.run_nmi(daemon_set, pod, place)
        self._until(self.nmi, "NMI serves", lambda found: self.health(daemon_set) == self.nmi_says)

    def run_nmi(self, daemon_set: Raw, pod: str, place: str, *more: str) -> Program:
        """The process behind a pod of NMI on the first node. ``more``: arguments in place of the usual port."""
        processes = self._processes(pod)
        (processes.folder / "iptables").write_text(self.iptables)
        (processes.folder / "iptables").chmod(0o755)
        settings = processes.folder / "kubelet"
        settings.write_text(f"KUBELET_FLAGS=--network-plugin={self.network_plugin} --v=2\n")
        self.nmi_port = self.nmi_port or server.free_ports(1)[0]
        arguments = self._arguments(daemon_set, {"kubelet-config": str(settings), "node": self.nodes[0]})
        variables = self._variables(daemon_set, self._answer_of_imds)
        variables["PATH"] = f"{processes.folder}:{os.defpath}"
        variables["KUBECONFIG"] = (
            self.relay.kubeconfig(processes.folder) if self.relay else self.api_server.kubeconfig()
        )
        if not any(one.startswith("--kubelet-config=") for one in arguments):
            arguments.append(f"--kubelet-config={settings}")
        if not any(one.startswith("--nmi-port=") for one in arguments):
            arguments.append(f"--nmi-port={self.nmi_port}")
        self._run(processes, "nmi", *arguments, *more, **variables)
        made = Program("nmi", processes, pod, "nmi")
        self.kubelet.files[place, pod, False] = made.log
        return made

    def _run(self, processes: Processes, name: str, *arguments: str, **variables: str) -> None:
        processes.start(name, *arguments, TZ="UTC", SSL_CERT_FILE=str(self.azure.ca_file), **variables)

    def _processes(self, name: str) -> Processes:
        binaries, _charts = server.programs()
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        processes = Processes(binaries, folder)
        self._ends.callback(processes.stop)
        return processes

    def _arguments(self, workload: Raw, replaced: Mapping[str, str]) -> list[str]:
        """Those of its pods, with files and a node of this machine."""
        found = []
        for one in workload["spec"]["template"]["spec"]["containers"][0]["args"]:
            name = one.lstrip("-").partition("=")[0]
            found.append(f"--{name}={replaced[name]}" if name in replaced else one)
        return found

    def _answer_of_imds(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        whole = urlencode({"api-version": "2018-02-01", **query})
        url = f"{self.azure.endpoints.imds}/metadata/identity/oauth2/token?{whole}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Metadata": "true"})) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _answer_of_nmi(self, pod: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        """To MIC; as of a node without NMI, until that listens."""
        try:
            said = self.ask(pod, PLACE, **query)
        except OSError as error:
            return 502, str(error).encode()
        return said.status, said.body.encode()

    def _variables(self, workload: Raw, answer: Answer) -> dict[str, str]:
        given = workload["spec"]["template"]["spec"]["containers"][0].get("env", ())
        variables = {one["name"]: one["value"] for one in given if "value" in one}
        tokens = self._ends.enter_context(_Tokens(answer))
        return {**variables, "MSI_ENDPOINT": f"{tokens.host}/msi/token", "MSI_SECRET": "given"}

    def _until(self, program: Program, what: str, look: Callable[[Program], bool]) -> None:
        server.until(what, lambda: program.process.poll() is not None or look(program))

    # objects

    def add(self, whole: Raw) -> Raw:
        kind = _KINDS[whole["kind"]]
        return self.client.create(kind, whole["metadata"].get("namespace"), whole)

    def create(self, kind: Kind, name: str, namespace: str = TEAM, **body: Any) -> Raw:
        metadata = {"name": name, **({"namespace": namespace} if kind.namespaced else {})}
        for key in ("labels", "annotations", "ownerReferences"):
            if key in body:
                metadata[key] = body.pop(key)
        return self.add(manifest(kind, name, metadata=metadata, **body))

    def kubectl_apply(self, kind: Kind, name: str, namespace: str = TEAM, **body: Any) -> None:
        whole = manifest(kind, name, **body)
        binaries, _charts = server.programs()
        command = [str(binaries / "kubectl"), "--namespace", namespace, "apply", "--validate=false", "-f", "-"]
        environment = {**os.environ, "KUBECONFIG": self.api_server.kubeconfig(), "HOME": str(self.folder)}
        subprocess.run(command, input=json.dumps(whole), env=environment, check=True, capture_output=True, text=True)

    def set_status(self, kind: Kind, name: str, namespace: str = TEAM, **status: Any) -> None:
        set_status(self.client, kind, namespace, name, **status)

    def change(self, kind: Kind, name: str, namespace: str = TEAM, **body: Any) -> Raw:
        return self.client.merge(kind, namespace if kind.namespaced else None, name, body)

    def delete(self, kind: Kind, name: str, namespace: str = TEAM) -> None:
        if kind == POD:
            server.end_pod(self.client, namespace, name)
        else:
            self.client.delete(kind, namespace if kind.namespaced else None, name)

    def pods(self, workload: Raw, number: int = 1, node: int = 0, containers: list[Raw] | None = None) -> list[str]:
        """Make the pods of a Deployment or a DaemonSet, as its controllers do; their names."""
        place, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
        spec, owner = workload["spec"], workload
        if workload["kind"] == "Deployment":
            generated = f"{name}-6d4cf56db6"
            owner = self.client.get(REPLICA_SET, place, generated) or self.create(
                REPLICA_SET,
                generated,
                place,
                **owned(workload),
                labels=spec["template"]["metadata"]["labels"],
                spec={"replicas": max(number, 1), "selector": spec["selector"], "template": spec["template"]},
            )
            self.set_status(REPLICA_SET, generated, place, replicas=number, readyReplicas=number)
            counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), number)
            self.set_status(DEPLOYMENT, name, place, observedGeneration=workload["metadata"]["generation"], **counts)
        else:
            scheduled = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady")
            counts = {**dict.fromkeys(scheduled, number), "numberMisscheduled": 0}
            self.set_status(DAEMON_SET, name, place, observedGeneration=workload["metadata"]["generation"], **counts)
        made = []
        for _number in range(number):
            place_in_row = next(self._addresses)
            pod = f"{owner['metadata']['name']}-{place_in_row:05x}"
            template = spec["template"]
            if containers:
                template = {**template, "spec": {**template["spec"], "containers": containers}}
            self.pod(pod, place, template, place_in_row, node, **owned(owner))
            made.append(pod)
        return made

    def pod(self, name: str, place: str, template: Raw, number: int, node: int = 0, **metadata: Any) -> None:
        """A pod that runs."""
        spec = {**template["spec"], "nodeName": self.nodes[node]}
        labels = template.get("metadata", {}).get("labels", {})
        self.create(POD, name, place, labels=labels, spec=spec, **metadata)
        own = spec.get("hostNetwork")
        address = own_address() if own else f"127.9.{number // 250}.{number % 250 + 1}"
        containers = [container(one["name"], {"running": {"startedAt": _now()}}) for one in spec["containers"]]
        addresses = {"podIP": address, "podIPs": [{"ip": address}], "hostIP": own_address()}
        running = {"phase": "Running", "conditions": READY, "containerStatuses": containers}
        self.set_status(POD, name, place, **running, **addresses)

    def see(self) -> None:
        """Set the states of MIC's and NMI's pods by what became of their processes, as kubelets do."""
        for program, place in ((self.mic, PLACE), (self.nmi, "kube-system" if self.addon else PLACE)):
            if program and program.process.poll() is not None:
                self.crashed(program, place)

    def crashed(self, program: Program, place: str = PLACE, reason: str = "Error", code: int | None = None) -> None:
        """It has ended again and again."""
        exit_code = program.process.wait() if code is None else code
        self.kubelet.files[place, program.pod, True] = program.log
        ended = {"terminated": {"exitCode": abs(exit_code), "reason": reason, "finishedAt": _now()}}
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        containers = [container(program.container, waiting, ready=False, restarts=_RESTARTS, last=ended)]
        conditions = [{**READY[0], "status": "False"}]
        self.set_status(POD, program.pod, place, conditions=conditions, containerStatuses=containers)

    def age(self, kind: Kind, name: str, namespace: str, seconds: int = 600) -> None:
        """Let an object be as old: the API server lets nobody say when it was made, so that etcd is told."""
        self._date(kind, name, namespace, "creationTimestamp", seconds)

    def overdue(self, pod: str, place: str = TEAM, seconds: int = 600) -> None:
        """Delete a pod whose kubelet does not end it, and let it be so long since it was to be gone."""
        self.client.delete(POD, place, pod)
        self._date(POD, pod, place, "deletionTimestamp", seconds)

    def _date(self, kind: Kind, name: str, namespace: str, what: str, seconds: int) -> None:
        raw = self.client.get(kind, namespace, name)
        assert raw and what in raw["metadata"]
        raw["metadata"][what] = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        arguments = self.api_server.processes._arguments["etcd"]
        (address,) = (one.partition("=")[2] for one in arguments if one.startswith("--listen-client-urls="))
        key = f"/registry/{kind.plural}/{namespace}/{name}"
        body = {"key": _encoded(key), "value": _encoded(json.dumps(raw))}
        with urllib.request.urlopen(f"{address}/v3/kv/put", json.dumps(body).encode()) as answer:
            assert answer.status == 200

    def let_nmi_be_old(self, seconds: int = 600) -> None:
        """What it does in its first seconds counts for nothing."""
        assert self.nmi
        self.age(POD, self.nmi.pod, PLACE, seconds)
        started = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        containers = [container("nmi", {"running": {"startedAt": started}})]
        self.set_status(POD, self.nmi.pod, PLACE, containerStatuses=containers)

    # workloads and identities

    @property
    def kubelet_client_id(self) -> str:
        return str(self.cluster["properties"]["identityProfile"]["kubeletidentity"]["clientId"])

    @property
    def kubelet_id(self) -> str:
        """The resource id of the identity of the nodes."""
        return str(self.cluster["properties"]["identityProfile"]["kubeletidentity"]["resourceId"])

    def cover(self, node: int) -> None:
        """A pod of NMI on another node; behind it is the process of the first node, for there is one machine here."""
        daemon_set = self.client.get(DAEMON_SET, PLACE, NMI)
        assert daemon_set and self.nmi
        (pod,) = self.pods(daemon_set, node=node)
        self.kubelet.files[PLACE, pod, False] = self.nmi.log

    def managed_identity(self, name: str, group: str = "rg") -> Raw:
        """As Azure has it."""
        self.azure.arm("PUT", f"/resourceGroups/{group}", {"location": "westeurope"}).raise_for_status()
        made = self.azure.arm("PUT", f"/resourceGroups/{group}/{_IDENTITIES}/{name}", {"location": "westeurope"})
        made.raise_for_status()
        return dict(made.json())

    def forget(self, resource_id: str) -> None:
        self.azure.arm("DELETE", resource_id).raise_for_status()

    def identity(self, name: str = "web", place: str = TEAM, selector: str = "", **spec: Any) -> Raw:
        """A managed identity with its AzureIdentity and its binding; as Azure has it. ``spec``: what is otherwise."""
        made = self.managed_identity(name)
        self.bind(name, place, selector or name, resource_id=made["id"], client_id=made["properties"]["clientId"])
        if spec:
            self.change(AZURE_IDENTITY, name, place, spec=spec)
        return made

    def bind(self, name: str, place: str, selector: str, *, resource_id: str, client_id: str) -> None:
        spec = {"type": 0, "resourceID": resource_id, "clientID": client_id}
        self.create(AZURE_IDENTITY, name, place, spec=spec)
        self.create(AZURE_IDENTITY_BINDING, name, place, spec={"azureIdentity": name, "selector": selector})

    def deployment(
        self,
        name: str = "web",
        place: str = TEAM,
        *,
        selector: str | None = "web",
        labels: Mapping[str, str] | None = None,
        own_labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        pods: int = 1,
        node: int = 0,
        mutated: list[Raw] | None = None,
        **spec: Any,
    ) -> list[str]:
        """A Deployment with its pods, whose names are returned. ``labels``: of its pods, as
        ``annotations`` are, ``own_labels``: of itself.

        ``mutated``: the containers of its pods, where those are not the template's.
        """
        bound = {"aadpodidbinding": selector} if selector else {}
        if "serviceAccountName" not in spec:
            self.create(SERVICE_ACCOUNT, name, place)
        containers = [{"name": "app", "image": "app"}]
        template = {
            "metadata": {"labels": {"app": name, **bound, **(labels or {})}, "annotations": dict(annotations or {})},
            "spec": {"containers": containers, "serviceAccountName": name, **spec},
        }
        whole = {"replicas": pods, "selector": {"matchLabels": {"app": name}}, "template": template}
        made = self.create(DEPLOYMENT, name, place, labels=dict(own_labels or {}), spec=whole)
        return self.pods(made, pods, node, mutated)

    def workload(self) -> None:
        """The usual one: a Deployment with a pod and its identity, both named web."""
        self.identity()
        self.deployment()

    def give(self, *names: str) -> None:
        """Put managed identities on the nodes, as AKS does for its add-on and people do in managed mode."""
        carried: Raw = {self.managed_identity(name)["id"]: {} for name in names}
        body = {"identity": {"type": "UserAssigned", "userAssignedIdentities": carried}}
        self.azure.arm("PATCH", self.scale_set, body).raise_for_status()

    def account(self, name: str, place: str = TEAM, **labels: Any) -> Raw:
        """A service account of Workload ID; the managed identity of its name, as Azure has it."""
        made = self.managed_identity(name)
        annotations = {"azure.workload.identity/client-id": made["properties"]["clientId"]}
        self.create(SERVICE_ACCOUNT, name, place, annotations=annotations, **labels)
        return made

    def credential(self, identity: Raw, name: str, **properties: Any) -> None:
        """A federated credential for the service account of that name."""
        usual = {"subject": f"system:serviceaccount:{TEAM}:{name}", "audiences": ["api://AzureADTokenExchange"]}
        whole = {"issuer": self.issuer, **usual, **properties}
        path = f"{identity['id']}/federatedIdentityCredentials/{name}"
        self.azure.arm("PUT", path, {"properties": whole}).raise_for_status()

    @property
    def issuer(self) -> str:
        return str(self.cluster["properties"]["oidcIssuerProfile"]["issuerURL"])

    def confine(self, place: str, level: str) -> None:
        """Let the API server refuse pods above a level of Pod Security in a namespace."""
        label = "pod-security.kubernetes.io/enforce"
        self._ends.callback(self.client.merge, server.NAMESPACE, None, place, {"metadata": {"labels": {label: None}}})
        self.client.merge(server.NAMESPACE, None, place, {"metadata": {"labels": {label: level}}})

    def mover(self, **properties: Any) -> None:
        """A workload that Workload ID serves, all of it. ``properties``: what is otherwise of its credential."""
        made = self.account("mover")
        self.credential(made, "mover", **properties)
        mutated = self.mutated(made["properties"]["clientId"])
        self.deployment("mover", selector=None, labels=USE, serviceAccountName="mover", mutated=mutated)

    def webhook(self, *, runs: bool = True) -> None:
        """That of Workload ID, as its chart makes it; it serves nothing here. Later pods are not sent to it."""
        place, name = "azure-workload-identity-system", "azure-wi-webhook-controller-manager"
        if self.client.get(server.NAMESPACE, None, place) is None:
            self.client.create(server.NAMESPACE, None, {"metadata": {"name": place}})
        labels = {"azure-workload-identity.io/system": "true"}
        image = "mcr.microsoft.com/oss/v2/azure/workload-identity/webhook:v1.5.1"
        run = {"name": "manager", "image": image, "args": ["--log-level=info"]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [run]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        made = self.create(DEPLOYMENT, name, place, labels=labels, spec=spec)
        (pod,) = self.pods(made)
        self.kubelet.write(place, pod, "I0301 09:00:00.000000       1 main.go:1] starting manager\n")
        if not runs:
            containers = [container("manager", {"waiting": {"reason": "ImagePullBackOff"}}, ready=False)]
            conditions = [{**READY[0], "status": "False"}]
            self.set_status(POD, pod, place, conditions=conditions, containerStatuses=containers, phase="Pending")
            self.set_status(DEPLOYMENT, name, place, readyReplicas=0, availableReplicas=0)
        service = "azure-wi-webhook-webhook-service"
        self.create(SERVICE, service, place, spec={"selector": labels, "ports": [{"port": 443, "targetPort": 9443}]})
        hook = {
            "name": "mutation.azure-workload-identity.io",
            "clientConfig": {
                "service": {"name": service, "namespace": place, "path": "/mutate-v1-pod"},
                "caBundle": base64.b64encode(self.api_server.ca.read_bytes()).decode(),
            },
            "failurePolicy": "Fail",
            "objectSelector": {"matchLabels": {"azure.workload.identity/use": "true"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1", "v1beta1"],
            "matchPolicy": "Equivalent",
        }
        name = "azure-wi-webhook-mutating-webhook-configuration"
        self.create(MUTATING_WEBHOOK_CONFIGURATION, name, labels=labels, webhooks=[hook])

    def mutated(self, client_id: str = "") -> list[Raw]:
        """The container of a pod that went through the webhook."""
        token = "/var/run/secrets/azure/tokens/azure-identity-token"
        variables = {
            "AZURE_CLIENT_ID": client_id,
            "AZURE_TENANT_ID": self.azure.tenant_id,
            "AZURE_FEDERATED_TOKEN_FILE": token,
            "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        }
        env = [{"name": name, "value": value} for name, value in variables.items() if value]
        return [{"name": "app", "image": "app", "env": env}]

    # what happens

    def ask(self, pod: str, place: str = TEAM, seconds: float = 30, /, **parameters: str) -> nmis.Said:
        """What NMI says to a request of a pod, which waits so long for it."""
        found = self.client.get(POD, place, pod)
        assert found
        return nmis.Nmi(self.nmi_port, self.azure, self.folder).ask(found["status"]["podIP"], seconds, **parameters)

    def pod_of(self, workload: str = "web", place: str = TEAM) -> str:
        found = self.client.list_all(POD, place, labels=f"app={workload}")
        return str(found[0]["metadata"]["name"])

    def assigned(self) -> list[Raw]:
        return list(self.client.list_all(AZURE_ASSIGNED_IDENTITY))

    def ask_from(self, address: str) -> nmis.Said:
        """What NMI says to a request of an address."""
        return nmis.Nmi(self.nmi_port, self.azure, self.folder).ask(address)

    def until_assigned(self, number: int = 1, seconds: float = server.SECONDS) -> None:
        """MIC has assigned so many."""

        def there() -> bool:
            return sum(1 for one in self.assigned() if (one.get("status") or {}).get("status") == "Assigned") >= number

        server.until(f"{number} identities are assigned", there, seconds)

    def until_served(self, pod: str, place: str = TEAM, **parameters: str) -> None:
        """The pod gets a token: what NMI knows may lag a moment behind."""
        server.until(f"{pod} has a token", lambda: self.ask(pod, place, **parameters).status == 200)

    def settled(self) -> None:
        """What ``workload`` made works, or has worked."""
        if self._settled:
            return
        self._settled = True
        if not self.addon and self.values.get("operationMode") != "managed":
            self.until_assigned()
        self.until_served(self.pod_of())

    def until_mic_says(self, *texts: str, seconds: float = server.SECONDS) -> None:
        found = self.mic
        assert found
        server.until(f"MIC says {texts}", lambda: found.says(*texts), seconds)

    def until_mic_is_done(self) -> None:
        """MIC has assigned what there is, or has failed to, so that nothing more happens by itself.

        At the end of a turn in which it did something it writes of how much that was. One that has ended, or that does
        not lead, does nothing.
        """
        found = self.mic
        if found is None or not found.says(*LEADS):
            return
        server.until("MIC is done", lambda: found.process.poll() is not None or _last_turn(found) == self._for_mic())

    def _for_mic(self) -> tuple[int, ...]:
        """Pods with the label, AzureIdentities and AzureIdentityBindings."""
        pods = self.client.list_all(POD, labels="aadpodidbinding")
        return tuple(map(len, (pods, *map(self.client.list_all, (AZURE_IDENTITY, AZURE_IDENTITY_BINDING)))))

    def until_nmi_says(self, *texts: str) -> None:
        assert (found := self.nmi)
        server.until(f"NMI says {texts}", lambda: found.says(*texts))

    def health(self, daemon_set: Raw) -> str:
        port = next(
            one.partition("=")[2]
            for one in daemon_set["spec"]["template"]["spec"]["containers"][0]["args"]
            if one.startswith("--http-probe-port=")
        )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def fault(self, **rule: Any) -> None:
        self.azure.control("POST", "/faults", {"count": 0, **rule})

    def refuse(self, status: int, code: str, message: str) -> None:
        """Azure takes no change of a scale set from now on."""
        self.fault(path=SCALE_SETS, method="PATCH", status=status, body={"error": {"code": code, "message": message}})

    def shift_clock_of_entra(self, seconds: float) -> None:
        """Against the clock of the nodes, which is that of this machine."""
        shifted = SimpleNamespace(time=lambda: time.time() + seconds, gmtime=time.gmtime, strftime=time.strftime)
        self._ends.callback(vars(entra).update, time=time)
        vars(entra).update(time=shifted)

    def edit(self, change: Callable[[Raw], Any], resource: str = "") -> None:
        """Change what Azure remembers of a resource, past its interface."""

        def call() -> None:
            found = self.azure.server.azure.state.get(resource or self.scale_set)
            assert found is not None
            change(found.body)

        self.azure.in_loop(call)

    def diagnosis(self, **options: Any) -> Raw:
        """What the module returns."""
        runner = Runner(self.api_server, "pod_identity_diagnosis_info", self.modules.environment)
        return runner(**AZURE, **options).ok()

    def close(self) -> None:
        self._ends.close()
        _clear(self.client)


def _last_turn(mic: Program) -> tuple[int, ...]:
    turns = _TURN.findall(mic.log.read_text(errors="replace"))
    return tuple(map(int, turns[-1])) if turns else ()


def own_address() -> str:
    """An address of this machine that is none of loopback: the API server passes nothing on to those.

    What is sent there stays on this machine; nothing is sent to find it out.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("198.51.100.1", 9))
        return str(one.getsockname()[0])


def container(name: str, state: Raw, *, ready: bool = True, restarts: int = 0, last: Raw | None = None) -> Raw:
    what = {"name": name, "image": "x", "imageID": "x", "ready": ready, "restartCount": restarts}
    return {**what, "state": state, "lastState": last or {}}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clear(client: Client) -> None:
    """Take away all that worlds make; namespaces and definitions stay."""
    server.install(client, server.definitions())
    server.clear_assigned(client)
    for kind in _KINDS.values():
        for each in client.list_all(kind):
            metadata = each["metadata"]
            if _stays(kind, metadata):
                continue
            if kind == POD:
                server.end_pod(client, metadata["namespace"], metadata["name"])
            else:
                client.delete(kind, metadata.get("namespace"), metadata["name"])


def _stays(kind: Kind, metadata: Raw) -> bool:
    """What is the API server's own."""
    if kind in (CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
        return "kubernetes.io/bootstrapping" in metadata.get("labels", {})
    if kind in (SERVICE, ENDPOINTS):
        return str(metadata["name"]) == "kubernetes"
    if kind == CONFIG_MAP:
        return metadata["name"] in ("kube-root-ca.crt", "extension-apiserver-authentication")
    return kind == LEASE and metadata["namespace"] == "kube-system"


@contextlib.contextmanager
def world(api_server: ApiServer) -> Iterator[World]:
    """One that goes with the block; the API server is nobody else's."""
    client = api_server.client()
    for name in (PLACE, TEAM, OTHER_TEAM):
        if client.get(server.NAMESPACE, None, name) is None:
            client.create(server.NAMESPACE, None, {"metadata": {"name": name}})
    with (
        tempfile.TemporaryDirectory(prefix="world-") as name,
        contextlib.ExitStack() as stack,
        kubelets.running(api_server.folder) as kubelet,
    ):
        folder = Path(name)
        azure = SimulatedAzure(folder)
        stack.callback(azure.close)
        made = World(api_server, folder, client, azure, kubelet, Modules(azure, folder))
        try:
            yield made
        finally:
            made.close()
