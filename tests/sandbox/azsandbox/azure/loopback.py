# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Azure on loopback, in a thread: what wire tests talk to.

Its services are told apart by address instead of name: 127.0.0.1 is ARM, .2 Entra, .3 Graph, .4 the chart repository,
.5 IMDS; ports are whatever was free.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import socket
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .arm import versions
from .clock import Clock
from .core import Address, Config, Endpoints
from .null_compute import NullCompute
from .server import Server, bind
from .state import INSTANCE, SCALE_SET, VIRTUAL_MACHINE, Resource

HTTPS = tuple(Address(f"127.0.0.{n}", 0) for n in (1, 2, 3, 4))
HTTP = (Address("127.0.0.5", 0),)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback addresses, its own CA; paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated Azure")])
    addresses = [x509.IPAddress(ip_address(a.host)) for a in (*HTTPS, *HTTP)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "azure.crt", folder / "azure.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ControlClient:
    """The control API of a running server."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, method: str, path: str, body: Any = None, /, **query: str) -> Any:
        """Decoded JSON of the answer; an error answer raises RuntimeError."""
        connection = _UnixConnection(self._path)
        try:
            target = f"{path}?{urlencode(query)}" if query else path
            payload = None if body is None else json.dumps(body)
            connection.request(method, target, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(content["error"])
        return content


@dataclass(frozen=True)
class Credentials:
    client_id: str
    secret: str
    object_id: str
    application_id: str = ""
    """Object id of the application, whose service principal ``object_id`` is."""


class SimulatedAzure:
    """A server of its own, in a thread; synchronous to its user."""

    def __init__(
        self,
        folder: Path,
        *,
        time_scale: float = 0.0,
        clock: Clock | None = None,
        compute: NullCompute | None = None,
    ) -> None:
        self._clock = clock
        self.compute = compute or NullCompute()
        self.tenant_id = str(uuid.uuid4())
        self.subscription_id = str(uuid.uuid4())
        certificate, key = write_certificate(folder)
        self.ca_file = certificate
        https, http_sockets = bind(HTTPS), bind(HTTP)
        at = ["{}:{}".format(*s.getsockname()) for s in (*https, *http_sockets)]
        self.endpoints = Endpoints(
            arm=f"https://{at[0]}",
            entra=f"https://{at[1]}",
            graph=f"https://{at[2]}",
            charts=f"https://{at[3]}",
            imds=f"http://{at[4]}",
        )
        charts = folder / "charts"
        charts.mkdir(exist_ok=True)
        self.config = Config(
            tenant_id=self.tenant_id,
            subscription_id=self.subscription_id,
            client_id=str(uuid.uuid4()),
            client_secret=secrets.token_urlsafe(24),
            state_dir=folder,
            certificate=certificate,
            private_key=key,
            endpoints=self.endpoints,
            time_scale=time_scale,
            charts=charts,
        )
        self.control = ControlClient(self.config.control_socket)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-azure", daemon=True)
        self._thread.start()
        self.server: Server = self.run(self._start(https, http_sockets))
        self.session = requests.Session()
        self.session.verify = str(self.ca_file)
        self.session.trust_env = False
        owner = self.server.azure.state.principal_by_app(self.config.client_id)
        assert owner is not None
        self.owner = Credentials(self.config.client_id, self.config.client_secret, owner.object_id)

    async def _start(self, https: list[socket.socket], http_sockets: list[socket.socket]) -> Server:
        server = Server(self.config, self.compute, self._clock)
        await server.start(https, http_sockets)
        return server

    def run(self, work: Any) -> Any:
        """Await something in the server's own thread, for longer than anything waits there itself."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(180)

    def in_loop(self, function: Any) -> Any:
        """Call something in the server's own thread, where its state may be touched."""

        async def call() -> Any:
            return function()

        return self.run(call())

    def close(self) -> None:
        self.session.close()
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # conveniences

    def principal(self, name: str, *roles: tuple[str, str], **more: Any) -> Credentials:
        """A further service principal; roles are (role, scope), the rest as the control API takes it."""
        made = self.control(
            "POST", "/principals", {"name": name, "roles": [{"role": r, "scope": s} for r, s in roles], **more}
        )
        return Credentials(made["client_id"], made["secret"], made["object_id"], made["application_id"])

    def subscription(self, name: str) -> str:
        """A further subscription of the owner; its id."""
        return str(self.control("POST", "/subscriptions", {"name": name})["subscription_id"])

    def token(self, who: Credentials | None = None, scope: str = "https://management.azure.com/.default") -> str:
        who = who or self.owner
        answer = self.session.post(
            f"{self.endpoints.entra}/{self.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": who.client_id,
                "client_secret": who.secret,
                "scope": scope,
            },
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def arm(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: Credentials | None = None,
        version: str = "",
        **more: Any,
    ) -> requests.Response:
        """An ARM request; ``path`` begins below the subscription unless it is absolute.

        Without ``version`` the api-version is one that is offered for the path, 2024-05-01 where it is.
        """
        if path.startswith("https://"):
            url = path
        else:
            absolute = path.startswith(("/subscriptions", "/providers", "/tenants"))
            url = self.endpoints.arm + (path if absolute else f"/subscriptions/{self.subscription_id}{path}")
        usual = versions.usual(urlsplit(url).path, "2024-05-01")
        params = {} if "api-version=" in url else {"api-version": version or usual}
        headers = {"Authorization": f"Bearer {self.token(who)}", **more.pop("headers", {})}
        return self.session.request(
            method, url, json=body, params={**params, **more.pop("params", {})}, headers=headers, **more
        )

    def cluster(self, group: str = "rg", name: str = "c1", **properties: Any) -> dict[str, Any]:
        """A group with a cluster of one pool of two nodes, waited for; the cluster's body."""
        self.arm("PUT", f"/resourceGroups/{group}", {"location": "westeurope"}).raise_for_status()
        path = f"/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}"
        body = {
            "location": "westeurope",
            "identity": {"type": "SystemAssigned"},
            "properties": {
                "dnsPrefix": name,
                "agentPoolProfiles": [{"name": "nodepool1", "count": 2, "mode": "System"}],
                "networkProfile": {"networkPlugin": "azure"},
                **properties,
            },
        }
        made = self.arm("PUT", path, body)
        made.raise_for_status()
        self.wait(made)
        return dict(self.arm("GET", path).json())

    def machine(self, group: str, name: str, **body: Any) -> str:
        """A machine that is in no scale set, in an existing group; its id. ARM would make one by a PUT of its own."""
        return self._own(VIRTUAL_MACHINE, group, name, body)

    def scale_set(self, group: str, name: str, **body: Any) -> str:
        """A scale set that is no cluster's, in an existing group; its id."""
        return self._own(SCALE_SET, group, name, body)

    def _own(self, kind: str, group: str, name: str, body: dict[str, Any]) -> str:
        resource_id = f"/subscriptions/{self.subscription_id}/resourceGroups/{group}/providers/{kind}/{name}"
        shown = {
            "name": name,
            "id": resource_id,
            "type": kind,
            "location": "westeurope",
            "properties": {"provisioningState": "Succeeded"},
            **body,
        }
        self.in_loop(lambda: self.server.azure.state.put(Resource(resource_id, kind, shown)))
        return resource_id

    def wait(self, answer: requests.Response) -> dict[str, Any]:
        """Poll an operation to its end (about 20 s at most); its last body."""
        url = answer.headers["Azure-AsyncOperation"]
        for _ in range(400):
            body = self.arm("GET", url).json()
            if body["status"] in ("Succeeded", "Failed", "Canceled"):
                return dict(body)
            threading.Event().wait(0.05)
        raise AssertionError(f"operation did not end: {body}")

    def first_instance(self) -> dict[str, Any]:
        """A node of a cluster that was made before."""

        def find() -> dict[str, Any]:
            return dict(next(self.server.azure.state.all(INSTANCE)).body)

        return dict(self.in_loop(find))

    def scale_set_of(self, instance: dict[str, Any]) -> dict[str, Any]:
        return dict(self.arm("GET", str(instance["id"]).partition("/virtualMachines/")[0]).json())
