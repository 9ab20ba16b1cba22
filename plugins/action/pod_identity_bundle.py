# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in a fork of ansible-playbook where that does the same, and tells where the bundle is; tests say what
tells of a container."""

from __future__ import annotations

import time
import typing as t

from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change, Verb
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import bundles
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _in_process

_MARKS = "_pod_identity_bundle_marks"


class ActionModule(_in_process.InProcess):
    prepared = _in_process.prepare(__name__, *_in_process.KUBERNETES)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        if _MARKS in variables:
            self._task.args.setdefault("container_marks", self._templar.template(variables[_MARKS]))
        began = time.monotonic()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        place = bundles.Place.parse(result["place"]) if result.get("saves") else bundles.Place("")
        if place.in_secret:  # not a change of the task, but one of the run
            verb: Verb = "change" if self._task.args.get("carries_on") else "create"
            change = Change.of_object(verb, "Secret", place.namespace, place.name, "save")
            made = {
                "changed": True,
                "actions": [f"save the restore bundle in {place.text}"],
                "changes": [change.view()],
            }
            self.keep_changes(variables, made, began)
        # At once, because a run that is interrupted tells nothing in its end.
        if not result.get("failed") and not self._task.check_mode:
            told = f"The restore bundle is {result['place']} (SHA-256 {result['sha256']})."
            Display().display(f"[{variables.get('inventory_hostname')}] {told}", stderr=True)
        return result
