# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A node through a privileged pod on it: the pod's life, and commands with their streams."""

from __future__ import annotations

import json
import os
import secrets
import select
import time
import typing as t

from .._domain.errors import Failure
from .._domain.kubernetes.jobs import has_ended
from .._domain.names import MANAGED_BY, MANAGER, NODE_CONTAINER, OWNER, is_ours
from .._domain.nodes import node_access
from . import job_pods
from .client import Client
from .errors import ApiFailure
from .kinds import JOB, NAMESPACE, NODE, POD, ROLE_BINDING, Object
from .wait import wait_for

_PAUSE = 0.5
_CHUNK = 32768
_LEFTOVERS = 50  # namespaces that are looked at in one run
_LOOK_SECONDS = 30.0
_TEXT, _BINARY, _CLOSE = 1, 2, 8


class NodePod:
    """One way to one node. Every process of the same run finds the same pod."""

    def __init__(
        self, client: Client, access: node_access.Access, start_timeout: float, tell: t.Callable[[str], t.Any]
    ) -> None:
        """``tell`` takes sentences about what earlier runs left."""
        self._client = client
        self._tell = tell
        self._access = access
        self._labels = f"{MANAGED_BY}={MANAGER},{OWNER}={access.owner}"
        self._start_timeout = start_timeout
        self._pod: Object | None = None

    def run(self, arguments: t.Sequence[str], stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Run a command in the node's root: status, standard output, errors.

        Standard input cannot be closed from here; who passes ``stdin`` lets the command read exactly that many bytes.
        """
        pod = self._open()
        self._look_again()
        name = pod["metadata"]["name"]
        command = node_access.enter(pod, arguments)
        stream = self._client.start(self._access.namespace, name, NODE_CONTAINER, command, stdin=stdin is not None)
        kept: list[bytes] = []
        errors: list[bytes] = []
        ended: list[bytes] = []
        try:
            self._pump(stream, stdin or b"", {1: kept.append, 2: errors.append, 3: ended.append})
            status = _status(b"".join(ended))
        except Failure:
            raise
        except Exception as error:  # of the socket, of TLS, of the websocket library
            raise Failure(f"The connection to {self._what(name)} broke: {_short(error)}.") from error
        finally:
            stream.close()
        if status is None:
            self._require_alive(name)
            raise Failure(f"The connection to {self._what(name)} ended before the command did: is its node up?")
        return status, b"".join(kept), b"".join(errors)

    def remove(self) -> None:
        """Take the pod away, and the namespace of the run where nothing else is in it."""
        namespace = self._access.namespace
        self._client.delete(JOB, namespace, self._access.name)
        self._pod = None
        found = self._namespace()
        if found is None or not is_ours(found, self._access.owner):
            return
        if any(not _is_ending(raw) for raw in self._client.list_all(JOB, namespace)):
            return
        strangers = self._strangers(found)
        if strangers:
            self._close(found)
            self._tell(strangers)
            return
        self._remove_namespace(found)

    def _remove_namespace(self, found: Object) -> None:
        metadata = found["metadata"]
        try:
            self._client.delete(NAMESPACE, None, metadata["name"], preconditions={"uid": metadata["uid"]})
        except ApiFailure as failure:
            if not (failure.conflict or failure.namespace_missing):  # another process of this run was faster
                raise

    # the life of the pod

    def _open(self) -> Object:
        """The running pod, made where there is none, and its deadline put off."""
        if self._pod is None:
            pod = job_pods.of_job(self._client, self._access.namespace, self._access.name)
            self._pod = pod if pod and _serves(pod) and self._renew(pod) else self._make()
        return self._pod

    def _renew(self, pod: Object | None) -> bool:
        """Put off the deadline; False where the Job is gone."""
        change = node_access.renewed(self._access, pod or {}, time.time())
        try:
            self._client.merge(JOB, self._access.namespace, self._access.name, change)
        except ApiFailure as failure:
            if failure.object_missing:
                return False
            raise
        return True

    def _make(self) -> Object:
        node = self._node()
        obstacle = node_access.obstacle(node)
        if obstacle:
            raise Failure(obstacle)
        self._require_namespace()
        gone: list[str] = []

        def started() -> Object | None:
            pod = job_pods.of_job(self._client, self._access.namespace, self._access.name)
            if _serves(pod):
                return pod
            if pod is None and self._create(node, gone):
                return None
            if pod is not None and _is_ending(pod):
                return None
            if pod is not None and self._has_other_image(pod, node, gone):
                self._client.delete(JOB, self._access.namespace, self._access.name)
                return None
            trouble = job_pods.trouble(self._client, self._access.namespace, self._access.name, pod)
            if trouble:
                tried = f"; gone are {', '.join(gone)}: name an image with ansible_aks_node_pod_image" if gone else ""
                raise Failure(f"The pod through which {self._access.target} is reached cannot start: {trouble}{tried}.")
            return None

        try:
            found = wait_for(
                started,
                f"the pod on {self._access.target} has not started yet",
                timeout=self._start_timeout,
                pause=_PAUSE,
            )
        except Failure:
            self._client.delete(JOB, self._access.namespace, self._access.name)
            raise
        if found is not None:
            return found
        pod = job_pods.of_job(self._client, self._access.namespace, self._access.name)
        self._client.delete(JOB, self._access.namespace, self._access.name)
        obstacle = node_access.obstacle(self._node())
        raise Failure(
            obstacle
            or f"The pod through which {self._access.target} is reached did not start within {self._start_timeout:.0f} "
            f"seconds{job_pods.why(pod)}: does the kubelet of the node run? Raise start_timeout, or use "
            "azureops.pod_identity.vmss_run_command or ssh."
        )

    def _has_other_image(self, pod: Object, node: Object, gone: list[str]) -> bool:
        """Whether another image can be tried, because that of the pod is gone from the node."""
        image = "" if self._access.image else node_access.gone_image(pod)
        if not image:
            return False
        if image not in gone:
            gone.append(image)
        if len(gone) >= node_access.IMAGES:
            return False
        try:
            node_access.image_on(self._access, node, gone)
        except Failure:
            return False
        return True

    def _node(self) -> Object:
        target = self._access.target
        node = self._client.get(NODE, None, target) if node_access.is_name(target) else None
        if node is None:
            node = node_access.at_address(target, self._client.list_all(NODE))
        if node is None:
            raise Failure(f"The cluster has no node with the name or the address {target}.")
        return node

    def _create(self, node: Object, gone: t.Container[str]) -> bool:
        """Whether something was done; False where the Job is there and its pod is only still to come."""
        namespace, name = self._access.namespace, self._access.name
        if not self._require_namespace():
            return True
        secret = secrets.token_hex(8)
        try:
            self._client.create(JOB, namespace, node_access.job(self._access, node, time.time(), secret, gone))
            return True
        except ApiFailure as failure:
            if failure.namespace_missing:
                return True
            if failure.forbidden and "being terminated" in str(failure.error.get("message")):
                return True
            if failure.reason != "AlreadyExists":
                raise
        job = self._client.get(JOB, namespace, name)
        if job is not None and has_ended(job):
            self._client.delete(JOB, namespace, name, preconditions={"uid": job["metadata"]["uid"]})
            return True
        return False

    def _require_namespace(self) -> bool:
        """Make the namespace, or see that it is ours alone, else a Failure; False while it comes or goes."""
        found = self._namespace()
        if found is None:
            body = node_access.namespace(self._access, time.time())
            self._remove_leftovers()
            try:
                found = self._client.create(NAMESPACE, None, body)
            except ApiFailure as failure:
                if failure.reason != "AlreadyExists":
                    raise
                return False  # another process of this run was faster
        if _is_ending(found):
            return False
        self._require_alone(found)
        return True

    def _look_again(self) -> None:
        """Raise a Failure where others have got rights in the namespace since it was made."""
        found = self._namespace()
        if found is not None:
            self._require_alone(found)

    def _require_alone(self, namespace: Object) -> None:
        """Raise a Failure where others may reach privileged pods; the pods of this run go first."""
        strangers = self._strangers(namespace)
        if strangers:
            if is_ours(namespace, self._access.owner):
                for job in self._client.list_all(JOB, self._access.namespace, labels=self._labels):
                    self._client.delete(JOB, self._access.namespace, job["metadata"]["name"])
                self._close(namespace)
            raise Failure(strangers)

    def _namespace(self) -> Object | None:
        try:
            return self._client.get(NAMESPACE, None, self._access.namespace)
        except ApiFailure as failure:
            if failure.namespace_missing:
                return None
            raise

    def _strangers(self, namespace: Object) -> str:
        name = namespace["metadata"]["name"]
        bindings, pods = self._client.list_all(ROLE_BINDING, name), self._client.list_all(POD, name)
        return node_access.strangers(self._access, namespace, bindings, pods)

    def _close(self, namespace: Object) -> None:
        """Let no privileged pods in any more, whoever reaches the namespace."""
        change = node_access.closed(namespace)
        if change:
            name = namespace["metadata"]["name"]
            self._client.merge(NAMESPACE, None, name, change)
            self._tell(f"The namespace {name} let privileged pods in; it does not any more.")

    def _remove_leftovers(self) -> None:
        """Remove the namespaces of earlier runs, with their pods; where others got rights, close them and tell it."""
        try:
            namespaces = self._client.list_all(NAMESPACE, labels=self._labels)[:_LEFTOVERS]
        except ApiFailure as failure:
            if not failure.forbidden:
                raise
            self._tell(f"What earlier runs left for access to nodes was not looked for: {failure.sentence}")
            return
        for found in namespaces:
            name = found["metadata"]["name"]
            if _is_ending(found):
                continue
            jobs = self._client.list_all(JOB, name)
            if not node_access.is_left(self._access, found, jobs, _alive, time.time()):
                continue
            if self._strangers(found):
                self._close(found)
            else:
                self._remove_namespace(found)
                self._tell(f"The namespace {name}, which an earlier run left, was removed with its pods.")

    # the streams

    def _pump(self, stream: t.Any, stdin: bytes, receivers: t.Mapping[int, t.Callable[[bytes], t.Any]]) -> None:
        """Carry everything in both directions until the command has ended."""
        from websocket import WebSocketTimeoutException

        sent, looked = 0, time.monotonic()
        pause = min(_LOOK_SECONDS, self._access.idle_timeout / 3)
        stream.sock.settimeout(pause)
        while True:
            if sent < len(stdin):
                try:
                    stream.write_stdin(stdin[sent : sent + _CHUNK])
                    sent += _CHUNK
                except OSError:  # the command ended without reading all of it; its status is still to come
                    sent = len(stdin)
            while _readable(stream, 0 if sent < len(stdin) else pause):
                try:
                    opcode, frame = stream.sock.recv_data_frame(True)
                except WebSocketTimeoutException:  # what could be read was of TLS itself, or the part of a frame
                    break
                if opcode == _CLOSE:
                    return
                if opcode in (_TEXT, _BINARY) and len(frame.data) > 1 and frame.data[0] in receivers:
                    receivers[frame.data[0]](frame.data[1:])
                if sent < len(stdin):
                    break
            if time.monotonic() - looked >= pause:
                self._require_alive((self._pod or {})["metadata"]["name"])
                looked = time.monotonic()

    def _require_alive(self, name: str) -> None:
        """Put the deadline off while a command runs; a Failure where pod, node or the run itself are gone meanwhile."""
        if not _alive(self._access.run.pid):
            raise Failure("The run of Ansible that this command belongs to is gone.")
        pod = job_pods.of_job(self._client, self._access.namespace, self._access.name)
        if not _serves(pod) or not self._renew(pod):
            raise Failure(f"{self._what(name)} is gone{job_pods.why(pod)}; the command may have been cut off.")
        self._look_again()
        obstacle = node_access.obstacle(self._node())
        if obstacle:
            raise Failure(obstacle)

    def _what(self, pod: str) -> str:
        return f"pod {self._access.namespace}/{pod} on {self._access.target}"


def _readable(stream: t.Any, timeout: float) -> bool:
    """Whether there is something to read. TLS may have it already, where the socket does not show it."""
    tls = stream.sock.sock
    if hasattr(tls, "pending") and tls.pending():
        return True
    poll = select.poll()
    poll.register(tls, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def _serves(pod: Object | None) -> bool:
    return pod is not None and "running" in job_pods.state(pod) and not _is_ending(pod)


def _is_ending(raw: Object) -> bool:
    return bool(raw["metadata"].get("deletionTimestamp"))


def _status(told: bytes) -> int | None:
    """The exit status in what the API server says at the end; None where it does not say one."""
    try:
        answer = json.loads(told)
        if answer["status"] == "Success":
            return 0
        causes = {cause["reason"]: cause["message"] for cause in answer["details"]["causes"]}
        return int(causes["ExitCode"])
    except (ValueError, KeyError, TypeError):
        return None


def _alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}") if os.path.isdir("/proc/self") else True


def _short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:300].rstrip(".")
