# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API on a unix socket: faults, log, reset, principals, settings."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from .core import Azure
from .faults import Faults, InvalidRule
from .log import RequestLog
from .state import LOCK, ApplicationCredential, Secret, Settings
from .wire import JsonObject


class Control:
    """Handlers over the parts of a running server."""

    def __init__(self, azure: Azure, faults: Faults, log: RequestLog) -> None:
        self._azure = azure
        self._faults = faults
        self._log = log

    def application(self) -> web.Application:
        application = web.Application(middlewares=[_plain_errors])
        application.add_routes(
            [
                web.post("/faults", self.add_fault),
                web.get("/faults", self.list_faults),
                web.delete("/faults", self.clear_faults),
                web.get("/log", self.read_log),
                web.delete("/log", self.clear_log),
                web.post("/reset", self.reset),
                web.post("/principals", self.add_principal),
                web.post("/subscriptions", self.add_subscription),
                web.post("/deny-assignments", self.add_denial),
                web.get("/settings", self.read_settings),
                web.post("/settings", self.change_settings),
                web.get("/state", self.read_state),
            ]
        )
        return application

    async def add_fault(self, request: web.Request) -> web.Response:
        return web.json_response(self._faults.add(await request.json()).as_json(), status=201)

    async def list_faults(self, request: web.Request) -> web.Response:
        return web.json_response([rule.as_json() for rule in self._faults.rules])

    async def clear_faults(self, request: web.Request) -> web.Response:
        """All of them, or one by ``?id=``."""
        self._faults.clear(request.query.get("id"))
        return web.json_response({})

    async def read_log(self, request: web.Request) -> web.Response:
        """``?method=&path=&host=&caller=&status=&since=``; ``last`` is the ``since`` of a later question."""
        entries = self._log.select(request.query)
        return web.json_response({"count": len(entries), "last": self._log.last, "entries": entries})

    async def clear_log(self, request: web.Request) -> web.Response:
        self._log.clear()
        return web.json_response({})

    async def reset(self, request: web.Request) -> web.Response:
        """An empty subscription, no faults, settings as started; the log stays."""
        await self._azure.reset()
        self._faults.clear()
        self._azure.state.settings = Settings(time_scale=self._azure.config.time_scale)
        return web.json_response({})

    async def add_principal(self, request: web.Request) -> web.Response:
        """``{name, roles: [{role, scope}], groups, secret_expires_in, certificate, federated, graph, owners}``

        -> its credentials. ``federated``: federated credentials as Graph has them; ``graph``: permissions of Microsoft
        Graph; ``owners``: object ids of the service principals that own the application.
        """
        given = await request.json()
        principal, secret = self._azure.state.new_application(str(given["name"]))
        if "secret_expires_in" in given:
            principal.secrets = [Secret(secret, time.time() + float(given["secret_expires_in"]))]
        if given.get("certificate"):
            principal.certificates.append(str(given["certificate"]).encode())
        for number, each in enumerate(given.get("federated") or []):
            known = {"id": str(uuid.uuid4()), "name": f"federated-{number}", "description": None, "subject": None}
            principal.federated.append(ApplicationCredential({**known, **each}))
        principal.graph.extend(given.get("graph") or [])
        principal.owners.extend(given.get("owners") or [])
        principal.groups.extend(given.get("groups") or [])
        for entry in given.get("roles") or []:
            try:
                self._azure.assign(principal, str(entry["role"]), str(entry["scope"]))
            except StopIteration:
                self._azure.state.principals.pop(principal.object_id)
                raise ValueError(f"There is no role '{entry['role']}'.") from None
        return web.json_response(
            {
                "name": principal.name,
                "client_id": principal.app_id,
                "object_id": principal.object_id,
                "application_id": principal.application_id,
                "secret": secret,
                "tenant_id": self._azure.config.tenant_id,
            },
            status=201,
        )

    async def add_subscription(self, request: web.Request) -> web.Response:
        """``{name}`` -> its id; a further, empty subscription of the tenant, with the same owner as the first."""
        name = str((await request.json())["name"])
        return web.json_response({"subscription_id": self._azure.add_subscription(name)}, status=201)

    async def add_denial(self, request: web.Request) -> web.Response:
        """``{scope, name, actions, not_actions, excluded_principals}``"""
        given = await request.json()
        made = self._azure.deny(
            given["scope"],
            given.get("name") or "test",
            list(given["actions"]),
            list(given.get("not_actions") or []),
            list(given.get("excluded_principals") or []),
        )
        return web.json_response(made.body, status=201)

    async def read_settings(self, request: web.Request) -> web.Response:
        return web.json_response(asdict(self._azure.state.settings))

    async def change_settings(self, request: web.Request) -> web.Response:
        """Any of the settings; unknown names are refused."""
        given = await request.json()
        kinds = {name: type(value) for name, value in asdict(Settings()).items()}
        unknown = sorted(set(given) - set(kinds))
        if unknown:
            raise ValueError(f"There is no setting {', '.join(unknown)}; known are {', '.join(sorted(kinds))}.")
        for name, value in given.items():
            setattr(self._azure.state.settings, name, kinds[name](value))
        return await self.read_settings(request)

    async def read_state(self, request: web.Request) -> web.Response:
        """How many objects of each type there are, and locks and clusters by name."""
        counts: dict[str, int] = {}
        for resource in self._azure.state.resources.values():
            counts[resource.type] = counts.get(resource.type, 0) + 1
        summary: JsonObject = {"counts": counts, "locks": [r.id for r in self._azure.state.all(LOCK)]}
        return web.json_response(summary)


@web.middleware
async def _plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (InvalidRule, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except KeyError as error:
        return web.json_response({"error": f"The request needs {error}."}, status=400)
