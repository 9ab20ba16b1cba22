# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The kinds of objects that this collection works with, by what people call them."""

from __future__ import annotations

from . import kinds
from .kinds import Kind

_KNOWN = {(each.api_version, each.name): each for each in vars(kinds).values() if isinstance(each, Kind)}


def kind(api_version: str, name: str) -> Kind | None:
    """The kind of that name; None where this collection works with no such kind."""
    return _KNOWN.get((api_version, name))
