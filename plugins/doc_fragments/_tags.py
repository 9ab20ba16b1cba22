# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with tags() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
options:
  tags:
    description: Tags of the resource; unset leaves them alone.
    type: dict
  append_tags:
    description: Whether tags that are not in O(tags) stay. With V(false) they are removed.
    type: bool
    default: true
"""
