# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests that SECURITY.md and docs/versions.md name as proofs exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PAGES = ("SECURITY.md", "docs/versions.md")
NAMED = sorted(
    {each for page in PAGES for each in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (CHECKOUT / page).read_text())}
)


@pytest.mark.parametrize("name", NAMED)
def test_each_proof_exists(name: str) -> None:
    file, _colons, test = name.partition("::")
    tests = [
        node.name
        for node in ast.parse((CHECKOUT / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert test in tests if test else tests
