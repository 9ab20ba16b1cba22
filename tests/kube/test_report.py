# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook report against a real API server, and other playbooks that write a report in their end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.azureops.pod_identity.tests.kube.installation import Installation, crashing
from ansible_collections.azureops.pod_identity.tests.support import report_schema
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

PLAYBOOK = "azureops.pod_identity.report"
FILE = "pod-identity-report.json"


def hosts(api_server: ApiServer, folder: Path, *names: str) -> list[str]:
    """Arguments for a play of clusters, one of which may not be looked at, and one is not there."""
    kubeconfigs = {"forbidden": api_server.kubeconfig(RESTRICTED), "nowhere": "/nowhere/kubeconfig"}
    given = {
        name: {
            "ansible_connection": "local",
            "pod_identity_kubeconfig": kubeconfigs.get(name) or api_server.kubeconfig(),
        }
        for name in names
    }
    inventory = folder / "clusters.json"
    inventory.write_text(json.dumps({"clusters": {"hosts": given}}))
    return ["-i", str(inventory), "-e", "pod_identity_hosts=clusters"]


def report(folder: Path) -> dict[str, dict[str, Any]]:
    """The clusters of the report, by their names."""
    data = json.loads((folder / FILE).read_text())
    jsonschema.Draft202012Validator(json.loads(report_schema.SCHEMA.read_text())).validate(data)
    return {each["name"]: each for each in data["clusters"]}


@pytest.mark.soak
def test_clusters_become_one_report(api_server: ApiServer, world: Installation, tmp_path: Path) -> None:
    world.state_of("mic-a", "mic", crashing())
    lost = "F0301 09:00:00.000000 1 mic.go:9] lost leader lease <script>{{ 7*7 }}\n"
    world.kubelet.write(world.namespace, "mic-a", lost, previous=True)
    player, target = Player(tmp_path / "play"), tmp_path / "report"
    arguments = hosts(api_server, player.directory, "east", "forbidden", "nowhere")
    given = {"pod_identity_report_target": str(target)}
    status, output = player.play(PLAYBOOK, *arguments, "--check", "--diff", **given)
    assert (status, target.exists()) == (0, False), output
    status, output = player.play(PLAYBOOK, *arguments, **given)
    assert status == 0 and f"{target}/pod-identity-report.html" in output, output
    found = report(target)
    assert list(found) == ["east", "forbidden", "nowhere"]
    (crash,) = (each for each in found["east"]["problems"] if each["code"] == "mic_crashing")
    assert (found["east"]["verdict"], crash["link"][-13:]) == ("broken", "#mic_crashing")
    looked = {each["source"] for each in found["east"]["looked"]}
    assert {"inventory", "diagnosis", "plan", "installations", "nodes"} <= looked
    assert "/nowhere/kubeconfig" in found["nowhere"]["failure"] and found["nowhere"]["verdict"] == "unknown"
    assert found["forbidden"]["verdict"] == "unknown" and "may not list" in found["forbidden"]["failure"]
    assert any("may not list" in each["why"] for each in found["forbidden"]["unread"])
    page = (target / "pod-identity-report.html").read_text()
    assert "lost leader lease &lt;script&gt;{{ 7*7 }}" in page
    assert not list(player.temporary.glob("azureops-pod-identity-*"))
    given["pod_identity_report_fail_on"] = "error"
    status, output = player.play(PLAYBOOK, *arguments, **given)
    assert status == 2 and output.count("failed=1") == 3 and "east has" in output, output
    assert all(f"{name} could not be looked at: " in output for name in ("forbidden", "nowhere")), output


@pytest.mark.soak
@pytest.mark.parametrize("playbook", ["inventory", "diagnose", "migrate", "verify"])
def test_playbooks_write_what_they_found(
    playbook: str, api_server: ApiServer, world: Installation, tmp_path: Path
) -> None:
    world.state_of("mic-a", "mic", {"ready": False})
    player, target = Player(tmp_path / "play"), tmp_path / "report"
    arguments = hosts(api_server, player.directory, "east")
    given = {
        "pod_identity_report_target": str(target),
        "pod_identity_inventory_file": str(tmp_path / "inventory"),
        "pod_identity_verify_workloads": [],
    }
    status, output = player.play(f"azureops.pod_identity.{playbook}", *arguments, **given)
    assert status == 0 and f"{target}/pod-identity-report.html" in output, output
    east = report(target)["east"]
    assert "mic_not_running" in {each["code"] for each in east["problems"]}
    assert {"inventory", "diagnosis", "plan"} <= {each["source"] for each in east["looked"]}
    # The report is no work of its own, of which it would be told again what it changed.
    assert len(re.findall(r"^\[east\] (Nothing was changed|\d+ changes? in)", output, re.MULTILINE)) == 1, output
    assert not list(player.temporary.glob("azureops-pod-identity-*"))
