# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Authorization: what the caller may do at a scope."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._domain.azure import arm_id, permissions
from .._domain.azure.arm_answers import NotAzure
from .._domain.azure.permissions import Access, Block, Denial, Lock, Missing
from .client import Arm, Body
from .errors import Refused

_API = {"permissions": "2022-04-01", "denyAssignments": "2022-04-01", "locks": "2020-05-01"}


@dataclass
class Inquiry:
    """Questions to one ARM; each is asked once.

    A group is asked first: roles, deny assignments and locks reach down from there, and its lists hold those below
    it. A resource is asked itself only where the group grants too little.
    """

    arm: Arm
    not_asked: list[dict[str, t.Any]] = field(default_factory=list)
    _answers: dict[tuple[str, str], list[Body] | None] = field(default_factory=dict)
    _caller: frozenset[str] | None = None

    def missing(self, scope: str, actions: t.Sequence[str]) -> list[Missing]:
        scope = permissions.absolute(scope, "" if scope.lower().startswith("/subs") else self.arm.subscription)
        group = permissions.place(scope)
        rights = self._ask(group, "permissions")
        blocks = _blocks(rights)
        if scope != group and rights is not None and not all(permissions.granted(blocks, one) for one in actions):
            blocks += _blocks(self._ask(scope, "permissions"))
        known = rights is not None
        found = []
        for action in actions if known else ():
            answer = permissions.judge(action, scope, Access(tuple(blocks), *self.barriers(group), self._who()))
            if answer:
                found.append(answer)
        return found

    def barriers(self, group: str) -> tuple[tuple[Denial, ...], tuple[Lock, ...]]:
        """What is in the way of somebody or everybody at a group, above and below it."""
        denials = self._ask(group, "denyAssignments") or []
        locks = self._ask(group, "locks") or []
        return tuple(Denial.parse(one) for one in denials), tuple(Lock.parse(one) for one in locks)

    def _who(self) -> frozenset[str]:
        if self._caller is None:
            token, _expires = self.arm.token(self.arm.cloud.scope, "find out who asks")
            self._caller = permissions.caller(token)
        return self._caller

    def _ask(self, scope: str, what: str) -> list[Body] | None:
        """The list of ``scope``, or of what it would be in where it does not exist; None where it may not be read."""
        key = (arm_id.normal(scope), what)
        if key not in self._answers:
            self._answers[key] = self._send(scope, what)
        return self._answers[key]

    def _send(self, scope: str, what: str) -> list[Body] | None:
        # Of a whole subscription only what reaches everything in it.
        wide = what != "permissions" and "/resourcegroups/" not in arm_id.normal(scope)
        query = {"$filter": "atScope()"} if wide else {}
        path, doing = f"{scope.rstrip('/')}/providers/Microsoft.Authorization/{what}", f"read the {what} at {scope}"
        try:
            # What is permitted has no ids. A role without actions has an empty list of them.
            anonymous = what == "permissions"
            found = self.arm.list(path, _API[what], doing=doing, query=query, named=not anonymous)
            if anonymous and not all(isinstance(each.get("actions"), list) for each in found):
                raise NotAzure(doing, "an entry of the answer has no actions")
            return found
        except Refused as refused:
            above = permissions.above(scope) if refused.is_missing() else ""
            if above:
                return self._ask(above, what)
            if not refused.forbids():
                raise
            self.not_asked.append({"scope": scope, "what": what, "message": refused.sentence})
            return None


def _blocks(bodies: t.Iterable[Body] | None) -> list[Block]:
    return [Block.parse(body) for body in bodies or ()]
