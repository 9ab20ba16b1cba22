# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate where much is in its way at once: each workload gets as far as it may, and none keeps another.

API server, controllers, webhook and the programs of the probes are real. NMI is there as its objects, and as what it
would write.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import KIND as FEDERATED
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import LIMIT
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    accounts,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import listed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    pod_identity_uninstall as uninstall,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    workload_identity_phases as phases,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube import migration_site
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import AZURE, USE, WEB, Place, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.migration_worlds import OTHER_ID
from ansible_collections.azureops.pod_identity.tests.kube.played_migrations import (
    CASES,
    PREFIX,
    Case,
    Row,
    World,
    make,
    running,
)
from ansible_collections.azureops.pod_identity.tests.kube.read_migrations import READING
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from azsandbox.azure.graph import OF_OWNERS
from azsandbox.azure.state import ApplicationCredential, Principal

FOREIGN_TENANT = "0f0e0d0c-1111-4222-8333-444455556666"
SAMPLES = 50
SWITCHED, WEB_ROW = ("switched", "soak", ""), f"Deployment/{WEB}"


def case(rows: Row | Mapping[str, Row], **more: Any) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    def mark(make: Callable[[Place], None]) -> Callable[[Place], None]:
        CASES[make.__name__] = Case(make, {WEB_ROW: rows} if isinstance(rows, tuple) else rows, **more)
        return make

    return mark


def refused(code: str, **more: Any) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    return case(("blocked", "account", f"{code}: "), written=False, **more)


def only(name: str, make: Callable[[Place], None], rows: Row | Mapping[str, Row], **more: Any) -> None:
    """A case that needs no words."""
    CASES[name] = Case(make, {WEB_ROW: rows} if isinstance(rows, tuple) else rows, **more)


def blocked(code: str) -> Row:
    return "blocked", "account", f"{code}: "


# what is there


def fresh(place: Place, **more: Any) -> None:
    """A workload that has not begun to move."""
    place.identity(trusted=False)
    account(place, WEB)
    make(place, WEB, **more)


def account(place: Place, name: str, **metadata: Any) -> None:
    place.create(kinds.SERVICE_ACCOUNT, name, metadata=metadata)


def with_rights(place: Place) -> None:
    """The service account default, with a secret to pull images with, and roles."""
    place.create(kinds.SERVICE_ACCOUNT, "default", imagePullSecrets=[{"name": "registry"}])
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": place.namespace}]
    for kind, name in ((kinds.ROLE_BINDING, "view"), (kinds.CLUSTER_ROLE_BINDING, "system:discovery")):
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        place.create(kind, f"reads-{place.namespace}", roleRef=role, subjects=subjects)


def second_identity(place: Place) -> str:
    """The selector of another identity that AAD Pod Identity gives to workloads of the namespace."""
    selector = f"{place.namespace}-other"
    path = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    answer = place.site.azure.arm("PUT", f"{path}/{selector}", {"location": "westeurope"})
    answer.raise_for_status()
    told = answer.json()
    migration_site.attach(place.site.azure, told["id"])
    spec = {"type": 0, "resourceID": told["id"], "clientID": told["properties"]["clientId"]}
    place.create(kinds.AZURE_IDENTITY, "other", spec=spec)
    place.create(kinds.AZURE_IDENTITY_BINDING, "other", spec={"azureIdentity": "other", "selector": selector})
    return selector


def refuse_exchanges(place: Place, every: int) -> None:
    path = f"/oauth2/.*#client_id={place.client_id}&proof=assertion"
    rule = place.site.azure.control("POST", "/faults", {"aadsts": 700213, "every": every, "path": path})
    place.ends.callback(place.site.azure.control, "DELETE", "/faults", id=rule["id"])


def by_principal(place: Place, name: str = WEB, *, beside: bool = False, **more: Any) -> None:
    """A workload to which AAD Pod Identity gives a service principal, ``beside`` a managed identity."""
    if beside:
        place.identity(trusted=False)
    place.principal(name, **more)
    account(place, WEB)
    make(place, WEB)


_BOUNDS = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
_CRON_JOB = f"CronJob/{WEB}"
_NOT_FEDERABLE = blocked("service_principal_not_federable")
# Nobody names it, as a tenant's AzureIdentity with the client id of another.
_UNPROVED: Row = ("blocked", "credential", "Nothing proves that AAD Pod Identity may give the application ")
only("healthy", fresh, SWITCHED)
only(
    *("resources_of_the_pod", partial(fresh, pod={"resources": _BOUNDS}), blocked("fields_would_be_lost")),
    written=False,
)
only(
    *("proxy_in_a_cron_job", partial(fresh, kind=kinds.CRON_JOB), {_CRON_JOB: blocked("proxy_keeps_job_alive")}),
    written=False,
    proxied=(_CRON_JOB,),
)
only(
    "init_container_on_the_metadata_service",
    partial(fresh, pod={"initContainers": [{"name": "setup", "image": "setup"}]}),
    ("switched", "soak", "init_container_before_proxy: "),
    proxied=(WEB_ROW,),
)
only(
    "client_id_of_its_own",
    partial(fresh, container={"env": [{"name": "AZURE_CLIENT_ID", "value": OTHER_ID}]}),
    blocked("own_client_id_differs"),
    written=False,
)
for _name, _made, _row in (
    ("of_several_tenants", partial(by_principal, auxiliaryTenantIDs=[FOREIGN_TENANT]), _NOT_FEDERABLE),
    ("of_a_foreign_tenant", partial(by_principal, tenantID=FOREIGN_TENANT), _NOT_FEDERABLE),
    ("", by_principal, _UNPROVED),
    ("of_somebody_else", partial(by_principal, owned=False), _UNPROVED),
    ("with_a_full_application", by_principal, _UNPROVED),
    ("beside_a_managed_identity", partial(by_principal, name="second", beside=True), _UNPROVED),
):
    only("_".join(filter(None, ("service_principal", _name))), _made, _row, written=False)


@case(("account", "credential", "...AuthorizationFailed"), moved_before=(WEB_ROW,))
def subject_wrong_while_nmi_serves(place: Place) -> None:
    """Somebody has labelled and annotated it, and its application is content with what NMI gives. The right credential
    cannot be written."""
    place.identity(trusted=False)
    place.trust(subject=f"system:serviceaccount:{place.namespace}:another")
    account(place, WEB, annotations={of_chart.CLIENT_ID: place.client_id})
    make(place, WEB, labels=USE)
    body = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    path = f"userAssignedIdentities/{place.namespace}/federatedIdentityCredentials/"
    place.site.modules.fault("PUT", path, status=403, body=body, count=0)


@case(SWITCHED, moved_before=(WEB_ROW,))
def falls_back_to_nmi(place: Place) -> None:
    """All is right, and the application asks NMI all the same."""
    place.identity()
    account(place, WEB, annotations={of_chart.CLIENT_ID: place.client_id})
    make(place, WEB, labels=USE)


@case(("switched", "soak", "49 of 50 exchanges"))
def one_exchange_in_fifty_is_refused(place: Place) -> None:
    fresh(place)
    refuse_exchanges(place, 50)


@case(("blocked", "credential", "No scale set of "), written=False)
def identity_that_mic_never_assigned(place: Place) -> None:
    """As one of others, which a tenant names in an AzureIdentity of his own."""
    fresh(place)
    migration_site.detach(place.site.azure, place.identity_id)


@case(("account", "credential", "...AADSTS700213"))
def one_exchange_in_five_is_refused(place: Place) -> None:
    fresh(place)
    refuse_exchanges(place, 5)


@refused("proxy_not_admitted", proxied=(WEB_ROW,))
def proxy_under_baseline_pod_security(place: Place) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    place.client.merge(kinds.NAMESPACE, None, place.namespace, {"metadata": {"labels": labels}})
    fresh(place)


@refused("proxy_not_admitted", proxied=(WEB_ROW,))
def proxy_under_a_quota(place: Place) -> None:
    place.create(kinds.RESOURCE_QUOTA, "cpu", spec={"hard": {"limits.cpu": "10"}})
    fresh(place, container={"resources": {"limits": {"cpu": "100m"}}})


@case({f"Deployment/{name}": SWITCHED for name in ("first", "second")})
def account_with_two_identities(place: Place) -> None:
    place.identity(trusted=False)
    account(place, "shared")
    make(place, "first", service_account="shared")
    make(place, "second", service_account="shared", selector=second_identity(place))


@case(SWITCHED)
def account_default_with_rights(place: Place) -> None:
    place.identity(trusted=False)
    with_rights(place)
    make(place, WEB, service_account="default")


@case({WEB_ROW: SWITCHED, "Deployment/modern": ("left", "finish", "")}, moved_before=("Deployment/modern",))
def account_in_use_by_workload_id(place: Place) -> None:
    """For another identity."""
    place.identity(trusted=False)
    account(place, "shared", annotations={of_chart.CLIENT_ID: OTHER_ID})
    make(place, "modern", service_account="shared", selector="", labels=USE)
    make(place, WEB, service_account="shared")


@case(
    {f"Deployment/web-{number}": ("blocked", "account", "too_many_credentials: ") for number in range(6)}, written=False
)
def credentials_of_fifteen_clusters_and_six_subjects(place: Place) -> None:
    place.identity(trusted=False)
    for number in range(LIMIT - 5):
        place.trust(f"cluster-{number}", f"https://westeurope.oic.prod-aks.azure.com/t/{number}/")
    for number in range(6):
        account(place, f"web-{number}")
        make(place, f"web-{number}")


@case(
    {
        "CronJob/suspended": SWITCHED,
        "Deployment/none": SWITCHED,
        "Job/once": ("blocked", "account", "template_immutable: "),
        "Pod/bare": ("blocked", "account", "template_immutable: "),
        "Rollout/shop": ("blocked", "account", "made_by_operator: "),
    }
)
def kinds_of_workloads(place: Place) -> None:
    place.identity(trusted=False)
    for name in ("suspended", "none", "once", "bare", "foreign"):
        account(place, name)
    make(place, "suspended", kinds.CRON_JOB, spec={"suspend": True})
    make(place, "none", spec={"replicas": 0})
    make(place, "once", kinds.JOB)
    make(place, "bare", kinds.POD)
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "1", "controller": True}
    make(place, "foreign", kinds.POD, metadata={"ownerReferences": [owner]})


@case(SWITCHED)
def issuer_with_a_slash_too_many(place: Place) -> None:
    """The right credential is written beside it."""
    fresh(place)
    place.trust(issuer=f"{place.site.issuer}/")


@case(("account", "credential", "...same issuer and subject"))
def wrong_audience(place: Place) -> None:
    """Azure takes issuer and subject only once."""
    fresh(place)
    subject = f"system:serviceaccount:{place.namespace}:{WEB}"
    properties = {"issuer": place.site.issuer, "subject": subject, "audiences": ["api://somebody-else"]}
    path = f"{place.identity_id}/federatedIdentityCredentials/theirs"
    place.site.azure.arm("PUT", path, {"properties": properties}, version="2023-01-31").raise_for_status()


@case(("blocked", "account", "account_tells_other_tenant: "), written=False)
def foreign_tenant(place: Place) -> None:
    place.identity(trusted=False)
    account(place, WEB, annotations={of_chart.TENANT_ID: FOREIGN_TENANT})
    make(place, WEB)


# plays


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with migration_site.running() as made:
        made.azure.in_loop(lambda: _owner(made).graph.append(OF_OWNERS))
        yield made


def _owner(site: Site) -> Principal:
    found = site.azure.server.azure.state.principal_by_app(site.azure.owner.client_id)
    assert found
    return found


@pytest.mark.soak
def test_what_takes_tokens_of_the_node_keeps_aad_pod_identity(site: Site, tmp_path: Path) -> None:
    """Those that have left go no further while there is one, and each is named."""
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(running(site, tmp_path))
        webhook = stack.enter_context(workload_identity.running(site.api_server))
        place = stack.enter_context(migration_site.place(site, webhook))
        place.usual(selector="")
        place.living_pod()
        labels = [f"Deployment {place.namespace}/host", f"Deployment {place.namespace}/excepted"]
        account(place, "host")
        own = {"env": [{"name": "AZURE_CLIENT_ID", "value": place.client_id}]}
        make(place, "host", selector="", pod={"hostNetwork": True}, container=own)
        account(place, "excepted")
        make(place, "excepted", selector="")
        place.create(kinds.AZURE_POD_IDENTITY_EXCEPTION, "some", spec={"podLabels": {"app": "excepted"}})
        make(place, "mic-tools", service_account="default", selector="", namespace="default")
        labels.append("Deployment default/mic-tools")
        options = {"until": "finish", "confirm": AZURE["cluster_name"], "exchange_samples": 1}
        # No workload uses that of the one that has left by its owner.
        options["unused_bindings"] = [f"{place.namespace}/{WEB}"]
        played = world.migrate(None, **options)
        print(played.output)
        row = f"Deployment/{place.namespace}/{WEB}"
        needing = f"{listed(sorted(labels))} may need AAD Pod Identity, so it stays."
        assert played.rows() == {row: ("left", "finish", needing)}
        reasons = {
            f"{each['kind']} {each['namespace']}/{each['name']}": item["reason"]
            for each in played.stats[f"{PREFIX}_plan"]["localhost"]["templates"]
            for item in each["blocked"]
        }
        assert sorted(reasons) == sorted(labels), reasons
        assert played.status == 0 and {where for where, _what in played.every_write()} == {"default"}  # the Lease


@pytest.mark.soak
def test_a_reader_is_told_all_that_is_missing_before_the_first_write(site: Site, tmp_path: Path) -> None:
    """Of each phase, in one run."""
    scope = f"/subscriptions/{site.azure.subscription_id}"
    reads = {"apiGroups": ["*"], "resources": ["*"], "verbs": list(READING)}
    before = dict(site.cluster["properties"]["oidcIssuerProfile"])
    with contextlib.ExitStack() as stack:
        reader = site.azure.principal("reader", ("Reader", scope), graph=["Application.Read.All"])
        world = stack.enter_context(running(site, tmp_path, reader, reads))
        stack.callback(site.properties, oidcIssuerProfile={**before, "issuerURL": site.issuer})
        site.properties(oidcIssuerProfile={"enabled": False})
        place = stack.enter_context(migration_site.place(site))
        place.identity(trusted=False)
        place.principal("second")
        with_rights(place)
        for kind in (kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.REPLICA_SET, kinds.CRON_JOB):
            make(place, kind.name.lower(), kind, service_account="default")
        options = {"enable_issuer": True, "enable_webhook": True, "accept": ["cannot_surge"]}
        named = [place.identity_id, place.app_id]
        played = world.migrate(None, until="finish", confirm=AZURE["cluster_name"], identities=named, **options)
    print(played.output)
    said = " ".join(played.output.split())
    asked_of_nobody = played.said_by(
        "azureops.pod_identity.workload_identity_migration : Show what cannot be asked beforehand"
    )
    assert place.app_id in asked_of_nobody and OF_OWNERS in asked_of_nobody
    wanted = {*in_cluster(place.namespace), *in_azure(site, place.identity_id)}
    assert [each for each in sorted(wanted) if each.lower() not in said.lower()] == []
    assert f"{len(wanted)} permissions are missing, and nothing was changed" in said
    assert played.status == 2 and list(played.every_write()) == []
    assert {each["method"] for each in played.of_azure if "/oauth2/" not in each["path"]} <= {"GET", "POST"}


def in_cluster(namespace: str) -> Iterator[str]:
    """What a reader lacks there: what the READMEs of the two roles say."""
    left_out = ("remove_secrets", "write_bundle", "recreate_definitions")
    for role, places in (
        (phases.KUBERNETES_PERMISSIONS, {"the whole": "", "the namespace of": namespace, "the namespace": "default"}),
        (uninstall.KUBERNETES_PERMISSIONS, {"the whole": "", "the namespace": "default", "each of": "default"}),
    ):
        for name, each in role.items():
            if name in left_out:
                continue
            where = next(place for begin, place in places.items() if each.where.startswith(begin))
            place = f"namespace {where}" if where else "the whole cluster"
            what = "/".join(filter(None, (each.resource, each.subresource)))
            what += f".{each.api_group}" if each.api_group else ""
            yield from (f"{verb} {what} in {place} (" for verb in each.verbs if verb not in READING)


def in_azure(site: Site, identity: str) -> Iterator[str]:
    cluster, nodes = site.cluster["id"], site.cluster["properties"]["nodeResourceGroup"]
    yield f"Microsoft.ContainerService/managedClusters/write at {cluster} ("
    yield f"{FEDERATED}/write at {identity} ("
    group = f"/subscriptions/{site.azure.subscription_id}/resourceGroups/{nodes}"
    yield f"Microsoft.Compute/virtualMachineScaleSets/write at {group} ("


def told(row: Row, wanted: Row, said: str) -> None:
    """Whether a row of the table is as it is wanted."""
    state, following, why = wanted
    assert row[:2] == (state, following), said
    assert (why[3:] in row[2]) if why.startswith("...") else row[2].startswith(why), said
    assert why or not row[2], said


@pytest.mark.soak
def test_each_gets_as_far_as_it_may(site: Site, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(running(site, tmp_path))
        webhook = stack.enter_context(workload_identity.running(site.api_server))
        for name, each in CASES.items():
            world.places[name] = stack.enter_context(migration_site.place(site, webhook))
            each.make(world.places[name])
        deployments = [place for name, place in world.places.items() if WEB_ROW in CASES[name].rows]
        for place in deployments:
            place.living_pod()
        until_the_switch(world)
        until_they_leave(world)
        by_their_applications(world)


def by_their_applications(world: World) -> None:
    """Service principals, whose applications the operator names, and back."""
    names = ("service_principal", "service_principal_of_somebody_else", "service_principal_with_a_full_application")
    mine, theirs, full = (world.places[name] for name in names)
    places = {name: world.places[name] for name in names}
    others = [{"name": f"c{number}", **of_cluster(number)} for number in range(LIMIT)]
    fill(full, others)
    named = [place.client_id for place in places.values()]
    played = world.migrate(places, until="switch", exchange_samples=1, identities=named)
    rows = played.rows()
    assert rows, played.output
    for place, wanted in (
        (mine, SWITCHED),
        (theirs, ("account", "credential", "...Application.ReadWrite.OwnedBy")),
        (full, ("blocked", "account", "too_many_credentials: ")),
    ):
        told(rows[f"Deployment/{place.namespace}/{WEB}"], wanted, str(rows))
    subject = f"system:serviceaccount:{mine.namespace}:{WEB}"
    assert mine.trusted_by_application() == [subject] and theirs.trusted_by_application() == []
    assert len(full.trusted_by_application()) == LIMIT and played.status == 2
    # What Graph answers to nobody beforehand is said before, and refused before a template is changed.
    said = played.said_by("azureops.pod_identity.workload_identity_migration : Show what cannot be asked beforehand")
    assert all(place.client_id in said for place in (mine, theirs)) and full.client_id not in said, played.output
    assert played.writes(theirs.namespace) == [f"patch serviceaccounts {WEB}"]
    world.node.client_ids[mine.namespace] = mine.client_id
    back = world.migrate({"": mine}, undo=True)
    assert back.rows()[f"Deployment/{mine.namespace}/{WEB}"] == ("original", "", ""), back.output
    assert mine.trusted_by_application() == [] and back.status == 0
    # Nobody has looked at a Secret.
    of_runs = [*played.asked, *back.asked]
    assert [each for each in of_runs if (each.get("objectRef") or {}).get("resource") == "secrets"] == []
    in_the_place_of_a_principal(world, theirs)
    with_two_that_leave(world, world.places["service_principal_beside_a_managed_identity"])


def of_cluster(number: int) -> Raw:
    subject = f"system:serviceaccount:shop:{number}"
    return {"issuer": f"https://c{number}/", "subject": subject, "audiences": [of_chart.AUDIENCE]}


def fill(place: Place, credentials: list[Raw]) -> None:
    """Somebody has given the application of the place these credentials."""

    def change() -> None:
        found = place.site.azure.server.azure.state.principal_by_app(place.client_id)
        assert found
        bodies = [{"id": str(uuid.uuid4()), "description": None, **each} for each in credentials]
        found.federated.extend(ApplicationCredential(each) for each in bodies)

    place.site.azure.in_loop(change)


def in_the_place_of_a_principal(world: World, place: Place) -> None:
    """A managed identity that no scale set has, because the operator says so."""
    path = f"/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{place.namespace}"
    answer = place.site.azure.arm("PUT", path, {"location": "westeurope"})
    answer.raise_for_status()
    identity = str(answer.json()["id"])
    world.node.client_ids[place.namespace] = place.client_id
    replacements = {f"{place.namespace}/{WEB}": identity}
    played = world.migrate({"": place}, until="switch", exchange_samples=1, replacements=replacements)
    rows = played.rows()
    told(rows[f"Deployment/{place.namespace}/{WEB}"], SWITCHED, str(rows))
    made = place.client.get(kinds.SERVICE_ACCOUNT, place.namespace, WEB) or {}
    assert made["metadata"]["annotations"][of_chart.CLIENT_ID] == answer.json()["properties"]["clientId"]
    assert len(played.writes_to(place.namespace)) == 1 and place.trusted_by_application() == []
    back = world.migrate({"": place}, undo=True, replacements=replacements)
    assert back.rows()[f"Deployment/{place.namespace}/{WEB}"] == ("original", "", ""), back.output
    assert [each.partition(" ")[0] for each in back.writes_to(place.namespace)] == ["DELETE"]


def with_two_that_leave(world: World, place: Place) -> None:
    """Its service account tells one; when it comes back, nothing of the other stays."""
    options = {"soak_seconds": 1, "shorten_soak": True, "exchange_samples": 1}
    named = [place.identity_id, place.app_id]
    played = world.migrate({"": place}, until="leave", confirm=AZURE["cluster_name"], identities=named, **options)
    row, subject = f"Deployment/{place.namespace}/{WEB}", f"system:serviceaccount:{place.namespace}:{WEB}"
    told(played.rows()[row], ("left", "finish", "Its soak was shortened to 1 seconds."), played.output)
    assert place.trusted_by_identity() == place.trusted_by_application() == [subject]
    world.node.client_ids[place.namespace] = place.client_id
    back = world.migrate({"": place}, undo=True)
    assert back.rows()[row] == ("original", "", ""), back.output
    assert place.trusted_by_identity() == place.trusted_by_application() == [] and back.status == 0


def until_the_switch(world: World) -> None:
    played = world.migrate(world.places, until="switch", exchange_samples=SAMPLES)
    rows = played.rows()
    assert rows, played.output
    for name, each in CASES.items():
        namespace = world.places[name].namespace
        mine = {key: row for key, row in rows.items() if key.split("/")[1] == namespace}
        short = {f"{key.split('/')[0]}/{key.split('/')[2]}": row for key, row in mine.items()}
        assert short.keys() == each.rows.keys(), (name, short)
        for key, wanted in each.rows.items():
            told(short[key], wanted, f"{name}: {short[key]}")
        written = played.writes(namespace)
        moved = {key for key, row in each.rows.items() if row[0] == "switched"} - {*each.moved_before}
        patched = {
            f"{kind}/{line.split()[-1]}"
            for line in written
            for kind in ("Deployment", "CronJob")
            if line.startswith(f"patch {kind.lower()}s ")
        }
        assert patched == moved, (name, written)
        if not each.written:
            assert written == [] and played.writes_to(namespace) == [], name
    assert played.status == 2
    copies(world)
    verdicts = {
        "issuer_with_a_slash_too_many": "federated_by_other_spelling",
        "wrong_audience": "not_federated",
        "client_id_of_its_own": "own_client_id_differs",
        "subject_wrong_while_nmi_serves": "not_federated",
    }
    for name, code in verdicts.items():
        assert code in played.plan_of(world.places[name].namespace), name


def copies(world: World) -> None:
    """Service accounts that take the place of others have what these have, and the others are as they were."""
    place = world.places["account_default_with_rights"]
    made = place.client.get(kinds.SERVICE_ACCOUNT, place.namespace, f"default-{WEB}") or {}
    before = place.client.get(kinds.SERVICE_ACCOUNT, place.namespace, "default") or {}
    assert made["imagePullSecrets"] == before["imagePullSecrets"] and "annotations" not in before["metadata"]
    for kind in (kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING):
        of_account = [
            each
            for each in place.client.list_all(kind)
            if (place.namespace, made["metadata"]["name"]) in accounts(each)
        ]
        assert [each["roleRef"]["name"] for each in of_account] == [
            "view" if kind == kinds.ROLE_BINDING else "system:discovery"
        ]
    for name, wanted in (
        ("account_default_with_rights", {WEB: f"default-{WEB}"}),
        ("account_with_two_identities", {"first": f"shared-{WEB}", "second": "shared-other"}),
        ("account_in_use_by_workload_id", {WEB: f"shared-{WEB}", "modern": "shared"}),
    ):
        found = world.places[name].client.list_all(kinds.DEPLOYMENT, world.places[name].namespace)
        used = {each["metadata"]["name"]: each["spec"]["template"]["spec"]["serviceAccountName"] for each in found}
        assert used == wanted, name


def until_they_leave(world: World) -> None:
    chosen = (
        "healthy",
        "subject_wrong_while_nmi_serves",
        "falls_back_to_nmi",
        "init_container_on_the_metadata_service",
    )
    places = {name: world.places[name] for name in chosen}
    world.node.gives(places["falls_back_to_nmi"].living_pod()["status"]["podIP"])
    played = world.migrate(
        places, until="leave", confirm=AZURE["cluster_name"], soak_seconds=1, shorten_soak=True, exchange_samples=1
    )
    rows = played.rows()
    assert rows, played.output
    wanted = {
        "healthy": ("left", "finish", "Its soak was shortened to 1 seconds."),
        "subject_wrong_while_nmi_serves": ("account", "credential", "...AuthorizationFailed"),
        "falls_back_to_nmi": ("switched", "soak", "NMI gave Pod "),
        "init_container_on_the_metadata_service": ("soaking", "leave", "init_container_before_proxy: "),
    }
    for name, row in wanted.items():
        place = places[name]
        told(rows[f"Deployment/{place.namespace}/{WEB}"], row, name)
        template = (place.client.get(kinds.DEPLOYMENT, place.namespace, WEB) or {})["spec"]["template"]
        assert ("aadpodidbinding" in template["metadata"]["labels"]) is (name != "healthy"), name
    assert played.status == 2
