# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Azure as a running server: one process, many names."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode
from weakref import WeakSet

from aiohttp import web

from . import arm, entra, graph, imds, sites
from .clock import Clock
from .compute import Compute, ComputeError
from .control import Control
from .core import Address, Azure, Config, Endpoints
from .faults import DISTORTIONS, Faults, Rule
from .log import RequestLog, scrubbed_body, scrubbed_query
from .routing import Call
from .state import Settings
from .wire import Answer, AzureError, gateway_error, not_served

__all__ = ["Address", "Config", "Endpoints", "Server", "Settings", "run"]

logger = logging.getLogger(__name__)

Service = Callable[[Call], Awaitable[Answer]]
MAX_BODY = 4 * 1024 * 1024


class Server:
    """Listens, tells services apart by Host header, applies faults, keeps the log."""

    def __init__(self, config: Config, compute: Compute, clock: Clock | None = None) -> None:
        self.config = config
        self.azure = Azure(config, compute, clock or Clock())
        self.faults = Faults()
        self.log = RequestLog(config.request_log)
        self._services = self._by_host(config.endpoints)
        self._runners: list[web.AppRunner] = []
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    @staticmethod
    def _by_host(endpoints: Endpoints) -> dict[str, Service]:
        services: dict[str, Service] = {
            endpoints.host("arm"): arm.handle,
            endpoints.host("entra"): entra.handle,
            endpoints.host("graph"): graph.handle,
            endpoints.host("charts"): sites.charts,
            endpoints.host("imds"): imds.handle,
        }
        for alias in ("login.windows.net", "login.microsoft.com", "sts.windows.net"):
            services[alias] = entra.handle
        return services

    def put_in_place(self, name: str, service: Service) -> None:
        """Let another service answer for the host that the endpoints call ``name``."""
        self._services[self.config.endpoints.host(name)] = service

    def _service(self, host: str) -> Service | None:
        if host in self._services:
            return self._services[host]
        bare = host.partition(":")[0]
        if bare.endswith("." + self.config.endpoints.issuer_domain):
            return sites.issuer
        return self._services.get(bare)

    async def start(self, https: Sequence[socket.socket], http: Sequence[socket.socket]) -> None:
        """Serve on sockets that are bound already, and on the control socket."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.config.certificate, self.config.private_key)
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(_without_own_name)
        runner = await self._runner(application)
        for bound in https:
            await web.SockSite(runner, bound, ssl_context=context).start()
        for bound in http:
            await web.SockSite(runner, bound).start()
        control = await self._runner(Control(self.azure, self.faults, self.log).application())
        self.config.control_socket.unlink(missing_ok=True)
        await web.UnixSite(control, str(self.config.control_socket)).start()

    async def _runner(self, application: web.Application) -> web.AppRunner:
        # Clients keep connections open; a stop must not wait for them.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def stop(self) -> None:
        # A TLS connection that a client keeps would wait half a minute for the client's goodbye.
        for transport in self._transports:
            transport.abort()
        for runner in self._runners:
            await runner.cleanup()
        await self.azure.stop()
        self.config.control_socket.unlink(missing_ok=True)
        self.log.close()

    # one request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        if request.transport is not None:
            self._transports.add(request.transport)
        call = Call(
            azure=self.azure,
            method=request.method,
            host=request.host.lower(),
            path=re.sub("//+", "/", request.path),  # as Azure takes them; some clients send two
            query=request.query,
            headers=request.headers,
            raw_body=await request.read(),
            remote=request.remote or "",
            request_id=str(uuid.uuid4()),
        )
        form = f"#{entra.shown(call)}" if self._service(call.host) is entra.handle else ""
        rule = self.faults.hit(call.method, f"{call.host}{request.path_qs}{form}", call.remote)
        if rule is not None:
            call.fault = rule.id
            await asyncio.sleep(rule.delay)
        answer = await self._answer_with(rule, call, str(request.url))
        self._record(call, answer, rule is not None and rule.unanswered, time.monotonic() - began)
        if rule is not None and rule.hang:
            await _gone(request)
        elif rule is not None and rule.reset and request.transport is not None:
            # Discard what was not sent: the client sees a reset connection.
            request.transport.abort()
        response = self._response(call, answer)
        if rule is not None and rule.cut:
            await _send_half(request, response)
        return response

    async def _answer_with(self, rule: Rule | None, call: Call, url: str) -> Answer:
        if rule is not None and rule.aadsts and self._service(call.host) is entra.handle:
            return entra.refused(call, rule.aadsts)
        if rule is None or (rule.status is None and not rule.unanswered):
            answer = await self._answer(call)
            if rule is not None and rule.distort:
                return replace(answer, body=DISTORTIONS[rule.distort](answer.body, url))
            return answer
        real = await self._answer(call) if rule.after else None
        if rule.status is not None:
            return Answer(rule.status, rule.body, rule.headers)
        return real or Answer(503)

    async def _answer(self, call: Call) -> Answer:
        service = self._service(call.host)
        if service is None:
            return not_served(f"'{call.method} {call.path}' of the host '{call.host}' is not served").answer
        try:
            return await service(call)
        except AzureError as error:
            return error.answer
        except ComputeError as error:
            return gateway_error(500, "InternalServerError", str(error)).answer
        except Exception:
            logger.exception("%s %s failed", call.method, call.path)
            return gateway_error(500, "InternalServerError", "The simulated Azure failed; see its log.").answer

    def _record(self, call: Call, answer: Answer, unanswered: bool, seconds: float) -> None:
        writes = call.method in ("PUT", "PATCH", "POST")
        whole = {}
        if self.azure.state.settings.log_whole and self._service(call.host) is arm.handle:
            whole = {"url": f"{call.path}?{urlencode(call.query)}", "raw_body": call.raw_body.decode(errors="replace")}
        self.log.add(
            {
                **whole,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "method": call.method,
                "host": call.host,
                "path": call.path,
                "query": scrubbed_query(call.query),
                "status": 0 if unanswered else answer.status,
                "caller": call.caller.app_id if call.caller else "",
                "caller_name": call.caller.name if call.caller else "",
                "remote": call.remote,
                "user_agent": call.headers.get("User-Agent", ""),
                "body": scrubbed_body(call.raw_body, call.headers.get("Content-Type", "")) if writes else None,
                "error": _code(answer),
                "fault": call.fault,
                "milliseconds": round(seconds * 1000, 1),
            }
        )

    def _response(self, call: Call, answer: Answer) -> web.Response:
        headers = {**self._common_headers(call), **answer.headers}
        if answer.body is not None:
            headers.setdefault("Content-Type", answer.content_type)
        return web.Response(status=answer.status, body=answer.payload(), headers=headers)

    def _common_headers(self, call: Call) -> dict[str, str]:
        if self._service(call.host) is not arm.handle:
            return {"x-ms-request-id": call.request_id}
        kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(call.method, "writes")
        left = {"reads": "11999", "deletes": "14999", "writes": "1199"}[kind]
        correlation = call.headers.get("x-ms-correlation-request-id", call.request_id)
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            "x-ms-request-id": call.request_id,
            "x-ms-correlation-request-id": correlation,
            "x-ms-routing-request-id": f"SANDBOX:{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}:{call.request_id}",
            f"x-ms-ratelimit-remaining-subscription-{kind}": left,
        }
        client = call.headers.get("x-ms-client-request-id")
        if client and call.headers.get("x-ms-return-client-request-id", "").lower() == "true":
            headers["x-ms-client-request-id"] = client
        return headers


async def _gone(request: web.Request) -> None:
    """Wait until the client has closed the connection."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.02)


async def _send_half(request: web.Request, response: web.Response) -> None:
    """The head of an answer, half of its body, and the end of the connection."""
    whole = response.body if isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(whole)
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()


async def _without_own_name(request: web.Request, response: web.StreamResponse) -> None:
    """Azure names its server only where a provider does; the framework would name itself."""
    if response.headers.get("Server", "").startswith("Python/"):
        del response.headers["Server"]


def _code(answer: Answer) -> str:
    """The error code of an answer, for the log."""
    body = answer.body
    if answer.status < 400 or not isinstance(body, dict):
        return ""
    inner = body.get("error", body)
    return str(inner.get("code", "")) if isinstance(inner, dict) else json.dumps(body.get("error_codes", inner))


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """Listening sockets; port 0 takes any."""
    return [socket.create_server((address.host, address.port), backlog=256) for address in addresses]


async def run(config: Config, compute: Compute, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until cancelled; ``ready`` is called when clients can connect."""
    server = Server(config, compute)
    await server.start(bind(config.https), bind(config.http))
    ready()
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()
