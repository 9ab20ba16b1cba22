# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes tokens through pods of others: with the real subject."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import Raw

from .migration_world import CLIENT_ID, LABEL, Made, made, metadata, template, unlabelled


def add(kind: str, raw: Raw) -> t.Callable[[Made], None]:
    return lambda one: one.objects.setdefault(kind, []).append(raw)


def running(image: str, name: str = "operator", selector: str = "") -> t.Callable[[Made], None]:
    container = {"name": "main", "image": image}
    spec = {"template": template(selector, name, container)}
    return add("Deployment", {"metadata": metadata(name, "tools"), "spec": spec})


def consumers(*changes: t.Callable[[Made], object]) -> list[dict[str, t.Any]]:
    return list(made(*changes).data()["consumers"])


def auth(provider: str, **more: str) -> Raw:
    return {"metadata": metadata("queue"), "spec": {"podIdentity": {"provider": provider, **more}}}


@pytest.mark.parametrize(("provider", "uses"), [("azure", "pod_identity"), ("azure-workload", "workload_identity")])
def test_keda_asks_as_its_operator(provider: str, uses: str) -> None:
    changes = (
        running("ghcr.io/kedacore/keda:2.14.0"),
        add("TriggerAuthentication", auth(provider, identityId=CLIENT_ID)),
    )
    (found,) = consumers(*changes)
    assert (found["product"], found["object"], found["uses"]) == ("KEDA", "TriggerAuthentication team/queue", uses)
    assert found["setting"] == f"spec.podIdentity.provider: {provider}" and found["client_id"] == CLIENT_ID
    assert found["workloads"] == ["Deployment tools/operator"]
    assert found["subjects"] == ["system:serviceaccount:tools:operator"]


def test_keda_without_an_operator_or_with_another_provider() -> None:
    (found,) = consumers(add("ClusterTriggerAuthentication", {**auth("azure"), "metadata": {"name": "all"}}))
    assert found["object"] == "ClusterTriggerAuthentication all" and found["subjects"] == []
    assert consumers(add("TriggerAuthentication", auth("aws"))) == []
    assert consumers(add("TriggerAuthentication", {"metadata": metadata("q"), "spec": {}})) == []


def secret_class(**parameters: str) -> Raw:
    return {"metadata": metadata("vault"), "spec": {"provider": "azure", "parameters": parameters}}


def mounting(one: Made) -> None:
    csi = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}
    one.web["spec"]["volumes"] = [{"name": "secrets", "csi": csi}]


def test_the_csi_driver_asks_as_each_pod_that_mounts() -> None:
    (found,) = consumers(mounting, add("SecretProviderClass", secret_class(usePodIdentity="true")))
    assert found["uses"] == "pod_identity" and found["subjects"] == ["system:serviceaccount:team:web"]
    (found,) = consumers(add("SecretProviderClass", secret_class(usePodIdentity="false", clientID=CLIENT_ID)))
    assert (found["uses"], found["client_id"], found["workloads"]) == ("workload_identity", CLIENT_ID, [])
    assert consumers(add("SecretProviderClass", secret_class(useVMManagedIdentity="true"))) == []


def test_settings_of_others() -> None:
    dns = {"dns01": {"azureDNS": {"managedIdentity": {"clientID": CLIENT_ID}}}}
    issuer = {"metadata": {"name": "dns"}, "spec": {"acme": {"solvers": [{"http01": {}}, dns]}}}
    backup = {"metadata": metadata("default", "tools"), "spec": {"provider": "azure", "config": {"useAAD": "true"}}}
    source = {"metadata": metadata("apps", "flux-system"), "spec": {"provider": "azure"}}
    found = consumers(
        running("quay.io/jetstack/cert-manager-controller:v1.15.0", "cert-manager"),
        running("docker.io/velero/velero:v1.14.0", "velero"),
        running("ghcr.io/fluxcd/source-controller:v1.3.0", "source-controller"),
        running("ghcr.io/fluxcd/kustomize-controller:v1.3.0", "kustomize-controller"),
        add("ClusterIssuer", issuer),
        add("BackupStorageLocation", backup),
        add("GitRepository", source),
    )
    told = {each["object"]: (each["product"], each["workloads"]) for each in found}
    assert told == {
        "ClusterIssuer dns": ("cert-manager", ["Deployment tools/cert-manager"]),
        "BackupStorageLocation tools/default": ("Velero", ["Deployment tools/velero"]),
        "GitRepository flux-system/apps": ("Flux", ["Deployment tools/source-controller"]),
    }
    assert {each["setting"] for each in found} >= {"spec.acme.solvers[1].dns01.azureDNS", "spec.config.useAAD: true"}


def test_a_secret_of_a_service_principal_is_no_consumer() -> None:
    dns = {"dns01": {"azureDNS": {"clientSecretSecretRef": {"name": "s"}}}}
    assert consumers(add("Issuer", {"metadata": metadata("i"), "spec": {"acme": {"solvers": [dns]}}})) == []


@pytest.mark.parametrize(
    ("image", "product"),
    [
        ("mcr.microsoft.com/azure-application-gateway/kubernetes-ingress:1.7.2", "AGIC"),
        ("registry.k8s.io/external-dns/external-dns:v0.14.0", "external-dns"),
        ("mcr.microsoft.com/k8s/azureserviceoperator:v2.8.0", "Azure Service Operator"),
        ("docker.io/velero/velero:v1.14.0", "Velero"),
    ],
)
def test_controllers_that_get_an_identity_themselves(image: str, product: str) -> None:
    (found,) = consumers(running(image, "tool", selector="x"))
    assert (found["product"], found["object"], found["uses"]) == (product, "Deployment tools/tool", "pod_identity")
    assert found["subjects"] == ["system:serviceaccount:tools:tool"] and found["remedy"]
    assert consumers(running(image, "tool")) == []


def test_one_that_others_ask_by_keeps_its_label_until_these_are_changed() -> None:
    def operator(one: Made) -> None:
        one.container["image"] = "ghcr.io/kedacore/keda:2.14.0"
        one.objects["TriggerAuthentication"] = [auth("azure")]

    found = made(operator).plan(LABEL)
    assert [(item.code, item.stage) for item in found.blocked] == [("others_take_tokens_by_it", "leave")]
    # It may switch all the same.
    assert made(operator, unlabelled).plan(LABEL).verdict == "needs"
