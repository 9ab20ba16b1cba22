# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook leftovers against the simulated Azure, where no cluster answers any more."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.leftovers import PLAYBOOK, outcomes, told
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import (
    CONFLICT,
    NODES,
    World,
    attach,
    mic,
    patches,
)
from azsandbox.azure.loopback import SimulatedAzure


@pytest.fixture
def world(azure: SimulatedAzure) -> World:
    return World(azure)


@pytest.fixture
def player(modules: Modules, tmp_path: Path) -> Player:
    shown = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    return Player(tmp_path / "play", {**modules.environment, **shown})


def test_the_way_of_somebody_in_trouble(modules: Modules, world: World, player: Player, tmp_path: Path) -> None:
    """Look, be refused, predict, detach, and find nothing the next time."""
    left, named, _stranger = attach(world, "left", "named", "stranger")
    written = world.identity("written")
    who = mic(world, written)
    kubelet = world.kubelet.rpartition("/")[2]
    manifests = tmp_path / "identities.yml"
    manifests.write_text(f"kind: AzureIdentity\nspec:\n  type: 0\n  resourceID: {left.lower()}\n")
    saved = tmp_path / "saved"
    desired: dict[str, Any] = {
        "pod_identity_resource_group": "rg",
        "pod_identity_cluster_name": "c1",
        "pod_identity_leftovers_look_into_cluster": False,
        "pod_identity_leftovers_known_files": [os.path.relpath(manifests)],  # from where the play was started
        "pod_identity_leftovers_mic_principals": [who.client_id],
        "pod_identity_leftovers_identities": [named.upper()],
    }
    mark = modules.mark()
    status, output = player.play(PLAYBOOK, **desired)
    assert status == 0 and "changed=0" in output, output
    assert outcomes(output) == {
        "left": "can be detached",
        "named": "can be detached",
        "written": "can be detached",
        "stranger": "stays",
        kubelet: "stays",
    }
    assert f"known from the file {manifests}" in output

    remove: dict[str, Any] = {**desired, "pod_identity_leftovers_remove": True}
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 2 and "pod_identity_leftovers_confirm must repeat c1 outside check mode" in output, output
    remove["pod_identity_leftovers_confirm"] = "c1"
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 2 and "pod_identity_artifact_target must name a directory" in " ".join(output.split()), output
    remove.update(pod_identity_artifact_target="/lost", _pod_identity_bundle_marks=["/"])
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 2 and "would be written to /lost, which goes with the container" in " ".join(output.split()), (
        output
    )
    remove.update(pod_identity_artifact_target=str(saved), _pod_identity_bundle_marks=[])
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 2 and "it is not known which identities the workloads of the cluster still get" in output, output
    assert outcomes(output)["left"] == "can be detached"
    remove["pod_identity_leftovers_without_cluster"] = True
    status, output = player.play(PLAYBOOK, "--check", **remove)
    assert status == 0, output
    assert outcomes(output)["left"] == "would be detached"
    predicted = told(output)["identities"]
    assert modules.writes(mark) == [] and not saved.exists()

    before = world.body()["identity"]["userAssignedIdentities"]
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 0, output
    assert outcomes(output) == {
        "left": "detached",
        "named": "detached",
        "written": "detached",
        "stranger": "stays",
        kubelet: "stays",
    }
    done = told(output)["identities"]
    assert [{**row, "outcome": row["outcome"].removeprefix("would be ")} for row in predicted] == done
    assert world.carried() == {"stranger", kubelet} and len(patches(modules, mark)) == 1
    (bundle,) = saved.iterdir()
    assert told(output)["restore_bundle"] == str(bundle) and bundle.stat().st_mode & 0o777 == 0o600
    kept = json.loads(bundle.read_text())["scale_sets"]
    assert {each["id"] for each in kept[0]["identities"]} == set(before)

    mark = modules.mark()
    status, output = player.play(PLAYBOOK, **remove)
    assert status == 0 and "changed=0" in output, output
    assert set(outcomes(output).values()) == {"stays"} and modules.writes(mark) == []
    assert list(saved.iterdir()) == [bundle]


def test_what_stops_it_is_told_with_what_was_done(
    modules: Modules, world: World, player: Player, tmp_path: Path
) -> None:
    ids = attach(world, *(f"id-{number:03}" for number in range(151)))
    modules.fault("PATCH", "", nth=2, status=409, body={"error": {"code": "Conflict", "message": CONFLICT}})
    status, output = player.play(
        PLAYBOOK,
        pod_identity_leftovers_node_resource_group=NODES,
        pod_identity_leftovers_confirm=NODES,
        pod_identity_leftovers_remove=True,
        pod_identity_leftovers_without_cluster=True,
        _pod_identity_bundle_marks=[],
        pod_identity_leftovers_known_identities=[{"id": each, "source": "my list"} for each in ids],
        pod_identity_leftovers_activity_log_days=0,
        pod_identity_artifact_target=str(tmp_path / "saved"),
    )
    assert status == 2, output
    done = told(output)
    assert "another operation is in progress there" in done["error"]
    assert done["error"].endswith(f"what was attached before is in {done['restore_bundle']}.")
    assert done["restore_bundle"].startswith(f"{tmp_path}/saved/localhost-{NODES}-")
    found = outcomes(output)
    assert (found["id-000"], found["id-150"]) == ("detached", "can be detached")
    assert sum(each == "detached" for each in found.values()) == 150


def test_a_cluster_that_does_not_answer_is_told(modules: Modules, world: World, player: Player, tmp_path: Path) -> None:
    attach(world, "left")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    scope = f"/subscriptions/{world.azure.subscription_id}"
    groups = (f"{scope}/resourceGroups/rg", f"{scope}/resourceGroups/{NODES}")
    who = world.azure.principal("reader", *(("Reader", group) for group in groups))
    blind = Player(player.directory.parent / "blind", {**player.environment, **modules.login(who)})
    status, output = blind.play(
        PLAYBOOK,
        pod_identity_resource_group="rg",
        pod_identity_cluster_name="c1",
        pod_identity_kubeconfig=str(kubeconfig),
    )
    assert status == 0, output
    undetermined = " ".join(told(output)["undetermined"])
    assert "What is in the cluster is not known: " in undetermined
    assert "may not perform Microsoft.Insights/eventtypes/values/read" in undetermined
    assert outcomes(output)["left"] == "stays"
