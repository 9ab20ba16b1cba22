# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand against a run: an admission webhook, rights for some of it only, an API server that goes."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AAD_POD_IDENTITY, Kind

from .server import ApiServer

UNREACHABLE = {"url": "https://127.0.0.1:9/"}
_RBAC = "rbac.authorization.k8s.io"
_ROLE, _ROLE_BINDING = Kind(_RBAC, "v1", "roles", "Role"), Kind(_RBAC, "v1", "rolebindings", "RoleBinding")
_WEBHOOK = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)


@contextlib.contextmanager
def webhook(client: Client, namespace: str, resource: str, config: dict[str, Any]) -> Iterator[None]:
    """One that is asked about the objects of a resource in the namespace; ``config`` says where it is."""
    rule = {"apiGroups": [AAD_POD_IDENTITY], "apiVersions": ["v1"], "resources": [resource], "operations": ["*"]}
    hook = {
        "name": "objects.example.com",
        "clientConfig": config,
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    name = f"test-{namespace}"
    body = {"apiVersion": _WEBHOOK.api_version, "kind": _WEBHOOK.name, "metadata": {"name": name}, "webhooks": [hook]}
    client.create(_WEBHOOK, None, body)
    try:
        yield
    finally:
        client.delete(_WEBHOOK, None, name)


@contextlib.contextmanager
def refusal(api_server: ApiServer) -> Iterator[dict[str, Any]]:
    """Where a webhook is that refuses whatever it is asked about."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(api_server.ca, api_server.folder / "key.pem")
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusal)
    listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        authority = base64.b64encode(api_server.ca.read_bytes()).decode()
        yield {"url": f"https://127.0.0.1:{listener.server_address[1]}/", "caBundle": authority}
    finally:
        listener.shutdown()
        listener.server_close()


class _Refusal(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        uid = review["request"]["uid"]
        review["response"] = {"uid": uid, "allowed": False, "status": {"code": 403, "message": "not on a Friday"}}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


def grant(client: Client, namespace: str, **verbs: list[str]) -> None:
    """To the restricted user, in the namespace, by resource of AAD Pod Identity."""
    metadata = {"name": f"test-{namespace}", "namespace": namespace}
    api = {"apiVersion": _ROLE.api_version, "metadata": metadata}
    rules = [{"apiGroups": [AAD_POD_IDENTITY], "resources": [name], "verbs": some} for name, some in verbs.items()]
    subject = {"kind": "User", "name": "restricted", "apiGroup": _RBAC}
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": metadata["name"]}
    client.create(_ROLE, namespace, {**api, "kind": "Role", "rules": rules})
    client.create(_ROLE_BINDING, namespace, {**api, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]})


@contextlib.contextmanager
def held(api_server: ApiServer, at: int) -> Iterator[tuple[str, Future[int]]]:
    """An address that leads one client to the API server, until it sends its piece number ``at``, which is held back.

    The first two or three pieces are its handshake, each other is a request. How many of them were answered by then
    is the second value. When the API server goes, the client sees that.
    """
    before = len(api_server.requests())

    def lead() -> int:
        near, _address = listener.accept()
        far = socket.create_connection(("127.0.0.1", int(api_server.url.rsplit(":", 1)[1])))
        threading.Thread(target=_pass_back, args=(far, near), daemon=True).start()
        for number, piece in enumerate(iter(lambda: near.recv(65536), b""), 1):
            if number == at:
                return len(api_server.requests()) - before
            far.sendall(piece)
        raise AssertionError(f"the client has sent less than {at} pieces")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(60)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", pool.submit(lead)


def _pass_back(far: socket.socket, near: socket.socket) -> None:
    with far, near, contextlib.suppress(OSError):
        for piece in iter(lambda: far.recv(65536), b""):
            near.sendall(piece)
        near.shutdown(socket.SHUT_RDWR)
