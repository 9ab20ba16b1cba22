# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures: each is a function that takes an empty folder and returns rows."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators import GROUP, SITE, Operator, on_localhost
from sandboxes import PROGRAM, running

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
)
from ansible_collections.azureops.pod_identity.tests.bench.workstation import IDENTITY, PING, Workstation, ours, theirs
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.earlier import BEFORE, earlier
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.site_requests import counted
from azsandbox import paths, toolenvs
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.null_compute import NullCompute

from ..browser.opened import write
from ..node.fleet import entrance
from .clients import OURS, THEIRS, Starts, installed
from .measured import Cost, total
from .opened_pages import opened
from .plays import CHECKOUT, CLEANUP, ROLE, TRUE, Play, Plays, clean_nodes, leave_rules

ROUNDS = 15
# A program of this folder by the collection's name, which tests/conftest.py makes known first.
_START = """
import runpy, sys, tests.conftest
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__")
"""
ROUNDS_OF_PLAYS = int(os.environ.get("ROUNDS", "10"))
CLUSTERS = int(os.environ.get("CLUSTERS", "12"))
NODES = int(os.environ.get("NODES", "200"))
FORKS = 50
PODS = int(os.environ.get("PODS", "5000"))
PAIRS = int(os.environ.get("PAIRS", "500"))
WORKLOADS = 50
PODS_TO_MOVE, TEMPLATES = 2000, 300
PLAIN = {"name": "plain", "image": "mcr.microsoft.com/azurelinux/base/core:3.0", "command": ["true"]}
# As many pods at once as pod_token_info has by default, on the same node: what starting them costs by itself.
PLAIN_PODS = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"generateName": "plain-", "namespace": "billing"},
    "spec": {
        "completions": WORKLOADS,
        "parallelism": 25,
        "template": {"spec": {"restartPolicy": "Never", "containers": [PLAIN]}},
    },
}
IDENTITIES = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"


@dataclass(frozen=True)
class Row:
    """Samples of ours and of the peer's, taken in turn; ``goal`` is the highest ratio that is meant."""

    what: str
    unit: str
    ours: tuple[float, ...]
    peer: str = ""
    theirs: tuple[float, ...] = ()
    goal: float | None = None


def node_task(folder: Path) -> Iterator[Row]:
    """One task on one clean node, beside the cheapest task there is, as Ansible is set up by default and pipelined."""
    turn = [{"name": "theirs", **TRUE}, {"name": "ours", **CLEANUP}]
    with clean_nodes(folder, ["node"]) as plays:
        for set_up, pipelining in (("", "false"), (", pipelined", "true")):
            _seconds, took = plays.run(turn * (ROUNDS + 1), ANSIBLE_PIPELINING=pipelining)
            # The first of each has to fill caches.
            ours, theirs = tuple(took["ours"][1:]), tuple(took["theirs"][1:])
            yield Row(f"clean node, one task{set_up}", "s", ours, "/bin/true", theirs, 1.3)


def fleet_task(folder: Path) -> Iterator[Row]:
    """A play of one task on many clean nodes."""
    yield _fleet(folder, "one task", CLEANUP, rounds=3, goal=1.3)


def fleet_role(folder: Path) -> Iterator[Row]:
    """The role on many clean nodes, with its gates and its proof from a pod, beside a play of one task."""
    yield _fleet(folder, "the role", ROLE, rounds=1, goal=3)


def _fleet(folder: Path, what: str, task: Play, rounds: int, goal: float | None = None) -> Row:
    with clean_nodes(folder, [f"node{number}" for number in range(NODES)]) as plays:
        seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
        plays.run([TRUE], ANSIBLE_FORKS=str(FORKS))  # fills caches
        for _round in range(rounds):
            for whose, played in (("theirs", TRUE), ("ours", task)):
                seconds[whose].append(plays.run([played], ANSIBLE_FORKS=str(FORKS))[0])
    where = f"{NODES} clean nodes, {FORKS} forks, {what}"
    return Row(where, "s", tuple(seconds["ours"]), "/bin/true", tuple(seconds["theirs"]), goal)


class Machines(NullCompute):
    """Run-command reaches a process of this machine, in whose namespaces the script runs as the agent runs it."""

    node = 0

    async def run_command(self, instance_id: str, script: str, timeout: float) -> tuple[int, bytes, bytes]:
        Path(f"/proc/{self.node}/root/run/script.sh").write_text(script)
        command = [*entrance(self.node), "sh", "/run/script.sh"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        out, errors = await process.communicate()
        return process.returncode or 0, out, errors


def run_command(folder: Path) -> Iterator[Row]:
    """How many run-commands the role needs on a node that is reached in no other way. Each takes half a minute."""
    machines = Machines()
    azure = SimulatedAzure(folder, compute=machines)
    try:
        azure.cluster("demo")
        instance = azure.first_instance()
        name = instance["properties"]["osProfile"]["computerName"]
        with clean_nodes(folder, [name]) as plays:
            machines.node = plays.nodes[name]
            plays.variables.update(
                ansible_vmss_run_command_instance=instance["id"],
                ansible_vmss_run_command_poll_interval=0.1,
                aks_node={"name": name, "transports": ["vmss_run_command"]},
                imds_node_cleanup_artifact_target=str(folder / "saved"),
            )
            for state in ("clean", "broken"):
                if state == "broken":
                    leave_rules(plays, name)
                before = azure.control("GET", "/log")["last"]
                plays.run([ROLE], **Modules(azure, folder).environment)
                asked = azure.control("GET", "/log", since=str(before), path="/runCommand")
                yield Row(f"the role on a {state} node", "run-commands", (asked["count"],))
    finally:
        azure.close()


def first_request(folder: Path) -> Iterator[Row]:
    """How long one look at a cluster takes to its first request to Azure, beside azure.azcollection."""
    _built("ansible", "azcollection")
    starts = Starts(folder)
    for what, run, goal in (("the module", starts.module, 1 / 6), ("a whole task", starts.task, 1 / 2.5)):
        pairs = [(run(OURS), run(THEIRS)) for _round in range(6)][1:]  # the first has to compile
        ours, theirs = zip(*pairs, strict=True)
        yield Row(f"aks_cluster_info to its first request, {what}", "s", ours, "azcollection", theirs, goal)


def environment(folder: Path) -> Iterator[Row]:
    """What our requirements bring besides what ansible-core brings, beside those of azure.azcollection."""
    _built("collections")
    core = installed(folder / "core", ["ansible-core>=2.19"])
    own = installed(folder / "ours", toolenvs.ANSIBLE.requirements)
    peer = installed(folder / "theirs", toolenvs.azcollection().requirements)
    for what, unit, goal in (("packages", "", 30), ("size", "MB", 100)):
        ours, theirs = own[what] - core[what], peer[what] - core[what]
        yield Row(f"requirements, {what} (goal {goal})", unit, (ours,), "azcollection", (theirs,))


def matching(folder: Path) -> Iterator[Row]:
    """What it costs to say who gets which identity, of whole clusters; the last four show how it grows."""
    for pods, namespaces, bindings, seconds, megabytes in (
        (2_000, 100, 500, 1, None),
        (12_500, 100, 600, None, None),
        (25_000, 100, 1_200, None, None),
        (50_000, 100, 2_500, None, None),
        (100_000, 100, 5_000, 15, 500),
    ):
        runs = [_program("matched", pods, namespaces, bindings) for _round in range(3)]
        what = f"match {pods:,} pods, {bindings:,} bindings"
        for key, unit, goal in (("seconds", "s CPU", seconds), ("peak_mb", "MB", megabytes)):
            yield Row(f"{what}{f' (goal {goal})' if goal else ''}", unit, tuple(run[key] for run in runs))


def reports(_folder: Path) -> Iterator[Row]:
    """All files of a report of one large cluster, of twelve with as much in all, and of twelve large ones, which get a
    page each."""
    for clusters, parts in ((1, 1), (12, 12), (12, 1)):
        sizes = [2_000 // parts, 300 // parts, 500 // parts]
        runs = [_program("reported", clusters, *sizes) for _round in range(3)]
        what = f"report {clusters} clusters of {sizes[0]:,} pods, {sizes[2]} identities"
        of_page = (("largest_mb", "MB of a page", 6), ("pages", "pages", 0))
        for key, unit, goal in (("seconds", "s CPU", 5), ("peak_mb", "MB", 250), *of_page):
            yield Row(f"{what}{f' (goal {goal})' if goal else ''}", unit, tuple(run[key] for run in runs))


def azure_tasks(folder: Path) -> Iterator[Row]:
    """Eight unchanged Azure tasks beside eight pings and the same of azure.azcollection, and identities beside az."""
    with running("bench") as sandbox:
        place = Workstation(sandbox, folder)
        found = place.prepare()
        same, peers = ours(found), theirs(found)
        look = {"resource_group": GROUP, "name": IDENTITY}
        identities: list[Play] = [{"azureops.pod_identity.user_assigned_identity": look}] * 20
        show = f"for turn in $(seq 20); do az identity show -g {GROUP} -n {IDENTITY} > /dev/null || exit 1; done"
        kinds: dict[str, Callable[[], Cost]] = {
            "ours": lambda: place.unchanged("ours", same),
            "ping": lambda: place.unchanged("ping", [PING] * len(same)),
            "modules": lambda: place.unchanged("ours", same, POD_IDENTITY_IN_PROCESS="false"),
            "azcollection": lambda: place.unchanged("theirs", peers, tools="azcollection"),
            "identities": lambda: place.unchanged("identities", identities),
            "az identity show": lambda: place.cost("bash", "-c", show),
        }
        costs = in_turn(kinds, ROUNDS_OF_PLAYS)
    eight = f"{len(same)} unchanged Azure tasks"
    for kind, of, peer, goal in (
        ("CPU", "cpu", "ping", 0.6),
        ("CPU", "cpu", "azcollection", 1 / 15),
        ("wall", "wall", "azcollection", 1 / 8),
        ("CPU", "cpu", "modules", None),
    ):
        yield Row(f"{eight}, {kind}", "s", each(costs["ours"], of), peer, each(costs[peer], of), goal)
    twenty, shows = each(costs["identities"], "wall"), each(costs["az identity show"], "wall")
    yield Row("20 unchanged identities, wall", "s", twenty, "20 az identity show", shows, 0.6)
    yield Row("the largest process of these tasks", "MB", each(costs["ours"], "peak_mb"))


def clusters(folder: Path) -> Iterator[Row]:
    """The eight tasks on twelve clusters at once, beside one cluster after the other."""
    azure = SimulatedAzure(folder)
    try:
        names = [f"c{number}" for number in range(CLUSTERS)]
        for name in names:
            azure.cluster(name, name)
        tasks = ours({"scope": "{{ scope }}", "principal": "{{ principal }}"}, *["{{ cluster }}"] * 2)
        plays = Plays(folder, {})
        plays.variables = {"ansible_connection": "local", "principal": azure.principal("nodes").object_id}
        place = f"/subscriptions/{azure.subscription_id}/resourceGroups"
        plays.of_host = {name: {"scope": f"{place}/{name}", "cluster": name} for name in names}
        environment = {**Modules(azure, folder).environment, "ANSIBLE_FORKS": str(CLUSTERS)}
        plays.run(tasks, **environment)  # grants the roles, fills caches
        kinds: dict[str, Callable[[], Cost]] = {
            "at once": lambda: plays.cost(tasks, **environment),
            "one by one": lambda: total(plays.cost(tasks, [name], **environment) for name in names),
        }
        costs = in_turn(kinds, ROUNDS_OF_PLAYS)
    finally:
        azure.close()
    what = f"{len(tasks)} unchanged tasks on {CLUSTERS} clusters, forks {CLUSTERS}"
    peer = f"{CLUSTERS} x one"
    yield Row(f"{what}, wall", "s", each(costs["at once"], "wall"), peer, each(costs["one by one"], "wall"), 0.5)
    yield Row("the largest process of it", "MB", each(costs["at once"], "peak_mb"))


def site_before(folder: Path) -> Iterator[Row]:
    """An unchanged site.yml, beside what it was before tasks ran in process."""
    with running("bench") as sandbox:
        place = Workstation(sandbox, folder)
        variables = folder / "site.json"
        variables.write_text(json.dumps(SITE))
        site = ("ansible-playbook", "azureops.pod_identity.site", "-e", f"@{variables}")
        sandbox.exec(*site)
        path = f"ANSIBLE_COLLECTIONS_PATH={earlier(folder / 'before')}:{paths.COLLECTIONS}"
        kinds: dict[str, Callable[[], Cost]] = {
            "now": lambda: place.cost(*site),
            "before": lambda: place.cost("env", path, *site),
        }
        costs = in_turn(kinds, ROUNDS_OF_PLAYS)
    for kind, of, goal in (("wall", "wall", 0.6), ("CPU", "cpu", None)):
        yield Row(f"unchanged site.yml, {kind}", "s", each(costs["now"], of), BEFORE, each(costs["before"], of), goal)


def in_turn(kinds: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """What each kind costs, measured in turn; the first of each fills caches and does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, run in kinds.items():
            cost = run()
            if number:
                costs[name].append(cost)
    return costs


def each(costs: Iterable[Cost], of: str) -> tuple[float, ...]:
    return tuple(float(getattr(cost, of)) for cost in costs)


def unchanged_site(folder: Path) -> Iterator[Row]:
    """What site.yml asks Azure where nothing changes; why it does is in site_requests.py."""
    with running("bench") as sandbox:
        operator = Operator(sandbox, folder, SITE)
        operator.site().ok()
        operator.forget_requests()
        operator.site().ok()
        asked = counted(operator.requests())
    yield Row("unchanged site.yml", "requests", (sum(asked.values()),))
    for (method, place), count in asked.items():
        yield Row(f"  {method} {place.replace('/providers/microsoft.', '/')}", "requests", (count,))


def verification(folder: Path) -> Iterator[Row]:
    """The tokens of 50 workloads beside that of one and beside 50 plain pods: a real node, the real MIC and NMI."""
    question = {"namespace": "billing", "selector": "billing"}
    with running("bench") as sandbox:
        operator = Operator(sandbox, folder, SITE)
        operator.site().ok()
        kubeconfig = str(folder / "kubeconfig")
        where = ("-g", SITE["pod_identity_resource_group"], "-n", SITE["pod_identity_cluster_name"])
        sandbox.exec("az", "aks", "get-credentials", *where, "--admin", "-f", kubeconfig)
        sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
        sandbox.exec("kubectl", "rollout", "status", "-n", "billing", "deployment/api", "--timeout=90s")
        plain = folder / "plain.json"
        plain.write_text(json.dumps(PLAIN_PODS))
        until_ended = f"kubectl create -f {plain} && kubectl wait -n billing job --all --for=condition=complete"
        # MIC takes the assignments of probes away after them, and would let the next probe wait for that.
        assigned = "kubectl get azureassignedidentities -A -o name"
        settled = {"until": "left.stdout_lines | length == 1", "retries": 90, "delay": 1}
        kinds: dict[str, Play] = {"plain": {"ansible.builtin.shell": f"{until_ended} --timeout=300s"}}
        for number in (1, WORKLOADS):
            asked = {"kubeconfig": kubeconfig, "workloads": [question] * number}
            must = {"register": "asked", "failed_when": "not asked.ok"}
            kinds[str(number)] = {"azureops.pod_identity.pod_token_info": asked, **must}
        tasks = [
            task
            for turn in range(4)
            for kind, measured in kinds.items()
            for task in (
                {"name": f"settle {kind} {turn}", "ansible.builtin.command": assigned, "register": "left", **settled},
                {"name": f"{kind} {turn}", **measured},
            )
        ]
        run = operator.play(on_localhost(*tasks)).ok()
    took = {
        kind: tuple(run.ended(f"{kind} {turn}") - run.ended(f"settle {kind} {turn}") for turn in (1, 2, 3))
        for kind in kinds  # the first of each fills caches
    }
    what = f"verify {WORKLOADS} workloads"
    yield Row(what, "s", took[str(WORKLOADS)], "one", took["1"], 3)
    yield Row(what, "s", took[str(WORKLOADS)], f"{WORKLOADS} pods that only start and end", took["plain"])


def inventory(folder: Path) -> Iterator[Row]:
    """pod_identity_info on a real API server with 5,000 pods on simulated nodes, its parts, and inventory.yml."""
    _built("kwok")
    found = _program("listed", PODS, 100, 500)
    for part, seconds in found["module"].items():
        yield Row(f"pod_identity_info, {PODS:,} pods, {part}", "s", tuple(seconds))
    own, peer = (tuple(found["tasks"][name]) for name in ("ours", "theirs"))
    yield Row(f"pod_identity_info, {PODS:,} pods, as a task", "s", own, "k8s_info of each kind", peer, 0.7)
    for clusters, costs in found["plays"].items():
        for cost, value in costs.items():
            unit, _of, process = cost.partition(" in ")
            yield Row(
                f"inventory.yml, clusters of {PODS:,} pods: {clusters}{process and f', {process}'}", unit, (value,)
            )


def migration_plan(folder: Path) -> Iterator[Row]:
    """workload_identity_info with dry runs of 300 templates and 500 identities, with 2,000 pods beside 300 of them."""
    _built("workload-identity")
    found = _program("migrated", PODS_TO_MOVE, TEMPLATES, 500, 100)
    few, many = found.values()
    what, peer = f"workload_identity_info, {TEMPLATES} templates, {PODS_TO_MOVE:,} pods", f"{TEMPLATES} pods"
    yield Row(what, "s", tuple(many["s"]), peer, tuple(few["s"]))
    for of, unit in (("requests", "requests to Kubernetes"), ("dry_runs", "dry runs"), ("azure", "requests to ARM")):
        yield Row(what, unit, (many[of],), peer, (few[of],), 1)


def _built(*parts: str) -> None:
    """Have the sandbox build what is measured here, or measured with."""
    subprocess.run([PROGRAM, "build", *parts], check=True, stdout=subprocess.DEVNULL)


def _program(name: str, *arguments: int) -> dict[str, Any]:
    """What a program of this folder prints; a process of its own."""
    module = f"ansible_collections.azureops.pod_identity.tests.bench.{name}"
    command = [sys.executable, "-c", _START, module, *map(str, arguments)]
    printed: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=CHECKOUT))
    return printed


def binding_lists(folder: Path) -> Iterator[Row]:
    """A list of pairs on one real API server, beside kubernetes.core with a list of definitions, as tasks."""

    def pair(number: int) -> dict[str, str]:
        of = {"resource_id": f"{IDENTITIES}/i{number}", "client_id": CLIENT_ID}
        return {"name": f"i{number}", "selector": f"s{number}", **of}

    pairs = [pair(number) for number in range(PAIRS)]
    with server.running() as api:
        client = api.client()
        server.install(client, server.definitions())
        for name in ("ours", "theirs"):
            client.create(server.NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        plays = Plays(folder, {"localhost": os.getpid()})
        definitions = [body for one in pairs for body in pair_definitions(one)]
        plays.variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        plays.variables.update(pairs=pairs, definitions=definitions)
        given = {"kubeconfig": api.kubeconfig()}
        ours = {**given, "namespace": "ours", "bindings": "{{ pairs }}"}
        look = {**given, "namespace": "theirs", "api_version": AZURE_IDENTITY.api_version}
        turn: list[Play] = [
            {"name": "theirs", "kubernetes.core.k8s": {**given, "definition": "{{ definitions }}"}},
            {"name": "ours", "azureops.pod_identity.azure_identity_binding": ours},
        ]
        looks: list[Play] = [
            {"name": "looks", "kubernetes.core.k8s_info": {**look, "kind": kind.name}}
            for kind in (AZURE_IDENTITY, AZURE_IDENTITY_BINDING)
        ]
        first: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _round in range(ROUNDS_OF_PLAYS):
            for kind, name in itertools.product((AZURE_IDENTITY, AZURE_IDENTITY_BINDING), first):
                client._request("DELETE", kind.path(name))
            took = plays.run(turn)[1]
            for name, seconds in first.items():
                seconds += took[name]
        what = f"{PAIRS} identities and {PAIRS} bindings"
        yield Row(f"{what}, first apply", "s", tuple(first["ours"]), "k8s", tuple(first["theirs"]), 1 / 5)
        took = plays.run((turn + looks) * ROUNDS_OF_PLAYS)[1]
        same = tuple(took["ours"])
        yield Row(f"{what}, nothing to do", "s", same, "k8s", tuple(took["theirs"]), 1 / 12)
        both = tuple(map(sum, zip(took["looks"][::2], took["looks"][1::2], strict=True)))
        yield Row(f"{what}, nothing to do", "s", same, "two k8s_info", both, 1.5)
        before = len(api.requests())
        plays.run(turn[1:])
        yield Row(f"{what}, nothing to do (goal 4)", "requests", (len(api.requests()) - before,))


def pair_definitions(pair: dict[str, str]) -> Iterator[dict[str, Any]]:
    """What somebody writes who has no module for it."""
    identity = {"type": 0, "resourceID": pair["resource_id"], "clientID": pair["client_id"]}
    binding = {"azureIdentity": f"theirs-{pair['name']}", "selector": pair["selector"]}
    for kind, spec in ((AZURE_IDENTITY, identity), (AZURE_IDENTITY_BINDING, binding)):
        metadata = {"name": f"theirs-{pair['name']}", "namespace": "theirs"}
        yield {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}


def report_page(folder: Path) -> Iterator[Row]:
    """The page of a report of a cluster with 300 workloads, 500 identities and 2,000 pods, in headless Chromium."""
    path = write("huge", folder)
    yield Row("report page: size", "MB", (path.stat().st_size / 1e6,))
    found = opened(path, ("service-0123", "team-07"), ROUNDS)
    told = {"until it is seen": "painted", "loaded": "loaded", "first filter": "first", "filter": "next"}
    for what, name in told.items():
        yield Row(f"report page: {what}", "ms", tuple(round(getattr(one, name)) for one in found))


FIGURES: dict[str, Callable[[Path], Iterator[Row]]] = {
    figure.__name__: figure
    for figure in (
        *(node_task, matching, reports, inventory, migration_plan, first_request, environment, binding_lists),
        *(report_page, run_command, azure_tasks, clusters, site_before, unchanged_site, verification),
        *(fleet_task, fleet_role),
    )
}
