# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom exceptions let past NMI, and what a list of them changes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings import exceptions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings.exceptions import (
    Desired,
    Observed,
    Rules,
    Template,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.object_lists import Outcome
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Pod
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each


def desired(name: str = "e", namespace: str = "n", **changes: Any) -> Desired:
    return Desired(name, namespace, **{"pod_labels": {"app": "x"}, **changes})


def pod(name: str = "a", namespace: str = "n", phase: str = "Running", **labels: str) -> Pod:
    return Pod(namespace, name, labels or {"app": "x"}, "node", phase)


def decide(*desired_list: Desired, on: Observed | None = None, **rules: Any) -> Outcome:
    return exceptions.decide(desired_list, on or Observed(), Rules(**rules))


def made(*desired_list: Desired, **seen: Any) -> Observed:
    return Observed(tuple(one.body for one in decide(*desired_list).writes if one.body), **seen)


def refusal(*desired_list: Desired, on: Observed | None = None, **rules: Any) -> str:
    with pytest.raises(Failure) as refused:
        decide(*desired_list, on=on, **rules)
    return refused.value.sentence


@for_each(
    ({"a": "1"}, {"a": "1"}, True),
    ({"a": "1", "b": "2"}, {"b": "2"}, True),
    ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, False),
    ({"a": "Yes"}, {"a": "yES"}, True),
    ({"A": "1"}, {"a": "1"}, False),
    ({"a": ""}, {"a": ""}, True),
    ({"a": ""}, {}, False),
    ({}, {"a": "1"}, False),
)
def test_any_one_label_is_enough(pod_labels: dict[str, str], labels: dict[str, str], covered: bool) -> None:
    assert exceptions.covers(pod_labels, labels) is covered


def test_living_pods_of_the_namespace_are_told() -> None:
    seen = Observed(pods=(pod("b"), pod("a"), pod("c", "m"), pod("d", phase="Failed"), pod("e", team="x")))
    outcome = decide(desired(), on=seen)
    assert outcome.decisions[0].result["pods"] == ["n/a", "n/b"]
    assert [one.summary for one in outcome.writes] == ["create AzurePodIdentityException n/e (2 pods past NMI)"]
    assert decide(desired(), on=Observed(pods=None)).decisions[0].result["pods"] is None


def test_the_labels_of_the_pods_are_replaced() -> None:
    live = made(desired(pod_labels={"app": "x", "team": "y"}))
    (write,) = decide(desired(), on=live).writes
    assert write.body is not None and write.body["spec"]["podLabels"] == {"app": "x"}
    assert decide(desired(pod_labels=None), on=live).writes == ()
    assert decide(desired(), on=made(desired())).writes == ()


def test_what_pods_need_stays() -> None:
    used = made(desired(), pods=(pod(),))
    gone = desired(present=False)
    assert "Pod n/a past NMI" in refusal(gone, on=used)
    assert "Pod n/a past NMI" in refusal(desired("f", pod_labels={"b": "c"}), on=used, purge=True)
    assert decide(desired(present=False, allow_in_use=True), on=used).writes
    assert decide(gone, desired("new"), on=used).waves[1].writes[0].name == "e", "the new one is there before"
    template = Template("CronJob n/c", "n", {"app": "X"})
    assert "CronJob n/c past NMI" in refusal(gone, on=made(desired(), templates=(template,)))
    assert decide(gone, on=made(desired(), templates=(Template("CronJob m/c", "m", {"app": "x"}),))).writes
    for unread in ("pods", "templates"):
        assert "cannot be told" in refusal(gone, on=made(desired(), **{unread: None}))


def test_purge_removes_what_is_provably_ours_only() -> None:
    ours = made(desired("a"), desired("b"), desired("c", "m"))
    foreign = {"metadata": {"namespace": "n", "name": "f"}, "spec": {"podLabels": {"app": "x"}}}
    cluster = Observed((*ours.exceptions, foreign))
    assert [one.name for one in decide(desired("a"), on=cluster, purge=True).writes] == ["b"]
    assert decide(desired("a"), on=cluster, purge=True, owner="others").writes == ()
    assert "purge_allow_empty" in refusal(on=cluster, purge=True, namespaces=frozenset("n"))
    everything = decide(on=cluster, purge=True, purge_allow_empty=True, namespaces=frozenset("nm"))
    assert [one.name for one in everything.writes] == ["a", "b", "c"]


@for_each(
    ([desired(pod_labels=None)], "needs pod_labels"),
    ([desired(pod_labels={})], "would cover no pod"),
    ([desired(pod_labels={"a b": "c"})], "cannot have the label 'a b'"),
    ([desired(pod_labels={"a": "{{ x }}"})], "cannot have the label a="),
    ([desired("E")], "no name that Kubernetes accepts"),
    ([desired(namespace="a.b")], "no name that Kubernetes accepts"),
    ([desired(), desired(pod_labels={"b": "c"})], "stands twice"),
)
def test_desired_objects_that_could_not_work_are_refused(desired_list: list[Desired], words: str) -> None:
    assert words in refusal(*desired_list)


def test_pods_that_have_an_identity_of_their_own_are_told() -> None:
    (warning,) = decide(desired(), on=Observed(pods=(pod(app="x", aadpodidbinding="y"),))).warnings
    assert "n/a" in warning and "aadpodidbinding" in warning
