# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who may work on a cluster: one run at a time, which holds a Lease."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..moments import written
from ..names import MANAGED_BY, MANAGER

NAMESPACE, NAME = "default", "azureops-pod-identity"
PROCESS = "azureops.pod-identity/process"
# Whether a process is gone, by its name; None where nothing proves either.
Ended = t.Callable[[str], t.Optional[bool]]
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Holder:
    """A run: who it is for people, and which process on which system; that is empty where it is not known."""

    name: str
    process: str = ""


@dataclass(frozen=True)
class Lease:
    """A Lease as it is in the cluster."""

    holder: Holder
    taken: datetime
    renewed: datetime
    seconds: int
    transitions: int
    uid: str
    version: str

    @classmethod
    def parse(cls, raw: t.Mapping[str, t.Any]) -> Lease:
        metadata, spec = raw["metadata"], raw.get("spec") or {}
        process = str((metadata.get("annotations") or {}).get(PROCESS) or "")
        return cls(
            Holder(str(spec.get("holderIdentity") or ""), process),
            _moment(str(spec.get("acquireTime") or spec.get("renewTime") or "")),
            _moment(str(spec.get("renewTime") or "")),
            int(spec.get("leaseDurationSeconds") or 0),
            int(spec.get("leaseTransitions") or 0),
            str(metadata["uid"]),
            str(metadata["resourceVersion"]),
        )

    def left(self, now: datetime) -> int:
        """Seconds until it is nobody's."""
        return max(0, int((self.over - now).total_seconds()))

    @property
    def over(self) -> datetime:
        """When it is nobody's, unless it is renewed."""
        return self.renewed + timedelta(seconds=self.seconds)

    def told(self) -> dict[str, t.Any]:
        return {
            "holder": self.holder.name,
            "renewed": written(self.renewed),
            "duration": self.seconds,
        }


@dataclass(frozen=True)
class Claim:
    """Whether a run may take the Lease; ``holder`` tells from whom."""

    ours: bool
    free: bool
    label: str
    holder: str = ""

    @property
    def why(self) -> str:
        return "renew" if self.ours else "take"

    @property
    def summary(self) -> str:
        return f"{self.why} {self.label}" + (f" from {self.holder}" if self.holder else "")


def decide(found: Lease | None, holder: Holder, now: datetime, ended: Ended, label: str) -> Claim:
    if found is None or not found.holder.name:
        return Claim(False, True, label)
    if found.holder == holder:
        return Claim(True, True, label)
    if ended(found.holder.process):
        return Claim(False, True, label, f"{found.holder.name}, whose process has ended")
    if not found.left(now):
        return Claim(False, True, label, f"{found.holder.name}, who did not renew it in time")
    return Claim(False, False, label, found.holder.name)


def refusal(found: Lease, ended: bool | None, label: str, namespace: str, name: str) -> str:
    """Who holds it, since when and until when, and what to do."""
    sentence = (
        f"{found.holder.name} works on this cluster and holds {label}, taken at {written(found.taken)} and free at "
        f"{written(found.over)} unless that run renews it: "
    )
    if ended is False:
        return f"{sentence}that run still works on this machine; wait until it has ended, or stop it."
    return (
        f"{sentence}wait until that run has ended. Nothing here proves whether it still works; if it was killed, free "
        f"the cluster with: kubectl --namespace {namespace} delete lease {name}"
    )


def body(found: Lease | None, holder: Holder, now: datetime, seconds: int) -> dict[str, t.Any]:
    """What is written, for a new Lease or into one that was found; what is there besides stays."""
    stamp = now.strftime(_STAMP)
    spec: dict[str, t.Any] = {"holderIdentity": holder.name, "leaseDurationSeconds": seconds, "renewTime": stamp}
    metadata: dict[str, t.Any] = {"labels": {MANAGED_BY: MANAGER}, "annotations": {PROCESS: holder.process}}
    if found:
        metadata.update(uid=found.uid, resourceVersion=found.version)
    if not found or found.holder != holder:
        spec.update(acquireTime=stamp, leaseTransitions=found.transitions + 1 if found else 0)
    return {"metadata": metadata, "spec": spec}


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return datetime.fromtimestamp(0, timezone.utc)
