# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a plan of a migration is made of: objects, federated credentials, and what dry runs and live proofs told."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..azure import arm_id
from ..azure.federated import Credential
from ..diagnosis.observed import Unread
from ..errors import Failure
from ..installation.workload_identity_webhook import AUDIENCE
from ..matching.inventory import Inventory
from ..matching.matching import Raw
from .dry_run import DryRun

# Who served a token.
WORKLOAD_IDENTITY = "workload_identity"


@dataclass(frozen=True)
class Cloud:
    """Where pods exchange their tokens, and the audience that federated credentials have there.

    ``login_host``: '' where it is not known.
    """

    name: str = "AzureCloud"
    login_host: str = "login.microsoftonline.com"
    audience: str = AUDIENCE


@dataclass(frozen=True)
class Exchange:
    """Tokens of a service account that were exchanged for tokens of an identity.

    ``service_account``: ``team/web``. ``client_id``: of the identity. ``codes``: how many were refused, by code.
    ``workload``: where a pod with the labels of that workload asked, as the workload does; '' where no pod did.
    ``reached``: whether the login host answered. ``served_by``: who gave the tokens, as ``WORKLOAD_IDENTITY``.
    """

    service_account: str
    client_id: str
    asked: int
    granted: int
    codes: t.Mapping[str, int] = field(default_factory=dict)
    workload: str = ""
    reached: bool = True
    served_by: str = WORKLOAD_IDENTITY

    @classmethod
    def parse(cls, options: Raw) -> Exchange:
        """Raises Failure where numbers contradict each other."""
        codes = {str(code): _count(number) for code, number in options["codes"].items()}
        if not 0 <= options["granted"] <= options["asked"]:
            raise Failure(
                f"Of {options['asked']} exchanges for {options['service_account']} {options['granted']} cannot have "
                "been granted: correct asked and granted in exchanges."
            )
        return cls(**{**options, "codes": codes})


@dataclass(frozen=True)
class Choices:
    """What the operator has chosen.

    ``accepted``: codes. ``proxied``: labels of workloads that get the proxy sidecar. ``min_rate``: of exchanges that
    must succeed, from 0 to 1. ``replacements``: resource ids of managed identities, by namespace and name of the
    AzureIdentity whose place each takes.
    """

    accepted: frozenset[str] = frozenset()
    override_owner: bool = False
    proxied: frozenset[str] = frozenset()
    min_rate: float = 0.9
    replacements: t.Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, options: Raw) -> Choices:
        """Raises Failure for a workload that is not named as ``NAMESPACE/KIND/NAME``, for a rate that is none, and for
        a replacement that is no managed identity."""
        if not 0 <= options["exchange_min_rate"] <= 1:
            raise Failure("The option exchange_min_rate must be at least 0 and at most 1: correct it.")
        return cls(
            accepted=frozenset(options["accept"]),
            override_owner=options["override_owner"],
            proxied=frozenset(map(_label, options["proxy_workloads"])),
            min_rate=options["exchange_min_rate"],
            replacements=dict(map(_replacement, (options["replacements"] or {}).items())),
        )


@dataclass(frozen=True)
class Observed:
    """``objects`` by kind, as listed; a kind that is missing was not read.

    ``issuer``: of the cluster, '' where none is enabled. ``addon``: whether AKS's own webhook is enabled. Both are None
    where Azure was not asked. ``tenant``: that of the cluster, '' where it is not known. ``credentials``: the federated
    ones by the lower-case id of an identity, or client id of an application, None where none were read; one that is
    missing was not read. ``client_ids``: of identities that take the place of others, by their lower-case id; one that
    is missing was not read, or does not exist. ``dry_runs``: of pods of workloads, by ``Candidate.key``, with
    the proxy where these are to have it; one of which nothing was obtained is missing. ``exchanges``: what was tried.
    """

    inventory: Inventory
    objects: t.Mapping[str, t.Sequence[Raw]] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    issuer: str | None = None
    addon: bool | None = None
    cloud: Cloud = Cloud()
    tenant: str = ""
    client_ids: t.Mapping[str, str] = field(default_factory=dict)
    credentials: t.Mapping[str, t.Sequence[Credential]] | None = None
    dry_runs: t.Mapping[tuple[str, str], DryRun] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()


def _label(workload: str) -> str:
    """``team/Deployment/web`` -> ``Deployment team/web``."""
    parts = workload.split("/")
    if len(parts) != 3 or not all(parts):
        raise Failure(f"The workload {workload!r} is not named as NAMESPACE/KIND/NAME: correct proxy_workloads.")
    return f"{parts[1]} {parts[0]}/{parts[2]}"


def _replacement(entry: tuple[t.Any, t.Any]) -> tuple[str, str]:
    name, identity = map(str, entry)
    if len(name.split("/")) != 2 or not all(name.split("/")):
        raise Failure(f"The AzureIdentity {name!r} is not named as NAMESPACE/NAME: correct replacements.")
    if not arm_id.is_user_assigned_identity(identity):
        raise Failure(
            f"{identity!r} is no resource id of a managed identity, and cannot take the place of AzureIdentity {name}: "
            "correct replacements."
        )
    return name, identity


def _count(number: object) -> int:
    try:
        return int(str(number))
    except ValueError:
        raise Failure(f"{number!r} is no number of refused exchanges: correct codes in exchanges.") from None
