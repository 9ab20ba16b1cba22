# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_pod_identity_exception with whatever people may write into its options, while there is no cluster yet."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.modules import azure_pod_identity_exception
from ansible_collections.azureops.pod_identity.tests.unit.plugins.modules import offline
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

GOOD: dict[str, Any] = {"name": "agent", "namespace": "agents", "pod_labels": {"app": "agent"}, "labels": {"team": "a"}}
OPTIONS = ["owner", "purge_namespaces", "purge_exceptions", "adopt", "namespace"]


def run(options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return offline.run(azure_pod_identity_exception, options)


@settings(max_examples=300)
@given(
    offline.entries(azure_pod_identity_exception, "exceptions", GOOD),
    st.dictionaries(st.sampled_from(OPTIONS), offline.VALUES),
)
def test_whatever_is_written_is_predicted_or_refused_in_a_sentence(
    entries: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    offline.is_sound(*run({"exceptions": entries, **options}), "exceptions", entries)


def test_a_huge_list_is_predicted() -> None:
    status, result = run({"exceptions": [{**GOOD, "name": f"e{number}"} for number in range(5000)]})
    assert (status, len(result["actions"]), len(result["planned"])) == (0, 5000, 5000)


@table(
    "options, words",
    ({}, "one of the following is required"),
    ({"name": "a"}, "namespace"),
    ({"exceptions": [GOOD], "name": "a", "namespace": "a"}, "mutually exclusive"),
    ({"exceptions": [{**GOOD, "namespace": None}]}, "has no namespace"),
    ({"exceptions": [], "purge_exceptions": True, "namespace": "a"}, "purge_allow_empty"),
    ({**GOOD, "purge_exceptions": True}, "give that list"),
    ({"exceptions": [GOOD, {**GOOD, "pod_labels": {"app": "other"}}]}, "agents/agent"),
    ({"exceptions": [{**GOOD, "pod_labels": {"app": True}}]}, "put it in quotes"),
    ({"exceptions": [{**GOOD, "pod_labels": {"app": 1e3}}]}, "put it in quotes"),
)
def test_options_that_do_not_fit_together(options: dict[str, Any], words: str) -> None:
    status, result = run(options)
    assert status == 1 and words in result["msg"], result
