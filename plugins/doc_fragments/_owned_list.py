# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with owned_list() in module_utils/_argspec.py
    DOCUMENTATION = r"""
options:
  purge_namespaces:
    description: Namespaces that a purge looks into besides those of the entries.
    type: list
    elements: str
    default: []
  purge_allow_empty:
    description: Whether a purge may remove everything of O(owner), where the list is empty.
    type: bool
    default: false
  owner:
    description:
      - Value of the label C(azureops.pod-identity/owner), which tells the objects of several users of this
        collection in one cluster apart.
    type: str
    default: default
  adopt:
    description:
      - Take over objects that somebody else made, labels and field ownership included. They are written even where
        their content is equal.
      - Without it, a change of an object that carries another O(owner) or that another field manager would contest,
        and the deletion of an object that does not carry the labels of this collection and O(owner), are refused.
    type: bool
    default: false
"""
