# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Federated credentials that a migration needs: what Entra compares, what there is, and what is free."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..azure import arm_id
from ..azure.federated import IDENTITY_BINDING, LIMIT, Credential, Holder, spelled
from ..matching.matching import USER_ASSIGNED, Identity

EXISTS, MISSING, MISSPELLED, UNKNOWN = "exists", "missing", "misspelled", "unknown"


def holder_of(identity: str, app_id: str) -> Holder:
    """``identity``: a resource id; '' for an application."""
    return Holder.identity(identity) if identity else Holder.application("", app_id)


def key_of(identity: str, app_id: str) -> str:
    """What tells a holder apart: its lower-case resource id, or the lower-case client id of an application."""
    return arm_id.normal(identity) or app_id.lower()


@dataclass(frozen=True)
class Trust:
    """A service account that an identity, or the application of a service principal, has to trust.

    ``identity``: resource id, as it is spelled; '' for an application, which has ``app_id`` and ``tenant``.
    ``issuer``: None where it is not known, '' where there is none yet. ``state``: EXISTS, MISSING, MISSPELLED
    (``credential`` is nearly right) or UNKNOWN.
    """

    identity: str
    app_id: str
    tenant: str
    client_id: str
    subject: str
    issuer: str | None
    audience: str
    state: str = UNKNOWN
    credential: str = ""

    @property
    def holder(self) -> Holder:
        return holder_of(self.identity, self.app_id)

    @property
    def key(self) -> str:
        """What tells the holder apart."""
        return key_of(self.identity, self.app_id)

    @property
    def to_write(self) -> bool:
        """Whether it takes one more credential."""
        return self.state in (MISSING, MISSPELLED)

    def view(self) -> dict[str, t.Any]:
        return {
            "identity_id": self.identity,
            "app_id": self.app_id,
            "tenant_id": self.tenant,
            "client_id": self.client_id,
            "issuer": self.issuer or "",
            "subject": self.subject,
            "audience": self.audience,
            "state": self.state,
            "credential": self.credential,
        }


def judge(
    identity: Identity, subject: str, issuer: str | None, audience: str, credentials: t.Sequence[Credential] | None
) -> Trust:
    """``credentials`` of the identity, or of its application; None where they were not read."""
    managed = identity.type == USER_ASSIGNED
    holder = (identity.resource_id, "", "") if managed else ("", identity.client_id.lower(), identity.tenant_id)

    def told(state: str, credential: str = "") -> Trust:
        return Trust(*holder, identity.client_id, subject, issuer, audience, state, credential)

    if credentials is None:
        return told(UNKNOWN)
    mine = [one for one in credentials if one.subject == subject and one.audiences == (audience,)]
    for one in mine:
        if one.issuer == issuer:
            return told(EXISTS, one.name)
    if mine and issuer is None:
        return told(UNKNOWN, mine[0].name)
    wanted = tuple(map(spelled, (subject, issuer or "", audience)))
    for one in credentials:
        if tuple(map(spelled, (one.subject, one.issuer, " ".join(one.audiences)))) == wanted:
            return told(MISSPELLED, one.name)
    return told(MISSING)


@dataclass(frozen=True)
class Slots:
    """The credentials of a managed identity or application, of all clusters.

    ``credentials``: None where they were not read.
    """

    credentials: tuple[Credential, ...] | None
    wanted: tuple[Trust, ...] = ()

    @property
    def missing(self) -> int:
        return len({one.subject for one in self.wanted if one.to_write})

    @property
    def used(self) -> int | None:
        return None if self.credentials is None else len(self.credentials)

    @property
    def exceeded(self) -> bool:
        return self.used is not None and self.missing > 0 and self.used + self.missing > LIMIT

    @property
    def issuers(self) -> tuple[str, ...]:
        """Of the clusters that it serves, and of others; each stands for one cluster."""
        known = self.credentials or ()
        return tuple(sorted({one.issuer for one in known if one.issuer and one.protection != IDENTITY_BINDING}))
