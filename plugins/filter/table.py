# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from jinja2 import pass_context

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.table import links, render
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _tables


@pass_context
def table(
    context: t.Any, rows: t.Any, columns: t.Sequence[str], width: int | None = None, see: bool = False
) -> list[str]:
    if not isinstance(rows, t.Sequence) or not all(isinstance(row, t.Mapping) for row in rows):
        raise AnsibleFilterError("The filter azureops.pod_identity.table needs a list of dictionaries.")
    cells = [["" if row.get(key) is None else str(row.get(key)) for key in columns] for row in rows]
    longest = _tables.width(context.get(_tables.WIDTH)) if width is None else width
    lines = render([key.replace("_", " ") for key in columns], cells, longest)
    return [*lines, *(f"See {link}" for link in links(rows))] if see else lines


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"table": table}
