# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that only look, with whatever people may write into their options, while there is no cluster yet."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.modules import (
    pod_identity_diagnosis_info,
    pod_identity_info,
    pod_token_info,
    workload_identity_info,
)
from ansible_collections.azureops.pod_identity.tests.unit.plugins.modules import offline
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

TOKEN: dict[str, Any] = {"namespace": "billing", "selector": "billing"}
TOKEN_OPTIONS = sorted(pod_token_info.argument_spec().options)
# Not path: whatever is written there would be a file of this machine.
INVENTORY_OPTIONS = ["files", "mode", "force_namespaced", "version", "context", "host"]
DIAGNOSIS_OPTIONS = [
    *INVENTORY_OPTIONS,
    *("namespace", "workload", "pod", "log_files", "logs", "log_megabytes", "log_hours", "probe", "check_mode_probe"),
]
MIGRATION_OPTIONS = [
    *INVENTORY_OPTIONS,
    *("namespaces", "proxy_workloads", "accept", "override_owner", "dry_run"),
    *("exchanges", "exchange_samples", "exchange_min_rate"),
]


@cases(
    "module, good, names",
    ("token", pod_token_info, TOKEN, TOKEN_OPTIONS),
    ("inventory", pod_identity_info, {}, INVENTORY_OPTIONS),
    ("diagnosis", pod_identity_diagnosis_info, {}, DIAGNOSIS_OPTIONS),
    ("migration", workload_identity_info, {}, MIGRATION_OPTIONS),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_written_is_looked_at_or_refused_in_a_sentence(
    module: ModuleType, good: dict[str, Any], names: list[str], data: st.DataObject
) -> None:
    changes = data.draw(st.dictionaries(st.sampled_from(names), offline.VALUES, max_size=3))
    status, result = offline.run(module, {**good, "kubeconfig": "(known after apply)", **changes})
    assert "defect" not in str(result.get("msg")) and not result.get("changed")
    assert not status or (result["failed"] and str(result["msg"]).strip())
    assert json.loads(json.dumps(result)) == result
