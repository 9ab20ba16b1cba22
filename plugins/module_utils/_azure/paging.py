# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Lists that come page by page, of Azure Resource Manager and of Microsoft Graph."""

from __future__ import annotations

import typing as t

from .._domain.azure import arm_answers
from .errors import text_of

if t.TYPE_CHECKING:
    from azure.core.rest import HttpResponse


def all_items(
    first: HttpResponse,
    doing: str,
    *,
    page: t.Callable[[str], arm_answers.Page],
    at: t.Callable[[str], str],
    read: t.Callable[[str], HttpResponse],
) -> list[arm_answers.Body]:
    """All items of a list, each once. Raises Failure where a page is none, or leads elsewhere or back.

    ``page``: what the text of an answer says. ``at``: the URL of the page that follows, absolute. ``read``: its answer.
    """
    found: list[arm_answers.Body] = []
    seen, answer = arm_answers.PagesRead(), first
    while True:
        here = page(text_of(answer))
        found.extend(here.items)
        if not here.following:
            return arm_answers.distinct(found)
        following = at(here.following)
        seen.follow(doing, answer.request.url, following)
        answer = read(following)
