# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flux's kustomize-controller as a process, and a folder that stands for a Git repository.

What source-controller tells of a repository, the folder tells itself: where its newest revision can be fetched.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import http.server
import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Processes, free_ports

Raw = dict[str, Any]
NAME = "apps"
KUSTOMIZATION = Kind("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
REPOSITORY = Kind("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository")
_OTHER_SOURCES = (
    Kind("source.toolkit.fluxcd.io", "v1", "ocirepositories", "OCIRepository"),
    Kind("source.toolkit.fluxcd.io", "v1", "buckets", "Bucket"),
)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Flux:
    """The controller runs. ``artifacts``: what is served at ``url``."""

    client: Client
    artifacts: Path
    url: str

    def sync(self, namespace: str, folder: Path) -> None:
        """Let the folder be what its Kustomization of the namespace applies, and wait until it has."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(folder, arcname=".")
        digest = hashlib.sha256(packed.getvalue()).hexdigest()
        (self.artifacts / f"{digest}.tar.gz").write_bytes(packed.getvalue())
        revision = f"main@sha1:{digest[:40]}"
        artifact = {
            "path": f"{digest}.tar.gz",
            "url": f"{self.url}/{digest}.tar.gz",
            "revision": revision,
            "digest": f"sha256:{digest}",
            "size": len(packed.getvalue()),
            "lastUpdateTime": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        told = {"status": {"artifact": artifact}}
        if self.client.get(REPOSITORY, namespace, NAME) is None:
            repository = _body(REPOSITORY, interval="10m", url="https://git.example/apps")
            self.client.create(REPOSITORY, namespace, {**repository, **told})
            source = {"kind": REPOSITORY.name, "name": NAME}
            body = _body(KUSTOMIZATION, interval="10m", timeout="1m", path="./", prune=True, sourceRef=source)
            self.client.create(KUSTOMIZATION, namespace, body)
        else:
            self.client.merge(REPOSITORY, namespace, NAME, told)
        server.until("Flux has applied it", lambda: self._has_applied(namespace, revision))

    def _has_applied(self, namespace: str, revision: str) -> bool:
        status = (self.client.get(KUSTOMIZATION, namespace, NAME) or {}).get("status") or {}
        failed = [
            each["message"]
            for each in status.get("conditions") or ()
            if each["type"] == "Ready" and each["status"] == "False" and each["reason"] == "BuildFailed"
        ]
        if failed and status.get("lastAttemptedRevision") == revision:
            raise RuntimeError(f"Flux cannot apply it: {failed[0]}")
        return bool(status.get("lastAppliedRevision") == revision)


def _body(kind: Kind, **spec: Any) -> Raw:
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": NAME}, "spec": spec}


@contextlib.contextmanager
def running(api_server: ApiServer) -> Iterator[Flux]:
    """One that ends with the block."""
    server.programs()  # the folder of azsandbox can be imported from then on
    from azsandbox import programs

    client = api_server.client()
    sources = map(server.definition, (REPOSITORY, *_OTHER_SOURCES))
    server.install(client, [*sources, server.definition(KUSTOMIZATION, status=True)])
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="flux-")))
        artifacts = folder / "artifacts"
        artifacts.mkdir()
        handler = functools.partial(_Handler, directory=str(artifacts))
        serving = ends.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        ends.callback(serving.shutdown)
        processes = Processes(programs.built("kustomize-controller") / "bin", folder)
        if not (processes.binaries / "kustomize-controller").exists():
            raise RuntimeError("kustomize-controller is not built: run tests/sandbox/sandbox build flux")
        health, metrics = free_ports(2)
        processes.start(
            "kustomize-controller",
            f"--health-addr=127.0.0.1:{health}",
            f"--metrics-addr=127.0.0.1:{metrics}",
            "--no-remote-bases",
            KUBECONFIG=api_server.kubeconfig(),
            TMPDIR=str(folder),
            RUNTIME_NAMESPACE="default",
        )
        ends.callback(processes.stop)
        yield Flux(client, artifacts, f"http://127.0.0.1:{serving.server_address[1]}")
