# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the checkout importable under the collection's name, wherever it lies.

``from ansible_collections.azureops.pod_identity.plugins...`` works in every test without a staged copy.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def _package(name: str, path: list[str]) -> None:
    package = types.ModuleType(name)
    package.__path__ = path
    sys.modules[name] = package
    if "." in name:
        parent, child = name.rsplit(".", 1)
        setattr(sys.modules[parent], child, package)


try:
    importlib.import_module("ansible_collections")  # other collections may be installed beside ours
except ImportError:
    _package("ansible_collections", [])
_package("ansible_collections.azureops", [])
_package("ansible_collections.azureops.pod_identity", [str(CHECKOUT)])
# What tests share tells the values of an assertion that fails, as the tests do.
pytest.register_assert_rewrite("ansible_collections.azureops.pod_identity.tests")


def pytest_configure(config: pytest.Config) -> None:
    soak = importlib.import_module("ansible_collections.azureops.pod_identity.tests.soak")
    soak.register(config)
