# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a migration reads of a cluster."""

from __future__ import annotations

from typing import Any

READING = ("get", "list", "watch")


def kind_of(event: dict[str, Any]) -> str:
    """What a request is that writes; what would be kept is named as it is."""
    thing = event["objectRef"]
    name = "/".join(filter(None, (thing["resource"], thing.get("subresource"))))
    if event["verb"] == "create" and name == "serviceaccounts/token":
        return "token"
    if event["verb"] == "create" and name.endswith(("accessreviews", "rulesreviews")):
        return "review"
    if "dryRun=All" in event["requestURI"].partition("?")[2].split("&"):
        return "dry run"
    return f"{event['verb']} {name}"
