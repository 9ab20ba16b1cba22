# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Objects as causes name them; files may leave out their namespace."""

from __future__ import annotations

from ..kubernetes.sources import place
from ..matching.matching import Raw


def label_of(raw: Raw, kind: str = "Pod") -> str:
    """``Pod team/web``."""
    return f"{kind} {'/'.join(place(raw))}"
