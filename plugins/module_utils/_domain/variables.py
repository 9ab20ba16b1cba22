# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Variables that look like options of the collection and are none: most often an option that is spelled wrongly."""

from __future__ import annotations

import typing as t

from .suggestions import closest

PREFIXES = ("pod_identity_", "imds_node_cleanup_", "workload_identity_migration_")
# Names variables of the operator's own that begin with one of them.
OWN = "pod_identity_own_variables"


def unknown(names: t.Iterable[str], known: t.Collection[str], own: t.Collection[str]) -> tuple[str, ...]:
    """A sentence for each name that begins as options do and is not one; ``own``: what ``OWN`` says."""
    candidates = sorted(known)
    return tuple(
        _sentence(name, candidates)
        for name in sorted(names)
        if name.startswith(PREFIXES) and name not in known and name not in own and name != OWN
    )


def incomplete(given: t.Collection[str]) -> tuple[str, ...]:
    """What is wrong where a credential is made of ``given`` variables alone, which no environment completes."""
    needed = ("pod_identity_client_id", "pod_identity_tenant", "pod_identity_secret")
    missing = [name for name in needed if name not in given]
    if not missing or not {needed[0], needed[2]} & {*given}:
        return ()
    found = [name for name in needed if name in given]
    return (
        f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'} set, {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not; set all three, or none and log in another way.",
    )


def _sentence(name: str, candidates: t.Sequence[str]) -> str:
    close = closest(name, candidates)
    told = f"did you mean {close}? If it is one of your own, name it" if close else "correct it, or name it"
    return f"{name} is no variable of this collection; {told} in {OWN}."
