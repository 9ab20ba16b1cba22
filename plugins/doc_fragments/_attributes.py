# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Says in diff mode what was changed, or in C(check_mode) what would be changed.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run indicates no change.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: [This module does not modify state.]
  diff_mode:
    support: N/A
    details: [This module does not modify state.]
  idempotent:
    support: N/A
    details: [This module does not modify state.]
"""

    ACTIONGROUP_AZURE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/azureops.pod_identity.azure) in C(module_defaults) to set defaults for this module.
    support: full
    membership: [azureops.pod_identity.azure]
"""

    ACTIONGROUP_BOTH = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/azureops.pod_identity.azure) and C(group/azureops.pod_identity.kubernetes) in C(module_defaults) to
        set defaults for this module.
    support: full
    membership: [azureops.pod_identity.azure, azureops.pod_identity.kubernetes]
"""

    ACTIONGROUP_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/azureops.pod_identity.kubernetes) in C(module_defaults) to set defaults for this module.
    support: full
    membership: [azureops.pod_identity.kubernetes]
"""
