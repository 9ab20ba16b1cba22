# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the simulated Azure remembers, in memory."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from . import ids
from .wire import JsonObject

GROUP = "Microsoft.Resources/resourceGroups"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
FEDERATED_CREDENTIAL = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
CLUSTER = "Microsoft.ContainerService/ManagedClusters"
SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"
VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
INSTANCE = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"
DENY_ASSIGNMENT = "Microsoft.Authorization/denyAssignments"
LOCK = "Microsoft.Authorization/locks"

PROVIDERS = tuple(
    (
        "Microsoft.Authorization Microsoft.Compute Microsoft.ContainerService Microsoft.Insights "
        "Microsoft.ManagedIdentity Microsoft.Network Microsoft.Resources Microsoft.Storage"
    ).split()
)


@dataclass
class Resource:
    """One object of ARM."""

    id: str
    """As answered, in its provider's casing."""
    type: str
    body: JsonObject
    """As a GET answers it."""
    hidden: JsonObject = field(default_factory=dict)
    """What the service knows and never shows."""

    @property
    def name(self) -> str:
        return ids.last(self.id)

    @property
    def properties(self) -> JsonObject:
        properties: JsonObject = self.body.setdefault("properties", {})
        return properties


class PrincipalKind(Enum):
    APPLICATION = "Application"
    MANAGED_IDENTITY = "ManagedIdentity"


@dataclass(frozen=True)
class Secret:
    value: str
    expires: float
    """Wall-clock time."""


@dataclass
class ApplicationCredential:
    """A federated credential of an application."""

    body: JsonObject
    """As Graph answers it."""
    visible: float = 0.0
    """From when on the token endpoint knows it, by the clock of this Azure."""


@dataclass
class Principal:
    """A service principal of the directory; managed identities are those with a ``resource_id``.

    All others are those of an application of this tenant, which has an object id of its own.
    """

    object_id: str
    app_id: str
    name: str
    kind: PrincipalKind
    resource_id: str | None = None
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list)
    """PEM."""
    application_id: str = ""
    """Object id of the application; managed identities have none."""
    owners: list[str] = field(default_factory=list)
    """Object ids of the service principals that own the application."""
    federated: list[ApplicationCredential] = field(default_factory=list)
    graph: list[str] = field(default_factory=list)
    """Permissions of Microsoft Graph that it was granted as an application, such as Application.ReadWrite.OwnedBy."""
    groups: list[str] = field(default_factory=list)
    """Object ids of the groups that it is a member of."""
    refusals_left: int = 0
    """How often role assignments without a principalType still answer PrincipalNotFound."""


@dataclass
class Settings:
    """What tests and people may turn; durations are real Azure's, in seconds, and are multiplied by time_scale."""

    time_scale: float = 0.02
    enforce_rbac: bool = True
    principal_not_found: int = 3
    """Refusals per new principal, unless principalType is given."""
    role_assignment_delay: float = 0.0
    """From the assignment to its effect."""
    federated_credential_delay: float = 10.0
    """From the federated credential to its effect at the token endpoint."""
    federated_credential_write: float = 1.0
    """How long a write of a federated credential takes; one that overlaps it is refused."""
    assertion_leeway: float = 300.0
    """How long (seconds, not scaled) an assertion is taken before its time and after its end."""
    deleted_cluster_memory: float = 60.0
    """How long a deleted or refused cluster answers the AKS provider's own 404 instead of ARM's."""
    page_size: int = 0
    """How many items a list shows at once; 0: as many as the service does."""
    pod_identities_block: bool = False
    """Whether a pod identity that cannot be assigned has every change of the add-on refused, as users report
    (Azure/AKS#2203, Azure/AKS#2943, Azure/aad-pod-identity#1361). No recording shows it, so this is self-consistent."""
    cluster_etags: bool = False
    """Give clusters eTags at stable api-versions, as the specification has it; no recording shows one there."""
    cluster_update_drops_identities: bool = False
    """Whether a write of an existing cluster leaves on the scale sets only the identities that AKS itself gives them,
    as users report (Azure/aad-pod-identity#633, Azure/AKS#1650). No recording shows it, so this is self-consistent."""
    cluster_update: float = 121.0
    cluster_delete: float = 198.0
    cluster_stop: float = 120.0
    cluster_start: float = 150.0
    """Besides what the machines themselves take, as of the stop."""
    scale_set_update: float = 5.0
    instance_reimage: float = 60.0
    """Besides what the machine itself takes."""
    group_delete: float = 45.0
    log_whole: bool = False
    """Whether the log also has requests to ARM as they came, secrets included, for tests that look for these."""


class State:
    """Resources by lower-cased id, principals by object id."""

    def __init__(self, tenant_id: str, subscription_id: str) -> None:
        self.tenant_id = tenant_id
        self.subscription_id = subscription_id
        self.resources: dict[str, Resource] = {}
        self.principals: dict[str, Principal] = {}
        self.subscriptions: dict[str, str] = {}
        """Display names; the first is the sandbox's own."""
        self.unregistered: set[tuple[str, str]] = set()
        """Subscription and lower-cased namespace."""
        self.left_clusters: dict[str, tuple[float, str]] = {}
        """Clusters that ARM still knows and the AKS provider does not: since when, subcode of its 404."""
        self.events: list[JsonObject] = []
        """The activity log, oldest first."""
        self.settings = Settings()
        self.reset()

    def reset(self) -> None:
        """One subscription, and that empty; settings stay."""
        self.subscriptions = {self.subscription_id: "Sandbox"}
        self.resources.clear()
        self.principals.clear()
        self.left_clusters.clear()
        self.unregistered.clear()
        self.events.clear()

    # resources

    def get(self, resource_id: str) -> Resource | None:
        return self.resources.get(ids.key(resource_id))

    def put(self, resource: Resource) -> Resource:
        self.resources[ids.key(resource.id)] = resource
        return resource

    def remove(self, resource_id: str) -> None:
        """Forget a resource and everything below it."""
        for found in list(self.within(resource_id)):
            self.resources.pop(ids.key(found.id), None)
            principal = found.hidden.get("principal")
            if isinstance(principal, str):
                self.principals.pop(principal, None)

    def within(self, scope: str, kind: str | None = None) -> Iterator[Resource]:
        """Resources at or below a scope, oldest first."""
        for resource in self.resources.values():
            if (kind is None or resource.type == kind) and ids.is_within(resource.id, scope):
                yield resource

    def all(self, kind: str) -> Iterator[Resource]:
        return (resource for resource in self.resources.values() if resource.type == kind)

    # principals

    def principal_by_app(self, app_id: str) -> Principal | None:
        wanted = app_id.lower()
        return next((p for p in self.principals.values() if p.app_id == wanted), None)

    def applications(self) -> Iterator[Principal]:
        """The service principals of the applications of this tenant."""
        return (each for each in self.principals.values() if each.application_id)

    def new_managed_identity(self, name: str, resource_id: str) -> Principal:
        made = Principal(str(uuid.uuid4()), str(uuid.uuid4()), name, PrincipalKind.MANAGED_IDENTITY, resource_id)
        made.refusals_left = self.settings.principal_not_found
        return self.add_principal(made)

    def new_application(self, name: str, app_id: str | None = None, secret: str | None = None) -> tuple[Principal, str]:
        """A service principal with one secret; returns both."""
        value = secret or secrets.token_urlsafe(30)
        principal = Principal(
            object_id=str(uuid.uuid4()),
            app_id=(app_id or str(uuid.uuid4())).lower(),
            name=name,
            kind=PrincipalKind.APPLICATION,
            application_id=str(uuid.uuid4()),
            secrets=[Secret(value, time.time() + 365 * 86400)],
        )
        return self.add_principal(principal), value

    def add_principal(self, principal: Principal) -> Principal:
        self.principals[principal.object_id] = principal
        return principal
