# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook leftovers on a cluster whose objects of pod identity outlived the chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    DEPLOYMENT,
    NODE,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, make, reference
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.leftovers import PLAYBOOK, outcomes, told
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import World, attach
from azsandbox.azure.loopback import SimulatedAzure


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "azure"
    folder.mkdir()
    azure = SimulatedAzure(folder)
    yield World(azure)
    azure.close()


@pytest.fixture
def node(client: Client, world: World) -> Iterator[str]:
    """Tells that the API server is that of the cluster in Azure."""
    name = world.body()["name"]
    provider = f"azure://{world.scale_set}/virtualMachines/0"
    client.create(NODE, None, {"metadata": {"name": name}, "spec": {"providerID": provider}})
    yield name
    client.delete(NODE, None, name)


def test_objects_tell_what_is_known_and_what_is_used(
    request: pytest.FixtureRequest,
    api_server: ApiServer,
    client: Client,
    crds: None,
    namespace: str,
    world: World,
    node: str,
    tmp_path: Path,
) -> None:
    used, bound, orphan, claimed, _stranger = attach(world, "used", "bound", "orphan", "claimed", "stranger")
    for name, identity in (("used", used), ("bound", bound), ("claimed", claimed)):
        spec = {"type": 0, "resourceID": identity, "clientID": f"client-{name}"}
        create(client, AZURE_IDENTITY, namespace, name, spec=spec)
    create(client, AZURE_IDENTITY_BINDING, namespace, "used", spec={"azureIdentity": "used", "selector": namespace})
    make(client, DEPLOYMENT, namespace, "web", namespace)
    gone: dict[str, Any] = {"type": 0, "resourceID": orphan, "clientID": "client-orphan"}
    assigned = {
        "pod": "gone",
        "podNamespace": namespace,
        "nodename": f"gone-{namespace}",
        "azureIdentityRef": reference(AZURE_IDENTITY, namespace, gone),
        "azureBindingRef": reference(AZURE_IDENTITY_BINDING, namespace, {"azureIdentity": "money", "selector": "x"}),
    }
    create(client, AZURE_ASSIGNED_IDENTITY, namespace, f"gone-{namespace}-money", spec=assigned)
    request.addfinalizer(lambda: client.delete(AZURE_ASSIGNED_IDENTITY, namespace, f"gone-{namespace}-money"))
    home = tmp_path / "home"
    home.mkdir()
    modules = Modules(world.azure, home)
    for each in (bound, orphan):
        world.let_attach(modules, each)
    shown = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    player = Player(tmp_path / "play", {**modules.environment, **shown})
    desired = {
        "pod_identity_resource_group": "rg",
        "pod_identity_cluster_name": "c1",
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    status, output = player.play(PLAYBOOK, **desired)
    assert status == 0 and "changed=0" in output, output
    found = told(output)
    rows = {each["identity"].lower(): each for each in found["identities"]}
    assert {name: (row["ownership"], row["outcome"]) for name, row in rows.items()} == {
        "used": ("used", "stays"),
        "bound": ("removable", "can be detached"),
        "orphan": ("removable", "can be detached"),
        "claimed": ("unknown", "stays"),
        "stranger": ("unknown", "stays"),
        "c1-agentpool": ("protected", "stays"),
    }
    assert rows["used"]["why"] == f"it is still for Deployment {namespace}/web"
    proof = f", and the identity of the kubelets holds the role Managed Identity Operator at {bound}"
    assert rows["bound"]["why"].lower() == f"known from AzureIdentity {namespace}/bound{proof}".lower()
    assert rows["orphan"]["why"].startswith(f"known from AzureAssignedIdentity {namespace}/gone-{namespace}-money, and")
    codes = {(each["code"], each["object"]) for each in found["residue"]}
    assert ("identity_left", f"AzureIdentity {namespace}/bound") in codes
    assert ("assignment_orphaned", f"AzureAssignedIdentity {namespace}/gone-{namespace}-money") in codes
    back, by_name = found["undetermined"]
    assert by_name == "Objects of the cluster name claimed, but nothing proves that MIC attached that."
    about, commands = ([each[key] for each in found["commands"]] for key in ("about", "command"))
    assert f'{{"pod_identity_leftovers_identities": ["{claimed}"]}}'.lower() in commands[-1].lower()
    assert set(commands) < set(output.splitlines()), output
    # Other tests share the API server, and may have an NMI there at the same time.
    others = {code for code, what in codes if what.startswith("DaemonSet ")}
    nobody, doubted = "no NMI is installed to serve them.", "it is not known whether NMI serves them: DaemonSet "
    served = "NMI (" if "installation_left" in others else doubted if "not_believed" in others else nobody
    assert back.startswith(f"used stay, because workloads use them, and {served}")
    assert about[-2].startswith("To detach bound, orphan, with ")

    remove = {
        "pod_identity_leftovers_remove": True,
        "pod_identity_leftovers_confirm": "c1",
        "pod_identity_artifact_target": str(tmp_path / "saved"),
        "_pod_identity_bundle_marks": [],
    }
    status, output = player.play(PLAYBOOK, **desired, **remove)
    assert status == 0, output
    assert {name for name, outcome in outcomes(output).items() if outcome == "detached"} == {"bound", "orphan"}
    assert world.carried() == {"used", "claimed", "stranger", "c1-agentpool"}
    assert not list(player.temporary.glob("azureops-pod-identity-*"))


def test_what_abandoned_nodes_are_told_by(
    api_server: ApiServer, client: Client, crds: None, namespace: str, world: World, node: str, tmp_path: Path
) -> None:
    """Only where AAD Pod Identity is gone and identities are left it is looked up whether pods are bound to them."""
    (stray,) = attach(world, "stray")
    home = tmp_path / "home"
    home.mkdir()
    named = {"resource_group": "rg", "cluster_name": "c1", "kubeconfig": api_server.kubeconfig()}

    def look(**more: Any) -> dict[str, Any]:
        nodes = Modules(world.azure, home).succeed("aks_node_info", **named, **more)["nodes"]
        (seen,) = (each for each in nodes if each["name"] == node)
        return dict(seen)

    create(client, AZURE_IDENTITY_BINDING, namespace, "web", spec={"azureIdentity": "web", "selector": namespace})
    seen = look()
    assert (seen["nmi_state"], seen["addon"]) == ("missing", False)
    assert [each.lower() for each in seen["foreign_identities"]] == [stray.lower()]
    assert seen["bindings"] is True
    assert look(protected_identities=[stray])["bindings"] is None
    assert client.has_any(AZURE_IDENTITY_BINDING)
    assert not client.has_any(Kind("aadpodidentity.k8s.io", "v1", "nothings", "Nothing"))
