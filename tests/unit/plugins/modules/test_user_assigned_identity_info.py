# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module refuses before it asks Azure."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.modules.user_assigned_identity_info import refuse_empty
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

UNSET = {"resource_group": None, "name": None, "id": None}


@table(
    "options, named",
    ({"id": ""}, "id"),
    ({"resource_group": ""}, "resource_group"),
    ({"resource_group": "rg", "name": ""}, "name"),
    ({"resource_group": "", "name": ""}, "resource_group, name"),
)
def test_an_empty_value_means_nothing(options: dict[str, str], named: str) -> None:
    with pytest.raises(Failure) as refused:
        refuse_empty({**UNSET, **options})
    assert str(refused.value).startswith(f"{named} must not be empty;")


@pytest.mark.parametrize("options", [{"id": "/x"}, {"resource_group": "rg"}, {"resource_group": "rg", "name": "one"}])
def test_what_is_named_or_left_out_is_taken(options: dict[str, str]) -> None:
    refuse_empty({**UNSET, **options})
