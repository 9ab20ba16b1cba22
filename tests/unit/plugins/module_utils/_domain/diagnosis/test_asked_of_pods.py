# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In the place of which pods tokens are asked for, how, and what becomes of the answers."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import tokens
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import asked_of_pods
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    binding,
    exception,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import world
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

OWNER = ("ReplicaSet", "web-1")
TOKEN_FILE = {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/var/run/token"}
LABELS = {"azure.workload.identity/use": "true"}
UNBOUND: dict[str, t.Any] = {"AzureIdentityBinding": [], "AzureAssignedIdentity": []}
ACCOUNT = {
    "metadata": {"name": "web", "namespace": "team", "annotations": {"azure.workload.identity/client-id": "theirs"}}
}


def asking(*values: str, **more: t.Any) -> Raw:
    """The pod, whose containers are told these client ids."""
    env = [[{"name": "AZURE_CLIENT_ID", "value": value}] for value in values]
    told = [{"name": f"c{number}", "env": one} for number, one in enumerate(env)]
    return pod(owner=OWNER, spec={"containers": told, **more.pop("spec", {})}, **more)


def exchanging(*containers: str, selector: str = "") -> Raw:
    """The pod with these containers, as the webhook of Workload ID leaves it."""
    made = [{"name": name, "env": [TOKEN_FILE]} for name in containers]
    return pod(selector=selector, owner=OWNER, labels=LABELS, spec={"containers": made})


def many(number: int) -> list[Raw]:
    return [pod(f"one-{place:02}", owner=("Job", f"one-{place:02}")) for place in range(number)]


TEAM, WEB, WORKLOAD = Scope("team"), Scope("team", pod="web-1-a"), Scope("team", workload="web")
WEBS = ["web-1-a"]
NEVER = pod("other", owner=("ReplicaSet", "other-1"), selector="")
TWO: dict[str, t.Any] = {"Pod": [pod("web-1-b", owner=OWNER), pod(owner=OWNER)]}
PENDING: dict[str, t.Any] = {"Pod": [pod(owner=OWNER, phase="Pending")]}
UNMATCHED: dict[str, t.Any] = {"AzureIdentityBinding": [binding(selector="y")]}
EXCEPTED: dict[str, t.Any] = {"AzurePodIdentityException": [exception(app="web")]}
# What is there, what is looked at, the pods that are asked for, and a part of what is told as not asked.
CASES: dict[str, tuple[dict[str, t.Any], Scope, list[str], list[str]]] = {
    "the cluster": ({}, Scope(), WEBS, []),
    "its namespace": ({}, TEAM, WEBS, []),
    "another namespace": ({}, Scope("other"), [], []),
    "the pod": ({}, WEB, WEBS, []),
    "the workload": ({}, WORKLOAD, WEBS, []),
    "one of two pods": (TWO, WORKLOAD, WEBS, []),
    "the other of two": (TWO, Scope("team", pod="web-1-b"), ["web-1-b"], []),
    "the one that runs": ({"Pod": [*PENDING["Pod"], pod("web-1-b", owner=OWNER)]}, Scope(), ["web-1-b"], []),
    "none runs": (PENDING, Scope(), [], ["the token of Deployment team/web"]),
    "the pod does not run": (PENDING, WEB, [], ["the token of Pod team/web-1-a"]),
    "there is none": ({"Pod": []}, Scope(), [], []),
    "there is none of the workload": ({"Pod": []}, WORKLOAD, [], ["the token of workload team/web"]),
    "a label that nothing matches": (UNMATCHED, Scope(), [], []),
    "a label that nothing matches, by name": (UNMATCHED, WEB, WEBS, []),
    "on the host network": ({"Deployment": [template(spec={"hostNetwork": True})]}, Scope(), [], []),
    "excepted": (EXCEPTED, Scope(), [], []),
    "excepted, by name": (EXCEPTED, WEB, WEBS, []),
    "a proxy of Workload ID": ({"Pod": [exchanging("app", "azwi-proxy")], **UNBOUND}, Scope(), WEBS, []),
    "Workload ID without a proxy": ({"Pod": [exchanging("app")], **UNBOUND}, Scope(), [], []),
    "a probe": ({"Pod": [pod(owner=OWNER, labels={tokens.probe_job.PROBE_LABEL: "k"})]}, Scope(), [], []),
    "very many": (
        *({"Pod": many(30), "Deployment": [], "ReplicaSet": []}, Scope()),
        *([f"one-{place:02}" for place in range(25)], ["the tokens of 5 further workloads"]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_in_whose_place_it_is_asked(case: str) -> None:
    objects, scope, pods, left_out = CASES[case]
    questions, unread = asked_of_pods.questions(world(**objects), scope)
    assert [one.target.pod for one in questions] == pods
    assert [one.what for one in unread] == left_out
    assert {one.source for one in unread} <= {"probe"} and all(one.why and one.needs for one in unread)


def test_a_scope_that_names_nothing() -> None:
    with pytest.raises(Failure, match="There is no Pod team/none"):
        asked_of_pods.questions(world(), Scope("team", pod="none"))


@for_each(
    case("none", pod(owner=OWNER), None, {}),
    case("one", asking("mine"), "mine", {}),
    case("one, twice", asking("mine", "mine"), "mine", {}),
    case("two", asking("mine", "yours"), None, {}),
    case("one by reference", asking("mine", ""), "mine", {}),
    case("proxy", exchanging("app", "azwi-proxy"), None, {"path": "workload_identity", "client_id": "theirs"}),
    case("both ways, and no proxy", exchanging("app", selector="x"), None, {}),
    case("no proxy", exchanging("app"), None, {"path": "workload_identity", "client_id": "theirs"}),
)
def test_how_it_is_asked(one: Raw, client_id: str | None, expect: dict[str, str]) -> None:
    observed = world(Pod=[one], ServiceAccount=[ACCOUNT])
    (question,), _unread = asked_of_pods.questions(observed, WEB, resource="https://vault.azure.net", image="mine")
    assert (question.client_id, question.expect) == (client_id, expect)
    assert (question.resource, question.image, question.samples) == ("https://vault.azure.net", "mine", 1)
    assert question.method == "probe_pod" and not any(question.allowed.values()) and not question.target_url


REFUSED = (
    '{"tool":"curl"}\n{"exit":"0"}\n{"status":"403"}\n{"header":"Content-Type: text/plain"}\n'
    '{"body":"Identity not found"}\n{"instance_exit":"0"}\n{"instance_status":"403"}\n'
    '{"instance_header":"Content-Type: text/plain"}\n'
    '{"instance_body":"Request blocked by AAD Pod Identity NMI"}\n{"end":"1"}\n'
)


def test_what_becomes_of_answers() -> None:
    questions, _unread = asked_of_pods.questions(world(Pod=many(4), Deployment=[], ReplicaSet=[]), Scope())
    place = tokens.probe_job.Place(many(1)[0], "n1", "x", "web", {})
    expected = tokens.token.Expectation("r", identity="team/i, team/j")
    answers = [
        tokens.token_questions.Asked(place, expected, output=REFUSED),
        *(tokens.token_questions.not_asked(one, "No room.") for one in questions[1:3]),
        tokens.token_questions.not_asked(questions[3], "Refused."),
    ]
    (asked,), unread = asked_of_pods.answered(questions, answers)
    assert (asked.namespace, asked.pod, asked.node, asked.service_account) == ("team", "one-00", "n1", "web")
    assert (asked.verdict.verdict, asked.identities) == ("identity_missing", ("team/i", "team/j"))
    assert [(one.what, one.why) for one in unread] == [
        ("the tokens of 2 pods, such as Pod team/one-01", "No room."),
        ("the token of Pod team/one-03", "Refused."),
    ]
    assert asked_of_pods.not_asked((), "x") == ()
