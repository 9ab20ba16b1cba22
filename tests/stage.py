# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the checkout at the path that Ansible's tools demand.

``ansible-test`` and friends want the collection at ``.../ansible_collections/azureops/pod_identity`` as a real
path (no symlink), and anything ignored by git would be checked and packed along with it.
"""

from __future__ import annotations

import fcntl
import filecmp
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azureops-pod-identity"
COLLECTION = Path("ansible_collections/azureops/pod_identity")


def stage(checkout: Path = CHECKOUT, root: Path | None = None) -> Path:
    """Bring the copy up to date, that of the checkout or one in ``root``; returns the folder with
    ``ansible_collections``.

    Only what changed is written, so that caches keyed by modification time stay warm.
    """
    root = root or CACHE / "stage" / hashlib.sha256(str(checkout).encode()).hexdigest()[:12]
    target = root / COLLECTION
    target.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _files(checkout)
        _remove_others(target, wanted)
        for relative in wanted:
            _copy(checkout / relative, target / relative)
    return root


def _files(checkout: Path) -> frozenset[Path]:
    """Tracked files and new ones that are not ignored, as far as they exist."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    return frozenset(Path(name) for name in listing.split("\0") if name and os.path.lexists(checkout / name))


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink() or target.is_symlink():
        target.unlink(missing_ok=True)
    elif target.exists() and filecmp.cmp(source, target) and os.access(source, os.X_OK) == os.access(target, os.X_OK):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _remove_others(target: Path, wanted: frozenset[Path]) -> None:
    """Comes before the copying, so that no file stands where a folder is needed, or the reverse."""
    for folder, folders, files in os.walk(target, topdown=False):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*files, *links):
            if (here / name).relative_to(target) not in wanted:
                (here / name).unlink()
        if here != target and not any(here.iterdir()):
            here.rmdir()


if __name__ == "__main__":
    print(stage())
