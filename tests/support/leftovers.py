# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook leftovers: its name, and what a run reports."""

from __future__ import annotations

import json
from typing import Any

PLAYBOOK = "azureops.pod_identity.leftovers"


def outcomes(output: str) -> dict[str, str]:
    """By identity, of what the run leaves to whoever started it."""
    return {each["identity"].lower(): each["outcome"] for each in told(output)["identities"]}


def told(output: str) -> dict[str, Any]:
    line = next(line for line in output.splitlines() if "RUN: {" in line)
    stats = json.loads(line.partition("RUN: ")[2])
    return dict(stats["pod_identity_leftovers"]["localhost"])
