# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a workload restarts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.restarts import (
    ANNOTATION,
    Match,
    decide,
    label_selector,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "api", "namespace": "billing"},
    "spec": {
        "selector": {"matchLabels": {"app": "api", "tier": "web"}},
        "template": {"metadata": {"labels": {"aadpodidbinding": "billing"}}, "spec": {}},
    },
}
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
BINDING = Match("billing", "", EARLY, ["billing", "billing", "{}"])


def pod(created: str, **metadata: str) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": created, **metadata}}


def noted(mark: str) -> dict[str, Any]:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: mark}
    return deployment


def test_the_note_decides_where_there_is_one() -> None:
    now = decide(DEPLOYMENT, (), [BINDING]).now
    assert len(now) == 16
    assert not decide(noted(now), [pod(EARLY)], [BINDING, Match("other", "", LATE, ["x"])]).due
    assert decide(noted("old"), (), [BINDING]).due
    changed = decide(noted(now), (), [Match("billing", "", LATE, ["billing", "billing", '{"clientID": "x"}'])])
    assert (changed.due, changed.noted) == (True, now)


def test_the_order_of_the_bindings_does_not_matter() -> None:
    second = Match("billing", "billing", LATE, ["billing", "more", "{}"])
    assert decide(DEPLOYMENT, (), [BINDING, second]).now == decide(DEPLOYMENT, (), [second, BINDING]).now


@for_each(
    case("older than what was written", [pod(EARLY)], LATE, True),
    case("younger", [pod(LATE)], EARLY, False),
    case("one of them is older", [pod(LATE), pod(EARLY)], LATE, True),
    case("the older one is going", [pod(EARLY, deletionTimestamp=LATE)], LATE, False),
    case("no pods", [], LATE, False),
    case("predicted", [pod(LATE)], "now", True),
    case("written by somebody else", [pod(EARLY)], "", False),
)
def test_without_a_note_the_age_of_the_pods_decides(pods: list[dict[str, Any]], written: str, due: bool) -> None:
    assert decide(DEPLOYMENT, pods, [Match("billing", "", written, ["x"])]).due == due


@pytest.mark.parametrize(("only", "matches"), [("", True), ("billing", True), ("shop", False)])
def test_a_namespaced_binding_matches_in_its_namespace_only(only: str, matches: bool) -> None:
    assert decide(DEPLOYMENT, [pod(EARLY)], [Match("billing", only, LATE, ["x"])]).due == matches


def test_what_azure_assigns_later_makes_the_note_unknown() -> None:
    decision = decide(noted("old"), (), [Match("billing", "", "now", ["billing", "(known after apply)"])])
    assert (decision.now, decision.due) == ("(known after apply)", True)


def test_a_selector_is_written_as_requests_have_it() -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["spec"]["selector"]["matchExpressions"] = [
        {"key": "a", "operator": "In", "values": ["1", "2"]},
        {"key": "b", "operator": "NotIn", "values": ["3"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    assert label_selector(deployment) == "app=api,tier=web,a in (1,2),b notin (3),c,!d"


def test_an_unknown_operator_is_refused() -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["spec"]["selector"]["matchExpressions"] = [{"key": "a", "operator": "Gt", "values": ["1"]}]
    with pytest.raises(Failure, match="restart that workload by hand"):
        label_selector(deployment)
