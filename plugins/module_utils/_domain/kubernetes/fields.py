# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Fields of objects of kinds whose shape nobody here vouches for: whoever makes the kind decides what is in them."""

from __future__ import annotations

import typing as t

Raw = t.Mapping[str, t.Any]


class Odd(ValueError):
    """A field is not of the type that its kind gives it; says which, and what it has to be."""


def at(value: t.Any, *path: str) -> t.Any:
    """What is at that path; None where nothing is, or where something on the way is no object."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def mapping(value: Raw, *path: str) -> Raw:
    """An object at that path; empty where nothing is. Raises Odd."""
    found: t.Any = value
    for number, name in enumerate(path, 1):
        found = found.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise Odd(f"{'.'.join(path[:number])} is no object")
    return t.cast(Raw, found)


def text(value: Raw, *path: str) -> str:
    """A text at that path; '' where nothing is. Raises Odd."""
    found = mapping(value, *path[:-1]).get(path[-1])
    if found is not None and not isinstance(found, str):
        raise Odd(f"{'.'.join(path)} is no text")
    return found or ""


def several(value: Raw, *path: str) -> t.Sequence[Raw]:
    """A list of objects at that path; empty where nothing is. Raises Odd."""
    found = mapping(value, *path[:-1]).get(path[-1])
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Odd(f"{'.'.join(path)} is no list of objects")
    return found


def entries(value: t.Any, *path: str) -> t.Iterator[Raw]:
    """The objects of a list at that path, whatever else is in it."""
    found = at(value, *path)
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict):
            yield each
