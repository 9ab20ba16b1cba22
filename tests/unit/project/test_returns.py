# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules document alike has one source."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import readmes, returns


@pytest.mark.parametrize("path", list(returns.modules()), ids=lambda path: path.stem)
def test_shared_keys_of_return_are_those_of_their_source(path: Path) -> None:
    text = path.read_text()
    assert text == returns.written(path.stem, text), f"run {readmes.COMMAND}"


def test_only_the_sample_is_of_the_module() -> None:
    text = 'RETURN = r"""\nactions:\n  description: Other words.\n  sample: [create cluster demo]\n"""\n'
    written = returns.written("aks_cluster", text)
    assert "  description: What was done, or in check mode what would be done.\n" in written
    assert written.endswith('  elements: str\n  sample: [create cluster demo]\n"""\n')


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in returns.OWN.items() for key in keys])
def test_a_key_that_a_module_documents_itself_is_there_and_differs(name: str, key: str) -> None:
    text = (returns.MODULES / f"{name}.py").read_text()
    assert f"\n{key}:\n" in text.partition("RETURN")[2]
    assert returns.SHARED[key] not in text
