# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_names import of_role
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Remove them, or set wait_timeout to true.", "Remove them, or set R_wait_timeout to true."),
        ("check names and wait_timeout, or wait_timeout=9", "check names and R_wait_timeout, or R_wait_timeout=9"),
        ("/groups/wait_timeout stays", "/groups/wait_timeout stays"),
        (
            "as do wait_timeout/x, a-wait_timeout and R_wait_timeout",
            "as do wait_timeout/x, a-wait_timeout and R_wait_timeout",
        ),
        ("what the role does not know, allow_in_use", "what the role does not know, allow_in_use"),
    ],
)
def test_an_option_becomes_the_variable_of_the_role(message: str, said: str) -> None:
    assert of_role(message, {"wait_timeout": "R_wait_timeout", "state": "R_state"}) == said


@pytest.mark.parametrize(
    ("role", "option", "variable"),
    [
        ("pod_identity_cluster", "force_delete_nonempty", "pod_identity_cluster_force_delete_nonempty"),
        ("pod_identity_cluster", "subscription_id", "pod_identity_subscription_id"),
        ("pod_identity_uninstall", "allow_in_use", "pod_identity_uninstall_allow_in_use"),
        ("pod_identity_uninstall", "subscription_id", "pod_identity_subscription_id"),
        ("imds_node_cleanup", "api_timeout", "imds_node_cleanup_api_timeout"),
        ("pod_identity_bindings", "allow_in_use", None),
    ],
)
def test_what_an_operator_of_a_role_sets(role: str, option: str, variable: str | None) -> None:
    """An entry of pod_identity_bindings_list has its own allow_in_use."""
    assert _roles.option_names(role).get(option) == variable
