# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a sandbox: bringing it up, taking it down, giving it orders."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from . import azure_process, cgroups, images, linux, network, paths, pki
from .state import SandboxError, State

_NAMESPACES = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWCGROUP
)


@contextlib.contextmanager
def locked(state: State) -> Iterator[None]:
    """Keep everybody else from starting or stopping this sandbox; SandboxError when somebody is at it."""
    paths.STATE.mkdir(mode=0o755, exist_ok=True)
    with state.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(
                f"Somebody else is starting or stopping sandbox {state.name} right now:"
                " wait, or choose another SANDBOX_NAME."
            ) from None
        if not state.lock.exists() or state.lock.stat().st_ino != os.fstat(lock.fileno()).st_ino:
            raise SandboxError(f"Sandbox {state.name} was ended just now: try again.")
        yield


def init_of(state: State) -> int | None:
    """Process id of the sandbox's init when it is alive."""
    with contextlib.suppress(OSError, ValueError):
        process = int(state.init.read_text())
        # A process id may be somebody else's by now, even after a reboot of the machine.
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if b"azsandbox" in arguments and state.name.encode() in arguments:
            return process
    return None


def running(state: State) -> int:
    """Process id of the sandbox's init; SandboxError when the sandbox is not up."""
    process = init_of(state)
    if process is None or not state.control.exists():
        raise SandboxError(f"Sandbox {state.name} is not up: run tests/sandbox/sandbox up.")
    return process


def up(state: State, progress: Callable[[str], None], *, workload_identity: bool) -> bool:
    """Bring the sandbox up from nothing; programs must be built. On failure nothing of it remains but its logs.

    A sandbox that is up stays as it is, and the answer is False.
    """
    with locked(state):
        if init_of(state) is not None and state.control.exists():
            if workload_identity and not state.workload_identity.exists():
                raise SandboxError(
                    f"Sandbox {state.name} is up without workload-identity: run tests/sandbox/sandbox down first."
                )
            return False
        _clear(state)
        try:
            _lay_down(state)
            _pack_images(state, workload_identity)
            progress("container images are packed")
            _launch(state, progress)
        except BaseException:
            _stop(state)
            raise
    return True


def down(state: State) -> bool:
    """End the sandbox and remove every trace, whatever is left of it; False where there was nothing."""
    with locked(state):
        was = state.directory.exists()
        _clear(state)
        state.lock.unlink()
        with contextlib.suppress(OSError):  # other sandboxes keep their states there
            paths.STATE.rmdir()
    return was


def order(state: State, word: str) -> str:
    """Have the supervisor do something; its answer. SandboxError when it could not."""
    running(state)
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(state.control))
            connection.sendall(f"{word}\n".encode())
            return connection.makefile().read().strip()
        except OSError as error:
            raise SandboxError(f"The supervisor of sandbox {state.name} does not answer: {error}.") from error


def _stop(state: State) -> None:
    process = init_of(state)
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    try:
        cgroups.remove(state.subtree, timeout=30.0)
    except TimeoutError as error:
        raise SandboxError(f"Sandbox {state.name} would not end: {error}.") from error


def _clear(state: State) -> None:
    _stop(state)
    if state.directory.exists():
        shutil.rmtree(state.directory)


def _lay_down(state: State) -> None:
    """Make the directories, keys and certificates."""
    state.directory.mkdir(mode=0o755)
    for directory in (state.logs, state.world):
        directory.mkdir()
    for directory in (state.azure, state.clusters, state.principals):
        directory.mkdir(mode=0o700)
    for directory in (state.pki, state.home, state.home / ".ssh", state.temporary):
        directory.mkdir(mode=0o700)
    azure_process.new_operator(state)
    ca = pki.authority(f"Azure sandbox {state.name}")
    names = [*network.AZURE_NAMES, "*.oic.prod-aks.azure.com"]
    pairs = {
        state.pki / "ca": ca,
        state.pki / "azure": pki.issue(ca, "management.azure.com", names=names),
        state.pki / "registry": pki.issue(ca, network.REGISTRY_NAME, names=[network.REGISTRY_NAME]),
    }
    for path, pair in pairs.items():
        path.with_suffix(".crt").write_bytes(pair.certificate)
        _write_secret(path.with_suffix(".key"), pair.key)
    host_key, operator_key = pki.ssh_key(), pki.ssh_key()
    _write_secret(state.pki / "ssh_host_key", host_key.key)
    _write_secret(state.home / ".ssh/id_ed25519", operator_key.key)
    (state.home / ".ssh/id_ed25519.pub").write_bytes(operator_key.certificate)
    (state.home / ".ssh/known_hosts").write_bytes(b"10.* " + host_key.certificate)


def _write_secret(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _pack_images(state: State, workload_identity: bool) -> None:
    wanted = images.images()
    if workload_identity:
        wanted += images.workload_identity_images()
        state.workload_identity.touch()
    archives = images.build((state.pki / "ca.crt").read_bytes(), wanted)
    (state.directory / "archives").symlink_to(archives)


def _launch(state: State, progress: Callable[[str], None]) -> None:
    """Start init in namespaces of its own, and return when it reports that everything is up."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _become_init(state, writing)
        except OSError as error:
            os.write(writing, f"error The namespaces of the sandbox could not be made: {error}.\n".encode())
        finally:
            os._exit(1)
    os.close(writing)
    os.waitpid(child, 0)
    last = ""
    with os.fdopen(reading) as report:
        for line in report:
            last, _, text = line.strip().partition(" ")
            if last == "progress":
                progress(text)
            elif last == "error":
                raise SandboxError(f"Sandbox {state.name} did not start: {text}")
    if last != "ready":
        raise SandboxError(f"Sandbox {state.name} did not start; its logs are in {state.logs}.")


def _become_init(state: State, report: int) -> None:
    os.setsid()
    cgroups.create(state.subtree)
    cgroups.join(state.subtree)
    linux.unshare(_NAMESPACES)
    init = os.fork()
    if init:
        state.init.write_text(str(init))
        os._exit(0)
    log = os.open(state.logs / "init.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir("/")
    os.set_inheritable(report, True)
    arguments = [sys.executable, "-m", "azsandbox", "init", "--name", state.name, "--report", str(report)]
    os.execv(sys.executable, arguments)
