# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a write of a cluster costs its scale sets, and how they get it back. That AKS does so is known from users."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from azsandbox.azure.loopback import Credentials, SimulatedAzure

CHANGE: dict[str, Any] = {"resource_group": "rg", "name": "c1", "tags": {"team": "a"}, "poll_interval": 0.1}
LISTS = r"virtualMachineScaleSets\?"
GROUP = "MC_rg_c1_westeurope"


class World:
    """A cluster of two pools, whose scale sets carry what others attached, and an AKS that drops it."""

    def __init__(self, azure: SimulatedAzure) -> None:
        self.azure = azure
        pools = [{"name": name, "count": 1, "mode": "System"} for name in ("nodepool1", "nodepool2")]
        self.cluster = azure.cluster(agentPoolProfiles=pools)
        path = f"/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets"
        self.one, self.two = (str(each["id"]) for each in azure.arm("GET", path).json()["value"])
        self.shop, self.billing = self.identity("shop"), self.identity("billing")
        self.attach(self.one, self.shop, self.billing)
        self.attach(self.two, self.shop)
        azure.control("POST", "/settings", {"cluster_update_drops_identities": True})

    def identity(self, name: str) -> str:
        return str(self.azure.identity(name)["id"])

    def attach(self, scale_set: str, *identities: str, who: Credentials | None = None, away: bool = False) -> None:
        """As MIC does: by PATCH. ``away``: detach them."""
        carried: dict[str, Any] = {each: None if away else {} for each in identities}
        body = {"identity": {"type": "UserAssigned", "userAssignedIdentities": carried}}
        self.azure.arm("PATCH", scale_set, body, who=who).raise_for_status()

    def carried(self, scale_set: str) -> set[str]:
        """Names of the identities there, besides that of the kubelets."""
        found = self.azure.arm("GET", scale_set).json()["identity"]["userAssignedIdentities"]
        return {key.rpartition("/")[2] for key in found} - {"c1-agentpool"}

    @property
    def all_carried(self) -> tuple[set[str], set[str]]:
        return self.carried(self.one), self.carried(self.two)

    @contextmanager
    def mic(self, *, seconds: float) -> Iterator[None]:
        """Somebody else with rights of their own, who puts back what is lost, ``seconds`` after it was."""
        rights = [("Contributor", f"/subscriptions/{self.azure.subscription_id}")]
        who, done = self.azure.principal("mic", *rights), threading.Event()

        def work() -> None:
            while self.carried(self.one) and not done.is_set():
                time.sleep(0.05)
            time.sleep(seconds)
            if not done.is_set():
                self.attach(self.one, self.shop, self.billing, who=who)
                self.attach(self.two, self.shop, who=who)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        done.set()
        thread.join()


@pytest.fixture
def world(azure: SimulatedAzure) -> World:
    return World(azure)


KEPT = ({"shop", "billing"}, {"shop"})


def names(gap: dict[str, Any]) -> set[str]:
    return {each.rpartition("/")[2] for each in gap["identities"]}


def lists(modules: Modules, since: int) -> int:
    return len(modules.requests(since, method="GET", path=LISTS))


def patches(modules: Modules, since: int) -> int:
    return len(modules.requests(since, method="PATCH"))


def test_what_is_kept_is_not_told(modules: Modules, world: World) -> None:
    world.azure.control("POST", "/settings", {"cluster_update_drops_identities": False})
    mark = modules.mark()
    done = modules.succeed("aks_cluster", **CHANGE)
    assert done["changed"] and "identity_gap" not in done and "warnings" not in done
    assert (lists(modules, mark), patches(modules, mark)) == (2, 0)


def test_nobody_looks_where_nothing_is_written(modules: Modules, world: World) -> None:
    mark = modules.mark()
    assert modules.succeed("aks_cluster", **CHANGE, check=True)["changed"]
    assert not modules.succeed("aks_cluster", resource_group="rg", name="c1")["changed"]
    assert lists(modules, mark) == 0
    assert world.all_carried == KEPT


def test_one_look_where_nothing_can_be_lost(modules: Modules, world: World) -> None:
    """The identity of the kubelets is known to AKS."""
    for scale_set in (world.one, world.two):
        world.attach(scale_set, world.shop, world.billing, away=True)
    mark = modules.mark()
    done = modules.succeed("aks_cluster", **CHANGE)
    assert lists(modules, mark) == 1
    assert "identity_gap" not in done


def test_what_was_deleted_is_no_loss(modules: Modules, world: World) -> None:
    for identity in (world.shop, world.billing):
        world.azure.arm("DELETE", identity).raise_for_status()
    mark = modules.mark()
    done = modules.succeed("aks_cluster", **CHANGE)
    assert "identity_gap" not in done and "warnings" not in done
    assert world.all_carried == (set(), set())
    assert (lists(modules, mark), patches(modules, mark)) == (2, 0)


@pytest.mark.parametrize("mode", ["attach", "wait"])
def test_what_others_put_back_is_waited_for(modules: Modules, world: World, mode: str) -> None:
    mark = modules.mark()
    with world.mic(seconds=1):
        done = modules.succeed("aks_cluster", **CHANGE, restore_identities=mode)
    assert world.all_carried == KEPT
    # The two scale sets may be seen at different looks.
    assert {gap["scale_set"] for gap in done["identity_gap"]} == {world.one, world.two}
    assert {gap["restored_by"] for gap in done["identity_gap"]} == {"others"}
    assert all(0 < gap["seconds"] < 30 for gap in done["identity_gap"])
    assert "until somebody else, such as MIC, attached" in str(done["warnings"])
    assert patches(modules, mark) == 2  # both of MIC
    assert done["state"]["tags"] == {"team": "a"}


def test_what_nobody_puts_back_is_attached_again(modules: Modules, world: World) -> None:
    mark = modules.mark()
    done = modules.succeed("aks_cluster", **CHANGE, restore_timeout=1)
    assert world.all_carried == KEPT
    first, second = done["identity_gap"]
    assert (first["scale_set"], names(first), first["restored_by"]) == (world.one, {"shop", "billing"}, "task")
    assert (second["scale_set"], names(second), second["restored_by"]) == (world.two, {"shop"}, "task")
    assert 1 <= first["seconds"] < 30
    assert patches(modules, mark) == 2
    assert not modules.succeed("aks_cluster", **CHANGE)["changed"]


def test_what_stays_away_fails_the_task(modules: Modules, world: World) -> None:
    failed = modules.fail("aks_cluster", **CHANGE, restore_identities="wait", restore_timeout=1)
    assert failed["msg"].startswith("The cluster was changed, but now the scale set aks-nodepool1-")
    assert re.search(r"; nobody has put that back within \d+ seconds; attach it with vmss_identity\.$", failed["msg"])
    assert {gap["restored_by"] for gap in failed["identity_gap"]} == {"nobody"}
    assert failed["changed"]
    assert world.all_carried == (set(), set())
    assert not modules.succeed("aks_cluster", **CHANGE)["changed"]


@pytest.mark.parametrize("options", [{"restore_identities": "ignore"}, {"wait": False}], ids=["ignore", "no wait"])
def test_what_is_not_asked_for_is_not_looked_at(modules: Modules, world: World, options: dict[str, Any]) -> None:
    mark = modules.mark()
    done = modules.succeed("aks_cluster", **CHANGE, **options)
    assert "identity_gap" not in done
    assert lists(modules, mark) == 0
    modules.succeed("aks_cluster", resource_group="rg", name="c1")  # waits for its end
    assert world.all_carried == (set(), set())


def test_who_may_not_look_is_warned(modules: Modules, world: World) -> None:
    keeper = world.azure.principal("keeper", ("Contributor", str(world.cluster["id"])))
    done = modules.succeed("aks_cluster", **CHANGE, who=keeper)
    assert done["changed"] and "identity_gap" not in done
    (warning,) = done["warnings"]
    assert "may not perform Microsoft.Compute/virtualMachineScaleSets/read at " in str(warning)
    assert "restore_identities=ignore" in str(warning)


def test_a_look_that_fails_afterwards_is_a_warning_too(modules: Modules, world: World) -> None:
    refusal = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    modules.fault("GET", LISTS, nth=2, count=0, status=403, body=refusal)
    done = modules.succeed("aks_cluster", **CHANGE)
    assert "identity_gap" not in done and len(done["warnings"]) == 1


def test_a_look_afterwards_that_something_else_answers_ends_it(modules: Modules, world: World) -> None:
    modules.fault("GET", LISTS, nth=2, status=200, body="")
    failed = modules.fail("aks_cluster", **CHANGE)
    assert failed["changed"]
    assert failed["msg"].startswith("The cluster c1 was changed, but whether its scale sets keep their identities")
    assert failed["msg"].endswith("compare them with vmss_identity_info.")


def test_a_look_that_fails_in_between_is_none(modules: Modules, world: World) -> None:
    refusal = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    modules.fault("GET", LISTS, nth=3, status=403, body=refusal)
    done = modules.succeed("aks_cluster", **CHANGE, restore_timeout=1)
    assert len(done["identity_gap"]) == 2
    assert world.all_carried == KEPT


def test_who_may_not_attach_is_told_and_the_rest_is_done(modules: Modules, world: World) -> None:
    denial = {"scope": world.one, "actions": ["Microsoft.Compute/virtualMachineScaleSets/write"]}
    world.azure.control("POST", "/deny-assignments", denial)
    failed = modules.fail("aks_cluster", **CHANGE, restore_timeout=0)
    assert ", and this task could not either (Could not attach " in failed["msg"]
    assert failed["error"]["status"] == 403
    assert world.all_carried == (set(), {"shop"})
    assert [gap["restored_by"] for gap in failed["identity_gap"]] == ["nobody", "task"]


def test_a_failed_operation_may_have_cost_as_much(modules: Modules, world: World) -> None:
    ended = {"status": "Failed", "error": {"code": "VMExtensionProvisioningError", "message": "No way out."}}
    # By the time that it says so it has taken its effect.
    modules.fault("GET", "ContainerService/locations/.*/operations/", delay=1, status=200, body=ended)
    world.azure.control("POST", "/settings", {"time_scale": 0.001})
    failed = modules.fail("aks_cluster", **CHANGE, restore_timeout=0)
    assert failed["error"]["code"] == "VMExtensionProvisioningError"
    assert {gap["restored_by"] for gap in failed["identity_gap"]} == {"task"}
    assert world.all_carried == KEPT


def test_a_write_of_the_addon_costs_as_much(modules: Modules, world: World) -> None:
    """But what it detaches itself is no loss."""
    own = {"resource_group": "rg", "cluster_name": "c1", "poll_interval": 0.1, "restore_timeout": 0}
    entry = {"name": "own", "namespace": "shop", "identity": world.identity("own")}
    made = modules.succeed("aks_pod_identity", **own, **entry, enabled=True)
    assert {gap["restored_by"] for gap in made["identity_gap"]} == {"task"}
    assert world.all_carried == ({"shop", "billing", "own"}, {"shop", "own"})
    gone = modules.succeed("aks_pod_identity", **{**own, **entry, "state": "absent"})
    assert {name for gap in gone["identity_gap"] for name in names(gap)} == {"shop", "billing"}
    assert world.all_carried == KEPT


def test_the_role_does_what_it_is_told(modules: Modules, world: World, tmp_path: Path) -> None:
    player = Player(tmp_path / "player", modules.environment)
    told = "lacked billing, shop for "

    def change(**options: Any) -> str:
        options = {"name": "c1", "create": True, "poll_interval": 1, **options}
        given = {f"pod_identity_cluster_{name}": value for name, value in options.items()}
        status, output = player.play([role("pod_identity_cluster")], pod_identity_resource_group="rg", **given)
        assert status == 0, output
        return " ".join(output.split())

    assert told in change(tags={"team": "a"}, restore_timeout=0)
    assert world.all_carried == KEPT
    assert told not in change(tags={"team": "b"}, restore_identities="ignore")
    assert world.all_carried == (set(), set())
