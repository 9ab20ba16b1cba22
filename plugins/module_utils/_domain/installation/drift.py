# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What somebody changed of an object of a helm release, which helm does not notice.

Only what decides where and how its pods run is compared, so that nothing counts that the API server adds. Values are
not told: they may be anybody's.
"""

from __future__ import annotations

import typing as t

Raw = t.Mapping[str, t.Any]

# Of a pod template what the API server leaves as it is written.
_WHOLE = ("affinity", "nodeSelector", "tolerations", "hostNetwork", "priorityClassName", "serviceAccountName")
_OF_CONTAINER = ("image", "command", "args")


def changed(wanted: Raw, live: Raw) -> tuple[str, ...]:
    """Names of the fields that are not as in ``wanted``, which is that of the release's record."""
    mine, theirs = _pods(wanted), _pods(live)
    found = ["replicas"] if _replicas(wanted) not in (None, _replicas(live)) else []
    found += [name for name in _WHOLE if (mine.get(name) or None) != (theirs.get(name) or None)]
    containers, others = _by_name(mine), _by_name(theirs)
    found += [f"container {name}" for name in sorted(containers.keys() ^ others.keys())]
    for name in sorted(containers.keys() & others.keys()):
        one, other = containers[name], others[name]
        found += [
            f"{field} of container {name}" for field in _OF_CONTAINER if _texts(one, field) != _texts(other, field)
        ]
        if not _within(one.get("env") or [], other.get("env") or []):
            found.append(f"env of container {name}")
    return tuple(found)


def _replicas(raw: Raw) -> t.Any:
    return (raw.get("spec") or {}).get("replicas")


def _pods(raw: Raw) -> Raw:
    return ((raw.get("spec") or {}).get("template") or {}).get("spec") or {}


def _by_name(pods: Raw) -> dict[str, Raw]:
    several = [*(pods.get("initContainers") or ()), *(pods.get("containers") or ())]
    return {str(each.get("name", "")): each for each in several}


def _texts(container: Raw, field: str) -> list[str]:
    value = container.get(field) or []
    return list(map(str, value)) if isinstance(value, list) else [str(value)]


def _within(wanted: t.Any, live: t.Any) -> bool:
    """Whether what is live has all that is wanted; in dictionaries the API server may have added to it."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(_within(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) == len(live) and all(map(_within, wanted, live))
    return (wanted or None) == (live or None)
