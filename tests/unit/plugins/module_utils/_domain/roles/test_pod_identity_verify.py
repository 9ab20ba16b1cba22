# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which identity a workload must get, and what is said of its token."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.catalogue import address
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_verify import (
    CLAIMS,
    DEMO,
    PARTS,
    WORKLOADS,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import CHECK, RUN, Raw, each_has, only, sentences
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

ID = "/subscriptions/s/resourcegroups/rg/providers/microsoft.managedidentity/userassignedidentities/billing"
WORKLOAD: Raw = {"namespace": "shop", "selector": "billing", "expect": "billing", "method": "probe_pod"}


def plan(part: str, workloads: list[Raw], observed: Raw, run: Run = RUN, **options: Any) -> Any:
    return PARTS[part].plan({"workloads": workloads, **options}, observed, run)


def refused(part: str, workloads: list[Raw], observed: Raw, **options: Any) -> tuple[str, ...]:
    return sentences(plan, part, workloads, observed, **options)


SERVED = ["services shop", "poddisruptionbudgets shop"]
WIDE = ["azureidentitybindings ", "pods ", "nodes "]


@table(
    "workloads, demo, parts",
    ([WORKLOAD], True, []),
    ([{"namespace": "a", "pod": "p"}, {"namespace": "a", "service_account": "s"}], False, []),
    ([{"namespace": "a", "expect": "x"}], False, ["in namespace a names no pods; set its selector, pod or"]),
    ([{**WORKLOAD, "selector": "", "pod": None}], False, ["in namespace shop names no pods"]),
    ([{**WORKLOAD, "expect": None}], True, ["pod_identity_verify_demo needs an entry"]),
    ([{"namespace": "a"}, {"namespace": "b"}], True, ["namespace a", "namespace b", "pod_identity_verify_demo needs"]),
)
def test_entries_are_checked(workloads: list[Raw], demo: bool, parts: list[str]) -> None:
    told = refused("options", workloads, {}, demo=demo)
    assert each_has(told, parts), told


LISTED: Raw = {"name": "billing", "namespace": "shop", "selector": "shop"}
GONE: Raw = {**LISTED, "name": "older"}


@cases(
    "changes, wrong, unknown",
    ("right", {}, [], []),
    ("in its namespace", {"expect": "shop/billing"}, [], []),
    (
        "in another",
        {"expect": "bank/billing"},
        [],
        ["pod_identity_bindings_list has no entry of this name; did you mean"],
    ),
    (
        "misspelt",
        {"expect": "biling"},
        [],
        ["entry 1: expect is biling, and pod_identity_bindings_list has no entry of"],
    ),
    ("unlike any", {"expect": "x"}, [], ["add such an entry, or correct the name."]),
    (
        "taken away",
        {"expect": "older"},
        ["entry 1: expect is older, which is absent in pod_identity_bindings_list"],
        [],
    ),
    ("selector", {"selector": "b"}, [], ["which pods with the selector b do not get: that of the entry in"]),
    ("by a pod", {"selector": None, "pod": "p"}, [], []),
    ("nothing", {"expect": None}, [], []),
)
def test_identities_that_are_listed_are_expected(changes: Raw, wrong: list[str], unknown: list[str]) -> None:
    observed = {"bindings": {"managed": [LISTED], "absent": [GONE]}}
    workload = {"namespace": "shop", "selector": "shop", "expect": "billing", **changes}
    told = refused("options", [workload], observed)
    assert each_has(told, wrong), told
    assert wrong or each_has(plan("options", [workload], observed, RUN)["unknown"], unknown)


@cases(
    "changes, options, run, expected",
    ("check mode only reads", {}, {}, CHECK, []),
    ("no demo", {}, {}, only(DEMO), []),
    ("probe", {}, {"in_check_mode": True}, CHECK, [*WIDE, *SERVED, "jobs shop", "pods shop"]),
    ("exec", {"method": "exec"}, {}, RUN, [*WIDE, *SERVED, "pods shop"]),
    ("demo", {}, {"demo": True}, only(DEMO), ["pods shop", "jobs shop", "pods shop"]),
)
def test_what_the_cluster_is_asked(changes: Raw, options: Raw, run: Run, expected: list[str]) -> None:
    checked = plan("options", [{**WORKLOAD, **changes}], {}, run, **options)
    needs = [f"{need['resource']} {need['namespace']}" for need in checked["kubernetes"]]
    assert needs == ["azureidentities ", *expected]


def identity(name: str = "billing", namespace: str = "shop", **changes: Any) -> Raw:
    spec = {"resourceID": ID.upper(), "clientID": "c", **changes.pop("spec", {})}
    return {"metadata": {"namespace": namespace, "name": name, **changes}, "spec": spec}


def listed(*identities: Raw) -> Raw:
    return {"resources": list(identities)}


NAMESPACED = {"aadpodidentity.k8s.io/Behavior": "namespaced"}
READ = f"identity {ID}"
AZURE = {"id": ID, "client_id": "of-azure", "tenant_id": "t", "principal_id": "p"}
KNOWN: Raw = {"cluster": {}, "identities": listed(identity()), "of_run": {}, "reachable": True, "word": "w1"}
ADDON = {"pod_identity_profile": {"enabled": True}}


@cases(
    "workload, known, sentence",
    ("one", {}, {}, ""),
    ("with its namespace", {"expect": "shop/billing"}, {}, ""),
    ("nothing is expected", {"expect": None}, {"identities": listed()}, ""),
    ("none", {"expect": "x"}, {}, "No AzureIdentity x that pods in namespace shop can get is in the"),
    ("of another namespace", {}, {"identities": listed(identity(namespace="a"))}, ""),
    (
        "confined",
        {},
        {"identities": listed(identity(namespace="a", annotations=NAMESPACED))},
        "No AzureIdentity billing",
    ),
    ("add-on", {}, {"identities": listed(identity(namespace="a")), "cluster": ADDON}, "No AzureIdentity billing"),
    (
        "two",
        {},
        {"identities": listed(identity(), identity(namespace="a"))},
        "The identity billing that pods in namespace shop must get may be shop/billing or a/billing; write",
    ),
)
def test_a_name_stands_for_one_identity(workload: Raw, known: Raw, sentence: str) -> None:
    entry, observed = {**WORKLOAD, **workload}, {**KNOWN, **known}
    told = refused("expected", [entry], observed)
    assert (len(told), told[0].startswith(sentence) if told else True) == (1 if sentence else 0, True), told
    predicted = plan("expected", [entry], observed, CHECK)
    assert (len(predicted["unseen"]), len(predicted["asked"])) == ((1, 0) if sentence else (0, 1))


def test_what_is_looked_at() -> None:
    """Each identity that may be meant is read once, unless this run knows it; by tags that need nothing, nothing is."""

    def looks(known: Raw, run: Run = RUN) -> list[tuple[str, bool, bool]]:
        found = {**KNOWN, **known}
        workloads = [WORKLOAD, {**WORKLOAD, "expect": "shop/billing"}, {**WORKLOAD, "expect": None}]
        made = PARTS["expected"].looks_at({"workloads": workloads}, found, run)
        return [(look.module, look.in_cluster, look.in_check_mode) for look in made]

    listing, reading = ("kubernetes_object_info", True, False), ("user_assigned_identity_info", False, False)
    assert looks({}) == [listing, reading]
    assert looks({"of_run": {"billing": AZURE}}) == looks({"identities": None}) == [listing]
    assert looks({}, only(DEMO)) == [listing, reading]
    assert looks({}, only("pod_identity_chart_wait")) == looks({}, Run(skipped_tags=(WORKLOADS, DEMO))) == []
    _listing, look = PARTS["expected"].looks_at({"workloads": [WORKLOAD]}, KNOWN, RUN)
    assert look.arguments == {"subscription_id": "s", "resource_group": "rg", "name": "billing"}
    assert look.tolerates is not None and look.tolerates({"failed": True})


def test_nothing_is_expected_where_no_phase_runs() -> None:
    entry, run = {**WORKLOAD, "expect": "x"}, only("pod_identity_chart_wait")
    found = plan("expected", [entry], {**KNOWN, "identities": None}, run)
    assert (found["asked"], found["unseen"], found["rows"], found["message"]) == ([], [], [], "")


def test_workloads_of_a_cluster_that_is_predicted_are_not_asked_for() -> None:
    observed = {"cluster": {}, "of_run": {}, "reachable": False, "word": ""}
    found = plan("expected", [WORKLOAD, {**WORKLOAD, "expect": None}], observed, CHECK, in_check_mode=True, demo=True)
    assert (found["asked"], found["demo_runs"]) == ([], False)
    assert [(row["identity"], row["verdict"], row["message"]) for row in found["unseen"]] == [
        (expect, "not_verified", "There is no cluster yet.") for expect in ("billing", "")
    ]


@cases(
    "known, expected",
    ("by the object", {}, {"client_id": "c"}),
    ("tenant", {"identities": listed(identity(spec={"tenantID": "o"}))}, {"client_id": "c", "tenant_id": "o"}),
    ("service principal", {"identities": listed(identity(spec={"type": 1}))}, {"client_id": "c"}),
    ("no id", {"identities": listed(identity(spec={"resourceID": "/x"}))}, {"client_id": "c"}),
    ("of the run", {"of_run": {"billing": AZURE}}, {"client_id": "of-azure", "tenant_id": "t", "object_id": "p"}),
    ("predicted", {"of_run": {"billing": {**AZURE, "principal_id": "(known after apply)"}}}, {"client_id": "c"}),
    ("read", {READ: {"identities": [AZURE]}}, {"client_id": "of-azure", "tenant_id": "t", "object_id": "p"}),
    ("read in vain", {READ: {"msg": "denied"}}, {"client_id": "c"}),
)
def test_what_is_expected_of_a_token(known: Raw, expected: dict[str, str]) -> None:
    found = plan("expected", [{**WORKLOAD, "image": "", "labels": {}, "timeout": None}], {**KNOWN, **known})
    (asked,) = found["asked"]
    question = {name: value for name, value in WORKLOAD.items() if name != "expect"}
    assert asked["question"] == {"allow_detach": False, **question, "expect": expected}


def test_the_demo_application_stands_for_a_workload() -> None:
    found = plan("expected", [{**WORKLOAD, "expect": None}, WORKLOAD], KNOWN)
    assert (found["demo"]["candidates"], found["demo"]["expected"]["client_id"]) == (["shop/billing"], "c")
    assert found["demo_runs"]
    assert not plan("expected", [WORKLOAD], KNOWN, CHECK)["demo_runs"]
    assert plan("expected", [WORKLOAD], KNOWN, CHECK, in_check_mode=True)["demo_runs"]
    assert not plan("expected", [WORKLOAD], {**KNOWN, "identities": listed()}, CHECK, in_check_mode=True)["demo_runs"]


@table(
    "answer, object_id, line",
    ({"identities": [AZURE]}, {"object_id": "p"}, ""),
    ({"identities": []}, {}, "it does not exist in Azure"),
    ({"msg": "denied"}, {}, "it cannot be read: denied"),
)
def test_what_azure_says(answer: Raw, object_id: dict[str, str], line: str) -> None:
    found = plan("expected", [WORKLOAD], {**KNOWN, READ: answer})
    told = {name: value for name, value in found["asked"][0]["question"]["expect"].items() if name == "object_id"}
    assert told == object_id
    warning = f"Tenant and object id of the identity billing are not compared, because {line}"
    assert found["warnings"] == ([warning] if line else [])


CHECKS = [{"check": name, "ok": name != "tenant"} for name in CLAIMS]
TOKEN: Raw = {"namespace": "shop", "pod": "api", "identity": "", "verdict": "ok", "message": "m", "checks": CHECKS}


def known(workloads: list[Raw], run: Run = RUN, **changes: Any) -> Raw:
    """What the first task leaves."""
    return {**plan("expected", workloads, KNOWN, run), **changes}


def test_verdicts() -> None:
    workloads = [WORKLOAD, {**WORKLOAD, "expect": None}, {**WORKLOAD, "expect": "x"}]
    tokens = [TOKEN, {**TOKEN, "identity": "shop/x"}]
    found = plan("verdicts", workloads, {"known": known(workloads, CHECK), "tokens": tokens}, CHECK)
    rows = [(row["identity"], row["verdict"]) for row in found["rows"]]
    assert rows == [("billing", "ok"), ("shop/x", "ok"), ("x", "not_verified")]
    assert found["rows"][0]["claims_checked"] == "aud appid oid xms_mirid exp iat"
    assert found["rows"][2]["message"] == "The cluster does not have the identity x yet."
    assert found["demo"]["candidates"] == ["shop/billing"]


@table(
    "verdict, right, shown",
    ("ok", 10, "ok (10 of 10)"),
    ("intermittent", 9, "intermittent (9 of 10)"),
    ("not_assigned", 0, None),
)
def test_the_table_counts_samples(verdict: str, right: int, shown: str | None) -> None:
    token = {**TOKEN, "verdict": verdict, "samples": {"asked": 10, "right": right}}
    found = plan("verdicts", [WORKLOAD], {"known": known([WORKLOAD]), "tokens": [token]}, RUN)
    assert found["table"][0]["verdict"] == (shown or "not_assigned (0 of 10)")
    assert found["rows"][0]["verdict"] == verdict
    assert (f"shop/api: {verdict}, m" in found["message"]) is bool(found["message"]) is (verdict != "ok")
    once = {**token, "samples": {"asked": 1, "right": 1}}
    found = plan("verdicts", [WORKLOAD], {"known": known([WORKLOAD]), "tokens": [once]}, RUN)
    assert found["table"][0]["verdict"] == verdict


@table(
    "found, verdict, message, again",
    ({"runs": False}, "not_verified", "The demo application was not run.", False),
    ({"log": {"log": "I0 got it from", "log_lines": []}}, "ok", "The upstream demo application got its", False),
    (
        {"log": {"log_lines": ["a", "b", ""]}},
        "no_token",
        "no token within 300 seconds; the last that is known: b",
        True,
    ),
    ({"log": {"log_lines": []}}, "no_token", "the last that is known: nothing", True),
    # Until its pod runs there is no log to read.
    ({"log": {"failed": True, "msg": "no pod"}}, "no_token", "the last that is known: nothing", True),
    ({"failure": "not created: echo got it"}, "no_token", "the last that is known: not created: echo got it", False),
)
def test_the_demo_application(found: Raw, verdict: str, message: str, again: bool) -> None:
    before = known([WORKLOAD], rows=[{"namespace": "a", "pod": "p", "verdict": "ok", "message": ""}])
    before["demo_runs"] = runs = found.pop("runs", True)
    observed = {"known": before, "success": "got it", "failure": "", "began": "5", **found}
    looks = list(PARTS["demo"].looks_at({"workloads": [WORKLOAD]}, observed, RUN))
    asked = {"namespace": "shop", "label_selectors": ["job-name=pod-identity-demo-w1"]}
    logs, pods = {"module": "k8s_log", "container": "demo", **asked}, {"kind": "Pod", **asked}
    looked = runs and not observed["failure"]
    assert [look.arguments for look in looks] == ([logs, pods] if looked else [])
    observed["pods"] = {"resources": [{"spec": {"nodeName": "n"}}]} if looked else {}
    told = plan("demo", [WORKLOAD], observed)
    assert (told["again"], told["end"]) == (again, 305)
    first, row = told["rows"]
    assert first == before["rows"][0]
    assert (row["node"], row["identity"]) == ("n" if looked else "", "shop/billing" if runs else "billing")
    assert (row["namespace"], row["pod"], row["verdict"]) == ("shop", "(demo)", verdict) and message in row["message"]
    observed["pods"] = {"failed": True, "msg": "timed out"}
    assert plan("demo", [WORKLOAD], observed)["rows"][1] == {**row, "node": ""}


def test_the_report() -> None:
    told = [("a", "", "no_token", "None."), ("a", "p", "not_verified", "No."), ("b", "q", "ok", "")]
    rows = [dict(zip(("namespace", "pod", "verdict", "message"), row)) for row in told]

    def report(rows: list[Raw], run: Run = RUN, **options: Any) -> Any:
        return plan("verdicts", [], {"known": known([], unseen=rows), "tokens": []}, run, **options)

    found = report(rows)
    assert found["rows"] == [{**row, "references": [address(row["verdict"])]} for row in rows]
    assert [row["pod"] for row in found["table"]] == ["a/(probe)", "a/p", "b/q"]
    assert found["message"] == (
        "2 of 3 workloads do not get what they must: a/(probe): no_token, None. a/p: not_verified, No. "
        f"See {address('no_token')}, {address('not_verified')}."
    )
    assert found["places"] == ["a", "a/p"]
    assert report(rows, CHECK)["message"].startswith("1 of 3 workloads do not get")
    assert report(rows, CHECK)["places"] == ["a"]
    for off in (False, None):
        quiet = report(rows, fail=off)
        assert (quiet["message"], quiet["places"]) == ("", [])
    right = report(rows[2:])
    assert (right["message"], right["places"]) == ("", [])
    demo = {"namespace": "a", "pod": "(demo)", "verdict": "no_token", "message": "None."}
    assert report([demo])["places"] == ["a"]
