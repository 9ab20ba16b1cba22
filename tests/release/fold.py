# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fold the fragments of the changelog into the release that galaxy.yml names.

    python -m tests.release.fold

The tag of a release stands on a commit in which this is done; .github/workflows/release.yml refuses it else. A release
that is in the changelog already takes them up all the same, until it is tagged.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..stage import CHECKOUT, COLLECTION, stage

WRITTEN = ("CHANGELOG.rst", "changelogs/changelog.yaml")


def fold(collection: Path) -> None:
    """Do it in a copy at .../ansible_collections/azureops/pod_identity, where antsibull-changelog finds modules."""
    subprocess.run(["antsibull-changelog", "release", "--update-existing"], cwd=collection, check=True)


if __name__ == "__main__":
    copy = stage() / COLLECTION
    fold(copy)
    for name in WRITTEN:
        shutil.copyfile(copy / name, CHECKOUT / name)
    for fragment in (CHECKOUT / "changelogs/fragments").glob("*.yml"):
        if not (copy / fragment.relative_to(CHECKOUT)).exists():
            fragment.unlink()
