# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles and playbooks as users run them, on a real cluster and the simulated Azure. Needs root.

The tests share one sandbox and follow one story, from the empty subscription to the deleted cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs
import pytest
import yaml
from operators import CLUSTER, GROUP, POLL, SITE, SITE_REQUESTS, SITE_WRITES, UNSET, Operator, Run, on_localhost, only
from sandboxes import UP_SECONDS, eventually, running

from ansible_collections.azureops.pod_identity.tests.support.site_requests import UNCHANGED, counted
from azsandbox import execution_environment, paths

HERE = Path(__file__).resolve().parent
APPLIED = ["Install or change the release", "Write down the release as it shall be"]
WRITTEN = ["Write AzureIdentity and AzureIdentityBinding"]
ENTRY = SITE["pod_identity_bindings_list"][0]


def states(operator: Operator) -> dict[str, str]:
    """Of what is assigned to pods, by AzureIdentity."""
    return {
        each["spec"]["azureIdentityRef"]["metadata"]["name"]: (each.get("status") or {}).get("status", "")
        for each in operator.kubectl("get", "azureassignedidentity", "-A")["items"]
    }


def rolled_out(operator: Operator) -> None:
    operator.sandbox.exec("kubectl", "-n", "billing", "rollout", "status", "deployment/api", "--timeout=120s")


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running("site") as sandbox:
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), SITE)


@pytest.fixture(scope="module")
def predicted(operator: Operator) -> Run:
    """The whole story in check mode, on an empty subscription."""
    return operator.site("--check", "--diff").ok()


@pytest.fixture(scope="module")
def done(operator: Operator, predicted: Run) -> Run:
    """The same for real."""
    operator.forget_requests()
    return operator.site().ok()


def test_check_mode_writes_nothing(operator: Operator, predicted: Run) -> None:
    assert operator.azure_writes() == []
    assert operator.sandbox.az("group", "list") == []
    assert predicted.diff("Create the resource group")["after"]["name"] == GROUP
    assert "4.1.18" in predicted.diff("Write down the release as it shall be")["after"]
    identity = predicted.diff(WRITTEN[0])["after"]["AzureIdentity billing/billing"]
    assert identity["spec"]["clientID"] == "(known after apply)"
    assert [row["verdict"] for row in predicted.verdicts()] == ["not_verified"]


def test_real_run_does_what_was_predicted(predicted: Run, done: Run) -> None:
    assert done.changed_items() == predicted.changed_items()
    assert len(done.changes()) >= 8


def test_its_requests_are_those_that_the_tests_of_killed_runs_know(operator: Operator, done: Run) -> None:
    asked = [each for each in operator.requests() if POLL not in each["path"]]
    assert (len(asked), sum(each["method"] == "PUT" for each in asked)) == (SITE_REQUESTS, SITE_WRITES)


def test_tokens_are_verified(done: Run) -> None:
    table = done.message("Show who gets which token")
    assert max(map(len, table)) <= 69
    assert not [line for line in table if line != line.strip()]
    (row,) = done.verdicts()
    assert (row["verdict"], row["answered_by"]) == ("ok", "nmi")
    assert {"aud", "tid", "appid", "oid"} <= set(row["claims_checked"].split())


@pytest.mark.parametrize(
    "arguments",
    [pytest.param((), id="run"), pytest.param(("--check", "--diff"), id="check", marks=pytest.mark.soak)],
)
def test_second_run_changes_nothing(operator: Operator, done: Run, arguments: tuple[str, ...]) -> None:
    operator.forget_requests()
    # As -e key=value gives them: text.
    timeouts = {f"pod_identity_{role}_wait_timeout": "2400" for role in ("cluster", "chart", "bindings")}
    assert operator.site(*arguments, variables=timeouts).ok().changes() == []
    assert counted(operator.requests()) == {(each.method, each.place): each.count for each in UNCHANGED}


def test_a_report_is_written_in_its_end_and_the_diagnosis_is_that_it_is_healthy(
    operator: Operator, done: Run, tmp_path: Path
) -> None:
    """The report tells what the run itself has found, and all else that can be looked at.

    MIC detaches an identity again that no pod has any more, so a pod keeps it.
    """
    target = {"pod_identity_report_target": str(tmp_path / "report")}
    operator.sandbox.exec("kubectl", "apply", "-f", str(HERE / "demo-workload.yml"))
    eventually(lambda: states(operator) == {"billing": "Assigned"}, 120)
    assert operator.site("--check", variables=target).ok().changes() == ["Write the report"]
    assert not (tmp_path / "report").exists()
    assert operator.site(variables=target).ok().changes() == ["Write the report"]
    (cluster,) = json.loads((tmp_path / "report/pod-identity-report.json").read_text())["clusters"]
    assert (cluster["name"], cluster["failure"]) == (CLUSTER, "")
    assert {each["source"] for each in cluster["looked"]} == {
        *("verification", "inventory", "diagnosis", "plan", "installations", "nodes", "carriers"),
    }
    assert [(each["verdict"], each["path"]) for each in cluster["tokens"]] == [("ok", "pod_identity")]
    assert {(each["from"]["kind"], each["from"]["name"], each["to"]["kind"]) for each in cluster["ways"]} >= {
        ("workload", "Deployment api", "selector"),
        ("selector", "billing", "identity"),
        ("identity", "billing", "scale set"),
    }
    _is_healthy(operator)
    operator.sandbox.exec("kubectl", "-n", "billing", "delete", "deployment", "api")
    eventually(lambda: states(operator) == {}, 120)


def _is_healthy(operator: Operator) -> None:
    diagnosed = operator.play("azureops.pod_identity.diagnose", variables={"pod_identity_diagnose_probe": True}).ok()
    assert diagnosed.changes() == []
    (found,) = diagnosed.stats["pod_identity_diagnosis"].values()
    assert (found["verdict"], found["causes"], found["unread"]) == ("healthy", [], [])


@pytest.mark.soak
def test_another_version_comes_with_a_backup(operator: Operator, done: Run, tmp_path: Path) -> None:
    named = {"nmi": {"setRetryAfterHeader": True, "tag": "v1.8.17"}, "mic": {"tag": "v1.8.17"}}
    upgrade = {
        "pod_identity_chart_version": "4.1.17",
        "pod_identity_chart_values": named,
        "pod_identity_chart_upgrade": True,
        "pod_identity_chart_backup_dir": str(tmp_path),
    }
    operator.forget_requests()
    predicted = operator.play(only("chart"), "--check", variables=upgrade).ok()
    assert list(tmp_path.iterdir()) == []
    assert operator.play(only("chart"), variables=upgrade).ok().changed_items() == predicted.changed_items()
    nmi = operator.kubectl("get", "daemonset", "aad-pod-identity-nmi", "-n", "default")
    assert nmi["metadata"]["labels"]["helm.sh/chart"] == "aad-pod-identity-4.1.17"
    assert "--set-retry-after-header=true" in nmi["spec"]["template"]["spec"]["containers"][0]["args"]
    assert nmi["status"]["updatedNumberScheduled"] == nmi["status"]["numberReady"] == 2
    saved = yaml.safe_load((tmp_path / "localhost/AzureIdentity.yaml").read_text())["items"]
    assert [each["metadata"]["name"] for each in saved] == ["billing"]
    operator.sandbox.exec("kubectl", "apply", "--dry-run=server", "-f", str(tmp_path / "localhost"))
    # Version and values that are not named any more stay.
    assert operator.play(only("chart")).ok().changes() == []
    assert operator.azure_writes() == []


# Runs at the workstation: what helm leaves in the cluster when it is killed in the middle of an upgrade.
KILLED_HELM = """
import base64, gzip, json, subprocess, time

def kubectl(*arguments, **options):
    return subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True, **options).stdout

records = json.loads(kubectl("get", "secret", "-n", "default", "-l", "owner=helm", "-o", "json"))["items"]
last = max(records, key=lambda each: int(each["metadata"]["labels"]["version"]))
release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(last["data"]["release"]))))
release["version"] += 1
release["info"]["status"] = "pending-upgrade"
labels = {"version": str(release["version"]), "status": "pending-upgrade", "modifiedAt": str(int(time.time()))}
name = f"sh.helm.release.v1.aad-pod-identity.v{release['version']}"
last["metadata"] = {"name": name, "namespace": "default", "labels": {**last["metadata"]["labels"], **labels}}
data = gzip.compress(json.dumps(release).encode())
last["data"]["release"] = base64.b64encode(base64.b64encode(data)).decode()
kubectl("create", "-f", "-", input=json.dumps(last))
"""


@pytest.mark.soak
def test_a_killed_helm_run_is_cleared(operator: Operator, done: Run) -> None:
    operator.sandbox.exec("python3", "-c", KILLED_HELM)
    assert "pod_identity_chart_clear_lock=true" in operator.play(only("chart")).refused()
    cleared = operator.play(only("chart"), variables={"pod_identity_chart_clear_lock": True}).ok()
    assert cleared.changes() == ["Remove the record of the unfinished helm run"]
    assert operator.kubectl("get", "secret", "-l", "owner=helm,status=pending-upgrade")["items"] == []


@pytest.mark.soak
def test_workloads_are_assigned_and_restarted(operator: Operator, done: Run) -> None:
    operator.sandbox.exec("kubectl", "apply", "-f", str(HERE / "demo-workload.yml"))
    rolled_out(operator)
    named = {"pod_identity_bindings_restart": [{"namespace": "billing", "name": "api"}]}
    # Its pods are younger than their identity, so that it was named changes nothing.
    young = operator.play(only("bindings"), "--tags", "pod_identity_bindings_restart", variables=named)
    assert young.ok().changes() == []
    entry = {"name": "more", "namespace": "billing", "selector": "billing"}
    variables = {**named, "pod_identity_bindings_list": [ENTRY, entry]}
    # As if it had been killed in between; the next run makes up for it.
    cut = operator.play(only("bindings"), "--skip-tags", "pod_identity_bindings_restart", variables=variables).ok()
    assert WRITTEN[0] in cut.changes()
    for arguments in (("--check",), ()):
        assert operator.play(only("bindings"), *arguments, variables=variables).ok().changed_items() == [
            ("Restart the workloads", "Deployment billing/api")
        ]
    rolled_out(operator)
    # Nothing changed, nothing restarts; the wait ends when the new pod has both identities.
    assert operator.play(only("bindings"), variables=variables).ok().changes() == []
    assert states(operator) == {"billing": "Assigned", "more": "Assigned"}
    gone = {"pod_identity_bindings_list": [ENTRY, {**entry, "state": "absent", "allow_in_use": True}]}
    assert operator.play(only("bindings"), variables=gone).ok().changes() == WRITTEN


LOSE_ROLE = (
    "az role assignment list --all --query \"[?roleDefinitionName=='Virtual Machine Contributor'].id\" -o tsv"
    " | xargs az role assignment delete --ids"
)
LOSE_MIC = "kubectl delete deployment aad-pod-identity-mic"
LOSE_PAIR = "kubectl -n billing delete azureidentity,azureidentitybinding billing"


@pytest.mark.soak
@pytest.mark.parametrize(
    ("tags", "lose", "role", "changes"),
    [
        (["pod_identity_cluster_roles"], LOSE_ROLE, "cluster", ["Grant the roles on the node resource group"]),
        (["pod_identity_chart_install", "pod_identity_chart_wait"], LOSE_MIC, "chart", APPLIED),
        (["pod_identity_chart_install"], "kubectl delete daemonset aad-pod-identity-nmi", "chart", APPLIED),
        (["pod_identity_bindings_objects"], LOSE_PAIR, "bindings", WRITTEN),
        ([], LOSE_PAIR, "bindings", WRITTEN),
    ],
)
def test_what_was_lost_comes_back(
    operator: Operator, done: Run, tags: list[str], lose: str, role: str, changes: list[str]
) -> None:
    """By a run of its phase alone, or of all; the role alone predicts it, and the whole run verifies the token then."""
    operator.sandbox.exec("bash", "-euo", "pipefail", "-c", lose)
    assert operator.play(only(role), "--check").ok().changes() == changes
    selected = ("--tags", ",".join(tags)) if tags else ()
    assert operator.site(*selected).ok().changes() == changes
    run = operator.site().ok()
    assert (run.changes(), [row["verdict"] for row in run.verdicts()]) == ([], ["ok"])


@pytest.mark.soak
def test_what_was_lost_comes_back_by_a_job_in_the_execution_environment(
    operator: Operator, done: Run, tmp_path: Path
) -> None:
    """As AWX runs it: in the image, by its user, with the credential in the environment, and helm has to do it."""
    if execution_environment.python() is None:
        pytest.skip(f"this machine has no Python {execution_environment.python_version()}, which the image has")
    operator.sandbox.run("build", "execution-environment", timeout=UP_SECONDS)
    state, private, scratch = paths.state(operator.sandbox.name), tmp_path / "private", tmp_path / "scratch"
    scratch.mkdir()
    account = json.loads((state / "principals/operator.json").read_text())
    credential = {f"AZURE_{name.upper()}": account[name] for name in ("subscription_id", "client_id", "secret")}
    trust = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), execution_environment.BUNDLE)
    jobs.prepare(private, operator.variables, {**credential, "AZURE_TENANT": account["tenant_id"], **trust})
    operator.sandbox.exec("kubectl", "delete", "deployment", "aad-pod-identity-mic")
    collections, root = installed(tmp_path / "collections"), execution_environment.root()
    folders = (root, scratch, collections, private, state / "pki/ca.crt")
    runner = ("ansible-runner", "run", "/runner", "--playbook", "azureops.pod_identity.site", "--ident", jobs.IDENT)
    entering = f"ENTER={execution_environment.ENTER}"
    entered = ("env", entering, "unshare", "--mount", "sh", "-c", execution_environment.RUN)
    ran = operator.sandbox.call("exec", "--", *entered, "sh", *map(str, folders), *runner)
    job = jobs.Job.of(private)
    assert ran.returncode == 0 and job.ended == ("successful", 0), ran.stdout[-4000:] + ran.stderr[-4000:]
    assert job.changed == {"localhost": len(APPLIED)}
    assert operator.site().ok().changes() == []


def installed(folder: Path) -> Path:
    """A folder with the collection as Galaxy would give it, and the one that it depends on."""
    galaxy = (str(Path(sys.executable).with_name("ansible-galaxy")), "collection")
    dependency = Path("ansible_collections/kubernetes")
    shutil.copytree(paths.COLLECTIONS / dependency, folder / dependency)
    staged = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"].partition(":")[0], "ansible_collections/azureops/pod_identity")
    built = ("build", "--output-path", str(folder.parent / "dist"), str(staged))
    subprocess.run([*galaxy, *built], check=True, capture_output=True)
    (artifact,) = (folder.parent / "dist").iterdir()
    given = ("install", "--offline", "--collections-path", str(folder), str(artifact))
    # It installs nothing where a folder that it knows has the collection already.
    alone = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder)}
    subprocess.run([*galaxy, *given], check=True, capture_output=True, env=alone)
    return folder


@pytest.mark.soak
def test_tags_choose_a_phase(operator: Operator, done: Run) -> None:
    run = operator.site("--tags", "pod_identity_verify_workloads").ok()
    assert [row["verdict"] for row in run.verdicts()] == ["ok"]
    assert WRITTEN[0] not in {record["task"] for record in run.records}


@pytest.mark.soak
def test_foreign_playbook_uses_the_facts_in_check_mode(operator: Operator, done: Run) -> None:
    def include(role: str) -> dict[str, Any]:
        return {"ansible.builtin.include_role": {"name": f"azureops.pod_identity.{role}"}}

    told = "{{ pod_identity_session.cluster.name }} {{ pod_identity_identities.reports.client_id }}"
    using = {"name": "Use the facts", "ansible.builtin.debug": {"msg": told}}
    play = on_localhost(include("pod_identity_cluster"), include("pod_identity_bindings"), using)
    entry = {"name": "reports", "namespace": "billing", "selector": "reports"}
    there = {"pod_identity_cluster_create": False, "pod_identity_bindings_list": [entry]}
    run = operator.play(play, "--check", variables=there).ok()
    assert run.message("Use the facts") == f"{CLUSTER} (known after apply)"
    assert run.changes() == ["Create the identities", "Grant the roles", *WRITTEN]
    elsewhere = {"pod_identity_resource_group": "nowhere", "pod_identity_bindings_list": [entry]}
    run = operator.play(play, "--check", variables=elsewhere).ok()
    assert run.message("Use the facts") == f"{CLUSTER} (known after apply)"


@pytest.mark.soak
def test_objects_are_written_as_files(operator: Operator, done: Run, tmp_path: Path) -> None:
    play = only("bindings")
    variables = {"pod_identity_bindings_render_dir": str(tmp_path / "objects")}
    operator.play(play, variables=variables).ok()
    assert operator.play(play, variables=variables).ok().changes() == []
    written = list(yaml.safe_load_all((tmp_path / "objects/billing-billing.yaml").read_text()))
    assert [each["kind"] for each in written] == ["AzureIdentity", "AzureIdentityBinding"]
    for each in written:
        live = operator.kubectl("get", each["kind"].lower(), "-n", "billing", each["metadata"]["name"])
        for key, value in each["metadata"].get("annotations", {}).items():
            assert live["metadata"]["annotations"][key] == value
        assert {key: live["spec"][key] for key in each["spec"]} == each["spec"]
        assert each["metadata"]["labels"].items() <= live["metadata"]["labels"].items()
    gone = {**variables, "pod_identity_bindings_list": [{**ENTRY, "state": "absent"}]}
    assert operator.play(play, variables=gone).ok().changes() == ["Remove what was written of entries that are absent"]
    assert list((tmp_path / "objects").iterdir()) == []


INVENTORY = """
clusters:
  hosts:
    one: {pod_identity_cluster_name: one}
    two: {pod_identity_cluster_name: two}
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@pytest.mark.soak
def test_two_clusters_are_two_hosts(operator: Operator, done: Run) -> None:
    variables = {"pod_identity_cluster_name": UNSET, "pod_identity_hosts": "clusters"}
    run = operator.site(variables=variables, inventory=INVENTORY).ok()
    changed = {host: {r["task"] for r in run.records if r["host"] == host and r["changed"]} for host in ("one", "two")}
    assert changed["one"] == set()
    assert {"Create or change the cluster", "Install or change the release"} <= changed["two"]
    for host in ("one", "two"):
        assert [row["verdict"] for row in run.verdicts(host)] == ["ok"]


@pytest.mark.soak
def test_another_line_of_ansible_core(operator: Operator, done: Run) -> None:
    """From nothing to a verified token, again, and on a node, with the other end of what is supported."""
    version = ("--", "ansible", "--version")
    used, other = (operator.sandbox.call("exec", "--tools", tools, *version) for tools in ("ansible", "other"))
    if "only one line of ansible-core" in other.stderr:
        pytest.skip(other.stderr)
    assert used.stdout.split("]")[0] != other.stdout.split("]")[0] != ""
    three = {"pod_identity_cluster_name": "three"}
    run = operator.site(variables=three, tools="other").ok()
    assert "Create or change the cluster" in run.changes()
    assert [row["verdict"] for row in run.verdicts()] == ["ok"]
    assert operator.site(variables=three, tools="other").ok().changes() == []
    # On the node itself NMI is found alive.
    through = {**three, "imds_node_cleanup_transports": ["aks_node_pod"], "imds_node_cleanup_accept_open_imds": True}
    cleanup = operator.play("azureops.pod_identity.cleanup_nodes", variables=through, tools="other")
    assert "An NMI lives on this node" in cleanup.refused()
    gone = {**three, "pod_identity_cluster_state": "absent", "pod_identity_cluster_confirm_absent": "three"}
    assert operator.play(only("cluster"), variables=gone, tools="other").ok().changes() == ["Delete the cluster"]


@pytest.mark.soak
def test_entra_login(operator: Operator) -> None:
    """A cluster without local accounts, whose administrators are a group, and no kubelogin anywhere."""
    group, place = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", ("-g", "login", "-n", "login")
    file = operator.directory / "login.kubeconfig"
    operator.sandbox.exec("az", "group", "create", "-n", "login", "-l", "westeurope")
    entra = ("--enable-aad", "--aad-admin-group-object-ids", group, "--disable-local-accounts")
    operator.sandbox.exec("az", "aks", "create", *place, "--node-count", "1", "--no-ssh-key", *entra)
    fetch = ("az", "aks", "get-credentials", *place, "-f", str(file))
    assert "disable local accounts" in operator.sandbox.call("exec", "--", *fetch, "--admin").stderr
    operator.sandbox.exec(*fetch)
    assert yaml.safe_load(file.read_text())["users"][0]["user"]["exec"]["command"] == "kubelogin"
    assert operator.sandbox.call("exec", "--", "sh", "-c", "command -v kubelogin").returncode != 0

    names = {"pod_identity_resource_group": "login", "pod_identity_cluster_name": "login"}
    given = {**names, "pod_identity_cluster_create": False}
    assert "permissions are missing, and nothing was changed" in operator.site(variables=given).refused()
    scope = f"/subscriptions/{operator.sandbox.az('account', 'show')['id']}"
    operator.sandbox.run("azure", "principal", "member", "--role", "Owner", "--scope", scope, "--group", group)
    # It belongs to somebody else, who has set what this collection has never heard of; all of that stays.
    cluster = operator.sandbox.az("aks", "show", *place)["id"]
    odd = ("az", "resource", "update", "--ids", cluster)
    operator.sandbox.exec(*odd, "--set", "properties.futureProfile={'enabled': true}", "tags.Owner=somebody")
    body = ("az", "rest", "--url", f"{cluster}?api-version=2026-08-01")
    before = operator.sandbox.exec(*body)
    assert "futureProfile" in before
    operator.forget_requests()
    run = operator.site(variables=given, principal="member").ok()
    assert [row["verdict"] for row in run.verdicts()] == ["ok"]
    assert operator.site(variables=given, principal="member").ok().changes() == []
    assert [write for write in operator.azure_writes() if write.endswith("/managedClusters/login")] == []
    assert operator.sandbox.exec(*body) == before
    absent = {**names, "pod_identity_cluster_state": "absent", "pod_identity_cluster_confirm_absent": "login"}
    assert operator.play(only("cluster"), variables=absent).ok().changes() == ["Delete the cluster"]


def _further_subscription(operator: Operator, name: str, group: str) -> str:
    """Its id; with an empty resource group."""
    subscription = operator.sandbox.run("azure", "subscription", name).strip()
    operator.sandbox.exec("az", "account", "list", "--refresh")
    operator.sandbox.exec("az", "group", "create", "-n", group, "-l", "eastus", "--subscription", subscription)
    return subscription


@pytest.mark.soak
def test_the_addon_instead_of_the_chart(operator: Operator) -> None:
    """From nothing to a verified token by the NMI that AKS deploys, on kubenet, and back to nothing.

    One of the identities is in another subscription.
    """
    names = {"pod_identity_resource_group": "addon", "pod_identity_cluster_name": "addon", "pod_identity_mode": "addon"}
    subscription = _further_subscription(operator, "addon", group="web")
    place = {"subscription_id": subscription, "resource_group": "web"}
    given: dict[str, Any] = {
        **names,
        "pod_identity_cluster_network_plugin": "kubenet",
        "pod_identity_allow_network_plugin_kubenet": True,
        "pod_identity_bindings_list": [
            {"name": "billing", "namespace": "billing", "selector": "money", "roles": [{"role": "Reader"}]},
            {"name": "web", "namespace": "web", "selector": "web", **place},
        ],
        "pod_identity_verify_workloads": [
            {"namespace": "billing", "selector": "money", "expect": "billing"},
            {"namespace": "web", "selector": "web", "expect": "web"},
        ],
    }
    operator.forget_requests()
    predicted = operator.site("--check", "--diff", variables=given).ok()
    assert operator.azure_writes() == []
    assert [row["verdict"] for row in predicted.verdicts()] == ["not_verified", "not_verified"]
    done = operator.site(variables=given).ok()
    assert done.changed_items() == predicted.changed_items()
    assert {"Enable the pod identity add-on", "Make entries of the add-on"} <= set(done.changes())
    assert [(row["verdict"], row["answered_by"], row["identity"]) for row in done.verdicts()] == [
        ("ok", "nmi", "billing/billing"),
        ("ok", "nmi", "web/web"),
    ]
    # Neither MIC nor its roles, and nothing by helm.
    scope = operator.sandbox.az("aks", "show", "-g", "addon", "-n", "addon")["nodeResourceGroup"]
    held = operator.sandbox.az("role", "assignment", "list", "-g", scope)
    assert {each["roleDefinitionName"] for each in held} == {"Contributor"}
    (nmi,) = operator.kubectl("get", "daemonset", "-A")["items"]
    assert nmi["metadata"]["name"] == "nmi" and operator.kubectl("get", "deployment,secret", "-A")["items"] == []

    operator.forget_requests()
    for arguments in ((), ("--check",)):
        assert operator.site(*arguments, variables=given).ok().changes() == []
    assert operator.azure_writes() == []
    chart = {**given, "pod_identity_mode": "chart"}
    assert "pod_identity_mode=addon" in operator.play(only("chart"), variables=chart).refused()
    _restart_of_the_addon(operator, given)
    absent_web = {"name": "web", "namespace": "web", "state": "absent"}
    left = {**given, "pod_identity_bindings_list": [given["pod_identity_bindings_list"][0], absent_web]}
    assert operator.play(only("bindings"), variables=left).ok().changes() == ["Remove entries of the add-on"]
    assert [each["metadata"]["name"] for each in operator.kubectl("get", "azureidentity", "-A")["items"]] == ["billing"]
    absent = {**names, "pod_identity_cluster_state": "absent", "pod_identity_cluster_confirm_absent": "addon"}
    assert operator.play(only("cluster"), variables=absent).ok().changes() == ["Delete the cluster"]


def _restart_of_the_addon(operator: Operator, given: dict[str, Any]) -> None:
    """Workloads restart when an entry for their pods comes, changes and goes, and at no other time."""
    operator.sandbox.exec("kubectl", "apply", "-f", str(HERE / "demo-workload.yml"))
    rolled_out(operator)
    named = {**given, "pod_identity_bindings_restart": [{"namespace": "billing", "name": "api"}]}
    assert operator.play(only("bindings"), variables=named).ok().changes() == []
    restart, made = ("Restart the workloads", "Deployment billing/api"), "Make entries of the add-on"
    entry = {"name": "more", "namespace": "billing", "selector": "billing"}
    place = {key: given["pod_identity_bindings_list"][1][key] for key in ("subscription_id", "resource_group")}
    for changed, task in (
        (entry, made),
        ({**entry, "identity_name": "web", **place}, made),
        ({**entry, "state": "absent", "allow_in_use": True}, "Remove entries of the add-on"),
    ):
        variables = {**named, "pod_identity_bindings_list": [*given["pod_identity_bindings_list"], changed]}
        predicted = operator.play(only("bindings"), "--check", variables=variables).ok()
        done = operator.play(only("bindings"), variables=variables).ok()
        assert done.changed_items() == predicted.changed_items()
        assert restart in done.changed_items() and task in done.changes()
        rolled_out(operator)
        assert operator.play(only("bindings"), variables=variables).ok().changes() == []
