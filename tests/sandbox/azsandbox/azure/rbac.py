# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: actions, scopes, inheritance, denials. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from . import ids

EVERYONE = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Role:
    """A role definition as far as management actions go."""

    id: str
    """GUID."""
    name: str
    description: str | None
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()
    built_in: bool = True
    assignable_scopes: tuple[str, ...] = ("/",)


@dataclass(frozen=True)
class Grant:
    """A role assignment that is in effect."""

    principal_id: str
    role: Role
    scope: str


@dataclass(frozen=True)
class Denial:
    """A deny assignment."""

    id: str
    name: str
    scope: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    principals: tuple[str, ...]
    excluded_principals: tuple[str, ...]


@lru_cache(maxsize=4096)
def _pattern(action: str) -> re.Pattern[str]:
    # "a/*/read" covers "a/read" too: Managed Identity Operator would be empty otherwise.
    escaped = re.escape(action.lower()).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*")
    return re.compile(escaped + r"\Z")


def matches(action: str, patterns: Iterable[str]) -> bool:
    """Whether an action is covered; case does not count, ``*`` spans slashes."""
    wanted = action.lower()
    return any(_pattern(pattern).match(wanted) for pattern in patterns)


def role_allows(role: Role, action: str) -> bool:
    return matches(action, role.actions) and not matches(action, role.not_actions)


def grants_at(grants: Iterable[Grant], principal_id: str, scope: str) -> list[Grant]:
    """The grants of a principal that reach a scope, inherited ones included."""
    return [grant for grant in grants if grant.principal_id == principal_id and ids.is_within(scope, grant.scope)]


def allows(grants: Iterable[Grant], principal_id: str, action: str, scope: str) -> bool:
    return any(role_allows(grant.role, action) for grant in grants_at(grants, principal_id, scope))


def denied_by(denials: Iterable[Denial], principal_id: str, action: str, scope: str) -> Denial | None:
    """The first deny assignment that stands against an action."""
    for denial in denials:
        if (
            ids.is_within(scope, denial.scope)
            and (EVERYONE in denial.principals or principal_id in denial.principals)
            and principal_id not in denial.excluded_principals
            and matches(action, denial.actions)
            and not matches(action, denial.not_actions)
        ):
            return denial
    return None
