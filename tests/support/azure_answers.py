# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd answers in the place of Azure, and the writes that a log lists."""

from __future__ import annotations

import re

from ansible_collections.azureops.pod_identity.tests.support.azure_changes import Options
from ansible_collections.azureops.pod_identity.tests.support.modules import READING_POSTS

HTML = {"Content-Type": "text/html"}
PAGE = "<!DOCTYPE html><html><body>Please log in</body></html>"
LOGIN = "https://127.0.0.1:1/login"
OTHER = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/other"


def error(code: str) -> Options:
    return {"error": {"code": code, "message": "It is said."}}


ODD: dict[str, Options] = {
    "404 page": {"status": 404, "body": PAGE, "headers": HTML},
    "404 empty": {"status": 404, "body": ""},
    "404 of another service": {"status": 404, "body": {"error": "NotFound", "path": "/"}},
    "404 type": {"status": 404, "body": error("InvalidResourceType")},
    "404 subscription": {"status": 404, "body": error("SubscriptionNotFound")},
    "403 page": {"status": 403, "body": PAGE, "headers": HTML},
    "301": {"status": 301, "body": "", "headers": {"Location": LOGIN}},
    "302": {"status": 302, "body": "", "headers": {"Location": LOGIN}},
    "200 page": {"status": 200, "body": PAGE, "headers": HTML},
    "200 page called JSON": {"status": 200, "body": PAGE},
    "200 empty": {"status": 200, "body": ""},
    "200 object": {"status": 200, "body": {}},
    "200 null": {"status": 200, "body": "null"},
    "200 value null": {"distort": "null"},
    "200 nameless": {"status": 200, "body": {"value": [{}]}},
    "200 other list": {"status": 200, "body": {"value": [{"id": OTHER, "name": "other", "properties": {}}]}},
    "200 cut": {"distort": "half"},
    "200 bytes": {"status": 200, "body": "\udcff\udcfe", "headers": {"Content-Type": "text/plain"}},
    "204": {"status": 204, "body": ""},
    "circle": {"distort": "circle"},
    "elsewhere": {"status": 200, "body": {"value": [], "nextLink": "https://127.0.0.2:1/page"}},
    "hang": {"hang": True},
}


DRAWN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<=-)[0-9]{8}(?=-vmss)")
"""What Azure draws by lot for ids and names."""


def writes(method: str, path: str) -> bool:
    return method != "GET" and not any(part in path.lower() for part in READING_POSTS)
