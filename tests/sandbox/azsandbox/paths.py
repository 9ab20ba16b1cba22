# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sandbox keeps things. Nothing here touches the disk except to read the build recipes.

CACHE holds what is built once per version and shared by all sandboxes and checkouts; a sandbox's own state lies in
STATE/<name>. Every path is derived when it is asked for, so that a changed environment variable counts.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
SANDBOX = HERE.parent  # tests/sandbox
CHECKOUT = SANDBOX.parent.parent
GOMODS = SANDBOX / "gomods"
STATE = Path("/run/azureops-sandbox")

if TYPE_CHECKING:
    CACHE: Path  # everything below lies in it
    PROGRAMS: Path  # <row>-<key>/ one directory per row of programs.py, and <key of every sandbox's>/
    BIN: Path  # the programs of every sandbox, by their own names
    CHARTS: Path  # the chart repository of AAD Pod Identity: index.yaml, aad-pod-identity-*.tgz
    IMAGES: Path  # layers/, and docker-archives in one directory per CA
    VENVS: Path  # <name>-<key>/ one directory per tool environment
    COLLECTIONS: Path  # holds ansible_collections/ with kubernetes.core and azure.azcollection
    LOGS: Path  # one log per built item


def digest(*parts: str | bytes) -> str:
    """A short key of the parts, in order: 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:16]


def tree_digest(root: Path) -> str:
    """The key of all files below root: names and contents."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return digest(*(part for path in files for part in (str(path.relative_to(root)), path.read_bytes())))


def state(name: str) -> Path:
    """The run-time state of one sandbox."""
    return STATE / name


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "azureops-pod-identity"


def _derive(name: str) -> Path:
    cache = _cache()
    if name == "CACHE":
        return cache
    if name == "BIN":
        from azsandbox import programs

        return cache / "programs" / programs.key() / "bin"
    if name == "CHARTS":
        from azsandbox import programs

        return programs.built("aad-pod-identity") / "charts"
    if name == "COLLECTIONS":
        from azsandbox import toolenvs

        return cache / "collections" / toolenvs.collections_key()
    folders = {"PROGRAMS": "programs", "IMAGES": "images", "VENVS": "venvs", "LOGS": "logs"}
    if name in folders:
        return cache / folders[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Path:
        return _derive(name)
