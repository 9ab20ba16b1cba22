# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation that the role pod_identity_uninstall removes."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import assignment, call, create, identities, pair
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player, finish
from azsandbox.azure.loopback import SimulatedAzure

UNINSTALL = str(CHECKOUT / "playbooks/uninstall.yml")
CARRIER = {"resource_group": "rg", "cluster_name": "demo"}


@dataclass(frozen=True)
class Site:
    """A cluster in Azure with this API server, and what pods got there."""

    modules: Modules
    server: ApiServer
    client: Client
    namespace: str
    directory: Path
    billing: str
    foreign: str

    def play(self, *arguments: str, **options: Any) -> tuple[int, str]:
        status, output = finish(self.start(*arguments, **options), 600)
        return status, " ".join(output.split())

    def start(self, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        environment = {**self.modules.environment, "ANSIBLE_SHOW_CUSTOM_STATS": "1"}
        player = Player(self.directory / f"player{len(list(self.directory.iterdir()))}", environment)
        defaults = {
            "pod_identity_cluster_name": "demo",
            "pod_identity_resource_group": "rg",
            "pod_identity_kubeconfig": self.server.kubeconfig(),
            "pod_identity_uninstall_owner": "shop",
            "pod_identity_artifact_target": f"secret:{self.namespace}/bundle",
            "pod_identity_uninstall_wait_timeout": 60,
            "pod_identity_uninstall_confirm": "demo",
            "pod_identity_uninstall_helm_binary": str(server.programs()[0] / "helm"),
        }
        return player.start(UNINSTALL, *arguments, **{**defaults, **variables})

    def attached(self) -> set[str]:
        found = self.modules.succeed("vmss_identity_info", **CARRIER)["resources"]
        return {each["id"].lower() for place in found for each in place["identities"]}

    def bundles(self) -> list[dict[str, Any]]:
        found = [
            each for each in self.client.list_all(kinds.SECRET, self.namespace) if "bundle.json" in (each["data"] or {})
        ]
        return [json.loads(base64.b64decode(each["data"]["bundle.json"])) for each in found]

    def look(self) -> list[dict[str, Any]]:
        """What there is, byte for byte."""
        listed = (kinds.AZURE_IDENTITY, kinds.AZURE_IDENTITY_BINDING, kinds.AZURE_ASSIGNED_IDENTITY)
        return [each for kind in listed for each in self.client.list_all(kind)]


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[SimulatedAzure]:
    azure = SimulatedAzure(tmp_path)
    azure.cluster(name="demo")
    call(azure, "127.0.0.1")
    yield azure
    azure.close()


@pytest.fixture
def site(
    azure: SimulatedAzure,
    api_server: ApiServer,
    client: Client,
    definitions: list[dict[str, Any]],
    namespace: str,
    tmp_path: Path,
) -> Iterator[Site]:
    """An identity is assigned to a pod on a node that is gone, and its MIC too; another identity is somebody else's."""
    (tmp_path / "home").mkdir()
    (tmp_path / "players").mkdir()
    modules = Modules(azure, tmp_path / "home")
    server.remove_nodes(client)
    server.install(client, definitions)
    server.remove(client, definitions)
    server.install(client, definitions)
    billing, foreign = assign(modules, client, namespace)
    yield Site(modules, api_server, client, namespace, tmp_path / "players", billing.lower(), foreign.lower())
    server.restore(client, definitions)


def assign(modules: Modules, client: Client, namespace: str) -> tuple[str, str]:
    """The ids of the identity that a pod had, and of that of somebody else; both are on the scale set.

    The kubelets' identity, as which MIC ran, may attach the first.
    """
    billing, foreign = identities(modules, "billing", "foreign")
    let_attach(modules, billing["id"])
    modules.succeed("vmss_identity", **CARRIER, identities=[billing["id"], foreign["id"]], poll_interval=0.1)
    ids = billing["id"], billing["client_id"]
    made = pair(client, namespace, "billing", *ids, selector="billing", labels=marks("shop"))
    assigned = assignment("api", namespace, *made, node="gone")
    put(client, kinds.AZURE_ASSIGNED_IDENTITY, "default", "api-billing", assigned, finalizers=[FINALIZER])
    return str(billing["id"]), str(foreign["id"])


def let_attach(modules: Modules, identity: str) -> None:
    """Let the kubelets' identity, as which MIC runs, attach another one."""
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
    principal = cluster["kubelet_identity"]["object_id"]
    modules.succeed("role_assignment", scope=identity, role="Managed Identity Operator", principal_id=principal)


def has_definitions(client: Client) -> bool:
    return client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, kinds.AZURE_ASSIGNED_IDENTITY.resource) is not None


def put(client: Client, kind: Kind, namespace: str, name: str, spec: dict[str, Any], **metadata: Any) -> None:
    create(client, kind, namespace, name, spec=spec, metadata=metadata)


def account(output: str) -> list[dict[str, Any]]:
    """The rows of the table of a play, as it leaves them to whoever started it."""
    told, _end = json.JSONDecoder().raw_decode(output.partition("RUN: ")[2])
    return list(told["pod_identity_uninstall"]["localhost"]["audit"])


def states(rows: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(row["where"], row["what"], row["state"]) for row in rows}


def predicts(would: list[dict[str, Any]], rows: list[dict[str, Any]]) -> bool:
    """Whether the account of check mode is that of the run."""
    return rows == [{**row, "state": row["state"].replace("would remove", "removed")} for row in would]


def changed(output: str) -> int:
    """How many tasks of a play changed something."""
    found = re.search(r"changed=(\d+)", output)
    assert found, output
    return int(found[1])


def helm(site: Site, *arguments: str) -> str:
    return site.server.helm(*arguments)
