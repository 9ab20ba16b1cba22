# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a report: other people's programs read them, and they are written as a whole, once, for their owner."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.azureops.pod_identity.plugins.module_utils import _files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import files
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _report_files
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report_files import Made
from ansible_collections.azureops.pod_identity.tests.support import report_schema
from ansible_collections.azureops.pod_identity.tests.support.report_world import cluster, document, inventory, objects
from ansible_collections.azureops.pod_identity.tests.unit.plugins.plugin_utils.hostile_report import HOSTILE, observed

DOMAIN = "ansible_collections.azureops.pod_identity.plugins.module_utils._domain"
EAST = cluster("east", inventory=inventory(objects()))
WEST = {"name": "west", "failure": "It may not be read."}


def made(*clusters: dict[str, Any], previous: str = "") -> Made:
    return Made.of(document(*(clusters or (EAST, WEST))), "never", earlier=_report_files.earlier(previous))


def plan(target: Path, *formats: str, of: Made | None = None) -> Plan:
    return _report_files.plan(of or made(), files.target(str(target), formats))


def write(target: Path, *formats: str, **more: Any) -> None:
    for step in plan(target, *formats, **more).steps:
        step.apply()


# other people's programs


def closed(schema: Any) -> Any:
    """The same, in which nothing may be that is not named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(each) for key, each in schema.items()}
    return {**inner, "additionalProperties": False} if schema.get("type") == "object" else inner


SCHEMA = json.loads(report_schema.text(DOMAIN))


def test_the_published_schema_is_that_of_the_report() -> None:
    assert report_schema.SCHEMA.read_text() == report_schema.text(DOMAIN), "run python tests/readmes.py"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("given", [observed("lost"), document(EAST, WEST), document()], ids=["one", "two", "none"])
def test_json_is_as_its_schema_says_and_has_nothing_else(given: Any) -> None:
    data = json.loads(Made.of(given, "never").text("json"))
    jsonschema.Draft202012Validator(closed(SCHEMA)).validate(data)
    data["clusters"] = [{"name": "east"}]
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        jsonschema.Draft202012Validator(SCHEMA).validate(data)


def read_junit(text: str) -> list[tuple[str, str]]:
    """Name and outcome of each test case."""
    return [
        (case.name, "failed" if case.is_failure else "skipped" if case.is_skipped else "passed")
        for suite in junitparser.JUnitXml.fromstring(text.encode())
        for case in suite
    ]


def test_junitparser_reads_a_case_for_each_workload_and_each_problem() -> None:
    found = dict(read_junit(made().text("junit")))
    assert found["Deployment team/web x"] == "skipped" and found["west"] == "failed"
    assert found["Deployment team/lost nobody"] == found["nothing_matches Deployment team/lost"] == "failed"


def read_prometheus(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(text)
    }


def test_a_client_of_prometheus_reads_the_numbers() -> None:
    found = read_prometheus(made().text("prometheus"))
    assert found["pod_identity_looked_at"] == [({"cluster": "east"}, 1), ({"cluster": "west"}, 0)]
    assert ({"cluster": "east", "code": "nothing_matches", "severity": "error"}, 1) in found["pod_identity_findings"]
    assert found["pod_identity_observation_timestamp_seconds"] == [({"cluster": "east"}, 1772366400)]


def require_readable(name: str) -> None:
    """Whatever something is called, it stays one name in each file."""
    given = observed(f"a{name}", f"n{name}", f"j{name}")
    given["clusters"][0]["name"] = f"c{name}"
    plain = observed("app", "nobody", "j")
    plain["clusters"][0]["name"] = "c"
    found, expected = Made.of(given, "error"), Made.of(plain, "error")
    jsonschema.Draft202012Validator(closed(SCHEMA)).validate(json.loads(found.text("json")))
    outcomes = [outcome for _name, outcome in read_junit(found.text("junit"))]
    assert sorted(outcomes) == sorted(outcome for _name, outcome in read_junit(expected.text("junit")))
    samples, others = read_prometheus(found.text("prometheus")), read_prometheus(expected.text("prometheus"))
    assert {key: len(rows) for key, rows in samples.items()} == {key: len(rows) for key, rows in others.items()}
    assert {labels["cluster"] for rows in samples.values() for labels, _value in rows} == {
        found.report.clusters[0].name
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_files_for_machines(name: str) -> None:
    require_readable(name)


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=20))
def test_any_names_in_files_for_machines(name: str) -> None:
    require_readable(name)


# where they are


def test_files_are_for_their_owner_and_a_second_run_changes_none(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    first = plan(folder, *files.FORMATS)
    assert not folder.exists() and len(first.steps) == 1 and first.before == {}
    write(folder, *files.FORMATS)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        [f"pod-identity-report.{ending}" for ending in ("html", "json", "xml", "prom", "csv")], 0o600
    )
    assert first.result and sorted(first.result["files"]) == sorted(map(str, folder.iterdir()))
    again = plan(folder, *files.FORMATS)
    assert not again.steps and again.before == again.after == first.after


def test_only_what_differs_is_written_and_its_mode_stays(tmp_path: Path) -> None:
    write(tmp_path, "html", "prometheus")
    page, metrics = tmp_path / "pod-identity-report.html", tmp_path / "pod-identity-report.prom"
    metrics.write_text("")
    metrics.chmod(0o644)
    inode = page.stat().st_ino
    (step,) = plan(tmp_path, "html", "prometheus").steps
    assert (step.summary, step.change.verb) == (f"write {metrics}", "change")
    step.apply()
    assert metrics.read_text() and metrics.stat().st_mode & 0o777 == 0o644 and page.stat().st_ino == inode


def test_none_is_replaced_where_one_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "html", "json", of=made(EAST))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (step,) = plan(tmp_path, "html", "json").steps
    synced: list[int] = []

    def full(number: int) -> None:
        synced.append(number)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left on device"):
        step.apply()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="is none, but something else"):
        plan(tmp_path / "file")
    with pytest.raises(Failure, match="create its folder"):
        plan(tmp_path / "nowhere/a.html")


def test_a_large_page_leads_to_one_for_each_cluster() -> None:
    target = files.target("/r", ["html", "csv"])
    small = made().contents(target)
    large = {path: bytes(content).decode() for path, content in made().contents(target, largest=10_000).items()}
    assert set(small) == {"/r/pod-identity-report.html", "/r/pod-identity-report.csv"}
    assert set(large) == {*small, "/r/pod-identity-report-east.html", "/r/pod-identity-report-west.html"}
    index, page = large["/r/pod-identity-report.html"], large["/r/pod-identity-report-east.html"]
    assert 'href="pod-identity-report-east.html"' in index and "Deployment team/lost" not in index
    assert 'href="pod-identity-report.html"' in page and "Deployment team/lost" in page
    # Each tells what is new of it, and the one that leads to them what is new of all.
    earlier = json.loads(made(EAST).text("json"))
    contents = Made.of(document(EAST, WEST), "never", earlier=earlier).contents(target, largest=10_000)
    compared = {path: bytes(content) for path, content in contents.items()}
    new = {path: b"Nothing is new" not in page for path, page in compared.items() if path.endswith(".html")}
    assert list(new.values()) == [True, False, True] and all(b"What is new" in compared[path] for path in new)
    # One file is one file.
    one = files.target("/r/a.html")
    assert set(made().contents(one, largest=10)) == {"/r/a.html"}


def test_what_is_new_since_an_earlier_report(tmp_path: Path) -> None:
    previous = str(tmp_path / "pod-identity-report.json")
    first = plan(tmp_path, of=made(EAST, previous=previous))
    assert first.result and first.result["differences"] == []
    write(tmp_path, of=made(EAST))
    second = plan(tmp_path, of=made(previous=previous))
    assert second.result
    (new,) = second.result["differences"]
    assert (new["cluster"], new["change"], new["kind"], new["after"]) == ("west", "new", "cluster", "unknown")
    # It may be the file that a run replaces, and a second run with the same observation changes nothing.
    write(tmp_path, of=made(previous=previous))
    assert not plan(tmp_path, of=made(previous=previous)).steps
    assert "What is new" in (tmp_path / "pod-identity-report.html").read_text()
    Path(previous).write_text("{")
    with pytest.raises(Failure, match="is no JSON"):
        made(previous=previous)
    _files.remove(previous)
    assert made(previous=previous).since is None
