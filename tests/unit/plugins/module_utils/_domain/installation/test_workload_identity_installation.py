# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which webhooks of Workload ID are believed, who installed them, and whether they serve."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_installation as installation,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

Raw = dict[str, Any]
Certificate = installation.Certificate
Seen = installation.Seen
BUNDLE, SERVING = installation.BUNDLE, installation.SERVING
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
CHART = "azure-workload-identity-system"
SYSTEM = "kube-system"
OF_AKS = {"kubernetes.azure.com/managedby": "aks"}
# The second is as helm writes down what AKS installs (Azure/AKS#4065).
RELEASE, RELEASE_OF_AKS = (
    {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
    for name, namespace in (("wi", CHART), ("aks-managed-workload-identity", SYSTEM))
)


def configuration(namespace: str = CHART, name: str = "wi", **changes: Any) -> Raw:
    service = {"namespace": namespace, "name": "azure-wi-webhook-webhook-service"}
    entry = {
        "name": "mutation.azure-workload-identity.io",
        "clientConfig": {"service": service, "caBundle": "Y2E="},
        "failurePolicy": "Fail",
        "objectSelector": {"matchLabels": {"azure.workload.identity/use": "true"}},
        **changes,
    }
    return {"metadata": {"name": name}, "webhooks": [entry]}


def deployment(namespace: str = CHART, annotations: Raw | None = None, **labels: str) -> Raw:
    marks = {"azure-workload-identity.io/system": "true"}
    container = {"name": "manager", "image": "mcr.microsoft.com/oss/azure/workload-identity/webhook:v1.3.0"}
    volumes = [{"name": "cert", "secret": {"secretName": "azure-wi-webhook-server-cert"}}]
    template = {"metadata": {"labels": marks}, "spec": {"containers": [container], "volumes": volumes}}
    metadata = {"name": "azure-wi", "namespace": namespace, "labels": labels, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"template": template}}


def objects(configurations: list[Raw], deployments: list[Raw], **others: list[Raw]) -> dict[str, list[Raw]]:
    return {"MutatingWebhookConfiguration": configurations, "Deployment": deployments, **others}


def addon() -> Raw:
    return deployment(SYSTEM, None, **OF_AKS)


@for_each(
    case("nothing", [], [], [], "none"),
    case("chart", [configuration()], [deployment(annotations=RELEASE)], ["chart"], "chart"),
    case("manifests", [configuration()], [deployment()], ["chart"], "chart"),
    case("addon-by-label", [configuration(SYSTEM)], [addon()], ["addon"], "addon"),
    case("addon-by-release", [configuration(SYSTEM)], [deployment(SYSTEM, RELEASE_OF_AKS)], ["addon"], "addon"),
    case("chart-in-kube-system", [configuration(SYSTEM)], [deployment(SYSTEM, RELEASE)], ["chart"], "chart"),
    case("release-name-elsewhere", [configuration()], [deployment(annotations=RELEASE_OF_AKS)], ["chart"], "chart"),
    case("addon-not-led-to", [configuration()], [deployment(), addon()], ["chart", "addon"], "both"),
    case("configuration-left-over", [configuration()], [], ["other"], "other"),
    case("url", [configuration(clientConfig={"url": "https://wi.example.com/"})], [], ["other"], "other"),
    case("addon-without-configuration", [], [addon()], ["addon"], "addon"),
    case("two", [configuration(), configuration(SYSTEM, "wi-2")], [deployment(), addon()], ["chart", "addon"], "both"),
)
def test_what_is_installed(configurations: list[Raw], deployments: list[Raw], kinds: list[str], said: str) -> None:
    found, doubted = installation.find(objects(configurations, deployments))
    assert [one.kind for one in found] == kinds and doubted == ()
    assert installation.installed(found) == said


def _role(verbs: list[str]) -> Raw:
    kinds = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"]}
    return {"metadata": {"name": "role"}, "rules": [{**kinds, "verbs": verbs}]}


def _binding(namespace: str) -> Raw:
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": "azure-wi-webhook-admin"}
    return {"metadata": {"name": "b"}, "roleRef": {"name": "role"}, "subjects": [subject]}


@for_each((["get", "update"], "team", True), (["get", "list"], "team", False), (["update"], "other", False))
def test_a_deployment_that_no_configuration_leads_to(verbs: list[str], bound: str, believed: bool) -> None:
    """Whoever may write in a namespace can make one; rights to write configurations are not his to give."""
    roles = {"ClusterRole": [_role(verbs)], "ClusterRoleBinding": [_binding(bound)]}
    found, doubted = installation.find(objects([configuration(SYSTEM)], [addon(), deployment("team")], **roles))
    assert len(found) == 1 + believed and len(doubted) == 1 - believed
    assert installation.installed(found) == ("both" if believed else "addon")
    assert "namespace team" in installation.doubt("team")


def test_the_chart_that_the_addon_was_enabled_over() -> None:
    """The add-on has taken configuration and binding over, so that only the operator's word leads to the chart."""
    there = objects([configuration(SYSTEM)], [addon(), deployment()])
    found, doubted = installation.find(there)
    assert installation.installed(found) == "addon" and len(doubted) == 1
    found, doubted = installation.find(there, [CHART])
    assert installation.installed(found) == "both" and doubted == ()
    assert [(one.kind, one.webhook is None) for one in found] == [("addon", False), ("chart", True)]


def _state(one: int = 0, seen: Seen | None = None, namespaces: list[Raw] | None = None, **given: Any) -> Any:
    there = objects(given.get("configurations", [configuration()]), given.get("made", [deployment()]))
    found, _doubted = installation.find(there)
    return installation.state(found[one], seen or Seen(ready=2), namespaces, NOW)


def test_one_that_serves() -> None:
    found = _state()
    assert found.serving and found.waiting_for == () and found.ready_endpoints == 2
    assert (found.version, found.managed_by, found.failure_policy) == ("v1.3.0", "manifests", "Fail")
    assert "are not created in namespaces" in found.while_not_serving
    assert (found.configuration, found.namespace, found.deployment) == ("wi", CHART, "azure-wi")
    assert found.excluded_namespaces is None


def _certificate(of: str, days: float, trusted: bool = True) -> Certificate:
    return Certificate(of, f"CN={of}", NOW + timedelta(days=days), trusted)


@for_each(
    (Seen(ready=0), {}, "has no ready endpoint"),
    (Seen(ready=None), {}, "it is not known whether the Service"),
    (Seen(ready=1), {"made": []}, "no Deployment of the webhook is in the namespace"),
    (Seen(ready=1, certificates=(_certificate(BUNDLE, 0),)), {}, "its caBundle has expired"),
    (Seen(ready=1, certificates=(_certificate(SERVING, -1),)), {}, "its certificate has expired"),
    (Seen(ready=1, certificates=(_certificate(SERVING, 9, False),)), {}, "is not signed by its caBundle"),
)
def test_one_that_does_not_serve(seen: Seen, changes: Raw, words: str) -> None:
    found = _state(seen=seen, **changes)
    assert not found.serving and any(words in each for each in found.waiting_for), found.waiting_for


def test_an_old_certificate_of_the_bundle_does_no_harm_beside_its_successor() -> None:
    found = _state(seen=Seen(1, (_certificate(BUNDLE, -1), _certificate(BUNDLE, 99), _certificate(SERVING, 99))))
    assert found.serving
    told = [(each["of"], each["expired"]) for each in found.certificates]
    assert told == [("ca_bundle", True), ("ca_bundle", False), ("serving", False)]
    assert found.certificates[0]["ends"] == "2026-11-29T00:00:00Z"


def test_without_a_bundle_nothing_is_called() -> None:
    service = {"namespace": CHART, "name": "s"}
    found = _state(configurations=[configuration(clientConfig={"service": service}, failurePolicy="Ignore")])
    assert not found.serving and "has no caBundle" in found.waiting_for[0]
    assert found.failure_policy == "Ignore" and "are created without a token" in found.while_not_serving


def test_deployments_that_may_not_be_read() -> None:
    found, _doubted = installation.find({"MutatingWebhookConfiguration": [configuration()]})
    assert installation.installed(found) == "unknown"
    told = installation.state(found[0], Seen(ready=2), None, NOW)
    assert not told.serving and told.waiting_for == ("it is not known which Deployment serves it",)
    url = configuration(clientConfig={"url": "https://wi.example.com/"})
    found, _doubted = installation.find({"MutatingWebhookConfiguration": [url]})
    assert installation.installed(found) == "other"


def test_one_that_no_configuration_leads_to() -> None:
    found = _state(1, made=[deployment(), addon()])
    assert found.kind == "addon" and found.managed_by == "addon" and not found.serving
    assert found.waiting_for == ("no webhook configuration leads to it",) and found.failure_policy == ""


def test_namespaces_that_are_left_out() -> None:
    selector = {"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]}
    one = configuration(namespaceSelector=selector, matchConditions=[{"name": "a", "expression": "true"}])
    marked = {SYSTEM: "true", "gatekeeper-system": "controller-manager"}
    namespaces: list[Raw] = [{"metadata": {"name": "team"}}]
    namespaces += [{"metadata": {"name": name, "labels": {"control-plane": mark}}} for name, mark in marked.items()]
    found = _state(configurations=[one], namespaces=namespaces)
    assert found.excluded_namespaces == ("gatekeeper-system", SYSTEM)
    assert found.namespace_selector == selector and found.match_conditions == ("true",)
    named = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["team"]}]}
    found = _state(configurations=[configuration(namespaceSelector=named)], namespaces=namespaces)
    assert found.excluded_namespaces == ("team",)


def test_the_secret_of_its_certificate() -> None:
    (one,), _doubted = installation.find(objects([configuration()], [deployment()]))
    assert one.certificate_secret == "azure-wi-webhook-server-cert"
    (none,), _doubted = installation.find(objects([configuration()], []))
    assert none.certificate_secret == ""
