# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unchanged Azure tasks at the workstation of a sandbox, ours and those of others, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operators import CLUSTER, GROUP
from sandboxes import Sandbox

from .measured import Cost
from .plays import MEASURED, Play

IDENTITY = "billing"
OPERATOR_ROLE = "f1a07417-d97a-45cb-824c-7a7467783830"
READER_ROLE = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR_ROLE = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"
ROLES = {
    "Managed Identity Operator": OPERATOR_ROLE,
    "Virtual Machine Contributor": CONTRIBUTOR_ROLE,
    "Reader": READER_ROLE,
}
PING: Play = {"ansible.builtin.ping": {}}
OURS, THEIRS = "azureops.pod_identity", "azure.azcollection"


@dataclass(frozen=True)
class Workstation:
    sandbox: Sandbox
    folder: Path

    def cost(self, *command: str, tools: str = "ansible") -> Cost:
        """What a command costs, which must succeed."""
        done = self.sandbox.call("exec", "--tools", tools, "--", "python3", str(MEASURED), *command)
        if done.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout)
        if "ansible-playbook" in command and "changed=0" not in told["output"]:
            raise RuntimeError(f"{command} is measured where nothing changes, and changed:\n{told['output'][-4000:]}")
        return Cost.parse(told)

    def unchanged(self, name: str, tasks: Sequence[Play], tools: str = "ansible", **environment: str) -> Cost:
        """What a play of these tasks costs, which must change nothing."""
        book = self.folder / f"{name}.json"
        book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
        given = (f"{key}={value}" for key, value in environment.items())
        return self.cost("env", *given, "ansible-playbook", str(book), tools=tools)

    def prepare(self) -> dict[str, str]:
        """A group with a cluster, an identity and three role assignments; ids that the tasks of others want."""
        tasks: list[Play] = [
            {f"{OURS}.resource_group": {"name": GROUP, "location": "westeurope"}},
            {
                f"{OURS}.aks_cluster": {
                    "resource_group": GROUP,
                    "name": CLUSTER,
                    "location": "westeurope",
                    "network_plugin": "azure",
                    "agent_pools": [{"name": "nodepool1", "count": 1, "vm_size": "Standard_D2s_v5", "mode": "System"}],
                }
            },
            {f"{OURS}.user_assigned_identity": {"resource_group": GROUP, "name": IDENTITY}},
        ]
        book = self.folder / "prepare.json"
        book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        self.sandbox.exec("ansible-playbook", str(book))
        found = {
            "scope": self.sandbox.exec("az", "group", "show", "-n", GROUP, "--query", "id", "-o", "tsv").strip(),
            "principal": self.sandbox.exec(
                *("az", "identity", "show", "-g", GROUP, "-n", IDENTITY, "--query", "principalId", "-o", "tsv")
            ).strip(),
        }
        book.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": ours(found)[-len(ROLES) :]}])
        )
        self.sandbox.exec("ansible-playbook", str(book))
        return found


def ours(found: Mapping[str, str], group: str = GROUP, cluster: str = CLUSTER) -> list[Play]:
    """Eight tasks that read a group, a cluster and role assignments, and find nothing to do."""
    return [
        *[{f"{OURS}.resource_group": {"name": group, "location": "westeurope"}}] * 2,
        *[{f"{OURS}.aks_cluster_info": {"resource_group": group, "name": cluster}}] * 3,
        *(
            {f"{OURS}.role_assignment": {"scope": found["scope"], "role": role, "principal_id": found["principal"]}}
            for role in ROLES
        ),
    ]


def theirs(found: Mapping[str, str]) -> list[Play]:
    """The same of azure.azcollection."""
    subscription = found["scope"].partition("/resourceGroups/")[0].partition("/resourcegroups/")[0]
    return [
        *[{f"{THEIRS}.azure_rm_resourcegroup": {"name": GROUP, "location": "westeurope"}}] * 2,
        *[{f"{THEIRS}.azure_rm_aks_info": {"resource_group": GROUP, "name": CLUSTER}}] * 3,
        *(
            {
                f"{THEIRS}.azure_rm_roleassignment": {
                    "scope": found["scope"],
                    "assignee_object_id": found["principal"],
                    "role_definition_id": f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
                }
            }
            for role in ROLES.values()
        ),
    ]
