# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an installation is believed to be."""

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    SYSTEM,
    Belief,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

Raw = dict[str, t.Any]

GROUP = "aadpodidentity.k8s.io"
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
ASSIGNED = {"apiGroups": [GROUP], "resources": ["azureassignedidentities"], "verbs": ["*"]}
IDENTITIES = {"apiGroups": [GROUP], "resources": ["azureidentities"], "verbs": ["*"]}
CHART = {"helm.sh/chart": "aad-pod-identity-4.1.18"}


def role(name: str, *rules: Raw, **more: t.Any) -> Raw:
    return {"metadata": {"name": name, **more.pop("metadata", {})}, "rules": list(rules), **more}


def binding(name: str, to: str, kind: str = "ServiceAccount", **metadata: t.Any) -> Raw:
    subject = {"kind": kind, "namespace": "pods", "name": "x"}
    return {"metadata": {"name": name, **metadata}, "roleRef": {"name": to}, "subjects": [subject]}


@for_each(
    ([], binding("aad-pod-identity-nmi", "aad-pod-identity-nmi"), True),
    ([], binding("aad-pod-id-mic-binding", "aad-pod-id-mic-role"), True),
    ([], binding("own-mic", "own-mic", labels=CHART), True),
    ([role("own", PODS, ASSIGNED)], binding("own", "own"), True),
    ([role("own", PODS, ASSIGNED)], binding("own", "own", kind="User"), False),
    ([role("own", PODS, ASSIGNED)], binding("own", "other"), False),
    ([role("own", PODS, IDENTITIES)], binding("own", "own"), False),
    ([role("own", ASSIGNED)], binding("own", "own"), False),
    # Of people, who may look at everything.
    ([role("view", PODS, ASSIGNED, aggregationRule={"clusterRoleSelectors": []})], binding("own", "view"), False),
    # Whoever may do everything is no tenant, and an NMI that is not seen would be taken for a dead one.
    ([role("all", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})], binding("own", "all"), True),
    ([], binding("aad-pod-id-mic-binding", "cluster-admin"), False),
)
def test_by_whose_rights(roles: list[Raw], given: Raw, believed: bool) -> None:
    belief = Belief.parse({"ClusterRole": roles, "ClusterRoleBinding": [given]})
    assert belief.holds("pods") is believed
    assert belief.holds("") and belief.holds(SYSTEM) and not belief.holds("team")


def test_by_what_is_written_on_the_roles_of_a_chart() -> None:
    """Where helm has removed the bindings already, and the roles not yet."""
    annotations = {"meta.helm.sh/release-name": "x", "meta.helm.sh/release-namespace": "pods"}
    labelled = role("x-mic", metadata={"annotations": annotations, "labels": CHART})
    assert Belief.parse({"ClusterRole": [labelled], "ClusterRoleBinding": []}).holds("pods")
    plain = role("x-mic", metadata={"annotations": annotations})
    assert not Belief.parse({"ClusterRole": [plain], "ClusterRoleBinding": []}).holds("pods")


def test_nobody_else_says_so() -> None:
    annotations = {"meta.helm.sh/release-name": "x", "meta.helm.sh/release-namespace": "team"}
    settings = {"metadata": {"name": "aad-pod-identity-config", "namespace": "team", "annotations": annotations}}
    belief = Belief.parse({"ConfigMap": [settings], "ClusterRole": [], "ClusterRoleBinding": []})
    assert not belief.holds("team") and "of the namespace team" in belief.doubt("team")
    assert Belief.parse({"ClusterRoleBinding": []}, ["team"]).holds("team")


def test_who_may_not_look_doubts_nothing() -> None:
    assert Belief.parse({}).holds("team")
    assert Belief.parse({"ClusterRoleBinding": []}, (), {"ClusterRoleBinding": "Forbidden."}).holds("team")
