# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import federated
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import (
    Credential,
    Desired,
    Holder,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

UNKNOWN = "(known after apply)"
AUDIENCE = "api://AzureADTokenExchange"
ISSUER = "https://issuer/"
ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
HOLDER = Holder.identity(ID)
BINDING = Credential("aks-identity-binding", "https://ib.oic/t/c", "c", ("api://AKSIdentityBinding",))
FLEXIBLE = Credential("branches", ISSUER, "", (AUDIENCE,))
ALSO_FLEXIBLE = Credential("tags", ISSUER, "", (AUDIENCE,))
PROTECTED = [BINDING, FLEXIBLE, ALSO_FLEXIBLE]


def credential(name: str, subject: str = "s", issuer: str = ISSUER, **raw: Any) -> Credential:
    return Credential(name, issuer, subject, (AUDIENCE,), raw)


def decide(current: list[Credential], *wanted: Desired, purge: bool = False, of: Holder = HOLDER) -> federated.Decision:
    return federated.decide_present(of, current, wanted, default_audience=AUDIENCE, purge=purge, unknown=UNKNOWN)


def numbered(count: int) -> list[Desired]:
    return [Desired(f"new{number}", ISSUER, f"new{number}") for number in range(count)]


@for_each(
    ({"name": "ab"}, "'ab' cannot be the name of a federated credential; "),
    ({"name": "_abc"}, "'_abc' cannot be the name "),
    ({"name": "a" * 121}, "'a+' cannot be the name "),
    ({"name": "under score"}, "'under score' cannot be the name "),
    ({"issuer": ""}, "The issuer of the federated credential pods must have 1 to 600 characters."),
    ({"subject": "s" * 601}, "The subject of the federated credential pods must have 1 to 600 characters."),
    ({"audiences": []}, "The federated credential pods is to have 0 audiences, but Azure takes exactly one; "),
    ({"audiences": ["a", "b"]}, "The federated credential pods is to have 2 audiences, "),
)
def test_what_cannot_be_desired(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Failure, match=message):
        federated.desired_list([{"name": "pods", "subject": "s", **change}], ISSUER, None)


def test_an_entry_has_the_last_word() -> None:
    entries: list[dict[str, Any]] = [
        {"name": "one", "namespace": "ns", "service_account": "sa"},
        {"name": "two", "subject": "s", "issuer": "https://own", "audiences": ["own", "own"]},
    ]
    assert federated.desired_list(entries, ISSUER, ["all"]) == (
        Desired("one", ISSUER, "system:serviceaccount:ns:sa", "all"),
        Desired("two", "https://own", "s", "own"),
    )


def test_a_name_is_desired_once() -> None:
    with pytest.raises(Failure, match="The federated credential Pods is listed more than once"):
        federated.desired_list([{"name": "Pods"}, {"name": "pods"}], None, None)


@for_each(
    (Desired("one"), []),
    (Desired("ONE", ISSUER, "s", AUDIENCE), []),
    (Desired("one", "https://issuer"), ["change"]),
    (Desired("one", subject="S"), ["change"]),
    (Desired("one", audience="api://other"), ["change"]),
    (Desired("two", ISSUER, "t"), ["create"]),
    (Desired("two", UNKNOWN, "s"), ["create"]),
)
def test_what_is_written(desired: Desired, verbs: list[str]) -> None:
    assert [write.verb for write in decide([credential("one")], desired).writes] == verbs


def test_unknown_fields_and_the_spelling_of_a_name_stay() -> None:
    (write,) = decide([credential("Pods", later=1)], Desired("pods", subject="t")).writes
    assert write.summary == "change federated credential Pods"
    assert write.credential.properties() == {"later": 1, "issuer": ISSUER, "subject": "t", "audiences": [AUDIENCE]}


@pytest.mark.parametrize("desired", [Desired("two", ISSUER), Desired("two", None, "t")])
def test_a_new_one_is_complete(desired: Desired) -> None:
    with pytest.raises(Failure, match="two does not exist yet, and a new one needs an issuer"):
        decide([credential("one")], desired)


def test_two_that_exchange_their_subjects() -> None:
    there = [credential("one", "a"), credential("two", "b")]
    with pytest.raises(Failure, match="The federated credentials one and two of the identity billing are to exchange"):
        decide(there, Desired("one", subject="b"), Desired("two", subject="a"))


def test_what_is_unknown_may_differ() -> None:
    assert len(decide([], Desired("one", UNKNOWN, "s"), Desired("two", UNKNOWN, "s")).writes) == 2
    # Nor are their names, where these are made of it.
    unnamed = decide([], Desired(UNKNOWN, UNKNOWN, "s"), Desired(UNKNOWN, UNKNOWN, "t"))
    written = [(write.credential.subject, write.change(HOLDER, UNKNOWN).id) for write in unnamed.writes]
    assert written == [("s", UNKNOWN), ("t", UNKNOWN)]


@for_each(
    (20, 0, False, None),
    (19, 1, False, None),
    (20, 1, False, "has 20 federated credentials, and 1 more make 21, but Azure takes 20 at most"),
    (20, 20, True, None),
    (3, 21, True, "has 3 federated credentials, 0 without those to be removed, and 21 more make 21, but"),
    (21, 0, False, None),
)
def test_the_limit(has: int, new: int, purge: bool, message: str | None) -> None:
    current = [credential(f"has{number}", f"has{number}") for number in range(has)]
    with pytest.raises(Failure, match=message) if message else nullcontext():
        decide(current, *numbered(new), purge=purge)


@pytest.mark.parametrize(("writes", "seconds"), [(4, None), (5, 20), (20, 80)])
def test_the_time_that_azure_imposes(writes: int, seconds: int | None) -> None:
    warnings = decide([], *(Desired(f"one{number}", ISSUER, str(number)) for number in range(writes))).warnings
    assert len(warnings) == (seconds is not None)
    assert seconds is None or f"need about {seconds} seconds" in warnings[0]


NAMES = st.sampled_from(["one", "two", "Two", "three", "four"])
SUBJECTS = st.sampled_from(["a", "b", "c", "d", "e"])


@given(
    st.lists(st.tuples(NAMES, SUBJECTS), unique_by=(lambda pair: pair[0].lower(), lambda pair: pair[1])),
    st.lists(st.tuples(NAMES, SUBJECTS), unique_by=lambda pair: pair[0].lower()),
    st.booleans(),
)
def test_every_write_finds_its_place(
    current: list[tuple[str, str]], wanted: list[tuple[str, str]], purge: bool
) -> None:
    """Azure, which takes a name and a pair of issuer and subject once, takes the writes, and ends as predicted."""
    existing = [credential(name, subject) for name, subject in current]
    desired = [Desired(name, ISSUER, subject) for name, subject in wanted]
    try:
        decision = decide(existing, *desired, purge=purge)
    except Failure:
        return
    azure = {one.key: one for one in existing}
    for write in decision.writes:
        one = write.credential
        if write.verb == "delete":
            del azure[one.key]
            continue
        assert one.trusted not in {other.trusted for key, other in azure.items() if key != one.key}
        assert (write.verb == "create") == (one.key not in azure)
        azure[one.key] = one
    assert federated.ordered(azure.values()) == decision.after
    assert decide(list(decision.after), *desired, purge=purge).writes == ()
    removed = federated.decide_absent(HOLDER, decision.after, desired)
    assert {one.key for one in removed.after} == {one.key for one in decision.after} - {one.key for one in desired}
    assert len(removed.writes) == len(desired)


@for_each(
    (None, "The cluster demo does not exist in the resource group rg"),
    ({"properties": {}}, "The cluster demo has no OIDC issuer; enable it first"),
    ({"properties": {"oidcIssuerProfile": {"enabled": False}}}, "The cluster demo has no OIDC issuer"),
    ({"properties": {"oidcIssuerProfile": {"enabled": True, "issuerURL": None}}}, "The cluster demo has no OIDC"),
)
def test_a_cluster_without_an_issuer(body: Any, message: str) -> None:
    with pytest.raises(Failure, match=message):
        federated.cluster_issuer("demo", "rg", body)


@for_each(
    ("system:serviceaccount:ns:sa", ("ns", "sa")),
    ("system:serviceaccount:ns:", None),
    ("system:serviceaccount:ns:sa:more", None),
    ("System:serviceaccount:ns:sa", None),
    ("repo:octo/octo:ref:refs/heads/main", None),
)
def test_the_service_account_of_a_subject(subject: str, account: tuple[str, str] | None) -> None:
    assert federated.service_account(subject) == account


def token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.signature"


@pytest.mark.parametrize("text", [token(iss=ISSUER), token(), "no token", "a.%.c", "a.bm8.c"])
def test_a_token_that_may_be_exchanged(text: str) -> None:
    federated.require_issuer(credential("one"), text)


def test_a_token_of_another_cluster() -> None:
    with pytest.raises(Failure, match="one trusts the issuer https://issuer/, but the API server issues tokens as x"):
        federated.require_issuer(credential("one"), token(iss="x"))


@for_each(
    ("system:serviceaccount:ns:sa", ISSUER, {("ns", "sa")}, []),
    ("system:serviceaccount:ns:sa", ISSUER, {("ns", "other")}, ["subject_missing"]),
    ("system:serviceaccount:ns:sa", ISSUER, None, []),
    ("system:serviceaccount:ns:sa", None, None, []),
    ("system:serviceaccount:ns:sa", "https://issuer", set(), ["foreign_issuer"]),
    ("somebody", ISSUER, set(), []),
)
def test_what_is_found(
    subject: str, issuer: str | None, accounts: set[tuple[str, str]] | None, codes: list[str]
) -> None:
    found = federated.findings(credential("one", subject), issuer=issuer, accounts=accounts)
    assert [one["code"] for one in found] == codes


@for_each(
    ([], ["aks-identity-binding", "branches", "tags"]),
    ([Desired("one")], ["aks-identity-binding", "branches", "tags"]),
    ([Desired("AKS-identity-binding"), Desired("tags")], ["branches"]),
)
def test_what_is_protected_survives_a_purge(wanted: list[Desired], kept: list[str]) -> None:
    decision = decide([credential("one"), *PROTECTED], *wanted, purge=True)
    gone = [] if Desired("one") in wanted else ["one"]
    assert [(write.verb, write.credential.name) for write in decision.writes] == [("delete", name) for name in gone]
    assert [one.name for one in decision.kept] == kept
    assert {one.name for one in PROTECTED} <= {one.name for one in decision.after}


def test_what_is_protected_survives_its_deletion() -> None:
    named = [Desired("one"), Desired("aks-identity-binding"), Desired("BRANCHES")]
    decision = federated.decide_absent(HOLDER, [credential("one"), *PROTECTED], named)
    assert [write.summary for write in decision.writes] == ["delete federated credential one"]
    assert list(decision.after) == PROTECTED
    assert decision.kept_view() == [
        {"name": "aks-identity-binding", "reason": federated.IDENTITY_BINDING},
        {"name": "branches", "reason": federated.FLEXIBLE},
    ]
    assert [warning.partition(", because ")[0] for warning in decision.warnings] == [
        "The federated credential aks-identity-binding of the identity billing stays",
        "The federated credential branches of the identity billing stays",
    ]


@pytest.mark.parametrize("desired", [Desired("aks-identity-binding", ISSUER), Desired("branches", subject="s")])
def test_what_is_protected_is_not_changed(desired: Desired) -> None:
    with pytest.raises(Failure, match=f"The federated credential {desired.name} of the identity billing cannot be "):
        decide([*PROTECTED], desired)


def test_what_is_protected_counts() -> None:
    others = [credential(f"has{number}", f"has{number}") for number in range(18)]
    wanted = numbered(18)
    with pytest.raises(Failure, match="has 21 federated credentials, 3 without those to be removed, and 18 more make"):
        decide([*others, *PROTECTED], *wanted, purge=True)
    assert len(decide([*others, BINDING, FLEXIBLE], *wanted, purge=True).after) == 20


def test_a_binding_is_known_by_its_audience_too() -> None:
    renamed = Credential("renamed", "https://ib.oic/t/c", "c", ("api://AKSIdentityBinding",))
    assert renamed.protection == federated.IDENTITY_BINDING


def test_an_application_as_holder() -> None:
    holder = Holder.application("0d1b5a3e", "billing")
    decision = decide([], Desired("one", ISSUER, "s"), of=holder)
    assert decision.writes[0].change(holder, UNKNOWN).view() == {
        "verb": "create",
        "kind": "Microsoft.Graph/applications/federatedIdentityCredentials",
        "id": "applications/0d1b5a3e/federatedIdentityCredentials/one",
        "why": "",
    }
    with pytest.raises(Failure, match="The application billing has 0 federated credentials, .* a second application"):
        decide([], *numbered(21), of=holder)
    assert decide([], *numbered(20), of=holder).warnings == ()


def test_an_identity_that_is_still_to_come() -> None:
    holder = Holder.identity(UNKNOWN)
    (write,) = decide([], Desired("one", ISSUER, "s"), of=holder).writes
    assert write.change(holder, UNKNOWN).id == UNKNOWN
    assert write.change(HOLDER, UNKNOWN).id == f"{ID}/federatedIdentityCredentials/one"


@pytest.mark.parametrize("code", [federated.FOREIGN_ISSUER, federated.SUBJECT_MISSING, federated.TOKEN_FORBIDDEN])
def test_why_one_was_not_tried(code: str) -> None:
    said = federated.untried(code, credential("one", "system:serviceaccount:ns:sa"), HOLDER, "https://mine/")
    assert said.startswith("The federated credential one of the identity billing ")
    assert said.endswith(", so it was not tried.")
    assert ("https://mine/" if code == federated.FOREIGN_ISSUER else "ns/sa") in said
