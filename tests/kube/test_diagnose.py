# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook diagnose, against a real API server and against files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import JOB
from ansible_collections.azureops.pod_identity.tests.kube.installation import Installation, crashing
from ansible_collections.azureops.pod_identity.tests.kube.objects import dump, may_list
from ansible_collections.azureops.pod_identity.tests.kube.probed import answering, by_nmi
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

PLAYBOOK = "azureops.pod_identity.diagnose"
SHOWN = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}


def told(output: str) -> dict[str, Any]:
    """What set_stats leaves."""
    line = next(line for line in output.splitlines() if "RUN: {" in line)
    return dict(json.loads(line.partition("RUN: ")[2])["pod_identity_diagnosis"]["localhost"])


@pytest.mark.soak
def test_the_likeliest_cause_comes_first_and_its_command_is_named(
    api_server: ApiServer, world: Installation, tmp_path: Path
) -> None:
    world.state_of("mic-a", "mic", crashing())
    lost = "F0301 09:00:00.000000 1 mic.go:9] lost leader lease \x1b[2J{{ 7*7 }}\n"
    world.kubelet.write(world.namespace, "mic-a", lost, previous=True)
    player = Player(tmp_path / "play", SHOWN)
    given = {"pod_identity_kubeconfig": api_server.kubeconfig(), "pod_identity_diagnose_namespace": world.namespace}
    status, output = player.play(PLAYBOOK, **given)
    assert status == 0 and "changed=0" in output, output
    found = told(output)
    assert found["verdict"] == "broken" and found["causes"][0]["code"] == "mic_crashing"
    assert found["likeliest"][1].startswith("MIC ends again and again")
    command = f"kubectl --namespace {world.namespace} logs --previous mic-a"
    assert command in [each["command"] for each in found["commands"]] and command in output.splitlines()
    assert "lost leader lease \\\\x1b[2J{{ 7*7 }}" in output and "\x1b[2J" not in output
    assert "Azure" in [each["what"] for each in found["unread"]]
    assert not list(player.temporary.glob("azureops-pod-identity-*"))
    assert player.play(PLAYBOOK, "--check", **given)[0] == 0


@pytest.mark.soak
def test_a_request_is_made_where_it_is_wanted(
    api_server: ApiServer, client: Client, world: Installation, tmp_path: Path
) -> None:
    """In check mode it is told as not made."""
    player = Player(tmp_path / "play", SHOWN)
    given = {
        "pod_identity_kubeconfig": api_server.kubeconfig(),
        "pod_identity_diagnose_pod": f"{world.namespace}/web",
        "pod_identity_diagnose_probe": True,
    }
    with answering(client, world, by_nmi(500, body="failed to match pod IP 10.0.0.9 with []")) as ran:
        status, output = player.play(PLAYBOOK, "--check", **given)
        assert (status, ran, told(output)["requests"]) == (0, [], []), output
        assert "probe" in {each["source"] for each in told(output)["unread"]}
        status, output = player.play(PLAYBOOK, **given)
    assert status == 0 and "changed=0" in output and len(ran) == 1, output
    found = told(output)
    assert [each["verdict"] for each in found["requests"]] == ["pod_unknown"]
    assert f"NMI on the node {world.node} does not know a pod that runs there." in found["likeliest"]
    assert "/docs/codes.md#no_token" in output and "/docs/codes.md#pod_unknown" in output
    assert not client.list_all(JOB, world.namespace)


def test_reader(api_server: ApiServer, client: Client, world: Installation, tmp_path: Path) -> None:
    """Who may list what the inventory lists needs no other right."""
    world.state_of("mic-a", "mic", {"ready": False})
    rules = may_list(inventory.KINDS)
    given = {"pod_identity_kubeconfig": api_server.kubeconfig(RESTRICTED), "pod_identity_diagnose_logs": False}
    with server.rights_of_restricted(client, f"diagnoses-{world.namespace}", *rules):
        pod = f"{world.namespace}/web"
        status, output = Player(tmp_path / "play", SHOWN).play(PLAYBOOK, **given, pod_identity_diagnose_pod=pod)
    assert status == 0, output
    found = told(output)
    assert found["scope"] == f"Pod {pod}" and "mic_not_running" in [each["code"] for each in found["causes"]]
    assert {"events", "logs", "nodes", "objects"} <= {each["source"] for each in found["unread"]}


def test_files_without_a_cluster(api_server: ApiServer, world: Installation, tmp_path: Path) -> None:
    world.state_of("mic-a", "mic", {"ready": False})
    names = (*(kind.resource for kind in inventory.KINDS), "clusterroles", "clusterrolebindings")
    (tmp_path / "objects.json").write_bytes(dump(api_server, *names))
    (tmp_path / "nmi-a.log").write_text("I0301 09:00:00.000000 1 main.go:1] starting nmi process\n")
    given = {
        "pod_identity_diagnose_files": [str(tmp_path / "objects.json")],
        "pod_identity_diagnose_log_files": [str(tmp_path / "nmi-a.log")],
        "pod_identity_diagnose_namespace": world.namespace,
    }
    status, output = Player(tmp_path / "play", SHOWN).play(PLAYBOOK, **given)
    assert status == 0, output
    found = told(output)
    assert found["causes"][0]["code"] == "mic_not_running"
    logs = [each["what"] for each in found["unread"] if each["source"] == "logs"]
    assert f"logs of Deployment {world.namespace}/mic" in logs
    assert f"logs of DaemonSet {world.namespace}/nmi" not in logs


def test_what_is_wrong_with_variables_is_told_before_anything_is_looked_at(tmp_path: Path) -> None:
    wrong = {"pod_identity_diagnose_pod": "a/b", "pod_identity_diagnose_workload": "a/c"}
    player = Player(tmp_path / "play")
    for given, said in ({"pod_identity_diagnose_log_hours": 0}, "log_hours is 0"), (wrong, "two things"):
        status, output = player.play(PLAYBOOK, **given)
        assert (status, said in output, "Connect to the cluster" in output) == (2, True, False), output
