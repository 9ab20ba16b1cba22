# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How the server of a kubeconfig is reached, as an extension of its context beside what kubectl and helm know of that.

It is a file of its own, because what runs on nodes reads it, and is sent in one piece.
"""

from __future__ import annotations

import typing as t

Config = t.Mapping[str, t.Any]

EXTENSION = "azureops.pod_identity/way"
KEYS = ("proxy", "no_proxy", "proxy_headers", "impersonate_user", "impersonate_groups")


def way(config: Config) -> dict[str, t.Any] | None:
    """Return what was written for the current context; None in a kubeconfig that leaves that to options."""
    current, contexts = config.get("current-context"), config.get("contexts") or ()
    context: Config = next((each["context"] for each in contexts if each.get("name") == current), {})
    found = next((each for each in context.get("extensions") or () if each.get("name") == EXTENSION), None)
    return None if found is None else {name: found["extension"].get(name) for name in KEYS}
