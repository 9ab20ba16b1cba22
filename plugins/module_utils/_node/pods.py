# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Pods that run on this node, as the kernel shows them."""

from __future__ import annotations

import os


def process_with_own_network(proc: str = "/proc") -> int | None:
    """The sandbox process (``pause``) of a pod with a network of its own; None where there is none to be seen."""
    try:
        ours = os.readlink(f"{proc}/self/ns/net")
        numbers = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    except OSError:
        return None
    for number in numbers:
        try:
            with open(f"{proc}/{number}/comm", encoding="utf-8", errors="replace") as file:
                of_pod = file.read().strip() == "pause"
            if of_pod and os.readlink(f"{proc}/{number}/ns/net") != ours:
                return number
        except OSError:  # it has ended in the meantime
            continue
    return None
