# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from . import azure_commands, azure_process, builds, host, status, toolenvs, workstation, world
from .progress import BuildError
from .state import SandboxError, State

TOOLS: dict[str, Callable[[], toolenvs.Environment]] = {
    "ansible": lambda: toolenvs.ANSIBLE,
    "other": builds.other_ansible,
    "azcollection": toolenvs.azcollection,
}
"""Environments of Ansible, by the names of the parts that bring them."""


def main(arguments: Sequence[str]) -> int:
    parser = _inner_parser() if arguments[:1] in (["init"], ["serve-azure"]) else _parser()
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    options = parser.parse_args(arguments)
    try:
        state = State(options.name)
        if options.run is not _build and os.geteuid() != 0:
            raise SandboxError("The sandbox makes namespaces and mounts, which only root may do: run it as root.")
        code: int = options.run(state, options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever reads the output, such as head, has enough; Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (SandboxError, BuildError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: Interrupted; the same command can be run again.", file=sys.stderr)
        return 128 + signal.SIGINT


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        help_of = f"help {self.prog.partition(' ')[2]}".strip()
        self.exit(2, f"sandbox: {message[0].upper()}{message[1:]}; see tests/sandbox/sandbox {help_of}.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sandbox",
        description="A whole AKS world on one machine, Azure alone simulated. SANDBOX_NAME names it (default: demo).",
    )
    parser.set_defaults(name=os.environ.get("SANDBOX_NAME", "demo"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser(
        "build",
        help="build what a sandbox needs, or parts by name (once per version)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["parts:", *(f"  {name:<23}{about}" for name, about in builds.abouts().items())]),
    )
    build.add_argument("parts", nargs="*", type=_part, metavar="PART", help="one of the parts below; default: sandbox")
    build.set_defaults(run=_build)
    up = commands.add_parser("up", help="start the sandbox: an empty subscription")
    up.add_argument(
        "--with", dest="extra", choices=[builds.WORKLOAD_IDENTITY], help="have its images on the nodes, too"
    )
    up.set_defaults(run=_up)
    commands.add_parser("down", help="end the sandbox; nothing of it remains").set_defaults(run=_down)
    commands.add_parser("reset", help="end all clusters and empty the subscription").set_defaults(run=_reset)

    commands.add_parser("status", help="show what is running").set_defaults(run=_status)
    azure_commands.add_parser(commands)

    run = commands.add_parser("exec", help="run a command as on an operator's workstation")
    run.add_argument("--as", dest="principal", default="operator", metavar="NAME", help="another service principal")
    run.add_argument("--tools", default="ansible", choices=TOOLS, help="whose ansible is on PATH")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="after --, the command and its arguments")
    run.set_defaults(run=_exec)

    commands.add_parser("help", help="show this, or the options of a command")
    return parser


def _inner_parser() -> argparse.ArgumentParser:
    """For the processes of the sandbox itself."""
    parser = argparse.ArgumentParser(prog="sandbox")
    commands = parser.add_subparsers(required=True)
    init = commands.add_parser("init")
    init.add_argument("--name")
    init.add_argument("--report", type=int)
    init.set_defaults(run=lambda state, options: world.init(state, options.report))
    serve = commands.add_parser("serve-azure")
    serve.add_argument("--name")
    serve.set_defaults(run=lambda state, options: azure_process.serve(state))
    return parser


def _part(name: str) -> str:
    if name not in builds.abouts():
        raise argparse.ArgumentTypeError(f"there is no part {name!r}")
    return name


class _Progress:
    """Prints lines with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:5.1f} s] {text}", flush=True)


def _build(state: State, options: argparse.Namespace) -> int:
    parts = options.parts or ["sandbox"]
    builds.build(parts)
    print(f"{', '.join(parts)}: built")
    return 0


def _up(state: State, options: argparse.Namespace) -> int:
    builds.build(["sandbox", *([options.extra] if options.extra else [])])
    say = _Progress()
    if not host.up(state, say, workload_identity=options.extra == builds.WORKLOAD_IDENTITY):
        say(f"sandbox {state.name} is up already, and stays as it is")
        return 0
    say(f"sandbox {state.name} is up: try tests/sandbox/sandbox exec -- az group list")
    return 0


def _down(state: State, options: argparse.Namespace) -> int:
    was = host.down(state)
    print(f"sandbox {state.name} is down, and nothing of it remains" if was else f"sandbox {state.name} is not up")
    return 0


def _reset(state: State, options: argparse.Namespace) -> int:
    answer = host.order(state, "reset")
    if answer != "ok":
        raise SandboxError(f"Sandbox {state.name} was not reset: {answer}")
    print(f"sandbox {state.name} has an empty subscription again")
    return 0


def _status(state: State, options: argparse.Namespace) -> int:
    print(status.table(state))
    return 0


def _exec(state: State, options: argparse.Namespace) -> int:
    init = host.running(state)
    client = builds.CLIENTS.get(options.command[0])
    # There is no way out of the sandbox, so that nothing can be built once the command runs.
    builds.build([options.tools, *([client] if client else [])])
    environment = workstation.environment(state, options.principal, TOOLS[options.tools]().path / "bin")
    return workstation.run(state, init, options.command, environment)
