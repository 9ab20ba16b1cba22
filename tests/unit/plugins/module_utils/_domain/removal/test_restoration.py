# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a restore bundle is put back, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import restoration
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each


def document(kind: str = "AzureIdentity", name: str = "a", **body: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", **body.pop("metadata", {})}
    return {"apiVersion": restoration.API_VERSION, "kind": kind, "metadata": metadata, **body}


def states(documents: list[dict[str, Any]], *live: dict[str, Any]) -> list[str]:
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for each in live:
        found.setdefault(each["kind"], {})["n", each["metadata"]["name"]] = each
    return [f"{each.label}: {each.row()['state']}" for each in restoration.compare(documents, found)]


def test_exceptions_come_first_and_bindings_last() -> None:
    kinds = ("AzureIdentityBinding", "AzureIdentity", "AzurePodIdentityException")
    assert states([document(kind) for kind in kinds]) == [
        "AzurePodIdentityException n/a: restored",
        "AzureIdentity n/a: restored",
        "AzureIdentityBinding n/a: restored",
    ]


@for_each(
    ({"spec": {"type": 0}}, "present"),
    # What the server keeps for itself is no difference.
    ({"spec": {"type": 0}, "metadata": {"uid": "u", "resourceVersion": "1"}, "status": {}}, "present"),
    ({"spec": {"type": 1}}, "different"),
    ({"spec": {"type": 0}, "metadata": {"labels": {"x": "y"}}}, "different"),
    ({"spec": {"type": 0}, "metadata": {"annotations": {"x": "y"}}}, "different"),
)
def test_what_is_there_stays(live: dict[str, Any], state: str) -> None:
    assert states([document(spec={"type": 0})], document(**live)) == [f"AzureIdentity n/a: {state}"]


@for_each(
    {},
    document("AzureAssignedIdentity"),
    {**document(), "apiVersion": "v1"},
    {**document(), "metadata": {"name": "a"}},
    {**document(), "metadata": "a"},
)
def test_what_is_no_such_object_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Failure, match=r"documents\[1\] is no AzurePodIdentityException, AzureIdentity or"):
        restoration.check([document(), wrong])
