# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import attached_identities as attached
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.attached_identities import Carrier
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.protected_identities import (
    Protection,
    Reason,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

GROUP = "/subscriptions/s/resourceGroups/g/providers"
SET = f"{GROUP}/Microsoft.Compute/virtualMachineScaleSets/aks-pool-1-vmss"
NAMES = [f"id-{number}" for number in range(6)]


def uai(name: str) -> str:
    return f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def body(*names: str, system: bool = False) -> dict[str, Any]:
    kinds = [*(["SystemAssigned"] if system else []), *(["UserAssigned"] if names else [])]
    identity: dict[str, Any] = {"type": ", ".join(kinds) or "None"}
    if system:
        identity["principalId"] = "p"
    if names:
        identity["userAssignedIdentities"] = {uai(name): {"clientId": f"c-{name}"} for name in names}
    return {"id": SET, "identity": identity, "properties": {"provisioningState": "Succeeded"}}


def carrier(*names: str, system: bool = False) -> Carrier:
    return Carrier.parse(body(*names, system=system))


MINE, LOST = Protection({uai("a").lower(): Reason("named", "it is mine")}), Protection(unknown="nobody says so")


def answer(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What Azure makes of a PATCH, as recorded: keys in any casing, null removes, the type alone removes all."""
    kind = patch["identity"]["type"]
    carried = dict(before["identity"].get("userAssignedIdentities") or {}) if "UserAssigned" in kind else {}
    for key, value in (patch["identity"].get("userAssignedIdentities") or {}).items():
        held = next((known for known in carried if known.lower() == key.lower()), None)
        if value is None and held:
            del carried[held]
        elif value is not None and not held:
            carried[key] = {"clientId": "new"}
    identity = {**before["identity"], "type": kind, "userAssignedIdentities": carried}
    if "SystemAssigned" not in kind:
        identity.pop("principalId", None)
    return {**before, "identity": identity}


@given(
    held=st.sets(st.sampled_from(NAMES)),
    asked=st.lists(st.sampled_from(NAMES)),
    upper=st.booleans(),
    system=st.booleans(),
    attach=st.booleans(),
)
def test_a_patch_does_what_was_predicted(
    held: set[str], asked: list[str], upper: bool, system: bool, attach: bool
) -> None:
    before = body(*sorted(held), system=system)
    ids = attached.wanted(uai(name).upper() if upper else uai(name) for name in asked)
    current = Carrier.parse(before)
    due = attached.outstanding(current, ids, attach=attach)
    assert {each.rpartition("/")[2].lower() for each in due} == (set(asked) - held if attach else set(asked) & held)
    predicted = attached.changed(current, ids, attach=attach, unknown="?")
    if not due:
        assert predicted == current
        return
    patch = attached.patch(current, ids, attach=attach)
    after = Carrier.parse(answer(before, patch))
    attached.compare(predicted, after, attach=False)  # whether it was an attach allows more
    names = {each.id.rpartition("/")[2].lower() for each in after.identities}
    assert names == (held | set(asked) if attach else held - set(asked))
    assert (after.system, after.principal_id) == (current.system, current.principal_id)
    assert attached.outstanding(after, ids, attach=attach) == ()


@pytest.mark.parametrize(
    ("now", "ids", "attach", "identity"),
    [
        (carrier(), ["a"], True, {"type": "UserAssigned", "userAssignedIdentities": {uai("a"): {}}}),
        (
            carrier("b", system=True),
            ["a", "b"],
            True,
            {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {uai("a"): {}}},
        ),
        (carrier("a", "b"), ["a"], False, {"type": "UserAssigned", "userAssignedIdentities": {uai("a"): None}}),
        (carrier("a", system=True), ["a"], False, {"type": "SystemAssigned"}),
        (carrier("a"), ["a"], False, {"type": "None"}),
    ],
    ids=["first", "besides", "one of two", "last beside its own", "last"],
)
def test_bodies(now: Carrier, ids: list[str], attach: bool, identity: dict[str, Any]) -> None:
    assert attached.patch(now, [uai(each) for each in ids], attach=attach) == {"identity": identity}


@for_each((0, []), (1, [1]), (150, [150]), (151, [150, 1]), (400, [150, 150, 100]))
def test_portions(number: int, sizes: list[int]) -> None:
    assert [len(each) for each in attached.batches([str(n) for n in range(number)])] == sizes


@for_each(
    ({"id": SET}, ("Succeeded", False, True, False)),
    ({"id": SET, "identity": None, "properties": {"provisioningState": "Deleting"}}, ("Deleting", False, False, True)),
    ({"id": SET, "identity": {"type": "systemassigned,userassigned"}}, ("Succeeded", True, True, False)),
    ({"id": SET, "properties": {"provisioningState": "Failed"}}, ("Failed", False, True, False)),
)
def test_what_azure_leaves_out(raw: dict[str, Any], expected: tuple[str, bool, bool, bool]) -> None:
    found = Carrier.parse(raw)
    assert (found.state, found.system, found.settled, found.going) == expected
    assert found.identities == ()


@for_each(
    (["a"], 1, "attach a to X"), (list("abc"), 3, "attach a, b, c to X"), (list("abcde"), 5, "a, b, c and 2 more to X")
)
def test_actions(ids: list[str], number: int, end: str) -> None:
    spelled = [uai(each) for each in ids]
    assert len(attached.wanted([*spelled, *map(str.lower, spelled)])) == number
    assert attached.action(spelled, "X", attach=True).endswith(end)


@for_each(
    (MINE, {}, f"must stay: {uai('a')} (it is mine); "),
    (MINE, {"allowed": [uai("A")]}, ""),
    (MINE, {"unjudged": True}, "must stay: "),
    (Protection({uai("z").lower(): Reason("named", "it is elsewhere")}), {}, ""),
    (LOST, {}, "needs: nobody says so; "),
    (LOST, {"unjudged": True}, ""),
    (LOST, {"allowed": [uai("a")]}, "needs: nobody says so; "),
    (LOST, {"allowed": [uai("a"), uai("b")]}, ""),
)
def test_refusals(protection: Protection, options: dict[str, Any], sentence: str) -> None:
    def refuse() -> None:
        settings = {"allowed": [], "unjudged": False, **options}
        attached.refuse_protected([carrier("a", "b", "c")], [uai("a"), uai("b"), uai("z")], protection, **settings)

    if sentence:
        with pytest.raises(Failure, match=r"^Nothing was detached from the scale set aks-pool-1-vmss") as caught:
            refuse()
        assert sentence in caught.value.sentence
    else:
        refuse()


@for_each(
    ("", None, True),
    ("", {"a": "new"}, True),
    ("c", None, None),
    ("c", {}, True),
    ("C", {"a": "c"}, False),
    ("c", {"a": "made again"}, True),
)
def test_the_dead(client_id: str, existing: dict[str, str] | None, dead: bool | None) -> None:
    known = None if existing is None else {uai(name).lower(): value for name, value in existing.items()}
    assert attached.is_dead(attached.Attached(uai("A"), client_id), known) is dead


def test_a_refusal_names_identities_once_in_any_form() -> None:
    inner = f"Response: '{{\"message\":\"Resource '{uai('a-1')},{uai('B_2').lower()}' was not found.\"}}' {uai('a-1')}"
    assert attached.named_in(inner) == (uai("a-1"), uai("B_2").lower())
    assert attached.named_in(f"on scope '{SET}'") == ()


@pytest.mark.parametrize(
    ("existing", "part"),
    [
        ({"ghost": "c-ghost", "new": "n"}, ""),
        ({"new": "n"}, f"still carries {uai('ghost')}, deleted since"),
        ({"ghost": "made again", "new": "n"}, f"still carries {uai('ghost')}, deleted since"),
        ({"ghost": "c-ghost"}, f"there is no identity {uai('new')}; "),
    ],
    ids=["all alive", "deleted", "made again", "never made"],
)
def test_explanations(existing: dict[str, str], part: str) -> None:
    known = {uai(name).lower(): value for name, value in existing.items()}
    found = attached.explain_dead("attach new", carrier("ghost"), [uai("ghost"), uai("new")], known)
    assert part in found
    assert bool(found) is bool(part)


@pytest.mark.parametrize("state", ["Succeeded", "Updating"])
def test_what_is_new_has_no_client_id_either(state: str) -> None:
    raw = {**body("a"), "properties": {"provisioningState": state}}
    raw["identity"]["userAssignedIdentities"][uai("a")] = {}
    found = Carrier.parse(raw)
    assert bool(attached.dead_warnings([found])) is (state == "Succeeded")
    (entry,) = attached.report(found, Protection(), None, ())["identities"]
    assert entry["ghost"] is (True if state == "Succeeded" else None)


MACHINE = f"{GROUP}/Microsoft.Compute/virtualMachines/vm"


@for_each(
    (f"azure://{SET}/virtualMachines/0", SET),
    (f" azure://{SET.lower()}/virtualmachines/0", SET.lower()),
    (f"azure://{MACHINE}", MACHINE),
    (f"azure://{uai('x')}", ""),
    (f"azure://{GROUP}", ""),
    (SET, ""),
    ("kind://docker/kind/worker", ""),
    ("", ""),
)
def test_what_a_node_is_on(provider_id: str, found: str) -> None:
    assert attached.of_node(provider_id) == found
    assert attached.of_nodes([provider_id, provider_id.upper()])[:1] == ((found,) if found else ())


def test_a_node_is_on_one_thing_however_it_is_spelled() -> None:
    several = [f"azure://{each}/virtualMachines/{number}" for number, each in enumerate((SET, SET.lower(), SET))]
    assert len(attached.of_nodes([*several, f"azure://{MACHINE}", ""])) == 2


def test_what_somebody_else_detaches() -> None:
    seen = carrier("id-0", "id-1", "id-2")
    gone = [
        {"id": uai("ID-0"), "provider_id": f"azure://{SET.lower()}/virtualMachines/0"},
        {"id": uai("id-1"), "provider_id": f"azure://{SET}x/virtualMachines/0"},
        {"id": uai("none"), "provider_id": f"azure://{SET}/virtualMachines/0"},
    ]
    assert attached.without(seen, gone) == carrier("id-1", "id-2")
    assert attached.without(seen, []) == seen
