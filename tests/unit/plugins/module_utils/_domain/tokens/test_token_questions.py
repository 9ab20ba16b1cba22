# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which requests for tokens a run makes, and which of them get another turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe, token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import Target
from ansible_collections.azureops.pod_identity.plugins.modules import pod_token_info
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

UNKNOWN = '{"status":"500"}\n{"body":"failed to match pod IP 10.0.0.1 with []"}\n'


def options(**given: Any) -> dict[str, Any]:
    """What the module makes of options."""
    spec = pod_token_info.argument_spec().options
    return {**{name: option.get("default") for name, option in spec.items()}, **given}


def test_one_workload_is_that_of_the_options() -> None:
    given = options(namespace="n", selector="x", expect={"client_id": "c"}, allow_detach=True)
    (question,) = token_questions.parse(given)
    assert question.target == Target("n", "x")
    assert (question.method, question.timeout, question.expect) == ("probe_pod", 180, {"client_id": "c"})
    allowed = {name for name, value in question.allowed.items() if value}
    assert allowed == {"allow_detach"} and len(question.allowed) == 3


def test_an_entry_goes_before_what_is_said_for_all() -> None:
    """What an entry leaves out Ansible gives as None."""
    nothing = dict.fromkeys(pod_token_info.argument_spec().options["workloads"]["options"])
    first = {**nothing, "namespace": "a", "pod": "p", "timeout": 5, "allow_detach": False}
    second = {**nothing, "namespace": "b", "selector": "x", "labels": {"app": ""}, "method": "exec"}
    given = options(workloads=[first, second], timeout=60, allow_detach=True, image="i", owner="team")
    one, other = token_questions.parse(given)
    assert (one.target, other.target) == (Target("a", pod="p"), Target("b", "x"))
    assert (one.timeout, other.timeout, one.method, other.method) == (5, 60, "probe_pod", "exec")
    assert (one.allowed["allow_detach"], other.allowed["allow_detach"]) == (False, True)
    assert (one.labels, other.labels) == ({}, {"app": ""})
    assert {one.image, other.image} == {"i"} and {one.owner, other.owner} == {"team"}


def test_no_workload_is_refused() -> None:
    with pytest.raises(Failure, match="workloads is empty"):
        token_questions.parse(options(workloads=[]))


@pytest.mark.parametrize("number", [0, -1])
def test_nothing_at_once_is_refused(number: int) -> None:
    with pytest.raises(Failure, match=f"at_once is {number}; .* at least 1"):
        token_questions.parse(options(namespace="n", selector="x", at_once=number))


@for_each(
    ("OutOfcpu: Node didn't have enough resource: cpu, requested: 10, used: 2000, capacity: 2000", True),
    ("OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110", True),
    ("Evicted: The node was low on resource: memory", True),
    ('Error creating: pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5', True),
    ('jobs.batch "j" is forbidden: exceeded quota: q, requested: count/jobs.batch=1', True),
    ("UnexpectedAdmissionError: Allocate failed", False),
    ('Error creating: pods "p" is forbidden: violates PodSecurity "restricted:latest"', False),
    ("ImagePullBackOff: Back-off pulling image", False),
    ("", False),
)
def test_who_found_no_room(reason: str, crowded: bool) -> None:
    assert token_questions.crowded_out(reason) is crowded


def test_what_was_not_asked_is_not_verified() -> None:
    (question,) = token_questions.parse(options(namespace="n", selector="x", node="a0", expect={"client_id": "c"}))
    asked = token_questions.not_asked(question, "Why.")
    found = asked.outcome().verdict
    assert (found.verdict, found.message) == ("not_verified", "Why.")
    assert (asked.place.node, asked.place.selector, asked.expected.client_id) == ("a0", "x", "c")


@for_each(
    (UNKNOWN, True),
    (UNKNOWN.replace("failed to match pod IP 10.0.0.1 with []", "pod list is empty"), True),
    (UNKNOWN.replace("500", "200"), False),
    ('{"status":"404"}\n{"body":"no azure identity found for request"}\n', False),
    ("", False),
)
def test_who_is_asked_again(output: str, unknown: bool) -> None:
    assert token_questions.is_pod_unknown(output) is unknown


def test_a_probe_has_time_to_ask_again() -> None:
    (question,) = token_questions.parse(options(namespace="n", selector="x", timeout=10, start_timeout=20))
    made = token_questions.job(question, probe.choose(question.target, (), {}), "probe")
    assert made["spec"]["activeDeadlineSeconds"] > 20 + 10 + token_questions.AGAIN_SECONDS
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["sh", "-c"] and "http://169.254.169.254" in str(container["command"])


def test_a_probe_has_time_for_all_its_samples() -> None:
    given = options(namespace="n", selector="x", timeout=10, start_timeout=20, samples=5, sample_interval=7)
    (question,) = token_questions.parse(given)
    place = probe.choose(question.target, (), {})
    once, often = (token_questions.job(question, place, "probe", wanted) for wanted in (1, 5))
    more = often["spec"]["activeDeadlineSeconds"] - once["spec"]["activeDeadlineSeconds"]
    assert more == 4 * (10 + token_questions.AGAIN_SECONDS + 7)
    assert token_questions.seconds(question, 5) == 5 * (10 + token_questions.AGAIN_SECONDS) + 4 * 7
    (container,) = often["spec"]["template"]["spec"]["containers"]
    assert container["command"][4:7] == [str(token_questions.AGAIN_SECONDS), "5", "7"]


def test_a_probe_that_asks_entra_runs_that_program() -> None:
    given = options(namespace="n", service_account="s", path="workload_identity", client_id="c")
    (question,) = token_questions.parse(given)
    made = token_questions.job(question, probe.choose(question.target, (), {}), "probe")
    (container,) = made["spec"]["template"]["spec"]["containers"]
    command = str(container["command"])
    assert "oauth2/v2.0/token" in command and "http://169.254.169.254" not in command
    assert container["command"][-5:-2] == ["https%3A%2F%2Fmanagement.azure.com%2F%2F.default", "c", "180"]
    assert question.python_command()[0] == "python3"


def test_entra_does_not_answer_by_the_way_of_nmi() -> None:
    given = options(namespace="n", selector="x", path="workload_identity", expect={"path": "pod_identity"})
    with pytest.raises(Failure, match="leave expect.path out"):
        token_questions.parse(given)


@for_each(
    ({"samples": 0}, "samples is 0; .* 1 to 500"),
    ({"samples": 501}, "samples is 501; .* 1 to 500"),
    ({"sample_interval": -1}, "sample_interval is -1; .* 0 or more"),
)
def test_samples_that_cannot_be_made_are_refused(given: dict[str, int], words: str) -> None:
    with pytest.raises(Failure, match=words):
        token_questions.parse(options(namespace="n", selector="x", **given))


FIRST = '{"tool":"curl"}\n{"exit":"0"}\n{"status":"403"}\n{"body":"a"}\n{"end":"1"}\n'
SECOND = FIRST.replace('"a"', '"b"')


def test_each_printed_answer_is_a_sample_and_each_missing_one_too() -> None:
    (question,) = token_questions.parse(options(namespace="n", selector="x"))
    asked = replace(token_questions.not_asked(question, "It broke."), output=f"{FIRST}{SECOND}noise\n", wanted=3)
    other = replace(token_questions.not_asked(question, "No room."), wanted=2)
    samples = replace(asked, others=(other,)).samples()
    assert [sample.answer.body for sample in samples] == ["a", "b", "", "", ""]
    assert [sample.verdict.message for sample in samples[2:]] == ["It broke.", "No room.", "No room."]
    assert len(replace(asked, wanted=1).samples()) == 1
