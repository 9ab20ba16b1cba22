# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that the playbook diagnose prints mend what is wrong: who pastes them ends with a healthy cluster.

Each test breaks something, runs what the screen says, and looks again. Needs root.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from applications import deployment
from operators import SITE, Operator
from probes import QUICK_NMI
from sandboxes import Sandbox, eventually, running

pytestmark = [pytest.mark.story, pytest.mark.soak]

TEAM = "billing"
NMI, MIC = "daemonset/aad-pod-identity-nmi", "deployment/aad-pod-identity-mic"
# How long what a command began is given to take effect.
SECONDS = 240
# These show more of a pod, which another may have replaced, and change nothing.
_LOOKS = re.compile(r"kubectl --namespace \S+ (logs|describe) ")
_COMMAND = re.compile(r"^(?:kubectl|printf|helm) .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running("remedies") as sandbox:
        variables = {**SITE, "pod_identity_chart_values": QUICK_NMI, "pod_identity_verify_workloads": []}
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        operator.apply(deployment("api", TEAM, {"aadpodidbinding": TEAM}))
        sandbox.exec("kubectl", "rollout", "status", "-n", TEAM, "deployment/api", "--timeout=120s")
        eventually(lambda: looked(operator)[0] == "healthy", SECONDS)
        yield operator


def looked(operator: Operator) -> tuple[str, list[str], str]:
    """The verdict, the commands as they stand on the screen, and the screen."""
    run = operator.play("azureops.pod_identity.diagnose", variables={"pod_identity_diagnose_probe": True})
    found = run.stats["pod_identity_diagnosis"]["localhost"]
    return found["verdict"], _COMMAND.findall(run.output), run.output


def mended(operator: Operator, by_hand: str = "false") -> list[str]:
    """The commands after which the cluster was healthy, in the order of the screen, each once.

    ``by_hand``: what the operator does where a command opens an editor, as a command on the file.
    """
    ran: list[str] = []
    environment = (f"KUBECONFIG={operator.kubeconfig()}", f"KUBE_EDITOR={by_hand}")
    end = time.monotonic() + SECONDS
    while True:
        verdict, commands, screen = looked(operator)
        if verdict == "healthy":
            return ran
        assert time.monotonic() < end, (ran, screen)
        for command in commands:
            if command not in ran and not _LOOKS.match(command):
                operator.sandbox.exec("env", *environment, "bash", "-c", command)
                ran.append(command)
                end = time.monotonic() + SECONDS


def kubectl(shop: Operator, *arguments: str) -> str:
    sandbox: Sandbox = shop.sandbox
    return sandbox.exec("kubectl", *arguments)


def test_mic_without_replicas(shop: Operator) -> None:
    kubectl(shop, "scale", "-n", "default", MIC, "--replicas=0")
    assert mended(shop)


def test_nmi_that_a_selector_keeps_away(shop: Operator) -> None:
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"pool": "nowhere"}}}}}
    kubectl(shop, "patch", "-n", "default", NMI, "-p", json.dumps(selector))
    assert mended(shop)


def test_nmi_whose_binding_is_gone(shop: Operator) -> None:
    """NMI works on as long as its connections do; a new one is refused."""
    kubectl(shop, "delete", "clusterrolebinding", "aad-pod-identity-nmi")
    kubectl(shop, "rollout", "restart", "-n", "default", NMI)
    assert mended(shop)


def test_mic_that_may_not_assign(shop: Operator) -> None:
    role = json.loads(kubectl(shop, "get", "clusterrole", "aad-pod-identity-mic", "-o", "json"))
    kept = [rule for rule in role["rules"] if "azureassignedidentities" not in rule["resources"]]
    assert kept and kept != role["rules"]
    patch = json.dumps({"rules": kept})
    kubectl(shop, "patch", "clusterrole", "aad-pod-identity-mic", "--type=merge", "-p", patch)
    assert mended(shop)


def test_an_argument_that_nmi_does_not_know(shop: Operator) -> None:
    """An editor takes it away; the screen names the argument and the command."""
    where = "/spec/template/spec/containers/0/args/-"
    patch = json.dumps([{"op": "add", "path": where, "value": "--no-such-argument=1"}])
    kubectl(shop, "patch", "-n", "default", NMI, "--type=json", "-p", patch)
    assert mended(shop, by_hand="sed -i /--no-such-argument/d")


def test_a_definition_whose_deletion_hangs(shop: Operator) -> None:
    """MIC holds what it assigned with a finalizer, and the definition waits for it."""
    kubectl(shop, "delete", "crd", "azureassignedidentities.aadpodidentity.k8s.io", "--wait=false")
    assert mended(shop)


def test_a_client_id_of_another(shop: Operator) -> None:
    other = {"spec": {"clientID": "11111111-2222-4333-8444-555555555555"}}
    kubectl(shop, "patch", "-n", TEAM, "azureidentity", TEAM, "--type=merge", "-p", json.dumps(other))
    assert mended(shop)
