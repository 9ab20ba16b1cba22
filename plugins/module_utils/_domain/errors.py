# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The one exception that every layer raises for something that a person has to know."""

from __future__ import annotations

import typing as t

from .printed import each_printed, printed

# The code of an answer that is none of an API server.
UNEXPECTED = "UnexpectedAnswer"


def refuses(result: t.Mapping[str, t.Any], *statuses: int) -> bool:
    """Whether a service itself has refused with one of these, as the result of a module tells; a proxy's page is none.

    Of such a page the code is UNEXPECTED, or made of the status.
    """
    error = result.get("error") or {}
    return error.get("status") in statuses and error.get("code") not in (UNEXPECTED, f"HTTP{error['status']}")


class Failure(Exception):
    """A job that could not be done, told in one sentence.

    ``sentence`` names the resource, what was wrong and what to do. ``error`` is the service's own answer as data
    (``code``, ``message``, ``request_id``, ...), with ``temporary: true`` where the same may succeed a moment later;
    ``results`` are further result keys that a playbook can use.
    """

    def __init__(
        self,
        sentence: str,
        *,
        error: t.Mapping[str, t.Any] | None = None,
        results: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        self.sentence = printed(sentence)
        super().__init__(self.sentence)
        self.error = each_printed(dict(error or {}))
        self.results = dict(results or {})

    @property
    def temporary(self) -> bool:
        return bool(self.error.get("temporary"))
