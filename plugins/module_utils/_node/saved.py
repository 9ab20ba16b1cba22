# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Keeping a table on the node before something in it is removed."""

from __future__ import annotations

import datetime
import os

from .._domain.errors import Failure
from .programs import Node

# In memory: there when the disk is full or read-only.
FALLBACKS = ("/run", "/dev/shm")
_FOLDER = "azureops-pod-identity"


def save(node: Node, directory: str, back_end: str, text: str) -> str:
    """Write the table into a new file that only root reads, and return its path."""
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    refusals = []
    for folder in dict.fromkeys([directory, *(os.path.join(memory, _FOLDER) for memory in FALLBACKS)]):
        try:
            return node.keep(folder, f"nat-{back_end}-{moment}.save", text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            refusals.append(f"{folder}: {error.strerror or error}")
    raise Failure(
        f"The {back_end} nat table cannot be saved anywhere ({'; '.join(refusals)}), so nothing is removed; "
        "make room, or name a directory with save_directory."
    )
