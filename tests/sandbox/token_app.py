# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that asks for an Azure token all the time and says which way each came: the image token-app.

What it does is chosen by its environment:

- CREDENTIAL: ``default``, ``workload_identity`` or ``managed_identity``, a credential of azure-identity; or ``imds``,
  an SDK that is too old for Workload ID and knows nothing but the address of the metadata service.
- RESOURCE (https://management.azure.com), CLIENT_ID (none), INTERVAL (1 second).
- RETRIES, TIMEOUT: how often azure-identity tries again and how many seconds it waits for a connection or an answer;
  unset, as it does by itself. ``imds`` never tries again.

Credentials are made anew for each request, so that each opens connections of its own and none is served from memory.
On standard output is one JSON object for each request: ``began`` and ``ended`` (seconds since 1970), ``credential``,
``ok``, ``path``, ``connections`` (addresses that were connected to, with ports, in order), ``answers`` (``host``,
``status`` and the ``server`` that it says it is), ``assertion`` (whether the service account's token was read), ``oid``
and ``appid`` of the token, and of a failure ``error`` (a class) and ``codes`` of Entra. No token is shown.

``path`` is who gave the token: ``workload_identity`` (an exchange of the service account's token at Entra), ``entra``
(another way of it), and at the address of the metadata service ``imds`` or ``proxy`` (that of Workload ID) where these
say so, and ``nmi``, which has no name of its own.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

METADATA = urlsplit(os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254")).netloc
"""Where the metadata service is; azure-identity knows the variable too."""
_NMI_WAITS = 120
"""More seconds than NMI waits for an identity."""


@dataclass(frozen=True)
class Answer:
    host: str
    status: int
    server: str


@dataclass
class Seen:
    """What happened during one request for a token."""

    connections: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    assertion: bool = False

    def path(self) -> str:
        """Who gave the token, which the last answer held."""
        if not self.answers:
            return ""
        last = self.answers[-1]
        if last.host != METADATA:
            return "workload_identity" if self.assertion else "entra"
        if last.server.lower().startswith("imds"):
            return "imds"
        return "proxy" if last.server.lower().startswith("azure-workload-identity/proxy") else "nmi"


seen = Seen()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """What the interpreter itself reports: see sys.addaudithook()."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        seen.connections.append("{}:{}".format(*arguments[1]))
    elif event == "open" and arguments[0] == os.environ.get("AZURE_FEDERATED_TOKEN_FILE", ""):
        seen.assertion = True


def answered(url: str, status: int, server: str | None) -> None:
    seen.answers.append(Answer(urlsplit(url).netloc, status, server or ""))


def ask_imds(resource: str, client_id: str) -> str:
    """As SDKs did before there was Workload ID."""
    query = {"api-version": "2018-02-01", "resource": f"{resource}/", **({"client_id": client_id} if client_id else {})}
    connection = http.client.HTTPConnection(METADATA, timeout=_NMI_WAITS)
    try:
        connection.request("GET", f"/metadata/identity/oauth2/token?{urlencode(query)}", headers={"Metadata": "true"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    answered(f"http://{METADATA}", answer.status, answer.headers.get("Server"))
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}")
    return str(json.loads(body)["access_token"])


def ask_sdk(name: str, resource: str, client_id: str) -> str:
    import azure.identity  # not here where an old SDK is played

    made: Any = {
        "default": azure.identity.DefaultAzureCredential,
        "managed_identity": azure.identity.ManagedIdentityCredential,
        "workload_identity": azure.identity.WorkloadIdentityCredential,
    }[name]
    options: dict[str, Any] = {
        "raw_response_hook": lambda one: answered(
            one.http_request.url, one.http_response.status_code, one.http_response.headers.get("Server")
        )
    }
    if "RETRIES" in os.environ:
        options["retry_total"] = int(os.environ["RETRIES"])
    if "TIMEOUT" in os.environ:
        options["connection_timeout"] = options["read_timeout"] = float(os.environ["TIMEOUT"])
    if client_id:
        options["managed_identity_client_id" if name == "default" else "client_id"] = client_id
    with made(**options) as credential:
        return str(credential.get_token(f"{resource}/.default").token)


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def record() -> dict[str, Any]:
    """Ask once."""
    global seen
    seen = Seen()
    name, client_id = os.environ["CREDENTIAL"], os.environ.get("CLIENT_ID", "")
    resource = os.environ.get("RESOURCE", "https://management.azure.com")
    began = time.time()
    told: dict[str, Any]
    try:
        told = claims(ask_imds(resource, client_id) if name == "imds" else ask_sdk(name, resource, client_id))
        told = {"ok": True, "path": seen.path(), "oid": told["oid"], "appid": told["appid"]}
    except Exception as error:  # whatever an SDK raises
        codes = sorted(set(re.findall(r"AADSTS\d+", str(error))))
        told = {"ok": False, "path": "", "error": type(error).__name__, "codes": codes}
    return {
        "began": began,
        "ended": time.time(),
        "credential": name,
        **told,
        "connections": seen.connections,
        "answers": [vars(each) for each in seen.answers],
        "assertion": seen.assertion,
    }


def main() -> None:
    logging.disable()  # the output is for records
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit())
    sys.addaudithook(watch)
    while True:
        print(json.dumps(record()), flush=True)
        time.sleep(float(os.environ.get("INTERVAL", "1")))


if __name__ == "__main__":
    main()
