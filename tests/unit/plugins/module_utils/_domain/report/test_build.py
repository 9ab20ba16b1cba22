# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import model
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.data import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.grounds import GROUNDS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.observation import (
    SOURCES,
    Observed,
    parse,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import pod_identity_verify
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import ID, Raw, binding, identity, template
from ansible_collections.azureops.pod_identity.tests.support.report_world import (
    CARRIERS,
    ISSUER,
    NODES,
    cluster,
    diagnosis,
    document,
    inventory,
    objects,
    plan,
    token,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

# Everything that was looked at is all right.
HEALTHY: Raw = {"causes": [], "unread": [], "verdict": "healthy", "scope": "the cluster", "requests": []}
RIGHT = objects(Deployment=[template()])
GAP: Raw = {"source": "logs", "what": "logs", "why": "forbidden", "needs": "pods/log"}


def told(**results: t.Any) -> model.Cluster:
    (found,) = build(document(cluster(**results))).clusters
    return found


def edges(one: model.Cluster) -> set[tuple[str, str, str]]:
    return {(edge.start.name, edge.end.name, edge.state) for edge in one.graph.edges}


def test_what_is_wrong_breaks_the_cluster_and_the_workload() -> None:
    found = told(inventory=inventory(objects()), diagnosis=diagnosis(objects()), verification=[token()])
    verdicts = {one.label: one.verdict for one in found.workloads}
    assert verdicts == {"Deployment team/web": model.HEALTHY, "Deployment team/lost": model.BROKEN}
    assert found.verdict == model.BROKEN
    assert found.sentence.startswith("prod is broken: ")
    assert found.matrix == (model.Matrix("team", (1, 0, 1, 0)),)
    (lost,) = (one for one in found.problems if one.code == "nothing_matches")
    assert (lost.object, lost.namespace) == ("Deployment team/lost", "team")
    assert lost.link.endswith("/docs/codes.md#nothing_matches")


def test_findings_stand_in_for_a_diagnosis_that_nobody_made() -> None:
    (problem,) = told(inventory=inventory(objects())).problems
    assert (problem.code, problem.severity) == ("nothing_matches", "error")


# Where NMI serves each node but one, which was cleaned.
SERVES: Raw = {"installations": [{"nodes": [{"node": "n1", "state": "active", "reason": ""}]}], "unread": []}
CLEANED: Raw = {"node": "n2", "outcome": "cleaned", "reason": "", "found": ["-A x"], "removed": ["-A x"], "left": []}
OTHER: Raw = {"name": "n2", "scale_set": "", "scale_set_name": "", "ready": True, "nmi_state": "missing"}
EVERYTHING: dict[str, t.Any] = {
    "inventory": inventory(RIGHT),
    "diagnosis": HEALTHY,
    "verification": [token()],
    "installations": SERVES,
    "nodes": {"nodes": [*NODES["nodes"], OTHER]},
    "rules": [CLEANED],
    "plan": plan(RIGHT),
}


def without(key: str) -> dict[str, t.Any]:
    return {name: each for name, each in EVERYTHING.items() if name != key}


def test_what_was_looked_at_and_proved_is_healthy() -> None:
    found = told(**EVERYTHING)
    said = "Nothing is wrong with prod: its identities, tokens and nodes were looked at."
    assert (found.verdict, found.sentence) == (model.HEALTHY, said)


def test_the_verdict_rests_on_what_it_says() -> None:
    assert [ground.key for ground in GROUNDS] == list(EVERYTHING)


@pytest.mark.parametrize("key", EVERYTHING)
def test_without_one_of_what_it_rests_on_nothing_is_healthy(key: str) -> None:
    """And the sentence says which, and what looks at it."""
    found = told(**without(key))
    (ground,) = (one for one in GROUNDS if one.key == key)
    (source,) = (one for one in SOURCES if one.key == key)
    assert found.verdict == model.UNKNOWN
    assert found.sentence.startswith("Nothing wrong was found in prod, but not all was looked at: ")
    assert f"({source.needs})" in found.sentence and ground.told(_parsed(**EVERYTHING)) == ""


def _parsed(**results: t.Any) -> Observed:
    (found,) = parse(document(cluster(**results)))
    return found


@for_each(
    case("no token at all", {"verification": []}, "tokens of pods (the playbook verify)"),
    case("not verified", {"verification": [token(), token("not_verified", pod="b")]}, "the token of team/b (the pl"),
    case("of another", {"verification": [token(selector="y")]}, "the token of Deployment team/web (the playbook ver"),
    case("logs", {"diagnosis": {**HEALTHY, "unread": [{**GAP}]}}, "logs (the playbook diagnose)"),
    case("rights", {"installations": {**SERVES, "unread": ["No."]}}, "who has the rights of NMI (the module nmi_info)"),
    case("no node", {"nodes": {"nodes": []}}, "the nodes, of which none was told (the module aks_node_info)"),
    case(
        "to clean", {"rules": [{**CLEANED, "outcome": "error", "found": []}]}, "the rules on node n2 (the playbook cl"
    ),
)
def test_what_was_not_looked_at_is_named(changes: dict[str, t.Any], said: str) -> None:
    found = told(**{**EVERYTHING, **changes})
    assert found.verdict == model.UNKNOWN and said in found.sentence, found.sentence


def test_nothing_is_healthy_for_having_nothing() -> None:
    """Neither workloads nor tokens: nothing is proved."""
    none = objects(**{name: [] for name in ("AzureIdentity", "AzureIdentityBinding", "AzureAssignedIdentity")})
    empty = inventory({**none, "Deployment": [], "ReplicaSet": [], "Pod": []})
    assert told(**{**EVERYTHING, "inventory": empty, "verification": []}).verdict == model.UNKNOWN


@for_each(
    case("Windows", {"os": "windows"}),
    case("virtual", {"os": "linux", "labels": {"type": "virtual-kubelet"}}),
)
def test_a_node_where_nmi_never_runs_has_no_rules(more: Raw) -> None:
    nodes = {"nodes": [*NODES["nodes"], {**OTHER, **more}]}
    assert told(**{**without("rules"), "nodes": nodes}).verdict == model.HEALTHY


@pytest.mark.parametrize("outcome", ["refused", "would_clean", "error"])
def test_rules_that_were_found_and_stay_are_suspect(outcome: str) -> None:
    found = told(**{**EVERYTHING, "rules": [{**CLEANED, "outcome": outcome}]})
    assert found.verdict == model.SUSPECT
    assert "1 node with rules of an NMI that does not serve there" in found.sentence
    # Of one that serves they are its own.
    assert (
        told(**{**EVERYTHING, "rules": [CLEANED, {**CLEANED, "node": "n1", "outcome": "refused"}]}).verdict == "healthy"
    )


def test_a_blocked_workload_of_a_migration_is_not_healthy() -> None:
    blocked = {"workload": "Deployment team/web", "state": "blocked", "next": "", "why": "It is in the way."}
    found = told(**EVERYTHING, stages=[blocked])
    said = "Nothing in prod is known to be broken, but something looks wrong: 1 workload of the migration blocked."
    assert (found.verdict, found.sentence) == (model.SUSPECT, said)


def test_who_may_not_move_is_wrong_only_once_a_migration_has_begun() -> None:
    given = EVERYTHING["plan"]
    (row,) = given["templates"]
    kept, moved = {**row, "verdict": "blocked"}, {**row, "name": "moved", "uses": "workload_identity"}
    assert told(**{**EVERYTHING, "plan": {**given, "templates": [kept]}}).verdict == model.HEALTHY
    assert told(**{**EVERYTHING, "plan": {**given, "templates": [kept, moved]}}).verdict == model.SUSPECT


def test_what_another_source_has_looked_at_is_no_gap_of_the_diagnosis() -> None:
    """A diagnosis that asks for no token, beside tokens that were verified."""
    asked = {"source": "probe", "what": "the token", "why": "none was asked for", "needs": "probe"}
    assert told(**{**EVERYTHING, "diagnosis": {**HEALTHY, "unread": [asked]}}).verdict == model.HEALTHY
    assert told(**{**EVERYTHING, "diagnosis": {**HEALTHY, "unread": [asked, GAP]}}).verdict == model.UNKNOWN


def test_what_nobody_has_asked_is_not_verified() -> None:
    """Such a row of the role pod_identity_verify tells less than one of an answer."""
    row = pod_identity_verify._unseen("team", "team/i", "There is no cluster yet.")
    found = told(inventory=inventory(RIGHT), diagnosis=HEALTHY, verification=[row])
    assert [(one.verdict, one.selector) for one in found.tokens] == [("not_verified", "")]
    assert found.verdict == model.UNKNOWN and {one.verdict for one in found.workloads} == {model.UNKNOWN}


def test_a_wrong_token_is_broken_whatever_the_diagnosis_says() -> None:
    found = told(inventory=inventory(RIGHT), diagnosis=HEALTHY, verification=[token("not_assigned")])
    assert (found.verdict, found.sentence) == (model.BROKEN, "prod is broken: 1 error.")
    assert [(one.verdict, one.why) for one in found.workloads] == [(model.BROKEN, "NMI answered 404.")]


def test_a_wrong_token_has_a_code_and_says_what_to_do() -> None:
    """That of pods of one workload once, with each answer as evidence."""
    wrong = [token("not_assigned"), token("not_assigned", pod="web-2", node="")]
    found = told(inventory=inventory(RIGHT), diagnosis=HEALTHY, verification=wrong)
    (one,) = found.problems
    assert (one.severity, one.code, one.object, one.namespace) == (
        "error",
        "not_assigned",
        "Deployment team/web",
        "team",
    )
    assert one.link.endswith("#not_assigned") and "azureops.pod_identity.verify" in one.remedy
    assert [each.source for each in one.evidence] == ["Pod team/web-1 on node n1", "Pod team/web-2"]
    assert found.workloads[0].codes == ("not_assigned",)


@for_each(
    case("pod", {"selector": "y"}, "Pod team/web-1"),
    case("no pod", {"selector": "y", "pod": ""}, "AzureIdentity team/i"),
    case("nothing", {"selector": "y", "pod": "", "identity": ""}, "Namespace team"),
)
def test_whose_a_wrong_token_is(more: Raw, label: str) -> None:
    (one,) = told(inventory=inventory(RIGHT), diagnosis=HEALTHY, verification=[token("no_answer", **more)]).problems
    assert one.object == label


def test_a_token_that_was_not_verified_is_no_success() -> None:
    (workload,) = told(inventory=inventory(RIGHT), verification=[token("not_verified")]).workloads
    assert workload.verdict == model.UNKNOWN


def test_of_a_token_only_known_claims_are_told() -> None:
    found = told(verification=[token(message=f"It is eyJ{'a' * 20}.b.c")])
    assert [name for name, _value in found.tokens[0].claims] == ["aud", "oid"]
    assert found.tokens[0].message == "It is (a token)"


def test_a_cluster_that_could_not_be_looked_at() -> None:
    report = build(document({"name": "west", "failure": "It is not there."}, cluster(inventory=inventory(objects()))))
    assert report.clusters[0].sentence == "west could not be looked at: It is not there."
    assert {one.why for one in report.clusters[0].unread} == {"It is not there."}
    assert (report.verdict, report.sentence) == (model.BROKEN, "2 clusters: 1 broken and 1 unknown.")


UNREAD: Raw = {"inventory": {"failure": "Pods may not be listed."}, "diagnosis": {"failure": "Nor events."}}


def test_a_cluster_of_which_neither_inventory_nor_diagnosis_was_read_was_not_looked_at() -> None:
    """Whatever else was; what is known to be broken stays so."""
    one = cluster(nodes=NODES)
    one["sources"].update(UNREAD)
    (found,) = build(document(one)).clusters
    said = "prod could not be looked at: Pods may not be listed."
    assert (found.verdict, found.failure, found.sentence) == (model.UNKNOWN, "Pods may not be listed.", said)
    one["sources"].update(cluster(verification=[token("not_assigned")])["sources"])
    (found,) = build(document(one)).clusters
    assert (found.verdict, found.sentence) == (model.BROKEN, "prod is broken: 1 error.") and found.failure


@pytest.mark.parametrize("key", UNREAD)
def test_either_of_inventory_and_diagnosis_tells_of_the_cluster(key: str) -> None:
    one = cluster(inventory=inventory(RIGHT), diagnosis=HEALTHY)
    one["sources"][key] = UNREAD[key]
    (found,) = build(document(one)).clusters
    said = "Nothing wrong was found in prod, but not all was looked at: "
    assert (found.verdict, found.failure, found.sentence[: len(said)]) == (model.UNKNOWN, "", said)


def test_the_way_by_pod_identity() -> None:
    found = told(inventory=inventory(objects()), nodes=NODES, carriers=CARRIERS)
    assert edges(found) == {
        ("Deployment web", "x", "in place"),
        ("x", "team-i", "in place"),
        ("team-i", "pool", "in place"),
        ("Deployment lost", "nobody", "in place"),
    }
    assert [(one.place, one.what, one.state) for one in found.leftovers] == [("pool", "old", "removable")]
    assert [(one.name, one.workloads, one.assigned, one.scale_sets) for one in found.identities] == [
        ("team-i", 1, 1, ("pool",))
    ]


def test_an_identity_that_was_assigned_and_is_not_on_the_scale_set() -> None:
    empty = {**CARRIERS, "resources": [{**CARRIERS["resources"][0], "identities": []}]}
    assert ("team-i", "pool", "missing") in edges(told(inventory=inventory(objects()), nodes=NODES, carriers=empty))
    assert ("team-i", "pool", "not looked at") in edges(told(inventory=inventory(objects()), nodes=NODES))


def test_the_way_by_workload_id() -> None:
    trusted = Credential("web", ISSUER, "system:serviceaccount:team:web", ("api://AzureADTokenExchange",))
    found = told(plan=plan(objects(), trusted))
    assert edges(found) == {
        # It does not use it yet.
        ("Deployment web", "web", "missing"),
        ("web", "team-i", "in place"),
        ("team-i", "web", "in place"),
    }
    assert not told(plan=plan(objects())).graph.edges


def test_the_way_of_a_workload_that_has_left_pod_identity() -> None:
    (row,) = plan(objects(Deployment=[template()]))["templates"]
    row = {**row, "uses": "workload_identity", "selector": "", "identities": [], "credentials": []}
    left = {"templates": [{**row, "client_id": "c-1"}]}
    assert edges(told(plan=left)) == {("Deployment web", "web", "in place"), ("web", "c-1", "not looked at")}
    # A token tells which identity that is.
    proof = token(path="workload_identity", selector="", claims={"appid": "c-1", "xms_mirid": f"{ID}Team-I"})
    proved = {("Deployment web", "web", "in place"), ("web", "team-i", "in place")}
    assert edges(told(plan=left, verification=[proof])) == proved
    others = ({**proof, "service_account": "api"}, {**proof, "namespace": "b"}, {**proof, "verdict": "wrong_identity"})
    for other in (*others, {**proof, "claims": {**proof["claims"], "appid": "c-2"}}):
        assert ("web", "c-1", "not looked at") in edges(told(plan=left, verification=[other]))
    gone = inventory(objects(Deployment=[template(selector="")], Pod=[]))
    (one,) = told(plan=left, inventory=gone).workloads
    assert (one.label, one.identities, one.answer) == ("Deployment team/web", ("c-1",), "")
    # Without an annotation of its account nothing is known.
    (one,) = told(plan={"templates": [{**row, "client_id": ""}]}, inventory=gone).workloads
    assert one.identities == ()


def test_phases_of_a_migration() -> None:
    stages = [
        {"workload": "Deployment team/web", "state": "switched", "next": "soak", "why": ""},
        {"workload": "Deployment team/gone", "state": "blocked", "next": "", "why": "It is in the way."},
    ]
    found = told(plan=plan(objects()), stages=stages)
    assert {one.label: (one.phase, one.uses) for one in found.movers} == {
        "Deployment team/web": ("switched", "pod identity"),
        "Deployment team/lost": ("", "pod identity"),
        "Deployment team/gone": ("blocked", ""),
    }
    assert found.phases == (("switched", 1), ("blocked", 1))


def test_azure_identities_of_one_managed_identity_are_one() -> None:
    both = [identity(), identity("j", resourceID=f"{ID}TEAM-I")]
    found = told(inventory=inventory(objects(AzureIdentity=both, AzureIdentityBinding=[binding(), binding("c", "j")])))
    assert [(one.names, one.workloads) for one in found.identities] == [(("team/i", "team/j"), 1)]


def test_what_was_not_looked_at_is_told_with_what_it_takes() -> None:
    unread = {one.source: one.needs for one in told(inventory=inventory(objects())).unread}
    assert unread["verification"] == "the playbook verify" and "inventory" not in unread


RESIDUE: t.Sequence[Raw] = [
    {"code": code, "severity": severity, "object": f"Kind {code}", "message": "It is there.", "remedy": "See."}
    for code, severity in (
        *(("installation_left", "error"), ("binding_left", "warning"), ("lock_left", "info")),
        *(("definition_stuck", "error"), ("not_read", "error")),
    )
]


def test_what_an_installation_is_made_of_is_not_left() -> None:
    """Only what does not go; what could not be read is told as that."""
    found = told(inventory={**inventory(RIGHT), "residue": RESIDUE})
    assert [one.code for one in found.leftovers] == ["definition_stuck"]
    assert "what is left of the kind Kind not_read" in [one.what for one in found.unread]


def test_what_is_left_without_an_installation_or_behind_a_removal() -> None:
    gone = told(inventory={**inventory(RIGHT), "residue": RESIDUE[1:]})
    assert [one.code for one in gone.leftovers] == ["binding_left", "lock_left", "definition_stuck"]
    removed = told(inventory={**inventory(RIGHT), "residue": RESIDUE}, removal={"audit": []})
    assert [one.code for one in removed.leftovers] == [each["code"] for each in RESIDUE[:-1]]


def test_the_age_is_that_of_the_oldest_part() -> None:
    one = cluster(inventory=inventory(objects()), verification=[token()])
    one["sources"]["verification"]["observed_at"] = "2026-02-28T23:59:59Z"
    assert build(document(one)).clusters[0].observed_at == "2026-02-28T23:59:59Z"


def test_the_same_observation_gives_the_same_report() -> None:
    one = document(cluster(inventory=inventory(objects()), nodes=NODES, carriers=CARRIERS))
    again = json.loads(json.dumps(one, sort_keys=True))
    assert json.dumps(as_data(build(one))) == json.dumps(as_data(build(again)))


@for_each(
    case("no dictionary", [], "The observation needs the list clusters"),
    case("no name", {"clusters": [{"name": ""}]}, "has no name"),
    case("twice", document(cluster(), cluster()), "has the cluster prod twice"),
    case("source", document(cluster(weather={})), "has the source weather, which is none"),
    case("time", document(cluster(time="yesterday", plan={})), "was observed at yesterday"),
    case("result", document(cluster(stages={})), "needs the list result"),
    case("shape", document(cluster(diagnosis={})), "is not what its module returns (KeyError"),
)
def test_what_is_no_observation_is_refused(given: t.Any, said: str) -> None:
    with pytest.raises(Failure) as raised:
        build(given)
    assert said in str(raised.value)


_LOOKED_AT: Raw = {"inventory": inventory(objects()), "diagnosis": diagnosis(objects()), "verification": [token()]}
WHOLE = document(cluster(**_LOOKED_AT, nodes=NODES, carriers=CARRIERS, plan=plan(objects())))


def _texts(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        if isinstance(each, str):
            yield (*path, key)
        yield from _texts(each, (*path, key))


@given(st.sampled_from(sorted(_texts(WHOLE["clusters"][0]["sources"]), key=str)), st.text(max_size=30))
def test_whatever_a_text_is_the_report_is_printable_or_refused(path: tuple[t.Any, ...], text: str) -> None:
    one = copy.deepcopy(WHOLE)
    where = one["clusters"][0]["sources"]
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = text
    try:
        report = as_data(build(one))
    except Failure:
        return
    for found in _texts(report):
        value: t.Any = report
        for key in found:
            value = value[key]
        assert value.isprintable()
