# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Roles and their assignments: which one satisfies what is desired, what a new one is called, what a change keeps."""

from __future__ import annotations

import re
import typing as t
import uuid
from dataclasses import dataclass, replace

from ..change import Change, Verb
from ..errors import Failure
from . import arm_id

KIND = "Microsoft.Authorization/roleAssignments"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# The only one that Azure accepts for new conditions.
_CONDITION_VERSION = "2.0"
_READ_ONLY = ("scope", "createdOn", "createdBy", "updatedOn", "updatedBy")

# Built-in roles have the same GUID in every tenant; knowing these saves a request, also where no scope exists yet.
BUILT_IN = {
    "Managed Identity Operator": "f1a07417-d97a-45cb-824c-7a7467783830",
    "Managed Identity Contributor": "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
    "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
    "Network Contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Azure Kubernetes Service Cluster User Role": "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
    "Azure Kubernetes Service Cluster Admin Role": "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8",
    "Azure Kubernetes Service Contributor Role": "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
}


@dataclass(frozen=True)
class Role:
    """A role definition; ``guid`` is lower case, ``name`` is the GUID where only that is known."""

    name: str
    guid: str


@dataclass(frozen=True)
class Assignment:
    """A role assignment as Azure reports it, with properties that only a newer API knows too."""

    id: str
    name: str
    properties: t.Mapping[str, t.Any]

    @property
    def scope(self) -> str:
        return self.text("scope")

    @property
    def role_definition_id(self) -> str:
        return self.text("roleDefinitionId")

    @property
    def principal_id(self) -> str:
        return self.text("principalId")

    def text(self, name: str) -> str:
        return str(self.properties.get(name) or "")


@dataclass(frozen=True)
class Extras:
    """What an assignment may say besides who holds what where. None: not named; '': none."""

    condition: str | None = None
    condition_version: str | None = None
    description: str | None = None


def named(text: str) -> Role | None:
    """The role that a user names by GUID, by full id or by the name of a well-known one; None: Azure must be asked."""
    guid = arm_id.last_segment(text).lower()
    if _GUID.fullmatch(guid):
        return Role(next((name for name, known in BUILT_IN.items() if known == guid), guid), guid)
    for name, known in BUILT_IN.items():
        if name.lower() == text.strip().lower():
            return Role(name, known)
    return None


def require_object_id(principal: str) -> None:
    if not _GUID.fullmatch(principal):
        raise Failure(
            f"{principal!r} is not the object id of a principal; give the GUID under which Entra knows it, for "
            "a managed identity its principal id."
        )


def definition_id(scope: str, role: Role) -> str:
    """Id of the role's definition, in the subscription of the scope where it has one."""
    subscription = arm_id.parse(scope).subscription if arm_id.normal(scope) else ""
    root = f"/subscriptions/{subscription}" if subscription else ""
    return f"{root}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}"


def assignment_name(scope: str, role: Role, principal_id: str) -> str:
    """Always the same name for the same scope, role and principal."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arm_id.normal(scope)}|{role.guid}|{principal_id.lower()}"))


def assignment_id(scope: str, name: str) -> str:
    return f"{scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}"


def wanted(scope: str, role: Role, principal_id: str, principal_type: str, extras: Extras) -> Assignment:
    """The assignment as we would make it."""
    name = assignment_name(scope, role, principal_id)
    properties = {
        "roleDefinitionId": definition_id(scope, role),
        "principalId": principal_id,
        "principalType": principal_type,
        "scope": scope,
    }
    return changed(Assignment(assignment_id(scope, name), name, properties), extras)


def changed(assignment: Assignment, extras: Extras) -> Assignment:
    """The assignment with what ``extras`` name; equal to it where that is so already."""
    news: dict[str, t.Any] = {}
    if extras.condition is not None and not _agree(assignment, "condition", extras.condition):
        news["condition"] = extras.condition.strip() or None
        news["conditionVersion"] = _CONDITION_VERSION if news["condition"] else None
    if extras.condition_version and (extras.condition or "").strip():
        version = news.get("conditionVersion") or assignment.text("conditionVersion")
        if version != extras.condition_version:
            news["conditionVersion"] = extras.condition_version
    if extras.description is not None and not _agree(assignment, "description", extras.description):
        news["description"] = extras.description.strip() or None
    return replace(assignment, properties={**assignment.properties, **news}) if news else assignment


def difference(before: Assignment, after: Assignment) -> str:
    """The names of what differs, for a sentence."""
    names = [name for name in ("condition", "description") if before.text(name) != after.text(name)]
    if not names and before != after:
        names = ["condition version"]
    return " and ".join(names)


def serves(assignment: Assignment, extras: Extras) -> bool:
    """Whether an inherited assignment, which is never changed, gives what is desired."""
    return extras.condition is None or _agree(assignment, "condition", extras.condition)


def writable(assignment: Assignment) -> dict[str, t.Any]:
    """The properties that a PUT may carry; what it does not carry is gone."""
    return {
        name: value for name, value in assignment.properties.items() if value is not None and name not in _READ_ONLY
    }


def matching(
    assignments: t.Iterable[Assignment], scope: str, role: Role, principal_id: str
) -> tuple[list[Assignment], list[Assignment]]:
    """The assignments of the role to the principal: those at exactly this scope, and those inherited by it."""
    held = [
        assignment
        for assignment in assignments
        if assignment.principal_id.lower() == principal_id.lower()
        and arm_id.last_segment(assignment.role_definition_id).lower() == role.guid
        and arm_id.contains(assignment.scope, scope)
    ]
    exact = [assignment for assignment in held if arm_id.same(assignment.scope, scope)]
    return exact, [assignment for assignment in held if assignment not in exact]


def in_force(
    assignments: t.Iterable[Assignment], scope: str, principal_id: str | None, wanted: t.Collection[Role] | None
) -> list[tuple[Assignment, Role]]:
    """The assignments that count at the scope, those at exactly this one first; ``None``: of whomever, of any role."""
    chosen = {role.guid: role for role in wanted or ()}
    found = []
    for one in assignments:
        guid = arm_id.last_segment(one.role_definition_id).lower()
        role = chosen.get(guid) or named(guid) or Role(guid, guid)
        if (
            (wanted is None or guid in chosen)
            and (principal_id is None or one.principal_id.lower() == principal_id.lower())
            and arm_id.contains(one.scope, scope)
        ):
            found.append((one, role))
    return sorted(found, key=lambda each: (not arm_id.same(each[0].scope, scope), each[1].name, each[0].id))


def unassigned(given: t.Iterable[tuple[Assignment, Role]], wanted: t.Mapping[str, Role]) -> list[str]:
    """Those of the roles, as they are named, that no assignment gives."""
    guids = {role.guid for _one, role in given}
    return [name for name, role in wanted.items() if role.guid not in guids]


def surplus(
    assignments: t.Iterable[Assignment], scope: str, principal_id: str, wanted: t.Collection[Role]
) -> list[tuple[Role, list[Assignment], list[Assignment]]]:
    """Each role that the principal holds besides: what was made for exactly this scope by its name, and all else."""
    held, found = list(assignments), []
    guids = {arm_id.last_segment(one.role_definition_id).lower() for one in held}
    for guid in guids - {role.guid for role in wanted}:
        role = named(guid) or Role(guid, guid)
        exact, inherited = matching(held, scope, role, principal_id)
        name = assignment_name(scope, role, principal_id)
        ours = [one for one in exact if one.name.lower() == name]
        if exact or inherited:
            found.append((role, ours, [one for one in (*exact, *inherited) if one not in ours]))
    return sorted(found, key=lambda each: each[0].name)


def still_held(assignment: Assignment, role: Role, scope: str) -> str:
    """What a removal leaves, as a sentence."""
    if not arm_id.same(assignment.scope, scope):
        return still_inherited(assignment.principal_id, role.name, scope, assignment.scope)
    return _still(assignment.principal_id, role.name, scope, "by an assignment of somebody else")


def still_inherited(principal: str, role: str, scope: str, wider: str) -> str:
    """The same of an assignment at a ``wider`` scope."""
    return _still(principal, role, scope, f"inherited from {wider}")


def _still(principal: str, role: str, scope: str, how: str) -> str:
    return f"{principal} still holds {role} at {scope}, {how}."


def change(verb: Verb, assignment: Assignment, role: Role) -> Change:
    return Change(verb, KIND, assignment.id, role.name)


def assigning(role: str, principal: str, scope: str) -> str:
    """What making an assignment is called, for people."""
    return f"assign {role} to {principal} at {scope}"


def removing(role: str, principal: str, scope: str) -> str:
    return f"remove {role} from {principal} at {scope}"


def refuse_empty(wanted: t.Sequence[str] | None, *, purge: bool, allowed: bool) -> None:
    if purge and not wanted and not allowed:
        raise Failure(
            "The list of roles is empty, so purge_roles would remove all that this module has assigned; if that is "
            "meant, set purge_allow_empty."
        )


def view(assignment: Assignment, role: Role, scope: str) -> dict[str, t.Any]:
    return {
        "id": assignment.id,
        "name": assignment.name,
        "scope": assignment.scope,
        "role_name": role.name,
        "role_definition_id": assignment.role_definition_id,
        "principal_id": assignment.principal_id,
        "principal_type": assignment.text("principalType"),
        "condition": assignment.text("condition"),
        "condition_version": assignment.text("conditionVersion"),
        "description": assignment.text("description"),
        "inherited": not arm_id.same(assignment.scope, scope),
    }


def summary(assignment: Assignment) -> dict[str, t.Any]:
    """An assignment for people, without what only Azure can tell of its role."""
    role = named(assignment.role_definition_id)
    return {"id": assignment.id, "role": role.name if role else "", "scope": assignment.scope}


def require_one(text: str, found: t.Sequence[Role], scope: str) -> Role:
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(f"There is no role named {text!r} at {scope}; check its spelling, or give its GUID.")
    raise Failure(f"The name {text!r} stands for {len(found)} roles at {scope}; give the GUID of one of them.")


def _agree(assignment: Assignment, name: str, text: str) -> bool:
    """Blanks at the ends are those of YAML."""
    return assignment.text(name).strip() == text.strip()
