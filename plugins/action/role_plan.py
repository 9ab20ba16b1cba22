# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides for a role or playbook of the collection, on the controller and without a connection to the host."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks import destroy, leftovers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    imds_node_cleanup,
    pod_identity_bindings,
    pod_identity_chart,
    pod_identity_cluster,
    pod_identity_restore,
    pod_identity_uninstall,
    pod_identity_verify,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Part, Refused, Run
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles

Parts = t.Mapping[str, Part[t.Any, t.Any]]
ROLES: t.Mapping[str, Parts] = {
    "imds_node_cleanup": imds_node_cleanup.PARTS,
    "pod_identity_bindings": pod_identity_bindings.PARTS,
    "pod_identity_chart": pod_identity_chart.PARTS,
    "pod_identity_cluster": pod_identity_cluster.PARTS,
    "pod_identity_restore": pod_identity_restore.PARTS,
    "pod_identity_uninstall": pod_identity_uninstall.PARTS,
    "pod_identity_verify": pod_identity_verify.PARTS,
}
PLAYBOOKS: t.Mapping[str, Parts] = {"destroy": destroy.PARTS, "leftovers": leftovers.PARTS}
PARTS: t.Mapping[str, Parts] = {**ROLES, **PLAYBOOKS}


# Read where Ansible loads the action, before it forks.
SPECS = {role: _roles.spec(role) for role in ROLES}
SPECS.update(_roles.playbook_specs(PLAYBOOKS, SPECS))


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        dummy, arguments = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True, "choices": sorted(PARTS)},
                "part": {"type": "str", "required": True},
                "observed": {"type": "dict", "default": {}},
            }
        )
        role, parts = arguments["role"], PARTS[arguments["role"]]
        if arguments["part"] not in parts:
            kind = "role" if role in ROLES else "playbook"
            return {**result, "failed": True, "msg": f"The {kind} {role} decides about {', '.join(sorted(parts))}."}
        part = parts[arguments["part"]]
        run = Run(
            check_mode=bool(variables.get("ansible_check_mode")),
            tags=tuple(variables.get("ansible_run_tags") or ()),
            skipped_tags=tuple(variables.get("ansible_skip_tags") or ()),
        )
        try:
            options = _roles.options(self, role if role in ROLES else _roles.SHARED, SPECS[role], part.names, variables)
            plan = part.plan(options, arguments["observed"], run)
        except Refused as refused:
            return {**result, "failed": True, "msg": str(refused), "refusals": list(refused.sentences)}
        except (Failure, _roles.WrongOptions) as error:
            return {**result, "failed": True, "msg": str(error)}
        return {**result, "changed": False, "plan": plan}
