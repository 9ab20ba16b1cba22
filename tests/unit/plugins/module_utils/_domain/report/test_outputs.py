# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What machines read of a report."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from dataclasses import asdict
from xml.etree import ElementTree

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.data import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.difference import compare
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.judging import failures, junit
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.metrics import prometheus
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.model import (
    Difference,
    Report,
    Since,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw, exception, template
from ansible_collections.azureops.pod_identity.tests.support.report_world import (
    CARRIERS,
    TIME,
    cluster,
    document,
    inventory,
    objects,
    token,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

GONE: Raw = {"name": "west", "failure": 'It answers "no"\\.'}
OBSERVED = document(cluster(inventory=inventory(objects()), verification=[token()]), GONE)
BROKEN = build(OBSERVED)
RIGHT = objects(Deployment=[template()])
# An exception that covers the pods is a warning.
SUSPECT = build(document(cluster(inventory=inventory({**RIGHT, "AzurePodIdentityException": [exception(app="web")]}))))
FINE = build(document(cluster(inventory=inventory(RIGHT), verification=[token()])))
# The session reached it, and nothing of it could be read.
REFUSED = {"failure": "No."}
FORBIDDEN = build(document({"name": "prod", "sources": {"inventory": REFUSED, "diagnosis": REFUSED}}))


def cases(report: Report, fail_on: str = "error") -> dict[str, str]:
    """Of the test cases, what became of each."""
    found = {}
    for one in ElementTree.fromstring(junit(report, fail_on)).iter("testcase"):
        found[f"{one.attrib['classname']} {one.attrib['name']}"] = one[0].tag if len(one) else "passed"
    return found


def test_junit_tells_each_workload_and_problem() -> None:
    assert cases(BROKEN) == {
        "prod.workloads Deployment team/web x": "passed",
        "prod.workloads Deployment team/lost nobody": "failure",
        "prod.problems nothing_matches Deployment team/lost": "failure",
        "west.cluster west": "failure",
    }
    root = ElementTree.fromstring(junit(BROKEN))
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == ("4", "3", "0")
    assert root[0].attrib["timestamp"] == "2026-03-01T12:00:00" and "timestamp" not in root[1].attrib


def test_junit_fails_for_a_cluster_of_which_nothing_could_be_read() -> None:
    assert cases(FORBIDDEN) == {"prod.cluster prod": "failure"}
    assert 'pod_identity_looked_at{cluster="prod"} 0' in prometheus(FORBIDDEN)


def test_what_was_not_verified_is_skipped_and_not_passed() -> None:
    unverified = build(document(cluster(inventory=inventory(RIGHT))))
    assert cases(unverified) == {"prod.workloads Deployment team/web x": "skipped"}


def test_a_warning_fails_from_its_threshold_on() -> None:
    assert set(cases(SUSPECT).values()) == {"passed"}
    assert set(cases(SUSPECT, "warning").values()) == {"failure"}


@for_each(
    case("never", BROKEN, "never", ""),
    case(
        *("error", BROKEN, "error"),
        'prod has 1 problem of severity error and 1 workload broken. west could not be looked at: It answers "no"\\.',
    ),
    case("below", SUSPECT, "error", ""),
    case(
        *("warning", SUSPECT, "warning"),
        "prod has 1 problem of severity warning or worse and 1 workload broken or suspect.",
    ),
    case("fine", FINE, "warning", ""),
    case("never, where nothing could be read", FORBIDDEN, "never", "prod could not be looked at: No."),
    case("never, where another could", build(document(cluster(inventory=inventory(RIGHT)), GONE)), "never", ""),
    case("forbidden", FORBIDDEN, "error", "prod could not be looked at: No."),
)
def test_when_a_run_fails(report: Report, fail_on: str, said: str) -> None:
    assert " ".join(failures(report, fail_on).values()) == said


def test_prometheus_tells_numbers_of_each_cluster() -> None:
    text = prometheus(BROKEN)
    assert text.endswith("\n")
    samples = dict(re.findall(r"^(\w+\{.*\}) (\d+)$", text, re.MULTILINE))
    assert samples['pod_identity_findings{cluster="prod",code="nothing_matches",severity="error"}'] == "1"
    assert samples['pod_identity_workloads{cluster="prod",verdict="broken"}'] == "1"
    assert samples['pod_identity_workloads{cluster="prod",verdict="suspect"}'] == "0"
    assert samples['pod_identity_tokens{cluster="prod",verdict="ok"}'] == "1"
    assert samples['pod_identity_observation_timestamp_seconds{cluster="prod"}'] == "1772366400"
    looked_at = [samples[f'pod_identity_looked_at{{cluster="{name}"}}'] for name in ("prod", "west")]
    assert looked_at == ["1", "0"]
    assert [name for name in samples if "west" in name] == ['pod_identity_looked_at{cluster="west"}']
    for line in text.splitlines():
        assert re.match(r"# (HELP|TYPE) pod_identity_|pod_identity_\w+\{", line)


def test_prometheus_tells_phases_and_leftovers() -> None:
    stages = [
        {"workload": f"Deployment team/{name}", "state": state, "next": "", "why": ""}
        for name, state in (("web", "soaking"), ("app", "soaking"), ("db", "left"))
    ]
    text = prometheus(build(document(cluster(inventory=inventory(RIGHT), stages=stages, carriers=CARRIERS), GONE)))
    samples = re.findall(r"^pod_identity_(?:migration_workloads|leftovers)\{.*\} \d+$", text, re.MULTILINE)
    assert samples == [
        'pod_identity_migration_workloads{cluster="prod",phase="soaking"} 2',
        'pod_identity_migration_workloads{cluster="prod",phase="left"} 1',
        'pod_identity_leftovers{cluster="prod"} 1',
    ]


def test_labels_of_prometheus_are_escaped() -> None:
    assert 'pod_identity_looked_at{cluster="a\\"b\\\\"} 0' in prometheus(build(document({"name": 'a"b\\'})))


def test_the_data_is_json() -> None:
    data = as_data(BROKEN)
    assert json.loads(json.dumps(data)) == data
    assert data["version"] == 1
    assert {"from", "to", "state"} == set(data["clusters"][0]["ways"][0])


def compared(before: t.Any, after: Report) -> Since:
    found = compare(json.loads(json.dumps(before)), as_data(after))
    assert found
    return found


def differences(before: Report, after: Report) -> list[Difference]:
    return list(compared(as_data(before), after).differences)


def test_what_is_new_tells_since_when() -> None:
    assert compared(as_data(FINE), BROKEN).observed_at == TIME
    assert compared(as_data(build(document({"name": "prod", "failure": "No."}))), BROKEN).observed_at == ""


def test_the_same_observation_again_leaves_what_was_new_of_it() -> None:
    assert compare(as_data(BROKEN), as_data(BROKEN)) is None
    since = compared(as_data(FINE), BROKEN)
    assert since.differences and compared(as_data(BROKEN, since), BROKEN) == since
    # Looked at later, all the same, it has nothing new.
    later = build(json.loads(json.dumps(OBSERVED).replace(TIME, "2026-03-02T12:00:00Z")))
    assert compared(as_data(BROKEN, since), later) == Since(TIME, ())


def test_what_is_new_gone_and_changed() -> None:
    assert differences(FINE, BROKEN) == [
        Difference("prod", "changed", "cluster", "prod", "unknown", "broken"),
        Difference("prod", "new", "problem", "nothing_matches Deployment team/lost", "", "error"),
        Difference("prod", "new", "workload", "Deployment team/lost", "", "broken"),
        Difference("west", "new", "cluster", "west", "", "unknown"),
    ]
    gone = {("gone", kind) for kind in ("problem", "workload", "cluster")}
    assert {(one.change, one.kind) for one in differences(BROKEN, FINE)} == {("changed", "cluster"), *gone}


def test_a_cluster_that_nobody_could_look_at_has_lost_nothing() -> None:
    silent = build(document({"name": "prod", "failure": "It is not there."}))
    assert differences(BROKEN, silent)[0] == Difference("prod", "changed", "cluster", "prod", "broken", "unknown")
    assert all(one.kind == "cluster" for one in differences(BROKEN, silent))


def test_a_workload_that_loses_its_selector_is_the_same() -> None:
    moved = json.loads(json.dumps(as_data(FINE)))
    for one in moved["clusters"][0]["workloads"]:
        one["selector"] = ""
    assert moved != as_data(FINE)
    since = compare(moved, as_data(FINE))
    assert since and since.differences == ()


AGAIN = as_data(FINE)


@pytest.mark.parametrize(
    "earlier",
    [
        *([], {}, {"version": 2}, {"version": 1}, {"version": 1, "clusters": [{}]}),
        *({**AGAIN, "since": since} for since in ([1], {}, {"observed_at": "", "differences": [{}]})),
        {**AGAIN, "since": {"observed_at": "<b>", "differences": []}},
        {"version": 1, "clusters": [{**AGAIN["clusters"][0], "observed_at": "yesterday"}]},
    ],
)
def test_an_earlier_file_that_is_no_report_is_refused(earlier: t.Any) -> None:
    with pytest.raises(Failure, match="The earlier report is"):
        compare(earlier, as_data(FINE))


def test_text_of_an_earlier_file_is_made_printable() -> None:
    earlier = copy.deepcopy(as_data(FINE))
    earlier["clusters"][0]["workloads"][0]["label"] = "Deployment team/\u202eweb"
    assert all(one.what.isprintable() for one in compared(earlier, FINE).differences)
    new = {"cluster": "\u202e", "change": "\u0000", "kind": "\u2066", "what": "\n", "before": "\ud800", "after": ""}
    (one,) = compared({**AGAIN, "since": {"observed_at": "", "differences": [new]}}, FINE).differences
    assert all(each.isprintable() for each in asdict(one).values())
