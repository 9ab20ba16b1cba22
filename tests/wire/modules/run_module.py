# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one module as a process of its own: ``python run_module.py NAME``, its arguments as JSON on standard input."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path

from ansible.module_utils.testing import patch_module_args

if __name__ == "__main__":
    # Gives the checkout its name as a collection, as it does for the tests.
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "conftest.py"))
    module = importlib.import_module(f"ansible_collections.azureops.pod_identity.plugins.modules.{sys.argv[1]}")
    with patch_module_args(json.load(sys.stdin)):
        module.main()
