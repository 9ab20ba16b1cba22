# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What Azure lets somebody do: permission blocks of roles, deny assignments and locks, as ARM applies them."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from dataclasses import dataclass

from ..errors import Failure
from . import arm_id

# The principal of a deny assignment that means everybody.
EVERYONE = "00000000-0000-0000-0000-000000000000"
# Rights that another request needs on a resource that it links to; no request goes to that resource itself.
_LINKED = ("/assign/action", "/join/action")
_LOCKS = "/providers/microsoft.authorization/locks/"


@dataclass(frozen=True)
class Block:
    """Actions of one role, or of one deny assignment, less those that it excepts."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, body: t.Mapping[str, t.Any]) -> Block:
        return cls(tuple(body.get("actions") or ()), tuple(body.get("notActions") or ()))

    def covers(self, action: str) -> bool:
        return _any(self.actions, action) and not _any(self.not_actions, action)


@dataclass(frozen=True)
class Denial:
    """A deny assignment. ``here_only``: it does not apply to what lies below its scope."""

    name: str
    scope: str
    blocks: tuple[Block, ...]
    principals: frozenset[str]
    excluded: frozenset[str]
    here_only: bool = False

    @classmethod
    def parse(cls, body: t.Mapping[str, t.Any]) -> Denial:
        properties = body.get("properties") or {}
        return cls(
            name=str(properties.get("denyAssignmentName") or body.get("name") or ""),
            scope=str(properties.get("scope") or ""),
            blocks=tuple(Block.parse(block) for block in properties.get("permissions") or ()),
            principals=_ids(properties.get("principals")),
            excluded=_ids(properties.get("excludePrincipals")),
            here_only=bool(properties.get("doNotApplyToChildScopes")),
        )

    def stops(self, action: str, scope: str, caller: t.AbstractSet[str]) -> bool:
        reaches = arm_id.same(self.scope, scope) if self.here_only else arm_id.contains(self.scope, scope)
        concerned = EVERYONE in self.principals or bool(self.principals & caller)
        return reaches and concerned and not self.excluded & caller and any(b.covers(action) for b in self.blocks)


@dataclass(frozen=True)
class Lock:
    """A management lock; ``level`` is ReadOnly or CanNotDelete."""

    name: str
    scope: str
    level: str

    @classmethod
    def parse(cls, body: t.Mapping[str, t.Any]) -> Lock:
        place = str(body.get("id") or "")
        at = place.lower().rfind(_LOCKS)
        level = str((body.get("properties") or {}).get("level") or "")
        return cls(str(body.get("name") or arm_id.last_segment(place)), place[: max(at, 0)], level)

    def stops(self, action: str, scope: str) -> bool:
        """ReadOnly stops every request but reads, also a POST that only reads; a deletion is stopped from below too."""
        verb = action.lower()
        if verb.endswith("/delete"):
            return arm_id.contains(self.scope, scope) or arm_id.contains(scope, self.scope)
        if verb.endswith("/read") or verb.endswith(_LINKED):
            return False
        return self.level.lower() == "readonly" and arm_id.contains(self.scope, scope)


@dataclass(frozen=True)
class Access:
    """What is known about one scope and the caller: ``caller`` are the object ids of principal and groups."""

    blocks: tuple[Block, ...] = ()
    denials: tuple[Denial, ...] = ()
    locks: tuple[Lock, ...] = ()
    caller: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Missing:
    """An action that is not possible, why, and what to do. ``by``: the deny assignment or lock in the way."""

    scope: str
    action: str
    reason: str
    by: str
    remedy: str


def matches(pattern: str, action: str) -> bool:
    """Whether an action falls under a pattern of a role: case does not count, ``*`` spans slashes.

    ``a/*/b`` covers ``a/b`` too; Managed Identity Operator relies on it.
    """
    expression = re.sub(r"/\\\*(?=/)", "(?:/.*)?", re.escape(pattern.lower())).replace(r"\*", ".*")
    return re.fullmatch(expression, action.lower(), re.DOTALL) is not None


def granted(blocks: t.Iterable[Block], action: str) -> bool:
    """Roles add up: what one block excepts, another may grant."""
    return any(block.covers(action) for block in blocks)


def judge(action: str, scope: str, access: Access) -> Missing | None:
    """None where the action is possible."""
    if not granted(access.blocks, action):
        return Missing(
            scope,
            action,
            "not_granted",
            "",
            "Somebody who may assign roles there or above (Owner, User Access Administrator) has to give the caller a "
            "role with this action.",
        )
    for denial in access.denials:
        if denial.stops(action, scope, access.caller):
            return Missing(
                scope,
                action,
                "denied",
                denial.name,
                f"The deny assignment {denial.name} at {denial.scope} goes only with what made it; for a node resource "
                "group that is the restriction level of the cluster.",
            )
    for lock in access.locks:
        if lock.stops(action, scope):
            return Missing(
                scope,
                action,
                "locked",
                lock.name,
                f"Somebody who may delete locks (Owner, User Access Administrator) has to remove the {lock.level} lock "
                f"{lock.name} at {lock.scope}.",
            )
    return None


def absolute(scope: str, subscription: str) -> str:
    """The scope as an id; one that does not name its subscription lies in the given one."""
    text = "/" + scope.strip().strip("/")
    first = text.split("/")[1].lower()
    if first in ("subscriptions", "providers", ""):
        return text
    return f"/subscriptions/{subscription}{text}"


def place(scope: str) -> str:
    """The resource group that a scope lies in, else its subscription, else the scope itself."""
    parsed = arm_id.parse(scope) if scope.count("/") > 1 else None
    if parsed is None or not parsed.subscription:
        return scope
    if parsed.resource_group:
        return arm_id.resource_group(parsed.subscription, parsed.resource_group)
    return f"/subscriptions/{parsed.subscription}"


def above(scope: str) -> str:
    """What answers for a scope that does not exist; '' where nothing does."""
    group = place(scope)
    if not arm_id.same(group, scope):
        return group
    subscription = arm_id.parse(scope).subscription if scope.count("/") > 1 else ""
    whole = f"/subscriptions/{subscription}"
    return whole if subscription and not arm_id.same(whole, scope) else ""


def caller(token: str) -> frozenset[str]:
    """Object ids of the principal and of the groups that an access token of ARM names."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        named = [claims.get("oid"), *(claims.get("groups") or ())]
    except (IndexError, ValueError, AttributeError, TypeError) as error:
        raise Failure("The access token of the credential does not say who it was given to; log in again.") from error
    return frozenset(str(one).lower() for one in named if one)


def _any(patterns: t.Iterable[str], action: str) -> bool:
    return any(matches(pattern, action) for pattern in patterns)


def _ids(principals: t.Any) -> frozenset[str]:
    return frozenset(str(principal.get("id") or "").lower() for principal in principals or ())
