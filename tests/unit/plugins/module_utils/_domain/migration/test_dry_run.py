# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dry runs with and without the label say of a pod."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import dry_run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.dry_run import (
    DryRun,
    Reply,
    Template,
    body,
    differences,
    judge,
    parse,
    refusal,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

Raw = dict[str, Any]
PROXY_ANNOTATION, USE_LABEL = workload_identity_webhook.PROXY_ANNOTATION, workload_identity_webhook.USE_LABEL
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
ADDED = {
    "AZURE_CLIENT_ID": CLIENT_ID,
    "AZURE_TENANT_ID": "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10",
    "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
}
MOUNT = {"name": "azure-identity-token", "mountPath": "/var/run/secrets/azure/tokens", "readOnly": True}
PATH = "azure-identity-token"
PROJECTED = {"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": PATH}
VOLUME = {"name": PATH, "projected": {"sources": [{"serviceAccountToken": PROJECTED}]}}
PROXY: Raw = {"name": "azwi-proxy", "image": "proxy"}
PROXY_INIT: Raw = {"name": "azwi-proxy-init", "image": "proxy-init"}


def stored(*containers: Raw, suffix: str = "abcde", **spec: Any) -> Raw:
    """A pod as an API server stores it."""
    api = f"kube-api-access-{suffix}"
    mount = {"name": api, "mountPath": "/api"}
    made = [{**each, "volumeMounts": [*each.get("volumeMounts", []), mount]} for each in containers]
    return {
        "metadata": {"name": f"workload-identity-{suffix}", "uid": suffix, "labels": {"app": "api"}},
        "spec": {"containers": made, "volumes": [{"name": api, "projected": {"sources": []}}], **spec},
    }


def mutated(pod: Raw, *, skip: tuple[str, ...] = (), proxy: bool = False) -> Raw:
    """The pod as the webhook makes it."""
    made = copy.deepcopy(pod)
    made["metadata"]["labels"][USE_LABEL] = "true"
    spec = made["spec"]
    if proxy:
        made["metadata"]["annotations"] = {PROXY_ANNOTATION: "true"}
        spec["containers"].insert(0, copy.deepcopy(PROXY))
        spec["initContainers"] = [*spec.get("initContainers", []), copy.deepcopy(PROXY_INIT)]
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        if container["name"] in skip:
            continue
        own = {each["name"] for each in container.get("env", ())}
        more = [{"name": name, "value": value} for name, value in ADDED.items() if name not in own]
        container["env"] = [*container.get("env", []), *more]
        container["volumeMounts"] = [*container.get("volumeMounts", []), MOUNT]
    spec["volumes"].append(VOLUME)
    return made


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
APP: Raw = {"name": "api", "image": "api"}
TEMPLATE = Template("Deployment", "billing", "api", {"spec": {"containers": [APP]}})


def judged(before: Raw, after: Raw, why: str = "") -> DryRun:
    return judge(TEMPLATE, Reply(before), Reply(after), why)


def test_what_the_webhook_adds_is_no_loss() -> None:
    found = judged(stored(APP), mutated(stored(APP, suffix="fghij")))
    assert (found.code, found.lost, found.changed, found.added) == ("webhook_mutates", (), (), ())
    assert found.message == "The containers of Deployment billing/api would get a token of Workload ID."
    (container,) = found.containers
    assert container.has_token and container.added == ADDED and container.own == () and container.client_id == CLIENT_ID
    volume = found.token_volume
    assert volume and (volume.audience, volume.expiration_seconds) == ("api://AzureADTokenExchange", 3600)


def test_the_proxy_is_told_apart() -> None:
    """An init container of the template runs before requests are redirected."""
    pod = stored(APP, initContainers=[{"name": "wait", "image": "wait"}])
    found = judged(pod, mutated(pod, proxy=True))
    assert (found.code, found.lost, found.changed, found.added) == ("webhook_mutates", (), (), ())
    assert sorted(found.proxy_containers) == ["azwi-proxy", "azwi-proxy-init"]
    assert found.before_redirect == ("wait",) and not found.native_proxy
    assert [(each.name, each.init) for each in found.containers] == [("wait", True), ("api", False)]
    assert "and the proxy" in found.message


def test_a_native_proxy_redirects_before_the_others() -> None:
    """Since version 1.5.0 with Kubernetes 1.32."""
    pod = stored(APP, initContainers=[{"name": "wait", "image": "wait"}])
    after = mutated(pod)
    native = {**PROXY, "restartPolicy": "Always"}
    after["spec"]["initContainers"] = [PROXY_INIT, native, *after["spec"]["initContainers"]]
    found = judged(pod, after)
    assert found.code == "webhook_mutates" and found.before_redirect == () and found.native_proxy
    assert found.proxy_containers == ("azwi-proxy-init", "azwi-proxy")


def test_its_own_client_id_stays() -> None:
    own = {**APP, "env": [{"name": "AZURE_CLIENT_ID", "value": "other"}, {"name": "MODE", "value": "x"}]}
    (container,) = judged(stored(own), mutated(stored(own))).containers
    assert container.own == ("AZURE_CLIENT_ID",) and container.client_id == "other"
    assert "AZURE_CLIENT_ID" not in container.added and len(container.added) == 3


def test_containers_that_are_skipped() -> None:
    pod = stored(APP, {"name": "side", "image": "side"})
    found = judged(pod, mutated(pod, skip=("side",)))
    assert found.code == "webhook_mutates" and "all but side" in found.message
    assert [each.has_token for each in found.containers] == [True, False]
    none = mutated(pod, skip=("side", "api"))
    none["metadata"]["annotations"] = {"azure.workload.identity/skip-containers": "side;api"}
    pod["metadata"]["annotations"] = none["metadata"]["annotations"]
    found = judged(pod, none)
    assert found.code == "webhook_leaves_alone" and "skip-containers names all" in found.message


# Fields that a webhook may be too old for, and how a pod without them looks.
NEWER: list[tuple[dict[str, Any], str]] = [
    ({"resources": {"requests": {"cpu": "1"}}}, "spec.resources"),
    ({"hostnameOverride": "x"}, "spec.hostnameOverride"),
    ({"workloadRef": {"name": "x"}}, "spec.workloadRef"),
]


@pytest.mark.parametrize(("fields", "lost"), NEWER)
def test_a_field_of_the_pod_that_is_lost(fields: Raw, lost: str) -> None:
    found = judged(stored(APP, **fields), mutated(stored(APP)))
    assert (found.code, found.lost) == ("webhook_loses_fields", (lost,))
    assert lost in found.message and found.containers[0].has_token


def test_fields_deep_within_that_are_lost_or_changed() -> None:
    probe = {"exec": {"command": ["a", "b"]}}
    rules = [{"action": "Restart"}]
    full = {**APP, "lifecycle": {"preStop": probe, "stopSignal": "SIGUSR1"}, "restartPolicyRules": rules, "args": ["a"]}
    less = {**APP, "lifecycle": {"preStop": {"exec": {"command": ["a", "c"]}}}, "args": ["a", "b"]}
    found = judged(stored(full), mutated(stored(less)))
    place = "spec.containers[api]"
    assert found.lost == (f"{place}.lifecycle.stopSignal", f"{place}.restartPolicyRules")
    assert found.changed == (f"{place}.lifecycle.preStop.exec.command[1]",)
    assert found.added == (f"{place}.args[1]",)
    assert f"{place}.lifecycle.preStop.exec.command[1] (changed)" in found.message


def test_a_container_or_volume_that_is_lost() -> None:
    pod = stored(APP, {"name": "side", "image": "side"})
    pod["spec"]["volumes"].append({"name": "cache", "emptyDir": {}})
    found = judged(pod, mutated(stored(APP)))
    assert found.lost == ("spec.containers[side]", "spec.volumes[cache]")


def test_what_others_add_for_the_label_is_told() -> None:
    after = mutated(stored(APP))
    after["metadata"]["annotations"] = {"mesh": "on"}
    after["spec"]["containers"].append({"name": "mesh", "image": "mesh"})
    after["spec"]["containers"][0]["env"].append({"name": "MESH", "value": "1"})
    found = judged(stored(APP), after)
    assert found.code == "webhook_mutates"
    assert found.added == ("metadata.annotations.mesh", "spec.containers[api].env[MESH]", "spec.containers[mesh]")


def test_variables_that_stand_twice_are_told_apart_by_their_places() -> None:
    twice = {**APP, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    found = judged(stored(twice), mutated(stored(twice)))
    assert (found.code, found.lost, found.changed, found.added) == ("webhook_mutates", (), (), ())


@pytest.mark.parametrize("why", ["the cluster has no webhook of Workload ID", ""])
def test_a_pod_that_is_left_alone(why: str) -> None:
    found = judged(stored(APP), stored(APP), why)
    assert found.code == "webhook_leaves_alone" and found.token_volume is None
    assert (why or "failurePolicy Ignore") in found.message


def test_a_token_for_somebody_else_is_none_of_workload_id() -> None:
    source = {"serviceAccountToken": {"audience": "vault", "path": "token"}}
    vault = {"name": "vault", "projected": {"sources": [source]}}
    pod = stored({**APP, "volumeMounts": [{"name": "vault", "mountPath": "/vault"}]})
    pod["spec"]["volumes"].append(vault)
    assert judged(pod, copy.deepcopy(pod)).code == "webhook_leaves_alone"
    after = mutated(pod)
    found = judged(pod, after)
    assert found.code == "webhook_mutates" and found.token_volume and found.token_volume.name == "azure-identity-token"


def test_a_template_that_has_its_token_itself() -> None:
    """Under whatever name, where the variable leads to the file."""
    volume = copy.deepcopy({**VOLUME, "name": "mine"})
    env = [{"name": name, "value": value} for name, value in ADDED.items()]
    pod = stored({**APP, "env": env, "volumeMounts": [{**MOUNT, "name": "mine"}]})
    pod["spec"]["volumes"].append(volume)
    found = judged(pod, copy.deepcopy(pod))
    assert found.code == "webhook_mutates" and found.containers[0].own == tuple(ADDED)
    assert found.token_volume and found.token_volume.name == "mine"


HOOK = 'admission webhook "mutation.azure-workload-identity.io"'
REFUSALS: list[tuple[int, str, str]] = [
    (400, f"{HOOK} denied the request: hostNetwork is set to true, cannot inject proxy sidecar", "webhook_refuses"),
    (500, 'failed calling webhook "mutation.azure-workload-identity.io": Post: refused', "webhook_unreached"),
    (500, 'failed calling webhook "other.example.com": Post: refused', "policy_refuses"),
    (403, 'admission webhook "validation.gatekeeper.sh" denied the request: [no-privileged] x', "policy_refuses"),
    (422, "ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no", "policy_refuses"),
    (403, 'pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged', "pod_security_refuses"),
    (403, 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1', "quota_refuses"),
    (403, 'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: azwi-proxy', "quota_refuses"),
    (403, 'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2', "quota_refuses"),
    (403, 'pods "x" is forbidden: [minimum memory usage per Pod is 1Gi, but request is 1Mi]', "quota_refuses"),
    (403, 'pods "x" is forbidden: cpu max limit to request ratio per Container is 1', "quota_refuses"),
    (403, 'pods "x" is forbidden: error looking up service account a/b: not found', "admission_refuses"),
    (422, 'Pod "x" is invalid: spec.containers[0].image: Required value', "admission_refuses"),
    (403, 'pods is forbidden: User "u" cannot create resource "pods" in API group ""', "dry_run_missing"),
    (400, 'admission webhook "a.b" does not support dry run', "dry_run_missing"),
    (404, 'namespaces "x" not found', "dry_run_missing"),
    (429, "too many requests", "dry_run_missing"),
    (503, "", "dry_run_missing"),
]


@pytest.mark.parametrize(("status", "said", "code"), REFUSALS)
def test_a_refusal_is_told_by_who_refuses(status: int, said: str, code: str) -> None:
    refused = refusal(status, said)
    assert refused.code == code and refused.said
    found = judge(TEMPLATE, Reply(stored(APP)), Reply(refusal=refused))
    assert (found.code, found.refused_without, found.containers) == (code, False, ())
    assert found.message.startswith("Deployment billing/api: ") and found.message.endswith(".")
    both = judge(TEMPLATE, Reply(refusal=refused), Reply(refusal=refused))
    assert (both.code, both.refused_without) == (code, True)
    assert ("also without the label" in both.message) == (code != "dry_run_missing")


def test_a_refusal_that_quotes_the_pod_tells_no_value_of_a_variable() -> None:
    password, mode = {"name": "PASSWORD", "value": "open sesame"}, {"name": "MODE", "value": "on"}
    env = [password, mode, {"name": "A", "valueFrom": {}}]
    template = Template("Job", "n", "j", {"spec": {"containers": [APP], "initContainers": [{**APP, "env": env}]}})
    assert dry_run.hidden(template) == {"open sesame"}
    refused = refusal(403, 'admission webhook "a" denied the request: on {"value":"open\n sesame"}', {"open sesame"})
    assert refused.said == 'admission webhook "a" denied the request: on {"value":"(hidden)"}'


def test_labels_that_are_called_like_lists() -> None:
    pod, less = stored(APP), stored(APP)
    pod["metadata"]["labels"]["env"] = "prod"
    (found,) = differences(pod, less)
    assert (found.how, str(found)) == ("lost", "metadata.labels.env")


def test_what_is_refused_without_the_label_only_cannot_be_compared() -> None:
    found = judge(TEMPLATE, Reply(refusal=refusal(422, "no label")), Reply(mutated(stored(APP))))
    assert (found.code, found.refused_without) == ("dry_run_missing", True)
    assert "nothing can be compared" in found.message


@pytest.mark.parametrize(("status", "said", "code"), REFUSALS)
def test_every_code_is_explained(status: int, said: str, code: str) -> None:
    assert code in dry_run.MEANINGS


def test_what_is_sent() -> None:
    metadata = {"labels": {"app": "api", USE_LABEL: "false"}, "annotations": {"a": "b"}}
    spec = {"containers": [APP], "nodeName": "n", "ephemeralContainers": [{}]}
    template = Template("Pod", "billing", "api", {"metadata": metadata, "spec": spec})
    without, labelled = (body(template, label=each) for each in (False, True))
    assert without["metadata"]["labels"] == {"app": "api"} and without["spec"] == {"containers": [APP]}
    assert labelled["metadata"]["labels"] == {"app": "api", USE_LABEL: "true"}
    assert without["metadata"]["annotations"] == labelled["metadata"]["annotations"] == {"a": "b"}
    assert "name" not in without["metadata"] and without["metadata"]["namespace"] == "billing"
    proxied = body(template, label=True, proxy=True)
    assert proxied["metadata"]["annotations"] == {"a": "b", PROXY_ANNOTATION: "true"}


def test_a_wish_of_the_template_for_the_proxy_stays() -> None:
    wish = {PROXY_ANNOTATION: "yes"}
    template = Template("Job", "n", "j", {"metadata": {"annotations": wish}, "spec": {"containers": [APP]}})
    for proxy in (False, True):
        assert body(template, label=True, proxy=proxy)["metadata"]["annotations"] == wish


def test_claims_of_a_stateful_set_are_volumes_of_its_pods() -> None:
    template = {"metadata": {}, "spec": {"containers": [APP], "volumes": [{"name": "tmp", "emptyDir": {}}]}}
    raw = {"spec": {"template": template, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
    made = Template.parse("StatefulSet", "billing", "db", raw)
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    assert made.pod["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}, claim]


@pytest.mark.parametrize("kind", dry_run.KINDS)
def test_templates_of_all_kinds(kind: str) -> None:
    pod: Raw = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [APP]}}
    template: Raw = {"spec": {"template": pod}}
    raw = pod if kind == "Pod" else {"spec": {"jobTemplate": template}} if kind == "CronJob" else template
    assert Template.parse(kind, "n", "x", raw).pod == pod
    with pytest.raises(Failure, match="has no pod template with containers"):
        Template.parse(kind, "n", "x", {"spec": {}})


@given(st.dictionaries(st.sampled_from(["spec", "metadata", "template", "containers"]), VALUES, max_size=3))
def test_whatever_is_given_as_a_definition_is_a_template_or_refused(raw: Raw) -> None:
    for shaped in (raw, {"spec": raw}, {"spec": {"template": raw}}, {"spec": {"template": {"spec": raw}}}):
        try:
            made = Template.parse("Deployment", "n", "x", shaped)
        except Failure as failure:
            assert "correct its definition" in failure.sentence
        else:
            assert body(made, label=True)["spec"]["containers"] and dry_run.hidden(made) is not None


def test_options_name_templates() -> None:
    raw = {"kind": "Job", "metadata": {"name": "j", "namespace": "n"}}
    one, other = parse(
        [{"kind": "Deployment", "namespace": "n", "name": "x", "definition": None}, {"kind": "Job", "definition": raw}]
    )
    assert (one.kind, one.namespace, one.name, one.raw) == ("Deployment", "n", "x", None)
    assert (other.kind, other.namespace, other.name, other.raw) == ("Job", "n", "j", raw)


@table(
    "entry, words",
    ({"kind": "Job", "name": "x"}, "set namespace"),
    ({"kind": "Job", "namespace": "n"}, "set name"),
    ({"kind": "Job", "definition": {"metadata": {"name": "x"}}}, "set namespace"),
    ({"kind": "Job", "definition": {"kind": "CronJob", "metadata": {"name": "x", "namespace": "n"}}}, "CronJob"),
    ({"kind": "Job", "definition": {"metadata": "x"}}, "has no metadata"),
)
def test_options_that_name_nothing(entry: Raw, words: str) -> None:
    with pytest.raises(Failure, match=words):
        parse([entry])


EXCLUDING = {"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]}


def test_why_the_webhook_leaves_a_namespace_alone() -> None:
    one = workload_identity_webhook.Webhook("wi", "n", "s", namespace_selector=EXCLUDING)
    assert "no webhook" in dry_run.why_left((), {})
    assert "passes its namespace over" in dry_run.why_left((one,), {"control-plane": "x"})
    assert dry_run.why_left((one,), {}) == dry_run.why_left((one,), None) == ""


@given(st.dictionaries(st.sampled_from(["containers", "volumes", "env", "x", "y"]), VALUES, max_size=4))
def test_a_pod_does_not_differ_from_itself(spec: Raw) -> None:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    assert differences(pod, copy.deepcopy(pod)) == ()


@given(st.dictionaries(st.sampled_from("abcd"), VALUES.filter(lambda each: each is not None), max_size=4), st.data())
def test_whatever_field_is_taken_away_is_lost(spec: Raw, data: st.DataObject) -> None:
    if spec:
        name = data.draw(st.sampled_from(sorted(spec)))
        pod = {"spec": {"first": 1, **spec}}
        less = {"spec": {key: value for key, value in pod["spec"].items() if key != name}}
        (found,) = differences(pod, less)
        assert (found.how, found.path) == ("lost", ("spec", name))
