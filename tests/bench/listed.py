# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python listed.py PODS NAMESPACES BINDINGS``: the parts of pod_identity_info on a real API server, as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml

ROUNDS = 3
ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


def objects(kinds: Any, pods: int, namespaces: int, bindings: int) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    for index in range(bindings):
        namespace = f"team-{index % namespaces}"
        spec = {"type": 0, "resourceID": f"{ID}i{index}", "clientID": f"client-{index}"}
        yield kinds.AZURE_IDENTITY, namespace, {"metadata": {"name": f"i{index}"}, "spec": spec}
        spec = {"azureIdentity": f"i{index}", "selector": f"s{index}"}
        yield kinds.AZURE_IDENTITY_BINDING, namespace, {"metadata": {"name": f"b{index}"}, "spec": spec}
    for index in range(pods):
        metadata = {"name": f"p{index}", "labels": {"aadpodidbinding": f"s{index % bindings}"}}
        spec = {"nodeName": f"n{index % 100}", "containers": [{"name": "app", "image": "app"}]}
        yield kinds.POD, f"team-{index % namespaces}", {"metadata": metadata, "spec": spec}


def main(pods: int, namespaces: int, bindings: int) -> None:
    importlib.import_module("conftest")  # makes the checkout importable under the collection's name
    collection = "ansible_collections.azureops.pod_identity"
    utils = f"{collection}.plugins.module_utils"
    server = importlib.import_module(f"{collection}.tests.kube.server")
    kinds = importlib.import_module(f"{utils}._kube.kinds")
    listing = importlib.import_module(f"{utils}._kube.inventory")
    domain = importlib.import_module(f"{utils}._domain.inventory")
    module = importlib.import_module(f"{collection}.plugins.modules.pod_identity_info")
    with server.running() as started, ThreadPoolExecutor(16) as pool:
        client = started.client()
        with tarfile.open(server.programs()[1] / server.CHART) as archive:
            text: Any = archive.extractfile("aad-pod-identity/crds/crd.yaml")
            server.install(client, [one for one in yaml.safe_load_all(text.read()) if one])
        for index in range(namespaces):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{index}"}}
            client.create(server.NAMESPACE, None, body)
        jobs = [
            pool.submit(client.create, kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, **body})
            for kind, namespace, body in objects(kinds, pods, namespaces, bindings)
        ]
        for job in jobs:
            job.result()
        rounds = []
        for _round in range(ROUNDS):
            marks = [time.monotonic()]
            found = listing.read(client)
            marks.append(time.monotonic())
            cluster = domain.Cluster.parse(found, {})
            marks.append(time.monotonic())
            data = module.as_data(domain.Inventory(cluster))
            marks.append(time.monotonic())
            json.dumps(data)
            marks.append(time.monotonic())
            seconds = [after - before for before, after in zip(marks, marks[1:], strict=False)]
            rounds.append(dict(zip(("list", "parse", "match", "output"), seconds, strict=True)))
        whole = []
        for _round in range(ROUNDS):
            begin = time.monotonic()
            server.Runner(started, "pod_identity_info")().ok()
            whole.append(time.monotonic() - begin)
    print(json.dumps({**{part: [one[part] for one in rounds] for part in rounds[0]}, "the module": whole}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
