# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only an answer tells, whom it concerns, and which other causes explain it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import aadsts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import catalogue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import (
    Cause,
    diagnose,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    Asked,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.of_requests import TABLE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import verdicts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Check, Verdict
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    assigned,
    binding,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import log, told, world
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, worlds_by_name

POD, IDENTITY = "Pod team/web-1-a", "AzureIdentity team/i"
PROXY = "workload_identity_proxy"
POD_OBJECT = pod(owner=("ReplicaSet", "web-1"))
MINE = (Check("audience", "a", "a", ok=True),)
Told = list[tuple[str, str, str]]


def asked(verdict: str, by: str = "nmi", message: str = "It is so.", **more: t.Any) -> Asked:
    return Asked("team", "web-1-a", "n1", Verdict(verdict, "", by, message, **more), ("team/i",), "web")


def here(*several: Asked, **more: t.Any) -> Observed:
    return world(asked=several, **more)


GROUPS: Groups[Observed] = {
    ("no", "cause"): {"nothing was asked": world(), "the right token": here(asked("ok", checks=MINE))},
    ("refused_by_entra", IDENTITY, "proved"): {
        "the secret has expired": here(asked("token_refused", error_code="AADSTS7000222")),
        "a code that nobody knows": here(asked("token_refused", error_code="AADSTS999999")),
    },
    ("refused_by_entra", "ServiceAccount team/web", "proved"): {
        "no federated credential": here(asked("federation_refused", PROXY, error_code="AADSTS700213"))
    },
    ("token_not_right", POD, "proved"): {
        "a token of another identity": here(asked("wrong_identity", checks=MINE)),
        "a token past NMI": here(asked("raw_imds", "imds", checks=MINE)),
    },
    ("no_token", POD, "proved"): {
        "not assigned": here(asked("not_assigned")),
        "no answer": here(asked("path_blocked", "nobody")),
        "IMDS without a token": here(asked("raw_imds", "imds")),
    },
    ("token_by_chance", POD, "proved"): {"any of several": here(asked("ambiguous_identity", checks=MINE))},
}
CASES = worlds_by_name(GROUPS)


@pytest.mark.parametrize("case", CASES)
def test_the_causes_of_a_world(case: str) -> None:
    observed, causes = CASES[case]
    assert told(TABLE, observed) == causes


def test_every_code_is_found_in_some_world() -> None:
    assert codes(CASES) == {row.code for row in TABLE.rows}


def ours(observed: Observed, scope: Scope | None = None) -> list[Cause]:
    codes = {row.code for row in TABLE.rows}
    return [one for one in diagnose(observed, scope or Scope()).causes if one.code in codes]


@pytest.mark.parametrize("case", [case for case, (dummy, causes) in CASES.items() if causes])
@pytest.mark.parametrize("scope", [Scope("team", pod="web-1-a"), Scope("team", workload="web"), Scope("team")])
def test_it_concerns_the_pod_alone(case: str, scope: Scope) -> None:
    observed, causes = CASES[case]
    assert [one.code for one in ours(observed, scope)] == [code for code, *rest in causes]
    assert ours(observed, Scope("other")) == []


@pytest.mark.parametrize("verdict", sorted(set(verdicts.MEANINGS) - {"ok"}))
def test_every_verdict_that_is_not_right_is_told_and_named(verdict: str) -> None:
    (one,) = ours(here(asked(verdict, message="NMI said: \x1b[2J no.")))
    assert one.references[:2] == (catalogue.address(one.code), catalogue.address(verdict))
    assert "\\x1b[2J" in one.cause and one.cause.isprintable()
    assert one.evidence[0].source == "request in place of Pod team/web-1-a on Node n1"


@pytest.mark.parametrize("code", sorted(aadsts.REFUSALS))
@pytest.mark.parametrize("by", ["nmi", PROXY])
def test_every_code_of_entra_leads_to_its_remedy_and_source(code: str, by: str) -> None:
    known = aadsts.REFUSALS[code]
    (one,) = ours(here(asked("token_refused", by, error_code=known.name)))
    holder = aadsts.SERVICE_ACCOUNT if by == PROXY else aadsts.AZURE_IDENTITY
    remedy = known.remedy(holder, "team/i")
    assert one.fix.text == f"{remedy[0].upper()}{remedy[1:]}."
    assert known.name in one.cause and known.meaning in one.cause and known.source in one.references


def test_without_an_identity_that_is_known_the_pod_is_named() -> None:
    bare = Asked("team", "web-1-a", "n1", Verdict("token_refused", "", "nmi", "No.", error_code="AADSTS7000215"))
    assert told(TABLE, here(bare)) == [("refused_by_entra", POD, "proved")]


def explained(observed: Observed) -> tuple[str, ...]:
    (one,) = ours(observed)
    return one.because


ELSEWHERE: Raw = {"nodeSelector": {"pool": "other"}}


def without_nmi() -> tuple[Component, ...]:
    mic, nmi = world().components
    nmi.workload["spec"]["template"]["spec"].update(ELSEWHERE)
    return mic, Component(nmi.program, nmi.workload)


def test_what_else_is_told_of_the_pod_comes_before_and_explains_it() -> None:
    """The node has no NMI; the identity has no resource id; the application asks for another client id."""
    observed = here(asked("nmi_dead", "nobody"), components=without_nmi())
    assert (diagnose(observed).causes[0].code, explained(observed)) == ("stale_rule", ("stale_rule",))
    malformed = here(asked("not_assigned"), AzureIdentity=[identity(resourceID="/x")], AzureAssignedIdentity=[])
    assert "resource_id_malformed" in explained(malformed)
    container = {"name": "c", "env": [{"name": "AZURE_CLIENT_ID", "value": "another"}]}
    one = pod(owner=("ReplicaSet", "web-1"), spec={"containers": [container]})
    assert explained(here(asked("wrong_identity"), Pod=[one])) == ("client_id_unknown_to_nmi",)


def test_several_identities_of_a_pod_explain_a_token_by_chance() -> None:
    """What objects tell of the workload comes before; alone it is told all the same."""
    by_chance = asked("ambiguous_identity", checks=MINE)
    several = here(
        by_chance,
        AzureIdentity=[identity(), identity("j")],
        AzureIdentityBinding=[binding(), binding("c", "j")],
        AzureAssignedIdentity=[assigned(POD_OBJECT, binding(name, to), identity(to)) for name, to in ("bi", "cj")],
    )
    codes = [one.code for one in diagnose(several).causes]
    assert codes[-2:] == ["ambiguous_default", "token_by_chance"]
    assert explained(several) == ("ambiguous_default",)
    (alone,) = ours(here(by_chance))
    assert (alone.because, alone.severity) == ((), "warning")


def test_what_is_told_of_another_node_or_workload_explains_nothing() -> None:
    other = template("db", selector="y")
    silent = here(asked("not_assigned"), Deployment=[template(), other])
    assert "nothing_matches" in {one.code for one in diagnose(silent).causes}
    assert explained(silent) == ()
    text = 'failed to get a token: {"error":"invalid_client","error_description":"AADSTS700024: no"}'
    skewed = here(asked("not_assigned"), logs=(log("nmi", text),))
    assert "clock_skew" in {one.code for one in diagnose(skewed).causes} and explained(skewed) == ()


def test_the_step_is_named_and_the_log_of_nmi_on_the_node() -> None:
    (one,) = ours(here(asked("not_assigned")))
    assert "compare the label aadpodidbinding of the pod with selector of its binding" in one.fix.text
    assert one.fix.command == "kubectl --namespace kube-system logs --since=15m nmi-a"


def test_no_remedy_of_an_answer_opens_the_metadata_service() -> None:
    """Rules of an NMI that may run are what keeps pods from every identity of the node."""
    for verdict in sorted(set(verdicts.MEANINGS) - {"ok"}):
        for one in diagnose(here(asked(verdict, "nobody"))).causes:
            assert "remove" not in one.fix.text.lower() or one.code == "stale_rule", one


def test_all_answers_are_returned() -> None:
    right, wrong = asked("ok", checks=MINE), asked("not_assigned", message="NMI\x00 eyJhbGciOiJub25lIn0.e30.x")
    first, second = diagnose(here(right, wrong)).as_data()["requests"]
    assert (first["verdict"], first["pod"], first["identity"]) == ("ok", "web-1-a", "team/i")
    assert second["message"] == "NMI\\x00 (a token)"
    assert second["references"] == (catalogue.address("not_assigned"),)
