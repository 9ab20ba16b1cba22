# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_webhook_info and the probes of Workload ID with the real webhook and its real chart."""

from __future__ import annotations

import base64
import copy
import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.gates import listening
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, manifest, use_up
from ansible_collections.azureops.pod_identity.tests.kube.token_pods import SOON, Watcher, make_pod, nodes, probes
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Outcome, Runner
from ansible_collections.azureops.pod_identity.tests.support.workload_identity import TENANT, Webhook

__all__ = ["nodes"]  # a fixture
Raw = dict[str, Any]
IDENTITY = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
SYSTEM, RELEASE = "kube-system", "azure-workload-identity-system"
PROXY = ["azwi-proxy", "azwi-proxy-init"]
NAME = "azure-wi-webhook-mutating-webhook-configuration"


@pytest.fixture
def webhook(api_server: ApiServer) -> Iterator[Webhook]:
    with workload_identity.running(api_server) as started:
        yield started


@pytest.fixture
def look(api_server: ApiServer) -> Runner:
    return Runner(api_server, "workload_identity_webhook_info")


@pytest.fixture
def place(client: Client, namespace: str) -> str:
    """A namespace with the service accounts that pods there use; nothing makes them here."""
    for name in ("default", "billing"):
        annotations = {of_chart.CLIENT_ID: IDENTITY} if name == "billing" else {}
        create(client, kinds.SERVICE_ACCOUNT, namespace, name, metadata={"annotations": annotations})
    return namespace


def container(name: str = "api", **fields: Any) -> Raw:
    return {"name": name, "image": name, **fields}


def given(place: str, name: str, *containers: Raw, annotations: Raw | None = None, **spec: Any) -> Raw:
    """An entry of ``templates`` with its definition."""
    metadata = {"labels": {"app": name, "aadpodidbinding": name}, "annotations": annotations or {}}
    pod = {"serviceAccountName": "billing", "containers": list(containers) or [container()], **spec}
    template = {"metadata": metadata, "spec": pod}
    return {"kind": "Deployment", "definition": manifest(kinds.DEPLOYMENT, name, place, spec={"template": template})}


def tried(outcome: Outcome) -> dict[str, Raw]:
    return {each["name"]: each for each in outcome.ok()["templates"]}


OWN = {"name": "AZURE_CLIENT_ID", "value": "another"}
BOUNDS = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}


def test_what_it_does_to_pods(
    look: Runner, client: Client, api_server: ApiServer, webhook: Webhook, place: str
) -> None:
    entries = [
        given(place, "plain"),
        given(place, "own", container(env=[OWN])),
        given(place, "skipped", container(), container("side"), annotations=_annotation("skip-containers", "side")),
        given(place, "early", initContainers=[container("wait")]),
        given(place, "host", hostNetwork=True),
        given(place, "newer", resources=BOUNDS),
        given(place, "nobody", serviceAccountName="nobody"),
        given(place, "expiry", annotations=_annotation("service-account-token-expiration", "60")),
        given(place, "asking", annotations=_annotation("inject-proxy-sidecar", "false")),
    ]
    before = len(api_server.events())
    found = tried(look(templates=entries, proxy_sidecar=True))
    codes = {name: (each["with_label"]["code"], each["with_proxy"]["code"]) for name, each in found.items()}
    mutates = "webhook_mutates"
    assert codes == {
        "plain": (mutates, mutates),
        "own": (mutates, mutates),
        "skipped": (mutates, mutates),
        "early": (mutates, mutates),
        "host": (mutates, "webhook_refuses"),
        "newer": ("webhook_loses_fields", "webhook_loses_fields"),
        "nobody": ("webhook_refuses", "webhook_refuses"),
        "expiry": ("webhook_refuses", "webhook_refuses"),
        "asking": (mutates, mutates),
    }, found
    plain = found["plain"]["with_label"]
    assert plain["token_volume"] == {
        "name": "azure-identity-token",
        "path": "azure-identity-token",
        "audience": "api://AzureADTokenExchange",
        "expiration_seconds": 3600,
    }
    (api,) = plain["containers"]
    assert api["has_token"] and api["client_id"] == IDENTITY and api["own"] == []
    assert api["added"] == {
        "AZURE_CLIENT_ID": IDENTITY,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    assert (plain["lost"], plain["changed"], plain["added"], plain["proxy_containers"]) == ([], [], [], [])
    proxied = found["plain"]["with_proxy"]
    assert (
        sorted(proxied["proxy_containers"]) == PROXY and proxied["lost"] == proxied["changed"] == proxied["added"] == []
    )
    assert found["early"]["with_proxy"]["before_redirect"] == ["wait"] and not proxied["native_proxy"]
    (own,) = found["own"]["with_label"]["containers"]
    assert (own["own"], own["client_id"]) == (["AZURE_CLIENT_ID"], "another")
    assert [each["has_token"] for each in found["skipped"]["with_label"]["containers"]] == [True, False]
    assert "hostNetwork is set to true" in found["host"]["with_proxy"]["message"]
    assert found["newer"]["with_label"]["lost"] == ["spec.resources"]
    assert found["newer"]["with_label"]["containers"][0]["has_token"], "it loses the field although it does its work"
    assert sorted(found["asking"]["with_label"]["proxy_containers"]) == PROXY, "any value of the annotation counts"
    assert all(each["covered"] for each in found.values())
    assert client.list_all(kinds.POD, place) == ()
    assert _written(api_server, before) == {"create pods"}, "only dry runs"


def _annotation(name: str, value: str) -> Raw:
    return {f"azure.workload.identity/{name}": value}


def _written(api_server: ApiServer, since: int) -> set[str]:
    """What the module asked to write, each in a dry run."""
    found = set()
    for event in api_server.events()[since:]:
        if event.get("userAgent", "").startswith("azureops") and event["verb"] not in ("get", "list"):
            assert "dryRun=All" in event["requestURI"], event["requestURI"]
            found.add(f"{event['verb']} {event['objectRef']['resource']}")
    return found


def test_what_the_namespace_refuses(
    look: Runner, client: Client, api_server: ApiServer, webhook: Webhook, place: str
) -> None:
    bounded = given(place, "bounded", container(resources=BOUNDS))
    free = given(place, "free")

    def codes(*entries: Raw) -> list[tuple[str, str, bool]]:
        found = tried(look(templates=list(entries), proxy_sidecar=True)).values()
        return [
            (one["with_label"]["code"], one["with_proxy"]["code"], one["with_label"]["refused_without"])
            for one in found
        ]

    use_up(client, place, "limits.cpu", "4", "0")
    quota = "quota_refuses"
    server.until("the quota is known", lambda: codes(free) == [(quota, quota, True)])
    assert codes(bounded) == [("webhook_mutates", quota, False)]
    client.delete(kinds.RESOURCE_QUOTA, place, "quota")
    server.until("the quota is gone", lambda: codes(free) == [("webhook_mutates", "webhook_mutates", False)])

    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    client.merge(server.NAMESPACE, None, place, {"metadata": {"labels": labels}})
    security = "pod_security_refuses"
    server.until("the standard is known", lambda: codes(free) == [("webhook_mutates", security, False)])
    client.merge(server.NAMESPACE, None, place, {"metadata": {"labels": dict.fromkeys(labels)}})

    made = given(place, "secret", container(env=[{"name": "PASSWORD", "value": "open sesame"}]))["definition"]
    labels = made["spec"]["template"]["metadata"]["labels"]
    made["spec"]["selector"] = {"matchLabels": labels}
    client.create(kinds.DEPLOYMENT, place, made)
    secret = {"kind": "Deployment", "namespace": place, "name": "secret"}
    quoting = obstacles.refusal(api_server, quoting=True)
    with quoting as config, obstacles.webhook(client, place, "pods", config, group=""):
        server.until("the policy is known", lambda: codes(secret) == [("policy_refuses", "policy_refuses", True)])
        assert "sesame" not in look(templates=[secret]).output


def test_templates_of_the_cluster(look: Runner, client: Client, webhook: Webhook, place: str) -> None:
    """By their names; of a live pod what its node and its controllers add is left out."""
    labels = {"app": "db"}
    mounts = [{"name": "data", "mountPath": "/data"}]
    pod = {"serviceAccountName": "billing", "containers": [container(volumeMounts=mounts)]}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec = {
        "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    create(client, kinds.STATEFUL_SET, place, "db", spec=spec)
    make_pod(client, place, "bare", "nowhere", serviceAccountName="billing")
    entries = [
        {"kind": "StatefulSet", "namespace": place, "name": "db"},
        {"kind": "Pod", "namespace": place, "name": "bare"},
    ]
    found = tried(look(templates=entries))
    assert [found[name]["with_label"]["code"] for name in ("db", "bare")] == ["webhook_mutates"] * 2, found
    assert found["db"]["with_proxy"] == {}
    server.end_pod(client, place, "bare")
    missing = look(templates=[{"kind": "Job", "namespace": place, "name": "none"}]).failure()
    assert missing == f"Job {place}/none does not exist: name one that does."
    assert "set namespace" in look(templates=[{"kind": "Job", "name": "none"}]).failure()


def test_a_webhook_that_does_not_serve(look: Runner, client: Client, webhook: Webhook, place: str) -> None:
    """What happens then is the failure policy's to say."""
    webhook.stop()
    entry = given(place, "api")
    found = tried(look(templates=[entry]))["api"]["with_label"]
    assert found["code"] == "webhook_unreached" and "bring the webhook to run" in found["message"]
    webhook.configure(failurePolicy="Ignore", timeoutSeconds=1)
    server.until("the policy is known", lambda: _code(look, entry) == "webhook_leaves_alone")
    outcome = look(templates=[entry]).ok()
    assert "was not called or did nothing" in outcome["templates"][0]["with_label"]["message"]
    (one,) = outcome["webhooks"]
    assert (one["kind"], one["failure_policy"], outcome["installed"]) == ("other", "Ignore", "other")
    assert one["url"] and one["while_not_serving"].endswith("are created without a token")


def _code(look: Runner, entry: Raw) -> str:
    return str(tried(look(templates=[entry]))[entry["definition"]["metadata"]["name"]]["with_label"]["code"])


def test_namespaces_that_it_leaves_alone(look: Runner, client: Client, webhook: Webhook, place: str) -> None:
    """As AKS configures it."""
    webhook.configure(namespaceSelector={"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]})
    client.merge(server.NAMESPACE, None, place, {"metadata": {"labels": {"control-plane": "team"}}})
    entry = given(place, "api")
    server.until("the selector is known", lambda: _code(look, entry) == "webhook_leaves_alone")
    outcome = look(templates=[entry]).ok()
    (one,) = outcome["templates"]
    assert one["covered"] is False and "passes its namespace over" in one["with_label"]["message"]
    assert outcome["webhooks"][0]["excluded_namespaces"] == [place]


class Forgetful(obstacles.Admission):
    """A DOUBLE of a webhook that is older than fields which this API server knows: version 1.3.0 knows these."""

    def response(self, request: Any) -> dict[str, Any]:
        remove: list[Raw] = [
            {"op": "remove", "path": "/spec/containers/0/lifecycle"},
            {"op": "replace", "path": "/spec/terminationGracePeriodSeconds", "value": 30},
        ]
        return obstacles.patching(remove)


def test_fields_deep_within_a_pod(look: Runner, api_server: ApiServer, webhook: Webhook, place: str) -> None:
    life = {"preStop": {"exec": {"command": ["/end"]}}}
    entry = given(place, "api", container(lifecycle=life), terminationGracePeriodSeconds=120)
    with listening(Forgetful, api_server.ca, api_server.folder / "key.pem") as url:
        authority = base64.b64encode(api_server.ca.read_bytes()).decode()
        webhook.configure(clientConfig={"url": f"{url}/", "caBundle": authority})
        server.until("the double is called", lambda: _code(look, entry) == "webhook_loses_fields")
        found = tried(look(templates=[entry]))["api"]["with_label"]
    assert found["lost"] == ["spec.containers[api].lifecycle"]
    assert found["changed"] == ["spec.terminationGracePeriodSeconds"]


def test_the_probe_is_changed_by_the_webhook(
    api_server: ApiServer, crds: None, client: Client, webhook: Webhook, place: str, nodes: dict[str, str]
) -> None:
    """Although its workload has no label yet; nothing starts here, so the pod alone tells."""
    make_pod(client, place, "api", nodes["a0"], serviceAccountName="billing")
    token_info = Runner(api_server, "pod_token_info")
    with Watcher(client, place) as seen:
        outcome = token_info(namespace=place, selector=place, path="workload_identity", **SOON).ok()
    (entry,) = outcome["tokens"]
    assert entry["verdict"] == "not_verified" and "did not start" in entry["message"]
    assert (entry["service_account"], entry["selector"], entry["assertion"]) == ("billing", place, {})
    assert seen.pod is not None and probes(client, place) == []
    labels = seen.pod["metadata"]["labels"]
    assert labels[of_chart.USE_LABEL] == "true" and labels["app"] == "api" and "aadpodidbinding" not in labels
    (probe,) = seen.pod["spec"]["containers"]
    told = {each["name"]: each["value"] for each in probe["env"]}
    assert told["AZURE_CLIENT_ID"] == IDENTITY and told["AZURE_TENANT_ID"] == TENANT
    assert told["AZURE_FEDERATED_TOKEN_FILE"].startswith(probe["volumeMounts"][0]["mountPath"])


# which webhook is there


@pytest.fixture
def release(api_server: ApiServer, client: Client) -> Iterator[None]:
    """The published chart."""
    arguments = ("--namespace", RELEASE, "--create-namespace", "--set", f"azureTenantID={TENANT}")
    api_server.helm("install", "wi", workload_identity.chart(), *arguments)
    yield
    api_server.helm("uninstall", "wi", "--namespace", RELEASE)
    client.delete(server.NAMESPACE, None, RELEASE)
    server.until("its namespace is gone", lambda: client.get(server.NAMESPACE, None, RELEASE) is None)


Sign = Callable[[str, "x509.Certificate | None"], x509.Certificate]


def _sign(days: int = 3650) -> Sign:
    """Makes certificates with one key: an authority's, or one that it signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def make(name: str, authority: x509.Certificate | None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject if authority else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=4000))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )

    return make


def _encoded(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()


def _serve(client: Client, bundle: x509.Certificate, own: x509.Certificate, ready: int) -> None:
    """What the webhook and the controllers of a cluster would write once it runs."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = base64.b64encode(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())).decode()
    data = {"tls.crt": _encoded(own), "tls.key": private}
    client.merge(kinds.SECRET, RELEASE, "azure-wi-webhook-server-cert", {"data": data})
    name = NAME
    raw = client.get(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, name) or {}
    (entry,) = copy.deepcopy(raw["webhooks"])
    entry["clientConfig"]["caBundle"] = _encoded(bundle)
    client.merge(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, name, {"webhooks": [entry]})
    endpoints = "azure-wi-webhook-webhook-service"
    client.delete(kinds.ENDPOINTS, RELEASE, endpoints)
    addresses = [{"ip": f"10.1.0.{number}"} for number in range(1, ready + 1)]
    subset = {"addresses": addresses or None, "notReadyAddresses": [{"ip": "10.1.0.9"}], "ports": [{"port": 9443}]}
    create(client, kinds.ENDPOINTS, RELEASE, endpoints, subsets=[subset])


def test_the_chart(look: Runner, client: Client, release: None) -> None:
    found = look().ok()
    (one,) = found["webhooks"]
    assert (found["installed"], found["serving"], one["serving"]) == ("chart", False, False)
    assert (one["version"], one["managed_by"]) == ("v1.3.0", "helm")
    assert (one["release_name"], one["release_namespace"], one["namespace"]) == ("wi", RELEASE, RELEASE)
    assert one["configuration"] == NAME and one["failure_policy"] == "Fail" and one["excluded_namespaces"] == []
    told = " ".join(one["waiting_for"])
    assert "has no ready endpoint" in told and "has no caBundle" in told and one["certificates"] == []

    sign = _sign()
    authority = sign("azure-workload-identity-ca", None)
    _serve(client, authority, sign("webhook.svc", authority), 2)
    found = look().ok()
    (one,) = found["webhooks"]
    assert found["serving"] and one["ready_endpoints"] == 2 and found["unread"] == [], one["waiting_for"]
    assert [(each["of"], each["subject"], each["expired"], each["trusted"]) for each in one["certificates"]] == [
        ("ca_bundle", "CN=azure-workload-identity-ca", False, True),
        ("serving", "CN=webhook.svc", False, True),
    ]
    assert "PRIVATE" not in json.dumps(found) and "LS0t" not in json.dumps(found), "no key, nor a certificate itself"

    _serve(client, authority, _sign()("webhook.svc", authority), 1)
    assert look().ok()["webhooks"][0]["waiting_for"] == ["its certificate is not signed by its caBundle"]
    old = _sign(-1)
    expired = old("azure-workload-identity-ca", None)
    _serve(client, expired, old("webhook.svc", expired), 0)
    assert look().ok()["webhooks"][0]["waiting_for"] == [
        f"the Service {RELEASE}/azure-wi-webhook-webhook-service has no ready endpoint",
        "its caBundle has expired",
        "its certificate has expired",
    ]


def _copied(client: Client, namespace: str, **labels: str) -> None:
    """The Deployment of the chart in another namespace."""
    raw = client.get(kinds.DEPLOYMENT, RELEASE, "azure-wi-webhook-controller-manager") or {}
    metadata = {"labels": {**raw["metadata"]["labels"], **labels}}
    create(client, kinds.DEPLOYMENT, namespace, raw["metadata"]["name"], metadata=metadata, spec=raw["spec"])


def test_the_addon_beside_the_chart_and_a_copy_of_a_tenant(
    look: Runner, client: Client, release: None, namespace: str
) -> None:
    _copied(client, namespace)
    found = look().ok()
    assert found["installed"] == "chart" and len(found["webhooks"]) == 1
    (doubted,) = found["not_believed"]
    assert doubted["object"] == f"Deployment {namespace}/azure-wi-webhook-controller-manager"
    _copied(client, SYSTEM, **{"kubernetes.azure.com/managedby": "aks"})
    try:
        found = look().ok()
    finally:
        client.delete(kinds.DEPLOYMENT, SYSTEM, "azure-wi-webhook-controller-manager")
    assert found["installed"] == "both" and not found["serving"]
    assert {(each["kind"], each["namespace"], each["configuration"]) for each in found["webhooks"]} == {
        ("chart", RELEASE, NAME),
        ("addon", SYSTEM, ""),
    }
    found = look(release_namespaces=[namespace]).ok()
    assert {each["namespace"] for each in found["webhooks"]} == {RELEASE, namespace} and found["not_believed"] == []


def test_nothing(look: Runner, place: str) -> None:
    found = look(templates=[given(place, "api")]).ok()
    assert (found["installed"], found["serving"], found["webhooks"], found["changed"]) == ("none", False, [], False)
    (one,) = found["templates"]
    assert one["with_label"]["code"] == "webhook_leaves_alone" and "has no webhook" in one["with_label"]["message"]


def test_few_rights_leave_the_rest_told(look: Runner, client: Client, release: None, place: str) -> None:
    """And the permissions that are told are those that it needs."""
    assert "may not list mutatingwebhookconfigurations" in look(token=RESTRICTED).failure()
    kind = kinds.MUTATING_WEBHOOK_CONFIGURATION
    rule = {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["list"]}
    entry = given(place, "api")
    with server.rights_of_restricted(client, "hooks", rule):
        server.until("the right is known", lambda: look(token=RESTRICTED).rc == 0)
        found = look(token=RESTRICTED, templates=[entry]).ok()
    (one,) = found["webhooks"]
    assert found["installed"] == "unknown" and one["excluded_namespaces"] is None and one["ready_endpoints"] is None
    assert one["waiting_for"][0] == "it is not known which Deployment serves it"
    told = " ".join(found["unread"])
    assert all(words in told for words in ("not list deployments", "not list namespaces", "not get endpoints"))
    (row,) = found["templates"]
    assert row["covered"] is None and row["with_label"]["code"] == "dry_run_missing"
    needed = look(templates=[entry]).ok()
    assert needed["templates"][0]["with_label"]["code"] == "webhook_unreached"
    rules = [
        {"apiGroups": [each["api_group"]], "resources": [each["resource"]], "verbs": each["verbs"]}
        for each in needed["permissions"]
    ]
    with server.rights_of_restricted(client, "hooks", *rules):
        # Anew each time: controllers may not have seen all of the release yet.
        server.until(
            "the rights are known",
            lambda: look(token=RESTRICTED, templates=[entry]).result == look(templates=[entry]).ok(),
        )
