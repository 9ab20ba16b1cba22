# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play that imports roles, and an entry of its bindings."""

from __future__ import annotations

from typing import Any

ENTRY = {
    "name": "billing",
    "selector": "billing",
    "type": 1,
    "client_id": "11111111-1111-4111-8111-111111111111",
    "tenant_id": "11111111-1111-4111-8111-111111111112",
    "client_password_secret": {"name": "billing", "namespace": "default"},
}


def imported(role: str) -> list[dict[str, Any]]:
    return [{"ansible.builtin.import_role": {"name": f"azureops.pod_identity.pod_identity_{role}"}}]
