# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long lists come in pages, each with the link to the next."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

from .routing import Call
from .wire import Answer, AzureError, arm_error

SIZE = 1000
EVENTS = 200


def page(call: Call, answer: Answer, size: int, link: str = "nextLink") -> Answer:
    """The part of a list that is asked for; what is no list, and a list that fits, stays as it is.

    The setting ``page_size`` stands above ``size``; ``$top`` may ask for less.
    """
    body = answer.body
    if call.method != "GET" or answer.status != 200 or not isinstance(body, dict) or not _is_list(body):
        return answer
    start = _start(call)
    size = call.state.settings.page_size or size
    top = call.query.get("$top", "")
    if top:
        if not top.isdigit() or int(top) == 0:
            raise _invalid(f"$top is '{top}'")
        size = min(size, int(top))
    value = body["value"]
    if start == 0 and len(value) <= size:
        return answer
    shown = {**body, "value": value[start : start + size]}
    if start + size < len(value):
        token = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        shown[link] = f"https://{call.host}{call.path}?{urlencode({**call.query, '$skiptoken': token})}"
    return Answer(answer.status, shown, answer.headers, answer.content_type)


def _is_list(body: dict[str, object]) -> bool:
    return isinstance(body.get("value"), list)


def _start(call: Call) -> int:
    token = call.query.get("$skiptoken", "")
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError:
        raise _invalid(f"$skiptoken is '{token}'") from None


def _invalid(what: str) -> AzureError:
    return arm_error(400, "InvalidQueryParameter", f"The query is invalid: {what}.")
