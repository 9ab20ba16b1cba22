# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which identity a workload must get, and what is said of its token."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_verify import (
    CLAIMS,
    DEMO,
    PARTS,
    WORKLOADS,
)

RUN, CHECK = Run(), Run(check_mode=True)
ID = "/subscriptions/s/resourcegroups/rg/providers/microsoft.managedidentity/userassignedidentities/billing"
WORKLOAD: dict[str, Any] = {"namespace": "shop", "selector": "billing", "expect": "billing", "method": "probe_pod"}


def plan(part: str, workloads: list[dict[str, Any]], observed: dict[str, Any], run: Run = RUN, **options: Any) -> Any:
    return PARTS[part].plan({"workloads": workloads, **options}, observed, run)


def refused(part: str, workloads: list[dict[str, Any]], observed: dict[str, Any], **options: Any) -> tuple[str, ...]:
    try:
        plan(part, workloads, observed, **options)
    except Refused as error:
        return error.sentences
    return ()


@pytest.mark.parametrize(
    ("workloads", "demo", "parts"),
    [
        ([WORKLOAD], True, []),
        ([{"namespace": "a", "pod": "p"}, {"namespace": "a", "service_account": "s"}], False, []),
        ([{"namespace": "a", "expect": "x"}], False, ["in namespace a names no pods; set its selector, pod or"]),
        ([{**WORKLOAD, "selector": "", "pod": None}], False, ["in namespace shop names no pods"]),
        ([{**WORKLOAD, "expect": None}], True, ["pod_identity_verify_demo needs an entry"]),
        (
            [{"namespace": "a"}, {"namespace": "b"}],
            True,
            ["namespace a", "namespace b", "pod_identity_verify_demo needs"],
        ),
    ],
)
def test_entries_are_checked(workloads: list[dict[str, Any]], demo: bool, parts: list[str]) -> None:
    told = refused("options", workloads, {}, demo=demo)
    assert [part in sentence for part, sentence in zip_longest(parts, told, fillvalue="")] == [True] * len(parts), told


@pytest.mark.parametrize(
    ("changes", "options", "run", "expected"),
    [
        pytest.param({}, {}, CHECK, [], id="check mode only reads"),
        pytest.param({}, {}, Run(tags=(DEMO,)), [], id="no demo"),
        pytest.param(
            {},
            {"in_check_mode": True},
            CHECK,
            [
                "azureidentitybindings ",
                "pods ",
                "nodes ",
                "services shop",
                "poddisruptionbudgets shop",
                "jobs shop",
                "pods shop",
            ],
            id="probe",
        ),
        pytest.param(
            {"method": "exec"},
            {},
            RUN,
            ["azureidentitybindings ", "pods ", "nodes ", "services shop", "poddisruptionbudgets shop", "pods shop"],
            id="exec",
        ),
        pytest.param({}, {"demo": True}, Run(tags=(DEMO,)), ["pods shop", "jobs shop", "pods shop"], id="demo"),
    ],
)
def test_what_the_cluster_is_asked(
    changes: dict[str, Any], options: dict[str, Any], run: Run, expected: list[str]
) -> None:
    checked = plan("options", [{**WORKLOAD, **changes}], {}, run, **options)
    assert [f"{need['resource']} {need['namespace']}" for need in checked["kubernetes"]] == [
        "azureidentities ",
        *expected,
    ]
    assert checked["demo"] == {**WORKLOAD, **changes}
    assert plan("options", [], {}, Run(tags=(WORKLOADS,)))["demo"] == {}


def identity(name: str = "billing", namespace: str = "shop", **changes: Any) -> dict[str, Any]:
    spec = {"resourceID": ID.upper(), "clientID": "c", **changes.pop("spec", {})}
    return {"metadata": {"namespace": namespace, "name": name, **changes}, "spec": spec}


NAMESPACED = {"aadpodidentity.k8s.io/Behavior": "namespaced"}
AZURE = {"id": ID, "client_id": "of-azure", "tenant_id": "t", "principal_id": "p"}
KNOWN: dict[str, Any] = {"cluster": {}, "identities": [identity()], "of_run": {}, "read": {}}
ADDON = {"pod_identity_profile": {"enabled": True}}


@pytest.mark.parametrize(
    ("workload", "known", "sentence"),
    [
        pytest.param({}, {}, "", id="one"),
        pytest.param({"expect": "shop/billing"}, {}, "", id="with its namespace"),
        pytest.param({"expect": None}, {"identities": []}, "", id="nothing is expected"),
        pytest.param(
            {"expect": "x"}, {}, "No AzureIdentity x that pods in namespace shop can get is in the", id="none"
        ),
        pytest.param({}, {"identities": [identity(namespace="a")]}, "", id="of another namespace"),
        pytest.param(
            {},
            {"identities": [identity(namespace="a", annotations=NAMESPACED)]},
            "No AzureIdentity billing",
            id="confined",
        ),
        pytest.param(
            {}, {"identities": [identity(namespace="a")], "cluster": ADDON}, "No AzureIdentity billing", id="add-on"
        ),
        pytest.param(
            {},
            {"identities": [identity(), identity(namespace="a")]},
            "The identity billing that pods in namespace shop must get may be shop/billing or a/billing; write",
            id="two",
        ),
    ],
)
def test_a_name_stands_for_one_identity(workload: dict[str, Any], known: dict[str, Any], sentence: str) -> None:
    entry, observed = {**WORKLOAD, **workload}, {**KNOWN, **known}
    told = refused("expected", [entry], observed)
    assert (len(told), told[0].startswith(sentence) if told else True) == (1 if sentence else 0, True), told
    predicted = plan("expected", [entry], observed, CHECK)
    assert (len(predicted["uncertain"]), len(predicted["asked"])) == ((1, 0) if sentence else (0, 1))


@pytest.mark.parametrize(
    ("known", "expected", "unread"),
    [
        pytest.param({}, {"client_id": "c"}, [ID], id="by the object"),
        pytest.param(
            {"identities": [identity(spec={"tenantID": "o"})]}, {"client_id": "c", "tenant_id": "o"}, [ID], id="tenant"
        ),
        pytest.param({"identities": [identity(spec={"type": 1})]}, {"client_id": "c"}, [], id="service principal"),
        pytest.param({"identities": [identity(spec={"resourceID": "/x"})]}, {"client_id": "c"}, [], id="no id"),
        pytest.param(
            {"of_run": {"billing": AZURE}},
            {"client_id": "of-azure", "tenant_id": "t", "object_id": "p"},
            [],
            id="of the run",
        ),
        pytest.param(
            {"of_run": {"billing": {**AZURE, "principal_id": "(known after apply)"}}},
            {"client_id": "c"},
            [ID],
            id="predicted",
        ),
        pytest.param(
            {"read": {ID: AZURE}}, {"client_id": "of-azure", "tenant_id": "t", "object_id": "p"}, [], id="read"
        ),
        pytest.param({"read": {ID: {}}}, {"client_id": "c"}, [], id="read in vain"),
    ],
)
def test_what_is_expected_of_a_token(known: dict[str, Any], expected: dict[str, str], unread: list[str]) -> None:
    found = plan("expected", [{**WORKLOAD, "image": "", "labels": {}, "timeout": None}], {**KNOWN, **known})
    (asked,) = found["asked"]
    question = {name: value for name, value in WORKLOAD.items() if name != "expect"}
    assert asked["question"] == {"allow_detach": False, **question, "expect": expected}
    place = {"subscription_id": "s", "resource_group": "rg", "name": "billing"}
    assert found["unread"] == [{"id": each, **place} for each in unread]


def test_the_demo_application_stands_for_a_workload() -> None:
    found = plan("expected", [{**WORKLOAD, "expect": None}, WORKLOAD], KNOWN)
    assert (found["demo"]["candidates"], found["demo"]["expected"]["client_id"]) == (["shop/billing"], "c")
    assert found["demo_runs"]
    assert not plan("expected", [WORKLOAD], KNOWN, CHECK)["demo_runs"]
    assert plan("expected", [WORKLOAD], KNOWN, CHECK, in_check_mode=True)["demo_runs"]
    assert not plan("expected", [WORKLOAD], {**KNOWN, "identities": []}, CHECK, in_check_mode=True)["demo_runs"]


@pytest.mark.parametrize(
    ("answer", "known", "line"),
    [
        ({"state": AZURE}, AZURE, ""),
        ({"state": {}}, {}, "it does not exist in Azure"),
        ({"state": {**AZURE, "principal_id": "(known after apply)"}}, {}, "it does not exist in Azure"),
        ({"msg": "denied"}, {}, "it cannot be read: denied"),
    ],
)
def test_what_azure_says(answer: dict[str, Any], known: dict[str, Any], line: str) -> None:
    found = plan("read", [], {"read": {"other": {}}, "answers": [{"item": {"id": ID, "name": "billing"}, **answer}]})
    assert found["read"] == {"other": {}, ID: known}
    assert found["lines"] == (
        [f"Tenant and object id of the identity billing are not compared, because {line}"] if line else []
    )


TOKEN: dict[str, Any] = {
    "namespace": "shop",
    "pod": "api",
    "identity": "",
    "verdict": "ok",
    "message": "m",
    "checks": [{"check": name, "ok": name != "tenant"} for name in CLAIMS],
}


def test_verdicts() -> None:
    observed = {
        "asked": [{"workload": WORKLOAD}, {"workload": {"namespace": "shop"}}],
        "tokens": [TOKEN, {**TOKEN, "identity": "shop/x"}],
        "uncertain": [WORKLOAD],
        "reachable": True,
    }
    rows = plan("verdicts", [WORKLOAD], observed)["rows"]
    assert [(row["identity"], row["verdict"]) for row in rows] == [
        ("billing", "ok"),
        ("shop/x", "ok"),
        ("billing", "not_verified"),
    ]
    assert rows[0]["claims_checked"] == "aud, appid, oid, xms_mirid, exp, iat"
    assert rows[2]["message"] == "The cluster does not have the identity billing yet."
    (row,) = plan("verdicts", [WORKLOAD], {**observed, "reachable": False})["rows"]
    assert (row["namespace"], row["verdict"], row["message"]) == ("shop", "not_verified", "There is no cluster yet.")


@pytest.mark.parametrize(
    ("found", "verdict", "message"),
    [
        ({"ran": False}, "not_verified", "The demo application was not run."),
        ({"log": "I0 got it from", "log_lines": []}, "ok", "The upstream demo application got its token."),
        ({"log_lines": ["a", "b", ""]}, "no_token", "no token within 300 seconds; the last that is known: b"),
        ({"log_lines": []}, "no_token", "the last that is known: nothing"),
        ({"log_lines": ["not created: echo got it"]}, "no_token", "the last that is known: not created: echo got it"),
    ],
)
def test_the_demo_application(found: dict[str, Any], verdict: str, message: str) -> None:
    pods = [{"spec": {"nodeName": "n"}}]
    observed = {"ran": True, "pods": pods, "candidates": ["shop/billing"], "success": "got it", "log": "", **found}
    row = plan("demo", [WORKLOAD], observed)["row"]
    assert (row["node"], row["identity"]) == (("n", "shop/billing") if observed["ran"] else ("", "billing"))
    assert (row["namespace"], row["pod"], row["verdict"], message in row["message"]) == (
        "shop",
        "(demo)",
        verdict,
        True,
    )


def test_the_report() -> None:
    rows = [
        {"namespace": "a", "pod": "", "verdict": "no_token", "message": "None."},
        {"namespace": "a", "pod": "p", "verdict": "not_verified", "message": "No."},
        {"namespace": "b", "pod": "q", "verdict": "ok", "message": ""},
    ]
    found = plan("report", [], {"rows": rows})
    assert [row["pod"] for row in found["rows"]] == ["a/(probe)", "a/p", "b/q"]
    assert found["message"] == (
        "2 of 3 workloads do not get what they must: a/(probe): no_token, None. a/p: not_verified, No."
    )
    assert plan("report", [], {"rows": rows}, CHECK)["message"].startswith("1 of 3 workloads do not get")
    for off in (False, None):
        assert plan("report", [], {"rows": rows}, fail=off)["message"] == ""
    assert plan("report", [], {"rows": rows[2:]})["message"] == ""
