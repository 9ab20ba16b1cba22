# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What pods that the webhook of Workload ID has changed show of what is wrong with them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..installation.workload_identity_webhook import PROXY_CONTAINER, PROXY_INIT_CONTAINER, TOKEN_FILE_VARIABLE
from .matching import Pod, Raw

# Where webhooks before and from 1.6.0 on project the token.
_TOKEN_FILE = re.compile(r"/var/run/secrets/azure/(?:tokens|wi)(?:/[\w.-]+)*")
_PROXY = (PROXY_CONTAINER, PROXY_INIT_CONTAINER)
_STARTING = ("", "PodInitializing", "ContainerCreating")


@dataclass(frozen=True)
class WorkloadIdPod:
    """``lost``: paths of the token that a container is told, and ``own``, where it has it, by the container's name.

    ``waiting``: why a container of the proxy does not start, by its name.
    """

    namespace: str
    name: str
    lost: t.Mapping[str, tuple[str, str]]
    waiting: t.Mapping[str, str]

    @property
    def label(self) -> str:
        return f"Pod {self.namespace}/{self.name}"


def find(pods: t.Iterable[Raw]) -> tuple[WorkloadIdPod, ...]:
    """Those that live and with which something is wrong."""
    living = (raw for raw in pods if Pod.parse(raw).lives)
    return tuple(one for one in map(_parsed, living) if one.lost or one.waiting)


def _parsed(raw: Raw) -> WorkloadIdPod:
    metadata, spec, status = raw.get("metadata") or {}, raw.get("spec") or {}, raw.get("status") or {}
    lost = {}
    for each in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        path, own = _lost(each)
        if path:
            lost[str(each.get("name", ""))] = path, own
    waiting = {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        told = (each.get("state") or {}).get("waiting") or {}
        if each.get("name") in _PROXY and str(told.get("reason") or "") not in _STARTING:
            text = f": {told['message']}" if told.get("message") else ""
            waiting[str(each["name"])] = f"{told['reason']}{text}"
    return WorkloadIdPod(str(metadata.get("namespace", "")), str(metadata.get("name", "")), lost, waiting)


def _lost(container: Raw) -> tuple[str, str]:
    """A path of the token that it is told and where nothing is, and where it has it; empty where all is right."""
    entries = [each for each in container.get("env") or () if each.get("value") is not None]
    own = next((str(each["value"]) for each in entries if each.get("name") == TOKEN_FILE_VARIABLE), "")
    if not own:
        return "", ""
    mounts = [str(each.get("mountPath", "")).rstrip("/") for each in container.get("volumeMounts") or ()]
    places = [own, *filter(_TOKEN_FILE.fullmatch, mounts)]
    words = [str(each) for each in (*(container.get("command") or ()), *(container.get("args") or ()))]
    words += [str(each["value"]) for each in entries if each.get("name") != TOKEN_FILE_VARIABLE]
    told = (path for word in words for path in _TOKEN_FILE.findall(word))
    return next(((path, own) for path in told if not any(_meet(path, place) for place in places)), ("", ""))


def _meet(one: str, other: str) -> bool:
    """Whether one path is the other or lies in it."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
