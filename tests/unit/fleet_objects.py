# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Identities with their federated credentials, as the plans of several clusters tell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IDS = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


def subject(name: str) -> str:
    return f"system:serviceaccount:shop:{name}"


def credential(issuer: str, account: str) -> dict[str, str]:
    return {"name": f"{issuer}-{account}", "issuer": issuer, "subject": subject(account)}


def identity(
    *credentials: dict[str, str], wants: Sequence[str] = (), name: str = "web", read: bool = True
) -> dict[str, Any]:
    made = {"identity_id": f"{IDS}{name}", "client_id": "1", "credentials": list(credentials)}
    used = len(credentials) if read else None
    subjects = list(map(subject, wants))
    return {**made, "credentials_used": used, "credentials_missing": len(wants), "subjects": subjects}


def plan(issuer: str | None, *identities: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": {"issuer": issuer}, "identities": list(identities)}
