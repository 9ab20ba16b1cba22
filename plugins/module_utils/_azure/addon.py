# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The pod identity add-on of a managed cluster: what it needs to know of identities and roles, and its writes."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .._domain.azure import addon, arm_answers, arm_id, azure_roles, permissions
from .._domain.change import Change
from .._domain.errors import Failure
from . import authorization, identities, managed_clusters
from .client import Arm, Body
from .errors import Refused
from .kept_identities import Watch

OPERATOR = azure_roles.Role(addon.ROLE, azure_roles.BUILT_IN[addon.ROLE])
Edit = t.Callable[[Body], Body]

# How long AKS may not see a role that was assigned a moment ago.
_ROLE_EFFECT = 600.0


def facts(arm: Arm, wanted: t.Sequence[str], unknown: str, *, predicting: bool) -> dict[str, dict[str, str]]:
    """What an entry says of each identity; one that does not exist is accepted where an earlier task may make it."""
    found: dict[str, dict[str, str]] = {}
    for group in _groups(wanted, unknown):
        for body in identities.list_group(arm, group):
            properties = body.get("properties") or {}
            found[arm_id.normal(str(body["id"]))] = {
                "resourceId": str(body["id"]),
                "clientId": str(properties.get("clientId", "")),
                "objectId": str(properties.get("principalId", "")),
            }
    for identity in wanted:
        if arm_id.normal(identity) not in found:
            if not predicting:
                raise Failure(f"The identity {identity} does not exist; create it first.")
            found[arm_id.normal(identity)] = {"resourceId": identity, "clientId": unknown, "objectId": unknown}
    return found


@dataclass(frozen=True)
class Roles:
    """The role that the cluster's identity needs on identities; the assignments are listed once per resource group."""

    arm: Arm
    principal: str
    held: tuple[azure_roles.Assignment, ...]

    @classmethod
    def observe(cls, arm: Arm, cluster: Body, wanted: t.Sequence[str], unknown: str) -> Roles:
        """``unknown``: what stands for a principal, or an identity, that is still to come."""
        principal = addon.principal(cluster) if wanted else unknown
        groups = _groups(wanted, unknown) if principal != unknown else []
        held = (one for group in groups for one in authorization.assignments(arm, group, principal))
        return cls(arm, principal, tuple(held))

    def missing(self, identity: str) -> bool:
        return not any(self._matching(identity))

    def exact(self, identity: str) -> list[azure_roles.Assignment]:
        return self._matching(identity)[0]

    def held_at(
        self, wanted: t.Iterable[str], *, granted: t.Container[str] = (), withdrawn: t.Iterable[str] = ()
    ) -> list[str]:
        """Which of the identities the role is held on, now or after these changes; for a diff."""
        lost = {one for one in withdrawn if not self._matching(one)[1]}
        return sorted({one for one in wanted if (one in granted or not self.missing(one)) and one not in lost})

    def granting(self, identity: str, unknown: str) -> Change:
        """``unknown``: what stands for a principal, or an identity, that is still to come."""
        known = unknown not in (identity, self.principal)
        return Change("create", azure_roles.KIND, self._wanted(identity).id if known else unknown, OPERATOR.name)

    def grant(self, identity: str) -> None:
        authorization.grant(self.arm, self._wanted(identity), OPERATOR, azure_roles.Extras(), visibly=False)

    def _wanted(self, identity: str) -> azure_roles.Assignment:
        return azure_roles.wanted(identity, OPERATOR, self.principal, "ServicePrincipal", azure_roles.Extras())

    def withdrawing(self, identity: str) -> Change:
        """Azure holds one assignment of a role to a principal at a scope."""
        return azure_roles.change("delete", self.exact(identity)[0], OPERATOR)

    def withdraw(self, identity: str) -> None:
        for assignment in self.exact(identity):
            authorization.delete(self.arm, assignment)

    def withdraw_released(self, identity: str) -> None:
        """By the time of a refusal no entry names the identity any more, so another run has to be told it."""
        try:
            self.withdraw(identity)
        except Failure as failure:
            raise Failure(addon.role_left(failure.sentence, identity), error=failure.error) from failure

    def _matching(self, identity: str) -> tuple[list[azure_roles.Assignment], list[azure_roles.Assignment]]:
        return azure_roles.matching(self.held, identity, OPERATOR, self.principal)


class Writer:
    """Writes the profile of one cluster; ``current`` follows what AKS answers."""

    def __init__(self, arm: Arm, group: str, name: str, current: Body, watch: Watch) -> None:
        self.arm, self.group, self.name, self.current, self.watch = arm, group, name, current, watch

    def write(self, edit: Edit, keys: t.Collection[addon.Key], *, granted: t.Sequence[str] = ()) -> dict[str, t.Any]:
        """Write, and see that the entries become Assigned; AKS may see only later that the role was ``granted``."""
        reason = Failure("")
        for _look in self.arm.patience.looks(
            "AKS does not see the role that was granted yet", at_most=_ROLE_EFFECT if granted else 0
        ):
            try:
                self._put(edit, keys)
            except Refused as refused:
                reason = addon.blocked(self.current, refused, keys)
                if not addon.lacks_permission(refused.service, granted):
                    raise reason from None
                continue
            stuck = addon.stuck(self.current, keys)
            if not stuck:
                addon.require_written(self.current, edit(self.current), keys)
                return addon.view(self.current)
            reason = addon.not_assigned(self.current, stuck)
            if not set(map(arm_id.normal, addon.resource_ids(self.current, stuck))) <= set(map(arm_id.normal, granted)):
                break
        raise reason

    def remove(self, keys: t.Collection[addon.Key], *, recreate: bool) -> dict[str, t.Any]:
        """Take out entries that are not assigned: as they are; refused that, with what they lack made again."""
        lost = addon.resource_ids(self.current, keys)
        granted: list[str] = []
        reason = self._take_out(keys)
        if addon.resource_ids(self.current, keys) and not recreate:
            raise addon.not_removed(self.current, keys, reason)
        if addon.resource_ids(self.current, keys):
            granted = self._make_again(lost)
            for _look in self.arm.patience.looks(
                "AKS does not see the identity that was made again yet", at_most=_ROLE_EFFECT
            ):
                reason = self._take_out(keys)
                if not addon.resource_ids(self.current, keys):
                    break
            else:
                raise addon.not_removed(self.current, keys, reason)
        for identity in granted:
            self._roles(identity).withdraw(identity)
        for identity in lost if recreate else ():
            self.discard(identity)
        return addon.view(self.current)

    def made_for_removal(self, identity: str) -> bool:
        """Whether the identity is there only because an earlier run made it again for this cluster."""
        body = identities.get_by_id(self.arm, identity) or {}
        return arm_id.same((body.get("tags") or {}).get(addon.REMOVAL_TAG), str(self.current["id"]))

    def discard(self, identity: str) -> None:
        """Delete an identity that was made again only for the removal of its entry, and its role assignment."""
        if self.made_for_removal(identity):
            self._roles(identity).withdraw(identity)
            identities.delete_by_id(self.arm, identity)

    def _make_again(self, lost: t.Iterable[str]) -> list[str]:
        """The identities to which the role was given."""
        granted = []
        for identity in lost:
            if identities.get_by_id(self.arm, identity) is None:
                tags, region = {addon.REMOVAL_TAG: self.current["id"]}, arm_answers.needed(self.current, "location")
                identities.put_by_id(self.arm, identity, location=region, tags=tags)
            held = self._roles(identity)
            if held.missing(identity):
                held.grant(identity)
                granted.append(identity)
        return granted

    def _roles(self, identity: str) -> Roles:
        return Roles.observe(self.arm, self.current, [identity], "")

    def _take_out(self, keys: t.Collection[addon.Key]) -> Failure | None:
        lost = addon.resource_ids(self.current, keys)
        try:
            self._put(lambda now: addon.without(now, keys), keys)
        except Refused as refused:
            if not addon.lacks_permission(refused.service, lost):
                raise addon.blocked(self.current, refused, keys) from None
            return refused
        return None

    def _put(self, edit: Edit, keys: t.Container[addon.Key]) -> None:
        """One write, followed until AKS has finished with the entries."""
        doing = f"change the pod identity add-on of the cluster {self.name} in the resource group {self.group}"

        def write() -> Body:
            return managed_clusters.write(
                self.arm, self.group, self.name, self.current, self._of(edit), doing=doing, wait=True
            )

        try:
            self._look(self.watch.around(self.current, write))
            for _look in self.arm.patience.looks(f"entries of the cluster {self.name} are still changing"):
                if not addon.moving(self.current, keys):
                    return
                self._look(managed_clusters.get(self.arm, self.group, self.name))
        except Refused:
            with contextlib.suppress(Failure):  # what was refused says more than a look that fails
                self._look(managed_clusters.settled(self.arm, self.group, self.name))
            raise

    def _of(self, edit: Edit) -> t.Callable[[Body | None], Body]:
        def of(body: Body | None) -> Body:
            if body is None:
                raise Failure(f"The cluster {self.name} in the resource group {self.group} was deleted meanwhile.")
            return edit(body)

        return of

    def _look(self, body: Body | None) -> None:
        self.current = body or self.current


def _groups(wanted: t.Iterable[str], unknown: str) -> list[str]:
    """The resource groups in which identities lie, each once."""
    groups = {arm_id.normal(permissions.place(one)): permissions.place(one) for one in wanted if one != unknown}
    return list(groups.values())
