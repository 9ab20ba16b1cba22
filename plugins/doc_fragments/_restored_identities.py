# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with restored_identities() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
options:
  restore_identities:
    description:
      - What to do where the scale sets of an existing cluster lose identities by a change of the cluster. AKS has been
        reported to overwrite what it does not know, such as the identities that MIC attached.
      - V(attach) waits up to O(restore_timeout) seconds for others to attach them again, as MIC does within minutes,
        and then attaches those that are still missing. V(wait) only waits. With both, the task fails where an identity
        stays away. V(ignore) does not look.
      - Compared are user-assigned identities that the cluster itself does not name, on scale sets of the node resource
        group that exist before and after the change.
      - The scale sets are listed before a change, and again after it where they carry such identities, for which the
        right C(Microsoft.Compute/virtualMachineScaleSets/read) is needed in the node resource group; without it the
        task goes on with a warning. To attach takes the rights that M(azureops.pod_identity.vmss_identity) needs.
      - It cannot be told from a loss what somebody detached on purpose during the change, such as MIC with the last pod
        of an identity; V(attach) attaches that as well.
      - Where the task does not wait for the end of the operation, or is ended before it, nothing is compared, and the
        next run does not know of it.
    type: str
    choices: [attach, wait, ignore]
    default: attach
  restore_timeout:
    description:
      - Seconds to wait for others at most, as a part of O(wait_timeout). MIC looks every three minutes.
      - V(0) attaches at once, for where nobody else would.
    type: int
    default: 300
"""
