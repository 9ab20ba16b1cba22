# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role pod_identity_uninstall between a real API server, real helm and the simulated Azure; no MIC works here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, make
from ansible_collections.azureops.pod_identity.tests.kube.uninstalled import (
    Site,
    account,
    azure,
    has_definitions,
    helm,
    predicts,
    site,
    states,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import forged_release
from ansible_collections.azureops.pod_identity.tests.support.players import finish
from azsandbox.azure.loopback import SimulatedAzure

__all__ = ["azure", "site"]  # fixtures


@pytest.fixture
def release(site: Site) -> Iterator[None]:
    """One with the credential of MIC, whose programs never run here."""
    names = ("cloud", "subscriptionID", "resourceGroup", "vmType", "tenantID", "clientID", "clientSecret")
    secret = json.dumps({"useMSI": "false", "userAssignedMSIClientID": "", **dict.fromkeys(names, "hidden")})
    helm(site, "install", "aad-pod-identity", "CHART", "--namespace", "default", "--set-json", f"adminsecret={secret}")
    yield
    helm(site, "uninstall", "aad-pod-identity", "--namespace", "default", "--ignore-not-found")  # of a test that failed


def test_everything_goes_in_an_order_that_opens_nothing(site: Site, azure: SimulatedAzure, release: None) -> None:
    before, attached, mark = site.look(), site.attached(), site.modules.mark()
    status, output = site.play("--check", "--diff")
    assert status == 0, output
    assert "uninstall helm release default/aad-pod-identity (chart version 4.1.18, deployed)" in output, output
    predicted, would = re.search(r"changed=(\d+)", output), account(output)
    assert (site.look(), site.attached(), site.bundles()) == (before, attached, [])
    assert site.modules.writes(mark) == []

    seen, mark = len(audit(site)), site.modules.mark()
    status, output = site.play()
    assert status == 0, output
    assert len(site.modules.writes(mark)) == 1
    done = re.search(r"changed=(\d+)", output)
    assert predicted and done and predicted[1] == done[1] == "6", output
    assert "hidden" not in output
    assert site.attached() == attached - {site.billing}
    assert not has_definitions(site.client)
    assert helm(site, "list", "--all-namespaces", "--all", "--short") == ""
    (bundle,) = site.bundles()
    ours = [each["kind"] for each in bundle["objects"] if each["metadata"]["namespace"] == site.namespace]
    assert ours == ["AzureIdentity", "AzureIdentityBinding"]
    assert bundle["releases"][0]["name"] == "aad-pod-identity" and "hidden" not in json.dumps(bundle)
    saved = {each["id"].lower() for place in bundle["scale_sets"] for each in place["identities"]}
    assert saved == attached
    told = order(audit(site)[seen:])
    assert told == ["bundle", "binding", "finalizer", "release", "identity", "definition"], told
    assert ("Azure", "identity billing", "kept") in states(account(output)), output
    rows = account(output)
    assert predicts(would, rows), (would, rows)
    removed = [row["what"] for row in rows if row["state"] == "removed"]
    assert {"helm release default/aad-pod-identity", "identity billing", "rules of NMI"} <= set(removed), removed
    assert {f"{kind} {site.namespace}/billing" for kind in ("AzureIdentity", "AzureIdentityBinding")} <= set(removed)

    status, output = site.play()
    assert (status, "changed=0 " in output) == (0, True), output
    assert len(site.bundles()) == 1
    assert azure.arm("GET", site.billing).status_code == 200


@pytest.mark.soak
def test_a_release_that_a_tenant_wrote_stays(site: Site, release: None) -> None:
    """Its hook would run, and what its manifest names would go, with the rights of the operator."""
    tenant, client = f"{site.namespace}-tenant", site.client
    (real,) = client.list_all(kinds.SECRET, "default", labels="owner=helm")
    create(client, kinds.NAMESPACE, None, tenant)
    for namespace, name in ((tenant, "theirs"), ("default", "beside")):
        forged = forged_release.record(real, namespace, name, hooks=[forged_release.HOOK])
        client.create(kinds.SECRET, namespace, forged)
    client.create(kinds.CONFIG_MAP, tenant, forged_release.settings((tenant, "theirs")))
    status, output = site.play(pod_identity_uninstall_scope="all")
    assert status == 0, output
    assert client.list_all(forged_release.JOB) == ()
    assert client.get(kinds.CONFIG_MAP, tenant, residue.SETTINGS)
    assert set(helm(site, "list", "--all-namespaces", "--all", "--short").split()) == {"theirs", "beside"}
    for each in (f"ConfigMap {tenant}/{residue.SETTINGS}", f"helm release {tenant}/theirs"):
        assert re.search(rf'kept\W+{each}",\s+"├ It is not believed', output), output
    client.delete(kinds.NAMESPACE, None, tenant)
    client.delete(kinds.SECRET, "default", "sh.helm.release.v1.beside.v1")


@pytest.fixture
def let_go(site: Site) -> Iterator[Callable[[], None]]:
    """Somebody holds the AzureIdentity by a finalizer; what takes it away."""

    def hold(*finalizers: str) -> None:
        body = {"metadata": {"finalizers": list(finalizers) or None}}
        site.client.merge(kinds.AZURE_IDENTITY, site.namespace, "billing", body)

    hold("example.com/held")
    yield hold
    if has_definitions(site.client) and site.client.get(kinds.AZURE_IDENTITY, site.namespace, "billing"):
        hold()


@pytest.mark.soak
def test_a_finalizer_of_somebody_else_is_told_before_it_is_waited_for(site: Site, let_go: Callable[[], None]) -> None:
    what = f"AzureIdentity {site.namespace}/billing"
    waits = "Its deletion waits until whoever owns the finalizer example.com/held takes it away."
    status, output = site.play("--check")
    would = account(output)
    assert (status, f"{what}: {waits}" in output) == (0, True), output
    assert [row["reason"] for row in would if row["what"] == what] == [waits], output
    status, output = site.play(pod_identity_uninstall_wait_timeout=5)
    assert (status, f"{what}: {waits} Ask them to, or the run stops there after 5 seconds" in output) == (2, True), (
        output
    )
    assert f"{what} (held by the finalizer example.com/held) is still there" in output, output
    assert output.index(waits) < output.index("pod_identity_uninstall : Remove the bindings"), output
    let_go()
    status, output = site.play()
    assert (status, waits in output, has_definitions(site.client)) == (0, False, False), output


@pytest.mark.soak
def test_helm_waits_as_long_as_the_role_is_told(site: Site, release: None) -> None:
    """For what somebody holds by a finalizer. By itself it would wait five minutes."""

    def hold(*finalizers: str) -> None:
        body = {"metadata": {"finalizers": list(finalizers) or None}}
        site.client.merge(kinds.DEPLOYMENT, "default", "aad-pod-identity-mic", body)

    hold("example.com/held")
    try:
        status, output = finish(site.start(pod_identity_uninstall_wait_timeout=5), 240)
    finally:
        hold()
    told = "helm could not uninstall release default/aad-pod-identity, because it failed with"
    assert (status, told in " ".join(output.split())) == (2, True), output
    status, output = site.play()
    assert (status, has_definitions(site.client)) == (0, False), output


def audit(site: Site) -> list[str]:
    """Verb and resource of every request to the API server, whoever sent it."""
    return [f"{each['verb']} {(each.get('objectRef') or {}).get('resource', '')}" for each in site.server.events()]


def order(requests: list[str]) -> list[str]:
    """What was written to the API server, in the order in which it ended; before, the server is asked by dry runs."""
    steps = {
        "create secrets": "bundle",
        "delete azureidentitybindings": "binding",
        "patch azureassignedidentities": "finalizer",
        "delete daemonsets": "release",
        "delete azureidentities": "identity",
        "delete customresourcedefinitions": "definition",
    }
    return [steps[each] for each in reversed(dict.fromkeys(reversed(requests))) if each in steps]


@pytest.mark.soak
def test_one_run_at_a_time(site: Site, azure: SimulatedAzure) -> None:
    """A second one names the first, or waits for it; a look needs no turn, and each gives its own back."""
    other = {"kubeconfig": site.server.kubeconfig(), "holder": "bob@elsewhere", "process": "boot/1/2/3"}
    lease = server.Runner(site.server, "cluster_lease")
    lease(**other).ok()
    before, mark = site.look(), site.modules.mark()
    status, output = site.play()
    assert (status, "bob@elsewhere works on this cluster" in output) == (2, True), output
    status, output = site.play("--check")
    assert status == 0, output
    assert (site.look(), site.bundles(), site.modules.writes(mark)) == (before, [], [])
    lease(**other, duration=5).ok()
    status, output = site.play(pod_identity_uninstall_lease_wait_timeout=60)
    assert (status, site.client.get(kinds.LEASE, "default", NAME)) == (0, None), output


@pytest.mark.soak
def test_a_run_that_fails_gives_its_turn_back(site: Site) -> None:
    status, output = site.play(pod_identity_uninstall_owner="other")
    assert (status, "do not carry the labels" in output) == (2, True), output
    assert site.client.get(kinds.LEASE, "default", NAME) is None
    status, output = site.play(pod_identity_uninstall_lease_duration=0)
    assert (status, "leaseDurationSeconds" in output) == (2, True), output


@pytest.mark.soak
def test_what_is_refused_is_refused_before_anything_changes(site: Site, azure: SimulatedAzure) -> None:
    make(site.client, kinds.DEPLOYMENT, site.namespace, "asleep", "billing")
    before, attached, mark = site.look(), site.attached(), site.modules.mark()
    for variables, sentence in (
        ({"pod_identity_uninstall_confirm": ""}, "set pod_identity_uninstall_confirm=demo"),
        ({"pod_identity_uninstall_owner": "other"}, "2 objects of AAD Pod Identity do not carry the labels"),
        ({}, f"in use by Deployment {site.namespace}/asleep"),
    ):
        status, output = site.play(**variables)
        assert (status, sentence in output) == (2, True), output
    assert (site.look(), site.attached(), site.bundles()) == (before, attached, [])
    assert site.modules.writes(mark) == []
    status, output = site.play(pod_identity_uninstall_allow_in_use=True)
    assert (status, site.attached()) == (0, attached - {site.billing}), output
    site.client.delete(kinds.DEPLOYMENT, site.namespace, "asleep")


@pytest.mark.soak
def test_what_the_cluster_needs_stays(site: Site) -> None:
    """Though pods had it: its AzureAssignedIdentity goes, and nothing is left open that was not open before."""
    attached = site.attached()
    status, output = site.play(pod_identity_uninstall_protected_identities=[site.billing])
    assert (status, site.attached()) == (0, attached), output
    assert ("scale sets", "identity billing", "kept") in states(account(output)), output
    assert not has_definitions(site.client)


@pytest.mark.soak
def test_a_scale_set_that_keeps_an_identity_keeps_nmi(site: Site, azure: SimulatedAzure) -> None:
    helm(site, "install", "aad-pod-identity", "CHART", "--namespace", "default")
    limited = azure.principal("limited", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    site.modules.environment.update(site.modules.login(limited))
    before = site.look()
    status, output = site.play()
    assert (status, "virtualMachineScaleSets/write" in output, "nothing was changed" in output) == (2, True, True), (
        output
    )
    assert site.look() == before
    jump = ("--tags", "pod_identity_uninstall_chart")
    status, output = site.play(*jump, pod_identity_uninstall_allow_in_use=True)
    assert (status, "where every pod could take them without NMI" in output) == (2, True), output
    assert helm(site, "list", "--all-namespaces", "--short").split() == ["aad-pod-identity"]
    helm(site, "uninstall", "aad-pod-identity", "--namespace", "default")
