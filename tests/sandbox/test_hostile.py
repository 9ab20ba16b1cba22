# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook in a cluster in which a tenant has laid out all that may lead an operator astray. Needs root.

The tests are one story, from a cluster in use to an empty subscription. After each playbook the tenant has what he had
and no more, nothing of his ran with another's rights, and nobody asked for a host of his.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tenant
from operators import CLUSTER, GROUP, SITE, Operator, Run
from sandboxes import eventually, running

pytestmark = pytest.mark.story

UNINSTALL, RESTORE, DESTROY, CLEANUP, LEFTOVERS, INVENTORY, VERIFY = (
    f"azureops.pod_identity.{name}"
    for name in ("uninstall", "restore", "destroy", "cleanup_nodes", "leftovers", "inventory", "verify")
)
IN_USE = {
    "pod_identity_uninstall_confirm": CLUSTER,
    "pod_identity_uninstall_allow_in_use": True,
    "pod_identity_uninstall_remove_role_assignments": True,
}
TRANSPORTS = ("ssh", "vmss_run_command", "aks_node_pod")


class Town:
    """An operator, his neighbour and what both had in the beginning."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.nodes = {
            each["metadata"]["name"]: each["status"]["addresses"][0]["address"]
            for each in operator.kubectl("get", "nodes")["items"]
        }
        group = ("--resource-group", GROUP)
        self.principal = operator.sandbox.az("identity", "create", *group, "--name", "greedy")["principalId"]
        image = operator.directory / "tenant.tar"
        tenant.hostile_image(image, tenant.IMAGE)
        for address in self.nodes.values():
            load = f"ssh -o LogLevel=ERROR root@{address} /opt/bin/ctr -n k8s.io images import --local - < {image}"
            operator.sandbox.exec("bash", "-c", load)
        tenant.move_in(operator)
        tenant.lay_out(operator, self.principal)
        eventually(self._is_settled, 120)
        self.kinds = tenant.OF_POD_IDENTITY
        self.before = tenant.objects(operator, *self.kinds)

    def _is_settled(self) -> bool:
        pods = self.operator.kubectl("get", "pods", "-n", tenant.NAMESPACE)["items"]
        ready = [each for each in pods if {"type": "Ready", "status": "True"}.items() <= _condition(each).items()]
        # One as of MIC, one as of NMI on each node, and two others.
        return len(pods) == len(ready) == 3 + len(self.nodes)

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        """The playbook, after which all is as this module tells."""
        run = self.operator.play(playbook, "-u", "root", *arguments, variables=variables)
        self.is_as_before(run)
        return run

    def is_as_before(self, run: Run) -> None:
        operator, sandbox = self.operator, self.operator.sandbox
        now = tenant.objects(operator, *self.kinds)
        changed = [name for name in self.before.keys() | now.keys() if self.before.get(name) != now.get(name)]
        assert changed == [], run.output[-4000:]
        assert tenant.MARK not in sandbox.exec("kubectl", "get", "clusterrolebindings", "-o", "name")
        assert not Path(f"/tmp/{tenant.MARK}").exists()
        assert tenant.MARK not in sandbox.exec("ls", "/tmp")
        for address in self.nodes.values():
            assert tenant.MARK not in sandbox.ssh(address, "ls /tmp")
        assignments = sandbox.az("role", "assignment", "list", "--all")
        assert self.principal not in [each["principalId"] for each in assignments]
        assert tenant.HOST not in resolver_log(operator).read_text()
        assert [each for each in operator.requests() if tenant.HOST in each["host"]] == []


def _condition(pod: dict[str, Any]) -> dict[str, Any]:
    return next((each for each in pod["status"].get("conditions", []) if each["type"] == "Ready"), {})


def resolver_log(operator: Operator) -> Path:
    return Path(f"/run/azureops-sandbox/{operator.sandbox.name}/logs/resolver.log")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running("hostile") as sandbox:
        directory = tmp_path_factory.mktemp("operator")
        variables = {
            **SITE,
            "pod_identity_artifact_target": str(directory / "saved"),
            "pod_identity_inventory_file": str(directory / "inventory"),
        }
        operator = Operator(sandbox, directory, variables)
        operator.site().ok()
        yield Town(operator)
