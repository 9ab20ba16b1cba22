# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import drift
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

# As the chart renders it, and what an API server makes of that.
WANTED: dict[str, Any] = {
    "hostNetwork": True,
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": None,
    "serviceAccountName": "nmi",
    "containers": [
        {
            "name": "nmi",
            "image": "r/nmi:v1",
            "args": ["--node=$(NODE_NAME)"],
            "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        }
    ],
}
LIVE: dict[str, Any] = {
    **{key: value for key, value in WANTED.items() if key != "tolerations"},
    "affinity": {},
    "restartPolicy": "Always",
    "serviceAccount": "nmi",
    "containers": [
        {
            **WANTED["containers"][0],
            "env": [
                {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}
            ],
            "imagePullPolicy": "IfNotPresent",
        }
    ],
}
Change = Callable[[dict[str, Any]], Any]


def of(pods: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": pods}}}


def container(pods: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pods["containers"][0]
    return found


def test_what_an_api_server_adds_is_no_change() -> None:
    assert drift.changed(of(WANTED), of(LIVE)) == ()
    assert drift.changed({}, {}) == ()
    assert drift.changed({"spec": {}}, {"spec": {"replicas": 1}}) == ()


def test_a_number_of_replicas_is_named() -> None:
    assert drift.changed({"spec": {"replicas": 2}}, {"spec": {"replicas": 0}}) == ("replicas",)


@for_each(
    (lambda pods: pods.update(affinity={"nodeAffinity": {"x": []}}), "affinity"),
    (lambda pods: pods["nodeSelector"].update(pool="a"), "nodeSelector"),
    (lambda pods: pods.update(tolerations=[{"operator": "Exists"}]), "tolerations"),
    (lambda pods: pods.pop("hostNetwork"), "hostNetwork"),
    (lambda pods: pods.update(priorityClassName="low"), "priorityClassName"),
    (lambda pods: pods.update(serviceAccountName="default"), "serviceAccountName"),
    (lambda pods: pods["containers"].append({"name": "more"}), "container more"),
    (lambda pods: pods.update(initContainers=[{"name": "first"}]), "container first"),
    (lambda pods: container(pods).update(name="other"), "container nmi container other"),
    (lambda pods: container(pods).update(image="r/nmi:v2"), "image of container nmi"),
    (lambda pods: container(pods).update(args=[]), "args of container nmi"),
    (lambda pods: container(pods).update(command=["sh"]), "command of container nmi"),
    (lambda pods: container(pods).update(env=[]), "env of container nmi"),
    (lambda pods: container(pods)["env"][0].update(name="X"), "env of container nmi"),
)
def test_what_somebody_changed_is_named(change: Change, said: str) -> None:
    live = copy.deepcopy(LIVE)
    change(live)
    assert " ".join(sorted(drift.changed(of(WANTED), of(live)))) == said
