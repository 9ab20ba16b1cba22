# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codes of Entra: the table is complete and sound, and a text leads to the right entry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import aadsts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.aadsts import Refusal
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

HOLDERS = (aadsts.AZURE_IDENTITY, aadsts.SERVICE_ACCOUNT, aadsts.LOGIN)
ENTRIES = [case(entry.name, entry) for entry in aadsts.REFUSALS.values()]
SOURCE = re.compile(r"https://(?:learn|login)\.microsoft(?:online)?\.com/\S+|[\w-]+/[\w.-]+#\d+")


def test_no_code_stands_twice() -> None:
    assert len(list(aadsts._refusals())) == len(aadsts.REFUSALS) > 60


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_is_whole(entry: Refusal) -> None:
    assert entry.code.isdigit() and SOURCE.fullmatch(entry.source)
    assert aadsts.find(f"Entra says {entry.name}: something. Trace ID: 5") is entry
    for text in (entry.meaning, *(entry.remedy(holder, "a/b") for holder in HOLDERS)):
        assert re.match("Entra|[a-z]", text) and not text.endswith(".") and "{" not in text and "  " not in text


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_remedy_speaks_of_what_its_holder_has(entry: Refusal) -> None:
    of_service_account = entry.remedy(aadsts.SERVICE_ACCOUNT, "a/b")
    assert not re.search(r"\bSecret\b|a/b|client secret|register the certificate|this task", of_service_account)
    assert "Secret of a/b" not in entry.remedy(aadsts.LOGIN, "a/b")
    assert not re.search(r"webhook|this task", entry.remedy(aadsts.AZURE_IDENTITY, "a/b"))


@for_each(
    *((code, aadsts.TENANT, False) for code in ("90002", "700016", "7000229")),
    *((code, aadsts.CREDENTIAL, False) for code in ("7000215", "7000222", "700027")),
    *((code, aadsts.FEDERATION, True) for code in ("70021", "70025", "700211", "700212", "700213")),
    *((code, aadsts.FEDERATION, True) for code in ("90061", "50166", "501661")),
    *((code, aadsts.FEDERATION, False) for code in ("7002138", "700231")),
    *((code, aadsts.ASSERTION, False) for code in ("700024", "50013")),
    ("500011", aadsts.RESOURCE, False),
    *((code, aadsts.POLICY, False) for code in ("53003", "700238")),
    ("90055", aadsts.LOAD, True),
    ("90033", aadsts.FAULT, True),
    ("50000", aadsts.FAULT, False),
)
def test_what_a_code_is_about(code: str, about: str, waiting: bool) -> None:
    entry = aadsts.REFUSALS[code]
    assert (entry.kind.about, entry.kind.waiting) == (about, waiting)
    assert aadsts.may_come(entry.name) == waiting


def test_a_wrapped_code_is_the_cause() -> None:
    said = "AADSTS70002: Error validating credentials. AADSTS50012: Client assertion is invalid. AADSTS1: x"
    entry = aadsts.find(said)
    assert entry is not None and entry.code == "50012"


@pytest.mark.parametrize("text", ["", "None", "AADSTS", "AADSTS1", "AADSTS7002", "aadsts70021", "70021"])
def test_what_names_no_known_code(text: str) -> None:
    assert aadsts.find(text) is None and not aadsts.may_come(text)


@given(st.text(), st.sampled_from(sorted(aadsts.REFUSALS)), st.text().filter(lambda text: not text[:1].isdigit()))
def test_a_code_is_found_in_any_text(before: str, code: str, after: str) -> None:
    entry = aadsts.find(f"{before} AADSTS{code}{after if 'AADSTS' not in after else ''}")
    assert entry is aadsts.REFUSALS[code]
