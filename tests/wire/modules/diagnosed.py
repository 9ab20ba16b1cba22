# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster in the simulated Azure whose identities are diagnosed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    assigned,
    binding,
    identity,
    pod,
)
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.observed_world import node, program, world
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import World
from azsandbox.azure.loopback import Credentials, SimulatedAzure

AUTHORIZATION = "/providers/Microsoft.Authorization"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
OPERATOR, CONTRIBUTOR = "Managed Identity Operator", "Virtual Machine Contributor"
PAGE = {"status": 404, "body": "<html>Not here</html>", "count": 0}


class Diagnosed(World):
    """A cluster with pods, and the identity of its nodes with the roles that MIC needs."""

    def __init__(self, azure: SimulatedAzure) -> None:
        super().__init__(azure)
        self.rg = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
        self.nodes = self.scale_set.partition("/providers/")[0]
        self.principal = str(self.cluster["properties"]["identityProfile"]["kubeletidentity"]["objectId"])
        self.provider = f"azure://{self.scale_set}/virtualMachines/0"

    def grant(self, role: str, scope: str) -> None:
        self.azure.assign(scope, azure_roles.BUILT_IN.get(role, role), self.principal).raise_for_status()

    def reader_without(self, *hidden: str) -> Credentials:
        """Somebody who may read everything but what these actions read."""
        self.azure.custom_role("Looks", self.rg, ["*/read"], hidden)
        return self.azure.principal("somebody", ("Looks", self.rg.partition("/resourceGroups/")[0]))

    def grant_all(self) -> None:
        self.grant(OPERATOR, self.rg)
        self.grant(CONTRIBUTOR, self.nodes)

    def observed(
        self, *ids: str, state: str = "Created", components: tuple[Component, ...] = (), **more: Any
    ) -> Observed:
        """The cluster with a pod for each of these identities."""
        objects: dict[str, list[Raw]] = {
            "Pod": [pod(f"p{one}", f"s{one}") for one in range(len(ids))],
            "AzureIdentity": [
                identity(f"i{one}", resourceID=each, clientID=self.client_id(each)) for one, each in enumerate(ids)
            ],
            "AzureIdentityBinding": [binding(f"b{one}", f"i{one}", f"s{one}") for one in range(len(ids))],
            "Deployment": [],
            "ReplicaSet": [],
            "Node": [node(provider=self.provider)],
        }
        parts = zip(objects["Pod"], objects["AzureIdentityBinding"], objects["AzureIdentity"], strict=True)
        objects["AzureAssignedIdentity"] = [assigned(*each, state) for each in parts]
        return world(**{**objects, **more}, components=components or (program(MIC), program(NMI)))

    def client_id(self, identity_id: str) -> str:
        """As Azure has it; any for what is no identity of this subscription."""
        state = self.azure.server.azure.state
        known = self.azure.in_loop(lambda: state.get(identity_id))
        return str(known.body["properties"].get("clientId", "none")) if known else "none"


def connecting(modules: Modules, monkeypatch: pytest.MonkeyPatch, who: Credentials | None = None) -> Callable[..., Arm]:
    """How the owner of the subscription, or somebody else, connects to Azure."""
    for name in ("AZURE_CONFIG_DIR", "AZURE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for key, value in {**modules.environment, **(modules.login(who) if who else {})}.items():
        monkeypatch.setenv(key, value)

    def connect(**options: Any) -> Arm:
        given = {key: spec.get("default") for key, spec in azure_auth().options.items()}
        given |= {"cloud_environment": modules.environment["AZURE_CLOUD_ENVIRONMENT"], "wait_timeout": 5, **options}
        return Arm.connect(given, lambda *_arguments, **_more: (1, "", ""))

    return connect


def asked(modules: Modules, mark: int) -> list[str]:
    """Path of each request to ARM below the subscription, in lower case."""
    paths = (str(entry["path"]).lower() for entry in modules.requests(mark))
    return [path for path in paths if path.startswith("/subscriptions/")]


ISSUER, AUDIENCE = "https://westeurope.oic.prod-aks.azure.com/t/c/", "api://AzureADTokenExchange"


def trust(cluster: Diagnosed, identity_id: str, account: str, issuer: str = ISSUER) -> None:
    properties = {"issuer": issuer, "subject": f"system:serviceaccount:team:{account}", "audiences": [AUDIENCE]}
    path = f"{identity_id}/federatedIdentityCredentials/one"
    cluster.azure.arm("PUT", path, {"properties": properties}, version="2023-01-31").raise_for_status()


def lists_of_credentials(modules: Modules, mark: int) -> list[str]:
    return [path for path in asked(modules, mark) if path.endswith("/federatedidentitycredentials")]
