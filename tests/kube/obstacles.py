# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand against a run: an admission webhook, too few rights, an API server that goes or does not answer."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AAD_POD_IDENTITY,
    MUTATING_WEBHOOK_CONFIGURATION,
    ROLE,
    ROLE_BINDING,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.kube.objects import create
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import Read, Write, reads

from .gates import BUT_LEASES, Gate, listening

UNREACHABLE = {"url": "https://127.0.0.1:9/"}
_WEBHOOK = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)


@contextlib.contextmanager
def webhook(
    client: Client, namespace: str, resource: str, config: dict[str, Any], *, group: str = AAD_POD_IDENTITY
) -> Iterator[None]:
    """One that is asked about the objects of a resource in the namespace; ``config`` says where it is."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": ["*"]}
    hook = {"name": "objects.example.com", "clientConfig": config, "rules": [rule], "failurePolicy": "Fail"}
    with _configured(client, _WEBHOOK, namespace, {**hook, "timeoutSeconds": 2}):
        yield


@contextlib.contextmanager
def webhook_of_workload_id(client: Client, namespace: str) -> Iterator[None]:
    """One for the namespace that is not reached, whose policy lets pods pass."""
    use = {"matchLabels": {"azure.workload.identity/use": "true"}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {"name": "mutation.azure-workload-identity.io", "clientConfig": UNREACHABLE, "rules": [rule]}
    policy = {"objectSelector": use, "failurePolicy": "Ignore", "timeoutSeconds": 1}
    with _configured(client, MUTATING_WEBHOOK_CONFIGURATION, namespace, {**hook, **policy}):
        yield


@contextlib.contextmanager
def _configured(client: Client, kind: Kind, namespace: str, hook: dict[str, Any]) -> Iterator[None]:
    only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    entry = {**only, "sideEffects": "None", "admissionReviewVersions": ["v1"], **hook}
    create(client, kind, None, f"test-{namespace}", webhooks=[entry])
    try:
        yield
    finally:
        client.delete(kind, None, f"test-{namespace}")


@contextlib.contextmanager
def refusal(api_server: ApiServer, *, quoting: bool = False) -> Iterator[dict[str, Any]]:
    """Where a webhook is that refuses whatever it is asked about; ``quoting`` with the object as its reason."""
    authority = base64.b64encode(api_server.ca.read_bytes()).decode()
    with _listening(api_server, _QuotingRefusal if quoting else _Refusal) as url:
        yield {"url": f"{url}/", "caBundle": authority}


@contextlib.contextmanager
def _listening(api_server: ApiServer, handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """An address of loopback where clients of the API server find this one instead."""
    with listening(handler, api_server.ca, api_server.folder / "key.pem") as url:
        yield url


class Admission(http.server.BaseHTTPRequestHandler):
    """A webhook that answers each request with what ``response`` says."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], **self.response(review["request"])}
        body = json.dumps({**review, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def response(self, request: Any) -> dict[str, Any]:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


def patching(changes: list[dict[str, Any]]) -> dict[str, Any]:
    """The response that admits an object with these changes, by JSON patch."""
    patch = base64.b64encode(json.dumps(changes).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


class _Refusal(Admission):
    def response(self, request: Any) -> dict[str, Any]:
        return {"allowed": False, "status": {"code": 403, "message": self.reason(request)}}

    def reason(self, request: Any) -> str:
        return "not on a Friday"


class _QuotingRefusal(_Refusal):
    def reason(self, request: Any) -> str:
        return json.dumps(request["object"] or request["oldObject"])


def grant(client: Client, namespace: str, **verbs: list[str]) -> None:
    """To the restricted user, in the namespace, by resource of AAD Pod Identity."""
    name = f"test-{namespace}"
    rules = [{"apiGroups": [AAD_POD_IDENTITY], "resources": [each], "verbs": some} for each, some in verbs.items()]
    subject = {"kind": "User", "name": "restricted", "apiGroup": ROLE.group}
    reference = {"apiGroup": ROLE.group, "kind": "Role", "name": name}
    create(client, ROLE, namespace, name, rules=rules)
    create(client, ROLE_BINDING, namespace, name, roleRef=reference, subjects=[subject])


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


@contextlib.contextmanager
def gate(api_server: ApiServer, at: int = 0, *, after: bool = False, chosen: str = BUT_LEASES) -> Iterator[Gate]:
    made = Gate(api_server.url, api_server.ca, at, after=after, chosen=chosen)
    with opened(api_server, made):
        yield made


@contextlib.contextmanager
def opened(api_server: ApiServer, made: Gate) -> Iterator[None]:
    """It stands at its address for the block."""
    with _listening(api_server, made.handler()) as url:
        made.url = url
        try:
            yield
        finally:
            made.over.set()


@dataclass(frozen=True)
class Elsewhere:
    """Another API server, which accepts whoever asks and answers nothing useful; ``asked`` counts."""

    url: str
    asked: list[str]


@contextlib.contextmanager
def elsewhere(api_server: ApiServer) -> Iterator[Elsewhere]:
    asked: list[str] = []

    class Counting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "nobody").removeprefix("Bearer ")
            asked.append(f"{self.command} {self.path} of {token}")
            self.send_error(500)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    with _listening(api_server, Counting) as url:
        yield Elsewhere(url, asked)


Answer = tuple[int, str, bytes]
"""Status, type and body."""


class Instead:
    """Stands between clients and the API server, and answers one request otherwise than it does.

    Every write is refused, unless it ``lets_write``; one that is answered otherwise is not carried out. Dry runs and
    questions that are asked by a POST are reads.
    """

    def __init__(self, *, lets_write: bool = False) -> None:
        self.url = ""
        self.lets_write = lets_write
        self.requests: list[tuple[str, str, bool]] = []
        """Methods and paths, without what is drawn by lot in names, and whether they are writes."""
        self.writes_before = 0
        """How many writes there were when the first read was answered otherwise."""
        self.hits = 0
        """How many requests were answered otherwise."""
        self.odd_path: str | None = None
        """That of the write which is answered otherwise."""
        self._read: Read | None = None
        self._answer: Callable[[bytes], Answer | None] = lambda _whole: None
        self._over = threading.Event()
        self._seen = 0
        self._lock = threading.Lock()

    def begin(self, read: Read | None, answer: Callable[[bytes], Answer | None]) -> None:
        """Forget what was, and from now on answer this read so whenever it is asked for; with None never."""
        self._over.set()
        with self._lock:
            self.requests, self.writes_before, self.hits, self._seen = [], 0, 0, 0
            self._read, self._answer, self._over = read, answer, threading.Event()
            self.odd_path = None

    @property
    def writes(self) -> list[str]:
        return [f"{method} {path}" for method, path, is_write in self.requests if is_write]

    def reads(self) -> list[Read]:
        """Those that there were so far."""
        return reads(self.requests)

    def odd(self, method: str, path: str) -> bool:
        """Whether this read is answered otherwise."""
        path = _DRAWN.sub("", path)
        with self._lock:
            self.requests.append((method, path, False))
            written = len(self.writes)
            if self._read is None or isinstance(self._read, Write):
                return False
            if (method, path) != (self._read.method, self._read.path):
                return False
            if written < self._read.behind:
                return False
            self._seen += 1
            if self._seen < self._read.nth:
                return False
            if not self.hits:
                self.writes_before = written
            self.hits += 1
            return True

    def odd_write(self, method: str, path: str) -> bool:
        """Whether this write, which counts by now, is answered otherwise: one by its number, whenever it is sent again.

        Its path may have a name that is drawn by lot.
        """
        with self._lock:
            if not isinstance(self._read, Write):
                return False
            if self.odd_path is None and len(self.writes) == self._read.behind + 1:
                self.odd_path, self.writes_before = path, len(self.writes)
            if path != self.odd_path or method != self._read.method:
                return False
            self.hits += 1
            return True

    def is_write(self, method: str, path: str, body: bytes) -> bool:
        if not writes(method, path, body):
            return False
        with self._lock:
            self.requests.append((method, _DRAWN.sub("", path), True))
        return True

    def distorted(self, body: bytes) -> Answer | None:
        """None, once whoever asks has long given up: no answer at all."""
        answer, over = self._answer(body), self._over
        if answer is None:
            over.wait()
        return answer


def writes(method: str, path: str, body: bytes) -> bool:
    return not (method == "GET" or "dryRun=" in path or b'"dryRun"' in body or _QUESTION.search(path))


_DRAWN = re.compile(r"(?<=pod-identity-probe-)[a-z0-9]{5}")
_QUESTION = re.compile(r"/apis/(authorization|authentication)\.k8s\.io/")
_REFUSED = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "InternalError",
    "message": "nothing is written here",
    "code": 500,
}


@contextlib.contextmanager
def instead(api_server: ApiServer, *, lets_write: bool = False) -> Iterator[Instead]:
    proxy = Instead(lets_write=lets_write)
    with standing(api_server, proxy):
        yield proxy


@contextlib.contextmanager
def standing(api_server: ApiServer, proxy: Instead) -> Iterator[None]:
    """It stands at its address for the block."""

    class Bound(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_write = proxy.is_write(self.command, self.path, body)
            if is_write and not proxy.lets_write:
                self.answer(500, "application/json", json.dumps(_REFUSED).encode())
                return
            if is_write and proxy.odd_write(self.command, self.path):
                instead_of_it = proxy.distorted(body)
                if instead_of_it is None:
                    self.close_connection = True
                else:
                    self.answer(*instead_of_it)
                return
            odd = not is_write and proxy.odd(self.command, self.path)
            far = http.client.HTTPSConnection(
                api_server.url.removeprefix("https://"), context=ssl.create_default_context(cafile=str(api_server.ca))
            )
            with contextlib.closing(far):
                # What is asked for in packed form is passed on without the word that it is.
                plain = {name: each for name, each in self.headers.items() if name.lower() != "accept-encoding"}
                far.request(self.command, self.path, body, plain)
                real = far.getresponse()
                answer: Answer | None = (real.status, real.getheader("Content-Type") or "", real.read())
            if odd and answer:
                answer = proxy.distorted(answer[2])
            if answer is None:
                self.close_connection = True
                return
            self.answer(*answer)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def answer(self, status: int, kind: str, text: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            if 300 <= status < 400:
                self.send_header("Location", "https://127.0.0.1:9/login")
            if status != 204:
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if status != 204:
                self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    with _listening(api_server, Bound) as url:
        proxy.url = url
        try:
            yield
        finally:
            proxy.begin(None, lambda _whole: None)
