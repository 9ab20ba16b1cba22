# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The question who answers pods, put by the Python of the node."""

from __future__ import annotations

import sys

from .._domain.errors import Failure
from .._domain.nodes import imds_answer
from .._domain.tokens import token_request
from . import pods, throw_away
from .throw_away import RunCommand

Asked = tuple[imds_answer.Finding, list[str]]  # what came out, and what was done for it


def ask(run_command: RunCommand, method: str, pod_cidr: str | None, timeout: int) -> Asked:
    """Ask with the method ``pod_network`` or ``throw_away_namespace``."""
    if method == "pod_network":
        return _in_running_pod(run_command, timeout)
    return _in_new_namespace(run_command, pod_cidr, timeout)


def _in_running_pod(run_command: RunCommand, timeout: int) -> Asked:
    process = pods.process_with_own_network()
    if process is None:
        return imds_answer.unknown(imds_answer.NO_POD), []
    try:
        output = _in_network_of(process, run_command, timeout)
    except Failure as failure:
        return imds_answer.unknown(f"The network of a pod could not be entered: {failure.sentence}"), []
    return imds_answer.find(output), [f"asked in the network of process {process}"]


def _in_new_namespace(run_command: RunCommand, pod_cidr: str | None, timeout: int) -> Asked:
    pod_cidr = pod_cidr or pods.addresses()
    if not pod_cidr:
        return imds_answer.unknown(imds_answer.NO_RANGE), []
    if not pods.is_range(pod_cidr):
        raise Failure(imds_answer.wrong_range(pod_cidr))
    try:
        address = throw_away.free_address(run_command, pod_cidr)
        if address is None:
            return imds_answer.unknown(imds_answer.none_free(pod_cidr)), []
        output = throw_away.ask(
            run_command,
            address,
            token_request.METADATA_ADDRESS,
            lambda process: _in_network_of(process, run_command, timeout),
        )
    except Failure as failure:
        return imds_answer.unknown(imds_answer.no_namespace(failure.sentence)), []
    return imds_answer.find_beside(output, address), [imds_answer.asked_beside(address)]


def _in_network_of(process: int, run_command: RunCommand, timeout: int) -> str:
    """What the program printed in the network of a process."""
    command = token_request.python_command(imds_answer.NO_RESOURCE, None, timeout)
    command = ["nsenter", f"--net=/proc/{process}/ns/net", "--", sys.executable, *command[1:]]
    try:
        status, output, errors = run_command(command, handle_exceptions=False)
    except OSError as error:
        raise Failure(f"nsenter cannot be run ({error.strerror}).") from error
    if status != 0:
        raise Failure(f"{' '.join(errors.split())[:200]}.")
    return str(output)
