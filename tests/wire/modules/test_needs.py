# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permissions that a prediction names are those that the write needs: no fewer, and no more."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.tests.support.azure_changes import CASES, World
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure


@pytest.mark.parametrize("name", CASES)
def test_a_write_needs_what_its_prediction_names(modules: Modules, azure: SimulatedAzure, name: str) -> None:
    case, world = CASES[name], World(azure, modules)
    options = {**case.options, **(case.prepare(world) or {})}
    predicted = modules.succeed(case.module, check=True, **options)
    granted = [(need["scope"], action) for need in predicted["permissions"] for action in need["actions"]]
    assert [action.endswith(f"/{end}") for (_scope, action), end in zip(granted, case.actions, strict=True)] == [
        True
    ] * len(case.actions)

    for lacking in granted:
        who = world.somebody([one for one in granted if one != lacking])
        asked = modules.succeed("permission_info", needs=predicted["permissions"], who=who)
        assert [(each["scope"], each["action"]) for each in asked["missing"]] == [lacking]
        refused = modules.fail(case.module, who=who, **options)
        assert refused["error"]["status"] == 403, refused
        assert lacking[1].lower() in refused["error"]["message"].lower()
        if refused["changed"]:  # by a write before this one
            case.prepare(world)

    # A run that was refused may have made the first of several changes.
    left = modules.succeed(case.module, check=True, **options)
    done = modules.succeed(case.module, who=world.somebody(granted), **options)
    assert done["changed"]
    assert done["changes"] == left["changes"] != []
    assert "permissions" not in done
    if case.module != "vmss_instance_reimage":  # each run reimages
        assert modules.succeed(case.module, check=True, **options)["permissions"] == []
