# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens, as the kernel answers and as /proc prints."""

from __future__ import annotations

import ctypes
import os
import socket

from ansible_collections.azureops.pod_identity.plugins.module_utils._node import kernel, processes
from ansible_collections.azureops.pod_identity.plugins.module_utils._node.here import Here

NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def run_nothing(*arguments: object, **named: object) -> tuple[int, str, str]:
    raise AssertionError


def test_the_kernel_tells_the_listeners_of_proc() -> None:
    """In a network of their own; IPv6 as well."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        with socket.create_server(("", 2579)), socket.create_server(("::", 8579), family=socket.AF_INET6):
            told = kernel.listeners()
            os._exit(told != [("0.0.0.0", 2579), ("::", 8579)] or told != list(processes.in_proc(Here(run_nothing))))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
