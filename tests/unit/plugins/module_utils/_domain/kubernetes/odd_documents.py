# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kubectl writes, with anything at any place of it."""

from __future__ import annotations

import copy
import typing as t

from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubectl_output

Path = tuple[t.Any, ...]
_ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.just([]), st.just({})
)
JUNK = st.one_of(_ANYTHING, st.lists(_ANYTHING, max_size=2))


def document(objects: t.Mapping[str, t.Sequence[t.Any]]) -> t.Any:
    items = [{"kind": kind, **raw} for kind, several in objects.items() for raw in several]
    return {"kind": "List", "items": items}


def _places(value: t.Any, path: Path = ()) -> t.Iterator[Path]:
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


def places(whole: t.Any) -> st.SearchStrategy[Path]:
    return st.sampled_from(list(_places(whole))[1:])


def objects_with(junk: t.Any, path: Path, whole: t.Any) -> dict[str, list[kubectl_output.Object]] | None:
    """The objects of a document with ``junk`` at this place; None where the file is refused in a sentence."""
    odd = copy.deepcopy(whole)
    place = odd
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    objects: dict[str, list[kubectl_output.Object]] = {}
    try:
        for kind, raw in kubectl_output.parse("file", odd):
            objects.setdefault(kind, []).append(raw)
    except Failure as failure:
        assert failure.sentence.endswith(".")
        return None
    return objects
