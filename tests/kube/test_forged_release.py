# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of helm that somebody wrote who may write Secrets in a namespace, beside a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import chart_manifest, removal, residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    NAMESPACE,
    SECRET,
)
from ansible_collections.azureops.pod_identity.tests.kube import server
from ansible_collections.azureops.pod_identity.tests.kube.forged_release import (
    HOOK,
    JOB,
    of,
    packed,
    record,
    settings,
)
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.kube.test_roles import imported
from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player


class Place:
    """A real release of the chart, and what can be written beside it."""

    def __init__(self, api_server: ApiServer, client: Client, namespace: str) -> None:
        self.server, self.client, self.namespace, self.tenant = api_server, client, namespace, f"{namespace}-tenant"
        values = f"nameOverride={namespace},installMICException=false,mic.podDisruptionBudget.minAvailable=1"
        api_server.helm("install", "real", "CHART", "--namespace", namespace, "--set", values)
        client.create(NAMESPACE, None, {"metadata": {"name": self.tenant}})
        (self.real,) = client.list_all(SECRET, namespace, labels="owner=helm")

    def forge(self, namespace: str, name: str, **changes: Any) -> None:
        self.client.create(SECRET, namespace, record(self.real, namespace, name, **changes))

    def settings(self, namespace: str, points_to: tuple[str, str] = ("", "")) -> None:
        self.client.create(CONFIG_MAP, namespace, settings(points_to))

    def releases(self) -> dict[str, dict[str, str]]:
        found = self.look()
        return {
            "believed": {f"{each['namespace']}/{each['name']}": each["status"] for each in found["releases"]},
            "doubted": {each["object"]: each["reason"] for each in found["not_believed"]},
        }

    def look(self, **options: Any) -> dict[str, Any]:
        return Runner(self.server, "pod_identity_removal_info")(**options).ok()

    def audit(self) -> dict[str, str]:
        found = Runner(self.server, "pod_identity_info")(audit=True).ok()["residue"]
        return {each["object"]: each["message"] for each in found if each["code"] == "not_believed"}


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    """One of its own: what is called AAD Pod Identity's is looked for in all of the cluster."""
    with server.running() as started:
        yield started


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return api_server.client()


@pytest.fixture
def place(api_server: ApiServer, client: Client, crds: None, namespace: str) -> Iterator[Place]:
    made = Place(api_server, client, namespace)
    yield made
    for each in client.list_all(SECRET, namespace, labels="owner=helm"):
        client.delete(SECRET, namespace, each["metadata"]["name"])
    options = {"scope": "all", "release_namespaces": [namespace], "wait_sleep": 1}
    Runner(api_server, "pod_identity_removal")(parts=["programs", "remains"], **options).ok()
    for kind in (SECRET, CONFIG_MAP, DAEMON_SET):  # no controller empties a namespace that goes
        for each in client.list_all(kind, made.tenant):
            client.delete(kind, made.tenant, each["metadata"]["name"])
    client.delete(NAMESPACE, None, made.tenant)


def test_what_the_real_chart_renders_is_understood(api_server: ApiServer) -> None:
    for values in (
        "operationMode=standard",
        "operationMode=managed,rbac.createUserFacingClusterRoles=true",
        "adminsecret.cloud=a,adminsecret.subscriptionID=b,adminsecret.resourceGroup=c,adminsecret.vmType=d,"
        "adminsecret.tenantID=e,adminsecret.clientID=f,adminsecret.clientSecret=g,mic.podDisruptionBudget.minAvailable=1",
        "azureIdentities.a.name=a,azureIdentities.a.type=0,azureIdentities.a.resourceID=/r,azureIdentities.a.clientID=c,"
        "azureIdentities.a.namespace=team,azureIdentities.a.binding.name=b,azureIdentities.a.binding.selector=s",
    ):
        text = api_server.helm("template", "pods", "CHART", "--namespace", "pods", "--set", values)
        found = chart_manifest.read(text)
        documents = [
            one
            for each in yaml.safe_load_all(text)
            if each
            for one in (each["items"] if each["kind"] == "List" else [each])
        ]
        assert [(each.api_version, each.kind, each.name) for each in found] == [
            (each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in documents
        ]
        places = [each["metadata"].get("namespace", "") for each in documents]
        assert [each.namespace for each in found] == places
        odd = [each for each in found if chart_manifest.stranger(each, "pods")]
        assert odd == []


@pytest.mark.parametrize("scope", ["owned", "all"])
def test_a_release_of_a_tenant(place: Place, scope: str) -> None:
    """What points to it may be written by the tenant too."""
    place.forge(place.tenant, "aad-pod-identity", hooks=[HOOK])
    place.settings(place.tenant, (place.tenant, "aad-pod-identity"))
    before = place.client.list_all(SECRET, place.tenant)
    found = place.look(scope=scope)
    assert [f"{each['namespace']}/{each['name']}" for each in found["releases"]] == [f"{place.namespace}/real"]
    assert place.tenant not in found["release_namespaces"]
    told = place.audit()[f"helm release {place.tenant}/aad-pod-identity"]
    assert "it has hooks" in told

    done = Runner(place.server, "pod_identity_removal")(parts=["records"], scope=scope).ok()
    assert not [each for each in done["actions"] if place.tenant in each.partition(":")[0]]
    assert place.client.list_all(SECRET, place.tenant) == before


def test_a_release_of_a_tenant_that_equals_a_real_one(place: Place) -> None:
    place.forge(place.tenant, "aad-pod-identity")
    told = place.audit()[f"helm release {place.tenant}/aad-pod-identity"]
    assert f"no ClusterRoleBinding gives service accounts of the namespace {place.tenant} the rights" in told
    # Whoever names the namespace has seen to it.
    found = place.look(release_namespaces=[place.tenant])
    assert f"{place.tenant}/aad-pod-identity" in {f"{each['namespace']}/{each['name']}" for each in found["releases"]}


def test_a_release_where_a_real_one_is(place: Place) -> None:
    client = place.client
    client.create(CONFIG_MAP, place.tenant, {"metadata": {"name": "theirs"}})
    theirs = f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\n  namespace: {place.tenant}\n"
    place.forge(place.namespace, "hooked", hooks=[HOOK])
    place.forge(place.namespace, "foreign", manifest=theirs)
    place.forge(place.namespace, "odd", manifest="{apiVersion: v1, kind: Namespace, metadata: {name: default}}\n")
    found = place.releases()
    assert list(found["believed"]) == [f"{place.namespace}/real"]
    assert found["doubted"] == {
        f"helm release {place.namespace}/foreign": (
            f"its manifest names ConfigMap {place.tenant}/theirs, which is no object of the chart"
        ),
        f"helm release {place.namespace}/hooked": "it has hooks, and the chart has none",
        f"helm release {place.namespace}/odd": "its manifest has an object that is not written as a plain mapping",
    }
    # Under the name of the real one: what helm takes for a revision of it makes the whole of it doubtful.
    newer = {**of(place.real), "version": 2, "manifest": theirs}
    metadata = {
        "name": "sh.helm.release.v1.real.v2",
        "labels": {**place.real["metadata"]["labels"], "version": "2"},
    }
    client.create(SECRET, place.namespace, {"metadata": metadata, "data": packed(newer)})
    assert f"helm release {place.namespace}/real" in place.releases()["doubted"]
    assert client.get(CONFIG_MAP, place.tenant, "theirs") and client.list_all(JOB) == ()


def test_a_record_of_somebody_else_is_not_given_to_helm_to_upgrade(place: Place, tmp_path: Path) -> None:
    """helm would delete what the record names and the chart does not."""
    client, (binaries, charts) = place.client, server.programs()
    look = Runner(place.server, "pod_identity_release_info")

    def recorded(name: str) -> tuple[bool, str]:
        found = look(release_namespace=place.namespace, release_name=name).ok()
        return found["exists"], found["doubt"]

    client.create(CONFIG_MAP, place.tenant, {"metadata": {"name": "theirs"}})
    client.create(CLUSTER_ROLE, None, {"metadata": {"name": f"{place.tenant}-view"}, "rules": []})
    theirs = f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\n  namespace: {place.tenant}\n"
    view = f"apiVersion: {CLUSTER_ROLE.api_version}\nkind: ClusterRole\nmetadata:\n  name: {place.tenant}-view\n"
    place.forge(place.namespace, "hooked", hooks=[HOOK])
    place.forge(place.namespace, "view", manifest=view)
    place.forge(place.namespace, "other", chart={"metadata": {"name": "other", "version": "1.0.0"}})
    assert recorded("absent") == (False, "") and recorded("real") == (True, "")
    assert recorded("hooked") == (True, "it has hooks, and the chart has none")
    assert recorded("other") == (True, "none of its revisions is of the chart aad-pod-identity")
    assert recorded("view") == (
        True,
        f"its manifest names ClusterRole {place.tenant}-view, which is none of MIC and NMI",
    )

    newer = {**of(place.real), "version": 2, "manifest": of(place.real)["manifest"] + theirs}
    labels = {**place.real["metadata"]["labels"], "version": "2"}
    metadata = {"name": "sh.helm.release.v1.real.v2", "labels": labels}
    client.create(SECRET, place.namespace, {"metadata": metadata, "data": packed(newer), "type": "helm.sh/release.v1"})
    status, output = Player(tmp_path).play(
        imported("chart"),
        *("--tags", "pod_identity_chart_install"),
        pod_identity_chart_release_name="real",
        pod_identity_chart_namespace=place.namespace,
        pod_identity_chart_ref=str(charts / server.CHART),
        pod_identity_chart_values={"nmi": {"logVerbosity": 3}},
        pod_identity_chart_helm_binary=str(binaries / "helm"),
        pod_identity_kubeconfig=place.server.kubeconfig(),
    )
    told = f"its manifest names ConfigMap {place.tenant}/theirs, which is no object of the chart"
    assert (status, told in " ".join(output.split())) == (2, True), output
    assert client.get(CONFIG_MAP, place.tenant, "theirs")
    client.delete(CLUSTER_ROLE, None, f"{place.tenant}-view")


def test_a_removal_that_ends_at_any_moment_finds_its_way_again(place: Place) -> None:
    """The bindings outlive the release, and tell where it was."""
    remove = Runner(place.server, "pod_identity_removal")
    place.settings(place.namespace)
    options: dict[str, Any] = {"scope": "all", "release_namespaces": [], "wait_sleep": 1}
    (action,) = remove(parts=["records"], **options).ok()["actions"]
    names = {f"{place.namespace}-mic", f"{place.namespace}-nmi"}
    assert set(re.findall(r"ClusterRoleBinding (\S+) is left until the end", action)) == names
    assert remove(parts=["records"], **options).ok()["changed"] is False
    place.server.helm("uninstall", "real", "--no-hooks", "--namespace", place.namespace)
    assert place.client.list_all(DAEMON_SET, place.namespace) == ()
    bound = {each["metadata"]["name"] for each in place.client.list_all(CLUSTER_ROLE_BINDING)}
    assert names <= bound
    done = remove(parts=[removal.REMAINS], **options).ok()
    mine = [each for each in done["actions"] if place.namespace in each]
    assert mine[0] == f"delete ConfigMap {place.namespace}/{residue.SETTINGS}"
    assert {each.rpartition(" ")[2] for each in mine[1:]} == names
    assert not names & {each["metadata"]["name"] for each in place.client.list_all(CLUSTER_ROLE_BINDING)}


@pytest.mark.parametrize("scope", ["owned", "all"])
def test_what_a_tenant_calls_as_parts_of_an_installation_are_called(place: Place, scope: str) -> None:
    client, tenant = place.client, place.tenant
    place.settings(tenant)
    place.settings(place.namespace)
    labels = {"app": "nmi"}
    containers = [{"name": "nmi", "image": "registry.example.com/team/nmi:v1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    flux = {f"kustomize.toolkit.fluxcd.io/{key}": "theirs" for key in ("name", "namespace")}
    client.create(DAEMON_SET, tenant, {"metadata": {"name": "nmi", "labels": flux}, "spec": spec})
    found = place.look(scope=scope)
    assert f"DaemonSet {tenant}/nmi" not in found["programs"]
    assert not [each for each in found["brought_back"] if tenant in each]
    assert not [each for each in found["objects"] if each["namespace"] == tenant]
    theirs = {f"DaemonSet {tenant}/nmi", f"ConfigMap {tenant}/{residue.SETTINGS}"}
    assert {each["object"] for each in found["not_believed"] if tenant in each["object"]} == theirs
    assert theirs <= set(place.audit())
    running = Runner(place.server, "nmi_info")().ok()
    assert [(each["namespace"], each["name"]) for each in running["installations"]] == [
        (place.namespace, f"{place.namespace}-nmi")
    ]
    assert [each["object"] for each in running["not_believed"]] == [f"DaemonSet {tenant}/nmi"]
    assert running["unread"] == []

    place.server.helm("uninstall", "real", "--no-hooks", "--namespace", place.namespace)
    options = {"scope": scope, "release_namespaces": [place.namespace], "wait_sleep": 1}
    done = Runner(place.server, "pod_identity_removal")(parts=["programs", removal.REMAINS], **options).ok()
    assert f"delete ConfigMap {place.namespace}/{residue.SETTINGS}" in done["actions"]
    assert not [each for each in done["actions"] if tenant in each]
    assert client.get(DAEMON_SET, tenant, "nmi") and client.get(CONFIG_MAP, tenant, residue.SETTINGS)
