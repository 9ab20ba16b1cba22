# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Federated credentials of user-assigned identities, and the exchange that they allow.

Over plain ARM requests, because the models of azure-mgmt-msi drop from a list what they do not know. Azure refuses a
write while another one on the same identity runs, so writes come one after the other and are repeated when refused.
"""

from __future__ import annotations

import functools
import typing as t

from .._domain.azure import arm_id, federated, identities, needs
from .._domain.errors import Failure
from .._domain.needs import AzureNeed
from . import identities as identities_service
from .busy_wait import in_turn
from .client import Arm
from .errors import Refused, missing_is_fine

_API = "2023-01-31"


def list_all(arm: Arm, identity: str) -> tuple[federated.Credential, ...] | None:
    """The credentials of an identity, given by its id; None where it does not exist."""
    with missing_is_fine:
        found = arm.list(
            federated.path(identity), _API, doing=f"list the federated credentials of the identity {identity}"
        )
        return federated.ordered(federated.parse(body) for body in found)
    return None


def needs_of(identity: str, write: federated.Write) -> tuple[AzureNeed, ...]:
    verb = "delete" if write.verb == "delete" else "write"
    return needs.on(federated.path(identity, write.credential.name), verb)


def carry_out(arm: Arm, identity: str, write: federated.Write) -> None:
    credential = write.credential
    path = federated.path(identity, credential.name)
    name = arm_id.last_segment(identity)
    doing = f"{write.verb} the federated credential {credential.name} of the identity {name}"
    write_in_turn = functools.partial(
        in_turn, arm, doing=doing, other="another write of federated credentials", timeout=arm.patience.timeout
    )
    if write.verb == "delete":
        with missing_is_fine:
            write_in_turn(lambda: arm.send("DELETE", path, _API, doing=doing))
        return
    body = {"properties": credential.properties()}
    try:
        write_in_turn(lambda: arm.send("PUT", path, _API, doing=doing, body=body))
    except Refused as refused:
        if refused.is_missing():
            raise Failure(
                f"Could not {doing}: the identity {identity} does not exist; create it first.", error=refused.error
            ) from None
        if refused.service.status == 405:
            raise Failure(
                f"Could not {doing}: Azure offers no federated credentials for this identity (405), as in some "
                "regions; use an identity in another region, which need not be that of the cluster.",
                error=refused.error,
            ) from None
        raise


def prove(
    arm: Arm,
    identity: str,
    credentials: t.Sequence[federated.Credential],
    assertion: t.Callable[[federated.Credential], str],
) -> None:
    """Wait until Entra takes an ``assertion`` for each of the credentials. No token is kept."""
    who = identities.view(identities_service.get_by_id(arm, identity))
    waiting, name = list(credentials) if who else [], arm_id.last_segment(identity)
    refusal: Failure | None = None
    for _look in arm.patience.looks(f"Entra does not honour federated credentials of the identity {name} yet"):
        for credential in tuple(waiting):
            doing = f"exchange a token by the federated credential {credential.name} of the identity {name}"
            token = assertion(credential)
            federated.require_issuer(credential, token)
            try:
                arm.exchange(who["tenant_id"], who["client_id"], token, doing=doing)
            except Failure as failure:
                if not federated.may_come(failure):
                    raise
                refusal = failure
                break  # the others are as new
            waiting.remove(credential)
        if not waiting:
            return
    raise Failure(
        f"The federated credential {waiting[0].name} of the identity {name} is there, but Entra does not honour it "
        f"after {arm.patience.timeout:g} seconds; run again to wait longer, or raise wait_timeout.",
        error=refusal.error if refusal else None,
    )
