# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with inventory() in module_utils/_argspec.py
    DOCUMENTATION = r"""
options:
  files:
    description: Files with objects to look at instead of a cluster; no cluster is asked then.
    type: list
    elements: path
  mode:
    description: Mode of MIC and NMI. By default that of the NMI that is installed, else V(standard).
    type: str
    choices: [managed, standard]
  force_namespaced:
    description: Whether MIC and NMI are forced into namespaced mode. By default as those are that are installed.
    type: bool
  version:
    description: Version of MIC and NMI. By default the tag of NMI's image, else V(1.8.17).
    type: str
"""
