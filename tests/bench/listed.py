# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``PODS NAMESPACES BINDINGS``, run by ``figures``: pod_identity_info and inventory.yml on a real API server, as JSON.

The pods run on nodes that kwok simulates, four of five as replicas of Deployments. Their assignments are written here,
as MIC would. The clusters of inventory.yml are hosts that all lead to this API server.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory as domain
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Matching
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory as listing
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_info as module
from ansible_collections.azureops.pod_identity.tests.bench import plays
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths
from ansible_collections.azureops.pod_identity.tests.support import players
from azsandbox import programs

ROUNDS = 3
ROUNDS_OF_TASKS = 10
CLUSTERS = (1, 4, 12)
LONGEST_PLAY = 3600
NODES = 100
REPLICAS = 10
STARTED_WITHIN = 600
ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
MACHINES = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/v/virtualMachines/"

Object = tuple[Any, str | None, dict[str, Any]]  # kind, namespace, the rest


@dataclass(frozen=True)
class Size:
    pods: int
    namespaces: int
    bindings: int

    def namespace(self, index: int) -> str:
        return f"team-{index % self.namespaces}"


def configuration(size: Size) -> Iterator[Object]:
    """What does not run."""
    for index in range(size.namespaces):
        yield server.NAMESPACE, None, {"metadata": {"name": size.namespace(index)}}
    for index in range(NODES):
        spec = {"providerID": f"azure://{MACHINES}{index}", "podCIDR": f"10.1.{index}.0/24"}
        yield kinds.NODE, None, {"metadata": {"name": f"n{index}"}, "spec": spec}


def pairs(size: Size) -> Iterator[Object]:
    for index in range(size.bindings):
        spec = {"type": 0, "resourceID": f"{ID}i{index}", "clientID": f"client-{index}"}
        yield kinds.AZURE_IDENTITY, size.namespace(index), {"metadata": {"name": f"i{index}"}, "spec": spec}
        spec = {"azureIdentity": f"i{index}", "selector": f"s{index}"}
        yield kinds.AZURE_IDENTITY_BINDING, size.namespace(index), {"metadata": {"name": f"b{index}"}, "spec": spec}


def workloads(size: Size) -> Iterator[Object]:
    """Deployments and single pods; no scheduler runs, so each names its node."""
    deployments = size.pods * 4 // 5 // REPLICAS
    for index in range(deployments):
        name = f"d{index}"
        template = pod(size, index, {"app": name})
        spec = {"replicas": REPLICAS, "selector": {"matchLabels": {"app": name}}, "template": template}
        yield kinds.DEPLOYMENT, size.namespace(index), {"metadata": {"name": name}, "spec": spec}
    for index in range(size.pods - deployments * REPLICAS):
        single = pod(size, index, {})
        yield kinds.POD, size.namespace(index), {**single, "metadata": {"name": f"p{index}", **single["metadata"]}}


def pod(size: Size, index: int, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"aadpodidbinding": f"s{index % size.bindings}", **labels}},
        "spec": {"nodeName": f"n{index % NODES}", "containers": [{"name": "app", "image": "app"}]},
    }


def assignments(cluster: Any) -> Iterator[Object]:
    """What MIC writes."""
    for one in Matching(cluster.bindings, cluster.identities, cluster.rules).assignments(cluster.pods):
        spec = {
            "pod": one.pod.name,
            "podNamespace": one.pod.namespace,
            "nodename": one.pod.node,
            "azureIdentityRef": {
                **typed(kinds.AZURE_IDENTITY),
                "metadata": {"namespace": one.identity.namespace, "name": one.identity.name},
                "spec": {"resourceID": one.identity.resource_id, "clientID": one.identity.client_id},
            },
            "azureBindingRef": {
                **typed(kinds.AZURE_IDENTITY_BINDING),
                "metadata": {"namespace": one.binding.namespace, "name": one.binding.name},
                "spec": {"azureIdentity": one.binding.identity, "selector": one.binding.selector},
            },
        }
        metadata = {"name": one.name, "labels": {"nodename": one.pod.node}}
        body = {"metadata": metadata, "spec": spec, "status": {"status": "Assigned", "availableReplicas": 1}}
        yield kinds.AZURE_ASSIGNED_IDENTITY, one.namespace, body


def fill(started: Any, size: Size) -> None:
    client = started.client()
    server.install(client, server.definitions())
    simulated = server.Processes(programs.built("kwok") / "bin", started.folder)
    simulated.start("kwok", f"--kubeconfig={started.kubeconfig()}", "--manage-all-nodes=true")
    for objects in (configuration(size), pairs(size), workloads(size)):
        create(client, objects)
    server.until("every pod runs", lambda: running(started, client) == size.pods, STARTED_WITHIN)
    create(client, assignments(domain.Cluster.parse(listing.read(client)[0], {})))
    made = domain.Inventory(domain.Cluster.parse(listing.read(client)[0], {})).assignments()
    if made != {"computed": size.pods, "live": size.pods, "equal": size.pods}:
        raise RuntimeError(f"{size} came to {made}")


def typed(kind: Any) -> dict[str, str]:
    return {"apiVersion": kind.api_version, "kind": kind.name}


def create(client: Any, objects: Iterable[Object]) -> None:
    with ThreadPoolExecutor(16) as pool:
        jobs = [
            pool.submit(client.create, kind, namespace, {**typed(kind), **body}) for kind, namespace, body in objects
        ]
        for job in jobs:
            job.result()


def running(started: Any, client: Any) -> int:
    started.processes.check()
    return sum((one.get("status") or {}).get("phase") == "Running" for one in client.list_all(kinds.POD))


def parts(client: Any) -> dict[str, float]:
    """One run, step by step."""
    marks = [time.monotonic()]
    found, _unread = listing.read(client)
    marks.append(time.monotonic())
    cluster = domain.Cluster.parse(found, {})
    marks.append(time.monotonic())
    data = module.as_data(domain.Inventory(cluster))
    marks.append(time.monotonic())
    json.dumps(data)
    marks.append(time.monotonic())
    seconds = [after - before for before, after in zip(marks, marks[1:], strict=False)]
    return dict(zip(("list", "parse", "match", "output"), seconds, strict=True))


def tasks(started: Any, folder: Path) -> dict[str, list[float]]:
    """The module as a task, and in turn one k8s_info for each kind that it reads."""
    made = plays.Plays(folder, {"localhost": 0})
    made.variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    given = {"kubeconfig": started.kubeconfig()}
    turn = [
        {"name": "ours", "azureops.pod_identity.pod_identity_info": given},
        *({"name": "theirs", "kubernetes.core.k8s_info": {**given, **look(kind)}} for kind in listing.KINDS),
    ]
    took = made.run(turn * (ROUNDS_OF_TASKS + 1))[1]
    number = len(listing.KINDS)
    theirs = [sum(took["theirs"][first : first + number]) for first in range(0, len(took["theirs"]), number)]
    return {"ours": took["ours"][1:], "theirs": theirs[1:]}  # the first fill caches


def look(kind: Any) -> dict[str, str]:
    return {"api_version": kind.api_version, "kind": kind.name}


def memory(process: int) -> float:
    """The most that a process has had so far, in MB; 0 of one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def played(started: Any, folder: Path, clusters: int) -> dict[str, float]:
    """What inventory.yml costs: seconds, processor time, and the largest memory of its processes."""
    player = players.Player(folder / f"{clusters}")
    host = {"ansible_connection": "local", "pod_identity_kubeconfig": started.kubeconfig()}
    hosts = player.directory / "hosts.json"
    hosts.write_text(json.dumps({"clusters": {"hosts": {f"cluster{number}": host for number in range(clusters)}}}))
    target = player.directory / "found"
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    play = player.start(
        *("azureops.pod_identity.inventory", "-i", str(hosts)),
        pod_identity_hosts="clusters",
        pod_identity_inventory_file=str(target),
    )
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(players.finish, play, LONGEST_PLAY)
        own = largest = 0.0
        while not end.done():
            own = max(own, memory(play.pid))
            largest = max([largest, *map(memory, deaths.family(play.pid)[1:])])
            time.sleep(0.05)
        status, output = end.result()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status or len(json.loads(target.with_suffix(".json").read_text())["clusters"]) != clusters:
        raise RuntimeError(output)
    return {
        "s": time.monotonic() - begin,
        "s CPU": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "MB in ansible-playbook": own,
        "MB in any other process": largest,
    }


def main(pods: int, namespaces: int, bindings: int) -> None:
    with server.running("deployment-controller", "replicaset-controller") as started:
        fill(started, Size(pods, namespaces, bindings))
        rounds = [parts(started.client()) for _round in range(ROUNDS)]
        whole = []
        for _round in range(ROUNDS):
            begin = time.monotonic()
            server.Runner(started, "pod_identity_info")().ok()
            whole.append(time.monotonic() - begin)
        with tempfile.TemporaryDirectory() as folder:
            beside = tasks(started, Path(folder))
            books = {clusters: played(started, Path(folder), clusters) for clusters in CLUSTERS}
    of_module = {**{part: [one[part] for one in rounds] for part in rounds[0]}, "the module": whole}
    print(json.dumps({"module": of_module, "tasks": beside, "plays": books}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
