# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Exchanges of tokens of service accounts by federated credentials, once or many times. No token is kept."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .. import _progress
from .._domain.azure import aadsts
from .._domain.azure.exchanges import Exchange, Record, Sampling
from .._domain.azure.federated import Credential, Holder, require_issuer
from .._domain.errors import Failure
from .._domain.moments import of_epoch
from .client import Arm

_AT_ONCE = 8


@dataclass(frozen=True)
class Trust:
    """A federated credential, and whose token it gives: that of a client id in a tenant."""

    holder: Holder
    tenant: str
    client_id: str
    credential: Credential


Assertion = t.Callable[[Credential], str]  # a new token of the service account
Records = dict[Trust, Record]


def exchange(arm: Arm, trust: Trust, assertion: Assertion) -> Exchange:
    """One exchange. Raises Failure where it was not Entra that refused, so that it proves nothing."""
    credential = trust.credential
    token = assertion(credential)
    require_issuer(credential, token)
    at = of_epoch(time.time())
    doing = f"exchange a token by the federated credential {credential.name} of the {trust.holder}"
    try:
        arm.exchange(trust.tenant, trust.client_id, token, doing=doing)
    except Failure as failure:
        code = str(failure.error.get("code") or "")
        if not code.startswith(aadsts.PREFIX):
            raise
        return Exchange(at, code, str(failure.error.get("message") or ""), failure.sentence)
    return Exchange(at)


def wait(arm: Arm, trusts: t.Sequence[Trust], assertion: Assertion) -> Records:
    """Wait until an exchange by each of them is granted, as long as patience lasts; that is its first sample."""
    records: Records = {}
    waited: dict[Trust, int] = {}
    last: Exchange | None = None
    for _look in arm.patience.looks(_waiting(trusts)):
        for trust in trusts:
            if trust in records:
                continue
            made = exchange(arm, trust, assertion)
            if not made.code:
                records[trust] = Record((made,), waited.get(trust, 0))
                continue
            if not made.may_come:
                raise Failure(made.sentence, error=made.error)
            last = made
            waited[trust] = waited.get(trust, 0) + 1
            break  # the others are as new
        if len(records) == len(trusts):
            return {trust: records[trust] for trust in trusts}
    first = next(trust for trust in trusts if trust not in records)
    raise Failure(
        f"The federated credential {first.credential.name} of the {first.holder} is there, but Entra does not honour "
        f"it after {arm.patience.timeout:g} seconds; run again to wait longer, or raise wait_timeout.",
        error=last.error if last else None,
    )


def _waiting(trusts: t.Sequence[Trust]) -> str:
    holders = ", ".join(dict.fromkeys(str(trust.holder) for trust in trusts))
    return f"Entra does not honour federated credentials of the {holders} yet"


def sample(arm: Arm, records: Records, assertion: Assertion, sampling: Sampling) -> Records:
    """The records with samples up to the number that is asked for, in rounds that are spread over the time.

    One whose rate cannot be reached any more is asked no further.
    """
    began, found = time.monotonic(), dict(records)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(sampling.samples):
            due = [
                trust for trust, record in found.items() if len(record.samples) == number and not record.lost(sampling)
            ]
            if not due:
                continue
            pause = began + sampling.due(number) - time.monotonic()
            if pause > 0:
                _progress.tell(f"{number} of {sampling.samples} exchanges were made by each federated credential")
                time.sleep(pause)
            for trust, made in zip(due, pool.map(lambda trust: exchange(arm, trust, assertion), due)):
                found[trust] = found[trust].with_one(made)
    return found


def unproved(records: Records, sampling: Sampling) -> Failure | None:
    """What is wrong with the first that proves nothing."""
    for trust, record in records.items():
        if not record.proves(sampling):
            return record.complaint(trust.credential, trust.holder, sampling)
    return None


def view(records: Records, sampling: Sampling) -> list[dict[str, t.Any]]:
    return [record.view(trust.credential, sampling) for trust, record in records.items()]
