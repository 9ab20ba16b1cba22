# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MIC's matching: the consequences of its rules, and what a newcomer takes with it when it goes."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    Binding,
    Identity,
    Matching,
    Pod,
    Rules,
    assignments,
    scale_set,
    template_selector,
    unheld,
)

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


FORCED = Rules(force_namespaced=True)


def pod(name: str, namespace: str = "p", selector: str = "x", node: str = "n1", **changes: object) -> Pod:
    return Pod(namespace, name, {"aadpodidbinding": selector}, node, **changes)  # type: ignore[arg-type]


def identity(name: str, namespace: str = "p", client: str = "c", **changes: object) -> Identity:
    return Identity(namespace, name, 0, ID + name, client, **changes)  # type: ignore[arg-type]


def binding(name: str, namespace: str = "p", to: str = "i", selector: str = "x") -> Binding:
    return Binding(namespace, name, to, selector)


def names(*args: object) -> list[str]:
    return [entry.name for entry in assignments(*args)]  # type: ignore[arg-type]


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
    assert names([pod("a")], *pair, FORCED) == []
    assert names([pod("a")], [binding("b", "q")], [identity("i", "q", namespaced=True)]) == []
    (own,) = assignments([pod("a", "q")], [binding("b", "q")], [identity("i", "q", namespaced=True)])
    assert own.namespace == "q"


def test_empty_labels_match_nothing() -> None:
    assert names([pod("a", selector="")], [binding("b", selector="")], [identity("i")]) == []


def test_case_of_selectors_counts() -> None:
    assert names([pod("a", selector="X")], [binding("b")], [identity("i")]) == []


def test_identities_that_mic_ignores() -> None:
    """It looks for its pattern anywhere in the text, and knows no validation before 1.6."""
    for resource_id, accepted in (
        ("/subscriptions/s/billing", False),
        ("", False),
        (ID, False),
        ((ID + "i").upper(), True),
        ("https://host" + ID + "i/and/more", True),
    ):
        one = Identity("p", "i", 0, resource_id, "c")
        assert bool(names([pod("a")], [binding("b")], [one])) is accepted
        assert names([pod("a")], [binding("b")], [one], Rules(version=(1, 5, 5))) == ["a-p-i"]
    principal = Identity("p", "i", 1, "", "c")
    assert names([pod("a")], [binding("b")], [principal]) == ["a-p-i"]


def test_pods_that_come_to_one_name() -> None:
    """Which of them MIC takes first is random."""
    pods = [pod("a", "b-c"), pod("a-b", "c"), pod("a", "c")]
    found = assignments(pods, [binding("b")], [identity("i")])
    assert [(entry.name, entry.pod.namespace, entry.certain) for entry in found] == [
        ("a-b-c-i", "b-c", False),
        ("a-b-c-i", "c", False),
        ("a-c-i", "c", True),
    ]


def test_of_one_name_any_was_taken_before_1_8_2() -> None:
    both = [identity("i", "q1"), identity("i", "q2")]
    bindings = [binding("b", "q1"), binding("b", "q2")]
    found = assignments([pod("a")], bindings, both, Rules(version=(1, 8, 1)))
    assert [(entry.identity.namespace, entry.certain) for entry in found] == [("q1", False), ("q2", False)]
    (match,) = Matching(bindings, both).matches("p", "x")
    assert [pair.identity.namespace for pair in match.choices + match.shadowed] == ["q1", "q2"]


def test_what_the_api_server_does_not_take() -> None:
    long = "p" * 200
    assert names([pod(long)], [binding("b", to="i" * 50)], [identity("i" * 50)]) == [f"{long}-p-{'i' * 50}"]
    assert names([pod(long)], [binding("b", to="i" * 51)], [identity("i" * 51)]) == []
    for length, number in ((63, 1), (64, 0)):
        assert len(names([pod("a", node="n" * length)], [binding("b")], [identity("i")])) == number


def test_nodes_that_do_not_exist() -> None:
    matching = Matching([binding("b")], [identity("i")], nodes={"n1"})
    assert [entry.name for entry in matching.assignments([pod("a"), pod("c", node="n2")])] == ["a-p-i"]


def test_managed_mode_has_no_assignments() -> None:
    assert names([pod("a")], [binding("b")], [identity("i")], Rules(mode="managed")) == []
    matching = Matching([binding("b", selector="")], [identity("i")], Rules(mode="managed"))
    assert len(matching.matches("p", "")) == 1 and matching.matches("q", "") == ()


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
    bindings = [*PAIR[0], binding("c", "q", "j", "y")]
    assert unheld(pod("probe", "q"), [pod("w", "q", selector="y")], bindings, same, {"n1"}) == ()


def test_service_principals_are_not_on_scale_sets() -> None:
    principal = [Identity("q", "i", 1, "", "c")]
    assert unheld(pod("probe", "q"), [], PAIR[0], principal, {"n1"}) == ()


def test_scale_sets_of_provider_ids() -> None:
    root = "azure:///subscriptions/s/resourceGroups/MC/providers/Microsoft.Compute/"
    one, two = (root + f"virtualMachineScaleSets/a/virtualMachines/{n}" for n in (0, 11))
    other = root + "virtualMachineScaleSets/b/virtualMachines/0"
    assert scale_set(one) == scale_set(two.upper().lower()) != scale_set(other)
    assert scale_set(root + "virtualMachines/vm-0") != scale_set(root + "virtualMachines/vm-1")


_small = st.sampled_from(["a", "b", "c"])

_pods = st.lists(st.builds(pod, _small, _small, _small, st.sampled_from(["n1", "n2", ""]), deleting=st.booleans()))
_bindings = st.lists(st.builds(binding, _small, _small, _small, _small))
_identities = st.lists(st.builds(identity, _small, _small, _small, namespaced=st.booleans()))


Entries = set[tuple[str, tuple[str, str], Identity, Binding]]


def _key(one: t.Any) -> tuple[str, str]:
    return one.namespace, one.name


def by_the_book(
    pods: list[Pod], bindings: list[Binding], identities: list[Identity], forced: bool
) -> dict[str, Entries]:
    """MIC's loop as it is written; where pods come to one name, what each of them would get."""
    known = {(identity.namespace, identity.name): identity for identity in identities}
    found: dict[str, Entries] = {}
    for each in pods:
        taken: set[str] = set()
        if not each.node or not each.selector:
            continue
        for one in sorted((b for b in bindings if b.selector == each.selector), key=lambda b: (b.namespace, b.name)):
            got = known.get((one.namespace, one.identity))
            if got is None:
                continue
            confined = forced or got.namespaced
            if confined and not got.namespace == one.namespace == each.namespace:
                continue
            name = f"{each.name}-{each.namespace}-{got.name}"
            if name not in taken:
                taken.add(name)
                found.setdefault(name, set()).add((got.namespace if confined else "default", _key(each), got, one))
    return found


_few: dict[str, t.Any] = {"unique_by": _key, "max_size": 8}
_names = st.sampled_from(["a", "b", "a-b", "b-a"])
_listed_pods = st.lists(st.builds(pod, _names, _names, _small, st.sampled_from(["n1", ""])), **_few)
_listed_bindings = st.lists(st.builds(binding, _small, _names, _small, _small), **_few)
_listed_identities = st.lists(st.builds(identity, _small, _names, _small, namespaced=st.booleans()), **_few)


@given(_listed_pods, _listed_bindings, _listed_identities, st.booleans())
def test_the_index_finds_what_the_loop_finds(
    pods: list[Pod], bindings: list[Binding], identities: list[Identity], forced: bool
) -> None:
    found: dict[str, Entries] = {}
    every = assignments(pods, bindings, identities, Rules(force_namespaced=forced))
    for entry in every:
        found.setdefault(entry.name, set()).add((entry.namespace, _key(entry.pod), entry.identity, entry.binding))
    assert found == by_the_book(pods, bindings, identities, forced)
    assert all(entry.certain is (len(found[entry.name]) == 1) for entry in every)


@given(_pods, _bindings, _identities)
def test_more_pods_never_lose_more(pods: list[Pod], bindings: list[Binding], identities: list[Identity]) -> None:
    newcomer = pod("probe", "a", "a")
    alone = set(unheld(newcomer, [], bindings, identities, {"n1"}))
    assert set(unheld(newcomer, pods, bindings, identities, {"n1"})) <= alone


def test_what_will_make_pods() -> None:
    template = {"template": {"metadata": {"labels": {"aadpodidbinding": "x"}}}}
    made, of_custom = ({"ownerReferences": [{"kind": kind, "name": "d"}]} for kind in ("Deployment", "Rollout"))
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}
    cases: list[tuple[dict[str, object], str]] = [
        ({"metadata": {}, "spec": template}, "x"),
        ({"metadata": {}, "spec": {"jobTemplate": {"spec": template}}}, "x"),
        ({"metadata": {}, "spec": {"template": {}}}, ""),
        ({"metadata": made, "spec": template}, ""),
        ({"metadata": of_custom, "spec": template}, "x"),  # nobody here reads it
        ({"metadata": {}, "spec": template, "status": failed}, ""),
        ({"metadata": {}, "spec": template, "status": {"completionTime": "2026-01-01T00:00:00Z"}}, ""),
    ]
    assert [template_selector(raw) for raw, _selector in cases] == [selector for _raw, selector in cases]
