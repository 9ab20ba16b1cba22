# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with azure_wait() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
options:
  wait_timeout:
    description:
      - Seconds that the task waits for Azure in all, for what is in the way of an operation, the operation itself and
        what follows it. What has begun in Azure goes on.
    type: int
    default: 3600
  poll_interval:
    description: Seconds between two looks at what is waited for; the first looks follow each other faster.
    type: float
    default: 10
  progress:
    description:
      - Whether to show what is waited for, while it is waited for, as lines on standard error; also set by the
        environment variable E(POD_IDENTITY_PROGRESS).
      - Nothing is shown of tasks with C(async) or C(no_log).
    type: bool
    default: true
"""
