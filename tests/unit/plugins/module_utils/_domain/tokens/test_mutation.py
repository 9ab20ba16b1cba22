# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why the webhook of Workload ID has not changed a pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as names,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import mutation
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.mutation import Surroundings
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

USE = {names.USE_LABEL: "true"}
TOKEN_FILE = [{"name": names.TOKEN_FILE_VARIABLE, "value": "/var/run/secrets/azure/tokens/azure-identity-token"}]
EARLY, NOON, LATE = (f"2026-11-24T{hour}:00:00Z" for hour in ("10", "12", "14"))


def pod(labels: dict[str, str], *, app: list[dict[str, str]] | None = None, **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "app", "env": app or []}, {"name": "side"}]
    meta = {"name": "p", "namespace": "n", "labels": labels, "creationTimestamp": NOON, **metadata}
    return {"metadata": meta, "spec": {"containers": containers}}


def maker(own: dict[str, str], template: dict[str, str], kind: str = "Deployment") -> dict[str, Any]:
    made: dict[str, Any] = {"template": {"metadata": {"labels": template}}}
    spec = {"jobTemplate": {"spec": made}} if kind == "CronJob" else made
    return {"kind": kind, "metadata": {"name": "d", "labels": own}, "spec": spec}


def webhook(selector: dict[str, Any] | None = None, created: str = EARLY, **changes: Any) -> dict[str, Any]:
    one = {"name": "mutation.azure-workload-identity.io", "namespaceSelector": selector, **changes}
    return {"metadata": {"name": "azure-wi", "creationTimestamp": created}, "webhooks": [one]}


def managed(time: str) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{names.USE_LABEL}": {}}}}
    return [{"manager": "kube-controller-manager"}, {"manager": "kubectl-label", "time": time, "fieldsV1": fields}]


SYSTEM = {"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]}
WORLD = Surroundings(
    pod(USE),
    account={"metadata": {"name": "s"}},
    maker=maker({}, USE),
    namespace={"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}}},
    webhooks=({"metadata": {"name": "other"}, "webhooks": [{"name": "a.example"}]}, webhook(SYSTEM)),
)
PLAIN = replace(WORLD, pod=pod({}), maker=maker({}, {}))


@for_each(
    (PLAIN, "label_missing", "it has no label"),
    (replace(PLAIN, maker=None, account=None, webhooks=()), "label_missing", "make the pod anew with it"),
    (replace(PLAIN, maker=maker(USE, {})), "label_on_maker", "is on its Deployment itself"),
    (replace(PLAIN, account={"metadata": {"labels": USE}}), "label_on_service_account", "service account only"),
    (replace(PLAIN, account={"metadata": {"annotations": USE}}), "label_on_service_account", "service account"),
    (replace(PLAIN, maker=maker({}, USE, "StatefulSet")), "template_newer", "in its StatefulSet's template"),
    (replace(PLAIN, maker=maker({}, USE, "CronJob")), "template_newer", "in its CronJob's template"),
    (replace(WORLD, pod=pod({names.USE_LABEL: "True"})), "label_wrong", "'True' instead of"),
    (replace(WORLD, webhooks=()), "webhook_absent", "no webhook of Workload ID"),
    (replace(WORLD, webhooks=WORLD.webhooks[:1]), "webhook_absent", "no webhook of Workload ID"),
    (
        replace(WORLD, namespace={"metadata": {"name": "kube-system", "labels": {"control-plane": "true"}}}),
        "namespace_excluded",
        "namespace kube-system",
    ),
    (
        replace(WORLD, webhooks=(webhook(name="x.azure-workload-identity.io", objectSelector={"matchLabels": USE}),)),
        "webhook_absent",
        "no webhook of Workload ID",
    ),
    (
        replace(
            WORLD,
            namespace={"metadata": {"name": "n"}},
            webhooks=(webhook({"matchLabels": {"kubernetes.io/metadata.name": "n"}}),),
        ),
        "unknown",
        "was not reached",
    ),
    (replace(WORLD, webhooks=(webhook(created=LATE),)), "webhook_newer", "older than the webhook"),
    (replace(WORLD, webhooks=(webhook(created=LATE), webhook())), "unknown", "was not reached"),
    (replace(WORLD, pod=pod(USE, managedFields=managed(LATE))), "label_newer", "set after it was made"),
    (replace(WORLD, pod=pod(USE, managedFields=managed(NOON))), "unknown", "was not reached"),
    (replace(WORLD, webhooks=(), unread=("webhooks (Forbidden)",)), "unknown", "read: webhooks (Forbidden)."),
    (replace(WORLD, namespace=None, unread=("namespace (Forbidden)",)), "unknown", "namespace (Forbidden)"),
    (WORLD, "unknown", "failurePolicy"),
)
def test_reasons(seen: Surroundings, code: str, words: str) -> None:
    found = mutation.why_not(seen)
    assert found.code == code and words in found.sentence and found.sentence.endswith(".")


def test_a_container_that_was_left_out() -> None:
    annotated = replace(WORLD, pod=pod(USE, annotations={"azure.workload.identity/skip-containers": "side; app"}))
    assert mutation.why_not(annotated, "app").code == "skipped"
    partly = replace(WORLD, pod=pod(USE, app=TOKEN_FILE))
    assert mutation.is_mutated(partly.pod) and mutation.is_mutated(partly.pod, "app")
    assert not mutation.is_mutated(partly.pod, "side")
    assert "added by another webhook" in mutation.why_not(partly, "side").sentence


def test_the_proxy_is_known_by_its_container() -> None:
    assert not mutation.has_proxy(pod(USE))
    native = {"spec": {"initContainers": [{"name": "azwi-proxy", "restartPolicy": "Always"}], "containers": []}}
    assert mutation.has_proxy(native)
    assert mutation.has_proxy({"spec": {"containers": [{"name": "azwi-proxy"}]}})


_labels = st.dictionaries(st.sampled_from([names.USE_LABEL, "app"]), st.sampled_from(["true", "x"]))


@given(_labels, _labels, _labels, st.booleans(), st.sampled_from([EARLY, LATE]))
def test_there_is_always_one_reason(
    own: dict[str, str], of_maker: dict[str, str], template: dict[str, str], webhooks: bool, created: str
) -> None:
    seen = replace(
        WORLD, pod=pod(own), maker=maker(of_maker, template), webhooks=(webhook(created=created),) if webhooks else ()
    )
    found = mutation.why_not(seen)
    assert found.sentence.endswith(".")
    assert found.code.startswith(("label", "template")) or own.get(names.USE_LABEL) == "true"
