# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which nodes the scheduler may place a pod."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import scheduling

GPU = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}


def node(*taints: dict[str, str], **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "labels": labels}, "spec": {"taints": list(taints)}}


def needs(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def term(key: str, operator: str, *values: str, kind: str = "matchExpressions") -> dict[str, Any]:
    return {kind: [{"key": key, "operator": operator, "values": list(values)}]}


ZONE = node(zone="1", size="4")
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "nothing is wanted": ({}, node(), True),
    "its node": ({"nodeName": "a"}, node(), True),
    "another node": ({"nodeName": "b"}, node(), False),
    "selected": ({"nodeSelector": {"zone": "1"}}, ZONE, True),
    "not selected": ({"nodeSelector": {"zone": "2"}}, ZONE, False),
    "a label that it has not": ({"nodeSelector": {"disk": ""}}, ZONE, False),
    "a taint": ({}, node(GPU), False),
    "a taint that is tolerated": ({"tolerations": [{"key": "sku", "value": "gpu"}]}, node(GPU), True),
    "for another value": ({"tolerations": [{"key": "sku", "value": "x", "operator": "Equal"}]}, node(GPU), False),
    "whatever its value": ({"tolerations": [{"key": "sku", "operator": "Exists"}]}, node(GPU), True),
    "all taints": ({"tolerations": [{"operator": "Exists"}]}, node(GPU), True),
    "for another effect": ({"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}, node(GPU), False),
    "one of two": (
        {"tolerations": [{"key": "sku", "operator": "Exists"}]},
        node(GPU, {"key": "team", "effect": "NoExecute"}),
        False,
    ),
    "what is only preferred": ({}, node({**GPU, "effect": "PreferNoSchedule"}), True),
    "what is momentary": ({}, node({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}), True),
    "affinity": (needs(term("zone", "In", "1", "2")), ZONE, True),
    "no affinity": (needs(term("zone", "In", "2")), ZONE, False),
    "one of its terms": (needs(term("zone", "In", "2"), term("size", "Exists")), ZONE, True),
    "all of a term": (
        needs({"matchExpressions": [*term("zone", "In", "1")["matchExpressions"], {"key": "x", "operator": "Exists"}]}),
        ZONE,
        False,
    ),
    "not one of these": (needs(term("zone", "NotIn", "1")), ZONE, False),
    "more": (needs(term("size", "Gt", "3")), ZONE, True),
    "not less": (needs(term("size", "Lt", "4")), ZONE, False),
    "no number": (needs(term("zone", "Gt", "x")), ZONE, False),
    "by name": (needs(term("metadata.name", "In", "a", kind="matchFields")), ZONE, True),
    "by another name": (needs(term("metadata.name", "In", "b", kind="matchFields")), ZONE, False),
    "a label is no field": (needs(term("metadata.name", "In", "a")), ZONE, False),
    "an empty term": (needs({}), ZONE, False),
    "no term": (needs(), ZONE, False),
}


@pytest.mark.parametrize("name", TABLE)
def test_whether_a_pod_may_run_on_a_node(name: str) -> None:
    pod, one, expected = TABLE[name]
    assert scheduling.may_run(pod, one) is expected
