# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is changed of a workload, and that all of it comes back, whatever has happened meanwhile."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import patches, sources
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import pod_template
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import (
    owners,
    plan,
    rollouts,
    switching,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.owners import Owner
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.rollouts import Rollout
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.switching import (
    KINDS,
    LEFT,
    ORIGINAL,
    RETURNED,
    SWITCHED,
    Decision,
    Wanted,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

Raw = dict[str, Any]
USE, SELECTOR = "azure.workload.identity/use", "aadpodidbinding"
PROXY = "azure.workload.identity/inject-proxy-sidecar"


def stored(raw: Raw) -> Raw:
    """As the API server keeps it: without empty maps, and with a service account under both of its names."""
    raw = copy.deepcopy(raw)
    template = pod_template(raw)
    for metadata in (raw["metadata"], template.get("metadata") or {}):
        for key in ("labels", "annotations"):
            if not metadata.get(key):
                metadata.pop(key, None)
    spec = template["spec"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    for key in ("serviceAccountName", "serviceAccount"):
        spec.pop(key, None)
        if account:
            spec[key] = account
    return raw


def workload(
    kind: str = "Deployment",
    *,
    labels: Raw | None = None,
    annotations: Raw | None = None,
    account: str | None = "default",
    note: str | None = None,
    **spec: Any,
) -> Raw:
    labels = {"app": "web", SELECTOR: "web"} if labels is None else labels
    of_pod = {"serviceAccountName": account, "containers": [{"name": "app"}], "volumes": []}
    pod = {"metadata": {"labels": labels, "annotations": annotations or {}}, "spec": of_pod}
    made: Raw = {"jobTemplate": {"spec": {"template": pod}}} if kind == "CronJob" else {"template": pod, "replicas": 2}
    if kind == "DaemonSet":
        del made["replicas"]
        made["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    if kind == "Deployment":
        made["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    metadata = {"namespace": "team", "name": "web", "annotations": {"of": "team"}}
    if note is not None:
        metadata["annotations"] = {"of": "team", MIGRATION: note}
    return stored({"kind": kind, "metadata": metadata, "spec": {**made, **spec}})


def written(raw: Raw, decision: Decision) -> Raw:
    return stored(patches.merged(raw, decision.patch))


def run(raw: Raw, state: str, *, finishes: bool = True, **options: Any) -> Raw:
    """The workload behind a run; without ``finishes`` it ends between its writes."""
    kind = raw["kind"]
    raw = written(raw, switching.decide(kind, raw, Wanted(state, **options)))
    return written(raw, switching.finish(kind, raw)) if finishes else raw


def note(raw: Raw) -> Raw | None:
    text = (raw["metadata"].get("annotations") or {}).get(MIGRATION)
    return None if text is None else dict(json.loads(text))


def labels(raw: Raw) -> Raw:
    return dict((pod_template(raw).get("metadata") or {}).get("labels") or {})


def rolling(raw: Raw) -> Raw:
    return dict(raw["spec"]["updateStrategy" if raw["kind"] == "DaemonSet" else "strategy"]["rollingUpdate"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_and_noted(kind: str) -> None:
    before = workload(kind)
    switched = run(before, SWITCHED, account="billing", proxy=True)
    assert labels(switched) == {"app": "web", SELECTOR: "web", USE: "true"}
    assert pod_template(switched)["metadata"]["annotations"] == {PROXY: "true"}
    spec = pod_template(switched)["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("billing", "billing")
    first = {"label": None, "proxy": None, "service_account": "default", "service_account_set": "billing"}
    assert note(switched) == first
    assert switching.stage(switching.fields(pod_template(switched))) == SWITCHED
    left = run(switched, LEFT)
    assert labels(left) == {"app": "web", USE: "true"} and note(left) == {**first, "aadpodidbinding": "web"}
    assert switching.stage(switching.fields(pod_template(left))) == LEFT
    assert run(left, SWITCHED, account="billing", proxy=True) == left, "one that has left stays so"
    assert run(left, ORIGINAL) == run(switched, ORIGINAL) == before


def test_the_annotation_is_compact_and_in_one_order() -> None:
    switched = run(workload(), SWITCHED, finishes=False)
    text = switched["metadata"]["annotations"][MIGRATION]
    assert text == '{"label":null,"strategy":{"maxUnavailable":"25%"}}'


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", switching.STATES)
def test_again_nothing_is_written(kind: str, state: str) -> None:
    raw = run(workload(kind), SWITCHED, account="billing")
    raw = run(raw, state, account="billing")
    assert switching.decide(kind, raw, Wanted(state, "billing")).patch == {}
    assert switching.finish(kind, raw).patch == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("finishes", [True, False])
def test_what_has_come_back_says_so_until_somebody_has_proved_it(kind: str, finishes: bool) -> None:
    before = workload(kind)
    switched = run(before, SWITCHED, account="billing")
    back = run(switched, RETURNED, finishes=finishes)
    assert pod_template(back) == pod_template(before) and (note(back) or {})["unproved"] is True
    assert run(switched, RETURNED) == switching.returned(kind, switched) == run(back, RETURNED)
    assert note(run(back, RETURNED)) == {"unproved": True} and back["metadata"]["annotations"]["of"] == "team"
    assert run(back, ORIGINAL) == before
    again = run(back, SWITCHED, account="billing")
    assert again == switched, "whoever goes there again has another way back"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_changed_and_what_uses_workload_id_is_not_to_be_proved(kind: str) -> None:
    assert run(workload(kind), RETURNED) == workload(kind)
    theirs = run(workload(kind, labels={USE: "true"}), SWITCHED, account="billing")
    assert note(theirs) and note(run(theirs, RETURNED)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_already_is_not_ours(kind: str) -> None:
    have = workload(kind, labels={"app": "web", USE: "true"}, annotations={PROXY: "false"}, account="billing")
    assert switching.decide(kind, have, Wanted(SWITCHED, "billing", proxy=True)).patch == {}
    decision = switching.decide(kind, have, Wanted(ORIGINAL))
    assert decision.patch == {} and [each.name for each in decision.left] == ["label"]


def test_the_default_account_is_the_same_by_name_and_without() -> None:
    nobody = workload(account=None)
    assert switching.decide("Deployment", nobody, Wanted(SWITCHED, "default")).after["service_account"] is None
    own = run(nobody, SWITCHED, account="billing")
    assert (note(own) or {})["service_account"] is None
    assert "serviceAccountName" not in pod_template(run(own, ORIGINAL))["spec"]
    assert run(own, ORIGINAL) == nobody


@table(
    "given, during",
    ({"maxUnavailable": "25%", "maxSurge": "25%"}, {"maxUnavailable": 0, "maxSurge": "25%"}),
    ({"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 0, "maxSurge": 1}),
    ({"maxUnavailable": "100%", "maxSurge": "0%"}, {"maxUnavailable": 0, "maxSurge": 1}),
    ({"maxUnavailable": 0, "maxSurge": 1}, {"maxUnavailable": 0, "maxSurge": 1}),
    ({"maxUnavailable": "0%", "maxSurge": 3}, {"maxUnavailable": "0%", "maxSurge": 3}),
)
@pytest.mark.parametrize("state", switching.STATES)
def test_no_pod_is_missing_while_a_rollout_lasts(given: Raw, during: Raw, state: str) -> None:
    before = workload(strategy={"type": "RollingUpdate", "rollingUpdate": given})
    raw = before if state == SWITCHED else run(before, SWITCHED)
    rolled = run(raw, state, finishes=False)
    changed = {key: value for key, value in given.items() if during[key] != value}
    assert rolling(rolled) == during and (note(rolled) or {}).get("strategy", {}) == changed
    assert {each.name: each.was for each in switching.pending("Deployment", rolled)} == changed
    ended = written(rolled, switching.finish("Deployment", rolled))
    assert rolling(ended) == given and "strategy" not in (note(ended) or {})


@table(
    "given, during",
    ({"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 0, "maxSurge": 1}),
    ({"maxUnavailable": "10%", "maxSurge": "0%"}, {"maxUnavailable": 0, "maxSurge": 1}),
    ({"maxUnavailable": 0, "maxSurge": "30%"}, {"maxUnavailable": 0, "maxSurge": "30%"}),
)
@pytest.mark.parametrize("state", switching.STATES)
def test_a_daemon_set_surges_while_a_rollout_lasts(given: Raw, during: Raw, state: str) -> None:
    before = workload("DaemonSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": given})
    raw = before if state == SWITCHED else run(before, SWITCHED)
    rolled = run(raw, state, finishes=False)
    assert rolling(rolled) == during
    ended = written(rolled, switching.finish("DaemonSet", rolled))
    assert rolling(ended) == given and "strategy" not in (note(ended) or {})
    assert json.dumps(run(ended, ORIGINAL), sort_keys=True) == json.dumps(before, sort_keys=True)


def test_of_a_daemon_set_both_amounts_are_never_more_than_nothing() -> None:
    """The API server would refuse it."""
    raw = run(workload("DaemonSet"), SWITCHED, finishes=False)
    raw["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] = 2
    decision = switching.finish("DaemonSet", raw)
    assert {(each.name, each.was, each.now) for each in decision.left} == {("maxSurge", 0, 2), ("maxUnavailable", 1, 0)}
    assert rolling(written(raw, decision)) == {"maxUnavailable": 0, "maxSurge": 2}


@table(
    "kind, spec",
    ("Deployment", {"strategy": {"type": "Recreate"}}),
    ("Deployment", {"replicas": 0}),
    ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}),
)
def test_where_nothing_is_replaced_by_and_by_the_strategy_stays(kind: str, spec: Raw) -> None:
    rolled = run(workload(kind, **spec), SWITCHED, finishes=False)
    assert note(rolled) == {"label": None}


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
@table(
    "pod",
    {"containers": [{"name": "app", "ports": [{"containerPort": 80, "hostPort": 8080}]}]},
    {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}], "hostNetwork": True},
    {
        "containers": [{"name": "app"}],
        "initContainers": [{"name": "log", "restartPolicy": "Always", "ports": [{"hostPort": 8080}]}],
    },
)
def test_pods_with_a_port_of_their_node_cannot_surge(kind: str, pod: Raw) -> None:
    """It is told before, and where that is accepted the strategy stays as it is."""
    raw = workload(kind)
    pod_template(raw)["spec"].update(pod)
    gap = rollouts.find(sources.of_template(kind, raw), {}).gap
    assert "has the port of the node, 8080 (hostPort)" in gap
    assert note(run(raw, SWITCHED, finishes=False)) == {"label": None}
    pod_template(raw)["spec"].update({"containers": [{"name": "app", "ports": [{"containerPort": 80}]}]})
    pod_template(raw)["spec"].update(
        {"hostNetwork": False, "initContainers": [{"name": "a", "ports": [{"hostPort": 1}]}]}
    )
    assert not rollouts.find(sources.of_template(kind, raw), {}).gap


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_left_without_a_token_is_served_by_nmi_again(kind: str) -> None:
    """By the label as it was; it may leave again, and all comes back."""
    before = workload(kind)
    switched = run(before, SWITCHED, account="billing")
    left = run(switched, LEFT)
    assert written(left, switching.rejoin(kind, left)) == switched
    assert run(written(left, switching.rejoin(kind, left)), LEFT) == left
    assert switching.rejoin(kind, switched).patch == switching.rejoin(kind, before).patch == {}
    of_others = stored(patches.merged(left, {"metadata": {"annotations": {MIGRATION: None}}}))
    assert switching.rejoin(kind, of_others).patch == {}


def _label(value: str | None) -> Callable[[Raw], None]:
    return _field("labels", USE, value)


def _field(place: str, key: str, value: str | None) -> Callable[[Raw], None]:
    def change(raw: Raw) -> None:
        found = pod_template(raw)["metadata"].setdefault(place, {})
        found.pop(key, None)
        if value is not None:
            found[key] = value

    return change


def _account(value: str | None) -> Callable[[Raw], None]:
    def change(raw: Raw) -> None:
        pod_template(raw)["spec"].update(serviceAccountName=value, serviceAccount=value)

    return change


OTHER_SELECTOR = _field("labels", SELECTOR, "other")
MEANWHILE: dict[str, tuple[Callable[[Raw], None], dict[str, tuple[Any, Any]], Raw]] = {
    "nothing": (lambda raw: None, {}, {}),
    "the label goes": (_label(None), {}, {}),
    "the label is false": (_label("false"), {"label": (None, "false")}, {"label": "false"}),
    "another account": (_account("other"), {"service_account": ("default", "other")}, {"service_account": "other"}),
    "the account as before": (_account("default"), {}, {}),
    "no account": (_account(None), {"service_account": ("default", None)}, {"service_account": None}),
    "another proxy": (_field("annotations", PROXY, "yes"), {"proxy": (None, "yes")}, {"proxy": "yes"}),
    "the proxy goes": (_field("annotations", PROXY, None), {}, {}),
    "another selector": (OTHER_SELECTOR, {"aadpodidbinding": ("web", "other")}, {"aadpodidbinding": "other"}),
    "the selector as before": (_field("labels", SELECTOR, "web"), {}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MEANWHILE)
def test_what_somebody_else_did_meanwhile_stays(kind: str, name: str) -> None:
    """What was changed here comes back beside it, and it is told."""
    change, told, stays = MEANWHILE[name]
    before = workload(kind)
    raw = run(run(before, SWITCHED, account="billing", proxy=True), LEFT)
    change(raw)
    raw = stored(raw)
    decision = switching.decide(kind, raw, Wanted(ORIGINAL))
    assert {each.name: (each.was, each.now) for each in decision.left} == told
    values = switching.fields(pod_template(run(raw, ORIGINAL)))
    assert values == {**switching.fields(pod_template(before)), **stays} and note(run(raw, ORIGINAL)) is None
    if not stays:
        assert run(raw, ORIGINAL) == before


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_asked_again_takes_it_as_it_is_now(kind: str) -> None:
    """What somebody else has set meanwhile is what comes back then."""
    raw = run(workload(kind), SWITCHED, account="billing")
    _label("false")(raw)
    _account("other")(raw)
    again = run(stored(raw), SWITCHED, account="billing")
    values = switching.fields(pod_template(again))
    assert (values["label"], values["service_account"]) == ("true", "billing")
    values = switching.fields(pod_template(run(again, ORIGINAL)))
    assert (values["label"], values["service_account"]) == ("false", "other")


def test_a_second_account_keeps_the_first_as_it_was() -> None:
    raw = run(run(workload(), SWITCHED, account="one"), SWITCHED, account="two")
    found = note(raw) or {}
    assert (found["service_account"], found["service_account_set"]) == ("default", "two")
    back = run(raw, SWITCHED, account="default")
    assert pod_template(back)["spec"]["serviceAccountName"] == "default"
    assert run(back, ORIGINAL) == run(raw, ORIGINAL) == workload()


@pytest.mark.parametrize("state", [SWITCHED, LEFT])
def test_pods_that_will_not_do_are_restarted(state: str) -> None:
    """Each time by another value, and none is left of it."""
    before = workload()
    raw = run(run(before, SWITCHED), state)
    seen = set()
    for generation in (3, 5):
        raw["metadata"]["generation"] = generation
        raw = run(raw, state, restart=True)
        seen.add(switching.fields(pod_template(raw))["restarted"])
        assert (note(raw) or {})["restarted"] is None
    back = run(raw, ORIGINAL)
    back["metadata"].pop("generation")
    assert len(seen) == 2 and back == before


HALF, WITHOUT = {"maxUnavailable": "25%", "maxSurge": 1}, {"maxUnavailable": 1, "maxSurge": 0}
STRATEGIES: dict[str, tuple[Raw, Raw, Raw, list[tuple[str, Any, Any]]]] = {
    "unavailable": (
        *(HALF, {"maxUnavailable": 1}),
        {"maxUnavailable": 1, "maxSurge": 1},
        [("maxUnavailable", "25%", 1)],
    ),
    "surge": (WITHOUT, {"maxSurge": 2}, {"maxUnavailable": 1, "maxSurge": 2}, [("maxSurge", 0, 2)]),
    "as before": (HALF, {"maxUnavailable": "25%"}, {}, []),
    "both would be nothing": (
        *(WITHOUT, {"maxUnavailable": "0%"}),
        {"maxUnavailable": "0%", "maxSurge": 1},
        [("maxUnavailable", 1, "0%"), ("maxSurge", 0, 1)],
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_somebody_else_made_of_the_strategy_stays(name: str) -> None:
    given, change, stays, told = STRATEGIES[name]
    raw = run(workload(strategy={"type": "RollingUpdate", "rollingUpdate": given}), SWITCHED, finishes=False)
    raw["spec"]["strategy"]["rollingUpdate"].update(change)
    decision = switching.finish("Deployment", raw)
    assert [(each.name, each.was, each.now) for each in decision.left] == told
    ended = written(raw, decision)
    assert rolling(ended) == (stays or given) and note(ended) == {"label": None}


NAMES = some.sampled_from(["a", "app", "example.com/b", USE, SELECTOR, PROXY])
MAPS = some.dictionaries(NAMES, some.sampled_from(["true", "false", "x", ""]), max_size=4)
AMOUNTS = some.sampled_from([0, 1, 3, "0%", "25%", "100%"])
SPECS = some.fixed_dictionaries(
    {"containers": some.lists(some.fixed_dictionaries({"name": some.text(max_size=3)}), min_size=1, max_size=2)},
    optional={"volumes": some.just([]), "hostNetwork": some.booleans()},
)
ACCOUNTS = some.sampled_from(["", "default", "one", "two"])
RUNS = some.lists(
    some.tuples(some.sampled_from(switching.STATES), ACCOUNTS, some.booleans(), some.booleans()), max_size=5
)
BOTH_AMOUNTS = some.tuples(AMOUNTS, AMOUNTS).filter(lambda both: not all(each in (0, "0%") for each in both))


@given(
    *(some.sampled_from(list(KINDS)), MAPS, MAPS, some.sampled_from([None, "default", "one"])),
    *(SPECS, BOTH_AMOUNTS, some.sampled_from([0, 1, 2]), RUNS),
)
def test_any_template_comes_back_byte_for_byte(
    kind: str,
    named: Raw,
    noted: Raw,
    account: str | None,
    spec: Raw,
    amounts: tuple[Any, Any],
    replicas: int,
    runs: list[tuple[str, str, bool, bool]],
) -> None:
    """Behind any runs, each of which may have ended between its writes."""
    before = workload(kind, labels=named, annotations=noted, account=account, replicas=replicas)
    pod_template(before)["spec"].update(spec)
    before["metadata"]["generation"] = 7
    if kind == "Deployment":
        before["spec"]["strategy"]["rollingUpdate"] = {"maxUnavailable": amounts[0], "maxSurge": amounts[1]}
    raw = before
    for state, name, proxy, finishes in runs:
        raw = run(raw, state, account=name, proxy=proxy, restart=proxy and finishes, finishes=finishes)
        if kind == "Deployment" and not finishes:
            assert not (note(raw) or {}).get("strategy") or rolling(raw)["maxUnavailable"] in (0, "0%")
    assert json.dumps(run(raw, ORIGINAL), sort_keys=True) == json.dumps(before, sort_keys=True)


@table(
    "text",
    *("", "no JSON", "[]", "{}", "[" * 100_000, '{"image": "x"}', '{"label": 1}', '{"service_account": "x"}'),
    *('{"service_account": "x", "service_account_set": 1}', '{"strategy": {"type": "Recreate"}}'),
    *('{"strategy": {"maxSurge": {}}}', '{"strategy": null}', '{"unproved": false}', '{"unproved": "true"}'),
)
@pytest.mark.parametrize("state", switching.STATES)
def test_a_note_that_is_none_of_ours_is_refused(text: str, state: str) -> None:
    with pytest.raises(Failure, match=f"annotation {MIGRATION} of Deployment team/web is not as this collection"):
        switching.decide("Deployment", workload(note=text), Wanted(state))


@pytest.mark.parametrize("kind", ["StatefulSet", "ReplicaSet", "CronJob"])
def test_a_strategy_that_is_never_changed_is_none_of_ours(kind: str) -> None:
    with pytest.raises(Failure, match="is not as this collection writes it"):
        switching.finish(kind, workload(kind, note='{"strategy":{"maxUnavailable":1}}'))


# what is refused

HELM, OPERATOR = Owner(owners.HELM, "team/web"), Owner(owners.OPERATOR, "Rollout web")
GAP, UNKNOWN = Rollout(gap="all its pods end before new ones begin (Recreate)"), Rollout(unknown="whether")
REFUSED: dict[str, tuple[Owner, Rollout, Raw, list[str]]] = {
    "nothing": (Owner(), Rollout(), {}, []),
    "helm": (HELM, Rollout(), {}, ["manifest_has_owner override_owner"]),
    "helm overridden": (HELM, Rollout(), {"override_owner": True}, []),
    "operator": (OPERATOR, Rollout(), {"override_owner": True}, ["made_by_operator "]),
    "gap": (Owner(), GAP, {}, ["cannot_surge accept_gap"]),
    "gap accepted": (Owner(), GAP, {"accept_gap": True}, []),
    "unknown": (Owner(), UNKNOWN, {}, ["cannot_surge accept_gap"]),
    "all": (HELM, GAP, {}, ["manifest_has_owner override_owner", "cannot_surge accept_gap"]),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("state", switching.STATES)
def test_what_is_refused(name: str, state: str) -> None:
    """Whoever owns it, what was added may be taken away again."""
    owner, rollout, given, told = REFUSED[name]
    raw = workload() if state == SWITCHED else run(workload(), SWITCHED)
    decision = switching.decide("Deployment", raw, Wanted(state))
    options = {"override_owner": False, "accept_gap": False, **given}
    found = switching.refusals(state, decision, owner, rollout, **options)
    told = [each for each in told if state not in switching.BACK or each.startswith("cannot_surge")]
    assert [f"{each.code} {each.option}" for each in found] == told
    assert {each.code for each in found} <= set(plan.CODES)
    if found:
        failure = switching.refused("Deployment team/web", state, found)
        assert all(f"{each.reason} ({each.code})" in failure.sentence for each in found)
        assert not any(each.option and each.option in failure.sentence for each in found), "a role has other names"
        assert failure.results["refusals"] == [each.view() for each in found]
    again = switching.decide("Deployment", run(raw, state), Wanted(state))
    assert switching.refusals(state, again, owner, rollout, **options) == [], "nothing is written"


@table(
    "kind, spec, told",
    ("Deployment", {"paused": True}, "it is paused"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, "its partition is 1"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 0}}}, ""),
    ("CronJob", {"suspend": True}, ""),
)
def test_what_replaces_no_pods_is_refused_but_brought_back(kind: str, spec: Raw, told: str) -> None:
    raw = workload(kind, **spec)
    decision = switching.decide(kind, raw, Wanted(SWITCHED))
    assert switching.why_not_yet(kind, raw, decision, SWITCHED).startswith(told)
    switched = run(raw, SWITCHED)
    for state in (SWITCHED, *switching.BACK):
        assert switching.why_not_yet(kind, switched, switching.decide(kind, switched, Wanted(state)), state) == ""


def test_only_what_is_switched_leaves() -> None:
    raw = workload()
    told = switching.why_not_yet("Deployment", raw, switching.decide("Deployment", raw, Wanted(LEFT)), LEFT)
    assert told.startswith("its template has no label azure.workload.identity/use")


def test_whose_it_is_is_told_by_the_object_alone() -> None:
    """As by the plan; a ReplicaSet of a Deployment is that Deployment's, also one without pods."""
    helm = workload()
    helm["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    assert owners.find(sources.of_template("Deployment", helm)).kind == owners.HELM
    for replicas in (0, 1):
        made = workload("ReplicaSet", replicas=replicas)
        made["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": "web", "controller": True}]
        source = sources.of_template("ReplicaSet", made)
        assert owners.find(source) == Owner(owners.OPERATOR, "Deployment web")
    assert rollouts.find(sources.of_template("ReplicaSet", workload("ReplicaSet")), {}).gap


def test_a_diff_shows_the_fields_and_nothing_else() -> None:
    raw = workload()
    pod_template(raw)["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "sesame"}]
    shown = switching.shown("Deployment", run(raw, SWITCHED, finishes=False))
    assert shown == {
        "template": {"label": "true", "service_account": "default", "aadpodidbinding": "web"},
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        MIGRATION: '{"label":null,"strategy":{"maxUnavailable":"25%"}}',
    }
