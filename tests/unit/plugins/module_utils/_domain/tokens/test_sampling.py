# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verdict over several answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import sampling, token
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import Place
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.sampling import Sample
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token_request import Answer
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

EXPECTED = token.Expectation("https://vault.azure.net", client_id="c")
OK = token.Verdict("ok", "", "nmi", "NMI handed out a token of a/b.")
PROXY = "workload_identity_proxy"
REFUSED = token.Verdict("federation_refused", "V14", PROXY, "It said no.", error_code="AADSTS700213")
DEAD = token.Verdict("nmi_dead", "V2", "nobody", "Nobody listens.")
UNKNOWN = token.not_verified("The probe did not start.")
STATUS = {"ok": 200, "federation_refused": 500}


def sample(verdict: token.Verdict, node: str = "n0", client: str = "c") -> Sample:
    place = Place({"metadata": {"name": f"pod-{node}"}}, node, "x", "default", {})
    claims = {"appid": client} if verdict.verdict == "ok" else None
    return Sample(place, Answer(status=STATUS.get(verdict.verdict, 0), claims=claims), verdict)


def samples(*counted: tuple[int, token.Verdict]) -> list[Sample]:
    return [sample(verdict) for count, verdict in counted for _number in range(count)]


@for_each(
    ([(1, OK)], "ok", "", 1, "token of a/b."),
    ([(1, REFUSED)], "federation_refused", "V14", 0, "It said no."),
    ([(10, OK)], "ok", "", 10, "NMI handed out a token of a/b, 10 of 10 times."),
    (
        *([(9, OK), (1, REFUSED)], "intermittent", "V16", 9),
        "9 of 10 requests got the right token, the others not (1 federation_refused). It said no.",
    ),
    (
        *([(1, REFUSED), (7, OK), (2, DEAD)], "intermittent", "V16", 7),
        "7 of 10 requests got the right token, the others not (2 nmi_dead, 1 federation_refused). Nobo",
    ),
    ([(1, OK), (8, UNKNOWN), (1, DEAD)], "intermittent", "V16", 1, "Nobody listens."),
    ([(9, OK), (1, UNKNOWN)], "not_verified", "", 9, "9 of 10 requests got the right token"),
    ([(2, REFUSED), (3, DEAD)], "nmi_dead", "V2", 0, "(3 nmi_dead, 2 federation_refused). Nobody"),
    ([(3, UNKNOWN), (1, REFUSED)], "federation_refused", "V14", 0, "It said no."),
    ([(3, UNKNOWN)], "not_verified", "", 0, "did not start"),
)
def test_outcomes(counted: list[tuple[int, token.Verdict]], verdict: str, code: str, right: int, words: str) -> None:
    asked = samples(*counted)
    found = sampling.outcome(asked, EXPECTED)
    assert (found.verdict.verdict, found.verdict.code, found.right) == (verdict, code, right)
    assert words in found.verdict.message and found.verdict.message.endswith(".")
    view = found.view()
    assert (view["asked"], view["right"], view["rate"]) == (len(asked), right, right / len(asked))
    assert sorted(each["count"] for each in view["answers"]) == sorted(count for count, dummy in counted)


def test_distinct_answers_say_where_they_came_from() -> None:
    other = replace(REFUSED, error_code="AADSTS90033")
    asked = [sample(OK, "n1"), sample(REFUSED, "n0"), sample(OK, "n0"), sample(other, "n1"), sample(OK, "n1")]
    first, *rest = sampling.outcome(asked, EXPECTED).view()["answers"]
    assert (first["count"], first["nodes"], first["pods"]) == (3, ["n0", "n1"], ["pod-n0", "pod-n1"])
    assert first["references"][0].endswith("/docs/codes.md#ok")
    assert [(each["count"], each["error_code"], each["nodes"]) for each in rest] == [
        (1, "AADSTS700213", ["n0"]),
        (1, "AADSTS90033", ["n1"]),
    ]


@pytest.mark.parametrize(("client_id", "verdict", "code"), [("", "ambiguous_identity", "V11"), ("c", "ok", "")])
def test_tokens_of_several_identities_without_a_client_id(client_id: str, verdict: str, code: str) -> None:
    asked = [sample(OK), sample(OK, client="d"), sample(OK)]
    found = sampling.outcome(asked, replace(EXPECTED, client_id=client_id)).verdict
    assert (found.verdict, found.code) == (verdict, code)


@given(st.lists(st.sampled_from([OK, REFUSED, DEAD, UNKNOWN]), min_size=1, max_size=30))
def test_a_verdict_is_right_only_if_every_answer_is(verdicts: list[token.Verdict]) -> None:
    found = sampling.outcome([sample(verdict) for verdict in verdicts], EXPECTED)
    kinds = {verdict.verdict for verdict in verdicts}
    assert (found.verdict.verdict == "ok") == (kinds == {"ok"})
    wrong = kinds & {"federation_refused", "nmi_dead"}
    assert (found.verdict.verdict == "intermittent") == ("ok" in kinds and bool(wrong))
    assert found.verdict.verdict in {*kinds, "intermittent"}
    assert sum(each["count"] for each in found.view()["answers"]) == len(verdicts)
