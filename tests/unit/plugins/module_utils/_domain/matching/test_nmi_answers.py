# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NMI answers: who is asked, what a request names, and what chance decides."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    AssignedIdentity,
    Binding,
    Identity,
    Matching,
    Pod,
    Rules,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.nmi_answers import (
    Answer,
    Answers,
    Held,
    PodException,
    Request,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
STANDARD, MANAGED = Rules(), Rules(mode="managed")


def pod(selector: str = "x", namespace: str = "p", **changes: t.Any) -> Pod:
    labels = {"aadpodidbinding": selector, **changes.pop("labels", {})}
    return Pod(namespace, "a", labels, "n1", **changes)


def identity(name: str, namespace: str = "p", kind: int = 0, **changes: t.Any) -> Identity:
    return Identity(namespace, name, kind, ID + name, f"client-{name}", **changes)


def answers(identities: list[Identity], rules: Rules = STANDARD, **more: t.Any) -> Answers:
    bindings = [Binding(one.namespace, f"b-{one.name}", one.name, "x") for one in identities]
    return Answers(Matching(bindings, identities, rules), **more)


def said(found: tuple[Answer, ...]) -> list[tuple[int, str, str]]:
    return [(answer.status, answer.kind, answer.identity.name if answer.identity else "") for answer in found]


BOTH = [identity("i"), identity("j")]
OF_I, OF_J = (200, "token", "i"), (200, "token", "j")
NO_SUCH, NOT_ASSIGNED = (404, "no_such_identity", ""), (404, "not_assigned", "")


@for_each(
    (Request(), [OF_I, OF_J], [OF_I, OF_J]),
    (Request("client-j"), [OF_J], [OF_J]),
    (Request("CLIENT-J"), [NO_SUCH], [NO_SUCH]),
    (Request("client-k"), [NOT_ASSIGNED], [NO_SUCH]),
    (Request(msi_res_id=ID + "i"), [OF_I], [OF_I]),
    (Request(mi_res_id=ID + "i"), [OF_I], [OF_I]),
    (Request(msi_res_id=(ID + "i").upper()), [NO_SUCH], [NO_SUCH]),
    (Request(msi_res_id=ID + "i", mi_res_id=ID + "j"), [OF_I], [OF_I]),
    (Request("client-j", ID + "i"), [OF_I, OF_J], [OF_I, OF_J]),
    (Request("client-k", ID + "i"), [OF_I], [OF_I]),
)
def test_what_is_asked_for(
    request_: Request, standard: list[tuple[int, str, str]], managed: list[tuple[int, str, str]]
) -> None:
    assert said(answers(BOTH).expected(pod(), request_)) == standard
    assert said(answers(BOTH, MANAGED).expected(pod(), request_)) == managed


@for_each(
    ((1, 8, 15), Request(mi_res_id=ID + "i"), [OF_I]),
    ((1, 8, 14), Request(mi_res_id=ID + "i"), [OF_I, OF_J]),
    ((1, 8, 14), Request(msi_res_id=ID + "i"), [OF_I]),
    ((1, 6, 1), Request(msi_res_id=ID + "i"), [OF_I, OF_J]),
    ((1, 6, 1), Request("client-k"), [NOT_ASSIGNED]),
    ((1, 6, 0), Request("client-k"), [(403, "not_assigned", "")]),
)
def test_versions(version: tuple[int, ...], request_: Request, expected: list[tuple[int, str, str]]) -> None:
    assert said(answers(BOTH, Rules(version=version)).expected(pod(), request_)) == expected


def test_retry_after() -> None:
    assert said(answers([], Rules(retry_after=True)).expected(pod())) == [(503, "not_assigned", "")]


@pytest.mark.parametrize("rules", [Rules(), MANAGED, Rules(force_namespaced=True)])
def test_who_is_not_asked_for_its_assignments(rules: Rules) -> None:
    exceptions = [PodException("p", "e", {"app": "Web", "tier": "x"}), PodException("q", "other", {"app": "db"})]
    found = answers([identity("i")], rules, exceptions=exceptions)
    node, mine = [(200, "node_token", "")], [OF_I]
    assert said(found.expected(pod(labels={"app": "wEB"}))) == node
    assert said(found.expected(pod(labels={"tier": "x", "app": "other"}), Request("any"))) == node
    assert said(found.expected(pod(labels={"app": "db"}))) == mine
    assert said(found.expected(pod(host_network=True, labels={"app": "web"}))) == [(200, "imds", "")]
    assert [one.name for one in found.exceptions(pod(labels={"app": "web", "tier": "X"}))] == ["e"]


@for_each(
    ("default", "mic-7d9f8c5b6", True),
    ("Default", "microservice-1", True),
    ("default", "amic", False),
    ("default", "", False),
    ("p", "mic-1", False),
)
def test_who_is_taken_for_mic(namespace: str, replica_set: str, expected: bool) -> None:
    found = answers([])
    assert found.taken_for_mic(pod(namespace=namespace, replica_set=replica_set)) is expected
    elsewhere = answers([], Rules(mic_namespace="p"))
    assert elsewhere.taken_for_mic(pod(namespace=namespace, replica_set=replica_set)) is (
        namespace == "p" and replica_set.startswith("mic")
    )


def test_pods_that_nmi_does_not_know() -> None:
    unknown = [(500, "pod_unknown", "")]
    found = answers([identity("i")])
    for phase, expected in (("Succeeded", unknown), ("Failed", unknown), ("Unknown", unknown), ("Pending", [OF_I])):
        assert said(found.expected(pod(phase=phase))) == expected
    for host_network in (False, True):
        twins = [pod(ip="10.0.0.1"), pod(namespace="q", ip="10.0.0.1", host_network=host_network)]
        assert said(answers([identity("i")], pods=twins).expected(twins[0])) == unknown
    ended = [twins[0], pod(namespace="q", ip="10.0.0.1", phase="Succeeded")]
    assert said(answers([identity("i")], pods=ended).expected(twins[0])) == [OF_I]


def assigned(one: Identity, state: str) -> AssignedIdentity:
    return AssignedIdentity("default", f"a-p-{one.name}", "p", "a", "n1", one, Binding("p", "b", one.name, "x"), state)


@for_each(
    (("Created", "Created"), Request(), [(404, "assignment_pending", "")]),
    (("Assigned", "Created"), Request(), [OF_I]),
    (("Assigned", ""), Request(), [OF_J]),
    (("Assigned", ""), Request("client-i"), [OF_I]),
    (("Created", "Assigned"), Request("client-i"), [(404, "assignment_pending", "")]),
    (("Created", "Assigned"), Request("CLIENT-I"), [(404, "assignment_pending", "")]),
    (("Created", "Assigned"), Request("client-k"), [NOT_ASSIGNED]),
    (("Unassigned", "Unassigned"), Request(), [NOT_ASSIGNED]),
)
def test_states(states: tuple[str, str], request_: Request, expected: list[tuple[int, str, str]]) -> None:
    live = [assigned(BOTH[0], states[0]), assigned(BOTH[1], states[1])]
    assert said(answers(BOTH, assigned=live).given(pod(), request_)) == expected


def test_nothing_left_in_namespaced_mode_is_a_crash() -> None:
    live = [assigned(identity("i", "q", namespaced=True), "Assigned")]
    assert said(answers([], assigned=live).given(pod())) == [(500, "crash", "")]
    assert said(answers([], assigned=live).given(pod(), Request("client-i"))) == [NO_SUCH]
    forced = answers([], Rules(force_namespaced=True), assigned=[assigned(identity("i", "q"), "Assigned")])
    assert said(forced.given(pod())) == [(500, "crash", "")]


def test_types() -> None:
    for kind, expected in ((1, OF_I), (2, OF_I), (3, (503, "unsupported_type", "i"))):
        assert said(answers([identity("i", kind=kind)]).expected(pod())) == [expected]
    before = answers([identity("i", kind=3)], Rules(version=(1, 8, 5)))
    assert said(before.expected(pod())) == [(403, "unsupported_type", "i")]
    for kind, answer in ((0, OF_I), (1, (503, "no_client_id", "i")), (2, (503, "no_client_id", "i"))):
        assert said(answers([replace(identity("i", kind=kind), client_id="")]).expected(pod())) == [answer]


def test_managed_mode_stays_in_its_namespace_and_knows_the_empty_selector() -> None:
    elsewhere = answers([identity("i", "q")], MANAGED)
    assert said(elsewhere.expected(pod())) == [NO_SUCH]
    empty = Answers(Matching([Binding("p", "b", "i", "")], [identity("i")], MANAGED))
    assert said(empty.expected(Pod("p", "a", {}, "n1"))) == [OF_I]


_id = st.sampled_from(["", "c", "C", "d"])
_choices = st.lists(st.lists(st.tuples(_id, _id), min_size=1, max_size=3), max_size=3)
_requests = st.builds(Request, _id, _id)


@given(_choices, _requests)
def test_of_one_name_every_choice_is_thought_of(choices: list[list[tuple[str, str]]], request_: Request) -> None:
    """Against all combinations, which are too many in earnest."""
    identities = [
        Identity(f"ns{place}", f"i{number}", 1, resource, client)
        for number, rivals in enumerate(choices)
        for place, (client, resource) in enumerate(rivals)
    ]
    found = answers(identities, Rules(version=(1, 8, 1)))
    rivals_by_name = [list(group) for dummy, group in itertools.groupby(identities, key=lambda one: one.name)]
    every: set[Answer] = set()
    for combination in itertools.product(*rivals_by_name):
        every |= set(found._answer(pod(), request_, [Held(one) for one in combination]))
    assert set(found.expected(pod(), request_)) == every


@given(st.lists(st.tuples(_id, _id, st.sampled_from(["", "Created", "Assigned", "Unassigned"])), max_size=4), _requests)
def test_a_token_is_of_what_was_asked_for(held: list[tuple[str, str, str]], request_: Request) -> None:
    live = [
        assigned(Identity("p", f"i{number}", 0, resource, client), state)
        for number, (client, resource, state) in enumerate(held)
    ]
    found = answers([], assigned=live).given(pod(), request_)
    assert found
    for answer in found:
        got = answer.identity
        assert (answer.status == 200) is (got is not None)
        if got is not None and (request_.client_id or request_.msi_res_id):
            assert request_.client_id == got.client_id != "" or request_.msi_res_id == got.resource_id != ""
