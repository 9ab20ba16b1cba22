# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The pod through which a node is reached: its Job, and how commands get from it into the node's root."""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from ..errors import Failure
from ..kubernetes.jobs import has_ended
from ..names import NAMESPACE_NAME, NODE_CONTAINER, OBJECT_NAME, is_ours, listed, marks

Object = dict[str, t.Any]
Raw = t.Mapping[str, t.Any]

RUN = "azureops.pod-identity/run"
CREATED = "azureops.pod-identity/created"
_NODE = "azureops.pod-identity/node"
_HOST, _ETC = "host", "etc"
_TTL_SECONDS = 60
_PRIVILEGED = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
# What AKS itself runs on its nodes. Tags of these names hold what Microsoft published, whoever pulled them.
IMAGE_REPOSITORIES = (
    "mcr.microsoft.com/oss/kubernetes/pause",
    "mcr.microsoft.com/oss/v2/kubernetes/pause",
    "mcr.microsoft.com/oss/kubernetes/kube-proxy",
    "mcr.microsoft.com/oss/v2/kubernetes/kube-proxy",
    "mcr.microsoft.com/oss/kubernetes/azure-cloud-node-manager",
    "mcr.microsoft.com/oss/v2/kubernetes/azure-cloud-node-manager",
    "mcr.microsoft.com/oss/kubernetes-csi/azuredisk-csi",
    "mcr.microsoft.com/oss/v2/kubernetes-csi/azuredisk-csi",
    "mcr.microsoft.com/oss/kubernetes-csi/azurefile-csi",
    "mcr.microsoft.com/oss/v2/kubernetes-csi/azurefile-csi",
)
# How many images of a node are tried.
IMAGES = 5
_ENVIRONMENT = ("HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
_DAY_SECONDS = 86400
_LONGEST_PREFIX = 63 - 17
# A registry with a domain or a port, a repository there, and a tag.
_TAGGED = re.compile(r"(?P<repository>[^/@\s]*[.:][^/@\s]*/[^@:\s]+):[A-Za-z0-9_.-]+")
# What the loader and the C library would otherwise take from an image. Variables that act by being there at all, such
# as LD_TRACE_LOADED_OBJECTS, cannot be taken away; they let nothing of an image run.
_OVERRIDDEN = {
    **dict.fromkeys(("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_PROFILE", "LD_DEBUG", "LD_DEBUG_OUTPUT"), ""),
    **dict.fromkeys(("GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "LANGUAGE"), ""),
    "LANG": "C",
    "LC_ALL": "C",
}
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

    ``target`` is the name or an address of the node; ``prefix`` begins the names of namespaces; ``image`` is '' where
    one that is on the node shall be used, which is then of a repository of AKS or of ``repositories``.
    """

    target: str
    prefix: str
    owner: str
    run: Run
    image: str
    idle_timeout: int
    max_lifetime: int
    repositories: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        """The namespace of the run, whose name nobody can know before it exists: the token of the run is random."""
        return f"{self.prefix}-{_digest('namespace', self.owner, self.run.token)}"

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
    """The node that has this address; a Failure where several say so."""
    found = [
        raw
        for raw in nodes
        if any(entry.get("address") == address for entry in (raw.get("status") or {}).get("addresses") or ())
    ]
    if len(found) > 1:
        names = " and ".join(str(raw["metadata"]["name"]) for raw in found[:2])
        raise Failure(f"More than one node says that it has the address {address} ({names}): name the node itself.")
    return found[0] if found else None


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


def image_on(access: Access, node: Raw, gone: t.Container[str] = ()) -> str:
    """The smallest image on a node that no tenant can have made, by a name with a tag; a Failure where there is none.

    ``gone`` are those that turned out not to be there any more: the kubelet tells what it has only now and then.
    """
    trusted = (*IMAGE_REPOSITORIES, *access.repositories)
    images = [
        (int(entry.get("sizeBytes") or 0), name)
        for entry in (node.get("status") or {}).get("images") or ()
        for name in entry.get("names") or ()
        if name not in gone and _repository(name) in trusted
    ]
    if not images:
        raise Failure(
            f"Node {node['metadata']['name']} names no image of AKS that the pod could use ({IMAGE_REPOSITORIES[0]} "
            "and others, which the documentation of the connection aks_node_pod lists): name a repository that only "
            "you can write to with ansible_aks_node_pod_image_repositories, or an image with sleep and chroot with "
            "ansible_aks_node_pod_image."
        )
    return str(min(images)[1])


def _repository(name: str) -> str:
    """The repository of an image, with its registry; '' for a name without registry or tag, and for a digest."""
    found = _TAGGED.fullmatch(name)
    return found["repository"] if found else ""


def gone_image(pod: Raw) -> str:
    """The image that the node said it had and that was not there when the pod was to start; else nothing."""
    status: t.Sequence[Raw] = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = (((status[0] if status else {}).get("state") or {}).get("waiting")) or {}
    return str(_container(pod)["image"]) if waiting.get("reason") == "ErrImageNeverPull" else ""


def _container(pod: Raw) -> Raw:
    """The container that leads to the node; others may have been put beside it."""
    containers: t.Sequence[Raw] = pod["spec"]["containers"]
    return next(each for each in containers if each["name"] == NODE_CONTAINER)


def enter(pod: Raw, arguments: t.Sequence[str]) -> list[str]:
    """The command for a pod that runs ``arguments`` in the node's root, with a clean environment.

    A named image brings its own ``chroot``. In any other the node's programs are started by the node's loader, so that
    nothing has to be in the image and nothing of it runs.
    """
    container = _container(pod)
    host = next(each["mountPath"] for each in container["volumeMounts"] if each["name"] == _HOST)
    loader = container["command"][: -len(_sleep("", []))]
    first = [*loader, f"{host}/usr/bin/nsenter"] if loader else ["chroot", host, "/usr/bin/nsenter"]
    return [*first, *_ENTER, "/usr/bin/env", "-i", *_ENVIRONMENT, *arguments]


def _sleep(host: str, loader: t.Sequence[str]) -> list[str]:
    """What keeps the container alive."""
    return [*loader, f"{host}/usr/bin/sleep" if loader else "sleep", "2147483647"]


def _loader(node: Raw, host: str) -> list[str]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    machine = _MACHINES.get(str(info.get("architecture")))
    if machine is None:
        raise Failure(
            f"Node {node['metadata']['name']} has the architecture {info.get('architecture')}, for which the place of "
            "the node's loader is not known: name an image that has sleep and chroot."
        )
    triplet, loader = machine
    family = str(info.get("osImage", "")).lower()
    library = f"{host}/usr/lib/{triplet}"
    if not any(word in family for word in ("ubuntu", "debian")):
        library = f"{host}/usr/lib64" if triplet.startswith("x86") else f"{host}/usr/lib"
    libraries = f"{library}:{host}/usr/lib64:{host}/usr/lib"
    return [f"{library}/{loader}", "--inhibit-cache", "--library-path", libraries]


def namespace(access: Access, created: float) -> Object:
    """The namespace of a run, which lets privileged pods in.

    Raises a Failure where the prefix makes no name of a namespace.
    """
    if not NAMESPACE_NAME.fullmatch(access.namespace):
        raise Failure(
            f"No namespace can have the name {access.namespace}: set ansible_aks_node_pod_namespace to at most "
            f"{_LONGEST_PREFIX} lower-case letters, digits and hyphens."
        )
    labels = {**access.labels, **_PRIVILEGED}
    annotations = {RUN: str(access.run), CREATED: str(int(created))}
    metadata = {"name": access.namespace, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def strangers(access: Access, namespace_object: Raw, bindings: t.Iterable[Raw], pods: t.Iterable[Raw]) -> str:
    """Why somebody else might reach privileged pods in a namespace, in a sentence; empty where it is ours alone.

    ``bindings`` are its RoleBindings, ``pods`` its pods.
    """
    name = namespace_object["metadata"]["name"]
    reasons = []
    if not is_ours(namespace_object, access.owner):
        labels = " and ".join(f"{key}={value}" for key, value in access.labels.items())
        reasons.append(f"it does not carry the labels {labels}")
    bound = sorted(str(each["metadata"]["name"]) for each in bindings)
    if bound:
        reasons.append(f"RoleBindings give rights in it ({listed(bound)})")
    foreign = sorted(str(each["metadata"]["name"]) for each in pods if not is_ours(each, access.owner))
    if foreign:
        reasons.append(f"pods of others run in it ({listed(foreign)})")
    if not reasons:
        return ""
    return (
        f"No privileged pod is used in the namespace {name}, because {' and '.join(reasons)}: remove what is named "
        "here, find out which controller or tenant writes into new namespaces, and run it again."
    )


def is_left(
    access: Access, namespace_object: Raw, jobs: t.Iterable[Raw], alive: t.Callable[[int], bool], now: float
) -> bool:
    """Tell whether an earlier run left a namespace: one of this machine that is no more, or any run a day ago.

    ``jobs`` are those of the namespace; where one has not ended, a run of another machine may go on.
    """
    metadata = namespace_object["metadata"]
    of_a_run = re.fullmatch(f"{re.escape(access.prefix)}-[0-9a-f]{{16}}", metadata["name"])
    if not of_a_run or metadata["name"] == access.namespace or not is_ours(namespace_object, access.owner):
        return False
    annotations = metadata.get("annotations") or {}
    host, _slash, pid = str(annotations.get(RUN, "")).rpartition("/")
    if host == access.run.host and pid.isdecimal():
        return not alive(int(pid))
    created = str(annotations.get(CREATED, ""))
    return created.isdecimal() and now - int(created) > _DAY_SECONDS and all(map(has_ended, jobs))


def closed(namespace_object: Raw) -> Object | None:
    """The change that lets no privileged pods into a namespace of ours any more; None where none are let in."""
    labels = namespace_object["metadata"].get("labels") or {}
    there = {key: None for key, value in _PRIVILEGED.items() if labels.get(key) == value}
    return {"metadata": {"labels": there}} if there else None


def job(access: Access, node: Raw, created: float, secret: str, gone: t.Container[str] = ()) -> Object:
    """The Job of the pod. The cluster ends it when nothing has renewed its deadline for ``idle_timeout`` seconds.

    ``created`` is the time of this machine, which is what deadlines are reckoned by. ``secret`` is a random text that
    names the place of the node's root, so that no image can have anything there.
    """
    image = access.image or image_on(access, node, gone)
    host = f"/node-{secret}"
    mounts: list[Object] = [{"name": _HOST, "mountPath": host}]
    volumes: list[Object] = [{"name": _HOST, "hostPath": {"path": "/"}}]
    if not access.image:  # hides ld.so.preload, ld.so.conf and ld.so.cache of the image from the loader
        mounts.append({"name": _ETC, "mountPath": "/etc"})
        volumes.append({"name": _ETC, "emptyDir": {}})
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
                "name": NODE_CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent" if access.image else "Never",
                "command": _sleep(host, [] if access.image else _loader(node, host)),
                "env": [] if access.image else [{"name": each, "value": value} for each, value in _OVERRIDDEN.items()],
                "workingDir": "/",
                "securityContext": {"privileged": True},
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
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
