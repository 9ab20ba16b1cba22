# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service accounts that are annotated, or made to take the place of another: what is written, refused, taken back."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import access
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import account
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.account import (
    Decision,
    Desired,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION, marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import PROBE_LABEL
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import pod, template
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

Raw = dict[str, Any]
CLIENT_ID, TENANT_ID = workload_identity_webhook.CLIENT_ID, workload_identity_webhook.TENANT_ID
ONE, TWO, THREE = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc")
OLD = {"kind": "ServiceAccount", "name": "old", "namespace": "team"}


def desired(**changes: Any) -> Desired:
    return Desired("team", "new", **{"client_id": ONE, **changes})


class Cluster:
    """Objects by kind and place, to which writes are carried out as an API server would."""

    def __init__(self) -> None:
        self.objects: dict[access.Key, Raw] = {}
        self.secrets: tuple[str, ...] = ()
        self.users: tuple[str, ...] = ()
        self.version = 0

    def put(self, kind: str, namespace: str, name: str, /, **body: Any) -> Raw:
        self.version += 1
        place = {"name": name, **({"namespace": namespace} if namespace else {})}
        metadata = {**place, **body.pop("metadata", {}), "uid": str(self.version), "resourceVersion": str(self.version)}
        self.objects[kind, namespace, name] = {"metadata": metadata, **body}
        return self.objects[kind, namespace, name]

    def account(self, name: str = "new", **annotations: str) -> Raw:
        told = {"client": CLIENT_ID, "tenant": TENANT_ID, "mark": MIGRATION}
        found = {told.get(key, key): value for key, value in annotations.items()}
        return self.put("ServiceAccount", "team", name, metadata={"annotations": found} if found else {})

    def binding(self, name: str, *subjects: Raw, namespace: str = "team", role: str = "Role r", **body: Any) -> Raw:
        kind, _space, of = role.partition(" ")
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": of}
        binding = "RoleBinding" if namespace else "ClusterRoleBinding"
        return self.put(binding, namespace, name, roleRef=reference, subjects=list(subjects or (OLD,)), **body)

    def role(self, name: str, namespace: str = "team", *rules: Raw) -> None:
        granted = rules or ({"verbs": ["get"], "apiGroups": [""], "resources": [f"of-{name}"]},)
        self.put("Role" if namespace else "ClusterRole", namespace, name, rules=list(granted))

    def listed(self, *kinds: str) -> dict[str, list[Raw]]:
        return {kind: [raw for key, raw in self.objects.items() if key[0] == kind] for kind in kinds}

    def observed(self, one: Desired) -> Observed:
        return Observed(
            self.objects.get(("ServiceAccount", "team", one.name)),
            self.objects.get(("ServiceAccount", "team", one.like)),
            self.secrets,
            access.bindings(self.listed("RoleBinding", "ClusterRoleBinding")),
            access.roles(self.listed("Role", "ClusterRole")),
            self.users,
        )

    def decide(self, one: Desired) -> Decision:
        return account.decide(one, self.observed(one))

    def reach(self, one: Desired, writes: int | None = None) -> Decision:
        """Carry out what is decided, or the first ``writes`` of it."""
        decision = self.decide(one)
        for write in decision.writes[:writes]:
            self.version += 1
            if write.live is None:
                assert write.key not in self.objects and write.body is not None
                body = copy.deepcopy(write.body)
                self.put(*write.key, metadata=body.pop("metadata"), **body)
            elif write.body is None:
                assert self.objects.pop(write.key) == write.live
            else:
                live = self.objects[write.key]
                assert write.body["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
                merge(live, write.body)
                live["metadata"]["resourceVersion"] = str(self.version)
                if not live["metadata"].get("annotations"):
                    live["metadata"].pop("annotations", None)
        return decision

    def content(self) -> dict[access.Key, Raw]:
        """What is there, without what the server keeps for itself."""
        found = copy.deepcopy(self.objects)
        for raw in found.values():
            for name in ("resourceVersion", "uid"):
                del raw["metadata"][name]
        return found

    def rights(self, name: str) -> tuple[access.Question, ...]:
        one = self.observed(desired())
        return access.questions([each for each in one.bindings if each.names("team", name)], one.roles or {})


def merge(live: Raw, patch: Raw) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            merge(live.setdefault(key, {}), value)
        elif value is None:
            live.pop(key, None)
        else:
            live[key] = copy.deepcopy(value)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Failure) as refused:
        act()
    return refused.value.sentence


@table(
    "before, wish, after, kept",
    ({}, {}, {"client": ONE}, {"client_id": None}),
    ({"other": "x"}, {}, {"client": ONE, "other": "x"}, {"client_id": None}),
    ({"client": ""}, {}, {"client": ONE}, {"client_id": ""}),
    ({"client": TWO}, {"override": True}, {"client": ONE}, {"client_id": TWO}),
    (
        {"client": TWO},
        {"override": True, "tenant_id": THREE},
        {"client": ONE, "tenant": THREE},
        {"client_id": TWO, "tenant_id": None},
    ),
    ({"client": ONE}, {"tenant_id": TWO}, {"client": ONE, "tenant": TWO}, {"client_id": ONE, "tenant_id": None}),
    ({"mark": "no JSON", "client": TWO}, {"override": True}, {"client": ONE}, {"client_id": TWO}),
    ({"mark": '{"client_id":7}'}, {}, {"client": ONE}, {"client_id": None}),
    ({"mark": "[" * 100_000}, {}, {"client": ONE}, {"client_id": None}),
)
def test_an_annotated_account_comes_back(before: Raw, wish: Raw, after: Raw, kept: Raw) -> None:
    cluster = Cluster()
    cluster.account(**before)
    cluster.account("old")
    found = cluster.content()
    decision = cluster.reach(desired(**wish))
    (write,) = decision.writes
    assert write.summary.startswith("change ServiceAccount team/new (") and write.verb == "patch"
    annotations = dict(cluster.objects["ServiceAccount", "team", "new"]["metadata"]["annotations"])
    said = json.loads(annotations.pop(MIGRATION))
    assert {key: value for key, value in said.items() if not key.startswith("new_")} == kept
    told = {"client": CLIENT_ID, "tenant": TENANT_ID}
    assert annotations == {told.get(key, key): value for key, value in after.items()}
    assert decision.result["client_id"] == ONE and not decision.result["made"]
    assert cluster.decide(desired(**wish)).writes == ()
    back = cluster.reach(desired(present=False))
    assert back.left == () and back.result["exists"] and back.result["client_id"] == before.get("client", "")
    restored = cluster.content()
    if "mark" in before:  # which was none of ours
        del found["ServiceAccount", "team", "new"]["metadata"]["annotations"][MIGRATION]
        restored["ServiceAccount", "team", "new"]["metadata"].setdefault("annotations", {})
    assert restored == found
    assert cluster.decide(desired(present=False)).writes == ()


def test_an_equal_account_is_not_written_and_stays() -> None:
    cluster = Cluster()
    cluster.account(client=ONE.upper())
    assert cluster.reach(desired()).writes == ()
    back = cluster.reach(desired(present=False))
    assert back.writes == () and back.left == (
        "ServiceAccount team/new was neither made nor annotated by this collection for the owner 'default', so it "
        "stays.",
    )
    assert back.result["exists"] and back.result["client_id"] == ONE.upper()


@table(
    "before, wish, told",
    ({"client": TWO}, {}, f"tells the client_id '{TWO}', which its pods go by, and not '{ONE}'"),
    ({"client": ONE, "tenant": TWO}, {"tenant_id": ONE}, f"tells the tenant_id '{TWO}'"),
    ({}, {"client_id": "me"}, "client_id 'me' of ServiceAccount team/new must be a GUID"),
    ({}, {"tenant_id": "me"}, "tenant_id 'me' of ServiceAccount team/new must be a GUID"),
    ({}, {"owner": "a b"}, "owner 'a b' is no value of a label"),
    ({}, {"like": "new"}, "cannot take its own place"),
    ({}, {"like": "a b"}, "like 'a b' is no name"),
    ({}, {"like": "gone"}, "ServiceAccount team/gone, whose place ServiceAccount team/new is to take, does not exist"),
)
def test_refusals(before: Raw, wish: Raw, told: str) -> None:
    cluster = Cluster()
    cluster.account(**before)
    assert told in refusal(lambda: cluster.decide(desired(**wish)))


def test_an_account_that_is_not_there_is_not_annotated() -> None:
    assert "does not exist, so it cannot be annotated" in refusal(lambda: Cluster().decide(desired()))


def test_what_others_have_written_since_stays() -> None:
    cluster = Cluster()
    cluster.account(client=TWO)
    cluster.reach(desired(override=True))
    mark = cluster.objects["ServiceAccount", "team", "new"]["metadata"]["annotations"][MIGRATION]
    cluster.account(client=THREE, mark=mark)
    back = copy.deepcopy(cluster).reach(desired(present=False))
    assert back.left == (
        f"ServiceAccount team/new tells the client_id '{THREE}', as somebody else has written since, so it stays so.",
    )
    assert back.result["client_id"] == THREE and back.writes[0].summary.endswith("(only its mark)")
    # Written over, it is what there was before.
    cluster.reach(desired(override=True))
    assert cluster.reach(desired(present=False)).result["client_id"] == THREE
    cluster.account(mark=mark)
    back = cluster.reach(desired(present=False))
    assert "tells no client_id, as somebody else has written" in back.left[0]
    assert "annotations" not in cluster.objects["ServiceAccount", "team", "new"]["metadata"]


def world() -> Cluster:
    """The account `old`, with bindings, and others that have nothing to do with it."""
    cluster = Cluster()
    cluster.account("old", client=THREE)["imagePullSecrets"] = [{"name": "registry"}]
    cluster.objects["ServiceAccount", "team", "old"].update(
        secrets=[{"name": "token"}, {"name": "files"}, {}], automountServiceAccountToken=False
    )
    cluster.secrets = ("files",)
    cluster.role("r")
    cluster.role("c", "")
    cluster.role("r", "other")
    cluster.binding("own", {"kind": "User", "name": "ann"}, OLD)
    cluster.binding("of-cluster", namespace="", role="ClusterRole c")
    cluster.binding("elsewhere", {"kind": "User", "name": "system:serviceaccount:team:old"}, namespace="other")
    cluster.binding("of-group", {"kind": "Group", "name": "system:serviceaccounts:team"})
    cluster.binding("of-others", {**OLD, "name": "older"})
    return cluster


def made(cluster: Cluster | None = None, **changes: Any) -> tuple[Cluster, Desired]:
    one = desired(like="old", **changes)
    cluster = cluster or world()
    cluster.reach(one)
    return cluster, one


def test_an_account_takes_the_place_of_another() -> None:
    cluster = world()
    before = cluster.content()
    one = desired(like="old", tenant_id=TWO)
    decision = cluster.reach(one)
    own = copied(cluster, "own")
    assert [write.summary for write in decision.writes] == [
        *("create ServiceAccount team/new (like old)", f"create RoleBinding team/{own} (copy of own)"),
        f"create RoleBinding other/elsewhere-{own[-8:]} (copy of elsewhere)",
        f"create ClusterRoleBinding of-cluster-{own[-8:]} (copy of of-cluster)",
    ]
    live = cluster.content()["ServiceAccount", "team", "new"]
    annotations = {CLIENT_ID: ONE, TENANT_ID: TWO, MIGRATION: '{"like":"old"}'}
    metadata = {"name": "new", "namespace": "team", "labels": marks("default"), "annotations": annotations}
    mounts = {"imagePullSecrets": [{"name": "registry"}], "secrets": [{"name": "files"}]}
    same = {"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": False}
    assert live == {**same, "metadata": metadata, **mounts}
    subject = {"kind": "ServiceAccount", "name": "new", "namespace": "team"}
    assert cluster.objects["RoleBinding", "team", own]["subjects"] == [subject]
    assert cluster.rights("new") == cluster.rights("old") != ()
    assert decision.asked == cluster.rights("old") and decision.theirs == frozenset()
    copies = [each["copy_of"] for each in decision.result["copied_bindings"]]
    assert decision.result["made"] and copies == ["own", "elsewhere", "of-cluster"]
    assert cluster.decide(one).writes == ()
    back = cluster.reach(desired(present=False))
    assert [write.verb for write in back.writes] == ["delete"] * 4 and back.writes[-1].key == one.key
    assert cluster.content() == before and not back.result["exists"]


def copied(cluster: Cluster, name: str, one: Desired | None = None) -> str:
    """The name of the copy of a binding."""
    binding = next(each for each in cluster.observed(desired()).bindings if each.name == name)
    return account.copy_name(binding, one or desired())


def test_names_of_copies_have_room() -> None:
    cluster = Cluster()
    names = ["x" * 244, "x" * 245, "x" * 300, "x" * 301]
    for name in names:
        cluster.binding(name)
    several = [copied(cluster, name) for name in names]
    assert [len(each) for each in several] == [253] * 4 and len(set(several)) == 4
    assert copied(cluster, names[0], Desired("team", "other")) != several[0]


def test_the_copies_follow() -> None:
    cluster, one = made()
    key = ("RoleBinding", "team", copied(cluster, "own"))
    # Somebody adds himself to a copy, one original goes, another is made anew with more, and one is new.
    cluster.objects[key]["subjects"].append({"kind": "User", "name": "eve"})
    del cluster.objects["ClusterRoleBinding", "", "of-cluster"]
    cluster.role("more", "other")
    cluster.binding("elsewhere", namespace="other", role="Role more")
    cluster.binding("late")
    cluster.objects["ServiceAccount", "team", "old"]["imagePullSecrets"].append({"name": "second"})
    cluster.objects["ServiceAccount", "team", "new"]["imagePullSecrets"] = [{"name": "own"}]
    end = key[2][-8:]
    assert [write.summary for write in cluster.reach(one).writes] == [
        "change ServiceAccount team/new (imagePullSecrets)",
        f"change RoleBinding team/own-{end} (subjects)",
        f"delete RoleBinding other/elsewhere-{end} (its original has another role)",
        f"create RoleBinding other/elsewhere-{end} (copy of elsewhere)",
        f"create RoleBinding team/late-{end} (copy of late)",
        f"delete ClusterRoleBinding of-cluster-{end} (of-cluster does not name old)",
    ]
    assert cluster.rights("new") == cluster.rights("old")
    live = cluster.objects["ServiceAccount", "team", "new"]
    assert live["imagePullSecrets"] == [{"name": "own"}, {"name": "registry"}, {"name": "second"}]
    assert cluster.decide(one).writes == ()


def test_a_role_that_is_not_there_is_told_and_waits() -> None:
    cluster = world()
    cluster.binding("early", role="Role later")
    decision = cluster.reach(desired(like="old"))
    assert decision.warnings == (
        "RoleBinding team/early gives ServiceAccount team/old the rights of Role team/later, which does not exist; it "
        "is not copied.",
    )
    assert "early" not in {each["copy_of"] for each in decision.result["copied_bindings"]}
    cluster.role("later")
    (write,) = cluster.reach(desired(like="old")).writes
    assert write.change.why == "copy of early"
    del cluster.objects["Role", "team", "later"]
    again = cluster.decide(desired(like="old"))
    assert again.writes == () and again.warnings == ()


def taken(cluster: Cluster) -> None:
    cluster.account()


def taken_and_equal(cluster: Cluster) -> None:
    cluster.account(client=ONE).update(
        imagePullSecrets=[{"name": "registry"}], secrets=[{"name": "files"}], automountServiceAccountToken=False
    )


def of_another_owner(cluster: Cluster) -> None:
    made(cluster, owner="others")


def of_another_place(cluster: Cluster) -> None:
    cluster.account("older")
    cluster.reach(desired(like="older"))


def copy_taken(cluster: Cluster) -> None:
    cluster.binding(copied(cluster, "own"), {"kind": "User", "name": "eve"})


def forged_copy(cluster: Cluster) -> None:
    """With our labels, for another account."""
    told = json.dumps({"copy_of": "own", "for": "team/other"})
    metadata = {"labels": marks("default"), "annotations": {MIGRATION: told}}
    cluster.binding(copied(cluster, "own"), metadata=metadata)


def labels_only(cluster: Cluster) -> None:
    cluster.account()["metadata"]["labels"] = marks("default")


@table(
    "there, told",
    (taken, "exists, was not made by this collection, and is not as it has to be (client_id, imagePullSecrets,"),
    (labels_only, "exists, was not made by this collection"),
    (of_another_owner, "belongs to the owner 'others'"),
    (of_another_place, "was made to take the place of ServiceAccount team/older"),
    (copy_taken, "exists and is not the copy of RoleBinding team/own that ServiceAccount team/new needs"),
    (forged_copy, "exists and is not the copy of RoleBinding team/own"),
)
def test_what_is_in_the_way_is_refused(there: Callable[[Cluster], None], told: str) -> None:
    cluster = world()
    there(cluster)
    assert told in refusal(lambda: cluster.decide(desired(like="old")))


def test_an_account_of_others_is_taken_as_it_is_where_it_lacks_nothing() -> None:
    cluster = world()
    taken_and_equal(cluster)
    decision = cluster.decide(desired(like="old"))
    assert decision.writes == () and not decision.result["made"] and decision.asked == cluster.rights("old")


def test_what_others_give_to_the_new_account_is_asked_apart() -> None:
    cluster = world()
    cluster.role("secret")
    cluster.binding("before", {**OLD, "name": "new"}, role="Role secret")
    decision = cluster.decide(desired(like="old"))
    assert {each.resource for each in decision.theirs} == {"of-secret"} < {each.resource for each in decision.asked}
    assert decision.givers == ("RoleBinding team/before",)


def test_what_is_in_use_stays() -> None:
    cluster, _one = made()
    cluster.users = ("Deployment team/web", "Pod team/web-1-a")
    with pytest.raises(Failure) as refused:
        cluster.decide(desired(present=False))
    assert "ServiceAccount team/new is named by Deployment team/web, Pod team/web-1-a" in refused.value.sentence
    assert refused.value.results == {"in_use": ["Deployment team/web", "Pod team/web-1-a"]}
    # Nor do its copies go where somebody has deleted the account itself.
    del cluster.objects["ServiceAccount", "team", "new"]
    assert "is named by" in refusal(lambda: cluster.decide(desired(present=False)))
    cluster.users = ()
    assert len(cluster.reach(desired(present=False)).writes) == 3
    assert cluster.content() == world().content()


def test_a_copy_that_a_tenant_forged_keeps_no_annotated_account_from_its_way_back() -> None:
    cluster = Cluster()
    cluster.account()
    cluster.reach(desired())
    told = json.dumps({"copy_of": "own", "for": "team/new"})
    metadata = {"labels": marks("default"), "annotations": {MIGRATION: told}}
    cluster.binding("forged", {**OLD, "name": "new"}, namespace="tenant", metadata=metadata)
    cluster.users = ("Deployment team/web",)
    (write,) = cluster.reach(desired(present=False)).writes
    assert write.key == ("ServiceAccount", "team", "new")
    assert not cluster.objects["ServiceAccount", "team", "new"]["metadata"].get("annotations")


def test_accounts_of_another_owner_stay() -> None:
    cluster, _one = made(owner="others")
    back = cluster.decide(desired(present=False))
    assert back.writes == () and "for the owner 'default', so it stays" in back.left[0]


def named(name: str = "web", **more: Any) -> Raw:
    return template(name, spec={"serviceAccountName": "new"}, **more)


def a_pod(name: str = "p", account_name: str = "new", **more: Any) -> Raw:
    return pod(name, spec={"serviceAccountName": account_name}, **more)


OLD_SET = [named("web-1", owner=("Deployment", "web"))]
ENDED = {**named(), "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
PROBE = {**named(), "metadata": {"name": "probe", "namespace": "team", "labels": {PROBE_LABEL: "0"}}}


@table(
    "objects, users",
    ({}, ()),
    ({"Deployment": [named()]}, ("Deployment team/web",)),
    ({"Deployment": [template()]}, ()),
    ({"Pod": [a_pod()]}, ("Pod team/p",)),
    ({"Pod": [a_pod(phase="Succeeded"), a_pod("q", "other")]}, ()),
    # An earlier template of a Deployment is not used any more; its pods may still be there.
    ({"Deployment": [template()], "ReplicaSet": OLD_SET}, ()),
    (
        {"Deployment": [template()], "ReplicaSet": OLD_SET, "Pod": [a_pod(owner=("ReplicaSet", "web-1"))]},
        ("Pod team/p",),
    ),
    ({"Pod": [a_pod(owner=("Rollout", "web"))]}, ("Pod team/p",)),
    ({"Job": [ENDED]}, ()),
    # Nor is one whose pods are still kept.
    ({"Job": [ENDED], "Pod": [a_pod(owner=("Job", "web"), phase="Succeeded")]}, ()),
    ({"Job": [ENDED], "Pod": [a_pod(owner=("Job", "web"))]}, ("Pod team/p",)),
    ({"Job": [{**named(), "status": {"conditions": [{"type": "Suspended", "status": "True"}]}}]}, ("Job team/web",)),
    # What a killed run has left of its canary.
    ({"Job": [PROBE], "Pod": [a_pod(owner=("Job", "probe"), labels={PROBE_LABEL: "0"}), a_pod("q")]}, ("Pod team/q",)),
)
def test_who_uses_an_account(objects: dict[str, list[Raw]], users: tuple[str, ...]) -> None:
    assert account.users("new", objects) == users


SUBJECTS = st.sampled_from(
    [
        *(OLD, {**OLD, "namespace": ""}, {**OLD, "name": "older"}, {"kind": "User", "name": "ann"}),
        {"kind": "User", "name": "system:serviceaccount:team:old"},
        {"kind": "Group", "name": "system:serviceaccounts"},
    ]
)
BINDINGS = st.dictionaries(
    st.tuples(st.sampled_from(["team", "other", ""]), st.sampled_from(["a", "b", "x" * 250])),
    st.tuples(st.lists(SUBJECTS, max_size=3), st.sampled_from(["ClusterRole c", "ClusterRole d", "ClusterRole no"])),
    max_size=5,
)


def fill(cluster: Cluster, bindings: dict[tuple[str, str], tuple[list[Raw], str]]) -> None:
    for (namespace, name), (subjects, role) in bindings.items():
        cluster.binding(name, *(subjects or [{"kind": "User", "name": "bob"}]), namespace=namespace, role=role)


@given(BINDINGS, BINDINGS, st.integers(0, 6), st.integers(0, 6))
def test_rights_are_alike_from_wherever_and_go_without_a_trace(
    first: dict[tuple[str, str], tuple[list[Raw], str]],
    then: dict[tuple[str, str], tuple[list[Raw], str]],
    stopped: int,
    stopped_again: int,
) -> None:
    """Also where a run ends after any of its writes, and bindings come, go and change between runs."""
    cluster = Cluster()
    cluster.account("old")
    cluster.role("c", "")
    cluster.role("d", "")
    fill(cluster, first)
    one = desired(like="old")
    cluster.reach(one, stopped)
    for key in [key for key, raw in cluster.objects.items() if "Binding" in key[0] and "labels" not in raw["metadata"]]:
        del cluster.objects[key]
    fill(cluster, then)
    before = {key: raw for key, raw in cluster.content().items() if "labels" not in raw["metadata"]}
    cluster.reach(one, stopped_again)
    cluster.reach(one)
    assert cluster.decide(one).writes == ()
    assert cluster.rights("new") == cluster.rights("old")
    cluster.reach(desired(present=False), stopped)
    cluster.reach(desired(present=False))
    assert cluster.content() == before
