# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The node that this Python runs on."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.common.process import get_bin_path

from . import kernel, processes
from .programs import Answer, Arguments, Node, Process

RunCommand = t.Callable[..., tuple[int, str, str]]


class Here(Node):
    """``run_command`` is the module's."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    def run(self, argv: Arguments) -> Answer:
        # Texts of rules are arguments: a ``$HOME`` or ``~`` in a comment must stay what it is.
        code, out, err = self._run_command(
            list(argv), environ_update={"LC_ALL": "C", "LANGUAGE": "C"}, expand_user_and_vars=False
        )
        return Answer(code, out, err)

    def run_in_turn(self, argvs: t.Sequence[Arguments]) -> list[Answer]:
        answers: list[Answer] = []
        for argv in argvs:
            answers.append(self.run(argv))
            if answers[-1].code != 0:
                break
        return answers

    def foresee(self, argvs: t.Sequence[Arguments]) -> None:
        """Nothing is far from here."""

    def program(self, name: str) -> str | None:
        try:
            path: str = get_bin_path(name)
        except ValueError:
            return None
        return path

    def lines(self, path: str, text: str) -> list[str]:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line for line in file.read().splitlines() if text in line]

    def processes(self, name: str) -> list[Process]:
        here = os.stat("/proc/self/ns/net")
        os.stat(processes.FIRST)
        found = []
        for number in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
            try:
                with open(f"/proc/{number}/cmdline", "rb") as command:
                    program = command.read(4096).split(b"\0")[0]
                if os.path.basename(program) != name.encode():
                    continue
                there = os.stat(f"/proc/{number}/ns/net")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended in this moment
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                found.append(Process(number, program.decode("utf-8", "replace")))
        return found

    def listeners(self) -> list[kernel.Listener] | None:
        return kernel.listeners()

    def nft_tables(self) -> t.Collection[str]:
        return kernel.nft_tables()

    def keep(self, folder: str, name: str, content: bytes) -> str:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, name)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(file, "wb") as kept:
                kept.write(content)
                kept.flush()
                os.fsync(kept.fileno())
            with open(path, "rb") as kept:
                if kept.read() != content:
                    raise OSError("what was written reads back differently")
        except OSError:
            os.unlink(path)
            raise
        return path
