# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A managed cluster whose add-on runs pod identity."""

from __future__ import annotations

import json
import ssl

import aiohttp

from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, ApiServer
from azsandbox import pod_identity_addon
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.null_compute import NullCompute


class Aks(NullCompute):
    """A cluster that is this API server; its nodes do not exist. ``tidy``: whether AKS takes away more than its NMI."""

    def __init__(self, api_server: ApiServer) -> None:
        super().__init__()
        self.server = api_server
        self.tidy = True

    async def update(self, spec: ClusterSpec) -> None:
        old = self.clusters.get(spec.id.lower())
        await super().update(spec)
        if spec.pod_identity is not None:
            await pod_identity_addon.deploy(self.call, spec.pod_identity)
        elif old is None or old.pod_identity is not None:
            await self.take_away()

    async def take_away(self) -> None:
        if self.tidy:
            await pod_identity_addon.remove(self.call)
        else:
            await self.call("DELETE", "/apis/apps/v1/namespaces/kube-system/daemonsets/nmi")

    async def call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> object:
        context = ssl.create_default_context(cafile=str(self.server.ca))
        headers = {"Authorization": f"Bearer {ADMIN}", "User-Agent": "aks", "Content-Type": kind}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(
                method,
                f"{self.server.url}{path}",
                ssl=context,
                headers=headers,
                data=json.dumps(body) if body else None,
            ) as response,
        ):
            text = await response.text()
            return json.loads(text) if "json" in response.content_type else text
