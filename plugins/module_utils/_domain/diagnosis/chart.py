# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Commands that change a release of the chart aad-pod-identity.

``--reset-then-reuse-values`` (helm 3.14) keeps what was given to the release and takes the defaults of the new chart;
with ``--reuse-values`` the defaults of the old one stay, and a newer chart lacks those of its own.
"""

from __future__ import annotations

import re

from ..commands import shell
from ..installation import nmi
from ..matching.matching import Raw

REPOSITORY = "https://raw.githubusercontent.com/Azure/aad-pod-identity/master/charts"
LATEST, LATEST_IMAGES = "4.1.18", "mic.tag=v1.8.17,nmi.tag=v1.8.17"
_NAME = "aad-pod-identity"
_LABEL = re.compile(rf"{_NAME}-(\d{{1,5}}\.\d{{1,5}}\.\d{{1,5}})", re.ASCII)


def set_value(workload: Raw, value: str) -> str:
    """Of the version that is installed, empty where that is not known."""
    found = _LABEL.fullmatch(str((workload["metadata"].get("labels") or {}).get("helm.sh/chart", "")))
    return _upgrade(workload, found[1], value) if found else ""


def apply_again(workload: Raw) -> str:
    """Bring the objects of the release back to what its chart and values say; empty where its version is not known."""
    return set_value(workload, "")


def upgrade(workload: Raw) -> str:
    """To the last version with its images, also where the release was given others."""
    return _upgrade(workload, LATEST, LATEST_IMAGES)


def apply_definitions() -> str:
    show = shell("helm", "show", "crds", _NAME, "--repo", REPOSITORY, "--version", LATEST)
    return f"{show} | {shell('kubectl', 'apply', '--filename', '-')}"


def _upgrade(workload: Raw, version: str, values: str) -> str:
    """Empty where helm alone does not keep it: whoever else does would undo the change."""
    manager = nmi.managed_by(workload)
    if manager.kind != "helm":
        return ""
    what = (manager.release_name, _NAME, "--repo", REPOSITORY, "--version", version)
    where = ("--namespace", manager.release_namespace or str(workload["metadata"].get("namespace", "")))
    return shell("helm", "upgrade", *what, *where, "--reset-then-reuse-values", *(("--set", values) if values else ()))
