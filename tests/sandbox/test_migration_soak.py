# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A soak that is longer than one life of a token of a service account, with real MIC, NMI, webhook and SDK. Needs root.

It takes more than an hour, in which nearly nothing is to do but to wait: `make test` never runs it.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from applications import account, served, workload
from migrations import NAMESPACE, OF_NMI, Story
from operators import CLUSTER, GROUP, SITE, Operator
from probes import QUICK_NMI
from sandboxes import eventually, running

pytestmark = [pytest.mark.story, pytest.mark.soak]

MOVED, STAYS = "mover", "stayer"
LATE = 60
"""Seconds for which the soak goes on after the token has expired."""
READ = """
import base64, json, os
payload = open(os.environ["AZURE_FEDERATED_TOKEN_FILE"]).read().split(".")[1]
claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
print(json.dumps([claims["iat"], claims["exp"]]))
"""


def pod_of(operator: Operator, name: str) -> dict[str, Any]:
    pods = operator.kubectl("get", "pods", "-n", NAMESPACE, "-l", f"app={name}")["items"]
    (pod,) = (each for each in pods if "deletionTimestamp" not in each["metadata"])
    return dict(pod)


def lives(operator: Operator, pod: str) -> tuple[int, int]:
    """From when to when the token is valid that a pod has of its service account."""
    command = ("/usr/local/bin/python3", "-c", READ)
    issued, expires = json.loads(
        operator.sandbox.exec("kubectl", "exec", "-n", NAMESPACE, "-c", "app", pod, "--", *command)
    )
    return int(issued), int(expires)


def life_of_token(pod: dict[str, Any]) -> int:
    """In seconds, as the webhook has set it."""
    sources = [each for volume in pod["spec"]["volumes"] for each in volume.get("projected", {}).get("sources", [])]
    (found,) = (
        each["serviceAccountToken"]["expirationSeconds"]
        for each in sources
        if each.get("serviceAccountToken", {}).get("audience") == "api://AzureADTokenExchange"
    )
    return int(found)


def tokens_by_nmi(operator: Operator) -> list[str]:
    """The lines of NMI's logs that tell of a token."""
    said = operator.sandbox.exec(
        "kubectl", "logs", "-n", "default", "-l", "app.kubernetes.io/component=nmi", "--tail=-1"
    )
    return [line for line in said.splitlines() if "status (200)" in line and "/oauth2/token" in line]


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_a_soak_longer_than_the_life_of_a_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running("migration-soak", "--with", "workload-identity") as sandbox:
        variables = {**SITE, "pod_identity_chart_values": QUICK_NMI, "pod_identity_verify_workloads": []}
        variables["pod_identity_cluster_network_plugin"] = "azure"
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        operator.apply(
            account(STAYS, NAMESPACE),
            workload(MOVED, NAMESPACE, "default", labels=OF_NMI, TIMEOUT="20"),
            workload(STAYS, NAMESPACE, "default", labels=OF_NMI, account=STAYS, TIMEOUT="20", INTERVAL="30"),
        )
        for name in (MOVED, STAYS):
            assert served(operator, name, NAMESPACE)["path"] == "nmi"
        story = Story(operator, sandbox.az("identity", "show", "-g", GROUP, "-n", "billing"))
        try:
            story.record(MOVED)
            soaked(story)
        finally:
            story.recorders[MOVED].end()


def soaked(story: Story) -> None:
    chosen: dict[str, Any] = {"workloads": [f"{NAMESPACE}/Deployment/{MOVED}"], "confirm": CLUSTER}
    run = story.migrate(until="switch", enable_issuer=True, enable_webhook=True, **chosen)
    assert story.states(run) == {MOVED: ("switched", "soak")}
    pod = pod_of(story.operator, MOVED)
    name, address, life = pod["metadata"]["name"], pod["status"]["podIP"], life_of_token(pod)
    assert life >= 3600
    first = lives(story.operator, name)
    options: dict[str, Any] = {"soak_seconds": life + LATE, "seconds": life + 1200, **chosen}
    with ThreadPoolExecutor() as beside:
        leaving = beside.submit(story.migrate, until="leave", **options)
        # The kubelet writes another one when four fifths of its life are over.
        eventually(lambda: wait([leaving], 30).done or lives(story.operator, name)[0] > first[0], life)
        assert not leaving.done(), leaving.result().output[-4000:]
        second = lives(story.operator, name)
        assert second[1] > first[1] > second[0], (first, second)
        run = leaving.result()
    (story.operator.directory / "leave.txt").write_text(run.output)
    assert story.states(run) == {MOVED: ("left", "finish")} and not story.reasons(run)
    # The pod has outlived its first token, and all that it asked for came, first by NMI and since then never by it.
    left = run.ended("Let the workloads leave AAD Pod Identity")
    assert left > first[1] + LATE / 2
    recorded = story.recorders[MOVED].records
    assert sum(first[1] < each["began"] < left for each in recorded) > LATE / 4
    assert story.last_path(MOVED) == "workload_identity"
    assert story.paths(MOVED) == ["nmi", "workload_identity"]
    # So NMI says itself, which tells of another workload meanwhile.
    of_other = pod_of(story.operator, STAYS)["status"]["podIP"]
    told = tokens_by_nmi(story.operator)
    assert any(f"req.remote={of_other}" in line for line in told)
    assert not [line for line in told if f"req.remote={address}" in line]
