# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module pod_identity_bundle with Secrets of a real API server, and what pod_identity_bundle_info sees of them."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SECRET
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

SUBSCRIPTION = "/subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b"
CLUSTER = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/shop"
IDENTITY = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
NAME = "shop-20260301t100000z"


def content(cluster: str = CLUSTER, secret: str = "") -> str:
    entries = [{"name": "billing", "namespace": "billing", "identity": IDENTITY}]
    secrets = [{"document": secret}]
    bundle = {"cluster": cluster, "objects": [], "releases": [], "addon": {"identities": entries}, "secrets": secrets}
    return json.dumps(bundle)


def with_objects(*objects: dict[str, Any]) -> str:
    return json.dumps({**json.loads(content()), "objects": objects})


def told(place: str) -> dict[str, Any]:
    """Data that is told of a bundle with ``content``, but for its digest."""
    counts = {"objects": 0, "releases": 0, "entries": 1}
    return {"place": place, "written": "", "definitions": [], "handed_out": [IDENTITY.lower()], **counts}


@pytest.fixture
def save(api_server: ApiServer) -> Runner:
    return Runner(api_server, "pod_identity_bundle")


@pytest.fixture
def look(api_server: ApiServer) -> Runner:
    return Runner(api_server, "pod_identity_bundle_info")


def held(client: Client, namespace: str, name: str = NAME) -> tuple[bytes, dict[str, Any]]:
    """The bundle in a Secret, and its labels."""
    secret = client.get(SECRET, namespace, name)
    assert secret is not None
    return base64.b64decode(secret["data"]["bundle.json"]), secret["metadata"]["labels"]


def test_a_bundle_goes_to_a_secret(save: Runner, look: Runner, client: Client, namespace: str) -> None:
    desired = {"place": f"secret:{namespace}/{NAME}", "content": content(secret="hush-hush"), "owner": "shop"}
    predicted = save(check=True, **desired).ok()
    assert client.get(SECRET, namespace, NAME) is None
    for _attempt in range(2):
        outcome = save(**desired)
        done = outcome.ok()
        data, labels = held(client, namespace)
        assert (json.loads(data), labels) == (json.loads(desired["content"]), marks("shop"))
        assert (done["changed"], done["place"]) == (False, desired["place"])
        assert done["sha256"] == predicted["sha256"] == hashlib.sha256(data).hexdigest()
        assert "hush-hush" not in json.dumps(done)
    read = look(source=desired["place"], cluster_id=CLUSTER, node_resource_group="MC", sha256=done["sha256"]).ok()
    assert read["bundle"]["cluster"] == CLUSTER


def test_a_bundle_goes_to_a_file(save: Runner, look: Runner, tmp_path: Path) -> None:
    path = tmp_path / f"saved/{NAME}.json"
    desired: dict[str, Any] = {"place": str(path), "content": content(), "container_marks": []}
    assert (save(check=True, **desired).ok()["place"], path.parent.exists()) == (str(path), False)
    done = save(**desired).ok()
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path)] == [0o700, 0o600]
    assert (done["changed"], done["sha256"]) == (False, hashlib.sha256(path.read_bytes()).hexdigest())
    (path.parent / "shop-odd.json").write_text("{")
    (path.parent / "other-1.json").write_text(path.read_text())
    (path.parent / "shop-2.json").write_text(content(CLUSTER + "2"))
    found = look(target=str(path.parent), cluster_id=CLUSTER).ok()["bundles"]
    assert found == [{**told(str(path)), "sha256": done["sha256"]}]
    assert look(target=str(tmp_path / "none"), cluster_id=CLUSTER).ok()["bundles"] == []


def test_which_bundles_are_in_a_namespace(save: Runner, look: Runner, client: Client, namespace: str) -> None:
    """Others label their Secrets so too, and those without the label are nobody's."""
    for name, of_cluster in ((NAME, CLUSTER), ("other", CLUSTER + "2")):
        save(place=f"secret:{namespace}/{name}", content=content(of_cluster)).ok()
    for name, labels, text in (("odd", marks("shop"), "{"), ("unmarked", {}, content())):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}}
        client.create(SECRET, namespace, {**body, "stringData": {"bundle.json": text}})
    found = look(target=f"secret:{namespace}/any", cluster_id=CLUSTER).ok()["bundles"]
    assert found == [{**told(f"secret:{namespace}/{NAME}"), "sha256": found[0]["sha256"]}]


def test_a_later_run_carries_a_bundle_on(save: Runner, look: Runner, namespace: str, tmp_path: Path) -> None:
    """What is gone by then stays in it; in a Secret, which others may write, it has to be accepted."""
    document = {"apiVersion": "aadpodidentity.k8s.io/v1", "kind": "AzureIdentity", "spec": {}}
    one, two = ({**document, "metadata": {"name": name, "namespace": "billing"}} for name in ("one", "two"))
    for place in (f"secret:{namespace}/{NAME}", str(tmp_path / f"{NAME}.json")):
        desired = {"place": place, "container_marks": [], "carries_on": True}
        first = save(content=with_objects(one), **desired).ok()
        if not place.startswith("secret:"):
            assert save(content=with_objects(), **desired).ok() == {**first, "saves": False}
        predicted = save(content=with_objects(two), check=True, **desired).ok()
        second = save(content=with_objects(two), **desired).ok()
        assert first["sha256"] != second["sha256"] == predicted["sha256"]
        asked: dict[str, Any] = {"cluster_id": CLUSTER, "node_resource_group": "MC", "sha256": second["sha256"]}
        if place.startswith("secret:"):
            said = look(source=place, **asked).failure()
            assert said.startswith(
                f"AzureIdentity billing/one in the restore bundle {place} come from an interrupted run"
            )
            asked["accept"] = ["unverified"]
        assert look(source=place, **asked).ok()["bundle"]["objects"] == [one, two]


def test_a_bundle_that_is_empty_is_refused_and_others_are_named(
    save: Runner, look: Runner, namespace: str, tmp_path: Path
) -> None:
    asked = {"cluster_id": CLUSTER, "node_resource_group": "MC"}
    for at in (f"secret:{namespace}/shop-", f"{tmp_path}/shop-"):
        empty = {**json.loads(content()), "addon": {}, "role_assignments": []}
        end = "" if at.startswith("secret:") else ".json"
        for name, text in (("1", content()), ("2", json.dumps(empty))):
            save(place=f"{at}{name}{end}", content=text, container_marks=[]).ok()
        gone = "cannot be read" if end else "There is no restore bundle"
        for name, why in (("2", "has neither objects nor releases"), ("3", gone)):
            said = look(source=f"{at}{name}{end}", **asked).failure()
            assert why in said
            assert f" Beside it there is {at}1{end} (0 objects, 0 releases, written ?)." in said


def test_what_cannot_be_written(save: Runner) -> None:
    lost = save(place="/lost/b.json", content="{}", container_marks=["/"])
    assert "would be written to /lost, which goes with the container" in lost.failure()


def test_who_may_not_write_the_secret_is_told(save: Runner, namespace: str) -> None:
    desired = {"place": f"secret:{namespace}/{NAME}", "content": content(secret="hush-hush")}
    outcome = save(**desired, token=server.RESTRICTED)
    assert f"may not get secrets in namespace {namespace}" in outcome.failure()
    assert "hush-hush" not in json.dumps(outcome.result)
