# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A plan that is carried out on the controller, by the code that carries out those of modules."""

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _plan


class Controller:
    """Stands where a module has its AnsibleModule."""

    def __init__(self, name: str, *, check_mode: bool, diff: bool) -> None:
        self.check_mode = check_mode
        self._diff = diff
        self._name = name
        self._warnings: list[str] = []
        self.result: dict[str, t.Any] = {}

    def warn(self, warning: str) -> None:
        self._warnings.append(warning)

    def exit_json(self, **results: t.Any) -> t.NoReturn:
        if self._warnings:
            results["warnings"] = self._warnings
        self.result.update(results)
        raise SystemExit(0)

    def fail_json(self, msg: str, **results: t.Any) -> t.NoReturn:
        self.exit_json(**results, msg=msg, failed=True)

    def run(self, make_plan: t.Callable[[], _plan.Plan], *, key: str) -> dict[str, t.Any]:
        """What the module would have returned."""
        try:
            _plan.run(self, make_plan, key=key)
        except SystemExit:
            return self.result
