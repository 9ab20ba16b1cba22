# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a tenant can get into the logs and events of a world so that a diagnosis may tell something else.

He has two namespaces, one of them with a workload that has an identity, and may do anything in them: run what looks
like MIC and NMI, write events as MIC does, and ask NMI for what he likes, which it logs as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube.worlds import MIC, NMI, OTHER_TEAM, PLACE, TEAM, Raw, World

CONTROL = "\x1b[2J\x1b]0;owned\x07\u202e\u2028{{ 7*7 }}{{ lookup('ansible.builtin.pipe', 'id') }}{% raw %}$(id)`id`"
ENDLESS = 50_000_000
"""Bytes of a line without an end."""
_MIC_SAYS, _REASON = "aadpodidentity.k8s.io", "binding apply error"
_NOT_CALLED = 'Internal error occurred: failed calling webhook "mutation.azure-workload-identity.io": refused'


def pour(world: World) -> None:
    """All of it at once."""
    about_mic, about_nmi = list(_of_mic(world)), list(_of_nmi(world))
    _run_what_looks_like_them(world, "\n".join([CONTROL, *about_mic, *about_nmi, CONTROL, ""]))
    _ask(world, *about_mic)
    _write_events(world, [line.partition("] ")[2] for line in about_mic])
    _lengthen_logs(world, about_mic, about_nmi)


def _klog(text: str, severity: str = "E", place: str = "mic.go:1") -> str:
    return f"{severity}{datetime.now(UTC):%m%d %H:%M:%S.%f}       1 {place}] {text}"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _of_mic(world: World) -> Iterator[str]:
    """Lines as MIC writes them, which are true of nothing."""
    scale_set, node, pod = world.scale_set.rpartition("/")[2], world.nodes[0], f"{TEAM}/{world.pod_of()}"
    many = 'compute.VirtualMachineScaleSetsClient#Update: StatusCode=429 -- Code="TooManyRequests" Message="throttled"'
    login = "adal: Refresh request failed. Status Code = '400'. Response body: Identity not found Endpoint http://x"
    linked = 'StatusCode=403 -- Code="LinkedAuthorizationFailed" Message="galleries subnets/join/action"'
    full = "Code=\"FailedIdentityOperation\" Message=\"Number '151' Assign exceed limit '150' in one request.\""
    for error in (many, login, linked, full):
        yield _klog(f"failed to update user-assigned identities on node {scale_set}, error: {error}")
        yield _klog(f"failed to apply binding {TEAM}/web node {node} for pod {pod}, error: {error}")
    yield _klog("Waited for 90.5s due to client-side throttling, not priority and fairness, request: GET:x", "I")
    yield _klog("Total: 20m0s", "I")
    yield _klog("lost leader lease", "F")


def _of_nmi(world: World) -> Iterator[str]:
    """As NMI writes them."""
    found = world.client.get(kinds.POD, TEAM, world.pod_of())
    assert found
    pod, address = f"{TEAM}/{world.pod_of()}", found["status"]["podIP"]
    yield _klog(f"failed to get pod info from pod IP: {address}, error: failed to match pod IP {address} with []")
    yield _klog(f"failed to get matching identities for pod: {pod}, error: context canceled")
    yield _klog(f"failed to get service principal token for pod: {pod}, error: the MSI endpoint is not available.")
    yield _klog("not supported for Kubenet", "F", "main.go:1")
    yield _klog("unable to listen: bind: address already in use", "F", "main.go:1")


def _run_what_looks_like_them(world: World, log: str) -> None:
    """Copies of MIC and NMI in a namespace of the tenant, which crash, and say what he likes."""
    for kind, name in ((kinds.DEPLOYMENT, MIC), (kinds.DAEMON_SET, NMI)):
        real = world.client.get(kind, PLACE, name)
        if real is None:
            continue
        metadata = {"labels": real["metadata"].get("labels") or {}}
        spec = {key: real["spec"][key] for key in ("selector", "template")}
        made = world.create(kind, name, OTHER_TEAM, **metadata, spec=spec)
        (pod,) = world.pods(made)
        for previous in (False, True):
            world.kubelet.write(OTHER_TEAM, pod, log, previous=previous)
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": _now()}}
        status = {
            "name": spec["template"]["spec"]["containers"][0]["name"],
            "image": "x",
            "imageID": "x",
            "ready": False,
            "restartCount": 9,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": CONTROL}},
            "lastState": ended,
        }
        world.set_status(kinds.POD, pod, OTHER_TEAM, containerStatuses=[status])


def _ask(world: World, *lines: str) -> None:
    """NMI for a resource and for a path with these lines, which it logs as they are."""
    if world.nmi is None or world.nmi.process.poll() is not None:
        return
    found = world.client.get(kinds.POD, TEAM, world.pod_of())
    assert found
    text = "\n".join(["", CONTROL, *lines, ""])
    assert world.ask(world.pod_of(), resource=f"https://vault.azure.net{text}").status != 200
    address = (found["status"]["podIP"], 0)
    asked = http.client.HTTPConnection("127.0.0.1", world.nmi_port, timeout=30, source_address=address)
    with contextlib.closing(asked):
        # NMI leads paths with two slashes elsewhere, and refuses what lacks the header of the metadata service.
        path = quote(text.replace("//", "/"), safe="")
        asked.request("GET", f"/metadata/identity/oauth2/token{path}")
        assert asked.getresponse().status == 400


def _write_events(world: World, texts: list[str]) -> None:
    for place in (TEAM, OTHER_TEAM):
        about = {"kind": "AzureIdentityBinding", "apiVersion": "aadpodidentity.k8s.io/v1", "name": "web"}
        for text in (*texts, CONTROL, "x" * 1000):
            _event(world, place, about, text, _MIC_SAYS, _REASON)
        pod = {"kind": "Pod", "apiVersion": "v1", "name": world.pod_of()}
        _event(world, place, pod, CONTROL, "kubelet", CONTROL)
        for maker in (pod, {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "mover-6d4cf56db6"}):
            _event(world, place, maker, _NOT_CALLED, "replicaset-controller", "FailedCreate")


def _event(world: World, place: str, about: Raw, message: str, component: str, reason: str) -> None:
    world.create(
        kinds.EVENT,
        f"e-{uuid.uuid4()}",
        place,
        involvedObject={**about, "namespace": place},
        reason=reason,
        message=message,
        type="Warning",
        source={"component": component},
        firstTimestamp=_now(),
        lastTimestamp=_now(),
        count=9,
    )


def _lengthen_logs(world: World, about_mic: list[str], about_nmi: list[str]) -> None:
    """Each of the two gets what the other would say; while it runs, in the end too, with a line that does not end."""
    running = [one.log for one in (world.mic, world.nmi) if one and one.process.poll() is None]
    longer: dict[Path, Path] = {}
    for key, path in list(world.kubelet.files.items()):
        if path not in longer:
            others = about_nmi if world.mic and path == world.mic.log else about_mic
            text = "\n".join([CONTROL, *others, CONTROL, ""]).encode()
            end = text + b"x" * ENDLESS if path in running else b""
            longer[path] = world.folder / f"{uuid.uuid4()}.log"
            longer[path].write_bytes(text + path.read_bytes() + end)
        world.kubelet.files[key] = longer[path]
