# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows what the module is waiting for."""

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.plugin_utils._long_operations import (
    LongOperation as ActionModule,
)

__all__ = ["ActionModule"]
