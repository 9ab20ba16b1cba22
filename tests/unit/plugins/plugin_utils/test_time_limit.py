# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys

import pytest

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _time_limit

TOLD = 'it\'s over; "$HOME" said so.'


def command(seconds: int, *words: str) -> str:
    """As a shell gets it."""
    return f"{_time_limit.prefix([sys.executable], seconds, TOLD)} {shlex.join(words)}"


def test_what_ends_in_time_is_as_it_would_be_alone() -> None:
    script = "cat; echo bad >&2; exit 3"
    done = subprocess.run(
        command(60, "sh", "-c", script), shell=True, input="told", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "told", "bad\n")


def test_what_does_not_is_killed_with_all_that_it_has_started() -> None:
    """Whatever signals these ignore. Their standard error is read to its end, so none of them has it any more."""
    script = "trap '' INT TERM; sleep 600 >&2 & sleep 600"
    done = subprocess.run(
        command(1, "sh", "-c", script), shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, json.loads(done.stdout)) == (128 + signal.SIGKILL, {"failed": True, "msg": TOLD})


GETS = """
import signal, sys
def end(number, _frame):
    print(signal.Signals(number).name, flush=True)
    sys.exit(5)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ansible_sends_arrives(number: signal.Signals) -> None:
    whole = f"exec {command(60, sys.executable, '-c', GETS)}"
    with subprocess.Popen(whole, shell=True, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout and running.stdout.readline() == "ready\n"
        running.send_signal(number)
        assert (running.stdout.read(), running.wait()) == (f"{number.name}\n", 5)
