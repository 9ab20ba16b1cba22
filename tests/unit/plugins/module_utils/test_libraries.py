# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils import _libraries
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

REQUIREMENTS = Path(__file__).resolve().parents[4] / "requirements.txt"


def test_they_are_those_of_requirements() -> None:
    lines = re.findall(r"^([a-z-]+)([>=<].*)$", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: version for name, (dummy, version) in _libraries.REQUIREMENTS.items()} == dict(lines)


@table(
    "absent, failing, said",
    (["kubernetes"], "kubernetes", ["The Python library kubernetes is missing", "install 'kubernetes>=31.0.0,<36'"]),
    (
        ["azure.identity", "kubernetes"],
        "azure-identity",
        [
            "The Python libraries azure-identity, kubernetes are missing",
            "-m pip install 'azure-identity>=1.19.0' 'kubernetes>=31.0.0,<36'",
        ],
    ),
    # What is none of the requirements, and is broken.
    ([], "azure-core", ["The Python library azure-core is missing", "-m pip install azure-core"]),
)
def test_all_that_are_missing_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, absent: list[str], failing: str, said: list[str]
) -> None:
    def find(name: str) -> Any:
        if name in absent and "." in name:
            raise ModuleNotFoundError(name)  # the package that it lies in
        return None if name in absent else object()

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(Failure) as failure, _libraries.library(failing):
        raise ImportError("not here")
    assert [text for text in (*said, sys.executable, "(not here)") if text not in str(failure.value)] == []
