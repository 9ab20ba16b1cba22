# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import helm_releases
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    Belief,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import release
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

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


BINDING = """apiVersion: rbac.authorization.k8s.io/v1beta1
kind: ClusterRoleBinding
metadata:
  name: nmi
"""


def test_the_newest_revision_of_each_release_of_the_chart() -> None:
    broken = {"metadata": {"name": "x", "namespace": "n"}, "data": {"release": "bm8="}}
    secrets = [release("b", 2, config={"mic": {}}), release("b", 10, "failed"), release("a", 1, manifest=OLD)]
    secrets += [release("c", 1, chart="ingress"), broken, {"metadata": {"name": "empty", "namespace": "n"}}]
    found = helm_releases.find(secrets)
    assert [(each.label, each.revision, each.status) for each in found] == [
        ("kube-system/a", 1, "deployed"),
        ("kube-system/b", 10, "failed"),
    ]


@for_each(
    ({"adminsecret": {"cloud": "x"}, "mic": {"replicas": 1}}, {"mic": {"replicas": 1}}, ["adminsecret"]),
    (
        {"azureIdentities": {"a": {"type": 1, "clientPassword": "s"}}},
        {"azureIdentities": {"a": {"type": 1}}},
        ["azureIdentities"],
    ),
    ({"list": [{"clientPassword": "s", "x": 1}, "y"]}, {"list": [{"x": 1}, "y"]}, ["list"]),
    ({"nmi": {"probePort": 8085}}, {"nmi": {"probePort": 8085}}, []),
)
def test_credentials_are_not_shown_but_told_of(
    values: dict[str, Any], shown: dict[str, Any], omitted: list[str]
) -> None:
    assert helm_releases.without_secrets(values) == shown
    assert helm_releases.omitted(values) == omitted


BEFORE = {"adminsecret": {"clientSecret": "old"}, "list": [{"clientPassword": "s"}, {"x": 1}]}


@for_each(
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
)
def test_a_diff_has_a_mark_in_place_of_a_credential(values: Any, before: Any, shown: Any) -> None:
    assert helm_releases.masked(values, before) == shown


FAILED = """Failure when executing Helm command. Exited 1.
stdout: nothing
stderr: WARNING: Kubernetes configuration file is group-readable.
Error: query: failed to query with labels: the server
(get secrets) S3CRET
WORD is away.
"""
NO_HELM = "Failed to find required executable helm in paths: /bin"


@for_each(
    (FAILED, "query: failed to query with labels: the server (get secrets) (not shown) is away"),
    (NO_HELM, NO_HELM),
    ("", ""),
)
def test_what_helm_said_is_part_of_a_sentence(message: str, told: str) -> None:
    assert helm_releases.said(message, {"adminsecret": {"clientSecret": "S3CRET\nWORD"}}) == told


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
    assert found.unsupported_apis == (f"status {status} becomes failed",)
    patch = helm_releases.repaired(live, serves)
    assert patch["metadata"]["labels"] == {"status": "failed"}
    (mended,) = helm_releases.find([{**live, "data": patch["data"]}])
    assert (mended.status, mended.manifest, mended.unsupported_apis) == ("failed", NEW, ())


def test_bindings_are_left_to_tell_where_the_release_was() -> None:
    live = release("x", 3, manifest=f"---\n{BINDING}---\n{NEW}")
    (found,) = helm_releases.find([live])
    assert found.unsupported_apis == ("ClusterRoleBinding nmi is left until the end",)
    (mended,) = helm_releases.find([{**live, "data": helm_releases.repaired(live, serves)["data"]}])
    assert (mended.status, mended.manifest, mended.unsupported_apis) == ("deployed", f"---\n{NEW}", ())


def rewritten(live: dict[str, Any], packed: bytes) -> dict[str, Any]:
    """The record with this text in it."""
    text = base64.b64encode(base64.b64encode(gzip.compress(packed))).decode()
    return {**live, "data": {"release": text}}


def text_of(live: dict[str, Any]) -> str:
    return gzip.decompress(base64.b64decode(base64.b64decode(live["data"]["release"]))).decode()


PLAIN, NEWER = release("x", 1, manifest=NEW), release("x", 2)
FORGED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a hook": ([release("x", 1, manifest=NEW, hooks=[{"name": "h"}])], "hooks"),
    "another name": ([{**PLAIN, "metadata": release("y", 1)["metadata"]}], "not of the release that its Secret names"),
    "another namespace": ([{**PLAIN, "metadata": {**PLAIN["metadata"], "namespace": "team"}}], "that its Secret names"),
    "another revision": ([{**PLAIN, "metadata": {**PLAIN["metadata"], "name": "x"}}], "that its Secret names"),
    "a newer revision of another chart": ([PLAIN, release("x", 2, chart="web")], "not of the chart"),
    "a revision that is only read by helm": (
        [PLAIN, {**release("x", 2), "data": {"release": base64.b64encode(base64.b64encode(b"{}")).decode()}}],
        "cannot be read",
    ),
    "a field in another spelling": ([release("x", 1, manifest=NEW, Manifest="kind: Secret")], "unusual spelling"),
    "a field in letters that are alike": (
        [rewritten(PLAIN, text_of(PLAIN).replace("{", '{"manife\u017ft": "", ', 1).encode())],
        "unusual spelling",
    ),
    "a field that is there twice": (
        [PLAIN, rewritten(NEWER, text_of(NEWER).replace("{", '{"manifest": "x", "manifest": "y", ', 1).encode())],
        "cannot be read",
    ),
    "a field of another type": ([PLAIN, release("x", 2, manifest=["kind"])], "cannot be read"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_helm_did_not_write_is_doubted(name: str) -> None:
    secrets, reason = FORGED[name]
    for several in (secrets, secrets[::-1]):
        (found,) = helm_releases.find(several)
        assert reason in found.doubt


ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: web-nmi
"""
IDENTITY = """apiVersion: aadpodidentity.k8s.io/v1
kind: AzureIdentity
metadata:
  name: web
  namespace: team
"""


@for_each(
    ("pods", f"---\n{NEW}---\n{ROLE}", ""),
    ("team", NEW, "no ClusterRoleBinding gives service accounts of the namespace team"),
    ("pods", f"{NEW}spec: {{}}\nkind: Secret\n", "its manifest has kind twice in one object"),
    ("pods", NEW.replace("nmi", "web"), "its manifest names DaemonSet pods/web, which is no object of the chart"),
    ("pods", f"{NEW}  namespace: team\n", "its manifest names DaemonSet team/nmi, which is no object of the chart"),
    ("pods", NEW.replace("name: nmi", "name: x-nmi"), "its manifest names DaemonSet pods/x-nmi, which is none of"),
    ("pods", ROLE.replace("web", "theirs"), "its manifest names ClusterRole theirs-nmi, which is none of MIC and NMI"),
    ("pods", IDENTITY, "its manifest names AzureIdentity team/web, which is not held by it"),
    ("pods", IDENTITY.replace("team", "held"), ""),
    ("pods", IDENTITY.replace("name: web", "name: gone"), ""),
)
def test_what_a_release_may_remove(namespace: str, manifest: str, reason: str) -> None:
    def named(name: str, place: str = "", **annotations: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": place, "annotations": annotations}}

    holder = {"meta.helm.sh/release-name": "x", "meta.helm.sh/release-namespace": "pods"}
    parts = {"DaemonSet": [named("nmi", "pods")], "ClusterRole": [named("web-nmi")]}
    live = {
        "DaemonSet": [*parts["DaemonSet"], named("x-nmi", "pods")],
        "ClusterRole": [*parts["ClusterRole"], named("theirs-nmi")],
        "AzureIdentity": [named("web", "team"), named("web", "held", **holder)],
    }
    (found,) = helm_releases.find([release("x", 1, manifest=manifest, namespace=namespace)])
    doubted = helm_releases.believed(found, Belief(frozenset({"pods"})), live, parts).doubt
    assert doubted.startswith(reason) and bool(doubted) is bool(reason)
