# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.suggestions import closest
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


@table(
    "name, cutoff, expected",
    ("westeurpe", 0.85, "westeurope"),
    ("weurope", 0.85, ""),
    ("weurope", 0.6, "westeurope"),
    ("mars", 0.6, ""),
)
def test_the_closest_name(name: str, cutoff: float, expected: str) -> None:
    assert closest(name, ("eastus", "westeurope"), cutoff) == expected
