# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import kept_identities as kept
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.attached_identities import Carrier
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.kept_identities import Gap, Held, Look
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure

GROUP = "/subscriptions/s/resourceGroups/g/providers"


def uai(name: str) -> str:
    return f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def carrier(name: str, *identities: str, state: str = "Succeeded") -> Carrier:
    """A scale set; an identity whose name begins with ``ghost`` has no client id."""
    carried = {uai(each): {} if each.startswith("ghost") else {"clientId": f"c-{each}"} for each in identities}
    identity = {"type": "UserAssigned", "userAssignedIdentities": carried}
    place = f"{GROUP}/Microsoft.Compute/virtualMachineScaleSets/{name}"
    return Carrier.parse({"id": place, "identity": identity, "properties": {"provisioningState": state}})


def pairs(several: tuple[Held, ...]) -> set[tuple[str, str]]:
    return {(one.scale_set.name, one.identity.rpartition("/")[2]) for one in several}


def test_what_aks_does_not_know_may_be_lost() -> None:
    cluster: dict[str, Any] = {
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {uai("control").upper(): {}}},
        "properties": {
            "identityProfile": {"kubeletidentity": {"resourceId": uai("KUBELET")}},
            "addonProfiles": {"monitoring": {"identity": {"resourceId": uai("monitor")}}},
            "podIdentityProfile": {"userAssignedIdentities": [{"identity": {"resourceId": uai("entry")}}]},
        },
    }
    first = carrier("a", "kubelet", "control", "monitor", "entry", "shop", "ghost")
    carriers = [first, carrier("b", "kubelet"), carrier("c", "Shop", "billing")]
    assert pairs(kept.held(carriers, cluster)) == {("a", "shop"), ("c", "Shop"), ("c", "billing")}


BEFORE = kept.held([carrier("a", "shop", "billing"), carrier("b", "shop")], {})
A, B = carrier("a", "shop", "billing"), carrier("b", "shop")
A_SHOP, A_BILLING, B_SHOP = ("a", "shop"), ("a", "billing"), ("b", "shop")


@pytest.mark.parametrize(
    ("now", "missing"),
    [
        ([A, B], set()),
        ([carrier("B", "SHOP"), carrier("A", "Shop", "BILLING")], set()),
        ([carrier("a", "shop"), B], {A_BILLING}),
        ([carrier("a"), carrier("b")], {A_SHOP, A_BILLING, B_SHOP}),
        ([carrier("a", "shop", "billing", "new"), B, carrier("c")], set()),
        ([carrier("a")], {A_SHOP, A_BILLING}),
        ([carrier("a", state="Deleting"), carrier("b", state="Updating")], {B_SHOP}),
        ([carrier("a", "ghost"), B], {A_SHOP, A_BILLING}),
        ([], set()),
    ],
    ids=["kept", "spelling", "one", "all", "more", "pool gone", "pool going", "others", "nothing left"],
)
def test_what_is_missing(now: list[Carrier], missing: set[tuple[str, str]]) -> None:
    assert pairs(kept.missing(BEFORE, now)) == missing


@pytest.mark.parametrize(
    ("client_ids", "unread", "alive"),
    [
        ({"shop": "c-shop", "billing": "c-billing"}, {}, {A_SHOP, A_BILLING, B_SHOP}),
        ({"shop": "c-shop"}, {}, {A_SHOP, B_SHOP}),
        ({"shop": "another", "billing": "c-billing"}, {}, {A_BILLING}),
        ({}, {}, set()),
        ({}, {"/subscriptions/s/resourcegroups/g": "no"}, {A_SHOP, A_BILLING, B_SHOP}),
    ],
    ids=["all", "one deleted", "made again", "none", "not known"],
)
def test_what_was_deleted_is_no_loss(
    client_ids: dict[str, str], unread: dict[str, str], alive: set[tuple[str, str]]
) -> None:
    known = {uai(name).lower(): client for name, client in client_ids.items()}
    assert pairs(kept.alive(BEFORE, known, unread)) == alive


SHOP, BILLING, OTHER = BEFORE[1], BEFORE[0], BEFORE[2]


@pytest.mark.parametrize(
    ("looks", "attached", "expected"),
    [
        ([Look(5, ())], (), []),
        ([Look(5, (SHOP,)), Look(8, ())], (), [(SHOP, 3, "others")]),
        ([Look(5, (SHOP,)), Look(6, (SHOP,)), Look(9.04, ())], (), [(SHOP, 4, "others")]),
        ([Look(5, (SHOP,)), Look(8, ())], (SHOP,), [(SHOP, 3, "task")]),
        ([Look(5, (SHOP,)), Look(8, (SHOP,))], (), [(SHOP, 3, "nobody")]),
        ([Look(5, (SHOP,))], (), [(SHOP, 0, "nobody")]),
        (
            [Look(0, (SHOP, BILLING, OTHER)), Look(2, (BILLING, OTHER)), Look(4, (OTHER,))],
            (BILLING,),
            [(SHOP, 2, "others"), (BILLING, 4, "task"), (OTHER, 4, "nobody")],
        ),
        ([Look(0, (SHOP,)), Look(1, ()), Look(2, (SHOP,)), Look(3, ())], (), [(SHOP, 3, "others")]),
    ],
    ids=["none", "others", "rounded", "task", "nobody", "one look", "each", "again"],
)
def test_gaps(looks: list[Look], attached: tuple[Held, ...], expected: list[tuple[Held, float, str]]) -> None:
    found = kept.gaps(looks, attached)
    assert found == tuple(Gap(one.scale_set, (one.identity,), seconds, by) for one, seconds, by in expected)


def test_what_is_alike_is_told_together() -> None:
    (first, second) = kept.gaps([Look(0, (BILLING, SHOP, OTHER)), Look(9, ())], ())
    told = {"scale_set": A.id, "identities": [uai("billing"), uai("shop")]}
    assert kept.view(first) == {**told, "seconds": 9, "restored_by": "others"}
    assert second.scale_set == B
    assert kept.sentence(first) == (
        "After the change of the cluster the scale set a lacked billing, shop for 9 seconds, until somebody else, "
        "such as MIC, attached them again."
    )


@given(st.lists(st.sets(st.sampled_from(BEFORE)), min_size=1), st.sets(st.sampled_from(BEFORE)))
def test_each_loss_is_told_once(missing: list[set[Held]], attached: set[Held]) -> None:
    looks = [Look(float(at), tuple(sorted(lost, key=repr))) for at, lost in enumerate(missing)]
    found = kept.gaps(looks, attached)
    told = [Held(gap.scale_set, identity) for gap in found for identity in gap.identities]
    assert len(told) == len(set(told)) and set(told) == set().union(*missing)
    left = {Held(gap.scale_set, each) for gap in found if gap.restored_by == "nobody" for each in gap.identities}
    assert left == missing[-1]
    assert all(0 <= gap.seconds <= len(looks) for gap in found)


def test_why_a_task_fails() -> None:
    failure = kept.not_restored([SHOP, OTHER], 300.04, None)
    assert failure.sentence == (
        f"The cluster was changed, but now the scale set a lacks {uai('shop')}, the scale set b lacks {uai('shop')}, "
        "carried before the change; nobody has put that back within 300 seconds; attach it with vmss_identity."
    )
    assert failure.results == {"changed": True}
    refused = kept.not_restored([SHOP], 0, Failure("Not you.", error={"code": "X"}))
    assert "within 0 seconds, and this task could not either (Not you); " in refused.sentence
    assert refused.error == {"code": "X"}
