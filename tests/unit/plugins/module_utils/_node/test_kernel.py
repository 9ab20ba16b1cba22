# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the messages of the kernel mean, also those that no kernel of this machine sends."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._node import kernel
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

ERROR, DONE, ANSWER = 2, 3, 20


def message(kind: int, content: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(content), kind, 0, 1, 0) + content


def code(number: int) -> bytes:
    return struct.pack("=i", number)


LISTENER = struct.pack("!BBBBHH", socket.AF_INET, 10, 0, 0, 2579, 0) + socket.inet_aton("10.240.0.4")
TABLE = struct.pack("=BBH", socket.AF_INET, 0, 0) + struct.pack("=HH4s", 8, 1, b"nat\0")
DONE_WELL = [message(DONE, code(0)), message(DONE, b"")]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the kernel answers to a request about IPv4; of IPv6 it has nothing to tell."""
    said: list[bytes] = []

    def asked(_protocol: int, _kind: int, request: bytes) -> Iterator[bytes]:
        return iter(said if request[0] == socket.AF_INET else DONE_WELL[:1])

    monkeypatch.setattr(kernel, "_asked", asked)
    return said


@pytest.mark.parametrize("end", DONE_WELL, ids=["a code", "no code"])
def test_up_to_a_good_end_all_is_told(answers: list[bytes], end: bytes) -> None:
    answers += [message(ANSWER, LISTENER), end]
    assert kernel.listeners() == [("10.240.0.4", 2579)]
    answers[:] = [message(ANSWER, TABLE) + end]
    assert kernel.nft_tables() == {"nat"}


@cases(
    "bad",
    ("the end of a kernel without tcp_diag", message(DONE, code(-errno.ENOENT))),
    ("an error", message(ERROR, code(-errno.ENOENT))),
    ("half an address", message(ANSWER, LISTENER[:10])),
    ("half a port", message(ANSWER, LISTENER[:5])),
)
def test_where_the_kernel_fails_nothing_is_known_of_listeners(answers: list[bytes], bad: bytes) -> None:
    """So that /proc is read, which an empty list would keep from it."""
    answers += [bad, message(DONE, code(0))]
    assert kernel.listeners() is None


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_an_error_of_nf_tables_means_the_same_wherever_it_is_told(answers: list[bytes], kind: int) -> None:
    answers.append(message(kind, code(-errno.EOPNOTSUPP)))
    assert kernel.nft_tables() == set()
    for number, sentence in ((errno.ENOENT, "does not say which nf_tables"), (errno.EPERM, "needs root")):
        answers[:] = [message(kind, code(-number))]
        with pytest.raises(Failure, match=sentence):
            kernel.nft_tables()
