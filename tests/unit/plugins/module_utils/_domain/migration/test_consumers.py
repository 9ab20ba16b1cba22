# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes tokens through pods of others: with the real subject, how far it is, and what is next."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.consumers import STATES
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import Choices
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.products import PRODUCTS
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

from .migration_world import (
    CLIENT_ID,
    ENVIRONMENT,
    IDS,
    LABEL,
    OTHER_ID,
    TENANT,
    USE,
    Change,
    Made,
    binding,
    container,
    credential,
    identity,
    made,
    metadata,
    principal,
    template,
    unlabelled,
)

ID = "/subscriptions/s/resourcegroups/g/providers/microsoft.managedidentity/userassignedidentities/i"
EARLY, CHANGED, LATE = (f"2026-11-30T0{hour}:00:00Z" for hour in (1, 2, 3))
WRITTEN = [{"manager": "kubectl", "time": CHANGED, "fieldsV1": {"f:spec": {}}}]


def add(kind: str, *several: Raw) -> Change:
    return lambda one: one.objects.setdefault(kind, []).extend(several)


def running(
    image: str,
    name: str = "operator",
    selector: str = "x",
    *,
    on: bool = False,
    labels: Raw | None = None,
    **more: t.Any,
) -> Change:
    """A workload of a product in the namespace tools, with a pod of it. ``on``: it uses Workload ID."""

    def change(one: Made) -> None:
        use = {USE: "true"} if on else {}
        made_of = template(selector, name, {"name": "main", "image": image, "args": more.pop("args", [])}, **use)
        made_of["spec"].update(more)
        shown = metadata(name, "tools", labels=labels or {})
        add("Deployment", {"metadata": shown, "spec": {"template": made_of}})(one)
        add("ReplicaSet", {"metadata": metadata(f"{name}-1", "tools", by=("Deployment", name)), "spec": {}})(one)
        environment = {**ENVIRONMENT} if on else {}
        pod = {
            "metadata": metadata(f"{name}-1-a", "tools", by=("ReplicaSet", f"{name}-1"), **made_of["metadata"]),
            "spec": {"serviceAccountName": name, "containers": [container("main", **environment)]},
            "status": {"phase": "Running", "startTime": EARLY},
        }
        add("Pod", pod)(one)
        account: dict[str, t.Any] = {"annotations": {"azure.workload.identity/client-id": CLIENT_ID}} if on else {}
        add("ServiceAccount", {"metadata": metadata(name, "tools", **account)})(one)

    return change


def trusted(one: Made) -> None:
    """By the identity, the account of what runs in tools."""
    assert one.credentials is not None
    one.credentials[ID].append(credential("o", subject="system:serviceaccount:tools:operator"))


def found(*changes: Change, kind: str = "") -> Raw:
    """The consumer of that kind; without one, the only one."""
    one: Raw
    (one,) = [each for each in made(*changes).data()["consumers"] if each["object"].startswith(kind)]
    assert one["state"] in STATES and (one["state"] == "proved" or one["next"])
    return one


def told(one: Raw) -> tuple[str, str, str]:
    return one["state"], one["reason"], one["next"]


def untrusted(who: str) -> tuple[str, str, str]:
    reason = f"{who} does not trust system:serviceaccount:tools:operator."
    return "not_moved", reason, "The phase credential writes what is missing."


# KEDA

KEDA = "ghcr.io/kedacore/keda:2.14.0"
TRIGGER = "TriggerAuthentication"


def auth(provider: str, **more: str) -> Change:
    spec = {"podIdentity": {"provider": provider, **more}}
    return add(TRIGGER, {"metadata": metadata("queue", managedFields=WRITTEN), "spec": spec})


def scaler(**status: t.Any) -> Change:
    health = {"s0-queue": {"numberOfFailures": 0, "status": "Happy"}}
    ready = [{"type": "Active", "status": "False"}, {"type": "Ready", "status": "True"}]
    shown = {"conditions": ready, "health": health, "lastActiveTime": LATE, **status}
    trigger = {"type": "azure-queue", "authenticationRef": {"name": "queue"}}
    return add("ScaledObject", {"metadata": metadata("worker"), "spec": {"triggers": [trigger]}, "status": shown})


def test_keda_asks_as_its_operator() -> None:
    one = found(running(KEDA), auth("azure", identityId=CLIENT_ID), kind=TRIGGER)
    assert (one["product"], one["object"], one["uses"]) == ("KEDA", "TriggerAuthentication team/queue", "pod_identity")
    assert one["setting"] == "spec.podIdentity.provider: azure" and one["client_id"] == CLIENT_ID
    assert one["workloads"] == ["Deployment tools/operator"]
    assert one["subjects"] == ["system:serviceaccount:tools:operator"]
    assert one["version"] == "2.14.0" and one["moved_by"] == "owner" and one["blocks_finish"]
    said, remedy = "does not use Workload ID yet.", "The phases up to switch let it use Workload ID."
    assert told(one) == ("not_moved", f"Deployment tools/operator {said}", remedy)


def test_keda_asks_with_the_account_that_its_operator_will_have() -> None:
    """One that has the account default gets one of its own."""

    def default(one: Made) -> None:
        del one.objects["Deployment"][-1]["spec"]["template"]["spec"]["serviceAccountName"]

    one = found(running(KEDA), default, auth("azure"), kind=TRIGGER)
    assert one["subjects"] == ["system:serviceaccount:tools:default-i"]
    assert [(each["subject"], each["state"]) for each in one["credentials"]] == [(one["subjects"][0], "missing")]


def test_keda_step_by_step() -> None:
    on = running(KEDA, on=True)
    one = found(on, auth("azure", identityId=CLIENT_ID), kind=TRIGGER)
    assert told(one) == untrusted("i")
    one = found(on, trusted, auth("azure", identityId=CLIENT_ID), kind=TRIGGER)
    assert one["state"] == "prepared" and one["next"] == "Apply what change says." and one["blocks_finish"]
    assert yaml.safe_load(one["change"]) == {
        "spec": {"podIdentity": {"provider": "azure-workload", "identityId": CLIENT_ID}}
    }
    one = found(on, trusted, auth("azure-workload", identityId=CLIENT_ID), kind=TRIGGER)
    assert one["state"] == "moved" and one["next"] == one["proof"] and one["change"] == "" and not one["blocks_finish"]
    one = found(on, trusted, auth("azure-workload", identityId=CLIENT_ID), scaler(), kind=TRIGGER)
    assert told(one) == ("proved", "", "")


def test_the_identity_of_the_operator_where_it_names_none() -> None:
    one = found(running(KEDA, on=True), trusted, auth("azure"), kind=TRIGGER)
    assert one["state"] == "prepared"
    assert yaml.safe_load(one["change"]) == {"spec": {"podIdentity": {"provider": "azure-workload"}}}


@table(
    "status",
    *({"lastActiveTime": EARLY}, {"lastActiveTime": None}, {"conditions": [{"type": "Ready", "status": "False"}]}),
    *({"conditions": "Ready"}, {"health": {"s0-queue": {"status": "Failing"}}}, {"health": ["Happy"]}),
)
def test_what_proves_nothing_of_keda(status: Raw) -> None:
    changes = (running(KEDA, on=True), trusted, auth("azure-workload"))
    assert found(*changes, scaler(**status), kind=TRIGGER)["state"] == "moved"
    assert found(*changes, scaler(), scaler(**status), kind=TRIGGER)["state"] == "moved"


def test_a_scaler_that_is_active_by_something_else_proves_nothing() -> None:
    def other(one: Made) -> None:
        one.objects["ScaledObject"][0]["spec"]["triggers"].append({"type": "cron"})

    changes = (running(KEDA, on=True), trusted, auth("azure-workload"), scaler())
    assert found(*changes, other, kind=TRIGGER)["state"] == "moved"


def test_without_a_time_of_the_change_nothing_is_proved() -> None:
    def without(one: Made) -> None:
        del one.objects[TRIGGER][0]["metadata"]["managedFields"]

    changes = (running(KEDA, on=True), trusted, auth("azure-workload"), scaler())
    assert found(*changes, without, kind=TRIGGER)["state"] == "moved"


def test_set_to_workload_id_before_the_operator_is() -> None:
    one = found(running(KEDA), auth("azure-workload"), kind=TRIGGER)
    assert one["state"] == "not_moved" and "does not use Workload ID yet" in one["reason"]


def test_an_identity_that_aad_pod_identity_does_not_give_gets_no_credential() -> None:
    """Any tenant may name any identity, and would have it by the operator."""
    other = add("AzureIdentity", identity("other", OTHER_ID))
    one = found(running(KEDA, on=True), trusted, other, empty, auth("azure", identityId=OTHER_ID), kind=TRIGGER)
    assert one["state"] == "not_moved" and "AAD Pod Identity does not give it" in one["reason"]
    assert "federated_identity_credential" in one["next"]


def test_keda_asks_for_a_service_principal() -> None:
    changes = (principal, running(KEDA, on=True), auth("azure", identityId=CLIENT_ID))
    one = found(*changes, kind=TRIGGER)
    assert told(one) == untrusted(f"application {CLIENT_ID}")
    assert [(each["app_id"], each["state"]) for each in one["credentials"]] == [(CLIENT_ID, "missing")]

    def trusting(one: Made) -> None:
        one.credentials = {CLIENT_ID: [credential(subject="system:serviceaccount:tools:operator")]}

    assert found(*changes, trusting, kind=TRIGGER)["state"] == "prepared"


def test_an_application_that_aad_pod_identity_does_not_give_gets_no_credential() -> None:
    def other(one: Made) -> None:
        add("AzureIdentity", identity("other", OTHER_ID, type=1, resourceID="", tenantID=TENANT))(one)
        one.credentials = {CLIENT_ID: [], OTHER_ID: []}

    one = found(principal, other, running(KEDA, on=True), auth("azure", identityId=OTHER_ID), kind=TRIGGER)
    assert one["state"] == "not_moved" and "AAD Pod Identity does not give it" in one["reason"]
    assert "by the module application_federated_credential" in one["next"]


def test_what_takes_the_place_of_an_identity_is_what_it_has_to_name() -> None:
    def replaced(one: Made) -> None:
        one.choices = Choices(replacements={"team/i": f"{IDS}money"})
        one.client_ids = {f"{IDS}money".lower(): OTHER_ID}
        one.credentials = {f"{IDS}money".lower(): []}

    changes = (principal, replaced, running(KEDA), auth("azure", identityId=CLIENT_ID))
    one = found(*changes, kind=TRIGGER)
    assert yaml.safe_load(one["change"])["spec"]["podIdentity"]["identityId"] == OTHER_ID
    assert [(each["identity_id"], each["client_id"], each["state"]) for each in one["credentials"]] == [
        (f"{IDS}money", OTHER_ID, "missing")
    ]
    one = found(*changes, lambda one: setattr(one, "client_ids", {}), kind=TRIGGER)
    assert one["change"] == "" and one["credentials"] == []


def empty(one: Made) -> None:
    assert one.credentials is not None
    one.credentials[f"{ID[:-1]}other"] = []


def test_the_phases_write_the_credential_of_an_identity_that_aad_pod_identity_gives() -> None:
    """Whichever of those of the operator is named: all of them are credentials of its workload."""
    bound = (
        add("AzureIdentity", identity("other", OTHER_ID)),
        add("AzureIdentityBinding", binding("other", "x")),
        empty,
    )
    data = made(running(KEDA, on=True), trusted, *bound, auth("azure", identityId=OTHER_ID)).data()
    one = next(each for each in data["consumers"] if each["object"].startswith(TRIGGER))
    assert told(one) == untrusted("other")
    operator = next(each for each in data["templates"] if each["namespace"] == "tools")
    assert one["credentials"][0] in operator["credentials"] and "credential" in operator["steps"]


def test_an_identity_of_which_nothing_is_known() -> None:
    one = found(running(KEDA, on=True), auth("azure", identityId=OTHER_ID), kind=TRIGGER)
    assert one["state"] == "not_moved" and f"No AzureIdentity has the client id {OTHER_ID}" in one["reason"]
    one = found(running(KEDA, on=True), auth("azure-workload", identityId=OTHER_ID), kind=TRIGGER)
    assert one["state"] == "moved"  # it never needed AAD Pod Identity


def test_azure_that_was_not_asked() -> None:
    one = found(running(KEDA, on=True), auth("azure"), lambda one: setattr(one, "credentials", None), kind=TRIGGER)
    assert one["state"] == "not_moved" and "was not looked at" in one["reason"]


@table(
    "tag, state, said, blocks",
    ("2.7.1", "not_moved", "KEDA has Workload ID from keda 2.8.0 on, and 2.7.1 runs.", True),
    ("2.8.0", "not_moved", "does not use Workload ID yet", True),
    ("2.8.0-rc1", "not_known", "Its version is not known", True),
    ("main", "not_known", "Its version is not known", True),
    ("2.15.1", "not_moved", "KEDA 2.15.1 has no AAD Pod Identity, so that it gets no token.", False),
)
def test_versions_of_keda(tag: str, state: str, said: str, blocks: bool) -> None:
    one = found(running(f"ghcr.io/kedacore/keda:{tag}"), auth("azure"), kind=TRIGGER)
    assert (one["state"], one["blocks_finish"]) == (state, blocks) and said in one["reason"]
    if state == "not_known" or tag == "2.7.1":
        assert one["page"] in one["next"]


def test_labels_of_a_chart_tell_product_and_version() -> None:
    of_app = {"app.kubernetes.io/name": "keda-operator", "app.kubernetes.io/version": "2.14.0"}
    labels = {"helm.sh/chart": "keda-2.14.0", **of_app}
    one = found(running("mirror.example/scaling@sha256:0", labels=labels), auth("azure"), kind=TRIGGER)
    assert one["chart"] == "keda-2.14.0" and one["workloads"] == ["Deployment tools/operator"]
    one = found(running("mirror.example/keda:stable", labels=labels), auth("azure"), kind=TRIGGER)
    assert one["version"] == "2.14.0" and one["state"] == "not_moved"


def test_keda_without_an_operator_or_with_another_provider() -> None:
    def all_of(spec: t.Any) -> Change:
        return add("ClusterTriggerAuthentication", {"metadata": {"name": "all"}, "spec": spec})

    one = found(all_of({"podIdentity": {"provider": "azure"}}))
    assert one["object"] == "ClusterTriggerAuthentication all" and one["subjects"] == []
    assert one["state"] == "not_moved" and one["blocks_finish"]
    for spec in ({"podIdentity": {"provider": "aws"}}, {}, None, {"podIdentity": None}):
        assert made(all_of(spec)).data()["consumers"] == []


# Secrets Store CSI

RUNS = {"name": "p", "image": "mcr.example/oss/provider-azure:v1.4.1"}
OF_PROVIDER = {"metadata": metadata("provider", "kube-system"), "spec": {"template": template("", "csi", RUNS)}}
PROVIDER = add("DaemonSet", OF_PROVIDER)


def secret_class(**parameters: t.Any) -> Change:
    raw = {
        "metadata": metadata("vault", managedFields=WRITTEN),
        "spec": {"provider": "azure", "parameters": parameters},
    }
    return add("SecretProviderClass", raw)


def mounting(one: Made) -> None:
    csi = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}
    one.web["spec"]["volumes"] = [{"name": "secrets", "csi": csi}]


def mount(when: str = LATE, **status: t.Any) -> Change:
    raw = {
        "metadata": metadata("web-1-a-team-vault", creationTimestamp=when),
        "status": {"podName": "web-1-a", "secretProviderClassName": "vault", "mounted": True, **status},
    }
    return add("SecretProviderClassPodStatus", raw)


def test_the_csi_driver_asks_as_each_pod_that_mounts() -> None:
    one = found(mounting, PROVIDER, secret_class(usePodIdentity="true"))
    assert one["uses"] == "pod_identity" and one["subjects"] == ["system:serviceaccount:team:web"]
    assert (one["state"], one["version"]) == ("prepared", "v1.4.1")
    assert yaml.safe_load(one["change"]) == {"spec": {"parameters": {"usePodIdentity": "false", "clientID": CLIENT_ID}}}
    # Its pods need no label for that.
    assert found(mounting, unlabelled, PROVIDER, secret_class(usePodIdentity="T"))["state"] == "prepared"
    assert found(mounting, secret_class(usePodIdentity="true"))["state"] == "not_known"


def test_a_class_that_is_set_to_workload_id() -> None:
    one = found(secret_class(usePodIdentity="false", clientID=CLIENT_ID))
    assert (one["uses"], one["client_id"], one["workloads"]) == ("workload_identity", CLIENT_ID, [])
    assert one["state"] == "not_known" and not one["blocks_finish"]
    changes = (mounting, PROVIDER, secret_class(clientID=CLIENT_ID))
    assert found(*changes)["state"] == "moved"
    assert told(found(*changes, mount())) == ("proved", "", "")
    for status in (mount(EARLY), mount(mounted=False), mount(mounted="true"), mount(podName="other")):
        assert found(*changes, status)["state"] == "moved"
    assert made(secret_class(useVMManagedIdentity="true")).data()["consumers"] == []


def test_a_class_whose_pods_have_different_identities() -> None:
    def other(one: Made) -> None:
        mounting(one)
        more = {"metadata": metadata("api"), "spec": {"template": template("y", "api", **{USE: "true"})}}
        more["spec"]["template"]["spec"]["volumes"] = one.web["spec"]["volumes"]
        add("Deployment", more)(one)
        add("AzureIdentity", identity("other", OTHER_ID))(one)
        add("AzureIdentityBinding", binding("other", "y"))(one)

    one = found(other, PROVIDER, secret_class(usePodIdentity="true"))
    assert one["state"] == "not_moved" and "different identities" in one["reason"] and one["change"] == ""


def test_an_identity_that_does_not_trust_all_that_mount() -> None:
    def untrusted(one: Made) -> None:
        one.credentials = {ID: []}

    one = found(mounting, untrusted, PROVIDER, secret_class(usePodIdentity="true"))
    assert told(one)[1:] == (
        "i does not trust system:serviceaccount:team:web.",
        "The phase credential writes what is missing.",
    )
    assert found(mounting, untrusted, PROVIDER, secret_class(clientID=CLIENT_ID))["state"] == "not_moved"


# cert-manager, Velero, Flux

CERT_MANAGER = "quay.io/jetstack/cert-manager-controller:v1.15.0"
PLUGIN = "docker.io/velero/velero-plugin-for-microsoft-azure"


def issuer(*solvers: t.Any) -> Change:
    return add("ClusterIssuer", {"metadata": {"name": "dns"}, "spec": {"acme": {"solvers": list(solvers)}}})


def dns(**more: t.Any) -> Raw:
    return {"dns01": {"azureDNS": {"hostedZoneName": "example.com", **more}}}


def order(state: str = "valid", initial: str = "pending", when: str = LATE) -> Change:
    raw = {
        "metadata": metadata("web-1", creationTimestamp=when),
        "spec": {"issuerRef": {"name": "dns", "kind": "ClusterIssuer"}},
        "status": {"state": state, "authorizations": [{"initialState": initial}]},
    }
    return add("Order", raw)


def test_cert_manager() -> None:
    named = dns(managedIdentity={"clientID": CLIENT_ID})
    one = found(running(CERT_MANAGER), issuer({"http01": {}}, named), kind="ClusterIssuer")
    assert one["setting"] == "spec.acme.solvers[1].dns01.azureDNS" and one["client_id"] == CLIENT_ID
    assert one["workloads"] == ["Deployment tools/operator"] and one["uses"] == "other"
    assert one["state"] == "not_moved" and not one["blocks_finish"]  # its pods do
    both = found(running(CERT_MANAGER, on=True), issuer(named), kind="ClusterIssuer")
    assert both["state"] == "prepared"
    alone = (running(CERT_MANAGER, selector="", on=True), issuer(named))
    assert found(*alone, kind="ClusterIssuer")["state"] == "moved"
    assert found(*alone, order(), kind="ClusterIssuer")["state"] == "proved"
    for other in (order("pending"), order(initial="valid"), order(when=EARLY)):
        assert found(*alone, other, kind="ClusterIssuer")["state"] == "moved"
    # A solver of another kind may have done it.
    mixed = issuer({"http01": {}}, named)
    assert found(alone[0], mixed, order(), kind="ClusterIssuer")["state"] == "moved"


def test_an_issuer_that_names_a_resource_id() -> None:
    by_resource = dns(managedIdentity={"resourceID": ID})
    one = found(running(CERT_MANAGER), issuer({"http01": {}}, by_resource), kind="ClusterIssuer")
    path = "/spec/acme/solvers/1/dns01/azureDNS/managedIdentity"
    patch = [{"op": "add", "path": path, "value": {"clientID": CLIENT_ID}}]
    assert yaml.safe_load(one["change"]) == patch
    # Each solver keeps its own.
    own = dns(managedIdentity={"clientID": OTHER_ID})
    one = found(running(CERT_MANAGER), issuer(own, by_resource), kind="ClusterIssuer")
    assert yaml.safe_load(one["change"]) == patch and one["client_id"] == ""


def test_a_secret_of_a_service_principal_is_no_consumer() -> None:
    assert made(issuer(dns(clientSecretSecretRef={"name": "s"}))).data()["consumers"] == []


def location(status: Raw | None = None, **config: str) -> Change:
    raw = {"metadata": metadata("default", "tools"), "spec": {"provider": "azure", "config": config}}
    return add("BackupStorageLocation", {**raw, "status": status or {}})


def velero(tag: str = "v1.10.0", **more: t.Any) -> Change:
    plugins = [{"name": "plugin", "image": f"{PLUGIN}:{tag}"}]
    return running("docker.io/velero/velero:v1.14.0", initContainers=plugins, **more)


def test_velero() -> None:
    kind = "BackupStorageLocation"
    one = found(velero(), location(useAAD="true"), kind=kind)
    assert (one["setting"], one["version"], one["state"]) == ("spec.config.useAAD: true", "v1.10.0", "not_moved")
    one = found(velero("v1.7.1"), location(), kind=kind)
    assert "from velero-plugin-for-microsoft-azure 1.8.0 on, and v1.7.1 runs" in one["reason"]
    assert found(running("docker.io/velero/velero:v1.14.0"), location(), kind=kind)["state"] == "not_known"
    alone = velero(selector="", on=True)
    assert found(alone, location({"phase": "Available", "lastValidationTime": EARLY}), kind=kind)["state"] == "moved"
    assert found(alone, location({"phase": "Unavailable", "lastValidationTime": LATE}), kind=kind)["state"] == "moved"
    assert found(alone, location({"phase": "Available", "lastValidationTime": LATE}), kind=kind)["state"] == "proved"
    # By the key of the account it asks for no token.
    assert made(location(storageAccountKeyEnvVar="KEY")).data()["consumers"] == []


SOURCE = "ghcr.io/fluxcd/source-controller:v1.3.0"


def source(kind: str = "OCIRepository", status: Raw | None = None, **spec: object) -> Change:
    raw = {"metadata": metadata("apps", "flux-system"), "spec": {"provider": "azure", **spec}, "status": status or {}}
    return add(kind, raw)


def fetched(when: str, ready: str = "True") -> Raw:
    return {"conditions": [{"type": "Ready", "status": ready}], "artifact": {"lastUpdateTime": when}}


def test_flux() -> None:
    one = found(
        running(SOURCE, "source-controller"),
        running("ghcr.io/fluxcd/kustomize-controller:v1.3.0", "kustomize-controller"),
        source("GitRepository"),
        kind="GitRepository",
    )
    assert one["workloads"] == ["Deployment tools/source-controller"] and one["state"] == "not_moved"
    alone = running(SOURCE, "source-controller", "", on=True)
    assert found(alone, source(status=fetched(EARLY)), kind="OCI")["state"] == "moved"
    assert found(alone, source(status=fetched(LATE, "False")), kind="OCI")["state"] == "moved"
    assert found(alone, source(status=fetched(LATE)), kind="OCI")["state"] == "proved"
    reflector = running("ghcr.io/fluxcd/image-reflector-controller:v0.26.1", "image-reflector-controller")
    one = found(reflector, source("ImageRepository"), kind="ImageRepository")
    assert "from image-reflector-controller 0.27.0 on" in one["reason"]


def test_a_source_with_an_account_of_its_own() -> None:
    """Which Flux uses for that only with a feature gate; else for the pull secrets of the account."""
    gate = ["--feature-gates=CacheSecretsAndConfigMaps=true,ObjectLevelWorkloadIdentity=true"]
    one = found(running(SOURCE, "source-controller", args=gate), source(serviceAccountName="apps"), kind="OCI")
    assert (one["subjects"], one["uses"]) == (["system:serviceaccount:flux-system:apps"], "workload_identity")
    assert one["state"] == "moved" and one["credentials"] == []
    one = found(running(SOURCE, "source-controller"), source(serviceAccountName="apps"), kind="OCI")
    assert one["subjects"] == ["system:serviceaccount:tools:source-controller"]


def test_what_nobody_is_found_to_ask_for_is_not_known() -> None:
    for change in (issuer(dns()), location(), source()):
        one = found(change)
        assert one["state"] == "not_known" and one["page"] in one["next"] and not one["blocks_finish"]
    one = found(running(SOURCE, "source-controller", ""), source())
    assert one["state"] == "not_known" and "gets no identity" in one["reason"]


# controllers that get an identity themselves

CONTROLLERS = [
    ("mcr.microsoft.com/azure-application-gateway/kubernetes-ingress:1.7.2", "AGIC", "1.6.0"),
    ("registry.k8s.io/external-dns/external-dns:v0.14.0", "external-dns", "v0.13.5"),
    ("mcr.microsoft.com/k8s/azureserviceoperator:v2.8.0", "Azure Service Operator", "v1.9.0"),
    (KEDA, "KEDA", "2.7.0"),
    (CERT_MANAGER, "cert-manager", "v1.10.2"),
    (SOURCE, "Flux", "v0.36.1"),
]


@pytest.mark.parametrize(("image", "product", "old"), CONTROLLERS)
def test_controllers_that_get_an_identity_themselves(image: str, product: str, old: str) -> None:
    one = found(running(image))
    assert (one["product"], one["object"], one["uses"]) == (product, "Deployment tools/operator", "pod_identity")
    assert one["subjects"] == ["system:serviceaccount:tools:operator"] and one["steps"] and not one["blocks_finish"]
    assert told(one)[0] == "not_moved" and one["moved_by"] == "phases"
    assert one["next"] == "The phases up to switch let it use Workload ID."
    values = yaml.safe_load(one["change"])
    assert values and (product == "cert-manager" or CLIENT_ID in one["change"])
    assert found(running(image, on=True))["state"] == "prepared"
    assert found(running(image, selector="", on=True))["state"] == "moved"
    before = found(running(f"{image.rpartition(':')[0]}:{old}"))
    assert before["state"] == "not_moved" and before["next"] == f"Upgrade it first; see {one['page']}."
    assert made(running(image, selector="")).data()["consumers"] == []


def test_the_first_versions_of_azure_service_operator_are_not_known() -> None:
    """Workload ID came with one of its betas."""
    assert found(running("mcr.microsoft.com/k8s/azureserviceoperator:v2.0.0-beta.2"))["state"] == "not_known"


def test_a_controller_of_a_helm_release_is_changed_where_its_manifest_is_written() -> None:
    labels = {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "cert-manager-v1.15.0"}
    one = found(running(CERT_MANAGER, labels=labels))
    assert (one["moved_by"], one["chart"]) == ("owner", "cert-manager-v1.15.0")
    assert one["next"].startswith("Set what change says where its manifest is written")


def test_values_of_flux_are_patches_of_its_bootstrap() -> None:
    patches = yaml.safe_load(found(running(SOURCE, "source-controller"))["change"])["patches"]
    assert [each["target"]["kind"] for each in patches] == ["Deployment", "ServiceAccount"]
    deployment, account = (yaml.safe_load(each["patch"]) for each in patches)
    assert deployment["spec"]["template"]["metadata"]["labels"] == {USE: "true"}
    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": CLIENT_ID}


def test_one_that_others_ask_by_keeps_its_label_until_these_are_changed() -> None:
    def operator(one: Made) -> None:
        one.container["image"] = KEDA
        auth("azure")(one)

    seen = made(operator).plan(LABEL)
    assert [(item.code, item.stage) for item in seen.blocked] == [("others_take_tokens_by_it", "leave")]
    # It may switch all the same.
    assert made(operator, unlabelled).plan(LABEL).verdict == "needs"


# what tenants write

ODD: list[tuple[Change, str]] = [
    (add(TRIGGER, {"metadata": metadata("q"), "spec": {"podIdentity": "azure"}}), "spec.podIdentity is no object"),
    (add(TRIGGER, {"metadata": metadata("q"), "spec": {"podIdentity": {"provider": 1}}}), "provider is no text"),
    (auth("azure", identityId="a\nb"), "spec.podIdentity.identityId is no client id"),
    (secret_class(usePodIdentity=True), "spec.parameters.usePodIdentity is no text"),
    (secret_class(clientID="{{ x }}"), "spec.parameters.clientID is no client id"),
    (issuer("dns01"), "spec.acme.solvers is no list of objects"),
    (issuer({"dns01": {"azureDNS": ["x"]}}), "dns01.azureDNS is no object"),
    (add("BackupStorageLocation", {"metadata": metadata("b"), "spec": {"config": 3}}), "spec.config is no object"),
    (source(serviceAccountName=5), "spec.serviceAccountName is no text"),
    (add("Bucket", {"metadata": metadata("b"), "spec": []}), "spec is no object"),
]


@pytest.mark.parametrize(("change", "said"), ODD)
def test_an_odd_shape_is_told(change: Change, said: str) -> None:
    one = found(change)
    assert one["state"] == "not_known" and said in one["reason"] and one["blocks_finish"]


FIELDS = (
    *("podIdentity", "provider", "identityId", "parameters", "usePodIdentity", "clientID", "acme", "solvers", "dns01"),
    *("azureDNS", "managedIdentity", "resourceID", "config", "useAAD", "serviceAccountName", "triggers", "health"),
    *("authenticationRef", "name", "conditions", "type", "status", "artifact", "lastUpdateTime", "issuerRef"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["azure", "true", CLIENT_ID, "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([kind for one in PRODUCTS for kind in one.kinds]), JSON, JSON)
def test_whatever_tenants_write_is_told_without_failing(kind: str, spec: t.Any, status: t.Any) -> None:
    raw = {"metadata": metadata("queue"), "spec": spec, "status": status}
    several = [add(each, raw) for each in (kind, "ScaledObject", "Order", "SecretProviderClassPodStatus")]
    controllers = (running(KEDA, on=True), running(SOURCE, "source-controller", "", on=True))
    for one in made(*controllers, *several).data()["consumers"]:
        assert one["state"] in STATES
