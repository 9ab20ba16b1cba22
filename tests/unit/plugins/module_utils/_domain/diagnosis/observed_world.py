# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is observed of a small healthy cluster with MIC and NMI, and changes of it."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import Table
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Line, Log
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import Raw, healthy

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=timezone.utc)
HOME = "kube-system"
MIC_POD, NMI_POD = "mic-5d-a", "nmi-a"
SCALE_SET = "aks-pool-1-vmss"
PROVIDER = (
    f"azure:///subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/{SCALE_SET}"
    "/virtualMachines/0"
)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready(name: str, **status: t.Any) -> Raw:
    """A pod of an installation, which started an hour ago."""
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "startTime": ago(3600), "conditions": conditions, **status}
    return {"metadata": {"name": name, "namespace": HOME}, "spec": {"nodeName": "n1"}, "status": status}


def program(name: str, *pods: Raw, arguments: t.Sequence[str] = (), version: str = "v1.8.17") -> Component:
    """MIC or NMI of a helm release with its pods; one that is Ready where none is given."""
    kind = "Deployment" if name == MIC else "DaemonSet"
    container = {"name": name, "image": f"registry.example/{name}:{version}", "args": list(arguments)}
    annotations = {"meta.helm.sh/release-name": "pi", "meta.helm.sh/release-namespace": HOME}
    workload = {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": HOME,
            "annotations": annotations,
            "labels": {"helm.sh/chart": "aad-pod-identity-4.1.18"},
        },
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return Component(name, workload, pods or (ready(MIC_POD if name == MIC else NMI_POD),))


def lock(holder: str = MIC_POD, renewed: float = 2, **more: t.Any) -> Raw:
    """Of MIC's leader; ``renewed`` so many seconds ago."""
    record = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": ago(renewed), **more}
    annotations = {"control-plane.alpha.kubernetes.io/leader": json.dumps(record)}
    return {"metadata": {"name": "aad-pod-identity-mic", "namespace": "default", "annotations": annotations}}


def node(name: str = "n1", provider: str = PROVIDER) -> Raw:
    return {"metadata": {"name": name}, "spec": {"providerID": provider}}


def log(program: str, *texts: str, pod: str = "", seconds: float = 30, previous: bool = False) -> Log:
    """Lines that were written one after the other, the first of them ``seconds`` ago."""
    lines = tuple(Line(text, "E", ago(seconds - place / 1000), "mic.go:1") for place, text in enumerate(texts))
    return Log(program, HOME, pod or (MIC_POD if program == MIC else NMI_POD), "n1", lines, previous)


def world(settings: t.Mapping[str, t.Any] | None = None, **more: t.Any) -> Observed:
    """``more``: lists of objects by kind, and fields of Observed by their name."""
    lists = {key: more.pop(key) for key in list(more) if key[0].isupper()}
    objects = {**healthy(), "Node": [node()], "Endpoints": [lock()], **lists}
    given = {"components": (program(MIC), program(NMI)), "now": NOW, **more}
    return Observed(Inventory(Cluster.parse(objects, settings or {})), objects, **given)


def told(table: Table, observed: Observed) -> list[tuple[str, str, str]]:
    """Code, object and certainty of every cause."""
    return [(row.code, one.object, one.certainty) for row in table.rows for one in row.look(observed)]
