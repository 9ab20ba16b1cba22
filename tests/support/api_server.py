# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real API server for the tests of this folder: etcd, kube-apiserver and kube-controller-manager on loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import FIELD_MANAGER
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    NODE,
    POD,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.support.modules import run as run_module

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = "aad-pod-identity-4.1.18.tgz"
_PORTS_OF_CONNECTIONS = 32_768
"""The first of those that Linux gives to connections, at any of the addresses of this machine."""
CONTROLLERS = (
    "job-controller",
    "ttl-after-finished-controller",
    "garbage-collector-controller",
    "namespace-controller",
)
SECONDS = 180
"""How long a condition is waited for: it comes within a few, and twenty times later on a busy machine."""
ADMIN, RESTRICTED = "admin-token", "restricted-token"
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)


def programs() -> tuple[Path, Path]:
    """The folder of the built programs and that of the charts."""
    sys.path.insert(0, str(CHECKOUT / "tests" / "sandbox"))
    from azsandbox import paths

    return paths.BIN, paths.CHARTS


@dataclass(frozen=True)
class ApiServer:
    """A running API server. ``kubeconfig(token)`` writes a file for a user."""

    url: str
    ca: Path
    folder: Path
    processes: Processes

    def kubeconfig(self, token: str = ADMIN, server: str = "") -> str:
        path = self.folder / f"{token}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": server or self.url,
                        "certificate-authority-data": base64.b64encode(self.ca.read_bytes()).decode(),
                    },
                }
            ],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        # In one step: a thread of a test may be reading it.
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            file.write(yaml.safe_dump(document))
        os.replace(file.name, path)
        return str(path)

    def client(self, token: str = ADMIN) -> Client:
        return connect({"kubeconfig": self.kubeconfig(token)}, str(self.folder))

    def restart(self) -> None:
        self.processes.restart("kube-apiserver", self._end_audit_log)
        until("the API server is ready again", lambda: _ready(self.processes, self))

    def helm(self, *arguments: str) -> str:
        """What helm prints; ``CHART`` is the newest chart."""
        binaries, charts = programs()
        command = [str(binaries / "helm"), *(each.replace("CHART", str(charts / CHART)) for each in arguments)]
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig(), "HOME": str(self.folder)}
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def events(self) -> list[Any]:
        """The audit log so far, without an event that is being written: its first part may be there already."""
        whole, _newline, _part = self._audit_log.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def issuer_keys(self) -> dict[str, Any]:
        """By which whoever trusts its tokens of service accounts verifies them."""
        context = ssl.create_default_context(cafile=str(self.ca))
        headers = {"Authorization": f"Bearer {ADMIN}", "Accept": "application/jwk-set+json"}
        request = urllib.request.Request(f"{self.url}/openid/v1/jwks", headers=headers)
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return dict(json.loads(answer.read()))

    def _end_audit_log(self) -> None:
        """Drop the event that a killed server wrote in part only."""
        whole, newline, _part = self._audit_log.read_bytes().rpartition(b"\n")
        self._audit_log.write_bytes(whole + newline)

    @property
    def _audit_log(self) -> Path:
        return self.folder / "audit.log"

    def requests(self) -> list[str]:
        """Every request so far that came from this collection, as verb and resource; pages of one list are one each."""
        found = []
        for event in self.events():
            if event.get("userAgent") == FIELD_MANAGER:
                found.append(f"{event['verb']} {(event.get('objectRef') or {}).get('resource', '')}")
        return found


def end_pod(client: Client, namespace: str, name: str) -> None:
    """Take a pod away that is bound to a node: here is no kubelet that would ever end its grace."""
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    status, answer = client._request("DELETE", POD.path(namespace, name), (), options)
    assert status in (200, 202, 404), answer


def free_ports(number: int) -> list[int]:
    """Ports that nothing uses at any address; no connection takes one before it is listened to."""
    found: list[int] = []
    while len(found) < number:
        port = 10_000 + secrets.randbelow(_PORTS_OF_CONNECTIONS - 10_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("", port))
            found += [port] if port not in found else []
    return found


def _write_files(folder: Path) -> None:
    """One key pair that serves as CA, server certificate and service account key, and what else the server reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    audit = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    (folder / "audit.yml").write_text(yaml.safe_dump({**audit, "rules": [{"level": "Metadata"}]}))
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n{RESTRICTED},restricted,2\n')


@contextlib.contextmanager
def running(*controllers: str) -> Iterator[ApiServer]:
    """An API server that ends with the block; ``controllers`` run besides those that every test has."""
    binaries, _charts = programs()
    if not (binaries / "kube-apiserver").exists():
        raise RuntimeError("the programs of the sandbox are not built: run tests/sandbox/sandbox build")
    folder = Path(tempfile.mkdtemp(prefix="kube-test-"))
    processes = Processes(binaries, folder)
    try:
        yield start(processes, *controllers)
    finally:
        processes.stop()
        shutil.rmtree(folder)


def until(what: str, look: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for a condition, with a bound."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Processes:
    """The programs that are running, in one temporary folder."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._arguments: dict[str, tuple[str, ...]] = {}

    def start(self, name: str, *arguments: str, **variables: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            # A killed test run must not leave them behind.
            command = ["setpriv", "--pdeathsig", "KILL", str(self.binaries / name), *arguments]
            environment = {"PATH": os.defpath, "HOME": str(self.folder), **variables}
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        self._arguments[name] = arguments

    def restart(self, name: str, between: Callable[[], None]) -> None:
        """End it by force, do what is due between, and start it again."""
        self._running[name].kill()
        self._running[name].wait()
        between()
        self.start(name, *self._arguments[name])

    def check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                said = (self.folder / f"{name}.log").read_text(errors="replace")[-1000:]
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {said}")

    def stop(self) -> None:
        """By force: an API server would wait for its watches first, and nothing of them is needed any more."""
        for process in reversed(self._running.values()):
            process.kill()
            process.wait()


def start(processes: Processes, *controllers: str) -> ApiServer:
    folder = processes.folder
    _write_files(folder)
    client_port, peer_port, port, manager_port = free_ports(4)
    key, ca = folder / "key.pem", folder / "ca.pem"
    processes.start(
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=http://127.0.0.1:{client_port}",
        f"--advertise-client-urls=http://127.0.0.1:{client_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        "--log-level=error",
    )
    processes.start(
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{client_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={ca}",
        f"--tls-private-key-file={key}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--audit-policy-file={folder / 'audit.yml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--authorization-mode=RBAC",
        # On loopback, where nobody listens: what it sends to a service without pods leaves the machine otherwise.
        "--service-cluster-ip-range=127.254.0.0/24",
        f"--service-account-issuer=https://127.0.0.1:{port}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged",
    )
    server = ApiServer(f"https://127.0.0.1:{port}", ca, folder, processes)
    until("the API server is ready", lambda: _ready(processes, server))
    processes.start(
        "kube-controller-manager",
        f"--kubeconfig={server.kubeconfig()}",
        f"--secure-port={manager_port}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--controllers={','.join((*CONTROLLERS, *controllers))}",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        f"--service-account-private-key-file={key}",
    )
    return server


def _ready(processes: Processes, server: ApiServer) -> bool:
    processes.check()
    context = ssl.create_default_context(cafile=str(server.ca))
    request = urllib.request.Request(f"{server.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def definitions() -> list[dict[str, Any]]:
    """The custom resource definitions of the published chart."""
    _binaries, charts = programs()
    with tarfile.open(charts / CHART) as archive:
        member = archive.extractfile("aad-pod-identity/crds/crd.yaml")
        if member is None:
            raise RuntimeError(f"{CHART} has no crds/crd.yaml")
        return [document for document in yaml.safe_load_all(member.read()) if document]


@contextlib.contextmanager
def rights_of_nmi(client: Client, namespace: str) -> Iterator[None]:
    """For the block a service account of the namespace has the rights of MIC and NMI, as where both are installed."""
    rules = (
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["*"]},
    )
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": "nmi"}
    with _bound(client, f"runs-{namespace}", subject, rules):
        yield


@contextlib.contextmanager
def rights_of_restricted(client: Client, name: str, *rules: dict[str, Any]) -> Iterator[None]:
    """For the block the user of the token ``RESTRICTED`` may do this in the whole cluster."""
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "restricted"}
    with _bound(client, name, subject, rules):
        yield


@contextlib.contextmanager
def _bound(client: Client, name: str, subject: dict[str, Any], rules: Sequence[dict[str, Any]]) -> Iterator[None]:
    """A ClusterRole with these rules, bound to the subject, both of that name."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    client.create(CLUSTER_ROLE, None, {"metadata": {"name": name}, "rules": list(rules)})
    client.create(CLUSTER_ROLE_BINDING, None, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})
    try:
        yield
    finally:
        client.delete(CLUSTER_ROLE_BINDING, None, name)
        client.delete(CLUSTER_ROLE, None, name)


@contextlib.contextmanager
def own_namespace(client: Client) -> Iterator[str]:
    """The name of a new namespace, which goes with the block."""
    name = "t-" + base64.b32encode(os.urandom(5)).decode().lower()
    client.create(NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        client.delete(NAMESPACE, None, name)
        forget(client, name)


def forget(client: Client, namespace: str) -> None:
    """Take away what does not go with a namespace: bindings of its service accounts, and roles of its releases.

    Whoever removes AAD Pod Identity next in the same API server would find them.
    """
    for each in client.list_all(CLUSTER_ROLE_BINDING):
        if namespace in {subject.get("namespace") for subject in each.get("subjects") or ()}:
            client.delete(CLUSTER_ROLE_BINDING, None, each["metadata"]["name"])
    for each in client.list_all(CLUSTER_ROLE):
        if (each["metadata"].get("annotations") or {}).get("meta.helm.sh/release-namespace") == namespace:
            client.delete(CLUSTER_ROLE, None, each["metadata"]["name"])


def definition(kind: Kind, schema: Mapping[str, Any] | None = None, *, status: bool = False) -> dict[str, Any]:
    """Of a kind of others; ``schema``: of its objects, which by default may have any fields.

    ``status``: as a subresource.
    """
    whole = {"type": "object", "x-kubernetes-preserve-unknown-fields": True} if schema is None else schema
    served = {"served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}
    version = {"name": kind.version, **served, **({"subresources": {"status": {}}} if status else {})}
    spec = {
        "group": kind.group,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "names": {"plural": kind.plural, "kind": kind.name},
        "versions": [version],
    }
    metadata = {"name": kind.resource}
    return {"apiVersion": CRD.api_version, "kind": CRD.name, "metadata": metadata, "spec": spec}


def install(client: Client, definitions: list[dict[str, Any]]) -> None:
    for document in definitions:
        body = {key: value for key, value in document.items() if key != "status"}
        client.apply(CRD, body, force=True)
    until("the definitions are served", lambda: all(_established(client, d) for d in definitions))


def restore(client: Client, definitions: list[dict[str, Any]]) -> None:
    """Bring the definitions back after a test that has left them as it likes.

    Where one was taken away before its objects, these come back with it and would keep it for ever.
    """
    clear_assigned(client)
    names = [document["metadata"]["name"] for document in definitions]
    until("no definition is ending", lambda: not any(_is_ending(client, name) for name in names))
    install(client, definitions)
    clear_assigned(client)


def _is_ending(client: Client, name: str) -> bool:
    return "deletionTimestamp" in (client.get(CRD, None, name) or {"metadata": {}})["metadata"]


def remove_nodes(client: Client) -> None:
    """Take away the nodes that a test has left whose end failed.

    An uninstall waits for minutes for a pod on each that is ready: here is nobody who would start it.
    """
    for each in client.list_all(NODE):
        client.delete(NODE, None, each["metadata"]["name"])


def remove(client: Client, definitions: list[dict[str, Any]]) -> None:
    for document in definitions:
        client.delete(CRD, None, document["metadata"]["name"])
    names = [document["metadata"]["name"] for document in definitions]
    until("the definitions are gone", lambda: not any(client.get(CRD, None, name) for name in names))


def clear_assigned(client: Client) -> None:
    """Take away the AzureAssignedIdentities that a MIC of other tests has left, which was killed.

    Nothing is removed while they are there.
    """
    if client.get(CRD, None, AZURE_ASSIGNED_IDENTITY.resource) is None:
        return
    for each in client.list_all(AZURE_ASSIGNED_IDENTITY):
        place = each["metadata"]["namespace"], each["metadata"]["name"]
        client.merge(AZURE_ASSIGNED_IDENTITY, *place, {"metadata": {"finalizers": None}})
        client.delete(AZURE_ASSIGNED_IDENTITY, *place)


def _established(client: Client, definition: dict[str, Any]) -> bool:
    live = client.get(CRD, None, definition["metadata"]["name"]) or {}
    conditions = {entry["type"]: entry["status"] for entry in (live.get("status") or {}).get("conditions") or ()}
    spec = definition["spec"]
    kind = Kind(spec["group"], spec["versions"][0]["name"], spec["names"]["plural"], spec["names"]["kind"])
    if conditions.get("Established") != "True":
        return False
    status, _body = client._request("GET", kind.path())
    return status == 200


@dataclass(frozen=True)
class Outcome:
    """What a module printed and its exit status."""

    result: dict[str, Any]
    rc: int
    output: str

    def ok(self) -> dict[str, Any]:
        if self.rc:
            raise AssertionError(self.output)
        return self.result

    def failure(self) -> str:
        if not self.rc or not self.result.get("failed"):
            raise AssertionError(f"did not fail: {self.output}")
        return str(self.result["msg"])


@dataclass(frozen=True)
class Runner:
    """Runs a module as Ansible does, in a process of its own, against the API server."""

    server: ApiServer
    name: str
    variables: Mapping[str, str] = MappingProxyType({})

    def start(self, **options: Any) -> subprocess.Popen[str]:
        """The module's process, which has its options; it can be killed."""
        with tempfile.TemporaryFile("w+") as given:
            json.dump({"ANSIBLE_MODULE_ARGS": self._arguments(**options)}, given)
            given.seek(0)
            return subprocess.Popen(
                [sys.executable, "-c", _RUN, str(CHECKOUT), self.name],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**self._environment(), "PYTHONPATH": str(CHECKOUT / "tests")},
            )

    def __call__(self, **options: Any) -> Outcome:
        rc, printed, errors = run_module(self.name, self._arguments(**options), self._environment())
        output = printed + errors
        try:
            result = json.loads(printed)
        except ValueError:
            raise AssertionError(output) from None
        return Outcome(result, rc, output)

    def _arguments(
        self, *, check: bool = False, diff: bool = True, token: str = ADMIN, **options: Any
    ) -> dict[str, Any]:
        return {
            "kubeconfig": self.server.kubeconfig(token),
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_remote_tmp": str(self.server.folder),
        }

    def _environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("K8S_AUTH_")}
        return {**clean, "HOME": str(self.server.folder), **self.variables}


_RUN = """
import importlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script runs in the background ignores it
import conftest  # makes the checkout importable under the collection's name
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
importlib.import_module(f"ansible_collections.azureops.pod_identity.plugins.modules.{sys.argv[2]}").main()
"""
