# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a JSON merge patch (RFC 7386) would change, and how much of it is shown."""

from __future__ import annotations

import typing as t

Raw = t.Mapping[str, t.Any]

_OF_WRITES = ("managedFields", "resourceVersion", "generation")
_NOT_SHOWN, _CHANGED = "(not shown)", "(not shown, changed)"


def holds(live: t.Any, wanted: t.Any) -> bool:
    """Whether the patch ``wanted`` changes nothing of ``live``; a field that is null is to be absent."""
    if isinstance(wanted, dict) and (live is None or isinstance(live, dict)):
        return all(holds((live or {}).get(key), value) for key, value in wanted.items())
    return isinstance(live, bool) == isinstance(wanted, bool) and bool(live == wanted)  # to Python True is 1


def merged(live: t.Any, patch: t.Any) -> t.Any:
    """What becomes of ``live`` by the patch."""
    if not isinstance(patch, dict):
        return patch
    kept = live if isinstance(live, dict) else {}
    changed = {key: merged(kept.get(key), value) for key, value in patch.items() if value is not None}
    return {**{key: value for key, value in kept.items() if key not in patch}, **changed}


def same(live: Raw, answer: Raw) -> bool:
    """Whether both are the same object with the same content, as the server keeps it."""
    return _content(live) == _content(answer)


def _content(raw: Raw) -> dict[str, t.Any]:
    kept = {key: value for key, value in raw["metadata"].items() if key not in _OF_WRITES}
    return {**raw, "metadata": kept}


def touched(live: t.Any, wanted: t.Any) -> t.Any:
    """Those fields of ``live`` that the patch ``wanted`` names."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {key: touched(live[key], value) for key, value in wanted.items() if key in live}
    return live


def hidden(data: Raw, before: Raw) -> dict[str, str]:
    """The data of a Secret by its names; ``before`` are those that they take the place of."""
    return {key: _NOT_SHOWN if before.get(key, value) == value else _CHANGED for key, value in data.items()}
