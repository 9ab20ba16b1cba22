# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that a write needs on other resources that it links to."""

from __future__ import annotations

from ..routing import Call
from ..state import IDENTITY
from ..wire import gateway_error

ASSIGN = f"{IDENTITY}/assign/action"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"


def check_linked(call: Call, action: str, linked: list[str], needed: str = ASSIGN) -> None:
    """403 unless the caller may assign every identity, or join every subnet, that the request names."""
    refused = [each for each in linked if not call.azure.allowed(call.principal, needed, each)]
    if refused:
        raise gateway_error(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to"
            f" perform action '{action}' on scope '{call.path}'; however, it does not have permission to perform"
            f" action '{needed}' on the linked scope(s) '{','.join(refused)}' or the linked scope(s) are invalid.",
        )
