# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.modules.pod_identity_info import as_data

TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=2)
ROW = st.fixed_dictionaries(
    {
        "namespace": TEXT,
        "kind": st.sampled_from(["Pod", "Job"]),
        "name": TEXT,
        "owner": TEXT,
        "selector": TEXT,
        "pods": st.integers(0, 9),
        "identities": st.lists(st.fixed_dictionaries({"client_id": TEXT}), max_size=2),
        "default": st.fixed_dictionaries({"answers": TEXTS, "identities": TEXTS, "deterministic": st.booleans()}),
        "exceptions": TEXTS,
        "host_network": st.booleans(),
        "service_account": TEXT,
    }
)
FINDING = st.fixed_dictionaries(
    {"object": TEXT, "code": TEXT, "severity": st.sampled_from(["error", "warning", "info"])}
)
FOUND = st.fixed_dictionaries(
    {
        "rules": st.dictionaries(TEXT, TEXT, max_size=2),
        "workloads": st.lists(ROW, max_size=3),
        "identities": st.lists(st.fixed_dictionaries({"client_id": TEXT}), max_size=2),
        "assignments": st.none() | st.dictionaries(TEXT, st.integers(), max_size=2),
        "assigned": st.lists(st.dictionaries(TEXT, TEXT, max_size=2), max_size=2),
        "findings": st.lists(FINDING, max_size=3),
    }
)
CLUSTERS = st.dictionaries(TEXT, st.one_of(FOUND, st.fixed_dictionaries({"error": TEXT})), max_size=4)
WEB: dict[str, Any] = {"namespace": "team", "kind": "Pod", "name": "web", "owner": "", "selector": "web", "pods": 1}
WEB |= {"exceptions": [], "host_network": False, "service_account": "default"}
ONE: dict[str, Any] = {
    **WEB,
    "identities": [{"client_id": '=1+"1"'}, {"client_id": "two"}],
    "default": {"answers": ["token"], "identities": ["team/a", "team/b"], "deterministic": False},
}
THREE = {"object": "Pod team/web", "code": "three", "severity": "warning"}
CODES = [
    {"object": "Pod team/web", "code": "one", "severity": "error"},
    {"object": "Pod team/other", "code": "two", "severity": "warning"},
    *[THREE] * 2,
]


def joined(clusters: dict[str, dict[str, Any]]) -> tuple[str, str]:
    document, table = io.StringIO(), io.StringIO()
    both = inventory_files.Joined(document.write, table.write)
    for name, found in clusters.items():
        both.add(name, found)
    both.end()
    return document.getvalue(), table.getvalue()


@given(CLUSTERS)
def test_the_pieces_are_the_whole(clusters: dict[str, dict[str, Any]]) -> None:
    document, table = joined(clusters)
    whole = {
        name: {key: found[key] for key in inventory_files.KEYS if key in found} for name, found in clusters.items()
    }
    assert json.loads(document) == {"clusters": whole}
    lines = list(csv.reader(io.StringIO(table, newline="")))
    assert lines[0] == list(inventory_files.COLUMNS) and {len(line) for line in lines} == {len(inventory_files.COLUMNS)}
    # A quote stands before whatever a spreadsheet would take for a formula, also within a name.
    assert [line[0].replace("'", "") for line in lines[1:]] == [
        name.replace("\0", "\\0").replace("'", "")
        for name, found in clusters.items()
        for _row in found.get("workloads", [{}])
    ]


@given(FOUND)
def test_one_cluster(found: dict[str, Any]) -> None:
    assert json.loads("".join(inventory_files.text(found))) == found
    told = inventory_files.summary(found)
    assert sum(each["count"] for each in told.pop("finding_codes")) == told["findings"]
    assert told == {key: len(value) for key, value in found.items() if isinstance(value, list)}


def test_a_line() -> None:
    document, table = joined({"east": {"workloads": [ONE], "findings": CODES}, "west": {"error": 'No "way".'}})
    east, west = csv.DictReader(io.StringIO(table))
    told = {"cluster": "east", "namespace": "team", "kind": "Pod", "name": "web", "selector": "web", "pods": "1"}
    told |= {"identities": '\'=1+"1" two', "answers": "token", "default_identities": "team/a team/b"}
    told |= {"deterministic": "False", "host_network": "False", "service_account": "default"}
    assert east == {**told, "findings": "one three three", "owner": "", "exceptions": "", "error": ""}
    assert west == {**dict.fromkeys(inventory_files.COLUMNS, ""), "cluster": "west", "error": 'No "way".'}
    assert json.loads(document)["clusters"]["east"]["workloads"] == [ONE]


@given(st.text(alphabet='a =+-@;,\n\r\t"＝＋－＠', max_size=12))
def test_no_cell_is_a_formula_in_whatever_locale(hostile: str) -> None:
    """Some readers take a semicolon for the end of a cell, and signs of full width for those of a formula."""
    (line,) = inventory_files.lines("one", {"error": hostile})
    pieces = re.split(r"[;\n\r\t]", next(iter(csv.reader(io.StringIO(line, newline=""))))[-1])
    assert not [each for each in pieces if each.startswith(tuple("=+-@＝＋－＠"))]


def test_counts() -> None:
    counts = {"cluster": "east", "workloads": 1, "identities": 2, "errors": 1, "warnings": 3, "failure": ""}
    found = {"workloads": [ONE], "identities": [{}, {}], "findings": CODES}
    assert inventory_files.counts("east", found) == counts
    assert inventory_files.summary(found)["finding_codes"] == [
        {"code": "one", "severity": "error", "count": 1},
        {"code": "two", "severity": "warning", "count": 1},
        {"code": "three", "severity": "warning", "count": 2},
    ]
    failed = {"workloads": None, "identities": None, "errors": 0, "warnings": 0, "failure": "No."}
    assert inventory_files.counts("west", {"error": "No."}) == {"cluster": "west", **failed}


def test_nothing() -> None:
    assert joined({}) == ('{"clusters": {}}\n', ",".join(inventory_files.COLUMNS) + "\n")
    assert "".join(inventory_files.text({})) == "{}"


def test_what_the_module_returns_has_all_that_is_kept() -> None:
    found = as_data(Inventory(Cluster()))
    assert set(found) == {*inventory_files.KEYS, "assigned"} - {"error"}
