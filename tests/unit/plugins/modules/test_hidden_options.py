# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that hold credentials are in no result, also of a module that refuses what it is given."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.modules import azure_pod_identity_exception, pod_token_info
from ansible_collections.azureops.pod_identity.tests.unit.plugins.modules import offline
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

EXCEPTION = {"name": "agents", "namespace": "default", "pod_labels": {"app": "agent"}}
PROXY = "http://somebody:planted-7d1c9e@proxy.example.com:3128"


@cases(
    "module, options, failed",
    ("success", azure_pod_identity_exception, EXCEPTION, 0),
    ("an option is missing", pod_token_info, {}, 1),
    ("an option has a wrong value", azure_pod_identity_exception, {**EXCEPTION, "state": "none"}, 1),
)
def test_the_password_of_a_proxy_is_not_shown(module: ModuleType, options: dict[str, Any], failed: int) -> None:
    status, result = offline.run(module, {**options, "proxy": PROXY})
    assert (status, "planted-7d1c9e" in json.dumps(result)) == (failed, False)
    assert "proxy" in result["invocation"]["module_args"]
