# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a desired object for a pair of AzureIdentity and AzureIdentityBinding changes."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings import binding_lists, binding_pair
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings.binding_pair import (
    Decision,
    Desired,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Pod

RESOURCE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
MARKS = {"app.kubernetes.io/managed-by": "azureops.pod_identity", "azureops.pod-identity/owner": "default"}


def desired(**changes: Any) -> Desired:
    given = {"resource_id": RESOURCE_ID, "client_id": CLIENT_ID, "selector": "x", **changes}
    return Desired(**{"name": "i", "namespace": "n", "binding_name": "i", **given})


def principal(**changes: Any) -> Desired:
    return desired(**{"type": 1, "resource_id": None, "tenant_id": "t", "client_password": "p", **changes})


def made(wanted: Desired, observed: Observed | None = None) -> Observed:
    """The cluster with all that is desired."""
    decision = binding_pair.decide_present(wanted, observed or Observed())
    objects = {write.key: write.body for write in decision.writes}
    return Observed(
        identities=(objects.get("identity") or {},),
        bindings=(objects.get("binding") or {},),
        secrets=tuple(body for body in (objects.get("secret"),) if body),
    )


def absent(wanted: Desired, observed: Observed, *, allow_in_use: bool = False) -> Decision:
    gone = replace(wanted, present=False, allow_in_use=allow_in_use)
    return binding_lists.decide([gone], observed, binding_lists.Rules()).decisions[0]


def keys(decision: binding_pair.Decision) -> list[str]:
    return [write.key for write in decision.writes]


def user(name: str = "a", namespace: str = "n", **changes: Any) -> Pod:
    return Pod(namespace, name, {"aadpodidbinding": "x"}, "node", **changes)


def test_identity_comes_before_its_binding_and_goes_after_it() -> None:
    assert keys(binding_pair.decide_present(principal(), Observed())) == ["secret", "identity", "binding"]
    assert keys(absent(principal(), made(principal()))) == ["binding", "identity", "secret"]


def test_what_came_true_is_no_change() -> None:
    again = binding_pair.decide_present(desired(), made(desired()))
    assert again.writes == () and again.before == again.after


def test_what_another_owner_keeps_is_changed_only_by_adoption() -> None:
    theirs = made(desired(owner="team-a"))
    assert binding_pair.decide_present(desired(owner="team-b"), theirs).writes == ()
    for change in ({"selector": "y"}, {"ad_endpoint": "https://login/"}):
        with pytest.raises(Failure, match="belongs to the owner 'team-a'"):
            binding_pair.decide_present(desired(owner="team-b", **change), theirs)
        assert binding_pair.decide_present(desired(owner="team-b", adopt=True, **change), theirs).writes


def test_nothing_of_a_secret_is_shown() -> None:
    wanted = principal(client_password="pa55word")
    for observed in (Observed(), made(principal(client_password="0ther"))):
        decision = binding_pair.decide_present(wanted, observed)
        text = repr((decision.before, decision.after, decision.result, [c.summary for c in decision.writes]))
        for value in ("pa55word", "0ther"):
            assert value not in text and base64.b64encode(value.encode()).decode() not in text
        assert decision.before["secret" if "secret" in decision.before else "identity"] is not None
    assert "pa55word" not in repr(wanted)


def test_a_diff_has_nothing_of_a_secret_that_others_wrote() -> None:
    copies = ("objectset.rio.cattle.io/applied", "kapp.k14s.io/original")
    annotations = dict.fromkeys((*copies, "kubectl.kubernetes.io/last-applied-configuration"), "pa55word")
    metadata = {"name": "c", "namespace": "n", "labels": {**MARKS, "theirs": "l4bel"}, "annotations": annotations}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"given": "eA=="}}
    assert binding_pair.hidden({**secret, "stringData": {"other": "pa55word"}}, True) == {
        **secret,
        "metadata": {"name": "c", "namespace": "n", "labels": MARKS},
        "data": {"given": "(hidden, new value)"},
    }


def test_certificate() -> None:
    wanted = principal(type=2, client_certificate="YWJj\nZGVm")
    (secret,) = [c.body for c in binding_pair.decide_present(wanted, Observed()).writes if c.key == "secret"]
    assert secret is not None and sorted(secret["data"]) == ["certificate", "password"]
    assert base64.b64decode(secret["data"]["certificate"]) == b"abcdef"
    with pytest.raises(Failure, match="base64"):
        binding_pair.decide_present(principal(type=2, client_certificate="?", client_password=None), Observed())


def test_the_key_of_an_existing_secret_stays_the_only_one() -> None:
    place = {"namespace": "n", "name": "i-credential"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": place, "data": {"given": "eA=="}}
    decision = binding_pair.decide_present(principal(), Observed(secrets=(secret,)))
    (write,) = [c for c in decision.writes if c.key == "secret"]
    assert write.body is not None and list(write.body["data"]) == ["given"]


def test_what_we_applied_before_is_applied_again() -> None:
    """Server-side apply would take it away otherwise."""
    live = made(desired(ad_endpoint="https://login/", labels={"team": "a"}))
    identity = dict(live.identities[0])
    fields = {
        "f:metadata": {"f:labels": {".": {}, **{f"f:{name}": {} for name in (*MARKS, "team")}}},
        "f:spec": {f"f:{name}": {} for name in ("adEndpoint", "clientID", "resourceID", "type")},
    }
    ours = {"manager": "azureops.pod_identity", "operation": "Apply", "fieldsV1": fields}
    theirs = {"manager": "x", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    identity["metadata"] = {**identity["metadata"], "managedFields": [ours, theirs]}
    identity["spec"] = {**identity["spec"], "replicas": 3}
    observed = Observed(identities=(identity,), bindings=live.bindings)
    (write,) = binding_pair.decide_present(desired(client_id=CLIENT_ID.replace("2", "3")), observed).writes
    assert write.body is not None
    assert write.body["spec"]["adEndpoint"] == "https://login/" and "replicas" not in write.body["spec"]
    assert write.body["metadata"]["labels"] == {**MARKS, "team": "a"}


def test_adoption_takes_the_whole_content() -> None:
    live = made(desired())
    plain = [{**raw, "metadata": {"namespace": "n", "name": "i"}} for raw in (live.identities[0], live.bindings[0])]
    observed = Observed(identities=(plain[0],), bindings=(plain[1],), pods=(user(),))
    assert binding_pair.decide_present(desired(), observed).writes == ()
    identity, binding = binding_pair.decide_present(desired(adopt=True), observed).writes
    assert identity.force and identity.body is not None and identity.body["spec"] == plain[0]["spec"]
    assert identity.body["metadata"]["labels"] == MARKS
    assert identity.summary == "adopt AzureIdentity n/i (MIC assigns it anew to 1 pod)"
    assert binding.summary == "adopt AzureIdentityBinding n/i (1 pod gets the identity)"


@pytest.mark.parametrize(("behavior", "count"), [("namespaced", 1), ("standard", 2), (None, 2)])
def test_pods_are_counted_by_behavior(behavior: str | None, count: int) -> None:
    observed = Observed(pods=(user(), user("b", "other"), user("unscheduled"), user("c", phase="Failed")))
    assert observed.pods is not None
    observed = Observed(pods=(*observed.pods[:2], observed.pods[3]))
    assert binding_pair.decide_present(desired(behavior=behavior), observed).result["matching_pods"] == count


def test_unknown_number_of_pods() -> None:
    decision = binding_pair.decide_present(desired(), Observed(pods=None))
    assert "an unknown number of pods" in decision.writes[-1].summary
    assert decision.result["matching_pods"] is None


def test_what_is_in_use_stays() -> None:
    live = made(desired())
    observed = Observed(identities=live.identities, bindings=live.bindings, pods=(user(),))
    with pytest.raises(Failure, match="n/a"):
        absent(desired(), observed)
    assert keys(absent(desired(), observed, allow_in_use=True)) == ["binding", "identity"]
    gone = Observed(identities=live.identities, bindings=live.bindings, pods=(user(deleting=True),))
    assert keys(absent(desired(), gone)) == ["binding", "identity"]


def test_pods_that_may_not_be_listed_are_seen_by_their_assignments() -> None:
    live = made(desired())
    reference = {"metadata": {"namespace": "n", "name": "i"}}
    spec = {"pod": "a", "podNamespace": "n", "azureIdentityRef": reference}
    assigned = {"metadata": {"name": "a-n-i"}, "spec": spec}
    observed = Observed(identities=live.identities, bindings=live.bindings, pods=None, assigned=(assigned,))
    with pytest.raises(Failure, match="n/a"):
        absent(desired(), observed)


_options = st.fixed_dictionaries(
    {},
    optional={
        "resource_id": st.sampled_from([RESOURCE_ID, RESOURCE_ID + "2", RESOURCE_ID.lower()]),
        "client_id": st.sampled_from([CLIENT_ID, CLIENT_ID.replace("2", "3")]),
        "selector": st.sampled_from(["x", "y"]),
        "behavior": st.sampled_from(["standard", "namespaced"]),
        "ad_endpoint": st.sampled_from(["https://a/", "https://b/"]),
        "auxiliary_tenant_ids": st.sampled_from([("a",), ("a", "b")]),
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
        "annotations": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
    },
)


@given(_options, _options)
def test_one_write_leads_to_what_is_desired_and_touches_nothing_else(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    live = made(desired(**first))
    unset: dict[str, Any] = {"resource_id": None, "client_id": None, "selector": None, **second}
    wanted = desired(**unset)
    decision = binding_pair.decide_present(wanted, live)
    after = {key: decision.after[key] for key in ("identity", "binding")}
    reached = Observed(identities=(after["identity"],), bindings=(after["binding"],))
    assert binding_pair.decide_present(wanted, reached).writes == ()
    changed = {write.key for write in decision.writes}
    for key in after:
        assert (after[key] == decision.before[key]) is (key not in changed)
    for name, value in (decision.before["identity"]["spec"]).items():
        if name not in {binding_pair.FIELDS[option] for option in second if option in binding_pair.FIELDS}:
            assert after["identity"]["spec"][name] == value
