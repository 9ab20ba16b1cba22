# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MIC's matching: the consequences of its rules, and what a newcomer takes with it when it goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import (
    Binding,
    Identity,
    Pod,
    assignments,
    scale_set,
    template_selector,
    unheld,
)

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


def pod(name: str, namespace: str = "p", selector: str = "x", node: str = "n1", **changes: object) -> Pod:
    return Pod(namespace, name, {"aadpodidbinding": selector}, node, **changes)  # type: ignore[arg-type]


def identity(name: str, namespace: str = "p", client: str = "c", **changes: object) -> Identity:
    return Identity(namespace, name, 0, ID + name, client, **changes)  # type: ignore[arg-type]


def binding(name: str, namespace: str = "p", to: str = "i", selector: str = "x") -> Binding:
    return Binding(namespace, name, to, selector)


def names(*args: object, **kwargs: object) -> list[str]:
    return [entry.name for entry in assignments(*args, **kwargs)]  # type: ignore[arg-type]


def test_ended_pods_keep_their_assignment() -> None:
    for phase in ("Succeeded", "Failed", "Pending", "Running"):
        assert names([pod("a", phase=phase)], [binding("b")], [identity("i")]) == ["a-p-i"]


def test_unscheduled_pods_get_none() -> None:
    assert names([pod("a", node="")], [binding("b")], [identity("i")]) == []


def test_two_bindings_give_two_identities() -> None:
    found = names([pod("a")], [binding("b2", to="j"), binding("b1")], [identity("i"), identity("j")])
    assert found == ["a-p-i", "a-p-j"]


def test_identities_of_one_name_shadow_each_other() -> None:
    both = [identity("i", "q2", "second"), identity("i", "q1", "first")]
    found = assignments([pod("a")], [binding("b", "q2"), binding("b", "q1")], both)
    assert [entry.identity.client_id for entry in found] == ["first"]


def test_binding_and_identity_in_two_namespaces_never_match() -> None:
    assert names([pod("a")], [binding("b", "q1")], [identity("i", "q2")]) == []


def test_pods_of_other_namespaces() -> None:
    pair = [binding("b", "q")], [identity("i", "q")]
    (found,) = assignments([pod("a")], *pair)
    assert (found.name, found.namespace) == ("a-p-i", "default")
    assert names([pod("a")], *pair, force_namespaced=True) == []
    assert names([pod("a")], [binding("b", "q")], [identity("i", "q", namespaced=True)]) == []
    (own,) = assignments([pod("a", "q")], [binding("b", "q")], [identity("i", "q", namespaced=True)])
    assert own.namespace == "q"


def test_empty_labels_match_nothing() -> None:
    assert names([pod("a", selector="")], [binding("b", selector="")], [identity("i")]) == []


def test_case_of_selectors_counts() -> None:
    assert names([pod("a", selector="X")], [binding("b")], [identity("i")]) == []


def test_identities_that_mic_ignores() -> None:
    bad = Identity("p", "i", 0, "/subscriptions/s/billing", "c")
    assert names([pod("a")], [binding("b")], [bad]) == []
    principal = Identity("p", "i", 1, "", "c")
    assert names([pod("a")], [binding("b")], [principal]) == ["a-p-i"]


def test_behavior_is_compared_exactly() -> None:
    for value, namespaced in (("namespaced", True), ("Namespaced", False), ("", False)):
        annotations = {"aadpodidentity.k8s.io/Behavior": value}
        raw = {"metadata": {"name": "i", "namespace": "p", "annotations": annotations}, "spec": {}}
        assert Identity.parse(raw).namespaced is namespaced


PAIR = [binding("b", "q")], [identity("i", "q")]


def test_the_last_pod_takes_its_identity_along() -> None:
    assert [i.name for i in unheld(pod("probe", "q"), [], *PAIR, {"n1", "n2"})] == ["i"]


def test_a_pod_of_the_workload_on_the_scale_set_holds_it() -> None:
    for node, lost in (("n1", 0), ("n2", 0), ("n3", 1)):
        assert len(unheld(pod("probe", "q"), [pod("w", "q", node=node)], *PAIR, {"n1", "n2"})) == lost


def test_pods_that_go_or_ended_hold_nothing() -> None:
    for other in (pod("w", "q", deleting=True), pod("w", "q", phase="Succeeded"), pod("probe", "q")):
        assert len(unheld(pod("probe", "q"), [other], *PAIR, {"n1"})) == 1


def test_a_holder_must_hold_in_namespaced_mode_too() -> None:
    """Whether MIC is forced into it is not known, so a pod elsewhere does not count."""
    assert len(unheld(pod("probe", "q"), [pod("w", "elsewhere")], *PAIR, {"n1"})) == 1


def test_mic_compares_client_ids() -> None:
    same = [identity("i", "q"), identity("j", "q", "c")]
    held = unheld(
        pod("probe", "q"), [pod("w", "q", selector="y")], [*PAIR[0], binding("c", "q", "j", "y")], same, {"n1"}
    )
    assert held == ()


def test_service_principals_are_not_on_scale_sets() -> None:
    principal = [Identity("q", "i", 1, "", "c")]
    assert unheld(pod("probe", "q"), [], PAIR[0], principal, {"n1"}) == ()


def test_scale_sets_of_provider_ids() -> None:
    root = "azure:///subscriptions/s/resourceGroups/MC/providers/Microsoft.Compute/"
    one, two = (root + f"virtualMachineScaleSets/a/virtualMachines/{n}" for n in (0, 11))
    assert (
        scale_set(one)
        == scale_set(two.upper().lower())
        != scale_set(root + "virtualMachineScaleSets/b/virtualMachines/0")
    )
    assert scale_set(root + "virtualMachines/vm-0") != scale_set(root + "virtualMachines/vm-1")


_small = st.sampled_from(["a", "b", "c"])
_pods = st.lists(st.builds(pod, _small, _small, _small, st.sampled_from(["n1", "n2", ""]), deleting=st.booleans()))
_bindings = st.lists(st.builds(binding, _small, _small, _small, _small))
_identities = st.lists(st.builds(identity, _small, _small, _small, namespaced=st.booleans()))


@given(_pods, _bindings, _identities, st.booleans())
def test_assignments_follow_the_rules(
    pods: list[Pod], bindings: list[Binding], identities: list[Identity], forced: bool
) -> None:
    found = assignments(pods, bindings, identities, force_namespaced=forced)
    assert len({entry.name for entry in found}) == len(found)
    for entry in found:
        assert entry.pod in pods and entry.pod.node and entry.pod.selector == entry.binding.selector
        assert (entry.binding.namespace, entry.binding.identity) == (entry.identity.namespace, entry.identity.name)
        confined = forced or entry.identity.namespaced
        assert entry.namespace == (entry.identity.namespace if confined else "default")
        assert not confined or entry.pod.namespace == entry.identity.namespace


@given(_pods, _bindings, _identities)
def test_more_pods_never_lose_more(pods: list[Pod], bindings: list[Binding], identities: list[Identity]) -> None:
    newcomer = pod("probe", "a", "a")
    alone = set(unheld(newcomer, [], bindings, identities, {"n1"}))
    assert set(unheld(newcomer, pods, bindings, identities, {"n1"})) <= alone


def test_what_will_make_pods() -> None:
    template = {"template": {"metadata": {"labels": {"aadpodidbinding": "x"}}}}
    made = {"ownerReferences": [{"name": "d"}]}
    cases: list[tuple[dict[str, object], str]] = [
        ({"metadata": {}, "spec": template}, "x"),
        ({"metadata": {}, "spec": {"jobTemplate": {"spec": template}}}, "x"),
        ({"metadata": {}, "spec": {"template": {}}}, ""),
        ({"metadata": made, "spec": template}, ""),
        ({"metadata": {}, "spec": template, "status": {"completionTime": "2026-01-01T00:00:00Z"}}, ""),
    ]
    assert [template_selector(raw) for raw, _selector in cases] == [selector for _raw, selector in cases]
