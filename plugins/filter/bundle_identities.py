# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import bundles


def bundle_identities(bundle: t.Any, cluster_id: str) -> list[str]:
    encoded = bundle.get("bundle.json") if isinstance(bundle, t.Mapping) else bundle
    return bundles.handed_out(encoded if isinstance(encoded, str) else "", cluster_id)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"bundle_identities": bundle_identities}
