# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an uninstallation leaves on nodes and scale sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

from operators import CLUSTER, Operator

UNINSTALL, RESTORE, DESTROY = (f"azureops.pod_identity.{name}" for name in ("uninstall", "restore", "destroy"))
CONFIRMED = {"pod_identity_uninstall_confirm": CLUSTER, "pod_identity_uninstall_remove_role_assignments": True}
IN_USE = {**CONFIRMED, "pod_identity_uninstall_allow_in_use": True}


def to_restore(bundle: Path) -> dict[str, str]:
    """The variables that name a restore bundle, with its digest as the uninstall told it."""
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    return {"pod_identity_restore_bundle": str(bundle), "pod_identity_restore_sha256": digest}


def states(operator: Operator) -> list[str]:
    found = operator.kubectl("get", "azureassignedidentity", "-A")["items"]
    return [(each.get("status") or {}).get("status", "") for each in found]


def attached(operator: Operator) -> set[str]:
    """Names of the identities on the scale sets."""
    query = ("vmss", "list", "--query", "[].identity.userAssignedIdentities.keys(@)[]")
    return {each.rpartition("/")[2] for each in operator.sandbox.az(*query)}


def chains(operator: Operator) -> list[str]:
    """The rules of NMI on all nodes."""
    saved = [operator.sandbox.ssh(address, "iptables-save", "-t", "nat") for address in operator.addresses().values()]
    return [line for one in saved for line in one.splitlines() if "aad-metadata" in line]
