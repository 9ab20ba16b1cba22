# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict

from ansible.errors import AnsibleFilterError

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import judging, model, observation
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.data import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.difference import compare
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.metrics import prometheus
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report import page


def report(observed: t.Any, fail_on: str = model.ERROR, earlier: t.Any = None) -> dict[str, t.Any]:
    if fail_on not in judging.FAIL_ON:
        raise AnsibleFilterError(
            f"fail_on is {fail_on!r}, and must be one of {', '.join(judging.FAIL_ON)}: correct it."
        )
    try:
        found = build(observed)
        data = as_data(found)
        differences = () if earlier is None else compare(earlier, data)
    except Failure as failure:
        raise AnsibleFilterError(str(failure)) from failure
    return {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "failure": judging.failure(found, fail_on),
        "differences": [asdict(one) for one in differences],
        "html": page(found),
        "json": json.dumps(data, indent=1, sort_keys=True) + "\n",
        "junit": judging.junit(found, fail_on),
        "prometheus": prometheus(found),
        "csv": _csv(observed),
    }


def _csv(observed: t.Any) -> str:
    """As the playbook inventory writes it."""
    lines: list[str] = []
    joined = inventory_files.Joined(lambda _text: None, lines.append)
    for cluster in observation.parse(observed):
        found = cluster.result(observation.INVENTORY)
        joined.add(
            cluster.name, found if found else {"error": cluster.failure or "The report was given nothing of it."}
        )
    joined.end()
    return "".join(lines)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report": report}
