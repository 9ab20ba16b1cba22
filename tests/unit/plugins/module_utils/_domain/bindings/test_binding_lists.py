# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a list of pairs changes, in which order, and what of it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings import binding_lists
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings.binding_lists import Rules
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings.binding_pair import (
    Desired,
    Observed,
    User,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.object_lists import Outcome
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Pod
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

RESOURCE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
OTHER_ID = CLIENT_ID.replace("2", "3")


def desired(name: str = "i", binding: str | None = None, namespace: str = "n", **changes: Any) -> Desired:
    return Desired(name, namespace, **{"binding_name": binding or name, "selector": "x", **changes})


def whole(name: str = "i", binding: str | None = None, namespace: str = "n", **changes: Any) -> Desired:
    given = {"resource_id": RESOURCE_ID + name, "client_id": CLIENT_ID, **changes}
    return desired(name, binding, namespace, **given)


def only(what: str, name: str = "i", binding: str | None = None, **changes: Any) -> Desired:
    given = {"selector": None} if what == "identity" else {}
    return (whole if what == "identity" else desired)(name, binding, only=what, **{**given, **changes})


def gone(name: str = "i", binding: str | None = None, **changes: Any) -> Desired:
    return desired(name, binding, present=False, **{"selector": None, **changes})


def user(name: str = "a", namespace: str = "n", selector: str = "x") -> Pod:
    return Pod(namespace, name, {"aadpodidbinding": selector}, "node")


def assigned(pod: Pod, name: str = "i", namespace: str = "n", status: str = "Assigned", version: Any = None) -> Any:
    reference = {"metadata": {"namespace": namespace, "name": name, "resourceVersion": version}}
    spec = {"pod": pod.name, "podNamespace": pod.namespace, "azureIdentityRef": reference, "azureBindingRef": reference}
    return {"metadata": {"name": f"{pod.name}-{pod.namespace}-{name}"}, "spec": spec, "status": {"status": status}}


def made(*desired_list: Desired, before: Observed | None = None, **seen: Any) -> Observed:
    """A cluster in which all of them are as desired."""
    before = before or Observed()
    found: dict[str, list[Any]] = {"identity": [*before.identities], "binding": [*before.bindings], "secret": []}
    for one in binding_lists.decide(desired_list, before, Rules()).writes:
        found[one.key].append(one.body)
    return Observed(
        tuple(found["identity"]), tuple(found["binding"]), tuple(found["secret"]), **{"templates": (), **seen}
    )


def foreign(observed: Observed) -> Observed:
    """The same objects without our labels."""
    plain = [
        tuple({**raw, "metadata": {key: raw["metadata"][key] for key in ("namespace", "name")}} for raw in objects)
        for objects in (observed.identities, observed.bindings)
    ]
    return replace(observed, identities=plain[0], bindings=plain[1])


def decide(*desired_list: Desired, on: Observed | None = None, **rules: Any) -> Outcome:
    return binding_lists.decide(desired_list, on or Observed(), Rules(**rules))


def actions(outcome: Outcome) -> list[list[str]]:
    """By wave: verb, kind and path."""
    return [[" ".join(write.summary.split()[:3]) for write in wave.writes] for wave in outcome.waves]


def refusal(*desired_list: Desired, on: Observed | None = None, **rules: Any) -> str:
    with pytest.raises(Failure) as refused:
        decide(*desired_list, on=on, **rules)
    return refused.value.sentence


def test_several_bindings_of_one_identity_and_several_identities_for_one_selector() -> None:
    desired_list = (whole("i"), desired("i", "second", selector="y"), whole("j"))
    assert actions(decide(*desired_list)) == [
        ["create AzureIdentity n/i", "create AzureIdentity n/j"],
        ["create AzureIdentityBinding n/i", "create AzureIdentityBinding n/second", "create AzureIdentityBinding n/j"],
    ]
    again = decide(*desired_list, on=made(*desired_list))
    assert again.waves == () and again.documents == ({}, {})
    (warning,) = again.warnings
    assert "n/i, n/j have one selector, 'x'" in warning


def test_halves() -> None:
    assert actions(decide(only("identity"))) == [["create AzureIdentity n/i"]]
    assert actions(decide(only("binding"), on=made(only("identity")))) == [["create AzureIdentityBinding n/i"]]
    both = (only("identity"), only("binding"), only("binding", binding="second", selector="y"))
    assert [len(wave) for wave in actions(decide(*both))] == [1, 2]
    assert decide(*both, on=made(*both)).waves == ()
    left = decide(gone(only="binding"), on=made(*both))
    assert actions(left) == [["delete AzureIdentityBinding n/i"]]
    assert left.decisions[0].result["identity"]["metadata"]["name"] == "i"


@for_each(
    ((whole(), whole(binding="b", client_id=OTHER_ID)), "two different client_id"),
    ((whole(labels={"a": "1"}), whole(binding="b", labels={"a": "2"})), "two different values of a in its labels"),
    ((whole(), desired("j", "i")), "stands twice in bindings"),
    ((whole(), desired(selector="y")), "stands twice in bindings"),
    ((whole(), gone()), "stands twice in bindings"),
    ((whole(), gone(binding="b")), "to be there and to be gone"),
    ((only("binding", client_id=CLIENT_ID),), "only a binding, which has no client_id"),
    ((only("identity", selector="x"),), "only an identity, which has no selector"),
)
def test_contradictions_are_refused(desired_list: Sequence[Desired], words: str) -> None:
    assert words in refusal(*desired_list)


def test_two_spellings_of_one_resource_id_are_no_contradiction() -> None:
    desired_list = (whole(), whole(binding="b", resource_id=(RESOURCE_ID + "i").lower()))
    assert [len(wave) for wave in actions(decide(*desired_list))] == [1, 2]


def test_one_secret_has_one_value() -> None:
    place: dict[str, Any] = {"type": 1, "tenant_id": "t", "client_id": CLIENT_ID, "secret_name": "s"}
    first, second = (desired(name, client_password="p", **place) for name in "ij")
    assert actions(decide(first, second))[0] == ["create Secret n/s"]
    assert "two different values" in refusal(first, replace(second, client_password="q"))
    kept = made(first, second)
    assert actions(decide(gone("i"), on=kept)) == [["delete AzureIdentityBinding n/i"], ["delete AzureIdentity n/i"]]
    assert actions(decide(gone("i"), gone("j"), on=kept))[-1] == ["delete Secret n/s"]


def test_a_secret_of_another_namespace_is_touched_only_where_the_operator_names_it() -> None:
    """Whoever may write the AzureIdentity may name any Secret, such as a restore bundle, which carries our labels."""
    principal = desired(type=1, tenant_id="t", client_id=CLIENT_ID, client_password="p")
    mine = made(principal)
    (identity,), (secret,) = mine.identities, mine.secrets
    elsewhere = {**secret, "metadata": {**secret["metadata"], "namespace": "ops"}}

    def pointing(place: dict[str, Any]) -> Observed:
        edited = {**identity, "spec": {**identity["spec"], "clientPassword": place}}
        return replace(mine, identities=(edited,), secrets=(secret, elsewhere))

    name = secret["metadata"]["name"]
    seen = pointing({"namespace": "ops", "name": name})
    left = decide(gone(), on=seen)
    assert [wave[0].split()[1] for wave in actions(left)] == ["AzureIdentityBinding", "AzureIdentity"]
    assert any(f"Secret ops/{name} stays, because AzureIdentity n/i" in each for each in left.warnings)
    assert actions(decide(gone(secret_namespace="ops"), on=seen))[-1] == [f"delete Secret ops/{name}"]
    assert decide(purge=True, purge_allow_empty=True, namespaces=frozenset("n"), on=seen).warnings == left.warnings
    assert f"Secret ops/{name} is not written, because" in refusal(principal, on=seen)
    assert actions(decide(replace(principal, client_password="q", secret_namespace="ops"), on=seen)) == [
        [f"change Secret ops/{name}"]
    ]
    # Nor does the AzureIdentity choose the name in a namespace that the operator names.
    bundle = {**secret, "metadata": {**secret["metadata"], "namespace": "ops", "name": "bundle"}}
    chosen = replace(pointing({"namespace": "ops", "name": "bundle"}), secrets=(secret, elsewhere, bundle))
    inside = replace(principal, client_password="q", secret_namespace="ops")
    assert "Secret ops/bundle is not written, because" in refusal(inside, on=chosen)
    assert actions(decide(replace(inside, secret_name="bundle"), on=chosen)) == [["change Secret ops/bundle"]]
    assert "Secret ops/bundle stays" in decide(gone(secret_namespace="ops"), on=chosen).warnings[-1]
    # What no Secret can be called is none: its path could be that of something else.
    for place in ({"namespace": "n", "name": ".."}, {"namespace": "..", "name": name}):
        assert binding_lists.credentials([gone()], pointing(place), Rules()) == frozenset()


def test_a_binding_needs_its_identity_in_its_namespace() -> None:
    assert "which does not exist" in refusal(only("binding"))
    elsewhere = made(whole(namespace="other"))
    assert "is in namespace other only" in refusal(only("binding"), on=elsewhere)
    outcome = decide(only("binding"), on=elsewhere, accept=frozenset({"missing_identity"}))
    assert actions(outcome) == [["create AzureIdentityBinding n/i"]] and "no pod gets it" in outcome.warnings[0]


def test_client_id_in_another_case() -> None:
    assert "accept: [client_id_case]" in refusal(whole(client_id=CLIENT_ID.upper()))
    assert decide(whole(client_id=CLIENT_ID.upper(), any_client_id=True)).waves
    assert "must be a GUID" in refusal(whole(client_id="X", any_client_id=True))


def test_protected_identities() -> None:
    kubelet = (RESOURCE_ID + "i").replace("resourceGroups", "RESOURCEGROUPS")
    assert "in protected_identities" in refusal(whole(), protected=(kubelet,))
    assert "in protected_identities" in refusal(desired(), on=made(whole()), protected=(kubelet,))
    assert decide(whole("j"), protected=(kubelet,)).waves


def test_equal_names_that_one_selector_matches() -> None:
    there = made(whole(namespace="m"))
    assert "have one name" in refusal(whole(), on=there)
    accepted = decide(whole(), on=there, accept=frozenset({"equal_names"}))
    assert len(accepted.writes) == 2 and "that of AzureIdentityBinding m/i" in accepted.warnings[0]
    both = made(whole(), before=Observed(), pods=())
    unchanged = replace(both, identities=both.identities + there.identities, bindings=both.bindings + there.bindings)
    outcome = decide(whole(), on=unchanged)
    assert outcome.waves == () and "have one name" in outcome.warnings[0]
    assert decide(whole(selector="y"), on=there).waves
    apart = made(whole(namespace="m", behavior="namespaced"))
    assert decide(whole(behavior="namespaced"), on=apart).waves
    assert "have one name" in refusal(whole(), on=apart)


def test_purge_removes_what_is_provably_ours_only() -> None:
    ours = made(whole("i"), whole("old"))
    theirs = foreign(made(whole("foreign")))
    other = made(whole("elsewhere", namespace="m"))
    cluster = replace(
        ours,
        identities=ours.identities + theirs.identities + other.identities,
        bindings=ours.bindings + theirs.bindings + other.bindings,
    )
    gone = [["delete AzureIdentityBinding n/old"], ["delete AzureIdentity n/old"]]
    assert actions(decide(whole("i"), on=cluster, purge=True)) == gone
    assert decide(whole("i"), on=cluster).waves == ()
    assert decide(whole("i", owner="b"), on=cluster, purge=True, owner="b").waves == ()
    wider = decide(whole("i"), on=cluster, purge=True, namespaces=frozenset("m"))
    assert [len(wave) for wave in actions(wider)] == [2, 2]
    before, after = wider.documents
    assert sorted(before) == sorted(after) and set(map(str, after.values())) == {"{}"}
    assert "purge_allow_empty" in refusal(on=cluster, purge=True, namespaces=frozenset("n"))
    empty = decide(on=cluster, purge=True, purge_allow_empty=True, namespaces=frozenset("n"))
    assert [len(wave) for wave in actions(empty)] == [2, 2]
    assert "no namespace" in refusal(on=cluster, purge=True, purge_allow_empty=True)


@pytest.mark.parametrize("template", ["Deployment n/d", "CronJob n/c"])
def test_templates_count_as_users(template: str) -> None:
    used = made(whole(), templates=(User(template, "n", "x"),))
    assert f"in use by {template}" in refusal(gone(), on=used)
    assert f"in use by {template}" in refusal(whole("j", selector="y"), on=used, purge=True)
    assert decide(gone(allow_in_use=True), on=used).waves
    assert decide(whole("j", selector="y"), on=used, purge=True, allow_in_use=True).waves
    elsewhere = made(whole(behavior="namespaced"), templates=(User(template, "m", "x"),))
    assert decide(gone(), on=elsewhere).waves
    assert "cannot be told" in refusal(gone(), on=replace(used, templates=None))


def test_all_users_are_listed() -> None:
    used = made(whole(), whole("j", selector="y"), pods=(user("a"), user("b"), user("c", selector="y")))
    with pytest.raises(Failure) as refused:
        decide(gone("i"), gone("j"), on=used)
    used_by = {one["identity"]: one["users"] for one in refused.value.results["in_use"]}
    assert used_by == {"n/i": ["Pod n/a", "Pod n/b"], "n/j": ["Pod n/c"]}


def test_a_binding_may_go_when_another_one_takes_its_place_before() -> None:
    used = made(whole(), pods=(user(),))
    renamed = decide(desired("i", "new"), on=used, purge=True)
    assert actions(renamed) == [["create AzureIdentityBinding n/new"], ["delete AzureIdentityBinding n/i"]]
    assert "in use" in refusal(desired("i", "new", selector="y"), on=used, purge=True)


def test_what_pods_have_is_written_in_batches() -> None:
    names = [f"i{number}" for number in range(5)]
    desired_list = [whole(name, selector=name) for name in names]
    pods = tuple(user(name, selector=name) for name in names[:4])
    live = made(*desired_list, pods=pods, assigned=tuple(assigned(pod, pod.name) for pod in pods))
    changed = [replace(one, client_id=OTHER_ID) for one in desired_list]
    changed[1] = replace(changed[1], labels={"a": "b"})
    outcome = decide(*changed, whole("new"), on=live, batch=2)
    assert actions(outcome) == [
        ["change AzureIdentity n/i4", "create AzureIdentity n/new"],
        ["create AzureIdentityBinding n/new"],
        ["change AzureIdentity n/i0", "change AzureIdentity n/i1"],
        ["change AzureIdentityBinding n/i1"],
        ["change AzureIdentity n/i2", "change AzureIdentity n/i3"],
    ]
    assert [[one.name for one in wave.settles] for wave in outcome.waves] == [[], [], [], ["i0", "i1"], []]
    assert outcome.reassigned == 4
    assert decide(*changed, on=replace(live, pods=None)).reassigned is None
    assert not any(wave.settles for wave in decide(*changed, on=live).waves)


def test_pods_that_mic_cannot_tell_apart() -> None:
    cluster = Observed(pods=(user("a", "b-c"), user("a-b", "c"), user("d", "e")))
    (warning,) = decide(whole(), on=cluster).warnings
    assert "b-c/a and c/a-b" in warning and "a-b-c-i" in warning
    assert decide(whole(behavior="namespaced"), on=cluster).warnings == ()


@for_each(
    ([user()], None, ["n/a"]),
    ([user()], "Created", ["n/a"]),
    ([user()], "Assigned", []),
    ([user()], "", []),
    ([user(), user(namespace="m")], "Assigned", ["m/a"]),
    ([replace(user(), phase="Succeeded"), replace(user("b"), node="")], None, []),
)
def test_missing_assignments(pods: list[Pod], status: str | None, missing: list[str]) -> None:
    there = () if status is None else (assigned(user(), status=status),)
    seen = made(whole(), pods=tuple(pods), assigned=there)
    assert [one.pod for one in binding_lists.assigned([whole()], seen, fresh=False).missing] == missing
    assert binding_lists.assigned([gone()], seen, fresh=False).left == seen.assigned_to(("n", "i"))


def test_what_mic_cannot_tell_apart_is_not_waited_for() -> None:
    seen = made(whole(), pods=(user("a", "b-c"), user("a-b", "c"), user("d")))
    assert [one.pod for one in binding_lists.assigned([whole()], seen, fresh=False).missing] == ["n/d"]


def test_an_assignment_of_what_was_before_does_not_count_after_a_write() -> None:
    there = made(whole())
    versions = [
        tuple({**raw, "metadata": {**raw["metadata"], "resourceVersion": "2"}} for raw in objects)
        for objects in (there.identities, there.bindings)
    ]
    for version, missing in (("1", 1), ("2", 0), (None, 0)):
        seen = Observed(versions[0], versions[1], pods=(user(),), assigned=(assigned(user(), version=version),))
        assert len(binding_lists.assigned([whole()], seen, fresh=True).missing) == missing
        assert not binding_lists.assigned([whole()], seen, fresh=False).missing


def test_a_long_list_takes_linear_time() -> None:
    """Ten times as many pairs: about ten times as many comparisons, not a hundred times."""
    calls = []

    class Counted(str):
        def __eq__(self, other: object) -> bool:
            calls.append(1)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    costs = []
    for size in (50, 500):
        places = [Counted(f"n{number % 7}") for number in range(size)]
        desired_list = [whole(f"i{n}", namespace=place, selector=f"s{n}") for n, place in enumerate(places)]
        cluster = made(*desired_list)
        calls.clear()
        assert decide(*desired_list, on=cluster, purge=True).waves == ()
        costs.append(len(calls))
    assert costs[1] < 15 * costs[0]


@for_each(
    ({"owner": "not a label"}, "cannot have the label azureops.pod-identity/owner"),
    ({"labels": {"a": "not a label"}}, "cannot have the label a="),
    ({"labels": {"a b": "c"}}, "cannot have the label 'a b'"),
    ({"annotations": {"": "c"}}, "cannot have the annotation ''"),
    ({"namespace": "a.b"}, "namespace 'a.b' is no name"),
    ({"binding": "a..b"}, "binding_name 'a..b' is no name"),
    ({"resource_id": RESOURCE_ID + "i\n"}, "is no user-assigned identity"),
    ({"resource_id": RESOURCE_ID + "{{ x }}"}, "is no user-assigned identity"),
)
def test_what_the_server_would_refuse_is_refused_before(change: dict[str, Any], words: str) -> None:
    assert words in refusal(whole(**change))
