# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is answered to a read in the place of the API server, no write follows it, and nothing counts as absent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    LEASE,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Answer, Instead, instead
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer, Outcome, Runner

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
SPEC = {"type": 0, "resourceID": ID, "clientID": "11111111-1111-4111-8111-111111111111"}
NAME = "billing"


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def cut(whole: bytes) -> Answer:
    return 200, "application/json", whole[: len(whole) * 2 // 3]


def endless(whole: bytes) -> Answer:
    """A page that leads to itself; an object is answered as a list of nothing."""
    body = json.loads(whole)
    items = body.get("items") or []
    return 200, "application/json", as_json({**body, "items": items, "metadata": {"continue": "again"}})


def null(whole: bytes) -> Answer:
    body = json.loads(whole)
    return 200, "application/json", as_json({**body, "items": None, "metadata": None})


NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
ANOTHER = {**NOT_FOUND, "details": {"name": "another", "kind": "configmaps"}}
PAGE = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
AZURE = as_json({"error": {"code": "ResourceNotFound", "message": "The resource was not found."}})
ODD: dict[str, Callable[[bytes], Answer]] = {
    "404 page": lambda _whole: (404, "text/html", PAGE),
    "404 text": lambda _whole: (404, "text/plain", b"404 page not found\n"),
    "404 empty": lambda _whole: (404, "text/plain", b""),
    "404 of azure": lambda _whole: (404, "application/json", AZURE),
    "404 of another": lambda _whole: (404, "application/json", as_json(ANOTHER)),
    "404 nameless": lambda _whole: (404, "application/json", as_json(NOT_FOUND)),
    "200 page": lambda _whole: (200, "text/html", PAGE),
    "200 empty": lambda _whole: (200, "application/json", b""),
    "200 object": lambda _whole: (200, "application/json", b"{}"),
    "200 of azure": lambda _whole: (200, "application/json", as_json({"value": []})),
    "200 other list": lambda _whole: (
        200,
        "application/json",
        as_json({"apiVersion": "v1", "kind": "ComponentStatusList", "metadata": {}, "items": []}),
    ),
    "200 cut": cut,
    "200 null": null,
    "200 endless": endless,
    "204": lambda _whole: (204, "text/plain", b""),
}


def put(client: Client, kind: Kind, namespace: str, name: str, spec: dict[str, Any]) -> None:
    metadata = {"name": name, "namespace": namespace, "labels": marks("absence")}
    client.create(
        kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
    )


def an_identity(client: Client, namespace: str) -> None:
    put(client, AZURE_IDENTITY, namespace, NAME, SPEC)


def a_pair(client: Client, namespace: str) -> None:
    an_identity(client, namespace)
    put(client, AZURE_IDENTITY_BINDING, namespace, NAME, {"azureIdentity": NAME, "selector": NAME})


def an_exception(client: Client, namespace: str) -> None:
    put(client, AZURE_POD_IDENTITY_EXCEPTION, namespace, NAME, {"podLabels": {"app": "a"}})


def no_lease(client: Client, namespace: str) -> None:
    client.delete(LEASE, lease.NAMESPACE, lease.NAME)


def nothing(client: Client, namespace: str) -> None:
    pass


PAIR = {"name": NAME, "resource_id": ID, "client_id": SPEC["clientID"], "selector": NAME, "owner": "absence"}
GONE = {"name": NAME, "state": "absent", "owner": "absence"}
DOCUMENT = {"api_version": AZURE_IDENTITY_BINDING.api_version, "kind": AZURE_IDENTITY_BINDING.name}
BINDING = {
    "apiVersion": DOCUMENT["api_version"],
    "kind": DOCUMENT["kind"],
    "metadata": {"name": NAME},
    "spec": {"azureIdentity": NAME, "selector": NAME},
}
CASES: dict[str, tuple[str, Callable[[Client, str], None], Callable[[str], dict[str, Any]]]] = {
    "a pair comes": ("azure_identity_binding", nothing, lambda place: {**PAIR, "namespace": place}),
    "a pair goes": ("azure_identity_binding", a_pair, lambda place: {**GONE, "namespace": place}),
    "an exception goes": ("azure_pod_identity_exception", an_exception, lambda place: {**GONE, "namespace": place}),
    "a lease is taken": ("cluster_lease", no_lease, lambda _place: {"holder": "a", "process": "boot/1/1/1"}),
    "what is left goes": (
        "pod_identity_removal",
        an_identity,
        lambda _place: {"parts": ["identities"], "owner": "absence", "wait_timeout": 5, "wait_sleep": 1},
    ),
    "an object comes": (
        "kubernetes_object",
        nothing,
        lambda place: {**DOCUMENT, "name": NAME, "namespace": place, "definition": {"spec": BINDING["spec"]}},
    ),
    "an object goes": (
        "kubernetes_object",
        a_pair,
        lambda place: {**DOCUMENT, "name": NAME, "namespace": place, "state": "absent", "wait": True},
    ),
    "a bundle comes back": (
        "pod_identity_restoration",
        nothing,
        lambda place: {"documents": [{**BINDING, "metadata": {"name": NAME, "namespace": place}}]},
    ),
}


@contextlib.contextmanager
def made(client: Client, make: Callable[[Client, str], None], namespace: str) -> Iterator[None]:
    make(client, namespace)
    try:
        yield
    finally:
        for kind in (AZURE_IDENTITY_BINDING, AZURE_IDENTITY, AZURE_POD_IDENTITY_EXCEPTION):
            client.delete(kind, namespace, NAME)


@pytest.mark.soak(sample=2, group="odd answers")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("odd", ODD)
def test_no_write_follows_an_odd_answer(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path, case: str, odd: str
) -> None:
    """To each read in turn; without one the module works, which also tells how many reads there are."""
    module, make, options = CASES[case]
    given, path = options(namespace), tmp_path / "kubeconfig"

    def run(proxy: Instead) -> Outcome:
        path.write_bytes(Path(api_server.kubeconfig(server=proxy.url)).read_bytes())
        return Runner(api_server, module)(**given, kubeconfig=str(path))

    with made(client, make, namespace), instead(api_server, ODD[odd], at=0) as proxy:
        done = run(proxy).ok()
        assert (done["changed"], proxy.reads > 0, len(proxy.writes) > 0) == (True, True, True)
        reads = proxy.reads
    for at in range(1, reads + 1):
        with made(client, make, namespace), instead(api_server, ODD[odd], at=at) as proxy:
            outcome = run(proxy)
            assert proxy.after == [], (at, proxy.path, outcome.output)
            if not outcome.rc:  # a read that decides nothing
                assert not proxy.writes, (at, proxy.path, outcome.output)
                assert not outcome.result["changed"], (at, proxy.path, outcome.output)
                raise AssertionError(f"an odd answer to {proxy.path} was taken for an answer: {outcome.output}")
            assert "\n" not in outcome.failure()
            assert "Traceback" not in outcome.output


def test_what_the_server_itself_says_is_believed(
    api_server: ApiServer, client: Client, crds: None, namespace: str
) -> None:
    look = Runner(api_server, "kubernetes_object_info")
    version = AZURE_IDENTITY.api_version
    assert look(kind="AzureIdentity", api_version=version, namespace=namespace, name="none").ok()["resources"] == []
    assert look(kind="Secret", namespace=namespace, label_selectors=["a=b"]).ok()["resources"] == []
    a_pair(client, namespace)
    (found,) = look(kind="AzureIdentity", api_version=version, namespace=namespace).ok()["resources"]
    assert (found["kind"], found["apiVersion"], found["spec"]) == ("AzureIdentity", version, SPEC)
    assert "managedFields" not in found["metadata"]
    hidden = look(kind="AzureIdentity", api_version=version, hidden_fields=["metadata.uid", "spec.type"], name=NAME)
    assert "set namespace" in hidden.failure()
    (found,) = look(
        kind="AzureIdentity", api_version=version, hidden_fields=["metadata.uid", "spec.type"], namespace=namespace
    ).ok()["resources"]
    assert "uid" not in found["metadata"] and "type" not in found["spec"]
    (node,) = [look(kind="Namespace", name=namespace).ok()["resources"][0]["metadata"]["name"]]
    assert node == namespace
    client.delete(AZURE_IDENTITY_BINDING, namespace, NAME)
    client.delete(AZURE_IDENTITY, namespace, NAME)
