# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sandbox azure ...`: faults, request log, service principals and settings of the simulated Azure."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from . import azure_process, host
from .azure.wire import UnixConnection
from .state import SandboxError, State


def call(state: State, method: str, path: str, body: object = None) -> Any:
    """Ask the simulated Azure's control API; SandboxError when it refuses or is not there."""
    host.running(state)
    connection = UnixConnection(state.azure / "azure.sock")
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except OSError as error:
        raise SandboxError(f"The simulated Azure of sandbox {state.name} does not answer: {error}.") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise SandboxError(str(answer["error"]))
    return answer


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "azure", help="faults, request log, principals, subscriptions and settings of the simulated Azure"
    )
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")

    fault = subjects.add_parser("fault", help="answer chosen requests otherwise; without options, list the faults")
    fault.add_argument("--method", help="of the requests, several with commas between; default: any")
    fault.add_argument("--path", metavar="REGEX", help="searched in host, path and query of the requests; default: any")
    fault.add_argument("--remote", metavar="ADDRESS", help="that the requests come from; default: any")
    fault.add_argument("--behind", type=int, metavar="N", help="writes that have to come first (0)")
    fault.add_argument("--nth", type=int, metavar="N", help="the first of these requests that is hit (1)")
    fault.add_argument("--count", type=int, metavar="N", help="how many are hit (1); 0: all from there on")
    fault.add_argument("--every", type=int, metavar="N", help="hit each Nth of these requests, all from the Nth on")
    fault.add_argument("--status", type=int, metavar="CODE", help="answer with this status")
    fault.add_argument("--aadsts", type=int, metavar="CODE", help="refuse a token with this code of Entra")
    fault.add_argument("--body", metavar="JSON", help="answer with this body")
    fault.add_argument("--header", action="append", metavar="NAME=VALUE", help="answer with this header as well")
    fault.add_argument("--delay", type=float, metavar="SECONDS", help="wait before the answer")
    fault.add_argument("--reset", action="store_true", default=None, help="reset the connection instead of answering")
    fault.add_argument(
        "--cut", action="store_true", default=None, help="close the connection in the middle of the body"
    )
    fault.add_argument("--hang", action="store_true", default=None, help="do not answer until the client is gone")
    fault.add_argument(
        "--distort", metavar="HOW", help="answer with half the body (half), its fields null, or a circle"
    )
    fault.add_argument("--after", action="store_true", default=None, help="let the request take effect all the same")
    fault.add_argument("--clear", nargs="?", const="", metavar="ID", help="remove one fault, or all")
    fault.set_defaults(run=_fault)

    log = subjects.add_parser("log", help="requests that arrived, oldest first")
    for name in ("method", "host", "path", "caller", "status", "since"):
        log.add_argument(f"--{name}", help="only these" if name != "since" else "only those after this number")
    log.add_argument("--json", action="store_true", help="everything that is known of them")
    log.add_argument("--clear", action="store_true", help="forget all")
    log.set_defaults(run=_log)

    principal = subjects.add_parser("principal", help="make a service principal for `exec --as NAME`")
    principal.add_argument("principal", metavar="NAME")
    principal.add_argument("--role", action="append", default=[], help="a role; with one --scope each")
    principal.add_argument("--scope", action="append", default=[], help="an ARM id")
    principal.add_argument("--certificate", type=Path, metavar="FILE", help="one that it may prove itself by, PEM")
    principal.add_argument("--group", action="append", default=[], metavar="ID", help="object id of a group of it")
    principal.add_argument(
        "--graph", action="append", default=[], metavar="PERMISSION", help="of Graph, as Application.ReadWrite.OwnedBy"
    )
    principal.add_argument("--owner", action="append", default=[], metavar="ID", help="object id of who owns it")
    principal.set_defaults(run=_principal)

    subscription = subjects.add_parser(
        "subscription", help="make a further subscription of the operator; prints its id"
    )
    subscription.add_argument("subscription", metavar="NAME")
    subscription.set_defaults(run=_subscription)

    settings = subjects.add_parser("settings", help="show the settings, or change some")
    settings.add_argument("setting", nargs="*", metavar="NAME=VALUE")
    settings.set_defaults(run=_settings)


def _pairs(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise SandboxError(f"{text!r} is not of the form NAME=VALUE.")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _fault(state: State, options: argparse.Namespace) -> int:
    if options.clear is not None:
        call(state, "DELETE", f"/faults?{urlencode({'id': options.clear})}" if options.clear else "/faults")
        return 0
    chosen = ("method", "path", "remote", "behind", "nth", "count", "every")
    names = (*chosen, "status", "aadsts", "delay", "reset", "cut", "hang", "distort", "after")
    rule = {name: getattr(options, name) for name in names}
    rule["headers"] = _pairs(options.header) if options.header else None
    if options.body is not None:
        try:
            rule["body"] = json.loads(options.body)
        except ValueError as error:
            raise SandboxError(f"The body of the fault is not JSON: {error}.") from error
    rule = {name: value for name, value in rule.items() if value is not None}
    answer = call(state, "POST", "/faults", rule) if rule else call(state, "GET", "/faults")
    print(json.dumps(answer, indent=1))
    return 0


def _log(state: State, options: argparse.Namespace) -> int:
    if options.clear:
        call(state, "DELETE", "/log")
        return 0
    names = ("method", "host", "path", "caller", "status", "since")
    wanted = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    entries = call(state, "GET", f"/log?{urlencode(wanted)}")["entries"]
    for entry in entries:
        if options.json:
            print(json.dumps(entry))
        else:
            query = f"?{entry['query']}" if entry["query"] else ""
            where = f"{entry['method']} {entry['host']}{entry['path']}{query}"
            print(f"{entry['n']:>5} {entry['time']} {entry['status']} {where} {entry['error']}".rstrip())
    return 0


def _principal(state: State, options: argparse.Namespace) -> int:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", options.principal):
        raise SandboxError(f"The name {options.principal!r} is not usable: use letters, digits, '.', '_' and '-'.")
    if len(options.role) != len(options.scope):
        raise SandboxError("Every --role needs a --scope of its own.")
    roles = [{"role": role, "scope": scope} for role, scope in zip(options.role, options.scope, strict=True)]
    certificate = options.certificate.read_text() if options.certificate else ""
    wanted = {
        "name": options.principal,
        "roles": roles,
        "groups": options.group,
        "certificate": certificate,
        "graph": options.graph,
        "owners": options.owner,
    }
    made = call(state, "POST", "/principals", wanted)
    operator = state.read_principal(azure_process.OPERATOR)
    account = {name: made[name] for name in ("client_id", "secret", "object_id")}
    state.write_principal(options.principal, operator | account)
    print(json.dumps({name: made[name] for name in ("name", "client_id", "object_id", "application_id")}, indent=1))
    return 0


def _subscription(state: State, options: argparse.Namespace) -> int:
    print(call(state, "POST", "/subscriptions", {"name": options.subscription})["subscription_id"])
    return 0


def _settings(state: State, options: argparse.Namespace) -> int:
    wanted: dict[str, object] = {}
    for name, value in _pairs(options.setting).items():
        try:
            wanted[name] = json.loads(value)
        except ValueError:
            wanted[name] = value
    answer = call(state, "POST", "/settings", wanted) if wanted else call(state, "GET", "/settings")
    print(json.dumps(answer, indent=1))
    return 0
