# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verdict rests on: each of it, left out once, is missing and makes that nothing is called healthy."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import basis, diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import Asked, Observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import CLUSTER, Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Check, Verdict
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import diagnosis as kube
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory
from ansible_collections.azureops.pod_identity.tests.support.installed_objects import installed, log, node, observed
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

from .azure_world import azure

AZURE = azure()
RIGHT = Asked(
    "team", "web-1-a", "n1", Verdict("ok", "", "nmi", "It is right.", (Check("audience", "a", "a", ok=True),))
)
LOGS = (log("mic", "mic-1", ""), log("nmi", "nmi-1", ""))


def objects() -> dict[str, t.Any]:
    empty: dict[str, t.Any] = {kind: [] for kind in basis.KINDS}
    return {**empty, **installed()}


def whole(**more: t.Any) -> Observed:
    """A cluster of which all was looked at, and whose one workload gets its token."""
    given = {"logs": LOGS, "events": (), "health": {"Pod kube-system/nmi-1": "Active"}, "asked": (RIGHT,)}
    return observed(more.pop("objects", objects()), **{**given, "azure": AZURE, **more})


def without(kind: str) -> Observed:
    """The same where this kind was not read afterwards: what is made of its list stays."""
    return replace(whole(), objects={name: each for name, each in objects().items() if name != kind})


# Each part of what a verdict rests on: the source that lacks it, and the world without it.
PARTS: dict[str, tuple[str, Callable[[], Observed]]] = {
    **{kind: ("objects", lambda kind=kind: without(kind)) for kind in (*basis.KINDS, *basis._CUSTOM)},  # type: ignore[misc]
    "events": ("events", lambda: whole(events=None)),
    **{one.label: ("logs", lambda one=one: whole(logs=[each for each in LOGS if each != one])) for one in LOGS},  # type: ignore[misc]
    "what NMI says": ("nodes", lambda: whole(health={})),
    "Azure": ("azure", lambda: whole(azure=None)),
    "a token": ("probe", lambda: whole(asked=())),
    "rules of a node": ("rules", lambda: whole(objects={**objects(), "Node": [node(), node("bare", ready=False)]})),
}


def test_where_nothing_is_missing_and_a_token_was_right_it_is_healthy() -> None:
    found = diagnose.diagnose(whole())
    assert (found.verdict, found.causes, found.unread) == ("healthy", (), ())


@pytest.mark.parametrize("part", PARTS)
def test_each_part_left_out_once_changes_the_verdict(part: str) -> None:
    source, world = PARTS[part]
    (one,) = basis.unread(world(), CLUSTER)
    assert (one.source, bool(one.what and one.why and one.needs)) == (source, True)
    assert diagnose.diagnose(world()).verdict != "healthy"


def test_every_source_is_left_out_once() -> None:
    assert {source for source, _world in PARTS.values()} == set(basis.BASIS)


def test_what_is_read_of_a_cluster_is_what_a_verdict_rests_on() -> None:
    """Secrets, Leases and ConfigMaps are those of one name, and read each by itself."""
    read = {kind.name for kind in (*inventory.KINDS, *kube.KINDS)} | {"Secret", "Lease", "ConfigMap"}
    assert read == {*basis.KINDS, *basis._CUSTOM}


def test_without_a_workload_nothing_is_proved() -> None:
    """Dead rules may be left on the nodes, and nobody asks."""
    lists = objects()
    for kind in ("AzureIdentity", "AzureIdentityBinding", "AzureAssignedIdentity", "Deployment", "ReplicaSet"):
        lists[kind] = []
    lists.update({"DaemonSet": [], "Pod": [], "Node": [node(), node("n2"), node("w", os="windows")]})
    found = diagnose.diagnose(whole(objects=lists, logs=(), asked=(), health={}))
    assert (found.verdict, found.causes) == ("unknown", ())
    assert [(one.source, one.needs) for one in found.unread] == [
        ("probe", "a pod that uses an identity, and then a token in its place"),
        ("rules", "cleanup_nodes --check"),
    ]
    assert "2 nodes, such as n1" in found.unread[1].what


def test_an_nmi_that_is_ending_covers_no_node() -> None:
    lists = objects()
    (ending,) = [each for each in lists["Pod"] if each["metadata"]["name"] == "nmi-1"]
    ending["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:59Z"
    assert [one.source for one in basis.unread(whole(objects=lists, asked=()), CLUSTER)] == ["probe", "rules"]


def test_kinds_of_pod_identity_that_the_cluster_does_not_have_are_not_missing() -> None:
    lists = {kind: each for kind, each in objects().items() if kind not in basis._CUSTOM}
    lists["CustomResourceDefinition"] = []
    assert "objects" not in {one.source for one in basis.unread(observed(lists), CLUSTER)}


@for_each((Scope("team", pod="web-1-a"), 0), (Scope("team", workload="web"), 0), (Scope("team"), 1), (CLUSTER, 1))
def test_of_a_pod_its_own_node_counts(scope: Scope, bare: int) -> None:
    world = whole(objects={**objects(), "Node": [node(), node("bare", ready=False)]})
    assert len([one for one in basis.unread(world, scope) if one.source == "rules"]) == bare


def test_an_answer_on_a_node_shows_that_its_rules_are_alive() -> None:
    lists = {**objects(), "Node": [node(), node("bare", ready=False)]}
    elsewhere = replace(RIGHT, node="bare")
    assert basis.unread(whole(objects=lists, asked=(elsewhere,)), CLUSTER) == ()
    silent = replace(RIGHT, node="bare", verdict=Verdict("nmi_dead", "V2", "nobody", "Refused."))
    assert [one.source for one in basis.unread(whole(objects=lists, asked=(silent,)), CLUSTER)] == ["rules"]
