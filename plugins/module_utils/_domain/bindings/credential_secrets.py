# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The Secret with the credential of a service principal.

Whoever may write an AzureIdentity may name any Secret of the cluster in it. So one in another namespace is neither
written nor removed unless the operator names it.
"""

from __future__ import annotations

from ..kubernetes.objects import Raw
from ..matching.matching import USER_ASSIGNED
from ..names import NAMESPACE_NAME, OBJECT_NAME

Key = tuple[str, str]  # namespace, name


def referred(identity: Raw) -> Key | None:
    """Namespace and name of the Secret that an AzureIdentity names; None where no Secret can be called so."""
    place = (identity.get("spec") or {}).get("clientPassword") or {}
    namespace, name = place.get("namespace") or _namespace_of(identity), place.get("name")
    if not isinstance(namespace, str) or not NAMESPACE_NAME.fullmatch(namespace):
        return None
    if not isinstance(name, str) or not OBJECT_NAME.fullmatch(name):
        return None
    return namespace, name


def of_principal(identity: Raw) -> Key | None:
    """The same of a service principal; a managed identity needs none."""
    managed = int((identity.get("spec") or {}).get("type") or USER_ASSIGNED) == USER_ASSIGNED
    return None if managed else referred(identity)


def own(identity: Raw) -> Key | None:
    """The same where the Secret lies in the namespace of the AzureIdentity."""
    place = of_principal(identity)
    return place if place and place[0] == _namespace_of(identity) else None


def _namespace_of(identity: Raw) -> str:
    return str(identity["metadata"].get("namespace") or "")
