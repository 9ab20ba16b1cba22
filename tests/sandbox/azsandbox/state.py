# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a running sandbox keeps its files."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from . import paths


class SandboxError(Exception):
    """Something that a person must know or do; the text is one sentence."""


class _Place:
    """What of a sandbox lies at a place in its directory."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __get__(self, state: State, _owner: object = None) -> Path:
        return state.directory / self._place


@dataclass(frozen=True)
class State:
    """The files of one sandbox. All but `world` are visible on the host; nothing of it outlives the sandbox."""

    name: str

    init = _Place("init.pid")
    """Host process id of the sandbox's init."""
    control = _Place("control.sock")
    """Socket on which the sandbox's supervisor takes orders; exists from when everything is up."""
    logs = _Place("logs")
    pki = _Place("pki")
    """ca, azure and registry with .crt and .key each; ssh_host_key."""
    workload_identity = _Place("workload-identity")
    """Exists in a sandbox whose nodes have the images of Workload ID."""
    home = _Place("home")
    """Home directory of the operator, who works in `exec`."""
    temporary = _Place("tmp")
    """For temporary files of the operator."""
    azure = _Place("azure")
    """State of the simulated Azure."""
    hosts = _Place("hosts")
    """The resolver's names that come and go with clusters."""
    resolver = _Place("resolver.pid")
    """Process id of the resolver, inside the sandbox."""
    clusters = _Place("clusters")
    """Per running cluster <number>.json (see cluster.announce) and <number>.kubeconfig."""
    principals = _Place("principals")
    """Per service principal <name>.json: client_id, secret, tenant_id, subscription_id."""
    world = _Place("world")
    """A memory file system that only processes inside see: file systems of nodes, whatever is large or executed."""
    programs = _Place("world/bin")
    """The built programs, at a place that every user of the sandbox may enter."""
    images = _Place("world/images/root")
    """A containerd root directory with every image; nodes start from copies of it."""

    def __post_init__(self) -> None:
        # Part of file names, control group names and host names.
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", self.name):
            raise SandboxError(
                f"The sandbox name {self.name!r} (SANDBOX_NAME) is not usable:"
                " use at most 32 lower-case letters, digits and inner hyphens."
            )

    @property
    def directory(self) -> Path:
        return paths.state(self.name)

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the sandbox. Outside the directory, which comes and goes."""
        return paths.STATE / f"{self.name}.lock"

    def read_principal(self, name: str) -> dict[str, str]:
        """Account of a service principal; SandboxError when there is none of that name."""
        try:
            account: dict[str, str] = json.loads((self.principals / f"{name}.json").read_text())
        except FileNotFoundError:
            raise SandboxError(
                f"There is no service principal {name} in sandbox {self.name}: make it with"
                f" tests/sandbox/sandbox azure principal {name} --role ROLE --scope SCOPE."
            ) from None
        return account

    def write_principal(self, name: str, account: dict[str, str]) -> None:
        file = self.principals / f"{name}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(account))

    @property
    def subtree(self) -> str:
        """Name of the sandbox's control group."""
        return f"azureops-sandbox-{self.name}"

    def user(self, cluster: int) -> int:
        """User id of a cluster's control plane: nobody else's, because what a user may watch (inotify) is limited."""
        return 1_000_000 + zlib.crc32(self.name.encode()) % 100_000 * 16 + cluster
