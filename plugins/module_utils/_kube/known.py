# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The kinds of objects that this collection works with, by what people call them."""

from __future__ import annotations

from .._domain.errors import Failure
from . import kinds
from .kinds import Kind

_KNOWN = {(each.api_version, each.name): each for each in vars(kinds).values() if isinstance(each, Kind)}


def kind(api_version: str, name: str, place: tuple[str | None, str | None], instead: str) -> Kind:
    """The kind of that name, for an object at ``place``: namespace and name, without a name all of its objects.

    Raises Failure for a kind that this collection does not work with (``instead`` names a module that does), and for an
    object whose namespace is missing.
    """
    found = _KNOWN.get((api_version, name))
    if found is None:
        raise Failure(f"The kind {name} of {api_version} is not one that this collection works with: use {instead}.")
    namespace, object_name = place
    if object_name and found.namespaced and not namespace:
        raise Failure(f"The {found.name} {object_name} needs a namespace: set namespace.")
    return found
