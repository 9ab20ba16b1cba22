# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_formats import FORMATS, FREE, Format
from ansible_collections.azureops.pod_identity.tests.support.format_values import VALUES

PAIRS = [pytest.param(kind, key, id=key) for key, kind in FORMATS.items() if kind is not FREE]


@pytest.mark.parametrize(("kind", "key"), PAIRS)
def test_values(kind: Format, key: str) -> None:
    right, wrong = VALUES[kind.called]
    assert [each for each in right if kind.wrong("x", each)] == [], key
    assert [each for each in wrong if not kind.wrong("x", each)] == [], key


def test_each_format_has_values() -> None:
    assert set(VALUES) == {kind.called for kind in FORMATS.values() if kind is not FREE}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            *("pod_identity_cluster_name", "demo cluster"),
            "x is 'demo cluster', not a name of a cluster in AKS; write 1 to 63 letters, digits, '-' and '_', "
            "beginning and ending with a letter or digit.",
        ),
        (
            *("pod_identity_bindings_list.roles.scope", "rg/data"),
            "x is 'rg/data', not an Azure resource id; write /subscriptions/ID/resourceGroups/NAME, or what lies in it "
            "after that.",
        ),
        ("pod_identity_verify_at_once", 0, "x is 0, not a number of 1 or more."),
        (
            "pod_identity_chart_version",
            "latest",
            "x is 'latest', not a version of the chart; write one such as 4.1.18.",
        ),
        (
            *("pod_identity_chart_repository", "user:password@host"),
            "x is not an address; write it as https://HOST/PATH.",
        ),
        ("pod_identity_bindings_list.name", "a" * 300, f"x is '{'a' * 59}..., not a name of an object of Kubernetes; "),
    ],
)
def test_sentences(key: str, value: Any, sentence: str) -> None:
    assert FORMATS[key].wrong("x", value).startswith(sentence)
