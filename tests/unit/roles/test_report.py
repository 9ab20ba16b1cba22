# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook report of saved files: no cluster is asked, and the same files give the same report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.inventory import KINDS
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.support.report_world import objects
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

PLAYBOOK = "azureops.pod_identity.report"


def saved(path: Path, found: dict[str, list[dict[str, Any]]]) -> str:
    """As kubectl get -o json writes the objects."""
    kinds = {kind.name: kind for kind in KINDS}
    items = [
        {"apiVersion": kinds[name].api_version, "kind": name, **each}
        for name, several in found.items()
        for each in several
    ]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return str(path)


def test_saved_files_become_a_report(tmp_path: Path) -> None:
    player, target = Player(tmp_path / "play"), tmp_path / "report"
    given = {
        "pod_identity_report_files": [saved(tmp_path / "objects.json", objects())],
        "pod_identity_report_target": str(target),
        "pod_identity_report_formats": ["html", "json", "junit", "prometheus", "csv"],
        "pod_identity_report_previous": str(target / "pod-identity-report.json"),
        "pod_identity_report_title": "{{ '{{' }} 7 * 7 }}",
    }
    status, output = player.play(PLAYBOOK, "--check", "--diff", **given)
    assert (status, "changed=1" in output, target.exists()) == (0, True, False), output
    assert f'+    "{target}/pod-identity-report.html"' in output
    status, output = player.play(PLAYBOOK, **given)
    assert status == 0 and f"{target}/pod-identity-report.html" in output and "localhost is broken" in output, output
    files = {path.name: path.read_bytes() for path in target.iterdir()}
    assert len(files) == 5 and {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    (cluster,) = json.loads(files["pod-identity-report.json"])["clusters"]
    assert (cluster["name"], cluster["verdict"]) == ("localhost", "broken")
    assert {each["source"] for each in cluster["looked"]} == {"inventory", "diagnosis", "plan"}
    assert b"<h1>{{ 7 * 7 }}</h1>" in files["pod-identity-report.html"]

    status, output = player.play(PLAYBOOK, **given, pod_identity_report_fail_on="error")
    assert status == 2 and "localhost has" in output and "changed=0" in output, output
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files

    # The same report where diagnose looks at the same files.
    (target / "pod-identity-report.json").unlink()
    given = {name.replace("report_files", "diagnose_files"): value for name, value in given.items()}
    status, output = player.play("azureops.pod_identity.diagnose", **given)
    assert status == 0, output
    (cluster,) = json.loads((target / "pod-identity-report.json").read_text())["clusters"]
    assert cluster["verdict"] == "broken" and cluster["problems"]


def test_logs_are_looked_at_with_their_objects(tmp_path: Path) -> None:
    """And what is new since the report without them is shown."""
    log = tmp_path / "nothing-of-these.log"
    log.write_text("I0301 09:00:00.000000 1 main.go:1] starting nmi process\n")
    given: dict[str, Any] = {
        "pod_identity_report_files": [saved(tmp_path / "objects.json", objects())],
        "pod_identity_report_target": str(tmp_path / "report.json"),
        "pod_identity_report_previous": str(tmp_path / "earlier.json"),
    }
    earlier = {"version": 1, "clusters": []}
    (tmp_path / "earlier.json").write_text(json.dumps(earlier))
    status, output = Player(tmp_path / "play").play(PLAYBOOK, **given, pod_identity_report_log_files=[str(log)])
    assert status == 0 and "Show what is new, gone or changed since the earlier report" in output, output
    assert re.search(r"localhost +new +cluster +localhost", output), output
    (cluster,) = json.loads((tmp_path / "report.json").read_text())["clusters"]
    whole = json.dumps(cluster["unread"])
    assert "nothing-of-these.log" in whole or str(log) in whole, whole


def test_a_report_of_nothing_fails_whatever_is_a_failure_else(tmp_path: Path) -> None:
    """And calls the cluster as the options do."""
    given = {
        "pod_identity_kubeconfig": str(tmp_path / "kubeconfig"),
        "pod_identity_report_target": str(tmp_path / "r.json"),
    }
    (tmp_path / "kubeconfig").write_text("{}")
    status, output = Player(tmp_path / "play").play(PLAYBOOK, **given, pod_identity_cluster_name="shop")
    assert status == 2 and "shop could not be looked at: " in " ".join(output.split()), output
    (cluster,) = json.loads((tmp_path / "r.json").read_text())["clusters"]
    assert (cluster["name"], cluster["verdict"], bool(cluster["failure"])) == ("shop", "unknown", True)


@pytest.mark.parametrize("playbook", ["report", "diagnose"])
def test_a_file_that_cannot_be_read_ends_the_run(playbook: str, tmp_path: Path) -> None:
    """As it does without a report."""
    given: dict[str, Any] = {
        f"pod_identity_{playbook}_files": [saved(tmp_path / "objects.json", objects()), str(tmp_path / "nowhere.json")],
        "pod_identity_report_target": str(tmp_path / "report"),
    }
    status, output = Player(tmp_path / "play").play(f"azureops.pod_identity.{playbook}", **given)
    assert (status, "nowhere.json', and there is no such file" in output, "changed=0" in output) == (2, True, True), (
        output
    )
    assert not (tmp_path / "report").exists()


def test_nodes_are_told_after_they_were_to_be_cleaned(tmp_path: Path) -> None:
    """Whatever became of them, and though the run fails for it."""
    given: dict[str, Any] = {
        "pod_identity_report_files": [saved(tmp_path / "objects.json", objects())],
        "pod_identity_report_target": str(tmp_path / "report.json"),
    }
    # A node of which no cluster tells, so that nobody goes there.
    play = Player(tmp_path / "play").play
    status, output = play("azureops.pod_identity.cleanup_nodes", "-i", "lost,", **given)
    assert status == 2 and "1 of 1 nodes did not end as they should" in output, output
    (cluster,) = json.loads((tmp_path / "report.json").read_text())["clusters"]
    (told,) = [each for each in cluster["nodes"] if each["rules"]]
    assert told["name"] == "lost" and told["rules"].startswith("refused"), told
    assert "rules" in [each["source"] for each in cluster["looked"]] and cluster["problems"]


@table(
    "given, said",
    ({}, "pod_identity_report_target does not say where"),
    ({"pod_identity_report_target": "/proc/none/r.html"}, "create its folder"),
)
def test_a_report_without_a_place_is_refused(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    files = {"pod_identity_report_files": [saved(tmp_path / "objects.json", objects())]}
    status, output = Player(tmp_path / "play").play(PLAYBOOK, **files, **given)
    assert status == 2 and said in output and "changed=0" in output, output
