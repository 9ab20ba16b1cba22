# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox as tests use it: through its command line alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("sandbox")
UP_SECONDS = 3600
"""A first `up` builds."""
COMMAND_SECONDS = 400


@dataclass(frozen=True)
class Sandbox:
    """A named sandbox."""

    name: str

    def call(self, *arguments: str, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """What tests/sandbox/sandbox did with these arguments."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env={**os.environ, "SANDBOX_NAME": self.name},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end; its standard output can be read."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env={**os.environ, "SANDBOX_NAME": self.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, check: bool = True, timeout: float = COMMAND_SECONDS) -> str:
        """Standard output of tests/sandbox/sandbox with these arguments; AssertionError when it fails."""
        done = self.call(*arguments, timeout=timeout)
        failed = f"{arguments} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert not check or done.returncode == 0, failed
        return done.stdout

    def exec(self, *command: str, tools: str = "ansible") -> str:
        """Standard output of a command on the operator's workstation."""
        timeout = COMMAND_SECONDS if tools == "ansible" else UP_SECONDS  # the first use of other tools builds them
        return self.run("exec", "--tools", tools, "--", *command, timeout=timeout)

    def az(self, *arguments: str) -> Any:
        """Decoded answer of an az command; None when it says nothing."""
        answer = self.exec("az", *arguments, "--output", "json")
        return json.loads(answer) if answer.strip() else None

    def ssh(self, address: str, *command: str) -> str:
        """Standard output of a command as root on a node."""
        return self.exec("ssh", "-o", "LogLevel=ERROR", f"root@{address}", *command)


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.2)


@contextmanager
def running(purpose: str, *options: str) -> Iterator[Sandbox]:
    """A sandbox of this process's own with an empty subscription, made with options of up; it ends with the block."""
    sandbox = Sandbox(f"{purpose}-{os.getpid()}")
    try:
        sandbox.run("up", *options, timeout=UP_SECONDS)
        yield sandbox
    finally:
        sandbox.run("down", check=False)
