# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.decompression import LIMIT, gunzip


def test_what_was_packed_comes_back() -> None:
    assert gunzip(gzip.compress(b"a record")) == b"a record"
    assert len(gunzip(gzip.compress(bytes(LIMIT)))) == LIMIT


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "cut off"),
        (b"not packed", "no gzip"),
        (gzip.compress(b"a record")[:-3], "cut off"),
        (gzip.compress(b"a record")[:14] + b"\xff" * 20, "no gzip|cut off"),
        (gzip.compress(bytes(LIMIT + 1)), f"more than {LIMIT} bytes"),
        (gzip.compress(bytes(1 << 30), 9), f"more than {LIMIT} bytes"),
    ],
    ids=["empty", "text", "cut", "damaged", "one too many", "a gigabyte"],
)
def test_what_is_no_record_is_refused(packed: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        gunzip(packed)
