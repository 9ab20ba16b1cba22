# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-ons of AKS share: objects that it puts into a cluster as its own, and takes away again."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any, Protocol

import aiohttp

Object = dict[str, Any]

MANAGED = {"kubernetes.azure.com/managedby": "aks"}
"""The label of what is AKS's own."""
_NOT_YET = (404, 429)
"""What the API server says of a kind that is new: not served, and served but without its store."""


class Call(Protocol):
    """One request to the API server; aiohttp.ClientResponseError when it is refused."""

    def __call__(self, method: str, path: str, body: object = None, kind: str = ...) -> Awaitable[object]: ...


def path_of(each: Object) -> str:
    """Where the API server has an object of some kind."""
    version, namespace = each["apiVersion"], each["metadata"].get("namespace")
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = re.sub("y$", "ie", each["kind"].lower()) + "s"
    return f"{group}/{f'namespaces/{namespace}/' if namespace else ''}{plural}/{each['metadata']['name']}"


async def apply(call: Call, each: Object) -> None:
    """Bring an object to what is desired, whoever else has written to it."""
    await call("PATCH", f"{path_of(each)}?fieldManager=aks&force=true", each, "application/apply-patch+yaml")


async def delete(call: Call, each: Object) -> None:
    """Delete an object; fine when it is gone."""
    try:
        await call("DELETE", path_of(each))
    except aiohttp.ClientResponseError as error:
        if error.status != 404:
            raise


async def there(call: Call, path: str) -> bool:
    """Whether an object is there, or a kind is served."""
    try:
        await call("GET", path)
    except aiohttp.ClientResponseError as error:
        if error.status not in _NOT_YET:
            raise
        return False
    return True
