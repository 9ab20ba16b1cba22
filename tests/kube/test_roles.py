# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles as far as an API server alone decides: no cluster is named, and the only identity is a service principal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_chart import PERMISSIONS
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import DAEMON_SET, DEPLOYMENT
from ansible_collections.azureops.pod_identity.tests.kube.bound_pods import make_pod
from ansible_collections.azureops.pod_identity.tests.kube.imported_roles import ENTRY, imported
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, manifest
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, RESTRICTED, ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.players import Player

COMMAND = "For all causes, evidence and remedies: ansible-playbook azureops.pod_identity.diagnose"
VARIABLES: dict[str, Any] = {
    "pod_identity_bindings_list": [ENTRY],
    "pod_identity_bindings_restart": [{"namespace": "default", "name": "api"}],
}


def test_a_namespace_that_is_missing_is_only_said_in_check_mode(
    api_server: ApiServer, client: Client, crds: None, tmp_path: Path
) -> None:
    """An earlier task of the playbook may create it."""
    client.apply(kinds.SECRET, manifest(kinds.SECRET, "billing", "default", stringData={"client_secret": "none"}))
    player = Player(tmp_path)
    variables = {
        "pod_identity_bindings_list": [{**ENTRY, "namespace": "nowhere"}],
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    sentence = "The namespace nowhere of pod_identity_bindings_list does not exist"
    status, output = player.play(imported("bindings"), "--check", **variables)
    assert (status, sentence in output, "the real run stops here" in output) == (0, True, True), output
    status, output = player.play(imported("bindings"), **variables)
    assert (status, sentence in output) == (2, True), output


def test_a_secret_that_is_missing_is_told_before_anything_is_written(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    variables = {
        "pod_identity_bindings_list": [{**ENTRY, "namespace": namespace, "client_password_secret": {"name": "nobody"}}],
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    status, output = Player(tmp_path).play(imported("bindings"), **variables)
    said = (
        f"The Secret {namespace}/nobody that client_password_secret of pod_identity_bindings_list names does not exist"
    )
    assert (status, said in " ".join(output.split())) == (2, True), output
    assert client.list_all(kinds.AZURE_IDENTITY, namespace) == ()


@pytest.mark.soak
def test_the_wait_for_all_entries_has_one_bound(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """There is no MIC."""
    create(client, kinds.SECRET, namespace, "waiting", stringData={"client_secret": "none"})
    make_pod(client, namespace, "api")
    names = ("first", "second", "third")
    place = {"namespace": namespace, "selector": namespace, "client_password_secret": {"name": "waiting"}}
    variables = {
        "pod_identity_bindings_list": [{**ENTRY, **place, "name": name} for name in names],
        "pod_identity_bindings_wait_timeout": 4,
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    status, output = Player(tmp_path).play(imported("bindings"), **variables)
    said = " ".join(output.split())
    told = re.findall(r"AzureIdentity \S+/(\w+) is not assigned to \S+ (.*?) after (\d+) seconds", said)
    assert (status, set(told)) == (2, {("first", "(and 2 more identities)", "4")}), output
    # The run ends with why, and with the command that tells all of it.
    end = said.rpartition("Stop where an identity is not assigned")[2]
    assert (
        f"The likeliest cause in Pod {namespace}/api: Bindings select pods, but neither MIC nor NMI is installed."
        in end
    ), output
    assert f"{COMMAND} -e pod_identity_kubeconfig=" in end, output
    assert f" -e pod_identity_diagnose_pod={namespace}/api" in end, output
    assert f'"missing_pods": ["{namespace}/api"]' in end, output


@pytest.mark.soak
def test_rights_to_write_the_release_are_needed_where_it_changes(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    player, (binaries, charts) = Player(tmp_path), server.programs()
    variables = {
        "pod_identity_chart_release_name": "read",
        "pod_identity_chart_namespace": namespace,
        "pod_identity_chart_ref": str(charts / server.CHART),
        "pod_identity_chart_helm_binary": str(binaries / "helm"),
        "pod_identity_kubeconfig": api_server.kubeconfig(RESTRICTED),
    }
    reading = [
        {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["endpoints", "pods/proxy"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
    ]

    def play() -> tuple[int, bool, bool]:
        """Its status, whether it has refused, and whether it looked at the release."""
        status, output = player.play(imported("chart"), "--tags", "pod_identity_chart_install", **variables)
        return status, "are missing, and nothing was changed" in output, "Read the release" in output

    assert play() == (2, True, False)
    values = f"nameOverride={namespace},installMICException=false,mic.podDisruptionBudget.minAvailable=1"
    with server.rights_of_restricted(client, namespace, *reading):
        assert play() == (2, True, True)
        api_server.helm("install", "read", "CHART", "--namespace", namespace, "--set", values)
        try:
            assert play() == (0, False, True)
        finally:
            api_server.helm("uninstall", "read", "--namespace", namespace)


def rules(*left_out: tuple[str, str]) -> list[dict[str, Any]]:
    """What the role asks for, without some verbs of resources, and what its cluster roles take besides."""
    found = [
        {
            "apiGroups": [each.api_group],
            "resources": ["/".join(filter(None, (each.resource, each.subresource)))],
            "verbs": [verb for verb in each.verbs if (each.resource, verb) not in left_out],
        }
        for each in PERMISSIONS.values()
    ]
    grants = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate", "bind"]}
    return [*(each for each in found if each["verbs"]), grants]


def test_what_somebody_changed_of_the_release_is_told_and_taken_back(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """With exactly the rights that are asked for before; without the one that this takes it is refused."""
    player, (binaries, charts) = Player(tmp_path), server.programs()
    variables = {
        "pod_identity_chart_release_name": "drifted",
        "pod_identity_chart_namespace": namespace,
        "pod_identity_chart_ref": str(charts / server.CHART),
        "pod_identity_chart_helm_binary": str(binaries / "helm"),
        "pod_identity_kubeconfig": api_server.kubeconfig(RESTRICTED),
    }

    def play(*arguments: str) -> tuple[int, str]:
        tags = ("--tags", "pod_identity_chart_install")
        status, output = player.play(imported("chart"), *tags, *arguments, **variables)
        return status, " ".join(output.split())

    def changed() -> list[str] | None:
        found = Runner(api_server, "nmi_info")(compare_release=True).ok()["installations"]
        (fields,) = [each["changed_fields"] for each in found if each["namespace"] == namespace]
        return None if fields is None else list(fields)

    values = (
        f"nameOverride={namespace},installMICException=false,nmi.nodeSelector.pool=a,nmi.tolerations[0].operator=Exists,"
        "nmi.priorityClassName=system-node-critical,nmi.resources.limits.cpu=0.2"
    )
    api_server.helm("install", "drifted", "CHART", "--namespace", namespace, "--set", values)
    try:
        assert changed() == []
        (daemon_set,) = client.list_all(DAEMON_SET, namespace)
        name = daemon_set["metadata"]["name"]
        expression = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n2"]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        pods = {"template": {"spec": {"affinity": affinity}}}
        by_hand = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace}}
        client.apply(DAEMON_SET, {**by_hand, "spec": pods}, force=True)
        (mic,) = [each["metadata"]["name"] for each in client.list_all(DEPLOYMENT, namespace)]
        client.merge(DEPLOYMENT, namespace, mic, {"spec": {"replicas": 0}})
        drifted = [f"DaemonSet {namespace}/{name}: affinity", f"Deployment {namespace}/{mic}: replicas"]
        assert changed() == drifted
        with server.rights_of_restricted(client, namespace, *rules(("daemonsets", "update"))):
            status, said = play("--check")
            assert (status, "missing, and nothing was changed" in said) == (2, True), said
            assert "update daemonsets" in said and "update deployments" not in said, said
        with server.rights_of_restricted(client, namespace, *rules()):
            status, said = play("--check", "--diff")
            assert (status, [each for each in drifted if each not in said]) == (0, []), said
            assert "changed=2" in said and changed() == drifted, said
            status, said = play()
            assert (status, changed()) == (0, []), said
            status, said = play("--check")
            assert (status, "changed=0" in said) == (0, True), said
    finally:
        api_server.helm("uninstall", "drifted", "--namespace", namespace)


@pytest.mark.soak
@pytest.mark.parametrize("arguments", [(), ("--tags", "pod_identity_chart_wait")])
def test_the_wait_for_nmi_has_a_bound(
    api_server: ApiServer, crds: None, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    variables = {
        "pod_identity_mode": "addon",
        "pod_identity_chart_wait_timeout": 4,
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    player = Player(tmp_path)
    status, output = player.play(imported("chart"), *arguments, **variables)
    said = " ".join(output.split())
    told = "Pod identity does not serve after 4 seconds: no NMI is there."
    assert (status, told in said) == (2, True), output
    assert f"{told} {COMMAND} -e pod_identity_kubeconfig=" in said, output
    assert ("Using the installation that is there: the AKS add-on" in output) == (not arguments)
    # Check mode does not wait.
    status, output = player.play(imported("chart"), "--check", *arguments, **variables)
    assert (status, "skipping: [localhost]" in output) == (0, True), output


@pytest.mark.soak
def test_every_workload_has_a_verdict(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """Of several that cannot be tried each says why, in one task."""
    create(client, kinds.AZURE_IDENTITY, namespace, "billing", spec={"type": 0, "clientID": "c", "resourceID": "/r"})
    here = {"namespace": namespace, "expect": f"{namespace}/billing"}
    variables = {
        "pod_identity_verify_workloads": [
            {**here, "pod": "nobody", "allow_detach": None, "image": ""},
            {**here, "selector": namespace, "node": "nowhere", "labels": {}},
            {"namespace": namespace, "service_account": "nobody", "method": "exec"},
        ],
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    player = Player(tmp_path)
    status, output = player.play(imported("verify"), **variables)
    said = " ".join(output.split())
    assert status == 2 and said.count("TASK [azureops.pod_identity.pod_identity_verify : Ask for the token") == 1, (
        output
    )
    assert "3 of 3 workloads do not get what they must" in said
    for words in (f"Pod {namespace}/nobody does not run", "Node nowhere does not exist", "No pod of the workload"):
        assert words in said, output
    assert f"The likeliest cause in Namespace {namespace}: " in said, output
    assert f" -e pod_identity_diagnose_namespace={namespace}" in said, output
    # Who may verify and no more learns what a diagnosis takes, beside what failed.
    may = (
        {"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": ["", "policy"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list", "create", "delete"]},
    )
    variables["pod_identity_verify_workloads"] = [{**here, "pod": "nobody"}]
    variables["pod_identity_kubeconfig"] = api_server.kubeconfig(RESTRICTED)
    with server.rights_of_restricted(client, namespace, *may):
        status, output = player.play(imported("verify"), **variables)
    said = " ".join(output.split())
    assert (status, f"Pod {namespace}/nobody does not run" in said) == (2, True), output
    assert "No diagnosis was made: " in said and " may not list " in said, output


@pytest.mark.soak
def test_the_demo_application_of_a_run_is_that_of_this_run(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """Nothing runs it here. It is removed all the same, and a later run of the role does not tell of it."""
    create(client, kinds.AZURE_IDENTITY, namespace, "billing", spec={"type": 0, "clientID": "c", "resourceID": "/r"})
    told = {"ansible.builtin.debug": {"var": "pod_identity_verification | length"}, "tags": ["always"]}
    options = ({"vars": {"pod_identity_verify_demo": demo}} for demo in (True, False))
    counted = r'"pod_identity_verification \| length": "?(\d)'
    tasks = [each for given in options for each in ({**imported("verify")[0], **given}, told)]
    variables = {
        "pod_identity_verify_workloads": [{"namespace": namespace, "selector": "billing", "expect": "billing"}],
        "pod_identity_verify_demo_timeout": 4,
        "pod_identity_verify_fail": False,
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    player, mark = Player(tmp_path), len(api_server.requests())
    status, output = player.play(tasks, "--tags", "pod_identity_verify_demo", **variables)
    said = " ".join(output.split())
    assert (status, re.findall(counted, said)) == (0, ["1", "0"]), output
    assert f"{namespace}/(demo) no_token {namespace}/billing" in said, output
    assert {"create jobs", "delete jobs"} <= set(api_server.requests()[mark:])
    assert client.list_all(kinds.JOB, namespace) == ()
    status, output = player.play(tasks, "--tags", "pod_identity_verify_demo", "--check", **variables)
    said = " ".join(output.split())
    assert (status, re.findall(counted, said)) == (0, ["1", "0"]), output
    assert f"{namespace}/(demo) not_verified billing" in said, output


@pytest.mark.soak
def test_the_life_of_an_exception(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    spec = {"containers": [{"name": "app", "image": "app"}]}
    create(client, kinds.POD, namespace, "agent", metadata={"labels": {"app": "agent"}}, spec=spec)
    player, desired = Player(tmp_path), {"name": "agents", "namespace": namespace}
    kubeconfigs = {token: api_server.kubeconfig(token) for token in (ADMIN, RESTRICTED)}

    def play(change: dict[str, Any], *arguments: str, token: str = ADMIN, **options: Any) -> tuple[int, str, str]:
        """Exit status, number of changes and output."""
        given = {"owner": "a", "exceptions": [{**desired, **change}] if change else [], **options}
        status, output = player.play(
            imported("bindings"),
            *("--diff", "--tags", "pod_identity_bindings_objects", *arguments),
            **{f"pod_identity_bindings_{name}": value for name, value in given.items()},
            pod_identity_kubeconfig=kubeconfigs[token],
        )
        return status, "".join(re.findall(r"changed=(\d+)", output)), " ".join(output.split())

    def live() -> tuple[str, dict[str, str]] | None:
        """Owner and labels of pods."""
        found = client.get(kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace, "agents")
        if found is None:
            return None
        return found["metadata"]["labels"]["azureops.pod-identity/owner"], found["spec"]["podLabels"]

    both, one = {"app": "agent", "team": "a"}, {"app": "agent"}
    gone = {"state": "absent", "allow_in_use": True}
    steps: tuple[tuple[dict[str, Any], str, tuple[str, dict[str, str]] | None], ...] = (
        ({"pod_labels": both}, r'\+ *"team": "a"', ("a", both)),
        (gone, r'- *"app": "agent"', None),
    )
    status, refusal = play({"pod_labels": one}, token=RESTRICTED)[::2]
    assert (status, "list azurepodidentityexceptions.aadpodidentity.k8s.io in" in refusal) == (2, True), refusal
    for change, shown, reached in steps:
        before = live()
        if change == gone:
            status, dummy, refusal = play({"state": "absent"})
            assert (status, f"lets Pod {namespace}/agent past NMI" in refusal, live()) == (2, True, before), refusal
        for arguments, expected in ((("--check",), before), ((), reached)):
            status, changes, output = play(change, *arguments)
            assert (status, changes, bool(re.search(shown, output)), live()) == (0, "1", True, expected), output
        assert play(change)[:2] == (0, "0")
    play({"pod_labels": one})
    assert "adopt: true" in play({"pod_labels": both}, owner="b")[2] and live() == ("a", one)
    assert play({"pod_labels": both}, owner="b", adopt=True)[:2] == (0, "1") and live() == ("b", both)
    requests = len(api_server.requests())
    assert play({})[:2] == (0, "0")
    asked = {request for request in api_server.requests()[requests:] if "azure" in request}
    assert (asked, live()) == (set(), ("b", both))
