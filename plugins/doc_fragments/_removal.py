# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with removal() in module_utils/_argspec.py
    DOCUMENTATION = r"""
options:
  owner:
    description:
      - Value of the label C(azureops.pod-identity/owner), which tells the objects of several users of this
        collection in one cluster apart.
    type: str
    default: default
  scope:
    description:
      - V(owned) means objects that carry the labels of this collection and O(owner), or belong to a release of the
        chart; V(all) means those of everybody.
      - What MIC makes belongs to nobody and is always meant.
    type: str
    choices: [owned, all]
    default: owned
  release_namespaces:
    description:
      - Namespaces in which helm releases of the chart are looked for, besides those that MIC and NMI name as theirs.
      - They count as namespaces of an installation, as those do in which a ClusterRoleBinding gives service accounts
        the rights of MIC or NMI. What only looks like a part of AAD Pod Identity elsewhere is left alone.
    type: list
    elements: str
    default: [default]
"""
