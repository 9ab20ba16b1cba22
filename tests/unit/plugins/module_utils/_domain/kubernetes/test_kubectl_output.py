# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps: lists in every form that kubectl writes, and whatever else a file may hold."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict

import pytest
from hypothesis import given

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubectl_output
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import healthy
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

from .odd_documents import JUNK, document, objects_with, places

NAMED = {"metadata": {"name": "a", "namespace": "n"}}


def kinds(document: t.Any) -> list[str]:
    return [kind for kind, raw in kubectl_output.parse("file", document)]


@for_each(
    ({"kind": "Pod", **NAMED}, ["Pod"]),
    ({"kind": "List", "items": [{"kind": "Pod", **NAMED}, {"kind": "Node", **NAMED}]}, ["Pod", "Node"]),
    ({"kind": "PodList", "items": [NAMED, NAMED]}, ["Pod", "Pod"]),
    ({"kind": "List", "items": [{"kind": "PodList", "items": [NAMED]}]}, ["Pod"]),
    ({"kind": "List", "items": []}, []),
    ({"kind": "Service", "metadata": 3}, []),
    ({"kind": "Pod", "metadata": {"name": "a", "labels": None}, "spec": None}, ["Pod"]),
)
def test_documents(document: t.Any, expected: list[str]) -> None:
    assert kinds(document) == expected


@for_each(
    [],
    "text",
    None,
    {"kind": "List", "items": ["text"]},
    {"kind": "Pod"},
    {"kind": "Pod", "metadata": {"name": ""}},
    {"kind": "Pod", "metadata": {"name": "a", "labels": {"a": 1}}},
    {"kind": "Pod", "metadata": {"name": "a", "ownerReferences": [None]}},
    {"kind": "AzureIdentity", "metadata": {"name": "a"}, "spec": {"type": True}},
    {"kind": "AzureIdentityBinding", "metadata": {"name": "a"}, "spec": {"selector": {}}},
    {"kind": "CronJob", "metadata": {"name": "a"}, "spec": {"jobTemplate": []}},
)
def test_what_no_api_server_gives_out(document: t.Any) -> None:
    with pytest.raises(Failure, match="The file file holds .*: write it with kubectl get -o json."):
        kinds(document)


def test_nulls_are_as_if_they_were_missing() -> None:
    document = {"kind": "Pod", "metadata": {"name": "a", "namespace": None}, "spec": None}
    ((dummy, raw),) = kubectl_output.parse("file", document)
    assert raw == {"kind": "Pod", "metadata": {"name": "a"}}


DOCUMENT = document(healthy())


@given(places(DOCUMENT), JUNK)
def test_whatever_is_at_any_place(path: tuple[t.Any, ...], junk: t.Any) -> None:
    """An inventory, or a sentence."""
    objects = objects_with(junk, path, DOCUMENT)
    if objects is None:
        return
    found = Inventory(Cluster.parse(objects, {}))
    rows = [*map(found.row, found.cluster.workloads), *map(found.identity_row, found.cluster.identities)]
    assert json.dumps([rows, *map(asdict, findings.find(found))])
