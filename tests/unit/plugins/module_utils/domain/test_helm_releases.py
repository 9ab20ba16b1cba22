# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import helm_releases
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import release

OLD = """---
# Source: aad-pod-identity/templates/psp.yaml
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: nmi}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
--- # the same in quotes
apiVersion: "policy/v1beta1" # old
kind: 'PodDisruptionBudget'
spec:
  template: {apiVersion: extensions/v1beta1, kind: PodSecurityPolicy}
"""


def test_the_newest_revision_of_each_release_of_the_chart() -> None:
    broken = {"metadata": {"name": "x", "namespace": "n"}, "data": {"release": "bm8="}}
    secrets = [
        release("b", 2, config={"mic": {}}),
        release("b", 10, "failed"),
        release("a", 1, manifest=OLD),
        release("c", 1, chart="ingress"),
        broken,
        {"metadata": {"name": "empty", "namespace": "n"}},
    ]
    found = helm_releases.find(secrets)
    assert [(each.label, each.revision, each.status) for each in found] == [
        ("kube-system/a", 1, "deployed"),
        ("kube-system/b", 10, "failed"),
    ]
    assert found[0].removed_apis == (
        "PodDisruptionBudget in policy/v1beta1 (gone since Kubernetes 1.25)",
        "PodSecurityPolicy in policy/v1beta1 (gone since Kubernetes 1.25)",
    )


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"adminsecret": {"cloud": "x"}, "mic": {"replicas": 1}}, {"mic": {"replicas": 1}}),
        ({"azureIdentities": {"a": {"type": 1, "clientPassword": "s"}}}, {"azureIdentities": {"a": {"type": 1}}}),
        ({"list": [{"clientPassword": "s", "x": 1}, "y"]}, {"list": [{"x": 1}, "y"]}),
    ],
)
def test_credentials_are_not_shown(values: dict[str, Any], shown: dict[str, Any]) -> None:
    assert helm_releases.without_secrets(values) == shown
