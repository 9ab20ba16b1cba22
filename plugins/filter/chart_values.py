# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import helm_releases


def chart_values(shown: t.Any, values: t.Any = None) -> t.Any:
    if isinstance(shown, t.Mapping):
        return helm_releases.masked(shown, values)
    if isinstance(shown, str):
        return helm_releases.said(shown, values)
    raise AnsibleFilterError("The filter azureops.pod_identity.chart_values needs values of a chart or a text.")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"chart_values": chart_values}
