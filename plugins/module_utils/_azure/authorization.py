# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Authorization: role definitions and assignments, with azure-mgmt-authorization."""

from __future__ import annotations

import typing as t

from .._domain.azure import arm_id, azure_roles
from .._domain.azure.permissions import Block
from .._domain.errors import Failure
from .._libraries import library
from .client import Arm, Body, payload, raw, resource_of
from .errors import Refused, missing_is_fine, refusals

_API = "2022-04-01"
# How long a principal that was created a moment ago may be unknown to the service that assigns roles.
_REPLICATION = 180.0


def role(arm: Arm, text: str, scope: str) -> azure_roles.Role:
    """The role that ``text`` names. A scope that does not exist yet is answered for by its subscription."""
    known = azure_roles.named(text)
    if known:
        return known
    name = text.strip().replace("'", "''")
    subscription = arm_id.parse(scope).subscription or arm.subscription
    for place in (scope, f"/subscriptions/{subscription}"):
        with missing_is_fine:
            path = f"/{place.strip('/')}".rstrip("/") + "/providers/Microsoft.Authorization/roleDefinitions"
            doing, query = f"look up the role {text!r} at {place}", {"$filter": f"roleName eq '{name}'"}
            return azure_roles.require_one(
                text, list(map(_role, arm.list(path, _API, doing=doing, query=query))), place
            )
    raise Failure(f"The role {text!r} could not be looked up: {scope} does not exist; give the GUID of the role.")


def assignments(arm: Arm, scope: str, principal_id: str | None) -> list[azure_roles.Assignment]:
    """The assignments of a principal at a scope, inherited ones included; none where the scope does not exist.

    None: those of all principals.
    """
    path = f"/{scope.strip('/')}".rstrip("/") + "/providers/Microsoft.Authorization/roleAssignments"
    # The list of the typed client would drop what its models do not know, and a change must keep that.
    with missing_is_fine:
        found = arm.list(
            path,
            _API,
            doing=f"list the role assignments at {scope}",
            query={"$filter": "atScope()" if principal_id is None else f"principalId eq '{principal_id}'"},
        )
        return [_assignment(body) for body in found]
    return []


def held(arm: Arm, scope: str, principal_id: str) -> list[azure_roles.Assignment]:
    """The assignments by which a principal may do something at a scope, above or below it: also those of its groups."""
    with missing_is_fine:
        found = arm.list(
            f"{scope}/providers/Microsoft.Authorization/roleAssignments",
            _API,
            doing=f"list the role assignments of {principal_id} at {scope}",
            query={"$filter": f"assignedTo('{principal_id}')"},
        )
        return [_assignment(body) for body in found]
    return []


def definition(arm: Arm, identifier: str) -> tuple[str, tuple[Block, ...]]:
    """The name of a role and what it allows, given by its id; one that does not exist any more allows nothing."""
    body = arm.get(identifier, _API, doing=f"read the role {identifier}") or {}
    properties = body.get("properties") or {}
    name = str(properties.get("roleName") or arm_id.last_segment(identifier))
    return name, tuple(map(Block.parse, properties.get("permissions") or ()))


def grant(
    arm: Arm, wanted: azure_roles.Assignment, role: azure_roles.Role, extras: azure_roles.Extras, *, visibly: bool
) -> azure_roles.Assignment:
    """Create an assignment, where asked ``visibly``: until a list shows it."""
    created = _create(arm, wanted, role)
    if created and not visibly:
        return created
    seen = _listed(arm, wanted, role)
    # Where an equal one was there, which no list had shown before, it may lack what is named.
    fulfilled = azure_roles.changed(seen, extras)
    return seen if created or fulfilled == seen else change(arm, fulfilled)


def change(arm: Arm, wanted: azure_roles.Assignment) -> azure_roles.Assignment:
    """Write an assignment that exists as it is to be."""
    return _put(arm, wanted, f"change the role assignment {wanted.id}")


def delete(arm: Arm, assignment: azure_roles.Assignment) -> None:
    with missing_is_fine:
        path, doing = f"/{assignment.id.strip('/')}", f"delete the role assignment {assignment.id}"
        response = arm.delete(path, _API, doing=doing)
        if response.status_code != 204:
            resource_of(response, doing, path)


def _create(arm: Arm, wanted: azure_roles.Assignment, role: azure_roles.Role) -> azure_roles.Assignment | None:
    """Create an assignment; None where an equal one exists. A principal that Azure does not know yet is waited for."""
    doing = f"assign the role {role.name} to the principal {wanted.principal_id} at {wanted.scope}"
    unknown: Refused | None = None
    for _look in arm.patience.looks(
        f"Entra does not know the principal {wanted.principal_id} yet", at_most=_REPLICATION
    ):
        try:
            return _put(arm, wanted, doing)
        except Refused as refused:
            if refused.service.code == "RoleAssignmentExists":
                return None
            if refused.service.code != "PrincipalNotFound":
                raise
            unknown = refused
    raise unknown or Failure(f"Could not {doing} in time; run again.")


def _listed(arm: Arm, wanted: azure_roles.Assignment, chosen: azure_roles.Role) -> azure_roles.Assignment:
    """The assignment as a list shows it, which is waited for."""
    for _look in arm.patience.looks(f"the role {chosen.name} is not listed at {wanted.scope} yet"):
        seen = assignments(arm, wanted.scope, wanted.principal_id)
        exact, _inherited = azure_roles.matching(seen, wanted.scope, chosen, wanted.principal_id)
        if exact:
            return exact[0]
    raise Failure(
        f"The role {chosen.name} was assigned to {wanted.principal_id} at {wanted.scope}, but is not listed there "
        f"after {arm.patience.timeout:g} seconds; run again later, or set wait_visible to false."
    )


def _put(arm: Arm, wanted: azure_roles.Assignment, doing: str) -> azure_roles.Assignment:
    body = payload({"properties": azure_roles.writable(wanted)})
    with refusals(doing):
        answer = raw(doing, wanted.id)
        return _assignment(_client(arm).role_assignments.create_by_id(wanted.id.strip("/"), body, cls=answer))


def _client(arm: Arm) -> t.Any:
    with library("azure-mgmt-authorization"):
        from azure.mgmt.authorization import AuthorizationManagementClient
    # Every call here carries its scope; the client only insists on having some subscription.
    return arm.typed(AuthorizationManagementClient, subscription="unused")


def _assignment(body: Body) -> azure_roles.Assignment:
    return azure_roles.Assignment(body["id"], arm_id.last_segment(body["id"]), body.get("properties") or {})


def _role(body: Body) -> azure_roles.Role:
    name = str((body.get("properties") or {}).get("roleName") or "")
    return azure_roles.Role(name, arm_id.last_segment(body["id"]).lower())
