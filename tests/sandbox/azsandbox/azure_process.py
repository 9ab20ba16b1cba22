# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Azure as a process of the sandbox."""

from __future__ import annotations

import sys
from asyncio.subprocess import Process

from . import commands
from .state import State


async def start(state: State) -> Process:
    """Start it; return when it answers and the operator has an account."""
    raise NotImplementedError
