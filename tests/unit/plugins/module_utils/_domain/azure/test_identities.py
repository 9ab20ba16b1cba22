# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

GROUP = "/subscriptions/s/resourceGroups/rg"


@pytest.mark.parametrize("kind", [identities.KIND, identities.KIND.upper()])
def test_the_id_of_an_identity(kind: str) -> None:
    assert identities.require_id(f"{GROUP}/providers/{kind}/one") == f"{GROUP}/providers/{kind}/one"


@for_each(
    GROUP,
    f"{GROUP}/providers/{identities.KIND}/one/federatedIdentityCredentials/x",
    f"{GROUP}/providers/Microsoft.Compute/virtualMachines/one",
)
def test_the_id_of_something_else(text: str) -> None:
    with pytest.raises(Failure, match="is not the id of a user-assigned identity; it must end in "):
        identities.require_id(text)
