# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What uses a user-assigned identity, and what it may do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.azure import arm_id, azure_roles
from . import attached_identities, authorization, federated_credentials
from .client import Arm


@dataclass(frozen=True)
class Users:
    """Names of federated credentials, and ids of the resources that an identity is attached to."""

    credentials: list[str]
    holders: list[str]


def find(arm: Arm, identity: str) -> Users:
    """Of an identity, given by its id."""
    holders = attached_identities.holders(arm, identity)
    credentials = federated_credentials.list_all(arm, identity) or ()
    return Users([each.name for each in credentials], holders)


def role_assignments(arm: Arm, identity: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Those of an identity, as a user sees it, in its subscription."""
    subscription = f"/subscriptions/{arm_id.parse(identity['id']).subscription}"
    held = authorization.assignments(arm, subscription, identity["principal_id"])
    return [azure_roles.summary(each) for each in held]
