# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Decompression of what others have packed: a megabyte of gzip can hold a gigabyte of zeros."""

from __future__ import annotations

import zlib

LIMIT = 20 << 20  # bytes; a Secret holds 1 MiB, and a record of helm is text
_GZIP = 16 + zlib.MAX_WBITS


def gunzip(packed: bytes, limit: int = LIMIT) -> bytes:
    """The content of one member of gzip; raises ValueError where it is damaged, or more than ``limit`` bytes."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError(f"it is no gzip ({error})") from error
    if len(content) > limit:
        raise ValueError(f"it holds more than {limit} bytes")
    if not unpacker.eof:
        raise ValueError("it is cut off")
    return content
