# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page and the files of a report: nothing is asked for, nothing that was observed is more than text."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.filter.report import report
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan as plans
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import model
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.graph import Node
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report import page
from ansible_collections.azureops.pod_identity.tests.support.report_world import cluster, document, objects, plan, token
from ansible_collections.azureops.pod_identity.tests.unit.plugins.plugin_utils.hostile_report import (
    HOSTILE,
    STAGES,
    observed,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

VOID = {"meta", "input", "br", "link"}


class Page(HTMLParser):
    """``shape``: the tags with the names of their attributes; ``text`` without that of style and script, and
    ``pieces`` of it with the tag that each is in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shape: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.pieces: list[tuple[str, str]] = []
        self.inside: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, tuple(name for name, _value in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data
        else:
            self.text += data
            self.pieces.append((self.open[-1] if self.open else "", data))

    def values(self, name: str) -> list[str]:
        return [value for _tag, key, value in self.attributes if key == name]


PAGE = Page(report(observed("lost"))["html"])


def test_nothing_is_loaded_sent_or_run_but_the_one_style_and_script() -> None:
    def source(part: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(PAGE.inside[part].encode()).digest()).decode()}'"

    (policy,) = (value for value in PAGE.values("content") if "default-src" in value)
    assert policy == (
        f"default-src 'none'; style-src {source('style')}; script-src {source('script')}; base-uri 'none'; "
        "form-action 'none'"
    )
    names = {name for _tag, name, _value in PAGE.attributes}
    assert not names & {"src", "style", "srcset", "action"} and not any(name.startswith("on") for name in names)
    assert [tag for tag, _names in PAGE.shape].count("script") == 1
    assert "url(" not in PAGE.inside["style"] and "@import" not in PAGE.inside["style"]


def test_links_lead_to_parts_of_the_page_or_to_codes() -> None:
    ids = PAGE.values("id")
    assert len(ids) == len(set(ids))
    for address in PAGE.values("href"):
        if address.startswith("#"):
            assert address[1:] in ids
        else:
            assert address.startswith("https://github.com/azureops/pod_identity/blob/main/docs/codes.md#")
    for reference in (*PAGE.values("aria-labelledby"),):
        assert reference in ids


def test_tables_have_captions_and_headings() -> None:
    tags = [tag for tag, _names in PAGE.shape]
    assert tags.count("table") == tags.count("caption") == tags.count("thead") > 8
    assert all("scope" in names for tag, names in PAGE.shape if tag == "th")


# What of a report the page has in other words, in addresses, or not at all.
ELSEWHERE = {
    *("Cluster.graph", "Cluster.rules", "Identity.id", "Mover.verdict", "Blocker.stage", "Unread.source"),
    *("Looked.source", "Problem.link", "Token.link", "Leftover.link"),
}


def texts(value: Any) -> Iterator[str]:
    """All that a report says."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from texts(each)
    elif is_dataclass(value):
        for each in fields(value):
            if f"{type(value).__name__}.{each.name}" not in ELSEWHERE:
                yield from texts(getattr(value, each.name))


def test_everything_that_a_report_says_is_on_its_page() -> None:
    one = observed("lost")["clusters"][0]
    looked = {key: source["result"] for key, source in one["sources"].items()}
    left = {"where": "Azure", "what": "Role of MIC", "state": "left", "reason": "Its scope is another's.", "code": ""}
    nmi = {"node": "n1", "state": "not_running", "reason": "Its image is not there."}
    rules = {"node": "n2", "outcome": "refused", "reason": "NMI runs.", "found": ["-A x"]}
    stuck = {"workload": "Deployment team/stuck", "state": "blocked", "next": "plan", "why": "Its library is old."}
    causes = [
        {**cause, "certainty": "likely", "fix": {**cause["fix"], "command": "kubectl get pods"}}
        for cause in looked["diagnosis"]["causes"]
    ]
    given = document(
        cluster(
            **{**looked, "stages": [*STAGES, stuck], "diagnosis": {**looked["diagnosis"], "causes": causes}},
            installations={"installations": [{"nodes": [nmi]}], "unread": ["The chart may not be read."]},
            removal={"audit": [left]},
            rules=[rules],
        ),
        {"name": "west", "failure": "The API server did not answer."},
    )
    found = build(given)
    # Only what is less than proved says so.
    whole = sorted(set(texts(found)) - {"", "proved"})
    for kind in ("problems", "workloads", "movers", "tokens", "identities", "assigned", "nodes", "leftovers", "unread"):
        assert getattr(found.clusters[0], kind), kind
    shown = Page(report(given)["html"]).text
    assert [said for said in whole if said not in shown and said.replace("_", " ") not in shown] == []


def test_names_of_other_directions_leave_that_of_the_line() -> None:
    name = "\u05d7\u05e0\u05d5\u05ea"
    found = Page(report(observed(f"a{name}", f"n{name}", f"j{name}"))["html"])
    within = {tag for tag, said in found.pieces if name in said}
    # Drawings keep them apart by their style.
    assert "bdi" in within and within <= {"bdi", "title", "text", "code", "option"}
    assert ".drawing text { font-size: 12px; fill: var(--text); unicode-bidi: isolate; }" in found.inside["style"]


def test_each_workload_and_identity_has_a_drawing_of_its_ways_and_a_table_beside_it() -> None:
    (one,) = build(observed("lost")).clusters
    drawn = {}
    for way in re.findall(r'<details class="way".*?</details>', report(observed("lost"))["html"], re.DOTALL):
        row = r'<td data-title="From">(.*?)</td><td data-title="To">(.*?)</td><td data-title="State">(.*?)</td>'
        told = [f"{start} to {end}: {state}" for start, end, state in re.findall(row, re.sub("</?bdi>", "", way))]
        said = (sorted(re.findall("<path[^>]*><title>(.*?)</title>", way)), sorted(told))
        for node in re.findall(r"\w+ <bdi>.*?</bdi>", way.partition("</summary>")[0]):
            drawn[re.sub("</?bdi>", "", node)] = said
    expected = {}
    for node in one.graph.nodes:
        if node.kind in ("workload", "identity"):
            edges = one.graph.around(node).edges
            lines = sorted(f"{edge.start.full_name} to {edge.end.full_name}: {edge.state}" for edge in edges)
            rows = [f"{kinded(edge.start)} to {kinded(edge.end)}: {edge.state}" for edge in edges]
            expected[kinded(node)] = (lines, sorted(rows))
    assert drawn == expected and len(expected) > 3
    # A workload and its own identity have one together.
    assert "<summary>workload <bdi>Deployment team/web</bdi>, identity <bdi>" in report(observed("lost"))["html"]


def kinded(node: Node) -> str:
    return f"{node.kind} {node.full_name}"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    """The page has the same tags and attributes as with harmless names, which sort alike."""
    expected = Page(report(observed("app", "nobody", "j"))["html"])
    found = Page(report(observed(f"a{name}", f"n{name}", f"j{name}"))["html"])
    assert found.shape == expected.shape


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=20))
def test_any_names_are_text(name: str) -> None:
    expected = Page(report(observed("app", "nobody", "j"))["html"])
    assert Page(report(observed(f"a{name}", f"n{name}", f"j{name}"))["html"]).shape == expected.shape


def test_the_same_observation_gives_the_same_files() -> None:
    again = json.loads(json.dumps(observed("lost"), sort_keys=True))
    assert report(observed("lost")) == report(again)


def test_files_for_machines() -> None:
    files = report(observed("lost"))
    data = json.loads(files["json"])
    assert data["verdict"] == files["verdict"] == "broken"
    rows = list(csv.DictReader(io.StringIO(files["csv"])))
    assert [row["name"] for row in rows] == ["lost", "web"]
    assert files["failures"]["prod"].startswith("prod has")
    assert report(observed("lost"), "never")["failures"] == {}
    assert report(observed("lost"), earlier=data)["differences"] == []


def test_what_is_new_is_on_the_page_where_an_earlier_report_was_given() -> None:
    files = report(observed("lost"), earlier=json.loads(report(observed("app"))["json"]))
    new = Page(files["html"])
    section = new.text.partition("What is new")[2].partition("The oldest part was observed")[0]
    for one in files["differences"]:
        assert one["what"] in section
    assert "2026-03-01T12:00:00Z" in section and "not there" in section
    assert json.loads(files["json"])["since"]["differences"] == files["differences"] != []
    # The same once more, with the file that it replaced.
    assert report(observed("lost"), earlier=json.loads(files["json"])) == files
    assert "What is new" not in PAGE.text and json.loads(report(observed("lost"))["json"])["since"] is None
    (cluster,) = observed("lost")["clusters"]
    later = {"clusters": [{**cluster, "sources": json.loads(json.dumps(cluster["sources"]).replace("-01T", "-02T"))}]}
    assert "Nothing is new, gone or changed." in report(later, earlier=json.loads(files["json"]))["html"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_an_earlier_report_are_text(name: str) -> None:
    def since(what: str) -> Page:
        told = dict.fromkeys(("cluster", "change", "kind", "what", "before", "after"), what)
        earlier = json.loads(report(observed("lost"))["json"])
        earlier["since"] = {"observed_at": "2026-03-01T12:00:00Z", "differences": [told]}
        return Page(report(observed("lost"), earlier=earlier)["html"])

    assert since(f"a{name}").shape == since("app").shape


def test_a_cluster_without_anything() -> None:
    found = Page(report(document({"name": "west", "failure": "It is not there."}))["html"])
    assert "west could not be looked at: It is not there." in found.text
    assert Page(report(document())["html"]).text


def test_the_plan_of_a_migration_is_told_in_words() -> None:
    row = plan(objects())["templates"][0]
    rows = [{**row, "name": f"web-{verdict}", "verdict": verdict} for verdict in plans.VERDICTS]
    found = report(document(cluster(plan={"templates": rows}, stages=STAGES)))["html"]
    for said in ("nothing is left to do", "steps are left to do", "something is in the way"):
        assert f'<td data-title="Plan">{said}</td>' in found
    # Of a workload that only its phase tells of there is no plan.
    assert found.count('<td data-title="Plan"><span class="gap">not looked at</span></td>') == 1
    # Of one that has ended its migration the phase says all.
    ended = [{**STAGES[0], "workload": f"Deployment {row['namespace']}/{row['name']}", "state": "finished"}]
    assert '<td data-title="Plan"></td>' in report(document(cluster(plan={"templates": [row]}, stages=ended)))["html"]


def test_without_phases_there_are_no_columns_for_them() -> None:
    planned = plan(objects())
    assert 'data-title="Next"' not in report(document(cluster(plan=planned)))["html"]
    assert 'data-title="Next"' in report(document(cluster(plan=planned, stages=STAGES)))["html"]


def test_times_of_a_token_are_told_as_times() -> None:
    odd = {"oid": "1772366400", "iat": "-5", "exp": "1" * 40}
    for claims, said in (({"exp": 1772366400}, ["2026-03-01T12:00:00Z"]), (odd, list(odd.values()))):
        found = report(document(cluster(verification=[token(claims=claims)])))["html"]
        assert re.findall('<bdi class="value">(.*?)</bdi>', found) == said


def test_the_clusters_with_the_worst_verdict_come_first() -> None:
    little, silent = {"name": "a"}, {"name": "b", "failure": "It is not there."}
    (worst,) = observed("lost")["clusters"]
    given = document(little, silent, {**worst, "name": "c"})
    table = report(given)["html"].partition("Clusters, with the number")[2].partition("</table>")[0]
    assert re.findall(r"<bdi>(\w)</bdi>", table) == ["c", "a", "b"]
    # Of one that could not be looked at no number is known.
    assert table.rpartition("<bdi>b</bdi>")[2].count("not looked at") == 3


def test_an_index_leads_to_pages_and_these_lead_back() -> None:
    found = build(document({"name": "west", "failure": "No."}, *observed()["clusters"]))
    index = Page(page(found, "Nightly", {"west": "west.html", "prod": "prod.html"}))
    assert [address for address in index.values("href") if not address.startswith("#")] == ["prod.html", "west.html"]
    assert "Nightly: " in index.text and "Deployment team/web" not in index.text and "script" not in index.inside
    (one,) = (each for each in found.clusters if each.name == "prod")
    alone = Page(page(model.Report(one.verdict, one.sentence, (one,)), home="index.html"))
    assert alone.values("href").count("index.html") == 1 and "Deployment team/web" in alone.text


@table(
    "given, options, said",
    ([], {}, "The observation needs the list clusters"),
    (document(), {"fail_on": "info"}, "must be one of error, warning, never"),
    (document(), {"earlier": {}}, "The earlier report is none of version 1"),
    (document(cluster(inventory={"workloads": [1]})), {}, "A source of the cluster prod is not what its module"),
)
def test_what_cannot_be_reported_is_refused(given: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        report(given, **options)
