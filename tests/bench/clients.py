# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at a cluster, by our module and by that of azure.azcollection, each in the environment that it asks for.

A module ends where it looks up the name of its first host, so that nothing but our and the peer's own work counts, and
no network is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from azsandbox import paths

from .plays import CHECKOUT

ENDED = 77
_SITE = f"""
import os, socket, sys
# The process of a module, or the command whose fork is one.
if any("AnsiballZ" in each or "_ANSIBLE_ARGS" in each or each.endswith("/ansible") for each in sys.orig_argv):
    look_up = socket.getaddrinfo
    # ansible-core asks for a number when it is imported.
    socket.getaddrinfo = lambda host, *more, **options: (
        look_up(host, *more, **options) if str(host)[:1].isdigit() else os._exit({ENDED})
    )
"""
# As the wrapper of a module does it, which brings nothing else along.
_RUN = """
import importlib, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.argv[2].encode(), "legacy"
importlib.import_module(sys.argv[1]).main()
"""
_LOOK = {"resource_group": "rg", "name": "demo"}


@dataclass(frozen=True)
class Client:
    """A module, and the environment of the sandbox that it runs in."""

    collection: str
    module: str
    tools: str

    @property
    def programs(self) -> Path:
        made = sorted(paths.VENVS.glob(f"{self.tools}-[0-9a-f]*/complete"), key=lambda path: path.stat().st_mtime)
        if not made:
            raise RuntimeError(f"Run tests/sandbox/sandbox build {self.tools}: this environment is missing.")
        return made[-1].parent / "bin"


OURS = Client("azureops.pod_identity", "aks_cluster_info", "ansible")
THEIRS = Client("azure.azcollection", "azure_rm_aks_info", "azcollection")


def installed(folder: Path, requirements: Sequence[str]) -> dict[str, float]:
    """How many packages pip puts into the empty folder, and their size in MB."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder)]
    subprocess.run([*pip, *requirements], check=True, stderr=subprocess.DEVNULL)
    size = sum(path.lstat().st_size for path in folder.rglob("*"))
    return {"packages": len(list(folder.glob("*.dist-info"))), "size": size / 1e6}


class Starts:
    """Starts of modules in an empty home."""

    def __init__(self, folder: Path) -> None:
        place = folder / "collections/ansible_collections/azureops"
        place.mkdir(parents=True)
        (place / "pod_identity").symlink_to(CHECKOUT)
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_SITE)
        collections = f"{folder / 'collections'}:{paths.COLLECTIONS}"
        nobody = "00000000-0000-0000-0000-000000000000"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{site}:{collections}",
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
            "ANSIBLE_COLLECTIONS_PATH": collections,
            "AZURE_SUBSCRIPTION_ID": nobody,
            "AZURE_TENANT": nobody,
            "AZURE_CLIENT_ID": nobody,
            "AZURE_SECRET": "none",
        }

    def module(self, client: Client) -> float:
        """Seconds of the module's process up to its first request."""
        name = f"ansible_collections.{client.collection}.plugins.modules.{client.module}"
        seconds, done = self._run(client, "python", "-c", _RUN, name, json.dumps({"ANSIBLE_MODULE_ARGS": _LOOK}))
        if done.returncode != ENDED:
            raise RuntimeError(f"{client.module} made no request:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
        return seconds

    def task(self, client: Client) -> float:
        """Seconds of an ``ansible`` command, whose module ends at its first request."""
        options = " ".join(f"{name}={value}" for name, value in _LOOK.items())
        seconds, done = self._run(
            client, "ansible", "localhost", "-m", f"{client.collection}.{client.module}", "-a", options
        )
        if f'"rc": {ENDED}' not in done.stdout:
            raise RuntimeError(f"{client.module} made no request:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
        return seconds

    def _run(self, client: Client, program: str, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        command = [str(client.programs / program), *arguments]
        began = time.monotonic()
        done = subprocess.run(
            command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return time.monotonic() - began, done
