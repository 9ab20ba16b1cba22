# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import files, judging, model
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report_files import Made


def report(observed: t.Any, fail_on: str = model.ERROR, earlier: t.Any = None, title: str = "") -> dict[str, t.Any]:
    if fail_on not in judging.FAIL_ON:
        raise AnsibleFilterError(
            f"fail_on is {fail_on!r}, and must be one of {', '.join(judging.FAIL_ON)}: correct it."
        )
    try:
        made = Made.of(observed, fail_on, title, earlier)
    except Failure as failure:
        raise AnsibleFilterError(str(failure)) from failure
    return {**made.told, **{kind: made.text(kind) for kind in files.FORMATS}}


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report": report}
