# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workload ID in the sandbox: the real webhook as add-on and as chart, an issuer, and pods that use it. Needs root.

The tests follow one story on one site with the real MIC and NMI: what pods get by NMI alone, the issuer, the add-on,
both ways side by side, workloads that are switched and come back, egress, and the chart instead of the add-on and
beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from applications import account, from_now_on, records, served, workload
from operators import CLUSTER, GROUP, SITE, Operator
from probes import QUICK_NMI
from sandboxes import eventually, running

from azsandbox import programs
from azsandbox.network import AZURE_ADDRESS, IMDS_ADDRESS

pytestmark = [pytest.mark.story, pytest.mark.soak]

NAMESPACE = "billing"
AUDIENCE = "api://AzureADTokenExchange"
OF_NMI, OF_WEBHOOK = {"aadpodidbinding": "billing"}, {"azure.workload.identity/use": "true"}
ADD_ON, CHART = "kube-system", "azure-workload-identity-system"
WEBHOOK = "azure-wi-webhook-controller-manager"
CONFIGURATION = "mutatingwebhookconfiguration/azure-wi-webhook-mutating-webhook-configuration"
BINDING = "clusterrolebinding/azure-wi-webhook-manager-rolebinding"
LOGIN_HOST = "login.microsoftonline.com"
ENTRA, METADATA = f"{AZURE_ADDRESS}:443", f"{IMDS_ADDRESS}:80"


@dataclass
class Story:
    operator: Operator
    identity: dict[str, str]
    issuer: str = ""

    def cluster(self) -> dict[str, Any]:
        return dict(self.operator.sandbox.az("aks", "show", "-g", GROUP, "-n", CLUSTER))

    def update(self, *options: str) -> None:
        self.operator.sandbox.az("aks", "update", "-g", GROUP, "-n", CLUSTER, *options)

    def token(self) -> str:
        made = ("create", "token", "default", "-n", NAMESPACE, "--duration=2h")
        return self.operator.sandbox.exec("kubectl", *made).strip()

    def accepts(self, token: str) -> bool:
        """Whether the API server takes it."""
        file = self.operator.directory / "review.json"
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        file.write_text(json.dumps(review))
        return bool(self.operator.kubectl("create", "-f", str(file))["status"].get("authenticated"))

    def becomes_of_pod(self, namespace: str) -> str:
        """What would become of a pod that asks for Workload ID: ``mutated``, ``unchanged`` or ``refused``."""
        file = self.operator.directory / "pod.json"
        spec = {"containers": [{"name": "app", "image": "mcr.microsoft.com/azurelinux/base/core:3.0"}]}
        metadata = {"name": "dry-run", "namespace": namespace, "labels": OF_WEBHOOK}
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        created = ("create", "-f", str(file), "--dry-run=server", "-o", "json")
        done = self.operator.sandbox.call("exec", "--", "kubectl", *created)
        if done.returncode:
            return "refused"
        environment = json.loads(done.stdout)["spec"]["containers"][0].get("env") or []
        named = "AZURE_FEDERATED_TOKEN_FILE" in [each["name"] for each in environment]
        return "mutated" if named else "unchanged"

    def helm(self, *arguments: str, check: bool = True) -> str:
        """What helm said, on either output."""
        path = self.operator.kubeconfig()
        done = self.operator.sandbox.call("exec", "--", "helm", "--kubeconfig", path, *arguments)
        assert not check or done.returncode == 0, done.stderr[-2000:]
        assert check or done.returncode != 0
        return done.stdout + done.stderr

    def install(self, *, check: bool = True) -> str:
        chart = str(programs.built("workload-identity") / "charts/workload-identity-webhook")
        tenant = self.operator.sandbox.az("account", "show")["tenantId"]
        made = ("--namespace", CHART, "--create-namespace", "--set", f"azureTenantID={tenant},replicaCount=1")
        return self.helm("install", "workload-identity-webhook", chart, *made, check=check)

    def module(self, module: str, **options: Any) -> dict[str, Any]:
        answer = self.operator.module(module, kubeconfig=self.operator.kubeconfig(), **options)
        assert not answer.get("failed"), answer
        return answer

    def exchange(self, account: str, **options: Any) -> dict[str, Any]:
        """What pod_token_info says of a request to Entra itself; no probe must be left."""
        where = {"namespace": NAMESPACE, "service_account": account, "path": "workload_identity", "timeout": 20}
        answer = self.module("pod_token_info", **{**where, **options})
        (entry,) = answer["tokens"]
        assert "eyJ" not in json.dumps(answer) and answer["ok"] is (entry["verdict"] == "ok") and not answer["changed"]
        assert self.operator.sandbox.exec("kubectl", "get", "jobs", "-A", "-o", "name") == ""
        return dict(entry)

    def planned(self, *proofs: dict[str, Any]) -> dict[str, dict[str, set[str]]]:
        """The codes that workload_identity_info has of each workload, with what pods have told."""
        client_id = self.identity["clientId"]
        told = [{"client_id": client_id, "service_account": f"{NAMESPACE}/mover", **each} for each in proofs]
        found = self.module("workload_identity_info", namespaces=[NAMESPACE], exchanges=told)
        return {
            row["name"]: {part: {each["code"] for each in row[part]} for part in ("blocked", "not_looked_at")}
            for row in found["templates"]
        }

    def rolled_out(self, namespace: str) -> None:
        rollout = ("rollout", "status", f"deployment/{WEBHOOK}", "-n", namespace, "--timeout=240s")
        self.operator.sandbox.exec("kubectl", *rollout)

    def there(self, what: str, *place: str) -> bool:
        return bool(self.operator.sandbox.exec("kubectl", "get", what, *place, "--ignore-not-found", "-o", "name"))


def proof(name: str, **told: Any) -> dict[str, Any]:
    """What a pod of that workload told."""
    return {"workload": f"Deployment {NAMESPACE}/{name}", "asked": 1, "granted": 1, **told}


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with running("workload", "--with", "workload-identity") as sandbox:
        variables = {
            **SITE,
            "pod_identity_chart_values": QUICK_NMI,
            "pod_identity_cluster_network_plugin": "azure",
            "pod_identity_cluster_network_policy": "azure",
        }
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        identity = sandbox.az("identity", "show", "-g", GROUP, "-n", "billing")
        operator.apply(
            workload("old", NAMESPACE, "imds", labels=OF_NMI),
            workload("unmoved", NAMESPACE, "managed_identity", labels=OF_NMI),
        )
        yield Story(operator, identity)


def test_by_nmi_alone(story: Story) -> None:
    for name in ("old", "unmoved"):
        found = served(story.operator, name, NAMESPACE)
        assert (found["path"], found["appid"]) == ("nmi", story.identity["clientId"])
        assert set(found["connections"]) == {METADATA} and not found["assertion"]


def test_the_issuer_is_switched_on_live(story: Story) -> None:
    before = story.token()
    assert claims(before)["iss"] == f"https://{story.cluster()['fqdn']}"
    story.update("--enable-oidc-issuer")
    story.issuer = story.cluster()["oidcIssuerProfile"]["issuerUrl"]
    after = story.token()
    assert claims(after)["iss"] == story.issuer
    assert story.accepts(before) and story.accepts(after)
    for path in (".well-known/openid-configuration", "openid/v1/jwks"):
        published = json.loads(story.operator.sandbox.exec("curl", "-sf", f"{story.issuer}{path}"))
        assert published == json.loads(story.operator.sandbox.exec("kubectl", "get", "--raw", f"/{path}"))
    for name in ("old", "unmoved"):
        assert {each["path"] for each in from_now_on(story.operator, name, NAMESPACE)} == {"nmi"}


def test_the_add_on_comes(story: Story) -> None:
    assert story.becomes_of_pod(NAMESPACE) == "unchanged"
    story.update("--enable-workload-identity")
    story.rolled_out(ADD_ON)
    eventually(lambda: story.becomes_of_pod(NAMESPACE) == "mutated", 60)
    assert story.becomes_of_pod(ADD_ON) == "unchanged"
    deployed = story.operator.kubectl("get", "deployment", WEBHOOK, "-n", ADD_ON)
    for each in (deployed["metadata"], deployed["spec"]["template"]["metadata"]):
        marks = ("azure-workload-identity.io/system", "kubernetes.azure.com/managedby")
        assert [each["labels"][mark] for mark in marks] == ["true", "aks"]
    releases = json.loads(story.helm("list", "--all-namespaces", "--output", "json"))
    assert [each["name"] for each in releases] == ["aad-pod-identity"]
    entries = [{"kind": "Deployment", "namespace": NAMESPACE, "name": "old"}]
    found = story.module("workload_identity_webhook_info", templates=entries, proxy_sidecar=True)
    (one,) = found["webhooks"]
    assert (found["installed"], found["serving"], found["unread"]) == ("addon", True, []), one["waiting_for"]
    assert one["version"] == programs.version("workload-identity") and ADD_ON in one["excluded_namespaces"]
    assert {each["of"] for each in one["certificates"] if each["trusted"]} == {"ca_bundle", "serving"}
    (tried,) = found["templates"]
    assert [tried[way]["code"] for way in ("with_label", "with_proxy")] == ["webhook_mutates"] * 2


def test_both_ways_side_by_side(story: Story) -> None:
    """A workload that moves keeps its label of pod identity, and does not use it."""
    subject = f"system:serviceaccount:{NAMESPACE}:mover"
    of_identity = ("-g", GROUP, "--identity-name", "billing", "-n", "mover")
    trusted = ("--issuer", story.issuer, "--subject", subject, "--audiences", AUDIENCE)
    story.operator.sandbox.az("identity", "federated-credential", "create", *of_identity, *trusted)
    labels = {**OF_NMI, **OF_WEBHOOK}
    names = {"moved": "default", "direct": "workload_identity"}
    movers = [
        workload(name, NAMESPACE, how, labels=labels, account="mover", INTERVAL="3") for name, how in names.items()
    ]
    # An SDK that is too old, behind the proxy of Workload ID.
    proxied = {"azure.workload.identity/inject-proxy-sidecar": "true"}
    movers.append(
        workload("proxied", NAMESPACE, "imds", labels=OF_WEBHOOK, annotations=proxied, account="mover", INTERVAL="3")
    )
    story.operator.apply(account("mover", NAMESPACE, story.identity["clientId"]), *movers)
    for name in names:
        found = served(story.operator, name, NAMESPACE)
        assert (found["path"], found["assertion"]) == ("workload_identity", True), found
        assert (found["appid"], found["oid"]) == (story.identity["clientId"], story.identity["principalId"])
        later = from_now_on(story.operator, name, NAMESPACE)
        assert all(each["ok"] and set(each["connections"]) == {ENTRA} for each in later), later
    found = served(story.operator, "proxied", NAMESPACE)
    assert (found["path"], found["appid"], found["connections"]) == ("proxy", story.identity["clientId"], [METADATA])
    assert {each["path"] for each in from_now_on(story.operator, "old", NAMESPACE)} == {"nmi"}
    # What pods say of themselves is what Azure saw of them.
    for name in ("moved", "old"):
        said = records(story.operator, name, NAMESPACE)
        asked = [each for each in said if ENTRA in each["connections"]]
        assert len(asked) == exchanges(story, name, until=said[-1]["ended"]) and bool(asked) == (name == "moved")


def test_an_application_that_stays_with_nmi(story: Story) -> None:
    """Its pod has all of Workload ID, and takes its tokens the old way, which only its pod can tell."""
    staying = workload("staying", NAMESPACE, "imds", labels={**OF_NMI, **OF_WEBHOOK}, account="mover")
    story.operator.apply(staying)
    paths = {name: served(story.operator, name, NAMESPACE)["path"] for name in ("staying", "direct")}
    assert paths == {"staying": "nmi", "direct": "workload_identity"}
    told = story.planned(*(proof(name, served_by=path) for name, path in paths.items()))
    assert told["staying"]["blocked"] == {"falls_back_to_node"} and told["direct"]["blocked"] == set(), told
    story.operator.sandbox.exec("kubectl", "delete", "deployment", "staying", "-n", NAMESPACE)


def exchanges(story: Story, name: str, until: float) -> int:
    """How often the pod of a workload had asked Entra for a token, as Azure's log has it."""
    (pod,) = story.operator.kubectl("get", "pods", "-n", NAMESPACE, "-l", f"app={name}")["items"]
    log = story.operator.sandbox.run("azure", "log", "--json", "--method", "POST", "--path", "/oauth2/v2.0/token")
    entries = [json.loads(line) for line in log.splitlines()]
    mine = [each for each in entries if each["remote"] == pod["status"]["podIP"]]
    # The log has seconds, and the pod pauses for more than one.
    return sum(datetime.fromisoformat(each["time"]).timestamp() <= until for each in mine)


def test_entra_is_asked_as_pods_ask_it(story: Story) -> None:
    """From a probe that the webhook changes, and inside a pod that it has changed."""
    names = {"client_id": "clientId", "object_id": "principalId", "tenant_id": "tenantId"}
    expected = {name: story.identity[key] for name, key in names.items()}
    found = story.exchange("mover", expect=expected, samples=3, sample_interval=1)
    assert (found["verdict"], found["answered_by"], found["path"]) == ("ok", "entra", "workload_identity"), found
    assert found["samples"]["right"] == 3 and found["claims"]["oid"] == story.identity["principalId"]
    assert 3000 < found["assertion"].pop("seconds_left") <= 3600
    subject = f"system:serviceaccount:{NAMESPACE}:mover"
    assert found["assertion"] == {"issuer": story.issuer, "subject": subject, "audience": AUDIENCE}
    (pod,) = story.operator.kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=direct")["items"]
    inside = story.exchange("", pod=pod["metadata"]["name"], method="exec", expect=expected)
    assert (inside["verdict"], inside["answered_by"]) == ("ok", "entra"), inside
    bare = story.exchange("default")
    assert bare["verdict"] == "exchange_incomplete" and "AZURE_CLIENT_ID is empty" in bare["message"]
    refused = story.exchange("default", client_id=story.identity["clientId"])
    assert (refused["verdict"], refused["error_code"][:10]) == ("federation_refused", "AADSTS7002"), refused


def test_egress_is_closed_by_a_policy(story: Story) -> None:
    """Pods that come later are held too; the way to NMI is none that a policy closes."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["closed", "old"]}]},
            "policyTypes": ["Egress"],
            "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}],
        },
    }
    closed = workload("closed", NAMESPACE, "workload_identity", labels=OF_WEBHOOK, account="mover", TIMEOUT="2")
    story.operator.apply(policy, closed)
    story.operator.sandbox.exec("kubectl", "rollout", "status", "deployment/closed", "-n", NAMESPACE)
    for each in from_now_on(story.operator, "closed", NAMESPACE):
        assert (each["ok"], set(each["connections"]), each["answers"]) == (False, {ENTRA}, []), each
    (pod,) = story.operator.kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=closed")["items"]
    # In a pod that the policy holds already: a new one is held half a second after it has begun.
    blocked = story.exchange("", pod=pod["metadata"]["name"], method="exec", timeout=5)
    assert (blocked["verdict"], blocked["answered_by"]) == ("path_blocked", "nobody"), blocked
    for text in (f"did not reach https://{LOGIN_HOST}/", "on port 443", "network policies"):
        assert text in blocked["message"], blocked
    told = story.planned(proof("closed", asked=0, granted=0, reached=blocked["verdict"] != "path_blocked"))
    for name in ("closed", "old"):
        assert "login_host_not_reached" in told[name]["blocked"], told[name]
    assert "login_host_not_reached" in told["direct"]["not_looked_at"]
    assert all(each["ok"] for each in from_now_on(story.operator, "direct", NAMESPACE))
    assert {each["path"] for each in from_now_on(story.operator, "old", NAMESPACE)} == {"nmi"}
    story.operator.sandbox.exec("kubectl", "delete", "networkpolicy", "closed", "-n", NAMESPACE)
    assert served(story.operator, "closed", NAMESPACE)["path"] == "workload_identity"
    assert "login_host_not_reached" in story.planned()["closed"]["not_looked_at"]


def test_the_chart_is_refused_beside_the_add_on(story: Story) -> None:
    refused = story.install(check=False)
    assert "invalid ownership metadata" in refused and "aks-managed-workload-identity" in refused


def test_the_add_on_goes(story: Story) -> None:
    """What runs has its token; what is created anew has not."""
    story.update("--disable-workload-identity")
    for what in (CONFIGURATION, BINDING):
        assert not story.there(what)
    assert not story.there(f"deployment/{WEBHOOK}", "-n", ADD_ON)
    assert story.becomes_of_pod(NAMESPACE) == "unchanged"
    assert {each["path"] for each in from_now_on(story.operator, "moved", NAMESPACE)} == {"workload_identity"}
    missing = story.exchange("mover")
    assert missing["verdict"] == "not_mutated" and "the cluster has no webhook" in missing["message"]


def test_the_chart_by_hand_and_the_add_on_over_it(story: Story) -> None:
    """The add-on takes over what both name alike, so that the chart's webhook has lost its pods and its rights."""
    story.install()
    story.rolled_out(CHART)
    eventually(lambda: story.becomes_of_pod(NAMESPACE) == "mutated", 60)
    story.update("--enable-workload-identity")
    assert story.there(f"deployment/{WEBHOOK}", "-n", CHART) and story.there(f"deployment/{WEBHOOK}", "-n", ADD_ON)
    (webhook,) = story.operator.kubectl("get", CONFIGURATION)["webhooks"]
    assert webhook["clientConfig"]["service"]["namespace"] == ADD_ON
    assert [each["namespace"] for each in story.operator.kubectl("get", BINDING)["subjects"]] == [ADD_ON]
    found = story.module("workload_identity_webhook_info")
    assert (found["installed"], found["serving"]) == ("both", False)
    assert {(each["kind"], each["namespace"]) for each in found["webhooks"]} == {("addon", ADD_ON), ("chart", CHART)}
