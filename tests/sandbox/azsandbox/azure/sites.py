# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with documents only: the chart repository and the OIDC issuers of clusters."""

from __future__ import annotations

from .compute import DISCOVERY, KEYS, ComputeError
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
    """<location>.oic.prod-aks.azure.com: what the API server of a cluster publishes of its service account issuer.

    The URL of an issuer that is being switched on shows nothing before the API server signs as it.
    """
    asked = f"https://{call.host.partition(':')[0]}{call.path}"
    for cluster in call.state.all(CLUSTER):
        url = str(cluster.properties["oidcIssuerProfile"].get("issuerURL") or "").rstrip("/")
        if call.method == "GET" and url and asked in (f"{url}{DISCOVERY}", f"{url}{KEYS}"):
            return await _published(call, cluster.id, url)
    return Answer(404, "", content_type="text/plain")


async def _published(call: Call, cluster_id: str, url: str) -> Answer:
    compute = call.azure.compute
    try:
        document = await compute.issuer_discovery(cluster_id)
        if str(document["issuer"]).rstrip("/") == url:
            if call.path.endswith(DISCOVERY):
                return Answer(200, document, content_type=JSON)
            return Answer(200, await compute.issuer_keys(cluster_id), content_type="application/jwk-set+json")
    except ComputeError:
        pass  # it has never run
    return Answer(404, "", content_type="text/plain")
