# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with an OIDC issuer, of which nothing is there but the issue of tokens of service accounts."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from azsandbox.azure.loopback import SimulatedAzure

AUDIENCE = "api://AzureADTokenExchange"
REFUSED = {"gone": (404, "NotFound"), "closed": (403, "Forbidden")}


def subject(account: str) -> str:
    return f"system:serviceaccount:ns:{account}"


class TokenCluster:
    """An API server that issues tokens of the service accounts in `ns`; `gone` does not exist, `closed` is forbidden.

    It lists one service account, `sa`.
    """

    def __init__(self, azure: SimulatedAzure) -> None:
        made = azure.cluster(oidcIssuerProfile={"enabled": True})
        self.issuer = made["properties"]["oidcIssuerProfile"]["issuerURL"]
        self.issued = 0
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                account = self.path.split("/")[-2]
                details = {"name": account, "kind": "serviceaccounts"}
                if account in REFUSED:
                    status, reason = REFUSED[account]
                    answer = {"kind": "Status", "reason": reason, "message": "It is refused.", "details": details}
                    self.reply(status, answer)
                    return
                cluster.issued += 1
                now = int(time.time())
                claims = {"iss": cluster.issuer, "sub": subject(account), "aud": request["spec"]["audiences"]}
                times = {"iat": now, "nbf": now, "exp": now + request["spec"]["expirationSeconds"]}
                self.reply(201, {"status": {"token": azure.compute.sign({**claims, **times})}})

            def do_GET(self) -> None:
                accounts = [{"metadata": {"namespace": "ns", "name": "sa"}}]
                self.reply(200, {"apiVersion": "v1", "kind": "ServiceAccountList", "metadata": {}, "items": accounts})

            def reply(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
