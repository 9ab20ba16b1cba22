# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure

GROUP: dict[str, object] = {"id": "/s/rg", "name": "rg", "location": "westeurope", "managedBy": "other"}
GROUP["tags"] = {"a": "1"}


def desired(current: dict[str, object] | None, location: str | None = None, **tags: str) -> dict[str, object]:
    return groups.desired("rg", current, location=location, wanted_tags=tags or None, append_tags=True)


def test_a_new_group_needs_a_location() -> None:
    assert desired(None, "westeurope", a="1") == {"location": "westeurope", "tags": {"a": "1"}}
    with pytest.raises(Failure, match="rg does not exist; name the location"):
        desired(None)


def test_what_is_not_named_stays() -> None:
    assert desired(GROUP) == GROUP
    assert desired(GROUP, "West Europe", a="1") == GROUP
    assert desired(GROUP, b="2") == {**GROUP, "tags": {"a": "1", "b": "2"}}


def test_a_group_cannot_move() -> None:
    with pytest.raises(Failure, match="is in westeurope and cannot move to eastus"):
        desired(GROUP, "eastus")


@pytest.mark.parametrize(("state", "remains"), [("Succeeded", True), ("Deleting", False), ("deleting", False)])
def test_a_group_that_is_being_deleted_does_not_remain(state: str, remains: bool) -> None:
    body = {**GROUP, "properties": {"provisioningState": state}}
    assert groups.remaining([groups.view(body)]) == ([groups.view(body)] if remains else [])
    assert groups.is_going(body) is not remains
    assert groups.remaining([groups.view(GROUP)]) and not groups.remaining([])


def test_ignored_resources_are_compared_as_ids() -> None:
    found = [f"/subscriptions/s/resourceGroups/rg/{name}" for name in "abc"]
    ignored = ["/SUBSCRIPTIONS/s/resourcegroups/rg/a/", "/resourceGroups/rg/b"]
    assert groups.without(found, [*ignored, "/subscriptions/other/resourceGroups/rg/c"], "s") == found[2:]
    assert groups.without(found, [], "s") == found


def test_what_keeps_a_group_is_named() -> None:
    groups.refuse_nonempty("rg", [], "force")
    resources = [f"/{name}" for name in "abcdef"]
    with pytest.raises(Failure) as refused:
        groups.refuse_nonempty("rg", resources, "force")
    assert refused.value.sentence == (
        "The resource group rg still holds 6 resources (a, b, c, d, e, ...); remove them, or set force to true to "
        "delete them with it."
    )
    assert refused.value.results == {"resources": resources}
