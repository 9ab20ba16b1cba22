# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dead rules of the real NMI, and how they go from real nodes. Needs root.

The tests follow one story: NMI lives, NMI is killed and the chart removed, the nodes are repaired one way after the
other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from applications import deployment, pod, sleeper
from cleaned import CLUSTER, GROUP, NODE_GROUP, TAKE_AWAY, World, foreign
from jobs import RunnerOperator
from operators import Operator, on_localhost
from sandboxes import eventually, running

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running("cleanup") as sandbox:
        folder = tmp_path_factory.mktemp("operator")
        operator = Operator(sandbox, folder, {})
        World(operator, (), ()).install()
        nodes = operator.addresses()
        yield World(operator, tuple(nodes), tuple(nodes.values()))


@pytest.fixture(scope="module")
def broken(world: World) -> World:
    world.kill()
    return world


@pytest.fixture(scope="module")
def bare(broken: World) -> World:
    """Nothing dead is left, also where nothing else has repaired the nodes before."""
    for node in range(len(broken.nodes)):
        broken.ssh(node, TAKE_AWAY)
    return broken


def test_nodes_with_nmi_have_nothing_wrong(world: World) -> None:
    scale_set = "vmss_" + world.nodes[0][:-6].replace("-", "_")
    assert world.inventory() == {scale_set: sorted(world.nodes)}


def cached(world: World) -> dict[str, Any]:
    folder = str(world.folder / "cache")
    return {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": folder}


@pytest.mark.soak
def test_the_cache_of_the_inventory_saves_requests(world: World) -> None:
    cache = cached(world)
    first = world.inventory(**cache)
    world.sandbox.run("azure", "log", "--clear")
    assert world.inventory(**cache) == first
    assert world.sandbox.run("azure", "log", "--host", "management.azure.com", "--json") == ""


def test_rules_stay_while_nmi_covers_the_nodes(world: World) -> None:
    before = [world.rules(node) for node in (0, 1)]
    run = world.clean()
    # Nothing is wrong there, and nothing is to be cleaned.
    assert (run.status, run.outcomes) == (0, ["in_use", "in_use"])
    assert all("DaemonSet default/aad-pod-identity-nmi" in each["reason"] for each in run.nodes.values())
    # Whoever accepts that is still stopped by the living NMI.
    run = world.clean(imds_node_cleanup_accept_open_imds=True, node=world.nodes[0])
    assert (run.status != 0, run.outcomes) == (True, ["refused"])
    assert [world.rules(node) for node in (0, 1)] == before


def test_nobody_answers_on_broken_nodes(broken: World) -> None:
    assert broken.answered_by(0) == "nobody"
    groups = broken.inventory()
    assert groups["nmi_missing"] == groups["rules_suspected"] == sorted(broken.nodes)


@pytest.mark.soak
def test_rules_stay_while_the_scale_set_carries_a_foreign_identity(broken: World) -> None:
    identity = broken.sandbox.az("identity", "create", "-g", GROUP, "-n", "stray", "-l", "westeurope")["id"]
    scale_set = broken.nodes[0][:-6]
    broken.sandbox.az("vmss", "identity", "assign", "-g", NODE_GROUP, "-n", scale_set, "--identities", identity)
    before = broken.rules(0)
    run = broken.clean()
    assert (run.status != 0, run.outcomes) == (True, ["refused", "refused"])
    assert all("carries stray" in each["reason"] for each in run.nodes.values())
    assert broken.rules(0) == before
    # One that the operator names is not foreign.
    run = broken.clean("--check", imds_node_cleanup_protected_identities=[identity])
    assert (run.status, run.outcomes) == (0, ["would_clean", "would_clean"])
    assert all(len(each["removed"]) == 4 and not each["saved"] for each in run.nodes.values())
    assert broken.rules(0) == before
    broken.sandbox.az("vmss", "identity", "remove", "-g", NODE_GROUP, "-n", scale_set, "--identities", identity)


@pytest.mark.soak
def test_what_the_inventory_tells_is_asked_again(broken: World) -> None:
    """Its cache is of the time when NMI lived, which would keep the rules."""
    role = "azureops.pod_identity.imds_node_cleanup"
    report = {"ansible.builtin.include_role": {"name": role, "tasks_from": "report"}}
    playbook = [
        {"hosts": "vmss_*", "gather_facts": False, "roles": [role], "serial": 1},
        {"hosts": "vmss_*", "gather_facts": False, "tasks": [{**report, "run_once": True}]},
    ]
    run = broken.clean("-i", broken.source(**cached(broken)), "--check", playbook=playbook)
    assert (run.status, run.outcomes) == (0, ["would_clean", "would_clean"]), run.output[-4000:]


@pytest.mark.parametrize(("node", "transport"), [(0, "ssh"), (1, "aks_node_pod")])
def test_a_broken_node_is_repaired(broken: World, node: int, transport: str) -> None:
    """By ansible-runner, as from AWX."""
    name = broken.nodes[node]
    others = foreign(broken.rules(node))
    # Named as the inventory of somebody else calls it; its address tells which node that is.
    inventory = broken.folder / "alias.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web1": {"ansible_host": broken.addresses[node]}}}}))
    options: dict[str, Any] = {"node": "web1", "imds_node_cleanup_transports": [transport]}
    predicted = broken.clean("-i", str(inventory), "--check", **options) if transport == "ssh" else None
    runner = RunnerOperator.of(broken.operator)
    run = replace(broken, operator=runner).clean("-i", str(inventory), **options)
    assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
    runner.job.check(run)
    result = run.nodes[name]
    assert (result["transport"], result["proof"], result["proof_method"]) == (transport, "imds", "probe_pod")
    assert len(result["removed"]) == 4
    if predicted:
        assert predicted.outcomes == ["would_clean"]
        assert all(predicted.nodes[name][key] == result[key] for key in ("found", "left"))
        assert (predicted.nodes[name]["would_remove"], predicted.nodes[name]["removed"]) == (result["removed"], [])
    (saved,) = result["saved"]
    assert "aad-metadata" in Path(saved).read_text()
    rules = broken.rules(node)
    assert foreign(rules) == others and not any("aad-metadata" in rule for rule in rules)
    assert broken.answered_by(node) == "imds"


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["ssh", "aks_node_pod", "vmss_run_command"])
def test_a_node_without_python_is_repaired(bare: World, transport: str) -> None:
    name = bare.nodes[1]
    before = foreign(bare.rules(1))
    bare.lay(1, comment="it's $HOME; {{ 7 }}")
    bare.ssh(1, "mount --bind /dev/null $(readlink -f /usr/bin/python3) && ! python3 -c pass")
    try:
        run = bare.clean(node=name, imds_node_cleanup_transports=[transport])
    finally:
        bare.ssh(1, "umount $(readlink -f /usr/bin/python3)")
    assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
    result = run.nodes[name]
    assert (result["transport"], result["proof"], result["proof_method"]) == (transport, "imds", "probe_pod")
    assert len(result["removed"]) == 4
    (saved,) = result["saved"]
    assert "-A PREROUTING -m comment" in Path(saved).read_text()
    rules = bare.rules(1)
    assert foreign(rules) == before and not any("aad-metadata" in rule for rule in rules)


def test_second_run_finds_nothing(broken: World) -> None:
    run = broken.clean("-i", broken.source(), playbook="azureops.pod_identity.cleanup_nodes")
    assert (run.status, run.outcomes) == (0, ["clean", "clean"])
    assert [each["found"] for each in run.nodes.values()] == [[], []]
    assert "pod-identity-node-access" not in broken.kubectl("get", "namespaces,jobs", "-A", "-o", "name")


# Keeps a connection to the metadata address, as a client with a pool does, and says what becomes of it.
CLIENT = """
import http.client, pathlib, time
def ask():
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
    connection.request("GET", path, headers={"Metadata": "true"})
    answer = connection.getresponse()
    answer.read()
    return (answer.getheader("Server") or "nobody with a name").partition("/")[0]
def say(name, text):
    pathlib.Path("/run/saying").write_text(text)
    pathlib.Path("/run/saying").rename("/run/" + name)
connection = http.client.HTTPConnection("169.254.169.254", timeout=30)
server = ask()
say("first", f"{'held' if connection.sock else 'closed'}, answered by {server}")
while not pathlib.Path("/run/go-on").exists():
    time.sleep(0.1)
try:
    say("next", f"the connection goes on, answered by {ask()}")
except (OSError, http.client.HTTPException):
    connection.close()
    say("next", f"the connection ended, the next one is answered by {ask()}")
"""


def hold_connection(world: World, node: int) -> None:
    """A client in the network of the plain pod on a node."""
    # The kernel would forget a connection whose server is gone by itself before the clean-up is there.
    timeouts = (
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait=600 net.netfilter.nf_conntrack_tcp_timeout_fin_wait=600"
    )
    enter = "nsenter --net=/proc/$(pgrep -o -f '^sleep 100000')/ns/net"
    world.ssh(
        node,
        f"sysctl -qw {timeouts} && cat > /run/client.py <<'END'\n{CLIENT}END\n"
        f"{enter} setsid python3 /run/client.py > /run/client.log 2>&1 < /dev/null &",
    )
    assert said(world, node, "first") == "held, answered by nobody with a name"


def said(world: World, node: int, name: str) -> str:
    return world.ssh(
        node, f"timeout 60 sh -c 'until [ -e /run/{name} ]; do sleep 0.1; done' || cat /run/client.log; cat /run/{name}"
    )


def connections_through_nmi(world: World, node: int) -> list[str]:
    return world.ssh(
        node, "conntrack -L -p tcp --orig-dst 169.254.169.254 --reply-port-src 2579 2>/dev/null"
    ).splitlines()


REIMAGE: dict[str, Any] = {"imds_node_cleanup_reimage": True, "imds_node_cleanup_transports": ["ssh"]}


def lock_out(world: World, node: int) -> None:
    """Dead rules, and nobody comes in by ssh any more. Both go with the system of the node."""
    world.lay(node, target=world.addresses[node])
    world.ssh(node, "iptables -w -I INPUT -p tcp --dport 22 --syn -j REJECT --reject-with tcp-reset")


def reimages(world: World) -> list[str]:
    """The instances that Azure was asked to reimage since its log was cleared, by number."""
    log = world.sandbox.run("azure", "log", "--method", "POST", "--path", "/reimage", "--json")
    return [json.loads(line)["path"].split("/")[-2] for line in log.splitlines()]


def states(world: World) -> list[tuple[str, bool, list[str]]]:
    """Of each node the start of its kernel, whether it is cordoned, and our labels."""
    nodes = json.loads(world.kubectl("get", "nodes", "-o", "json"))["items"]
    return [
        (
            each["status"]["nodeInfo"]["bootID"],
            bool(each["spec"].get("unschedulable")),
            [label for label in each["metadata"]["labels"] if label.startswith("azureops")],
        )
        for each in nodes
    ]


def let_go(world: World) -> None:
    """With two pods the budget lets one of them go."""
    world.kubectl("scale", "deployment/guarded", "--replicas=2", "-n", "default")
    world.kubectl("rollout", "status", "deployment/guarded", "-n", "default", "--timeout=180s")


def guard(broken: World) -> None:
    """One pod that may not be disturbed, on the first node, which has dead rules again."""
    metadata = {"name": "guarded", "namespace": "default"}
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}
    broken.kubectl("cordon", broken.nodes[1])
    broken.operator.apply(
        deployment("guarded", "default", {}),
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": budget},
    )
    broken.kubectl("rollout", "status", "deployment/guarded", "--timeout=180s")
    broken.kubectl("uncordon", broken.nodes[1])
    lock_out(broken, 0)


@pytest.mark.soak
def test_a_node_that_no_way_reaches_is_reimaged(bare: World) -> None:
    guard(bare)
    _a_disruption_budget_keeps_it(bare)
    _it_is_reimaged_when_its_pods_may_go(bare)
    _the_command_that_is_named_reimages_it_too(bare)


def _a_disruption_budget_keeps_it(guarded: World) -> None:
    before = states(guarded)
    guarded.sandbox.run("azure", "log", "--clear")
    run = guarded.clean(node=guarded.nodes[0], imds_node_cleanup_drain_timeout=5, **REIMAGE)
    assert (run.status != 0, run.outcomes) == (True, ["unreachable"]), run.output[-4000:]
    reason = run.nodes[guarded.nodes[0]]["reason"]
    assert "It was not reimaged, because" in reason and "disruption budget" in reason and "default/guarded" in reason
    assert (reimages(guarded), states(guarded)) == ([], before)


def _it_is_reimaged_when_its_pods_may_go(guarded: World) -> None:
    name, before = guarded.nodes[0], states(guarded)
    let_go(guarded)
    guarded.sandbox.run("azure", "log", "--clear")
    run = guarded.clean("--check", node=name, **REIMAGE)
    assert (run.status, run.outcomes) == (0, ["would_clean"]), run.output[-4000:]
    assert (reimages(guarded), states(guarded)) == ([], before)
    run = guarded.clean(node=name, **REIMAGE)
    assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
    result = run.nodes[name]
    assert (result["transport"], result["proof"], result["proof_method"]) == ("reimage", "imds", "probe_pod")
    after = states(guarded)
    assert reimages(guarded) == ["0"] and after[0][0] != before[0][0]
    assert (after[0][1:], after[1]) == (before[0][1:], before[1])
    assert not any("aad-metadata" in rule for rule in guarded.rules(0))
    assert guarded.answered_by(0) == "imds"
    # Whose pods are served is left alone, whatever keeps people out.
    run = guarded.clean(node=name, **{**REIMAGE, "imds_node_cleanup_transports": []})
    assert (run.status, run.outcomes, states(guarded)) == (0, ["clean"], after), run.output[-4000:]


def _the_command_that_is_named_reimages_it_too(guarded: World) -> None:
    """What the table tells people to do by hand, with az as it is."""
    name, before = guarded.nodes[0], states(guarded)
    run = guarded.clean(node=name, imds_node_cleanup_transports=[])
    command = run.nodes[name]["reason"].partition(": az ")[2].partition(" (")[0]
    guarded.sandbox.az(*command.split())
    eventually(lambda: states(guarded)[0][0] != before[0][0], 180)
    guarded.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=180s")
    assert states(guarded)[1] == before[1]


def break_again(broken: World) -> None:
    """Broken once more, with a plain pod on each node, from the time when the kubelet still started pods."""
    broken.install()
    idle = sleeper(command=["sleep", "100000"])
    broken.operator.apply(*(pod(f"plain-{number}", idle, nodeName=name) for number, name in enumerate(broken.nodes)))
    broken.kubectl("wait", "--for=condition=Ready", "pod/plain-0", "pod/plain-1", "--timeout=180s")
    hold_connection(broken, 0)
    broken.kill()


@pytest.mark.soak
def test_nodes_whose_api_server_or_kubelet_is_away_are_repaired(bare: World) -> None:
    break_again(bare)
    _without_the_api_server_nodes_come_from_scale_sets(bare)
    _a_node_without_kubelet_is_repaired_by_run_command(bare)


def _without_the_api_server_nodes_come_from_scale_sets(broken_again: World) -> None:
    """The host of an inventory, over ssh; the identities of the scale set are known, so that nothing is opened.

    A client in a pod there holds a connection from the time of NMI.
    """
    assert connections_through_nmi(broken_again, 0)
    name = broken_again.nodes[0]
    unreachable = broken_again.unreachable_kubeconfig()
    assert broken_again.inventory(kubeconfig=unreachable, api_timeout=2)["not_inspected"] == sorted(broken_again.nodes)
    run = broken_again.clean(
        *("-i", broken_again.hosts()),
        node=name,
        pod_identity_kubeconfig=unreachable,
        imds_node_cleanup_api_timeout=2,
        imds_node_cleanup_transports=["ssh"],
    )
    assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
    assert "cannot be reached" in run.output
    result = run.nodes[name]
    assert (result["transport"], result["proof"], result["proof_method"]) == ("ssh", "imds", "pod_network")
    assert connections_through_nmi(broken_again, 0) == []
    broken_again.ssh(0, "touch /run/go-on")
    assert said(broken_again, 0, "next") == "the connection ended, the next one is answered by IMDS"
    assert broken_again.answered_by(0) == "imds"


def _a_node_without_kubelet_is_repaired_by_run_command(broken_again: World) -> None:
    """It is not Ready, and no pod can be made there."""
    name = broken_again.nodes[1]
    broken_again.ssh(1, "pkill -STOP -x kubelet")
    try:
        broken_again.kubectl("wait", "--for=condition=Ready=Unknown", f"node/{name}", "--timeout=180s")
        assert name in broken_again.inventory()["not_ready"]
        run = broken_again.clean(node=name, imds_node_cleanup_transports=["aks_node_pod", "vmss_run_command"])
    finally:
        broken_again.ssh(1, "pkill -CONT -x kubelet")
    assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
    result = run.nodes[name]
    assert (result["transport"], result["proof"]) == ("vmss_run_command", "imds"), result
    assert result["proof_method"] == "pod_network"
    broken_again.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=180s")
    assert broken_again.answered_by(1) == "imds"


@pytest.fixture(scope="module")
def other(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A cluster of one node on which no pod runs."""
    folder, sandbox = tmp_path_factory.mktemp("other"), world.sandbox
    sandbox.exec("az", "aks", "create", "-g", GROUP, "-n", "two", "--node-count", "1", "--generate-ssh-keys")
    operator = Operator(sandbox, folder, {})
    operator.kubeconfig(GROUP, "two")
    (node,) = json.loads(World(operator, (), ()).kubectl("get", "nodes", "-o", "json"))["items"]
    return World(operator, (node["metadata"]["name"],), (node["status"]["addresses"][0]["address"],), "two")


@pytest.mark.soak
def test_the_clusters_of_an_inventory_are_cleaned_in_one_run(bare: World, other: World) -> None:
    """Each node through the API server of its own cluster."""
    for each in (bare, other):
        each.lay(0)
    source = bare.folder / "both.aks_nodes.yml"
    clusters = [{"resource_group": GROUP, "cluster_name": each.cluster} for each in (bare, other)]
    source.write_text(yaml.safe_dump({"plugin": "azureops.pod_identity.aks_nodes", "clusters": clusters}))
    run = bare.clean(
        *("-i", str(source)),
        playbook="azureops.pod_identity.cleanup_nodes",
        imds_node_cleanup_transports=["aks_node_pod"],
    )
    assert run.status == 0, run.output[-4000:]
    assert sorted(run.nodes) == sorted([*bare.nodes, *other.nodes])
    assert [run.nodes[each.nodes[0]]["outcome"] for each in (bare, other)] == ["cleaned", "cleaned"]
    for result in run.nodes.values():
        assert (result["transport"], result["proof"]) == ("aks_node_pod", "imds"), result
        assert result["proof_method"] == "probe_pod"
    for each in (bare, other):
        each.until_no_node_access()


@pytest.mark.soak
def test_a_node_that_goes_while_the_run_is_under_way_is_no_failure(world: World) -> None:
    """It is in the cluster when the nodes are found, and neither there nor to be reached when its turn comes. The run
    goes on with the next one.

    The last test, because the node is missing afterwards.
    """
    role = "azureops.pod_identity.imds_node_cleanup"
    node, address = world.nodes[0], world.addresses[0]
    die = ["ssh", "-o", "LogLevel=ERROR", f"root@{address}", "pkill -STOP -x kubelet; pkill -STOP -o -x sshd"]
    delete = ["kubectl", "--kubeconfig", str(world.kubeconfig), "delete", "node", node]
    playbook = on_localhost(
        {"ansible.builtin.include_role": {"name": role, "tasks_from": "discover"}},
        {"ansible.builtin.command": {"argv": die}},
        {"ansible.builtin.command": {"argv": delete}},
    )
    playbook.append({"hosts": "imds_node_cleanup_nodes", "gather_facts": False, "serial": 1, "roles": [role]})
    playbook += on_localhost({"ansible.builtin.include_role": {"name": role, "tasks_from": "report"}})
    run = world.clean(
        *("-T", "3"),
        playbook=playbook,
        pod_identity_resource_group=GROUP,
        pod_identity_cluster_name=CLUSTER,
        imds_node_cleanup_transports=["ssh"],
    )
    assert (run.status, run.outcomes) == (0, ["gone", "clean"]), run.output[-4000:]
    assert [each["transport"] for each in run.nodes[node]["attempts"]] == ["ssh"]
