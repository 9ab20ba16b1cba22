# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which connection may be used, and what proves that it leads to the named cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import sessions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.sessions import (
    KNOWN_AFTER_APPLY,
    UNNAMED,
    Connection,
    Named,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ID = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/one"
CLUSTER = {"id": ID, "name": "One", "resource_group": "RG", "fqdn": "One.azmk8s.io", "node_resource_group": "MC_one"}
NAMED = Named("one", "rg")
OPEN = Connection("role", "/run/d", ID, True, "/run/d/kubeconfig", "", True)
PROVIDER = "azure:///subscriptions/S/resourceGroups/mc_one/providers/Microsoft.Compute/virtualMachineScaleSets/a/0"


def refused(ask: Callable[[], object]) -> str:
    """The sentence of a refusal; empty where there is none."""
    try:
        ask()
    except Failure as failure:
        return failure.sentence
    return ""


@table(
    "named, cluster, known",
    (NAMED, CLUSTER, True),
    (replace(NAMED, name="two"), CLUSTER, False),
    (replace(NAMED, resource_group="other"), CLUSTER, False),
    (NAMED, {}, False),
)
def test_what_is_known_of_a_cluster(named: Named, cluster: dict[str, Any], known: bool) -> None:
    assert named.is_of(cluster) == known


@table("named, told", (NAMED, ""), (replace(NAMED, name=""), UNNAMED), (replace(NAMED, resource_group=""), UNNAMED))
def test_name_and_group_name_a_cluster(named: Named, told: str) -> None:
    assert refused(named.require_names) == told


@table(
    "named, plugin, told",
    (NAMED, "azure", False),
    (NAMED, "kubenet", True),
    (replace(NAMED, allow_network_plugin_kubenet=True), "kubenet", False),
    (replace(NAMED, state="absent"), "kubenet", False),
)
def test_kubenet_is_refused(named: Named, plugin: str, told: bool) -> None:
    sentence = refused(lambda: named.refuse_kubenet({**CLUSTER, "network_plugin": plugin}))
    assert sentence.startswith("Cluster one uses the network plugin kubenet") == told


def test_there_has_to_be_a_cluster() -> None:
    assert refused(lambda: NAMED.require({})).startswith("Cluster one does not exist in resource group rg; correct")
    assert not refused(lambda: NAMED.require(CLUSTER))


@table(
    "named, connection, cluster, sentence",
    (NAMED, OPEN, {**CLUSTER, "id": ID.upper()}, ""),
    (NAMED, OPEN, {**CLUSTER, "id": ID + "2"}, "(which is another)"),
    (NAMED, OPEN, {}, "(which does not exist)"),
    (Named(), OPEN, {}, ""),
    (NAMED, replace(OPEN, cluster=""), {**CLUSTER, "id": ID + "2"}, ""),
    (NAMED, Connection(), {}, ""),
)
def test_a_connection_to_another_cluster_is_refused(
    named: Named, connection: Connection, cluster: dict[str, Any], sentence: str
) -> None:
    told = refused(lambda: connection.refuse_another(named, cluster))
    assert (sentence in told, bool(told)) == (True, bool(sentence))


@table(
    "named, cluster, fetched, expected",
    (NAMED, CLUSTER, True, OPEN),
    (NAMED, CLUSTER, False, replace(OPEN, fetched=False)),
    (NAMED, {**CLUSTER, "fqdn": KNOWN_AFTER_APPLY}, True, replace(OPEN, kubeconfig=KNOWN_AFTER_APPLY, reachable=False)),
    (Named(), {}, False, replace(OPEN, cluster="", fetched=False)),
    (Named(), {**CLUSTER, "fqdn": KNOWN_AFTER_APPLY}, False, replace(OPEN, cluster="", fetched=False)),
)
def test_what_is_kept_of_a_connection(
    named: Named, cluster: dict[str, Any], fetched: bool, expected: Connection
) -> None:
    connection = Connection.opened("role", "/run/d", named, cluster, fetched=fetched)
    assert connection == expected == Connection.parse(connection.fact())


@table(
    "connection, entra, renewed",
    (OPEN, True, True),
    (OPEN, False, False),
    (replace(OPEN, fetched=False), True, False),
    (replace(OPEN, cluster=""), True, False),
    (replace(OPEN, reachable=False), True, False),
)
def test_only_a_token_can_end(connection: Connection, entra: bool, renewed: bool) -> None:
    assert connection.may_outlive_its_token({**CLUSTER, "aad_enabled": entra}) == renewed


@table(
    "server, fqdn, private, named",
    ("https://one.azmk8s.io:443", "One.azmk8s.io", "", True),
    ("https://ONE.azmk8s.io", "one.azmk8s.io", "", True),
    ("https://x.privatelink:443/", "one.azmk8s.io", "x.privatelink", True),
    ("https://one.azmk8s.io.example.com", "one.azmk8s.io", "", False),
    ("https://one.azmk8s.io@example.com", "one.azmk8s.io", "", False),
    ("https://127.0.0.1:6443", "one.azmk8s.io", "", False),
    ("https://", "", "", False),
    ("https://[", "one.azmk8s.io", "", False),
    ("", "", "", False),
)
def test_the_name_of_the_server(server: str, fqdn: str, private: str, named: bool) -> None:
    cluster = {**CLUSTER, "fqdn": fqdn, "private_fqdn": private}
    assert sessions.has_name_of(cluster, server) == named
    assert sessions.needs_proof(OPEN, cluster, server) == (not named)
    assert sessions.needs_proof(replace(OPEN, fetched=False), cluster, server)
    assert sessions.needs_proof(OPEN, {**cluster, "private_cluster": True}, server)


@table(
    "providers, group, proved",
    ([PROVIDER], "MC_one", True),
    (["", PROVIDER.replace("mc_one", "other"), PROVIDER], "MC_one", True),
    ([PROVIDER], "MC_two", False),
    ([PROVIDER], "MC_on", False),
    ([PROVIDER.replace("/S/", "/T/")], "MC_one", False),
    ([PROVIDER.removeprefix("azure://")], "MC_one", False),
    (["x" + PROVIDER], "MC_one", False),
    ([], "MC_one", False),
    ([PROVIDER.replace("mc_one", "")], "", False),
)
def test_the_nodes_prove_the_cluster(providers: list[str], group: str, proved: bool) -> None:
    nodes = [{"spec": {"providerID": provider}} for provider in providers] + [{"spec": None}, {}]
    cluster = {**CLUSTER, "node_resource_group": group}
    told = refused(lambda: sessions.refuse_foreign_nodes(cluster, "one", nodes))
    assert bool(told) == (not proved)
    if not proved:
        assert told == (
            f"The kubeconfig belongs to another cluster than one: none of its {len(nodes)} nodes lies in resource "
            f"group {group}; correct pod_identity_kubeconfig, pod_identity_context or pod_identity_cluster_name."
        )


def test_what_cannot_be_proved_is_told() -> None:
    told = refused(lambda: sessions.refuse_unproved({**CLUSTER, "private_fqdn": "p"}, "one", "https://x"))
    assert told.startswith(
        "It cannot be told whether https://x belongs to cluster one: AKS calls that one one.azmk8s.io or p,"
    )
    told = refused(lambda: sessions.refuse_unresolved(CLUSTER, "one"))
    assert told.startswith(
        "Cluster one is a private one, and the name of its API server, One.azmk8s.io, cannot be resolved"
    )
