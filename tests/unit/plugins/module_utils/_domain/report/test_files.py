# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.files import pages, target
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each


def test_a_folder_has_a_page_and_what_a_later_run_compares_with() -> None:
    found = target("/r")
    assert found.folder == "/r"
    assert found.paths == {"html": "/r/pod-identity-report.html", "json": "/r/pod-identity-report.json"}
    assert target("/r", ["junit", "junit", "csv"]).paths == {
        "junit": "/r/pod-identity-report.xml",
        "csv": "/r/pod-identity-report.csv",
    }


@for_each(("a.html", "html"), ("a.json", "json"), ("a.xml", "junit"), ("a.prom", "prometheus"), ("a.csv", "csv"))
def test_an_ending_names_the_one_file(path: str, kind: str) -> None:
    for formats in ([], [kind]):
        assert (target(path, formats).folder, target(path, formats).paths) == ("", {kind: path})
    with pytest.raises(Failure, match=f"{path} is one file, of the format {kind}"):
        target(path, ["html", "csv"])


def test_pages_of_clusters_have_plain_names_of_their_own() -> None:
    assert pages("/r/report.html", ["East 1", "east-1", "../../etc", "Ω"]) == {
        "East 1": "report-east-1.html",
        "east-1": "report-east-1-2.html",
        "../../etc": "report-etc.html",
        "Ω": "report-cluster.html",
    }


@given(st.lists(st.text(max_size=80), unique=True, max_size=20))
def test_whatever_clusters_are_called(names: list[str]) -> None:
    found = pages("/r/report.html", names)
    assert list(found) == names and len({name.lower() for name in found.values()}) == len(names)
    assert all(name.startswith("report-") and "/" not in name and name.isascii() for name in found.values())
