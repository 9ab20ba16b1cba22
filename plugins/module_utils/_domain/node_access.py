# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The pod through which a node is reached: its Job, and how commands get from it into the node's root."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from .errors import Failure
from .names import OBJECT_NAME, marks

Object = dict[str, t.Any]
Raw = t.Mapping[str, t.Any]

CONTAINER = "node"
RUN = "azureops.pod-identity/run"
CREATED = "azureops.pod-identity/created"
_NODE = "azureops.pod-identity/node"
_HOST = "/host"
_TTL_SECONDS = 60
# How many images of a node are tried.
IMAGES = 5
_ENVIRONMENT = ("HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
_ENTER = ("--target", "1", "--mount", "--uts", "--ipc", "--")
_MACHINES = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


@dataclass(frozen=True)
class Run:
    """One run of Ansible: where it runs, as which process, and a text that no other run has."""

    host: str
    pid: int
    token: str

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}"


@dataclass(frozen=True)
class Access:
    """A way to one node for one run.

    ``target`` is the name or an address of the node; ``image`` is '' where one that is on the node shall be used.
    """

    target: str
    namespace: str
    owner: str
    run: Run
    image: str
    idle_timeout: int
    max_lifetime: int

    @property
    def name(self) -> str:
        return f"node-access-{_digest(self.target, self.owner, self.run.token)}"

    @property
    def labels(self) -> dict[str, str]:
        return marks(self.owner)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_name(target: str) -> bool:
    """Whether a node may have that name; addresses of version 6 cannot be one."""
    return OBJECT_NAME.fullmatch(target) is not None


def at_address(address: str, nodes: t.Iterable[Object]) -> Object | None:
    """The node that has this address."""
    for raw in nodes:
        addresses = (raw.get("status") or {}).get("addresses") or ()
        if any(entry.get("address") == address for entry in addresses):
            return raw
    return None


def obstacle(node: Raw) -> str:
    """Why no pod can serve on a node, in a sentence; empty where nothing stands against it."""
    name = node["metadata"]["name"]
    if (node["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux") != "linux":
        return f"Node {name} does not run Linux: no pod of this kind can run there."
    conditions = {entry.get("type"): entry for entry in (node.get("status") or {}).get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "True":
        return ""
    reason = " ".join(str(ready.get("message") or ready.get("reason") or "no status was ever reported").split())
    since = ready.get("lastTransitionTime", "its start")
    return (
        f"Node {name} is not Ready since {since} ({reason.rstrip('.')}), so no pod can be reached on it: "
        "use azureops.pod_identity.vmss_run_command or ssh."
    )


def image_on(node: Raw, gone: t.Container[str] = ()) -> str:
    """The smallest image that a node says it has; its programs do not matter, because the node's own are used.

    ``gone`` are those that turned out not to be there any more: the kubelet tells what it has only now and then.
    """
    images = [
        (int(entry.get("sizeBytes") or 0), _reference(entry.get("names") or ()))
        for entry in (node.get("status") or {}).get("images") or ()
    ]
    known = sorted((size, name) for size, name in images if name and name not in gone)
    if not known:
        raise Failure(f"Node {node['metadata']['name']} names no image that it has: name one with the option image.")
    return known[0][1]


def gone_image(pod: Raw) -> str:
    """The image that the node said it had and that was not there when the pod was to start; else nothing."""
    status: t.Sequence[Raw] = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = (((status[0] if status else {}).get("state") or {}).get("waiting")) or {}
    return str(pod["spec"]["containers"][0]["image"]) if waiting.get("reason") == "ErrImageNeverPull" else ""


def _reference(names: t.Sequence[str]) -> str:
    """A name with a tag before one with a digest; '' where an image has lost both."""
    usable = [name for name in names if "<none>" not in name]
    return next((name for name in usable if "@" not in name), usable[0] if usable else "")


def enter(pod: Raw, arguments: t.Sequence[str]) -> list[str]:
    """The command for a pod that runs ``arguments`` in the node's root, with a clean environment.

    A named image brings its own ``chroot``. From any other the node's programs are started by the node's loader, so
    that nothing has to be in the image.
    """
    loader = pod["spec"]["containers"][0]["command"][: -len(_sleep([]))]
    first = [*loader, f"{_HOST}/usr/bin/nsenter"] if loader else ["chroot", _HOST, "/usr/bin/nsenter"]
    return [*first, *_ENTER, "/usr/bin/env", "-i", *_ENVIRONMENT, *arguments]


def _sleep(loader: t.Sequence[str]) -> list[str]:
    """What keeps the container alive."""
    return [*loader, f"{_HOST}/usr/bin/sleep" if loader else "sleep", "2147483647"]


def _loader(node: Raw) -> list[str]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    machine = _MACHINES.get(str(info.get("architecture")))
    if machine is None:
        raise Failure(
            f"Node {node['metadata']['name']} has the architecture {info.get('architecture')}, for which the place of "
            "the node's loader is not known: name an image that has sleep and chroot."
        )
    triplet, loader = machine
    family = str(info.get("osImage", "")).lower()
    library = f"{_HOST}/usr/lib/{triplet}"
    if not any(word in family for word in ("ubuntu", "debian")):
        library = f"{_HOST}/usr/lib64" if triplet.startswith("x86") else f"{_HOST}/usr/lib"
    path = f"{library}/{loader}"
    return [path, "--library-path", f"{library}:{_HOST}/usr/lib64:{_HOST}/usr/lib"]


def namespace(name: str, owner: str) -> Object:
    """A namespace that lets privileged pods in."""
    levels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**marks(owner), **levels}}}


def job(access: Access, node: Raw, created: float, gone: t.Container[str] = ()) -> Object:
    """The Job of the pod. The cluster ends it when nothing has renewed its deadline for ``idle_timeout`` seconds.

    ``created`` is the time of this machine, which is what deadlines are reckoned by.
    """
    image = access.image or image_on(node, gone)
    name = node["metadata"]["name"]
    annotations = {_NODE: name, RUN: str(access.run), CREATED: str(int(created))}
    pod: Object = {
        "nodeName": name,
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "hostNetwork": True,
        "hostPID": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": access.max_lifetime,
        "securityContext": {"runAsUser": 0, "runAsGroup": 0},
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent" if access.image else "Never",
                "command": _sleep([] if access.image else _loader(node)),
                "workingDir": "/",
                "securityContext": {"privileged": True},
                "volumeMounts": [{"name": "host", "mountPath": _HOST}],
            }
        ],
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": access.name,
            "namespace": access.namespace,
            "labels": access.labels,
            "annotations": annotations,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": access.idle_timeout,
            "ttlSecondsAfterFinished": _TTL_SECONDS,
            "template": {"metadata": {"labels": access.labels, "annotations": annotations}, "spec": pod},
        },
    }


def renewed(access: Access, pod: Raw, now: float) -> Object:
    """The change that lets the Job of a pod live for another ``idle_timeout`` seconds."""
    created = float(((pod.get("metadata") or {}).get("annotations") or {}).get(CREATED) or now)
    return {"spec": {"activeDeadlineSeconds": int(max(now - created, 0)) + access.idle_timeout}}


def finished(job_object: Raw) -> bool:
    conditions = (job_object.get("status") or {}).get("conditions") or ()
    return any(entry.get("type") in ("Complete", "Failed") and entry.get("status") == "True" for entry in conditions)


def is_leftover(job_object: Raw, access: Access, alive: t.Callable[[int], bool]) -> bool:
    """Whether a Job was left behind: it has ended, or the run that made it on this machine has."""
    metadata = job_object["metadata"]
    if metadata["name"] == access.name:
        return False
    host, _slash, pid = str((metadata.get("annotations") or {}).get(RUN, "")).rpartition("/")
    return finished(job_object) or (host == access.run.host and pid.isdigit() and not alive(int(pid)))
