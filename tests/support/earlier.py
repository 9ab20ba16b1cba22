# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as an earlier commit had it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

BEFORE = "e833f90"
"""The commit beside whose site.yml today's is measured: before tasks ran in process."""


def earlier(folder: Path) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH with the collection as it was at BEFORE."""
    place = folder / "ansible_collections/azureops/pod_identity"
    place.mkdir(parents=True)
    packed = subprocess.check_output(["git", "-C", str(CHECKOUT), "archive", BEFORE, "--", *_SHIPPED])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(place, filter="data")
    return folder


_SHIPPED = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
