# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Compute: virtual machines by themselves."""

from __future__ import annotations

from .._domain.azure import arm_id
from .client import Arm, Body
from .errors import missing_is_fine

_API = "2023-09-01"
_TYPE = "providers/Microsoft.Compute/virtualMachines"


def list_group(arm: Arm, group: str) -> list[Body]:
    """The machines of a resource group, given by its id; none where the group does not exist."""
    with missing_is_fine:
        return arm.list(f"{group}/{_TYPE}", _API, doing=f"list the virtual machines of {group}")
    return []


def get(arm: Arm, machine: str) -> Body | None:
    """A machine, given by its id; None where it does not exist."""
    return arm.get(machine, _API, doing=f"read the virtual machine {arm_id.last_segment(machine)}")
