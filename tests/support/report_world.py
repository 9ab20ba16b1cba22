# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observations of small clusters, made as the modules make their results."""

from __future__ import annotations

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import Observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import observed as migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.telling import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.world import World
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    ID,
    Raw,
    assigned,
    binding,
    identity,
    pod,
    template,
)

TIME = "2026-03-01T12:00:00Z"
SET = "/subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/pool"
ISSUER = "https://westeurope.oic.prod-aks.azure.com/tenant/cluster/"


def objects(**lists: list[Raw]) -> dict[str, list[Raw]]:
    """A Deployment with an identity, and one to which no binding gives any."""
    one, lost = identity(), template("lost", "nobody")
    by, mine = binding(), pod("web-1", owner=("ReplicaSet", "web-1"))
    return {
        "AzureIdentity": [one],
        "AzureIdentityBinding": [by],
        "AzurePodIdentityException": [],
        "AzureAssignedIdentity": [assigned(mine, by, one)],
        "Deployment": [template(), lost],
        "ReplicaSet": [template("web-1", owner=("Deployment", "web"))],
        "Pod": [mine],
        "Node": [{"metadata": {"name": "n1"}}],
        **lists,
    }


def inventory(found: t.Mapping[str, list[Raw]], *, audit: bool = False) -> Raw:
    """As pod_identity_info returns it."""
    one = Inventory(Cluster.parse(found, {}))
    residue = {"residue": [asdict(each) for each in findings.residue(one)]} if audit else {}
    return {
        "rules": {**asdict(one.cluster.rules), "version": "1.8.17"},
        "workloads": one.workload_rows(),
        "identities": one.identity_rows(),
        "assignments": one.assignments(),
        "assigned": one.assigned_rows(),
        "findings": [asdict(finding) for finding in findings.find(one)],
        **residue,
    }


def diagnosis(found: dict[str, list[Raw]]) -> Raw:
    """As pod_identity_diagnosis_info returns it."""
    return diagnose(Observed(Inventory(Cluster.parse(found, {})), found)).as_data()


def plan(found: dict[str, list[Raw]], *credentials: Credential) -> Raw:
    """As workload_identity_info returns it."""
    trusted = {f"{ID}team-i".lower(): list(credentials)}
    cluster = Inventory(Cluster.parse(found, {}))
    one = migration.Observed(inventory=cluster, objects=found, issuer=ISSUER, credentials=trusted)
    return as_data(World(one, migration.Choices()))


def token(verdict: str = "ok", **more: t.Any) -> Raw:
    """A row of pod_identity_verification."""
    place = {"namespace": "team", "pod": "web-1", "node": "n1", "selector": "x", "service_account": "web"}
    return {
        **place,
        "identity": "team/i",
        "path": "pod_identity",
        "verdict": verdict,
        "message": "The token is right." if verdict == "ok" else "NMI answered 404.",
        "claims": {"aud": "https://management.azure.com/", "oid": "1-2", "secret": "s"},
        **more,
    }


NODES: Raw = {
    "nodes": [{"name": "n1", "scale_set": SET, "scale_set_name": "pool", "ready": True, "nmi_state": "active"}]
}
_CARRIED = [
    {"id": f"{ID}team-i", "ownership": "used", "ownership_because": "a pod uses it"},
    {"id": f"{ID}old", "ownership": "removable", "ownership_because": "MIC wrote it"},
]
CARRIERS: Raw = {"resources": [{"id": SET.lower(), "name": "pool", "identities": _CARRIED}], "unread": []}


def document(*clusters: Raw) -> Raw:
    return {"clusters": list(clusters)}


def cluster(name: str = "prod", time: str = TIME, **results: t.Any) -> Raw:
    return {"name": name, "sources": {key: {"observed_at": time, "result": each} for key, each in results.items()}}
