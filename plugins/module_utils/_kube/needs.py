# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a write of an object needs to be allowed."""

from __future__ import annotations

from .._domain.needs import KubernetesNeed
from .kinds import Kind


def need(kind: Kind, namespace: str | None, *verbs: str) -> KubernetesNeed:
    """To do this to objects of the kind, in the namespace where it has one."""
    return KubernetesNeed(verbs, kind.plural, kind.group, namespace=(namespace or "") if kind.namespaced else "")
