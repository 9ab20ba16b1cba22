# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with documents only: the chart repository and the OIDC issuers of clusters."""

from __future__ import annotations

from .routing import Call
from .state import CLUSTER
from .wire import JSON, Answer

CHARTS = "/Azure/aad-pod-identity/master/charts/"


async def charts(call: Call) -> Answer:
    """raw.githubusercontent.com: the public chart repository of AAD Pod Identity."""
    root = call.azure.config.charts
    name = call.path.removeprefix(CHARTS)
    if root is None or call.method != "GET" or not call.path.startswith(CHARTS) or "/" in name or name.startswith("."):
        return Answer(404, "404: Not Found", content_type="text/plain; charset=utf-8")
    file = root / name
    if not file.is_file():
        return Answer(404, "404: Not Found", content_type="text/plain; charset=utf-8")
    kind = "application/octet-stream" if file.suffix == ".tgz" else "text/plain; charset=utf-8"
    return Answer(200, file.read_bytes(), content_type=kind)


async def issuer(call: Call) -> Answer:
    """<location>.oic.prod-aks.azure.com: discovery document and keys of a cluster's service account issuer."""
    for cluster in call.state.all(CLUSTER):
        url = str(cluster.properties["oidcIssuerProfile"].get("issuerURL") or "")
        base = url.partition("://")[2].partition("/")
        if call.method != "GET" or not url or base[0] != call.host.partition(":")[0]:
            continue
        rest = call.path.removeprefix(f"/{base[2]}")
        if rest == ".well-known/openid-configuration":
            return Answer(
                200,
                {
                    "issuer": url,
                    "jwks_uri": f"{url}openid/v1/jwks",
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                },
                content_type=JSON,
            )
        if rest == "openid/v1/jwks":
            return Answer(
                200, await call.azure.compute.issuer_keys(cluster.id), content_type="application/jwk-set+json"
            )
    return Answer(404, "", content_type="text/plain")
