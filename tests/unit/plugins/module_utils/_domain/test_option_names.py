# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_names import of_role
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

VARIABLES = {"location": "pod_identity_location", "allow_in_use": "role_allow_in_use", "it": "wrong"}


@table(
    "message, told",
    ("leave location out, or create another one.", "leave pod_identity_location out, or create another one."),
    ("set location to one", "set pod_identity_location to one"),
    ("or set allow_in_use: true.", "or set role_allow_in_use: true."),
    ("The location of the group", "The location of the group"),
    ("leave resource_group out", "leave resource_group out"),
)
def test_messages(message: str, told: str) -> None:
    assert of_role(message, VARIABLES) == told
