# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides for a role or playbook of the collection, on the controller and without a connection to the host."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Loaded here, before the workers are forked, so that their modules can run in these.
from ansible_collections.azureops.pod_identity.plugins.action import (  # isort: skip
    access_review_info,
    aks_kubeconfig,
    aks_pod_identity,
    azure_identity_binding,
    kubernetes_object_info,
    nmi_info,
    pod_identity_bundle,
    pod_identity_bundle_info,
    pod_identity_diagnosis_info,
    pod_identity_info,
    pod_identity_removal_info,
    pod_identity_restoration,
    resource_group_info,
    role_assignment,
    role_assignment_info,
    user_assigned_identity,
    user_assigned_identity_info,
    vmss_identity_info,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.commands import Command, on_screen
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, plain
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._progress_lines import Lines
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

LOADED = (
    *(access_review_info, aks_kubeconfig, aks_pod_identity, azure_identity_binding, kubernetes_object_info),
    *(nmi_info, pod_identity_bundle, pod_identity_bundle_info, pod_identity_diagnosis_info),
    *(pod_identity_info, pod_identity_removal_info, pod_identity_restoration),
    *(resource_group_info, role_assignment, role_assignment_info),
    *(user_assigned_identity, user_assigned_identity_info, vmss_identity_info),
)

# What a result says of its own task.
_OF_TASK = ("ansible_facts", "attempts", "deprecations", "exception", "invocation", "warnings")


# A wait that is over by then says nothing.
_QUIET = 5.0


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _lines: Lines | None = None

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        dummy, arguments = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True, "choices": sorted(_roles.PARTS)},
                "part": {"type": "str", "required": True},
                "observed": {"type": "dict", "default": {}},
                "failure": {"type": "dict"},
            }
        )
        role, part, observed, failure = (arguments[name] for name in ("role", "part", "observed", "failure"))
        if failure is not None:
            observed = {**observed, "message": failure.get("msg", "")}
        if part not in _roles.PARTS[role]:
            kind = "role" if role in _roles.ROLES else "playbook"
            known = ", ".join(sorted(_roles.PARTS[role]))
            return {**result, "failed": True, "msg": f"The {kind} {role} decides about {known}."}
        subtasks = Subtasks(self, variables)
        try:
            if _roles.begins(role, part):
                wrong = _roles.unknown(self, variables, subtasks)
                plan = _roles.check(self, role, part, observed, variables, subtasks, wrong)
            else:
                plan = _roles.decide(self, role, part, observed, variables, subtasks)
        except Refused as refused:
            found: dict[str, t.Any] = {"failed": True, "msg": str(refused)}
            if refused.plan is not None:
                found["plan"] = plain(refused.plan)
                # Where the task is tried until it is not refused, Ansible tries it with this very object.
                self._lines = self._lines or Lines(str(variables.get("inventory_hostname", "")), _QUIET)
                self._lines.show(str(found["plan"].get("waits_for", "")))
        except SubtaskFailed as failed:
            found = {name: value for name, value in failed.result.items() if name != "invocation"}
        except (Failure, _roles.WrongOptions) as error:
            found = {"failed": True, "msg": str(error)}
        except AnsibleError as error:
            if failure is None:
                raise
            found = {"failed": True, "msg": str(error)}
        else:
            found = {"plan": plan}
            to_paste = map(Command.parse, plan.get("printed", ()))
            for line in on_screen(str(variables.get("inventory_hostname", "")), to_paste):
                Display().display(line, stderr=True)
        if failure is not None:
            found = _failed(failure, found)
        return {**result, "changed": False, **subtasks.told, **found}


def _failed(failure: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The result of a task that failed, with the message of the plan; where there is none, with why there is none."""
    message = (found.get("plan") or {}).get("message") or f"{failure.get('msg', '')} {found.get('msg', '')}".strip()
    data = {name: value for name, value in failure.items() if name not in _OF_TASK and not name.startswith("_ansible")}
    return {**data, "failed": True, "msg": message}
