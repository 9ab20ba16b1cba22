# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of helm that somebody wrote who may write Secrets in a namespace, beside a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import chart_manifest
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.imported_roles import imported
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.forged_release import (
    HOOK,
    JOB,
    of,
    packed,
    record,
    settings,
)
from ansible_collections.azureops.pod_identity.tests.support.players import Player


class Place:
    """A real release of the chart, and what can be written beside it."""

    def __init__(self, api_server: ApiServer, client: Client, namespace: str) -> None:
        self.server, self.client, self.namespace, self.tenant = api_server, client, namespace, f"{namespace}-tenant"
        values = f"nameOverride={namespace},installMICException=false,mic.podDisruptionBudget.minAvailable=1"
        api_server.helm("install", "real", "CHART", "--namespace", namespace, "--set", values)
        client.create(kinds.NAMESPACE, None, {"metadata": {"name": self.tenant}})
        (self.real,) = client.list_all(kinds.SECRET, namespace, labels="owner=helm")

    def forge(self, namespace: str, name: str, **changes: Any) -> None:
        self.client.create(kinds.SECRET, namespace, record(self.real, namespace, name, **changes))

    def revise(self, number: int, **changes: Any) -> None:
        """A further revision of the real release."""
        labels = {**self.real["metadata"]["labels"], "version": str(number)}
        metadata = {"name": f"sh.helm.release.v1.real.v{number}", "labels": labels}
        data = packed({**of(self.real), "version": number, **changes})
        self.client.create(
            kinds.SECRET, self.namespace, {"metadata": metadata, "data": data, "type": "helm.sh/release.v1"}
        )

    def upgrade(
        self, directory: Path, *arguments: str, pod_identity_chart_accept_record: bool = False, **values: Any
    ) -> tuple[int, str]:
        """What the role makes of the real release with these values."""
        binaries, charts = server.programs()
        status, output = Player(directory).play(
            imported("chart"),
            *("--tags", "pod_identity_chart_install", *arguments),
            pod_identity_chart_release_name="real",
            pod_identity_chart_namespace=self.namespace,
            pod_identity_chart_ref=str(charts / server.CHART),
            pod_identity_chart_values=values,
            pod_identity_chart_helm_binary=str(binaries / "helm"),
            pod_identity_chart_accept_record=pod_identity_chart_accept_record,
            pod_identity_kubeconfig=self.server.kubeconfig(),
        )
        return status, " ".join(output.split())

    def settings(self, namespace: str, points_to: tuple[str, str] = ("", "")) -> None:
        self.client.create(kinds.CONFIG_MAP, namespace, settings(points_to))

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
    for each in client.list_all(kinds.SECRET, namespace, labels="owner=helm"):
        client.delete(kinds.SECRET, namespace, each["metadata"]["name"])
    options = {"scope": "all", "release_namespaces": [namespace], "wait_sleep": 1}
    Runner(api_server, "pod_identity_removal")(parts=["programs", "remains"], **options).ok()
    for kind in (kinds.SECRET, kinds.CONFIG_MAP, kinds.DAEMON_SET):  # no controller empties a namespace that goes
        for each in client.list_all(kind, made.tenant):
            client.delete(kind, made.tenant, each["metadata"]["name"])
    client.delete(kinds.NAMESPACE, None, made.tenant)


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
    before = place.client.list_all(kinds.SECRET, place.tenant)
    found = place.look(scope=scope)
    assert [f"{each['namespace']}/{each['name']}" for each in found["releases"]] == [f"{place.namespace}/real"]
    assert place.tenant not in found["release_namespaces"]
    told = place.audit()[f"helm release {place.tenant}/aad-pod-identity"]
    assert f"no ClusterRoleBinding gives service accounts of the namespace {place.tenant} the rights" in told

    done = Runner(place.server, "pod_identity_removal")(parts=["records"], scope=scope).ok()
    assert not [each for each in done["actions"] if place.tenant in each.partition(":")[0]]
    assert place.client.list_all(kinds.SECRET, place.tenant) == before


def test_a_release_of_a_tenant_that_equals_a_real_one(place: Place) -> None:
    place.forge(place.tenant, "aad-pod-identity")
    told = place.audit()[f"helm release {place.tenant}/aad-pod-identity"]
    assert f"no ClusterRoleBinding gives service accounts of the namespace {place.tenant} the rights" in told
    # Whoever names the namespace has seen to it.
    found = place.look(release_namespaces=[place.tenant])
    assert f"{place.tenant}/aad-pod-identity" in {f"{each['namespace']}/{each['name']}" for each in found["releases"]}


def test_a_release_where_a_real_one_is(place: Place) -> None:
    client = place.client
    client.create(kinds.CONFIG_MAP, place.tenant, {"metadata": {"name": "theirs"}})
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
    place.revise(2, manifest=theirs)
    assert f"helm release {place.namespace}/real" in place.releases()["doubted"]
    assert client.get(kinds.CONFIG_MAP, place.tenant, "theirs") and client.list_all(JOB) == ()


@pytest.mark.soak
def test_a_record_of_somebody_else_is_not_given_to_helm_to_upgrade(place: Place, tmp_path: Path) -> None:
    """helm would delete what the record names and the chart does not."""
    client = place.client
    look = Runner(place.server, "pod_identity_release_info")

    def recorded(name: str, **given: Any) -> tuple[bool, str]:
        found = look(release_namespace=place.namespace, release_name=name, given_values=given).ok()
        return found["exists"], found["doubt"]

    client.create(kinds.CONFIG_MAP, place.tenant, {"metadata": {"name": "theirs"}})
    client.create(kinds.CLUSTER_ROLE, None, {"metadata": {"name": f"{place.tenant}-view"}, "rules": []})
    theirs = f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\n  namespace: {place.tenant}\n"
    view = f"apiVersion: {kinds.CLUSTER_ROLE.api_version}\nkind: ClusterRole\nmetadata:\n  name: {place.tenant}-view\n"
    place.forge(place.namespace, "hooked", hooks=[HOOK])
    place.forge(place.namespace, "view", manifest=view)
    place.forge(place.namespace, "way", manifest=theirs.replace("name: theirs", "name: a/../../../../../v1/nodes"))
    place.forge(place.namespace, "other", chart={"metadata": {"name": "other", "version": "1.0.0"}})
    place.forge(place.namespace, "image", manifest="", config={"image": {"repository": "registry.example.com"}})
    place.forge(place.namespace, "values", config={"mic": {"tag": "v1\n---\nkind: Pod"}, "extra": 1})
    assert recorded("absent") == (False, "") and recorded("real") == (True, "")
    assert recorded("hooked") == (True, "it has hooks, and the chart has none")
    assert recorded("other") == (True, "none of its revisions is of the chart aad-pod-identity")
    assert recorded("way") == (True, "its manifest has an object whose name is none")
    assert recorded("view") == (
        True,
        f"its manifest names ClusterRole {place.tenant}-view, which is none of MIC and NMI",
    )
    images = "it has other images than the chart and what runs (image.repository registry.example.com)"
    assert recorded("image") == (True, images)
    values = "its values 'extra', mic.tag are none that are passed to helm again unseen"
    assert recorded("values") == (True, values)
    assert recorded("values", mic={"tag": "v1"}, extra=2) == (True, "")

    told = f"its manifest names ConfigMap {place.tenant}/theirs, which is no object of the chart"
    place.revise(2, manifest=of(place.real)["manifest"] + theirs)
    assert recorded("real") == (True, told)
    status, output = place.upgrade(tmp_path, nmi={"logVerbosity": 3})
    assert (status, told in output) == (2, True), output
    # What the newest does not name helm takes from an earlier one, where the newest has failed.
    place.revise(3, manifest="", info={**of(place.real)["info"], "status": "failed"})
    assert recorded("real") == (True, told)
    assert client.get(kinds.CONFIG_MAP, place.tenant, "theirs")
    client.delete(kinds.CLUSTER_ROLE, None, f"{place.tenant}-view")


@pytest.mark.soak
def test_a_record_that_is_doubted_can_be_accepted(place: Place, tmp_path: Path) -> None:
    place.revise(2, config={**of(place.real)["config"], "extra": 1})
    told = "its values 'extra' are none that are passed to helm again unseen"
    status, output = place.upgrade(tmp_path / "refused", "--check", nmi={"logVerbosity": 3})
    assert (status, told in output) == (2, True), output
    status, output = place.upgrade(
        tmp_path / "accepted", "--check", pod_identity_chart_accept_record=True, nmi={"logVerbosity": 3}
    )
    assert (status, f"was accepted, although {told}" in output) == (0, True), output
