# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Old clusters, charts from elsewhere, and NMIs that somebody else installed. Needs root.

One cluster of the old kind serves all of it: a service principal instead of a kubelet identity, and kubenet.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from operators import UNSET, Operator, Run, only
from sandboxes import running

pytestmark = [pytest.mark.story, pytest.mark.soak]

NAME = "old"
"""Of the cluster, its resource group, and its service principal."""
PUBLIC = "https://raw.githubusercontent.com/Azure/aad-pod-identity/master/charts"
MIRROR = "oci://contoso.azurecr.io/charts"
CHART, VERSION = "aad-pod-identity", "4.1.18"
APPLIED = ["Install or change the release", "Write down the release as it shall be"]


@dataclass(frozen=True)
class World:
    """The cluster, the chart, and somebody who works with them as operator or in another way."""

    operator: Operator
    client_id: str
    """Of the service principal."""
    archive: Path
    """The chart's file; its contents are also at PUBLIC and MIRROR."""
    kubeconfig: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()

    def run(self, *command: str) -> str:
        return self.operator.sandbox.exec(*command)

    def helm(self, *arguments: str) -> str:
        return self.run("helm", f"--kubeconfig={self.kubeconfig}", *arguments)

    def chart(self, *arguments: str, **variables: Any) -> Run:
        """The role pod_identity_chart alone; its fact is told at the end."""
        (play,) = only("chart")
        tell = {"name": "Tell what is there", "ansible.builtin.debug": {"msg": "{{ pod_identity_chart }}"}}
        named = {f"pod_identity_chart_{name}": value for name, value in variables.items()}
        return self.operator.play([{**play, "post_tasks": [tell]}], *arguments, variables=named)

    def nmis(self) -> list[dict[str, Any]]:
        found = self.operator.kubectl("get", "daemonset", "-A")["items"]
        return [each for each in found if each["metadata"]["name"].endswith("nmi")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("operator")
    with running("installations") as sandbox:
        sandbox.run("azure", "principal", NAME)
        login = ("printenv", "AZURE_CLIENT_ID", "AZURE_SECRET")
        client_id, secret = sandbox.run("exec", "--as", NAME, "--", *login).split()
        sandbox.exec("az", "group", "create", "-n", NAME, "-l", "westeurope")
        sandbox.exec(
            *("az", "aks", "create", "-g", NAME, "-n", NAME, "--node-count", "1", "--no-ssh-key"),
            *("--service-principal", client_id, "--client-secret", secret, "--network-plugin", "kubenet"),
        )
        kubeconfig = Operator(sandbox, directory, {}).kubeconfig(NAME, NAME)
        sandbox.exec("helm", "pull", CHART, "--repo", PUBLIC, "--version", VERSION, "-d", str(directory))
        archive = directory / f"{CHART}-{VERSION}.tgz"
        sandbox.exec("helm", "push", str(archive), MIRROR)
        variables = {
            "pod_identity_resource_group": NAME,
            "pod_identity_cluster_name": NAME,
            "pod_identity_location": "westeurope",
            "pod_identity_allow_network_plugin_kubenet": True,
            "pod_identity_cluster_principal_id": sandbox.az("ad", "sp", "show", "--id", client_id)["id"],
            "pod_identity_chart_ref": f"{MIRROR}/{CHART}",
            "pod_identity_chart_version": VERSION,
            "pod_identity_chart_digest": hashlib.sha256(archive.read_bytes()).hexdigest(),
            "pod_identity_bindings_create_namespaces": True,
            "pod_identity_bindings_list": [{"name": "shop", "namespace": "shop", "selector": "shop"}],
            "pod_identity_verify_workloads": [
                {"namespace": "shop", "selector": "shop", "expect": "shop", "allow_detach": True}
            ],
        }
        yield World(Operator(sandbox, directory, variables), client_id, archive, kubeconfig)


# An old cluster, and a chart from a registry


@pytest.mark.parametrize("arguments", [("--check",), ()], ids=["check", "run"])
def test_kubenet_is_refused(world: World, arguments: tuple[str, ...]) -> None:
    world.operator.forget_requests()
    refusal = world.operator.site(*arguments, variables={"pod_identity_allow_network_plugin_kubenet": False}).refused()
    assert "ARP spoofing" in refusal
    assert "pod_identity_allow_network_plugin_kubenet=true" in refusal
    assert world.operator.azure_writes() == []
    assert world.nmis() == []


def test_the_object_id_of_a_service_principal_is_asked_for(world: World) -> None:
    world.operator.forget_requests()
    refusal = world.operator.site(variables={"pod_identity_cluster_principal_id": UNSET}).refused()
    (command,) = re.findall(r'"(az ad sp show --id [^"]*)"', refusal)
    assert world.client_id in command
    assert world.run("sh", "-c", command).strip() == world.operator.variables["pod_identity_cluster_principal_id"]
    assert world.operator.azure_writes() == []


@pytest.fixture(scope="module")
def predicted(world: World) -> Run:
    return world.operator.site("--check", "--diff").ok()


@pytest.fixture(scope="module")
def done(world: World, predicted: Run) -> Run:
    return world.operator.site().ok()


def test_an_old_cluster_serves(world: World, predicted: Run, done: Run) -> None:
    """MIC works as the service principal, and NMI, which looks for kubenet by itself, has been told to accept it."""
    assert done.changed_items() == predicted.changed_items()
    assert [(row["verdict"], row["answered_by"]) for row in done.verdicts()] == [("ok", "nmi")]
    (nmi,) = world.nmis()
    assert "--allow-network-plugin-kubenet=true" in arguments_of(nmi)
    principal = world.operator.variables["pod_identity_cluster_principal_id"]
    assigned = world.operator.sandbox.az("role", "assignment", "list", "--all")
    given = {each["roleDefinitionName"] for each in assigned if each["principalId"] == principal}
    assert {"Managed Identity Operator", "Virtual Machine Contributor"} <= given
    patches = world.operator.sandbox.run("azure", "log", "--method", "PATCH", "--json").splitlines()
    assert {json.loads(line)["caller"] for line in patches} == {world.client_id}


def test_a_second_run_on_an_old_cluster_changes_nothing(world: World, done: Run) -> None:
    world.operator.forget_requests()
    assert world.operator.site().ok().changes() == []
    assert world.operator.azure_writes() == []


def arguments_of(workload: Mapping[str, Any]) -> list[str]:
    return list(workload["spec"]["template"]["spec"]["containers"][0]["args"])


SOURCES: dict[str, dict[str, Any]] = {
    "registry": {"ref": f"{MIRROR}/{CHART}"},
    "address": {"ref": f"{PUBLIC}/{CHART}-{VERSION}.tgz", "version": UNSET},
    "file": {"ref": f"{{{{ playbook_dir }}}}/{CHART}-{VERSION}.tgz", "version": UNSET},
    "directory": {"ref": f"{{{{ playbook_dir }}}}/{CHART}"},
    "repository": {"ref": CHART},
}
"""Variables of the role; the playbook lies beside the chart's file."""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("source", "digest"),
    [
        *((source, digest) for source in ("registry", "address", "file", "repository") for digest in (True, False)),
        ("directory", False),
    ],
)
def test_the_chart_comes_from(world: World, done: Run, source: str, digest: bool) -> None:
    """Each source is used to change a value, by which a new revision is installed."""
    if source == "directory":
        world.run("tar", "-xzf", str(world.archive), "-C", str(world.operator.directory))
    verbosity = len(source) * 2 + digest
    desired = {**SOURCES[source], "values": {"nmi": {"logVerbosity": verbosity}}}
    if not digest:
        desired["digest"] = UNSET
    foreseen = world.chart("--check", **desired).ok()
    assert foreseen.changes() == APPLIED
    run = world.chart(**desired).ok()
    assert run.changed_items() == foreseen.changed_items()
    (nmi,) = world.nmis()
    assert f"-v={verbosity}" in arguments_of(nmi)
    assert nmi["metadata"]["labels"]["helm.sh/chart"] == f"{CHART}-{VERSION}"
    assert [node["state"] for node in run.message("Tell what is there")["nodes"]] == ["active"]


@pytest.mark.soak
@pytest.mark.parametrize("source", SOURCES)
def test_another_chart_than_the_named_one_is_refused(world: World, done: Run, source: str) -> None:
    (before,) = world.nmis()
    refusal = world.chart(**SOURCES[source], digest="0" * 64, values={"nmi": {"logVerbosity": 1}}).refused()
    found = "of no file" if source == "directory" else world.digest
    assert re.search(rf"SHA-256 digest\s+{found}, not the one in pod_identity_chart_digest", refusal)
    assert world.nmis() == [before]


# What somebody else installed


@pytest.fixture
def bare(world: World) -> World:
    """No NMI is there."""
    world.helm("uninstall", CHART, "--ignore-not-found", "--wait", "--cascade=foreground")
    assert world.nmis() == []
    return world


@pytest.mark.soak
def test_what_somebody_else_installed_is_used_on_demand(bare: World) -> None:
    """Plain manifests; tests/unit/plugins/module_utils/_domain/installation/test_nmi.py has the other ways."""
    chart = (str(bare.archive), "--namespace", "default", "--set", "nmi.allowNetworkPluginKubenet=true")
    marks = re.compile(r"^ +(helm.sh/chart|app.kubernetes.io/managed-by):.*\n", re.MULTILINE)
    file = bare.operator.directory / "applied.yml"
    file.write_text(marks.sub("", bare.helm("template", CHART, *chart)))
    definitions = bare.operator.directory / "definitions.yml"
    definitions.write_text(bare.helm("show", "crds", str(bare.archive)))
    bare.run("kubectl", "apply", "-f", str(definitions))
    bare.run("kubectl", "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
    bare.run("kubectl", "apply", "-f", str(file))
    try:
        (before,) = [(each["metadata"]["uid"], each["metadata"]["generation"]) for each in bare.nmis()]
        assert "(applied as manifests). A second NMI would fight with it" in bare.chart().refused()
        run = bare.chart(accept_existing=True).ok()
        told = run.message("Tell what is there")
        assert (run.changes(), told["managed_by"], told["release_name"]) == ([], "manifests", "")
        assert [node["state"] for node in told["nodes"]] == ["active"] and told["mic_leader"]
        assert [(each["metadata"]["uid"], each["metadata"]["generation"]) for each in bare.nmis()] == [before]
    finally:
        bare.run("kubectl", "delete", "--cascade=foreground", "-f", str(file))


@pytest.mark.soak
def test_a_release_of_another_name_keeps_version_and_values(bare: World) -> None:
    """Somebody installed it who did not know that NMI refuses kubenet."""
    world = bare
    named = {"release_name": "mine", "namespace": "identity", "ref": UNSET, "version": UNSET, "digest": UNSET}
    world.helm(
        *("install", "mine", CHART, "--repo", PUBLIC, "--version", "4.1.17", "-n", "identity", "--create-namespace"),
        *("--set", "nmi.tag=v1.8.17,mic.tag=v1.8.17,nmi.logVerbosity=1"),
    )
    try:
        vain = world.chart(accept_existing=True, wait_timeout=15)
        *_looks, said = (record["msg"] for record in vain.records if record["state"] == "failed")
        assert re.search(r"does not serve after 15 seconds:\s+NMI on node \S+: its (container|pod) ", said)
        run = world.chart("--diff", **named).ok()
        assert run.changes() == APPLIED
        before, after = (yaml.safe_load(run.diff(APPLIED[1])[side]) for side in ("before", "after"))
        assert (before["version"], before["values"]["nmi"].pop("logVerbosity")) == ("4.1.17", 1)
        after["values"]["nmi"].pop("logVerbosity")
        assert after["values"]["nmi"].pop("allowNetworkPluginKubenet") is True
        assert before == after
        (nmi,) = world.nmis()
        assert nmi["metadata"]["labels"]["helm.sh/chart"] == f"{CHART}-4.1.17"
        assert {"-v=1", "--allow-network-plugin-kubenet=true"} <= set(arguments_of(nmi))
        assert world.chart(**named).ok().changes() == []
    finally:
        world.helm("uninstall", "mine", "-n", "identity", "--wait", "--cascade=foreground")
