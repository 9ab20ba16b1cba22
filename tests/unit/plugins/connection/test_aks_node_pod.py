# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands as they reach a node: on standard input, and as no argument of a process."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from ansible_collections.azureops.pod_identity.plugins.connection import aks_node_pod
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _connections
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

COMMAND = "WORD='pl\u00e4nted' /bin/sh -c 'printf %s \"$WORD\"; cat; exit 7'"


def run(command: str, data: bytes | None) -> tuple[int, bytes]:
    """Exit status and output of a shell whose standard input does not end."""
    script = _connections.script(command).encode()
    form = aks_node_pod._RUN if data is None else aks_node_pod._RUN_WITH_INPUT
    lengths = [str(len(script)), *([] if data is None else [str(len(data))])]
    shell = subprocess.Popen(
        ["/bin/sh", "-c", form, "sh", *lengths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert shell.stdin and shell.stdout
    shell.stdin.write(script + (data or b""))
    shell.stdin.flush()
    told = shell.stdout.read()
    status = shell.wait()
    shell.stdin.close()
    return status, told


@pytest.mark.parametrize("data", [None, b"", b"input\n" * 5_000])
def test_a_command_gets_its_input_and_nothing_of_itself(data: bytes | None) -> None:
    expected = "pl\u00e4nted".encode() + (data or b"")
    assert run(COMMAND, data) == run(_connections._SHELL + shlex.quote(COMMAND), data) == (7, expected)


def test_no_process_has_the_command_among_its_arguments() -> None:
    command = _connections._SHELL + shlex.quote("WORD='planted' cat /proc/self/cmdline /proc/$$/cmdline")
    status, told = run(command, None)
    assert status == 0 and b"head -c" in told and b"planted" not in told


@table(
    "command, script",
    ("/bin/sh -c 'echo a && sleep 0'", "echo a && sleep 0"),
    ("/bin/sh -c true", "true"),
    ("/bin/sh -c 'a' && b", "/bin/sh -c 'a' && b"),
    ('/bin/sh -c "$X"', '/bin/sh -c "$X"'),
    ("/bin/sh -c 'a", "/bin/sh -c 'a"),
    ("/bin/bash -c 'a'", "/bin/bash -c 'a'"),
    ("uptime", "uptime"),
    ("", ""),
)
def test_only_what_is_exactly_a_call_of_the_shell_is_read_by_this_one(command: str, script: str) -> None:
    assert _connections.script(command) == script
