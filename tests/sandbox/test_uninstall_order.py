# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an uninstall opens, touches and gets over, on a cluster that others use too. Needs root.

The tests share one sandbox, with the real MIC, NMI and helm; the site is built again wherever a test needs it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bystanders
import pytest
from operators import CLUSTER, GROUP, SITE, Operator, Run
from probes import QUICK_NMI, Watch, asking
from sandboxes import PROGRAM, eventually, running
from uninstalled import IN_USE, UNINSTALL, attached, chains, states

from azsandbox import paths

pytestmark = [pytest.mark.story, pytest.mark.soak]

PAUSE, BY_NMI, BY_IMDS = 5, 404, 400
"""Seconds in which nothing is seen; who refuses a pod with which status."""
DETACHED = "Detach what is left on the scale sets"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as target,
        running("order", "--with", "workload-identity") as sandbox,
    ):
        variables = {**SITE, "pod_identity_artifact_target": target, "pod_identity_chart_values": QUICK_NMI}
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)


@pytest.fixture(scope="module")
def used(operator: Operator) -> Operator:
    """A workload has the identity of the site, and others use the cluster too."""
    operator.site().ok()
    assign(operator)
    bystanders.add(operator, operator.kubeconfig())
    return operator


@dataclass(frozen=True)
class Watched:
    """A run, what pods without any binding got the whole time, and what others had before and after it."""

    run: Run
    watch: Watch
    others: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def watched(used: Operator) -> Watched:
    before = theirs(used)
    with asking(used, identities(used), ["billing"]) as watch:
        run = used.play(UNINSTALL, variables=IN_USE).ok()
    return Watched(run, watch, (before, theirs(used)))


def assign(operator: Operator) -> None:
    """Let a workload have the identity."""
    operator.sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
    eventually(lambda: states(operator) == ["Assigned"], 120)


def theirs(operator: Operator) -> dict[str, Any]:
    return {**bystanders.in_azure(operator), **bystanders.in_cluster(operator)}


def identities(operator: Operator) -> dict[str, Any]:
    """By name the identities on the scale set: one that pods have, one of somebody else, and that of the nodes."""
    az = operator.sandbox.az
    found = {each["name"]: each for each in az("identity", "list", "--resource-group", GROUP)}
    cluster = az("aks", "show", "--resource-group", GROUP, "--name", CLUSTER)
    nodes = cluster["identityProfile"]["kubeletidentity"]
    return {**found, "nodes": {"id": nodes["resourceId"], "clientId": nodes["clientId"]}}


def test_no_pod_gets_what_nmi_guarded(watched: Watched) -> None:
    """From the beginning; what the cluster needs, or nobody knows, is open as soon as NMI is gone."""
    watch = watched.watch
    assert watch.opened() == []
    assert watch.longest_pause() < PAUSE
    refused = watch.statuses("billing")
    assert {BY_NMI, BY_IMDS} <= set(refused)
    others = watch.others()
    assert set(others) == {"foreign", "nodes"}, others
    print(f"tokens of others: {dict(others)}; answers for billing by status: {dict(refused)}")


def test_nothing_of_others_has_changed(watched: Watched) -> None:
    """Of the roles only those go that MIC has the nodes have."""
    before, after = watched.others
    nodes = before["scale sets"][0]["id"].partition("/providers/")[0].lower()
    gone = [each for each in before["roles"] if each not in after["roles"]]
    assert {(each["roleDefinitionName"], each["scope"].lower() == nodes) for each in gone} == {
        ("Managed Identity Operator", True),
        ("Virtual Machine Contributor", True),
        ("Managed Identity Operator", False),
    }
    assert len({each["principalId"] for each in gone}) == 1
    kept = {**before, "roles": [each for each in before["roles"] if each not in gone]}
    assert {name: after.get(name) for name in kept} == kept
    assert set(after) == set(before)


@pytest.mark.soak
def test_in_the_wrong_order_every_pod_gets_it(used: Operator, watched: Watched) -> None:
    """The chart goes first: what the test above asserts does not hold, until a run has cleaned the scale set."""
    again(used)
    with asking(used, identities(used), ["billing"]) as watch:
        used.sandbox.exec("helm", "--kubeconfig", used.kubeconfig(), "uninstall", "aad-pod-identity", "--wait")
        run = used.play(UNINSTALL, variables=IN_USE).ok()
    assert watch.longest_pause() < PAUSE
    assert watch.opened() != []
    assert watch.opened(since=run.ended(DETACHED)) == []
    assert {DETACHED, "Remove what MIC does not remove any more"} <= set(run.changes())
    assert watch.others()["foreign"] > 0
    is_clean(used)


def again(operator: Operator) -> None:
    """The site and its workload are back, whatever there is now."""
    if "billing" not in attached(operator):
        operator.site().ok()
    assign(operator)


def is_clean(operator: Operator) -> None:
    """Of what others cannot see, because the run itself fails where it leaves something."""
    assert "billing" not in attached(operator)
    assert chains(operator) == []
    kinds = operator.kubectl("get", "customresourcedefinitions")["items"]
    names = [each["metadata"]["name"] for each in kinds]
    assert [name for name in names if name.endswith("aadpodidentity.k8s.io")] == []
    assert operator.kubectl("get", "daemonset,deployment", "--namespace", "default")["items"] == []


# What people have when they begin


@dataclass(frozen=True)
class Start:
    """How a state comes about, and how what outlives the uninstall is put right."""

    breaks: Callable[[Operator], None]
    mends: Callable[[Operator], None] = lambda _operator: None


def stop_mic(operator: Operator) -> None:
    operator.sandbox.exec("kubectl", "scale", "deployment/aad-pod-identity-mic", "--replicas=0")
    eventually(lambda: mics(operator) == [], 60)


def mics(operator: Operator) -> list[dict[str, Any]]:
    found = operator.kubectl("get", "pods", "--namespace", "default")["items"]
    return [each for each in found if each["metadata"]["name"].startswith("aad-pod-identity-mic")]


def scale_workload(operator: Operator, replicas: int) -> None:
    operator.sandbox.exec("kubectl", "scale", "deployment/api", "--namespace", "billing", f"--replicas={replicas}")


def forbid_mic(operator: Operator) -> None:
    """Before any pod has the identity it may not change the scale set any more, so that what is new is stuck."""
    scale_workload(operator, 0)
    eventually(lambda: states(operator) == [] and "billing" not in attached(operator), 120)
    az = operator.sandbox.az
    granted = az("role", "assignment", "list", "--all")
    mine = [each["id"] for each in granted if each["roleDefinitionName"] == "Virtual Machine Contributor"]
    az("role", "assignment", "delete", "--ids", *mine)
    scale_workload(operator, 1)
    eventually(lambda: states(operator) == ["Created"], 60)


def lose_node(operator: Operator) -> None:
    """With the workload that ran on it; MIC was gone before, so that nobody has noticed."""
    stop_mic(operator)
    (pod,) = operator.kubectl("get", "pods", "--namespace", "billing")["items"]
    node, place = pod["spec"]["nodeName"], pod["status"]["hostIP"]
    operator.sandbox.ssh(place, "pkill", "-STOP", "-x", "kubelet")
    (operator.directory / "lost-node").write_text(place)
    operator.sandbox.exec("kubectl", "delete", "node", node)


def find_node(operator: Operator) -> None:
    place = (operator.directory / "lost-node").read_text()
    operator.sandbox.ssh(place, "pkill", "-KILL", "-x", "kubelet")
    eventually(lambda: place in operator.addresses().values(), 90)
    operator.sandbox.exec("kubectl", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=90s")
    # What ran there is ended now, NMI too.
    eventually(lambda: chains(operator) == [], 60)


def remake_identity(operator: Operator) -> None:
    """Another one has its name now; the scale set keeps what is left of the old one, and MIC is gone."""
    stop_mic(operator)
    place = ("--resource-group", GROUP, "--name", "billing")
    operator.sandbox.az("identity", "delete", *place)
    made = operator.sandbox.az("identity", "create", *place)
    (nodes,) = operator.sandbox.az("vmss", "list")
    entries = nodes["identity"]["userAssignedIdentities"].items()
    (ghost,) = [each for name, each in entries if name.lower().endswith("/billing")]
    assert ghost.get("clientId") != made["clientId"]


def delete_namespace(operator: Operator) -> None:
    """It hangs on the finalizer of a MIC that is gone, which had to write into the namespaces of the identities."""
    scale_workload(operator, 0)
    eventually(lambda: states(operator) == [], 120)
    chart = str(paths.CHARTS / "aad-pod-identity-4.1.18.tgz")
    changed = ("--namespace", "default", "--reuse-values", "--set", "forceNamespaced=true", "--wait")
    helm = ("helm", "--kubeconfig", operator.kubeconfig())
    operator.sandbox.exec(*helm, "upgrade", "aad-pod-identity", chart, *changed)
    scale_workload(operator, 1)
    eventually(lambda: states(operator) == ["Assigned"], 120)
    stop_mic(operator)
    operator.sandbox.exec("kubectl", "delete", "namespace", "billing", "--wait=false")
    eventually(lambda: operator.kubectl("get", "pods", "--namespace", "billing")["items"] == [], 60)
    assert operator.kubectl("get", "namespace", "billing")["status"]["phase"] == "Terminating"


def namespace_is_gone(operator: Operator) -> None:
    operator.sandbox.exec("kubectl", "wait", "--for=delete", "namespace/billing", "--timeout=60s")


STARTS = {
    "mic-stopped": Start(stop_mic),
    "mic-never-permitted": Start(forbid_mic),
    "node-gone": Start(lose_node, find_node),
    "identity-remade": Start(remake_identity),
    "namespace-terminating": Start(delete_namespace, namespace_is_gone),
}
HASTY = {**IN_USE, "pod_identity_uninstall_wait_timeout": 60}


@pytest.mark.soak
@pytest.mark.parametrize("name", STARTS)
def test_it_ends_clean_from(used: Operator, watched: Watched, name: str) -> None:
    again(used)
    start = STARTS[name]
    start.breaks(used)
    with asking(used, identities(used), ["billing"]) as watch:
        used.play(UNINSTALL, variables=HASTY).ok()
    start.mends(used)
    assert watch.longest_pause() < PAUSE
    assert watch.opened() == []
    assert BY_IMDS in watch.statuses("billing")
    is_clean(used)
