# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real NMI as a process, asked from the addresses of pods: any of 127.0.0.0/8 is an address of this machine.

For service principals it asks the Entra of a simulated Azure. How requests come to its port is not the subject here,
so the rules that it makes go nowhere.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    CERTIFICATE,
    SERVICE_PRINCIPAL,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SECRET
from ansible_collections.azureops.pod_identity.tests.kube.objects import manifest
from ansible_collections.azureops.pod_identity.tests.kube.token_server import Reply, TokenServer
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Processes, free_ports
from ansible_collections.azureops.pod_identity.tests.support.certificates import _PASSWORD, _certificate, _pkcs12
from azsandbox.azure.loopback import SimulatedAzure

NODE_TOKEN = "node"
ENTRA = "entra/"
IPTABLES = """#!/bin/sh
[ "$1" != --version ] || echo "iptables v1.8.9 (legacy)"
"""


@dataclass(frozen=True)
class Said:
    """``token``: the client id that the token was asked for with, or ``node`` for one of the node's own.

    Where Entra gave it to a service principal, ``entra/`` and its client id.
    """

    status: int
    token: str
    body: str


class _Tokens(TokenServer):
    """Azure's side of NMI, with the protocol of the app service: its address can be given to NMI."""

    def answer(self, path: str) -> Reply:
        asked = parse_qs(urlsplit(path).query)
        told = {"access_token": asked.get("clientid", [NODE_TOKEN])[0], "expires_on": str(int(time.time()) + 3600)}
        whole = {**told, "resource": asked["resource"][0], "token_type": "Bearer"}
        return 200, json.dumps(whole).encode(), {}


@dataclass(frozen=True)
class Nmi:
    """``log``: a file."""

    port: int
    azure: SimulatedAzure
    log: Path

    def ask(self, address: str, timeout: float = 30, /, **parameters: str) -> Said:
        """A request for a token from the address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(address, 0))
        with contextlib.closing(connection):
            query = urlencode({"api-version": "2018-02-01", "resource": "https://vault.azure.net", **parameters})
            connection.request("GET", f"/metadata/identity/oauth2/token?{query}", headers={"Metadata": "true"})
            answer = connection.getresponse()
            body = answer.read().decode()
        token = json.loads(body)["access_token"] if answer.status == 200 else ""
        return Said(answer.status, _whose(token), body)


class ServicePrincipals:
    """Applications of NMI's Entra that have a secret and a certificate in common, which lie in Secrets too."""

    def __init__(self, azure: SimulatedAzure, client: Client, *client_ids: str) -> None:
        self._azure = azure
        self._client = client
        self._certificate, key = _certificate("one")
        for client_id in client_ids:
            azure.in_loop(lambda client_id=client_id: self._register(client_id))
        self.keep("secret", secret=_PASSWORD)
        self.keep("certificate", certificate=_pkcs12(self._certificate, key), password=_PASSWORD)

    def spec(self, kind: int, secret: str = "") -> dict[str, Any]:
        """What an AzureIdentity of a type names besides its client id."""
        if kind not in (SERVICE_PRINCIPAL, CERTIFICATE):
            return {}
        name = secret or ("secret" if kind == SERVICE_PRINCIPAL else "certificate")
        return {
            "tenantID": self._azure.tenant_id,
            "adEndpoint": self._azure.endpoints.entra,
            "clientPassword": {"namespace": "default", "name": name},
        }

    def keep(self, name: str, **data: bytes) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self._client.apply(SECRET, manifest(SECRET, name, "default", data=encoded))

    def _register(self, client_id: str) -> None:
        made, _secret = self._azure.server.azure.state.new_application(client_id, client_id, _PASSWORD.decode())
        made.certificates.append(self._certificate.public_bytes(serialization.Encoding.PEM))


def stranger() -> bytes:
    """A certificate that no application has."""
    return _pkcs12(*_certificate("stranger"))


def _whose(token: str) -> str:
    if token.count(".") != 2:
        return token
    return ENTRA + str(jwt.decode(token, options={"verify_signature": False})["appid"])


@contextlib.contextmanager
def running(api_server: ApiServer, node: str, *flags: str) -> Iterator[Nmi]:
    """An NMI of a node, which ends with the block; it waits for no assignment."""
    binaries, _charts = server.programs()
    with tempfile.TemporaryDirectory(prefix="nmi-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "iptables").write_text(IPTABLES)
        (folder / "iptables").chmod(0o755)
        tokens = stack.enter_context(_Tokens())
        azure = SimulatedAzure(folder)
        stack.callback(azure.close)
        processes = Processes(binaries, folder)
        stack.callback(processes.stop)
        port, probe, metrics = free_ports(3)
        processes.start(
            "nmi",
            f"--node={node}",
            f"--nmi-port={port}",
            f"--http-probe-port={probe}",
            f"--prometheus-port={metrics}",
            "--allow-network-plugin-kubenet",
            "--retry-attempts-for-created=1",
            "--retry-attempts-for-assigned=1",
            "--find-identity-retry-interval=0",
            *flags,
            PATH=f"{folder}:{os.defpath}",
            KUBECONFIG=api_server.kubeconfig(),
            MSI_ENDPOINT=f"{tokens.host}/msi/token",
            MSI_SECRET="given",
            SSL_CERT_FILE=str(azure.ca_file),
        )
        nmi = Nmi(port, azure, folder / "nmi.log")
        server.until("NMI answers", lambda: _answers(processes, nmi))
        yield nmi


def _answers(processes: Processes, nmi: Nmi) -> bool:
    processes.check()
    try:
        return nmi.ask("127.0.0.1").status == 500  # from no pod
    except OSError:
        return False
