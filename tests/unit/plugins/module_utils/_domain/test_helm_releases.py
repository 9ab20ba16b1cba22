# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import helm_releases
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import release

PSP = """# Source: aad-pod-identity/templates/psp.yaml
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  labels:
    app.kubernetes.io/name: aad-pod-identity
  name: nmi
"""
BUDGET = """# Source: aad-pod-identity/templates/pdb.yaml
apiVersion: "{}" # old
kind: 'PodDisruptionBudget'
metadata:
  name: "mic-pdb"
spec:
  template: {{apiVersion: extensions/v1beta1, kind: PodSecurityPolicy}}
"""
EXCEPTION = """apiVersion: aadpodidentity.k8s.io/v1
kind: AzurePodIdentityException
metadata:
  name: mic
"""
NEW = """apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: nmi
"""
OLD = f"---\n{PSP}---\n{BUDGET.format('policy/v1beta1')}--- # a line of its own\n{PSP}---\n{NEW}---\n{EXCEPTION}"
KINDS = {"policy/v1": ["PodDisruptionBudget"], "apps/v1": ["DaemonSet"]}


def serves(version: str) -> list[str]:
    return KINDS.get(version, [])


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


@pytest.mark.parametrize(
    ("values", "shown", "omitted"),
    [
        ({"adminsecret": {"cloud": "x"}, "mic": {"replicas": 1}}, {"mic": {"replicas": 1}}, ["adminsecret"]),
        (
            {"azureIdentities": {"a": {"type": 1, "clientPassword": "s"}}},
            {"azureIdentities": {"a": {"type": 1}}},
            ["azureIdentities"],
        ),
        ({"list": [{"clientPassword": "s", "x": 1}, "y"]}, {"list": [{"x": 1}, "y"]}, ["list"]),
        ({"nmi": {"probePort": 8085}}, {"nmi": {"probePort": 8085}}, []),
    ],
)
def test_credentials_are_not_shown_but_told_of(
    values: dict[str, Any], shown: dict[str, Any], omitted: list[str]
) -> None:
    assert helm_releases.without_secrets(values) == shown
    assert helm_releases.omitted(values) == omitted


BEFORE = {"adminsecret": {"clientSecret": "old"}, "list": [{"clientPassword": "s"}, {"x": 1}]}


@pytest.mark.parametrize(
    ("values", "before", "shown"),
    [
        (BEFORE, {}, {"adminsecret": "(not shown)", "list": [{"clientPassword": "(not shown)"}, {"x": 1}]}),
        (BEFORE, BEFORE, {"adminsecret": "(not shown)", "list": [{"clientPassword": "(not shown)"}, {"x": 1}]}),
        ({"adminsecret": {}}, BEFORE, {"adminsecret": "(not shown, changed)"}),
        (
            {"list": [{"clientPassword": "t"}, {"clientPassword": "u"}, 3]},
            BEFORE,
            {"list": [{"clientPassword": "(not shown, changed)"}, {"clientPassword": "(not shown)"}, 3]},
        ),
        (
            {"list": {"clientPassword": None}, "nmi": {"port": 1}},
            None,
            {"list": {"clientPassword": "(not shown)"}, "nmi": {"port": 1}},
        ),
    ],
)
def test_a_diff_has_a_mark_in_place_of_a_credential(values: Any, before: Any, shown: Any) -> None:
    assert helm_releases.masked(values, before) == shown


def test_a_message_is_told_without_credentials() -> None:
    values = {"adminsecret": {"clientSecret": "very secret", "useMSI": "no", "n": 5}, "nmi": {"port": "8085"}}
    message = "very secret dmVyeSBzZWNyZXQ= at port 8085 is of no use"
    shown = "(not shown) (not shown) at port 8085 is of no use"
    assert helm_releases.without_credentials(message, values) == shown


def test_what_of_a_manifest_helm_cannot_remove() -> None:
    found = helm_releases.repairs(OLD, serves)
    assert [each.summary for each in found] == [
        "PodSecurityPolicy nmi in policy/v1beta1 is left out",
        "PodDisruptionBudget mic-pdb in policy/v1beta1 becomes policy/v1",
        "PodSecurityPolicy nmi in policy/v1beta1 is left out",
        "AzurePodIdentityException mic in aadpodidentity.k8s.io/v1 is left out",
    ]
    assert found[0].document == PSP
    known = {**KINDS, "policy/v1beta1": ["PodSecurityPolicy", "PodDisruptionBudget"]}
    known["aadpodidentity.k8s.io/v1"] = ["AzurePodIdentityException"]
    assert helm_releases.repairs(OLD, lambda version: known.get(version, [])) == ()


def test_a_repaired_record_is_otherwise_as_it_was() -> None:
    config = {"adminsecret": {"clientSecret": "hidden"}}
    live = release("x", 3, "deployed", config=config, manifest=OLD, hooks=[{"name": "h"}], unknown=1.5)
    patch = helm_releases.repaired(live, serves)
    assert "labels" not in patch["metadata"]
    mended = {**live, **patch, "metadata": live["metadata"]}
    manifest = f"---\n{BUDGET.format('policy/v1beta1')}"
    manifest = manifest.replace('apiVersion: "policy/v1beta1" # old', "apiVersion: policy/v1") + f"---\n{NEW}"
    before, after = helm_releases._decoded(live), helm_releases._decoded(mended)
    assert after == {**before, "manifest": manifest}
    (read,) = helm_releases.find([mended])
    assert helm_releases.repairs(read.manifest, serves) == ()
    assert "hidden" not in repr(read)
    assert helm_releases._decoded({**live, **helm_releases.repaired(mended, serves)}) == after


@pytest.mark.parametrize("status", ["uninstalling", "uninstalled"])
def test_a_release_that_somebody_began_to_remove_is_one_that_can_be_removed(status: str) -> None:
    live = release("x", 3, status, manifest=NEW)
    (found,) = helm_releases.find([live])
    assert found.wounds == (f"status {status} becomes failed",)
    patch = helm_releases.repaired(live, serves)
    assert patch["metadata"]["labels"] == {"status": "failed"}
    (mended,) = helm_releases.find([{**live, "data": patch["data"]}])
    assert (mended.status, mended.manifest, mended.wounds) == ("failed", NEW, ())
