# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`exec`: a command as on an operator's workstation, or anywhere else inside the sandbox.

Four processes stand in a row: the caller's, which stays in the host's PID namespace (1), its child, the first one in
the sandbox's (2), the init of a PID namespace of the command's own (3), and the command (4). Each dies with the one
before it, and the end of (3) ends whatever the command has started. Signals sent to (1) are passed down the row; those
of the terminal reach all of them by themselves, and only the command minds.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import cgroups, linux, network, paths, programs, toolenvs
from .state import State

_PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_SENT_BY_KERNEL = 0x80  # si_code SI_KERNEL


def run(state: State, init: int, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command on the workstation and return its exit status (128 + n when signal n ended it)."""
    directory = Path.cwd()
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
    _enter(init)
    caller = os.getpid()
    first = os.fork()
    if first == 0:
        try:
            linux.die_with_parent(caller)
            os._exit(_inside(state, directory, command, environment))
        except OSError as error:
            os.write(2, f"sandbox: the workstation of sandbox {state.name} could not be entered: {error}.\n".encode())
        finally:
            os._exit(126)
    return _attend(first)


def _inside(state: State, directory: Path, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Process (2): goes where the workstation is and starts (3)."""
    cgroups.create("exec")
    cgroups.join("exec")
    with (network.NETNS / "workstation").open() as namespace:
        linux.setns(namespace.fileno(), linux.CLONE_NEWNET)
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        linux.die_with_parent(parent)
        os._exit(_as_init(state, directory, command, environment))
    return _attend(child)


def environment(state: State, principal: str, tools: Path) -> dict[str, str]:
    """The command's environment: the caller's, less what belongs to the caller's machine and accounts.

    `tools` is a directory for PATH before the caller's own.
    """
    account = state.read_principal(principal)
    own = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
    directory = state.world / "workstation"
    bundle = str(state.pki / "ca.crt")
    collections = (directory / "collections", paths.COLLECTIONS)
    return own | {
        "HOME": str(state.home),
        "TMPDIR": str(state.temporary),
        "LANG": "C.UTF-8",
        "PATH": ":".join([str(directory / "bin"), str(tools), str(paths.BIN), os.environ["PATH"]]),
        "AZURE_SUBSCRIPTION_ID": account["subscription_id"],
        "AZURE_TENANT": account["tenant_id"],
        "AZURE_CLIENT_ID": account["client_id"],
        "AZURE_SECRET": account["secret"],
        "AZURE_CONFIG_DIR": str(state.home / ".azure-cli" / account["client_id"]),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, collections)),
        "SANDBOX_NAME": state.name,
        "SANDBOX_STATE": str(state.directory),
        "SANDBOX_BIN": str(paths.BIN),
        # Built or not.
        "SANDBOX_AZ": str(toolenvs.AZ.path / "bin/az"),
        "SANDBOX_WORKLOAD_IDENTITY": str(programs.built("workload-identity")),
    }


# Credentials, trust and proxies of the machine outside; the launcher's own variables.
_FOREIGN = re.compile(
    r"(AZURE|ARM|K8S_AUTH)_.*|KUBECONFIG|HELM_.*|.*_CA_BUNDLE|.*_CA_CERTS(_FILE)?|.*_CERT|SSL_CERT_.*|GIT_SSL_.*"
    r"|.*_SSL_ROOTS_FILE_PATH|.*_CA_CERTS|(http|https|no|all)_proxy|(HTTP|HTTPS|NO|ALL)_PROXY|PYTHONPATH"
    r"|VIRTUAL_ENV|SSH_AUTH_SOCK|TMPDIR|TEMP|TMP|XDG_.*"
)


def _enter(init: int) -> None:
    """Enter the sandbox's namespaces; its PID namespace is entered by children only."""
    kinds = {
        "net": linux.CLONE_NEWNET,
        "uts": linux.CLONE_NEWUTS,
        "ipc": linux.CLONE_NEWIPC,
        "pid": linux.CLONE_NEWPID,
        "mnt": linux.CLONE_NEWNS,
    }
    handles = {kind: os.open(f"/proc/{init}/ns/{kind}", os.O_RDONLY) for kind in kinds}
    for kind, handle in handles.items():
        linux.setns(handle, kinds[kind])
        os.close(handle)


def _attend(child: int) -> int:
    """Pass signals on to the child and reap until it ends; its exit status."""
    while True:
        received = signal.sigwaitinfo((*_PASSED_ON, signal.SIGCHLD))
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != _SENT_BY_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, received.si_signo)
            continue
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                ended = 0
            if ended == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if ended == 0:
                break


def _as_init(state: State, directory: Path, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Process (3)."""
    _dress(state)
    child = os.fork()
    if child:
        return _attend(child)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.chdir(directory)
        os.execvpe(command[0], list(command), dict(environment))
    except OSError as error:
        os.write(2, f"sandbox: {command[0]} could not be run in {directory}: {error.strerror}.\n".encode())
    os._exit(127)


def _dress(state: State) -> None:
    """Make this mount namespace an operator's workstation."""
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("proc", Path("/proc"), "proc")
    etc = state.world / "workstation"
    linux.bind(etc / "hosts", Path("/etc/hosts").resolve(), read_only=True)
    # ssh goes by this file, not by HOME.
    linux.bind(etc / "passwd", Path("/etc/passwd"), read_only=True)
    trusted = Path("/etc/ssl/certs/ca-certificates.crt")
    if trusted.exists():
        linux.bind(state.pki / "ca.crt", trusted.resolve(), read_only=True)
    linux.bind(paths.CHECKOUT, etc / "collections/ansible_collections/azureops/pod_identity")


def furnish(state: State) -> None:
    """Write the files that `_dress` shows, and have names looked up in the sandbox; once per sandbox, inside it."""
    etc = state.world / "workstation"
    (etc / "collections/ansible_collections/azureops/pod_identity").mkdir(parents=True)
    (etc / "resolv.conf").write_text(f"nameserver {network.DNS_ADDRESS}\n")
    resolver = Path("/etc/resolv.conf").resolve()
    if resolver.is_relative_to("/run"):  # where the sandbox has nothing yet
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.touch()
    linux.bind(etc / "resolv.conf", resolver, read_only=True)
    (etc / "hosts").write_text("127.0.0.1 localhost workstation\n")
    accounts = []
    for line in Path("/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == "root":
            fields[5] = str(state.home)
        accounts.append(":".join(fields) + "\n")
    (etc / "passwd").write_text("".join(accounts))
    (etc / "bin").mkdir()
    for wrapper in (Path(__file__).parent / "wrappers").iterdir():
        target = etc / "bin" / wrapper.name
        target.write_bytes(wrapper.read_bytes())
        target.chmod(0o755)
