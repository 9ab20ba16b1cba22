# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that a write needs on other resources that it links to."""

from __future__ import annotations

from ..routing import Call
from ..state import IDENTITY
from ..wire import gateway_error


def check_linked(call: Call, action: str, identities: list[str]) -> None:
    """403 unless the caller may assign every identity that the request names."""
    assign = f"{IDENTITY}/assign/action"
    refused = [i for i in identities if not call.azure.allowed(call.principal, assign, i)]
    if refused:
        raise gateway_error(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to"
            f" perform action '{action}' on scope '{call.path}'; however, it does not have permission to perform"
            f" action '{assign}' on the linked scope(s) '{','.join(refused)}' or the linked scope(s) are invalid.",
        )
