# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an empty subscription to an empty subscription: site, uninstall, outages, restore, destroy.

Needs root.

The tests are one story on one sandbox, with the real MIC, NMI and helm.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobs import RunnerOperator
from operators import CLUSTER, GROUP, SITE, Operator, Run, dead_rules
from sandboxes import PROGRAM, eventually, running
from uninstalled import CONFIRMED, DESTROY, IN_USE, RESTORE, UNINSTALL, attached, chains, states, to_restore

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.tests.support.earlier import earlier
from azsandbox import paths

pytestmark = pytest.mark.story

OBJECTS = "azureidentity,azureidentitybinding,azureassignedidentity,azurepodidentityexception"
REMOVED = [
    "Detach what is left on the scale sets",
    "Prepare the records of the releases",
    "Remove exceptions, identities, definitions, roles and locks",
    "Remove the bindings",
    "Remove the roles that the nodes had for MIC",
    "Remove what MIC does not remove any more",
    "Uninstall the releases",
]
DEAD = "Remove what NMI left"
"""What a run does where it finds dead rules, which are not dead yet in check mode."""
BEGUN = "Remove the bindings"
LATE = ("Remove what MIC does not remove any more",)
"""What is left to do only where MIC did not."""
RESTORED = [
    "Attach the identities that pod identity does not attach itself",
    "Create the custom resources that are missing",
    "Give the nodes the roles that MIC needs",
    "Install or change the release",
    "Write down the release as it shall be",
]
ADDON = {"pod_identity_mode": "addon"}
OF_ADDON = [
    "Remove the entries of the add-on",
    "Remove the roles that the nodes had for MIC",
    "Switch the add-on of AKS off",
]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as target, running("uninstall") as sandbox:
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), {**SITE, "pod_identity_artifact_target": target})


@pytest.fixture(scope="module")
def used(operator: Operator) -> Operator:
    """A workload has the identity of the site; another identity was attached by hand, and no pod is bound to it."""
    operator.site().ok()
    attach_spare(operator)
    operator.sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
    eventually(lambda: states(operator) == ["Assigned"], 120)
    return operator


@pytest.fixture(scope="module")
def gone(used: Operator) -> Run:
    """On the first node there is a dead rule as soon as NMI has taken its own away. By ansible-runner, as from AWX.

    It carries on what a run has begun that ended with the bindings.
    """
    begun = used.play(UNINSTALL, "--tags", "pod_identity_uninstall_bindings", variables=IN_USE).ok()
    assert begun.changes() == [BEGUN]
    lay = f"while pgrep -x nmi > /dev/null; do sleep 0.2; done\n{dead_rules()}"
    address = min(used.addresses().items())[1]
    used.sandbox.ssh(address, f"setsid nohup bash -c {shlex.quote(lay)} > /dev/null 2>&1 < /dev/null &")
    runner = RunnerOperator.of(used)
    run = runner.play(UNINSTALL, variables=IN_USE).ok()
    runner.job.check(run)
    return run


def attach_spare(operator: Operator) -> None:
    """An identity on a scale set that MIC may attach, with an AzureIdentity that no binding names."""
    spare = operator.sandbox.az("identity", "create", "--resource-group", GROUP, "--name", "spare")
    cluster = operator.sandbox.az("aks", "show", "--resource-group", GROUP, "--name", CLUSTER)
    kubelet = cluster["identityProfile"]["kubeletidentity"]["objectId"]
    whose = ("--assignee-object-id", kubelet, "--assignee-principal-type", "ServicePrincipal")
    role = ("--role", "Managed Identity Operator", "--scope", spare["id"])
    operator.sandbox.az("role", "assignment", "create", *whose, *role)
    place = operator.sandbox.az("vmss", "list", "--query", "[0].{name: name, group: resourceGroup}")
    where = ("--resource-group", place["group"], "--name", place["name"])
    operator.sandbox.az("vmss", "identity", "assign", *where, "--identities", spare["id"])
    about = {"apiVersion": "aadpodidentity.k8s.io/v1", "kind": "AzureIdentity"}
    metadata = {"name": "spare", "namespace": "billing", "labels": marks("default")}
    spec = {"type": 0, "resourceID": spare["id"], "clientID": spare["clientId"]}
    operator.apply({**about, "metadata": metadata, "spec": spec})


def bundle_files(operator: Operator) -> list[Path]:
    return sorted(Path(operator.variables["pod_identity_artifact_target"]).glob(f"{CLUSTER}-*.json"))


def bundles(operator: Operator) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in bundle_files(operator)]


def test_it_is_refused_unless_it_is_confirmed(used: Operator) -> None:
    assert f"pod_identity_uninstall_confirm={CLUSTER}" in used.play(UNINSTALL).refused()


def test_it_is_refused_while_something_uses_it(used: Operator) -> None:
    refused = used.play(UNINSTALL, variables=CONFIRMED)
    assert refused.status != 0
    assert "pod_identity_uninstall_allow_in_use" in " ".join(refused.output.split())
    assert any("Deployment billing/api" in line for line in refused.message("Show what is in the way"))
    assert states(used) == ["Assigned"]
    assert bundles(used) == []


def test_check_mode_tells_what_goes_and_changes_nothing(used: Operator) -> None:
    before = attached(used)
    predicted = used.play(UNINSTALL, "--check", "--diff", variables=IN_USE).ok()
    assert predicted.changes() == [task for task in REMOVED if task not in LATE]
    assert (states(used), attached(used), bundles(used)) == (["Assigned"], before, [])
    assert chains(used)


def test_nothing_is_left_but_what_is_kept(used: Operator, gone: Run) -> None:
    assert gone.changes() == sorted([DEAD, *(task for task in REMOVED if task not in (*LATE, BEGUN))])
    assert attached(used).isdisjoint({"billing", "spare"})
    assert chains(used) == []
    kinds = used.kubectl("get", "customresourcedefinitions")["items"]
    assert [each["metadata"]["name"] for each in kinds if "aadpodidentity" in each["metadata"]["name"]] == []
    programs = used.kubectl("get", "daemonset,deployment", "--namespace", "default")["items"]
    assert programs == []
    account = [row.split() for row in gone.message("Show what was removed, what stays and why")]
    assert {row[0] for row in account if {"gone", "removed"} & set(row)} == {"cluster", "nodes", "scale", "roles"}
    assert "Azure kept identity billing" in " ".join(word for row in account for word in row if word not in "├└")
    assert not [row for row in account if {"left", "not_verified"}.intersection(row)]
    (bundle,) = bundles(used)
    assert {each["kind"] for each in bundle["objects"]} >= {"AzureIdentity", "AzureIdentityBinding"}


def test_a_node_with_a_dead_rule_was_cleaned(gone: Run) -> None:
    (row,) = [line for line in gone.message("Show what was done on the nodes") if " cleaned " in line]
    assert row.startswith("aks-")


def test_the_workload_goes_on(used: Operator, gone: Run) -> None:
    pods = used.kubectl("get", "pods", "--namespace", "billing")["items"]
    assert [each["status"]["phase"] for each in pods] == ["Running"]


def test_a_second_run_has_nothing_to_do_but_to_report(used: Operator, gone: Run, tmp_path: Path) -> None:
    report = {"pod_identity_report_target": str(tmp_path / "report.json")}
    assert used.play(UNINSTALL, variables={**CONFIRMED, **report}).ok().changes() == ["Write the report"]
    (cluster,) = json.loads((tmp_path / "report.json").read_text())["clusters"]
    assert cluster["name"] == CLUSTER and cluster["failure"] == ""
    assert {"removal", "inventory", "carriers"} <= {each["source"] for each in cluster["looked"]}
    # The workloads are somebody else's.
    assert {each["code"] for each in cluster["leftovers"] if each["code"]} == {"label_left"}
    assert len(bundles(used)) == 1


CLEANUP, LEFTOVERS = (f"azureops.pod_identity.{name}" for name in ("cleanup_nodes", "leftovers"))


def break_down(operator: Operator) -> None:
    """NMI is killed while somebody uninstalls the chart by hand, so that each node keeps its rules."""
    nodes = operator.addresses().values()
    for node in nodes:
        operator.sandbox.ssh(node, "pkill -STOP -x nmi")
    operator.sandbox.exec("helm", "--kubeconfig", operator.kubeconfig(), "uninstall", "aad-pod-identity")
    for node in nodes:
        operator.sandbox.ssh(node, "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done")
    assert len([line for line in chains(operator) if " -j aad-metadata" in line]) == len(nodes)


def follow(operator: Operator, text: str, playbook: str) -> Run:
    """Run exactly the command for that playbook that a text names; @FILE is the operator's file of variables."""
    named = [*re.findall('"(ansible-playbook [^"]+)"', text), *re.findall("^ansible-playbook .+$", text, re.MULTILINE)]
    command = next(each for each in named if f"{playbook} " in f"{each} ")
    _program, name, *arguments = shlex.split(command)
    given = [each for pair in zip(arguments[::2], arguments[1::2], strict=True) if pair[1] != "@FILE" for each in pair]
    return operator.play(name, *given)


@pytest.mark.soak
def test_each_way_that_is_named_leads_out_of_an_outage(used: Operator) -> None:
    """With no option that was not named: back to tokens, and away to the metadata service."""
    used.site().ok()
    attach_spare(used)
    eventually(lambda: states(used) == ["Assigned"], 120)
    break_down(used)
    before = chains(used)
    refused = used.play(CLEANUP, "-u", "root")
    assert (refused.status != 0, set(refused.outcomes)) == (True, {"refused"}), refused.output[-4000:]
    assert {len(each["found"]) for each in refused.nodes.values()} == {4}
    assert chains(used) == before
    (reason,) = {each["reason"] for each in refused.nodes.values()}
    assert reason.startswith("AAD Pod Identity is not installed any more. Bindings of pods are still in the cluster.")

    left = follow(used, reason, LEFTOVERS).ok()
    (told,) = left.stats["pod_identity_leftovers"].values()
    ways = "\n".join(each["command"] for each in told["commands"])
    assert set(ways.splitlines()) < set(left.output.splitlines()), left.output
    assert {row["identity"]: row["outcome"] for row in told["identities"]}["billing"] == "stays"

    back = follow(used, ways, "azureops.pod_identity.site").ok()
    assert [(row["verdict"], row["answered_by"]) for row in back.verdicts()] == [("ok", "nmi")]

    break_down(used)
    again = used.play(CLEANUP, "-u", "root")
    (reason,) = {each["reason"] for each in again.nodes.values()}
    follow(used, reason, UNINSTALL).ok()
    assert chains(used) == [] and attached(used).isdisjoint({"billing", "spare"})
    clean = used.play(CLEANUP, "-u", "root").ok()
    assert {(each["outcome"], each["proof"]) for each in clean.nodes.values()} == {("clean", "imds")}


def test_what_was_removed_comes_back(used: Operator, gone: Run) -> None:
    """By playbooks/restore.yml, to a verified token, and a second time it has nothing to do."""
    assert attached(used).isdisjoint({"billing", "spare"})
    regretted = to_restore(bundle_files(used)[-1])
    predicted = used.play(RESTORE, "--check", "--diff", variables=regretted).ok()
    done = used.play(RESTORE, variables=regretted).ok()
    assert predicted.changes() == done.changes() == RESTORED
    assert [row["verdict"] for row in done.verdicts()] == ["ok"]
    assert {"billing", "spare"} <= attached(used)
    (bundle,) = bundles(used)[-1:]
    found = used.kubectl("get", OBJECTS, "-A")["items"]
    specs = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found}
    restored = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in bundle["objects"]}
    assert restored.items() <= specs.items()
    again = used.play(RESTORE, variables=regretted).ok()
    assert again.changes() == []
    assert [row["verdict"] for row in again.verdicts()] == ["ok"]


@pytest.mark.soak
def test_what_an_earlier_revision_made_is_understood(used: Operator, tmp_path: Path) -> None:
    """Its objects and labels want no change, its restore bundle comes back, and all of it goes like our own."""
    before = {"ANSIBLE_COLLECTIONS_PATH": f"{earlier(tmp_path)}:{paths.COLLECTIONS}"}
    used.site(environment=before).ok()
    attach_spare(used)
    made = labels_and_specs(used)
    assert made and used.site().ok().changes() == []
    assert labels_and_specs(used) == made

    used.play(UNINSTALL, variables=IN_USE, environment=before).ok()
    assert attached(used).isdisjoint({"billing", "spare"}) and labels_and_specs(used) == {}
    regretted = to_restore(bundle_files(used)[-1])
    done = used.play(RESTORE, variables=regretted).ok()
    assert (done.changes(), [row["verdict"] for row in done.verdicts()]) == (RESTORED, ["ok"])
    assert labels_and_specs(used) == made
    assert used.play(RESTORE, variables=regretted).ok().changes() == []

    used.play(UNINSTALL, variables=IN_USE).ok()
    assert labels_and_specs(used) == {} and chains(used) == []


def labels_and_specs(operator: Operator) -> dict[tuple[str, str], Any]:
    """Of what says who gets which identity, by kind and name; nothing where no such kind is defined."""
    kinds = ",".join(f"{kind}.aadpodidentity.k8s.io" for kind in ("azureidentities", "azureidentitybindings"))
    told = operator.sandbox.call("exec", "--", "kubectl", "get", kinds, "-A", "-o", "json")
    if "the server doesn't have a resource type" in told.stderr:
        return {}
    assert told.returncode == 0, told.stderr
    return {
        (each["kind"], each["metadata"]["name"]): (each["metadata"].get("labels"), each["spec"])
        for each in json.loads(told.stdout)["items"]
    }


@pytest.mark.soak
def test_the_addon_of_aks_goes_too_and_comes_back(used: Operator) -> None:
    """Where the chart was; killed while AKS removes the entries."""
    used.play(UNINSTALL, variables=IN_USE).ok()
    made = used.site(variables=ADDON).ok()
    assert [(row["verdict"], row["answered_by"]) for row in made.verdicts()] == [("ok", "nmi")]
    before, saved = attached(used), len(bundles(used))
    predicted = used.play(UNINSTALL, "--check", "--diff", variables=IN_USE).ok()
    assert predicted.changes() == OF_ADDON
    assert (attached(used), len(bundles(used))) == (before, saved)
    assert "billing" in before and chains(used)

    write = ("--method", "PUT", "--path", "/managedClusters/", "--after")
    done = used.play_after_kill(UNINSTALL, write, variables=IN_USE).ok()
    assert done.changes() == OF_ADDON[1:]
    assert attached(used) == before - {"billing"}
    assert chains(used) == []
    kinds = used.kubectl("get", "customresourcedefinitions")["items"]
    assert [each["metadata"]["name"] for each in kinds if "aadpodidentity" in each["metadata"]["name"]] == []
    assert used.kubectl("get", "daemonset", "-A")["items"] == []
    (saved_addon,) = [each["addon"] for each in bundles(used)[saved:]]
    assert [each["name"] for each in saved_addon["identities"]] == ["billing"]
    assert used.play(UNINSTALL, variables=IN_USE).ok().changes() == []

    back = used.site(variables=ADDON).ok()
    assert [(row["verdict"], row["answered_by"]) for row in back.verdicts()] == [("ok", "nmi")]
    used.play(UNINSTALL, variables=IN_USE).ok()


def test_in_the_end_the_subscription_is_empty(used: Operator, gone: Run) -> None:
    used.sandbox.az("identity", "delete", "--resource-group", GROUP, "--name", "spare")
    assert f"pod_identity_cluster_confirm_absent={CLUSTER}" in used.play(DESTROY).refused()
    confirmed = {"pod_identity_cluster_confirm_absent": CLUSTER}
    used.play(DESTROY, variables=confirmed).ok()
    assert used.sandbox.az("group", "list") == []
    assert used.sandbox.az("resource", "list") == []
    assert used.play(DESTROY, variables=confirmed).ok().changes() == []
