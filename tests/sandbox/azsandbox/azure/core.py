# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every service of the simulated Azure shares."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import ids, rbac
from .clock import Clock
from .compute import Compute
from .operations import Operations
from .rbac import Denial, Grant, Role
from .roles import BY_ID
from .state import DENY_ASSIGNMENT, ROLE_ASSIGNMENT, ROLE_DEFINITION, Principal, Resource, State
from .tokens import Signer
from .wire import JsonObject, timestamp

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoints:
    """Base URLs as clients see them; requests are told apart by their Host header."""

    arm: str = "https://management.azure.com"
    entra: str = "https://login.microsoftonline.com"
    graph: str = "https://graph.microsoft.com"
    imds: str = "http://169.254.169.254"
    charts: str = "https://raw.githubusercontent.com"
    issuer_domain: str = "oic.prod-aks.azure.com"

    def host(self, service: str) -> str:
        return urlsplit(str(getattr(self, service))).netloc


@dataclass(frozen=True)
class Address:
    host: str
    port: int


@dataclass(frozen=True)
class Config:
    """How the server is set up."""

    tenant_id: str
    subscription_id: str
    client_id: str
    """The service principal that owns the subscription from the start."""
    client_secret: str
    state_dir: Path
    """The control socket ``azure.sock`` lies here."""
    certificate: Path
    private_key: Path
    https: tuple[Address, ...] = (Address("0.0.0.0", 443),)
    http: tuple[Address, ...] = (Address("169.254.169.254", 80),)
    endpoints: Endpoints = field(default_factory=Endpoints)
    time_scale: float = 0.02
    request_log: Path | None = None
    charts: Path | None = None
    kubernetes_version: str = "1.34.1"
    workload_identity: bool = True
    """Whether the machines have what the Workload ID add-on consists of."""

    @property
    def control_socket(self) -> Path:
        return self.state_dir / "azure.sock"


class Azure:
    """State and the services that act on it."""

    def __init__(self, config: Config, compute: Compute, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.compute = compute
        self.state = State(config.tenant_id, config.subscription_id)
        self.state.settings.time_scale = config.time_scale
        self.signer = Signer(config.tenant_id)
        self.operations = Operations(self.signer, config.endpoints.arm)
        self.imds_tokens: dict[tuple[str, str, str], tuple[int, str]] = {}
        """What IMDS has given out: machine, principal, resource -> time of issue, token."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._seed()

    # life

    def _seed(self) -> None:
        owner, _ = self.state.new_application("owner", self.config.client_id, self.config.client_secret)
        self.assign(owner, "Owner", f"/subscriptions/{self.config.subscription_id}")

    def add_subscription(self, name: str) -> str:
        """A further subscription of the tenant, with the same owner; its id."""
        subscription = str(uuid.uuid5(uuid.UUID(self.config.subscription_id), name))
        self.state.subscriptions[subscription] = name
        owner = self.state.principal_by_app(self.config.client_id)
        if owner is not None:
            self.assign(owner, "Owner", f"/subscriptions/{subscription}")
        return subscription

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background until it ends or the state is reset."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("background work failed", exc_info=task.exception())

    async def stop(self) -> None:
        """End background work and every cluster."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for cluster_id in [r.id for r in self.state.resources.values() if "spec" in r.hidden]:
            await self.compute.stop(cluster_id)

    async def reset(self) -> None:
        """Back to an empty subscription with its first service principal."""
        await self.stop()
        self.state.reset()
        self.operations.clear()
        self.imds_tokens.clear()
        self._seed()

    def scaled(self, real_seconds: float) -> float:
        return real_seconds * self.state.settings.time_scale

    def poll_headers(self) -> dict[str, str]:
        """When to ask for an operation again; Azure leaves it to the client, which waits half a minute.

        Time that passes faster than Azure's says so, or every client would wait for what is long over.
        """
        scale = self.state.settings.time_scale
        return {"Retry-After": str(max(1, round(30 * scale)))} if 0 < scale < 1 else {}

    async def pause(self, real_seconds: float) -> None:
        """Let pass what would be this long in the real Azure."""
        await self.clock.sleep(self.scaled(real_seconds))

    # access

    def role(self, role_id: str) -> Role | None:
        """A built-in or custom role by its GUID."""
        wanted = ids.last(role_id).lower()
        built_in = BY_ID.get(wanted)
        if built_in is not None:
            return built_in
        for resource in self.state.all(ROLE_DEFINITION):
            if resource.name.lower() == wanted:
                return custom_role(resource)
        return None

    def roles(self) -> list[Role]:
        return [*BY_ID.values(), *(custom_role(r) for r in self.state.all(ROLE_DEFINITION))]

    def grants(self) -> list[Grant]:
        """Role assignments that are in effect by now."""
        now = self.clock.now()
        found = []
        for assignment in self.state.all(ROLE_ASSIGNMENT):
            role = self.role(assignment.properties["roleDefinitionId"])
            if role is not None and assignment.hidden["effective"] <= now:
                found.append(Grant(assignment.properties["principalId"], role, assignment.properties["scope"]))
        return found

    def denials(self) -> list[Denial]:
        return [denial(resource) for resource in self.state.all(DENY_ASSIGNMENT)]

    def allowed(self, principal: Principal, action: str, scope: str) -> bool:
        """Whether a principal may do something, role and deny assignments considered."""
        if not self.state.settings.enforce_rbac:
            return True
        return (
            rbac.allows(self.grants(), principal.object_id, action, scope)
            and rbac.denied_by(self.denials(), principal.object_id, action, scope) is None
        )

    def assign(self, principal: Principal, role_name: str, scope: str) -> Resource:
        """Give a role at once, as Azure's own services do."""
        role = next(r for r in self.roles() if r.name.lower() == role_name.lower() or r.id == role_name.lower())
        name = str(uuid.uuid4())
        body = assignment_body(
            f"{scope}/providers/{ROLE_ASSIGNMENT}/{name}",
            {
                "roleDefinitionId": self.role_definition_id(role.id, scope),
                "principalId": principal.object_id,
                "principalType": "ServicePrincipal",
            },
            scope,
            created_by=principal.object_id,
        )
        return self.state.put(Resource(body["id"], ROLE_ASSIGNMENT, body, {"effective": self.clock.now()}))

    def deny(self, scope: str, name: str, actions: list[str], not_actions: list[str], excluded: list[str]) -> Resource:
        """A deny assignment for everybody but a few; Azure's own services make them, nobody else can."""
        resource_id = f"{scope}/providers/{DENY_ASSIGNMENT}/{uuid.uuid4()}"
        blocks = [{"actions": actions, "notActions": not_actions, "dataActions": [], "notDataActions": []}]
        properties = {
            "denyAssignmentName": name,
            "description": "",
            "permissions": blocks,
            "scope": scope,
            "doNotApplyToChildScopes": False,
            "principals": [{"id": rbac.EVERYONE, "type": "SystemDefined"}],
            "excludePrincipals": [{"id": principal, "type": "ServicePrincipal"} for principal in excluded],
            "isSystemProtected": True,
        }
        body = {"properties": properties, "id": resource_id, "type": DENY_ASSIGNMENT, "name": ids.last(resource_id)}
        return self.state.put(Resource(resource_id, DENY_ASSIGNMENT, body))

    def role_definition_id(self, role_id: str, scope: str) -> str:
        """As Azure tells it to who asks at a scope."""
        subscription = ids.subscription(scope) or self.config.subscription_id
        return f"/subscriptions/{subscription}/providers/{ROLE_DEFINITION}/{role_id}"


def assignment_body(resource_id: str, given: JsonObject, scope: str, created_by: str) -> JsonObject:
    """A role assignment as a GET answers it."""
    now = timestamp()
    return {
        "properties": {
            "roleDefinitionId": given["roleDefinitionId"],
            "principalId": given["principalId"],
            "principalType": given.get("principalType") or "ServicePrincipal",
            "scope": scope,
            "condition": given.get("condition"),
            "conditionVersion": given.get("conditionVersion"),
            "createdOn": now,
            "updatedOn": now,
            "createdBy": created_by,
            "updatedBy": created_by,
            "delegatedManagedIdentityResourceId": given.get("delegatedManagedIdentityResourceId"),
            "description": given.get("description"),
        },
        "id": resource_id,
        "type": ROLE_ASSIGNMENT,
        "name": ids.last(resource_id),
    }


def custom_role(resource: Resource) -> Role:
    """A stored role definition as the checks see it."""
    properties = resource.properties
    blocks = properties.get("permissions") or []

    def joined(name: str) -> tuple[str, ...]:
        return tuple(action for block in blocks for action in block.get(name) or ())

    return Role(
        resource.name,
        properties.get("roleName", ""),
        properties.get("description"),
        joined("actions"),
        joined("notActions"),
        joined("dataActions"),
        joined("notDataActions"),
        built_in=False,
        assignable_scopes=tuple(properties.get("assignableScopes") or ()),
    )


def denial(resource: Resource) -> Denial:
    """A stored deny assignment as the checks see it."""
    properties = resource.properties
    blocks = properties.get("permissions") or []
    return Denial(
        id=resource.id,
        name=properties["denyAssignmentName"],
        scope=properties["scope"],
        actions=tuple(action for block in blocks for action in block.get("actions") or ()),
        not_actions=tuple(action for block in blocks for action in block.get("notActions") or ()),
        principals=tuple(p["id"] for p in properties.get("principals") or ()),
        excluded_principals=tuple(p["id"] for p in properties.get("excludePrincipals") or ()),
    )
