# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a restore bundle that somebody changed is refused, left out or restored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import bundles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal.bundles import (
    Cluster,
    Place,
    Rules,
    Surroundings,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
NODES, OWN = "/subscriptions/s/resourceGroups/MC_rg", "/subscriptions/s"
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
KUBELET, PLANE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
CLUSTER = Cluster(ID, "MC_rg", KUBELET, PLANE)
OPERATOR, CONTRIBUTOR = "Managed Identity Operator", "Virtual Machine Contributor"
OBJECT = {
    "apiVersion": "aadpodidentity.k8s.io/v1",
    "kind": "AzureIdentity",
    "metadata": {"name": "billing", "namespace": "default"},
    "spec": {"type": 0, "resourceID": IDENTITY},
}
RELEASE: dict[str, Any] = {"name": "aad", "namespace": "default", "version": "4.1.18", "given_values": {}}
BUNDLE: dict[str, Any] = {"cluster": ID.upper(), "objects": [OBJECT], "releases": [RELEASE], "role_assignments": []}


def read(bundle: Any, rules: Rules | None = None) -> bundles.Bundle:
    return bundles.read("b.json", json.dumps(bundle).encode(), CLUSTER, rules or Rules())


def assigned(role: str, scope: str, principal: str = KUBELET) -> dict[str, str]:
    return {"role": role, "scope": scope, "principal_id": principal}


@for_each(
    assigned(CONTRIBUTOR, NODES),
    assigned(OPERATOR, NODES.upper()),
    assigned(OPERATOR, IDENTITY.lower()),
    assigned(OPERATOR, IDENTITY, PLANE),
    assigned("9980e02c-c2be-4d73-94e8-173b1dc7cf3c", NODES, KUBELET),
)
def test_what_the_collection_grants_is_given_back(each: dict[str, str]) -> None:
    found = read({**BUNDLE, "role_assignments": [each]})
    assert (found.content["role_assignments"], found.left_out) == ([each], ())


@for_each(
    (assigned("Owner", OWN), "does not grant that role"),
    (assigned("Owner", NODES), "does not grant that role"),
    (assigned("My role", NODES), "does not grant that role"),
    (assigned(OPERATOR, OWN), "neither there"),
    (assigned(OPERATOR, IDENTITY.replace("billing", "other")), "neither there"),
    (assigned(CONTRIBUTOR, IDENTITY), "neither there"),
    (assigned(CONTRIBUTOR, NODES, PLANE), "neither there"),
    (assigned(OPERATOR, NODES, "33333333-3333-4333-8333-333333333333"), "another principal"),
    (assigned(OPERATOR, NODES, ""), "another principal"),
)
def test_other_roles_are_left_out_and_told(each: dict[str, str], reason: str) -> None:
    found = read({**BUNDLE, "role_assignments": [each]})
    (left,) = found.left_out
    assert (found.content["role_assignments"], left["name"]) == ([], each["role"]) and reason in left["reason"]


def test_an_identity_that_is_none_makes_no_scope() -> None:
    forged = {**OBJECT, "spec": {"resourceID": OWN}}
    found = read({**BUNDLE, "objects": [forged], "role_assignments": [assigned(OPERATOR, OWN)]})
    assert found.content["role_assignments"] == []


def test_nothing_is_given_where_the_principals_are_unknown() -> None:
    data = json.dumps({**BUNDLE, "role_assignments": [assigned(OPERATOR, NODES, "")]}).encode()
    assert bundles.read("b", data, Cluster(ID, "MC_rg"), Rules()).content["role_assignments"] == []


@for_each(
    ({"name": "--post-renderer=x"}, "a name that helm would not take"),
    ({"name": "a", "namespace": "-n"}, "a name that helm would not take"),
    ({"name": "a" * 54}, "a name that helm would not take"),
    ({"version": "--devel"}, "which is none"),
    ({"given_values": {"image": {"repository": "evil.example/x"}}}, "other images than the chart (image.repository"),
    ({"given_values": {"nmi": {"image": "evil"}}}, "other images than the chart (nmi.image evil)"),
    ({"given_values": {"mic": {"tag": "v0"}}}, "other images than the chart (mic.tag v0)"),
    ({"given_values": {"image": "x"}}, "other images than the chart"),
    ({"given_values": {"global": {"x": 1}}}, "the values 'global', which are none"),
    ({"given_values": {"nmi": {"probePort": "1\n  hostIPC: true"}}}, "the values nmi.probePort"),
    ({"given_values": {"nmi": {"probePort": "x: y"}}}, "the values nmi.probePort"),
    ({"given_values": {"nmi": {"probePort": "x:"}}}, "the values nmi.probePort"),
    ({"given_values": {"nmi": {"tolerations": [{"key": "{{ x }}"}]}}}, "the values nmi.tolerations.key"),
    ({"given_values": {"nmi": {"podLabels": {"a: b": "c"}}}}, "the values 'nmi.podLabels.a: b'"),
    ({"omitted_values": ["adminsecret"]}, "The release aad had adminsecret among its values"),
)
def test_a_changed_release_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Failure) as raised:
        read({**BUNDLE, "releases": [{**RELEASE, **change}]})
    assert sentence in raised.value.sentence


def test_a_release_comes_into_the_namespace_that_the_operator_or_the_digest_names() -> None:
    bundle = {**BUNDLE, "releases": [{**RELEASE, "namespace": "kube-system"}]}
    digest = hashlib.sha256(json.dumps(bundle).encode()).hexdigest()
    with pytest.raises(Failure, match="is to come into the namespace kube-system, which nobody named"):
        read(bundle, Rules(namespace="default"))
    for rules in (Rules(namespace="kube-system"), Rules(namespace="default", sha256=digest)):
        assert read(bundle, rules).content["releases"] == bundle["releases"]


def test_what_is_accepted_is_restored() -> None:
    values = {"image": {"repository": "evil.example/x"}, "global": {"x": "a: b"}}
    release = {**RELEASE, "given_values": values, "omitted_values": ["adminsecret"]}
    rules = Rules(accept=frozenset(("images", "values")), given=frozenset(("adminsecret",)))
    assert read({**BUNDLE, "releases": [release]}, rules).content["releases"] == [release]


def test_ordinary_values_are_restored() -> None:
    values = {
        "operationMode": "managed",
        "image": {"repository": "mirror.example:5000/oss/azure/aad-pod-identity", "imagePullPolicy": "Always"},
        "nmi": {"allowNetworkPluginKubenet": True, "probePort": "8085", "nodeSelector": {"kubernetes.io/os": "linux"}},
        "mic": {"replicas": 1, "resources": {"limits": {"cpu": "200m"}}, "cloudConfig": "/etc/kubernetes/azure.json"},
    }
    rules = Rules(repositories=("mirror.example:5000/oss/azure/aad-pod-identity",))
    assert read({**BUNDLE, "releases": [{**RELEASE, "given_values": values}]}, rules).left_out == ()


def test_the_digest_may_be_required() -> None:
    digest = hashlib.sha256(json.dumps(BUNDLE).encode()).hexdigest()
    assert read(BUNDLE, Rules(sha256=digest.upper())).sha256 == digest
    with pytest.raises(Failure, match=f"has the SHA-256 digest {digest}, not {'0' * 64}"):
        read(BUNDLE, Rules(sha256="0" * 64))


def test_the_bundle_of_another_cluster_is_refused() -> None:
    with pytest.raises(Failure, match="but the cluster that is named is"):
        read({**BUNDLE, "cluster": f"{ID}-2"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(key.rstrip("?") for key in bundles._SHAPE)), JSON))
def test_whatever_is_written_is_read_or_refused(changes: dict[str, Any]) -> None:
    for bundle in ({**BUNDLE, **changes}, {**BUNDLE, "releases": [{**RELEASE, **changes}]}):
        try:
            read(bundle)
        except Failure:
            continue


@pytest.mark.parametrize("field", ["resourceID", "azureIdentity"])
@pytest.mark.parametrize("value", [["billing"], {"name": "billing"}, 1])
def test_what_an_object_names_is_a_text(field: str, value: Any) -> None:
    changed = {**OBJECT, "kind": "AzureIdentityBinding", "spec": {field: value}}
    with pytest.raises(Failure, match=r"^b[.]json is no restore bundle of the role pod_identity_uninstall; name"):
        read({**BUNDLE, "objects": [OBJECT, changed]})


@given(st.binary(max_size=30))
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(Failure, match="is no restore bundle of the role"):
        bundles.read("b", data, CLUSTER, Rules())
    assert bundles.described(Place("b"), data, ID) is None


ADDON = {
    "identities": [
        {"name": str(number), "namespace": "y", "identity": each} for number, each in enumerate((IDENTITY, OWN))
    ]
}


def test_what_a_bundle_has() -> None:
    data = json.dumps({**BUNDLE, "addon": ADDON, "definitions": ["u"], "written": "20260101T000000Z"}).encode()
    told = bundles.described(Place("b"), data, ID)
    assert told == {
        "place": "b",
        "sha256": hashlib.sha256(data).hexdigest(),
        "written": "20260101T000000Z",
        "objects": 1,
        "releases": 1,
        "entries": 2,
        "handed_out": [IDENTITY.lower()],
        "definitions": ["u"],
    }
    assert bundles.is_restorable(told)
    assert bundles.summary(told) == "b (1 objects, 1 releases, written 20260101T000000Z)"
    assert bundles.described(Place("b"), data, f"{ID}-2") is None
    assert bundles.described(Place("b"), json.dumps({**BUNDLE, "objects": [{"kind": "Pod"}]}).encode(), ID) is None


EMPTY = {**BUNDLE, "objects": [], "releases": []}


def test_a_bundle_with_nothing_to_restore_is_refused() -> None:
    roles = {
        "role_assignments": [assigned(OPERATOR, IDENTITY)],
        "scale_sets": [{"id": "/x", "name": "x", "identities": []}],
    }
    with pytest.raises(bundles.NothingThere, match="^The restore bundle b.json has neither objects nor releases, so"):
        read({**EMPTY, **roles})
    told = bundles.described(Place("b"), json.dumps({**EMPTY, **roles}).encode(), ID)
    assert told and not bundles.is_restorable(told)
    assert read({**EMPTY, "addon": ADDON}).content["addon"] == ADDON


def place_of(number: int, *identities: str) -> dict[str, Any]:
    return {"id": f"/sets/{number}", "name": str(number), "identities": [{"id": each} for each in identities]}


def binding(name: str, selector: str = "s") -> dict[str, Any]:
    spec = {"azureIdentity": "billing", "selector": selector}
    return {**OBJECT, "kind": "AzureIdentityBinding", "metadata": {"name": name, "namespace": "a"}, "spec": spec}


def test_what_a_later_run_finds_joins_what_an_earlier_one_has_saved() -> None:
    operator = assigned(OPERATOR, IDENTITY)
    before = {
        **BUNDLE,
        "objects": [OBJECT, binding("x"), binding("y", "old")],
        "definitions": ["u"],
        "written": "1",
        "addon": ADDON,
        "scale_sets": [place_of(1, "/A", "/b"), place_of(2)],
        "role_assignments": [operator],
        "secrets": [{"namespace": "a", "name": "s", "document": "old"}],
    }
    now = {
        **BUNDLE,
        "objects": [OBJECT, binding("y", "new"), binding("z")],
        "releases": [],
        "definitions": ["u", "v"],
        "written": "2",
        "addon": {},
        "scale_sets": [place_of(1, "/B")],
        "role_assignments": [],
        "secrets": [],
        "deleted_identities": [{"id": "/i", "role_assignments": []}],
    }
    earlier = json.dumps(before).encode()
    found = json.loads(bundles.joined(Place("b"), earlier, json.dumps(now), proved=True))
    assert found["objects"] == [OBJECT, binding("x"), binding("y", "new"), binding("z")]
    assert (found["releases"], found["role_assignments"], found["secrets"]) == (
        [RELEASE],
        [operator],
        before["secrets"],
    )
    assert (found["written"], found["definitions"], found["addon"]) == ("1", ["u", "v"], ADDON)
    assert found["scale_sets"] == [place_of(1, "/A", "/B"), place_of(2)]
    assert found["deleted_identities"] == now["deleted_identities"]
    again = bundles.joined(Place("b"), json.dumps(found).encode(), json.dumps({**EMPTY, "written": "3"}), proved=True)
    assert json.loads(again) == found
    read(found)


@for_each(
    b"{",
    json.dumps({**BUNDLE, "objects": [{"kind": "Pod"}]}).encode(),
    json.dumps({**BUNDLE, "cluster": f"{ID}-2"}).encode(),
)
def test_nothing_joins_what_is_no_bundle_of_the_cluster(earlier: bytes) -> None:
    with pytest.raises(Failure):
        bundles.joined(Place("b"), earlier, json.dumps(BUNDLE), proved=True)


def test_what_nobody_proves_has_to_be_accepted() -> None:
    before = {**BUNDLE, "objects": [OBJECT, binding("x")]}
    now = {**BUNDLE, "objects": [OBJECT], "releases": []}
    found = bundles.joined(Place("b"), json.dumps(before).encode(), json.dumps(now), proved=False)
    unproved = ["AzureIdentityBinding a/x", "helm release default/aad"]
    assert json.loads(found)["unproved"] == unproved
    again = bundles.joined(Place("b"), found.encode(), json.dumps(now), proved=True)
    assert again == found
    digest = hashlib.sha256(json.dumps(json.loads(found)).encode()).hexdigest()
    with pytest.raises(Failure, match="^AzureIdentityBinding a/x, helm release default/aad in the restore bundle b"):
        read(json.loads(found), Rules(sha256=digest))
    accepted = Rules(sha256=digest, accept=frozenset(["unverified"]))
    assert read(json.loads(found), accepted).content["objects"] == before["objects"]
    with pytest.raises(Failure, match="which nobody named, and no digest proves"):
        read(json.loads(found), replace(accepted, namespace="other"))


@for_each(("/a/b.json", "/a"), ("/b.json", "/"), ("b.json", "."), ("secrets/b.json", "secrets"))
def test_a_bundle_in_a_file(text: str, directory: str) -> None:
    place = Place.parse(text)
    assert (place, place.in_secret, place.directory) == (Place(text), False, directory)


def test_a_bundle_in_a_secret() -> None:
    assert Place.parse("secret:a/b") == Place.of_secret("a", "b") == Place("secret:a/b", "a", "b")
    assert Place.of_secret("a", "b").in_secret
    for text in ("secret:", "secret:a", "secret:a/", "secret:/b", "secret:a/b/c"):
        with pytest.raises(Failure, match=f"^{text} names no Secret for a restore bundle"):
            Place.parse(text)


@for_each(
    ("/lost", Surroundings(True, frozenset((1,))), True),
    ("/lost", Surroundings(False, frozenset((1,))), False),
    ("/mounted", Surroundings(True, frozenset((1, 2))), False),
    ("/runner", Surroundings(True, frozenset((1, 2))), True),
    ("/runner/a", Surroundings(True, frozenset((1, 2))), True),
    ("/runner/a", Surroundings(False, frozenset((1,))), False),
    ("/runners", Surroundings(True, frozenset((1, 2))), False),
)
def test_a_bundle_that_would_get_lost_is_refused(directory: str, found: Surroundings, lost: bool) -> None:
    place = Place(f"{directory}/b.json")
    if not lost:
        bundles.check_place(place, found)
        return
    with pytest.raises(Failure) as refused:
        bundles.check_place(place, found)
    assert str(refused.value) == (
        f"The restore bundle would be written to {directory}, which goes with the container that this runs in; set "
        "pod_identity_artifact_target to a directory that is mounted there."
    )


def test_what_is_written() -> None:
    file, secret = Place("/b.json"), Place.of_secret("a", "b")
    content = json.dumps({"b": "ü", "a": []})
    assert bundles.written(file, content) == '{\n    "a": [],\n    "b": "\\u00fc"\n}\n'
    assert bundles.written(secret, content) == '{"b": "\\u00fc", "a": []}'
    for wrong in ("", "[]", "{", "1"):
        with pytest.raises(Failure, match="^What is to be written to the restore bundle /b.json is no JSON object"):
            bundles.written(file, wrong)


def test_what_is_read_back() -> None:
    file, secret = Place("/b.json"), Place.of_secret("a", "b")
    assert bundles.check_read_back(file, "{}\n", b"{}\n") == hashlib.sha256(b"{}\n").hexdigest()
    with pytest.raises(Failure, match="^The restore bundle /b.json is not what .*; nothing was changed. Is there"):
        bundles.check_read_back(file, "{}", b"{")
    with pytest.raises(Failure, match="^The restore bundle secret:a/b is not what was written .* See who else writes"):
        bundles.check_read_back(secret, "{}", None)


@for_each(
    ("demo-1.json", True), ("Demo-1.json", True), ("demo-1.yml", False), ("demo.json", False), ("demo2-1.json", False)
)
def test_which_files_are_bundles_of_a_cluster(name: str, of_cluster: bool) -> None:
    assert bundles.is_file_of(name, "/subscriptions/s/resourceGroups/g/providers/a/b/demo") is of_cluster


@for_each(("", []), ("mirror.example.com/a", ["mirror.example.com/a/oss/azure/aad-pod-identity"]))
def test_where_images_may_come_from(registry: str, more: list[str]) -> None:
    assert list(bundles.repositories(registry)) == ["mcr.microsoft.com/oss/azure/aad-pod-identity", *more]
