# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Restore bundles in Secrets."""

from __future__ import annotations

import base64
import typing as t

from .._domain.names import MANAGED_BY, MANAGER, marks
from .._domain.removal.bundles import Place
from .client import Client
from .kinds import SECRET, Object
from .objects import Place as ObjectPlace

_KEY = "bundle.json"


def write(client: Client, place: Place, owner: str, text: str) -> None:
    """Create or change the Secret; no message shows what it holds."""
    secret = ObjectPlace(client, SECRET, place.namespace, place.name)
    wanted = {"metadata": {"labels": marks(owner)}, "data": {_KEY: base64.b64encode(text.encode()).decode()}}
    (secret.create if secret.get() is None else secret.patch)(wanted)


def read(client: Client, place: Place) -> bytes | None:
    """None where there is no such Secret."""
    secret = client.get(SECRET, place.namespace, place.name)
    return None if secret is None else _bundle(secret)


def read_all(client: Client, namespace: str) -> t.Iterator[tuple[Place, bytes]]:
    """Of the Secrets in a namespace that are labelled as the collection's; others label theirs so too."""
    for secret in client.list_all(SECRET, namespace, labels=f"{MANAGED_BY}={MANAGER}"):
        yield Place.of_secret(namespace, secret["metadata"]["name"]), _bundle(secret)


def _bundle(secret: Object) -> bytes:
    return base64.b64decode((secret.get("data") or {}).get(_KEY) or "")
