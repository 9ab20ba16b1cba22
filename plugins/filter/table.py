# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Show a list of dictionaries as a table
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Turns a list of dictionaries into the lines of a table that fits a terminal. What is too long is wrapped inside its
    column.
positional: _input, columns
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: The keys to show, in this order. C(_) is shown as a space.
    type: list
    elements: str
    required: true
  width:
    description: Longest line. The default leaves room for what the default callback puts around it on 80 columns.
    type: int
    default: 69
"""

EXAMPLES = r"""
- name: Show what was verified
  ansible.builtin.debug:
    msg: "{{ pod_identity_verification | azureops.pod_identity.table(['namespace', 'pod', 'node', 'verdict']) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.table import render


def table(rows: t.Any, columns: t.Sequence[str], width: int = 69) -> list[str]:
    if not isinstance(rows, t.Sequence) or not all(isinstance(row, t.Mapping) for row in rows):
        raise AnsibleFilterError("The filter azureops.pod_identity.table needs a list of dictionaries.")
    cells = [["" if row.get(key) is None else str(row.get(key)) for key in columns] for row in rows]
    return render([key.replace("_", " ") for key in columns], cells, width)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"table": table}
