# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Federated credentials of user-assigned identities.

Over plain ARM requests, because the models of azure-mgmt-msi drop from a list what they do not know. Azure refuses a
write while another one on the same identity runs (409, pulumi-azure-native#4343), so writes come one after the other,
those of other runs too, and are repeated when refused. It holds the limit of an identity itself, at each write.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from .._domain.azure import federated, identities, needs
from .._domain.errors import Failure
from .._domain.needs import AzureNeed
from . import identities as identities_service
from .busy_wait import in_turn
from .client import Arm
from .errors import Refused, missing_is_fine

_API = "2023-01-31"
# What it takes to list them.
READ = f"{federated.KIND}/read"


def list_all(arm: Arm, identity: str) -> tuple[federated.Credential, ...] | None:
    """The credentials of an identity, given by its id; None where it does not exist."""
    with missing_is_fine:
        found = arm.list(
            federated.path(identity), _API, doing=f"list the federated credentials of the identity {identity}"
        )
        return federated.ordered(federated.parse(body) for body in found)
    return None


@dataclass(frozen=True)
class Identity:
    """An identity, given by its id or a text that stands for one that is still to come, as holder of credentials."""

    arm: Arm
    id: str

    @property
    def holder(self) -> federated.Holder:
        return federated.Holder.identity(self.id)

    def about(self) -> dict[str, t.Any]:
        return {"identity_id": self.id}

    def credentials(self) -> tuple[federated.Credential, ...] | None:
        return list_all(self.arm, self.id)

    def principal(self) -> tuple[str, str] | None:
        """Tenant and client id; None where it does not exist."""
        who = identities.view(identities_service.get_by_id(self.arm, self.id))
        return (who["tenant_id"], who["client_id"]) if who else None

    def needs_of(self, write: federated.Write) -> tuple[AzureNeed, ...]:
        verb = "delete" if write.verb == "delete" else "write"
        return needs.on(federated.path(self.id, write.credential.name), verb)

    def carry_out(self, write: federated.Write) -> None:
        credential, arm = write.credential, self.arm
        path = federated.path(self.id, credential.name)
        doing = f"{write.verb} the federated credential {credential.name} of the {self.holder}"
        write_in_turn = functools.partial(
            in_turn, arm, doing=doing, other="another write of federated credentials", timeout=arm.patience.timeout
        )
        if write.verb == "delete":
            with missing_is_fine:
                write_in_turn(lambda: arm.delete(path, _API, doing=doing))
            return
        body = {"properties": credential.properties()}
        try:
            write_in_turn(lambda: arm.put(path, _API, body, doing=doing))
        except Refused as refused:
            if refused.is_missing():
                raise Failure(
                    f"Could not {doing}: the identity {self.id} does not exist; create it first.", error=refused.error
                ) from None
            if refused.service.status == 405:
                raise Failure(
                    f"Could not {doing}: Azure offers no federated credentials for this identity (405), as in some "
                    "regions; use an identity in another region, which need not be that of the cluster.",
                    error=refused.error,
                ) from None
            if write.verb == "create":
                federated.refuse_full(self.holder, credential, self.credentials() or (), refused.error)
            raise
