# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module pod_identity_restoration and the role pod_identity_restore on a real API server, where no NMI lives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_restoration
from ansible_collections.azureops.pod_identity.tests.kube.documented import examples
from ansible_collections.azureops.pod_identity.tests.kube.objects import another_namespace, call, create, manifest
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player, role
from azsandbox.azure.loopback import SimulatedAzure

RESTORE = str(CHECKOUT / "playbooks/restore.yml")
CARRIER = {"resource_group": "rg", "cluster_name": "demo"}
KINDS = (kinds.AZURE_IDENTITY, kinds.AZURE_IDENTITY_BINDING, kinds.AZURE_POD_IDENTITY_EXCEPTION)
ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"


def document(kind: Kind, namespace: str, name: str = "billing", **spec: Any) -> dict[str, Any]:
    # A field that a newer API would add.
    return manifest(kind, name, namespace, metadata={"labels": {**marks("shop"), "team": "a"}}, spec=spec)


def documents(namespace: str, identity: str = ID) -> list[dict[str, Any]]:
    return [
        document(kinds.AZURE_IDENTITY_BINDING, namespace, azureIdentity="billing", selector="billing"),
        document(kinds.AZURE_IDENTITY, namespace, type=0, resourceID=identity, clientID="Upper-Case"),
        document(kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace, podLabels={"app": "agent"}),
    ]


def there(client: Client, namespace: str) -> dict[str, dict[str, Any]]:
    return {kind.name: each for kind in KINDS for each in client.list_all(kind, namespace)}


@pytest.fixture
def restoration(api_server: ApiServer) -> Runner:
    return Runner(api_server, "pod_identity_restoration")


def test_what_is_missing_comes_back_as_it_was(
    restoration: Runner, client: Client, crds: None, namespace: str, api_server: ApiServer
) -> None:
    wanted = documents(namespace)
    predicted = restoration(check=True, documents=wanted).ok()
    assert there(client, namespace) == {}
    done = restoration(documents=wanted).ok()
    for key in ("changes", "actions", "diff", "restoration"):
        assert predicted[key] == done[key], key
    listed = ["AzurePodIdentityException", "AzureIdentity", "AzureIdentityBinding"]
    assert [each.split()[1] for each in done["actions"]] == listed
    for each in wanted:
        found = there(client, namespace)[each["kind"]]
        assert (found["spec"], found["metadata"]["labels"]) == (each["spec"], each["metadata"]["labels"])
    for check in (False, True):
        again = restoration(check=check, documents=wanted).ok()
        assert not again["changed"]
        assert {each["state"] for each in again["restoration"]["objects"]} == {"present"}


def test_what_is_different_by_now_stays(restoration: Runner, client: Client, crds: None, namespace: str) -> None:
    wanted = documents(namespace)
    restoration(documents=wanted).ok()
    client.merge(kinds.AZURE_IDENTITY, namespace, "billing", {"spec": {"clientID": "new"}})
    client.delete(kinds.AZURE_IDENTITY_BINDING, namespace, "billing")
    done = restoration(documents=wanted).ok()
    assert done["actions"] == [f"create AzureIdentityBinding {namespace}/billing"]
    assert [each["state"] for each in done["restoration"]["objects"]] == ["present", "different", "restored"]
    assert there(client, namespace)["AzureIdentity"]["spec"]["clientID"] == "new"


@pytest.mark.soak
def test_without_definitions_it_is_predicted_but_refused(
    restoration: Runner, client: Client, definitions: list[dict[str, Any]], namespace: str
) -> None:
    server.remove(client, definitions)
    try:
        assert len(restoration(check=True, documents=documents(namespace)).ok()["actions"]) == 3
        failure = restoration(documents=documents(namespace)).failure()
        assert "install it first (role azureops.pod_identity.pod_identity_chart)" in failure
    finally:
        server.install(client, definitions)


def test_a_namespace_that_is_gone_is_named_before_anything_is_written(
    restoration: Runner, client: Client, crds: None, namespace: str
) -> None:
    wanted = [*documents(namespace), document(kinds.AZURE_IDENTITY, "t-gone", type=0, resourceID=ID, clientID="x")]
    outcome = restoration(documents=wanted)
    assert "there is no namespace t-gone" in outcome.failure()
    assert outcome.result["missing_namespaces"] == ["t-gone"]
    assert there(client, namespace) == {}


def test_the_example(client: Client, crds: None, api_server: ApiServer, tmp_path: Path) -> None:
    with another_namespace(client, "billing"):
        tasks = examples(pod_identity_restoration, api_server)
        status, output = Player(tmp_path / "player").play(tasks)
        assert (status, "changed=1 " in output) == (0, True), output
        assert list(there(client, "billing")) == ["AzureIdentityBinding"]


@pytest.fixture
def site(tmp_path: Path, api_server: ApiServer, client: Client, crds: None, namespace: str) -> Iterator[Site]:
    azure = SimulatedAzure(tmp_path)
    azure.cluster(name="demo")
    call(azure, "127.0.0.1")
    (tmp_path / "home").mkdir()
    (tmp_path / "players").mkdir()
    yield Site(Modules(azure, tmp_path / "home"), api_server, client, namespace, tmp_path / "players")
    azure.close()


class Site:
    """A cluster in Azure with this API server, and a bundle of it."""

    def __init__(self, modules: Modules, api: ApiServer, client: Client, namespace: str, directory: Path) -> None:
        self.modules, self.client, self.namespace, self.directory = modules, client, namespace, directory
        self.kubeconfig = api.kubeconfig()
        identity = modules.succeed("user_assigned_identity", resource_group="rg", name="billing", location="westeurope")
        self.identity = identity["state"]["id"]
        self.cluster = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"][0]
        places = modules.succeed("vmss_identity_info", **CARRIER)["resources"]
        for place in places:
            place["identities"].append({**dict.fromkeys(place["identities"][0], ""), "id": self.identity})
        group = self.cluster["id"].split("/resource")[0] + f"/resourceGroups/{self.cluster['node_resource_group']}"
        nodes = {"scope": group, "principal_id": self.cluster["kubelet_identity"]["object_id"]}
        self.bundle: dict[str, Any] = {
            "cluster": self.cluster["id"],
            "written": "20260301T100000Z",
            "objects": documents(namespace, self.identity),
            "releases": [],
            "scale_sets": places,
            "role_assignments": [{**nodes, "role": "Virtual Machine Contributor"}],
        }

    def play(self, *arguments: str, bundle: Any = None, playbook: str = RESTORE, **variables: Any) -> tuple[int, str]:
        number = len(list(self.directory.iterdir()))
        path = self.directory / f"bundle{number}.json"
        text = json.dumps(self.bundle) if bundle is None else bundle if isinstance(bundle, str) else json.dumps(bundle)
        path.write_text(text)
        defaults = {
            "pod_identity_cluster_name": "demo",
            "pod_identity_resource_group": "rg",
            "pod_identity_kubeconfig": self.kubeconfig,
            "pod_identity_restore_bundle": str(path),
            "pod_identity_restore_accept": ["unverified"],
        }
        player = Player(self.directory / f"player{number}", self.modules.environment)
        status, output = player.play(playbook, *arguments, **{**defaults, **variables})
        return status, " ".join(output.split())

    def rows(self, *arguments: str, **variables: Any) -> list[dict[str, Any]]:
        """The table that a run leaves to whoever started it."""
        path = self.directory / f"rows{len(list(self.directory.iterdir()))}.json"
        write = {"ansible.builtin.copy": {"content": "{{ pod_identity_restore | to_json }}", "dest": str(path)}}
        plays = [{"ansible.builtin.import_playbook": RESTORE}]
        told = {"hosts": "localhost", "gather_facts": False, "tasks": [{**write, "check_mode": False}]}
        whole = self.directory / f"{path.stem}.yml"
        whole.write_text(json.dumps([*plays, told]))
        status, output = self.play(*arguments, playbook=str(whole), **variables)
        assert status == 0, output
        return list(json.loads(path.read_text()))

    def attached(self) -> set[str]:
        found = self.modules.succeed("vmss_identity_info", **CARRIER)["resources"]
        return {each["id"].lower() for place in found for each in place["identities"]}


@pytest.mark.soak
def test_a_bundle_is_restored(site: Site) -> None:
    """What is bound is left to MIC; nothing came of a chart, so there is none."""
    mark = site.modules.mark()
    status, output = site.play("--check", "--diff")
    assert (status, "changed=2 " in output) == (0, True), output
    assert (there(site.client, site.namespace), site.modules.writes(mark)) == ({}, [])
    attached = site.attached()
    create(site.client, kinds.SECRET, site.namespace, "bundle-1", stringData={"bundle.json": json.dumps(site.bundle)})
    status, output = site.play(pod_identity_restore_bundle=f"secret:{site.namespace}/bundle-1")
    assert (status, "changed=2 " in output) == (0, True), output
    assert len(there(site.client, site.namespace)) == 3
    assert [each for each in site.modules.writes(mark) if "roleAssignments" in each] != []
    assert site.attached() == attached
    status, output = site.play()
    assert (status, "changed=0 " in output) == (0, True), output
    assert site.client.get(kinds.LEASE, "default", NAME) is None


def predicted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table that check mode is to show where a run shows these."""
    return [{**row, "state": "would be restored" if row["state"] == "restored" else row["state"]} for row in rows]


@pytest.mark.soak
def test_check_mode_shows_the_table_of_the_run(site: Site) -> None:
    """Some of it is there, something else is, and some of it is refused."""
    for each in documents(site.namespace, site.identity)[1:]:
        kind = next(kind for kind in KINDS if kind.name == each["kind"])
        changed = {**each, "spec": {**each["spec"], "podLabels": {"app": "other"}}}
        site.client.create(kind, site.namespace, changed if kind == kinds.AZURE_POD_IDENTITY_EXCEPTION else each)
    owner = {**site.bundle["role_assignments"][0], "role": "Owner"}
    site.bundle["role_assignments"].append(owner)
    site.bundle["scale_sets"].append({**site.bundle["scale_sets"][0], "id": f"{site.identity}-gone", "name": "gone"})
    for variables in ({"pod_identity_manage_role_assignments": False}, {}, {}):
        check, run = site.rows("--check", **variables), site.rows(**variables)
        assert check == predicted(run)
        assert {row["what"] for row in run} >= {"role assignment", *(kind.name for kind in KINDS), "scale set"}
    assert {row["state"] for row in run} == {"present", "different", "refused", "gone"}


@pytest.mark.soak
def test_nothing_is_attached_that_nothing_guards(site: Site) -> None:
    del site.bundle["objects"][0]  # without a binding MIC does not attach it
    attached = site.attached()
    status, output = site.play("--check")
    assert (status, "changed=3 " in output) == (0, True), output
    status, output = site.play()
    assert (status, "so billing would be open to every pod" in output) == (2, True), output
    assert site.attached() == attached


@pytest.mark.soak
def test_what_is_refused_is_refused_before_anything_changes(site: Site) -> None:
    mark, bundle = site.modules.mark(), site.bundle
    release = {"name": "a", "namespace": "default", "version": "4.1.18", "given_values": {}, "status": "deployed"}
    other = bundle["cluster"].replace("demo", "other")
    for changed, sentence in (
        ({**bundle, "cluster": other}, f"is of {other}, but the cluster that is named is"),
        ({"objects": []}, "is no restore bundle of the role pod_identity_uninstall"),
        ({**bundle, "releases": [release, {**release, "name": "b"}]}, "has 2 releases of the chart (a, b)"),
        (
            {**bundle, "releases": [{**release, "omitted_values": ["adminsecret"]}]},
            "The release a had adminsecret among its values, which hold credentials",
        ),
        ({**bundle, "releases": [{**release, "name": "--post-renderer=x"}]}, "has a name that helm would not take"),
    ):
        status, output = site.play(bundle=changed)
        assert (status, sentence in output) == (2, True), output
    status, output = site.play(pod_identity_restore_accept=[])
    assert (status, "pod_identity_restore_sha256 is not set, so nothing proves" in output) == (2, True), output
    for named, sentence in (
        ("", "pod_identity_restore_bundle is not set"),
        ("/nowhere/at-all.json", "The restore bundle /nowhere/at-all.json cannot be read"),
        (f"secret:{site.namespace}/none", f"There is no restore bundle secret:{site.namespace}/none"),
    ):
        status, output = site.play(pod_identity_restore_bundle=named)
        assert (status, sentence in output) == (2, True), output
    assert (there(site.client, site.namespace), site.modules.writes(mark)) == ({}, [])
    assert site.client.get(kinds.LEASE, "default", NAME) is None


@pytest.mark.soak
def test_roles_that_somebody_else_grants_are_told(site: Site) -> None:
    status, output = site.play(pod_identity_manage_role_assignments=False)
    assert (status, "az role assignment create --assignee-object-id" in output) == (0, True), output
    assert "changed=1 " in output, output


@pytest.mark.soak
def test_one_run_at_a_time(site: Site, api_server: ApiServer) -> None:
    lease = Runner(api_server, "cluster_lease")
    other = {"holder": "bob@elsewhere", "process": "boot/1/2/3"}
    lease(**other).ok()
    status, output = site.play()
    assert (status, "bob@elsewhere works on this cluster" in output) == (2, True), output
    lease(**other, state="absent").ok()


def test_a_changed_bundle_grants_no_more_than_the_collection_does(site: Site) -> None:
    """Not even to the nodes; the digest of the bundle as it was refuses it altogether."""
    text = json.dumps(site.bundle)
    subscription = "/".join(site.cluster["id"].split("/")[:3])
    kubelet = site.cluster["kubelet_identity"]["object_id"]
    contributor = {"scope": subscription, "role": "Virtual Machine Contributor"}
    site.bundle["role_assignments"] += [
        {"scope": subscription, "role": "Owner", "principal_id": kubelet},
        {**contributor, "principal_id": kubelet},
        {**site.bundle["role_assignments"][0], "principal_id": "11111111-1111-4111-8111-111111111111"},
    ]
    mark, tags = site.modules.mark(), ("--tags", "pod_identity_restore_roles")
    status, output = site.play(*tags, pod_identity_restore_sha256=hashlib.sha256(text.encode()).hexdigest())
    assert (status, "so it is not the one that was written" in output) == (2, True), output
    assert site.modules.writes(mark) == []
    status, output = site.play(*tags)
    assert (status, "changed=1 " in output) == (0, True), output
    (granted,) = [each for each in site.modules.writes(mark) if "roleAssignments" in each]
    assert site.cluster["node_resource_group"].lower() in granted.lower()
    assert output.count("refused") >= 3, output


def test_what_a_secret_says_that_the_addon_handed_out_azure_confirms(site: Site) -> None:
    """Whoever may write Secrets there can name any identity; what is no bundle does not stop the run."""
    made = site.modules.succeed("user_assigned_identity", resource_group="rg", name="victim", location="westeurope")
    plane = site.cluster["identity"]["principal_id"]
    operator = {"role": "Managed Identity Operator", "principal_id": plane}
    site.modules.succeed("role_assignment", scope=site.identity, **operator)
    names = {"name": "x", "namespace": "y"}
    addon = {"identities": [{**names, "identity": each} for each in (site.identity, made["state"]["id"])]}
    for name, text in (("forged", json.dumps({**site.bundle, "addon": addon})), ("odd", "{")):
        labels, data = marks("shop"), {"bundle.json": text}
        create(site.client, kinds.SECRET, site.namespace, name, metadata={"labels": labels}, stringData=data)
    told = {"ansible.builtin.debug": {"var": "__pod_identity_uninstall_earlier.plan.identities"}}
    connection = {"kubeconfig": site.kubeconfig, "reachable": True}
    status, output = Player(site.directory / "earlier", site.modules.environment).play(
        [role("pod_identity_uninstall", "look_earlier"), told],
        pod_identity_session={"cluster": site.cluster, "connection": connection},
        pod_identity_cluster_name="demo",
        pod_identity_uninstall_artifact_target=f"secret:{site.namespace}/bundle",
    )
    assert status == 0, output
    found = output.partition('"__pod_identity_uninstall_earlier.plan.identities": ')[2].partition("]")[0] + "]"
    assert json.loads(found) == [site.identity.lower()]
