# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node in namespaces of its own: real iptables, real kernel, nothing but loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import ansible

CHECKOUT = Path(__file__).resolve().parents[2]
AGENT = Path(__file__).with_name("agent.py")
BACK_ENDS = ("nft", "legacy")


class Node:
    """One network and mount namespace, with an empty /run, for as long as the ``with`` block.

    ``entrance`` stands before the agent and may take something from it: privileges, a view of /proc. ``raw`` is the way
    without Python; ``calls`` is then how often the last run asked the node. ``environment`` is that of every run.
    """

    raw = False

    def __init__(
        self, checkout: Path = CHECKOUT, entrance: Sequence[str] = (), python: str | Path = sys.executable
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="node-"))
        self.environment: dict[str, str] = {}
        self.calls = 0
        # A Python of a node has nothing of ours; Ansible brings its own module_utils.
        beside = self.folder / "beside"
        beside.mkdir()
        (beside / "ansible").symlink_to(Path(ansible.__file__).parent)
        (beside / "ansible_collections/azureops").mkdir(parents=True)
        (beside / "ansible_collections/azureops/pod_identity").symlink_to(checkout)
        prepare = 'mount -t tmpfs run /run && ip link set lo up && exec "$@"'
        self._agent = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", prepare, "sh"]
            + [*entrance, python, AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(beside)},
            text=True,
        )
        assert self._agent.stdout is not None
        ready = self._agent.stdout.readline()
        assert ready == "ready\n", ready

    def __enter__(self) -> Node:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._agent.communicate()
        subprocess.run(["rm", "-rf", self.folder], check=True)

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._agent.pid

    def argv(self, *argv: str | Path) -> list[str | Path]:
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", *argv]

    def run(self, *argv: str | Path, text: str = "") -> str:
        """Run a program in the node. A letter is a byte, so that every byte can be said.

        Where it fails the lab is broken, which says nothing about a promise.
        """
        words = [str(word).encode("latin-1") for word in self.argv(*argv)]
        done = subprocess.run(words, input=text, capture_output=True, check=False, encoding="latin-1")
        if done.returncode:
            raise RuntimeError(f"{argv} failed: {done.stderr}")
        return done.stdout

    def iptables(self, back_end: str, *argv: str) -> None:
        self.run(f"iptables-{back_end}", "-w", "-t", "nat", *argv)

    def restore(self, back_end: str, text: str) -> None:
        self.run(f"iptables-{back_end}-restore", "--noflush", "--counters", text=text)

    def save(self, back_end: str) -> str:
        """The nat table with counters, without the lines that hold the time; nothing where there is no such table."""
        if back_end == "legacy" and "nat" not in self.run("cat", "/proc/net/ip_tables_names").split():
            return ""
        text = self.run(f"iptables-{back_end}-save", "-c", "-t", "nat")
        return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# "))

    def saves(self) -> dict[str, str]:
        return {back_end: self.save(back_end) for back_end in BACK_ENDS}

    def start(
        self, *, check: bool = False, environment: dict[str, str] | None = None, raw: bool | None = None, **options: Any
    ) -> None:
        """Let the clean-up begin; ``finish`` waits for it."""
        options = {"save_directory": str(self.folder), **options}
        raw = self.raw if raw is None else raw
        self.request("imds_iptables_cleanup", options, check=check, environment=environment, raw=raw)

    def request(
        self,
        module: str,
        options: dict[str, Any],
        *,
        check: bool = False,
        environment: dict[str, str] | None = None,
        raw: bool = False,
    ) -> None:
        """Let a module begin; ``finish`` waits for it."""
        arguments = {
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.folder),
        }
        assert self._agent.stdin is not None
        request = {"module": module, "arguments": arguments, "environment": environment or self.environment, "raw": raw}
        self._agent.stdin.write(json.dumps(request) + "\n")
        self._agent.stdin.flush()

    def finish(self) -> dict[str, Any]:
        assert self._agent.stdout is not None
        output = json.loads(self._agent.stdout.readline())
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError:
            raise AssertionError(f"the module printed {output}") from None
        self.calls = answer.pop("calls", 0)
        return answer

    def cleanup(self, **options: Any) -> dict[str, Any]:
        """Run the clean-up; it must succeed."""
        self.start(**options)
        answer = self.finish()
        assert not answer.get("failed"), answer["msg"]
        return answer

    def refusal(self, **options: Any) -> dict[str, Any]:
        """Run the clean-up; it must fail, with one sentence."""
        self.start(**options)
        answer = self.finish()
        assert answer.get("failed"), answer
        assert "defect" not in answer["msg"] and "Traceback" not in answer["msg"], answer["msg"]
        return answer


@contextmanager
def running(node: Node, *argv: str | Path) -> Iterator[IO[str]]:
    """A program in the node that ends with the block; its standard output."""
    process = subprocess.Popen(node.argv(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.02)
