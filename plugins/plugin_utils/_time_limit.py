# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Ends a module that does not end by itself, with all that it has started, on whatever host it runs."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import signal
import subprocess
import sys
import typing as t


# It is a program of its own, for any Python since 3.9: it uses nothing of this file but its imports.
def main() -> int:
    """Run a command for so many seconds at most. Arguments: the seconds, what is said then, and the command.

    What is said is the answer of a module that has failed.
    """
    limit, told, *command = sys.argv[1:]
    passed_on = (signal.SIGINT, signal.SIGTERM)  # to the group of which this program is, and the command is not
    over: list[int] = []

    def send(number: int) -> None:
        try:
            os.killpg(module.pid, number)
        except OSError:  # it has just ended
            pass

    def end(number: int, _frame: object) -> None:
        over.append(number)
        send(signal.SIGKILL)

    def begin() -> None:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    module = subprocess.Popen(command, preexec_fn=begin)
    for each in passed_on:
        signal.signal(each, lambda number, _frame: send(number))
    signal.signal(signal.SIGALRM, end)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.alarm(int(limit))
    status = module.wait()
    signal.alarm(0)
    if over and status < 0:
        print(json.dumps({"failed": True, "msg": told}))
    return status if status >= 0 else 128 - status


def prefix(interpreter: t.Sequence[str], seconds: int, told: str) -> str:
    """What stands before a command of a shell that is to end so; ``interpreter`` runs it."""
    program = f"import json, os, signal, subprocess, sys\n\n{inspect.getsource(main)}\nsys.exit(main())\n"
    return shlex.join([*interpreter, "-IS", "-c", program, str(seconds), told])
