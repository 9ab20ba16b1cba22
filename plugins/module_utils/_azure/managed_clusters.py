# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.ContainerService: managed clusters.

Over plain ARM requests: importing azure-mgmt-containerservice takes longer than all else that a task imports, and a
list of its models lacks the fields that they do not know.
"""

from __future__ import annotations

import base64
import time
import typing as t

from .. import _progress
from .._domain.azure import arm_id, clusters, long_running
from .._domain.azure.arm_answers import NotAzure
from .._domain.errors import Failure
from .client import Arm, Body, json_of, provisioning_state, resource_of
from .errors import Refused, Unreachable, missing_is_fine

_API = "2026-08-01"


def get(arm: Arm, group: str, name: str) -> Body | None:
    return _get(arm, _path(arm, group, name), f"read the cluster {name} in the resource group {group}")


def get_by_id(arm: Arm, cluster: str) -> Body | None:
    """A cluster in whatever subscription; None where it does not exist."""
    return _get(arm, cluster, f"read the cluster {cluster}")


def _get(arm: Arm, path: str, doing: str) -> Body | None:
    body = arm.get(path, _API, doing=doing)
    if body is not None and not (isinstance(body.get("properties"), dict) and body["properties"]):
        raise NotAzure(doing, "the answer has no properties of a cluster")
    return body


def list_group(arm: Arm, group: str) -> list[Body]:
    """The clusters of a resource group; none where the group does not exist."""
    path = f"{arm_id.resource_group(arm.subscription, group)}/providers/{clusters.KIND}"
    with missing_is_fine:
        return arm.list(path, _API, doing=f"list the clusters of the resource group {group}")
    return []


def settled(arm: Arm, group: str, name: str) -> Body | None:
    """The cluster, once AKS has finished what it is doing with it; None where it does not exist (any more)."""
    state = ""
    for _look in arm.patience.looks(""):
        body = get(arm, group, name)
        if body is None:
            return None
        state = provisioning_state(body)
        if long_running.ended(state):
            return body
        _progress.tell(f"AKS is working on the cluster {name}: {state}")
    raise Failure(
        f"AKS is still working on the cluster {name} after {arm.patience.timeout:g} seconds (state {state}); run again "
        "later, raise wait_timeout, or end that operation with az aks operation-abort."
    )


def write(
    arm: Arm,
    group: str,
    name: str,
    observed: Body | None,
    change: t.Callable[[Body | None], Body],
    *,
    doing: str,
    wait: bool,
) -> Body:
    """PUT what ``change`` makes of the cluster as it was observed.

    Where AKS is busy, or somebody else has written since, the cluster is read again and ``change`` is asked again. AKS
    tells of the latter only by an eTag, which not each of its answers has; without one it is read again in any case.
    """

    def put(again: bool) -> Body:
        current = observed
        if again or (observed is not None and not (observed.get("eTag") and _has_settled(observed))):
            current = settled(arm, group, name)
        body = change(current)
        if again and current is not None and body == current and not clusters.is_unsuccessful(current):
            return current
        unchanged = {"If-None-Match": "*"} if current is None else {"If-Match": current.get("eTag") or "*"}
        path, wanted = _path(arm, group, name), clusters.writable(body)
        try:
            response = arm.send("PUT", path, _API, doing=doing, body=wanted, headers=unchanged)
        except Refused as refused:
            if refused.service.status not in (400, 409) or clusters.is_busy(refused.service):
                raise
            raise clusters.explain_stopped(doing, current, refused) from None
        answered = resource_of(response, doing, path)
        if not wait:
            return answered
        arm.follow(response, doing=doing)
        written = get(arm, group, name)
        if written is None:
            raise Failure(f"The cluster {name} in the resource group {group} was deleted meanwhile; run again.")
        clusters.require_tags(doing, written, wanted)
        return written

    return _when_free(arm, name, put)


def _has_settled(cluster: Body) -> bool:
    return long_running.ended(provisioning_state(cluster))


def delete(arm: Arm, group: str, name: str, *, wait: bool) -> None:
    doing = f"delete the cluster {name} in the resource group {group}"

    def start(_again: bool) -> None:
        with missing_is_fine:
            response = arm.delete(_path(arm, group, name), _API, doing=doing)
            if wait:
                arm.follow(response, doing=doing)

    _when_free(arm, name, start)


def kubeconfig(arm: Arm, group: str, name: str, *, admin: bool) -> bytes:
    """The content of a kubeconfig, for the local administrator or for the caller."""
    doing = f"get the {'admin' if admin else 'user'} kubeconfig of the cluster {name} in the resource group {group}"
    action = "listClusterAdminCredential" if admin else "listClusterUserCredential"
    answer = arm.send("POST", f"{_path(arm, group, name)}/{action}", _API, doing=doing, only_reads=True)
    found = json_of(answer).get("kubeconfigs")
    first = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    try:
        content = base64.b64decode(first.get("value") or "")
    except (TypeError, ValueError):
        content = b""
    if not content:
        raise Failure(
            f"Could not {doing}: the answer holds none, as that of a proxy or of another service in Azure's place; "
            "check proxy, network and cloud_environment, and that the cluster is running."
        )
    return content


Result = t.TypeVar("Result")


def _when_free(arm: Arm, name: str, attempt: t.Callable[[bool], Result]) -> Result:
    """Call ``attempt`` until AKS is not busy; its argument says whether AKS may have begun something since.

    So it is once more where the answer got lost on the way.
    """
    before: Failure | None = None
    lost_at = 0.0
    for _look in arm.patience.looks(f"AKS is busy with the cluster {name}"):
        try:
            return attempt(before is not None)
        except Refused as busy:
            if not clusters.is_busy(busy.service):
                raise
            before = busy
        except Unreachable as lost:
            if isinstance(before, Unreachable) and time.monotonic() - lost_at >= arm.patience.longest_pause:
                raise
            if not isinstance(before, Unreachable):
                lost_at = time.monotonic()
            before = lost
    raise Failure(
        f"AKS has been busy with the cluster {name} for {arm.patience.timeout:g} seconds; run again later, or end the "
        "other operation with az aks operation-abort.",
        error=before.error if before else None,
    )


def _path(arm: Arm, group: str, name: str) -> str:
    return arm_id.resource(arm.subscription, group, clusters.KIND, name)
