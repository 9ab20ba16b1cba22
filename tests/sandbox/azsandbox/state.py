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


@dataclass(frozen=True)
class State:
    """The files of one sandbox. All but `world` are visible on the host; nothing of it outlives the sandbox."""

    name: str

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

    @property
    def init(self) -> Path:
        """Host process id of the sandbox's init."""
        return self.directory / "init.pid"

    @property
    def control(self) -> Path:
        """Socket on which the sandbox's supervisor takes orders; exists from when everything is up."""
        return self.directory / "control.sock"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def pki(self) -> Path:
        """ca, azure and registry with .crt and .key each; ssh_host_key."""
        return self.directory / "pki"

    @property
    def workload_identity(self) -> Path:
        """Exists in a sandbox whose nodes have the images of Workload ID."""
        return self.directory / "workload-identity"

    @property
    def home(self) -> Path:
        """Home directory of the operator, who works in `exec`."""
        return self.directory / "home"

    @property
    def temporary(self) -> Path:
        """For temporary files of the operator."""
        return self.directory / "tmp"

    @property
    def azure(self) -> Path:
        """State of the simulated Azure."""
        return self.directory / "azure"

    @property
    def hosts(self) -> Path:
        """The resolver's names that come and go with clusters."""
        return self.directory / "hosts"

    @property
    def resolver(self) -> Path:
        """Process id of the resolver, inside the sandbox."""
        return self.directory / "resolver.pid"

    @property
    def clusters(self) -> Path:
        """Per running cluster <number>.json (see cluster.announce) and <number>.kubeconfig."""
        return self.directory / "clusters"

    @property
    def principals(self) -> Path:
        """Per service principal <name>.json: client_id, secret, tenant_id, subscription_id."""
        return self.directory / "principals"

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

    @property
    def world(self) -> Path:
        """A memory file system that only processes inside see: file systems of nodes, whatever is large or executed."""
        return self.directory / "world"

    @property
    def programs(self) -> Path:
        """The built programs, at a place that every user of the sandbox may enter."""
        return self.world / "bin"

    def user(self, cluster: int) -> int:
        """User id of a cluster's control plane: nobody else's, because what a user may watch (inotify) is limited."""
        return 1_000_000 + zlib.crc32(self.name.encode()) % 100_000 * 16 + cluster

    @property
    def images(self) -> Path:
        """A containerd root directory with every image; nodes start from copies of it."""
        return self.world / "images" / "root"
