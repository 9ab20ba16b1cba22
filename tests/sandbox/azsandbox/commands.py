# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running other programs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path


class CommandError(Exception):
    """A command failed; the text names it and its last line of error output."""


async def run(*argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Run a command to its end and return its output; CommandError when it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    output, errors = await process.communicate(stdin)
    if process.returncode:
        last = (errors.decode(errors="replace").strip() or output.decode(errors="replace").strip()).splitlines()[-1:]
        raise CommandError(f"{' '.join(argv)[:200]} ended with {process.returncode}: {''.join(last)}")
    return output


async def start(*argv: str, log: Path, env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
    """Start a long-running command whose output goes to a file. It ends with this process, however that ends."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig=KILL",
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=True,
        )


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kill and wait; fine when it has ended already."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


def tail(log: Path, lines: int = 3) -> str:
    """The end of a log file on one line, for an error message."""
    if not log.exists():
        return "(no log)"
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
