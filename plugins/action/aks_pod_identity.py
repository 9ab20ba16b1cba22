# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in a fork of ansible-playbook where that does the same, and shows what it is waiting for."""

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _in_process


class ActionModule(_in_process.InProcess):
    waits_long = True
    prepared = _in_process.prepare(__name__, *_in_process.AZURE)
