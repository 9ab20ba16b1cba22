# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a workstation that hold secrets."""

from __future__ import annotations

from pathlib import Path

from operators import Operator


def private_files(operator: Operator) -> list[str]:
    """What runs have left of what only they may read."""
    places = operator.sandbox.exec("sh", "-c", "echo $TMPDIR; echo ~/.ansible").split()
    left = [path for place in places for path in Path(place).rglob("*")]
    return [str(path) for path in left if path.name.startswith("azureops-pod-identity-") or _is_secret(path)]


def _is_secret(path: Path) -> bool:
    content = path.read_bytes() if path.is_file() else b""
    return b"client-key-data" in content or b"PRIVATE KEY" in content
