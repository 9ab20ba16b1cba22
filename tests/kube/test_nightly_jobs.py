# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CronJobs and Jobs of all shapes on their way to Workload ID and back, by the playbook migrate.

The controllers of Jobs and the webhook are real. No schedule fires: a test starts each run, and says how it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube import migration_site
from ansible_collections.azureops.pod_identity.tests.kube.installation import owned
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import AZURE, WEB, Place, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.objects import set_status
from ansible_collections.azureops.pod_identity.tests.kube.played_migrations import Played, Row, World, make, running
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity

# By name: what is special of the CronJob, of its Jobs, and how its former runs ended.
SHAPES: Mapping[str, tuple[Raw, Raw, tuple[str, ...]]] = {
    "suspended": ({"suspend": True}, {}, ()),
    "never-ran": ({"schedule": "0 0 29 2 *"}, {}, ()),
    "every-minute": ({"schedule": "* * * * *"}, {}, ("Succeeded",)),
    "concurrent": ({"concurrencyPolicy": "Allow"}, {}, ("Running", "Running")),
    "forbidding": ({"concurrencyPolicy": "Forbid"}, {}, ("Running",)),
    "replacing": ({"concurrencyPolicy": "Replace"}, {}, ("Succeeded",)),
    "failed": ({}, {"backoffLimit": 0}, ("Failed",)),
    "history": ({"successfulJobsHistoryLimit": 3}, {}, ("Succeeded", "Succeeded", "Succeeded")),
    "indexed": ({}, {"completionMode": "Indexed", "completions": 2, "parallelism": 2}, ("Succeeded",)),
    "parallel": ({}, {"completions": 2, "parallelism": 2}, ("Succeeded",)),
}
ONCE = "import"
"""A Job that nobody repeats, which has ended."""
STILL = "backfill"
"""One that runs."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with migration_site.running() as made:
        yield made


def pods_of(place: Place, job: str) -> list[Raw]:
    return [dict(each) for each in place.client.list_all(kinds.POD, place.namespace, labels=f"job-name={job}")]


def end(place: Place, job: str, phase: str) -> None:
    """All pods of the Job end so."""

    def ended() -> bool:
        found = pods_of(place, job)
        for pod in found:
            if (pod.get("status") or {}).get("phase") == "Running":
                state = {"terminated": {"exitCode": int(phase == "Failed"), "reason": "Completed"}}
                statuses = [{**each, "ready": False, "state": state} for each in pod["status"]["containerStatuses"]]
                name = pod["metadata"]["name"]
                set_status(place.client, kinds.POD, place.namespace, name, phase=phase, containerStatuses=statuses)
        job_status = (place.client.get(kinds.JOB, place.namespace, job) or {}).get("status") or {}
        return any(each["type"] in ("Complete", "Failed") for each in job_status.get("conditions") or ())

    server.until(f"Job {job} has ended", ended)


def start(place: Place, name: str, job: str) -> None:
    """As `kubectl create job --from` does."""
    maker = dict(place.client.get(kinds.CRON_JOB, place.namespace, name) or {})
    spec = maker["spec"]["jobTemplate"]["spec"]
    place.create(kinds.JOB, job, metadata=owned({**maker, "apiVersion": "batch/v1", "kind": "CronJob"}), spec=spec)
    server.until(f"Job {job} has a pod that runs", lambda: _running(place, job))


def _running(place: Place, job: str) -> bool:
    found = pods_of(place, job)
    return bool(found) and all((each.get("status") or {}).get("phase") == "Running" for each in found)


def fill(place: Place) -> None:
    for name, (of_cron_job, of_job, runs) in SHAPES.items():
        make(place, name, kinds.CRON_JOB, service_account=WEB)
        change: Raw = {**of_cron_job, "jobTemplate": {"spec": of_job}}
        place.client.merge(kinds.CRON_JOB, place.namespace, name, {"spec": change})
        for number, phase in enumerate(runs):
            start(place, name, f"{name}-{number}")
            if phase != "Running":
                end(place, f"{name}-{number}", phase)
    for name in (ONCE, STILL):
        place.create(kinds.SERVICE_ACCOUNT, name)
        make(place, name, kinds.JOB, service_account=name)
    end(place, ONCE, "Succeeded")


def templates(place: Place) -> dict[str, Any]:
    return {
        each["metadata"]["name"]: (each["spec"], each["metadata"].get("annotations"))
        for each in place.client.list_all(kinds.CRON_JOB, place.namespace)
    }


def rows(played: Played, place: Place) -> dict[str, Row]:
    found = played.rows()
    assert found, played.output
    return {key.rpartition("/")[2]: row for key, row in found.items() if key.split("/")[1] == place.namespace}


def move(world: World, place: Place, until: str, **options: Any) -> dict[str, Row]:
    chosen = [f"{place.namespace}/CronJob/{name}" for name in SHAPES]
    given = {
        "exchange_samples": 1,
        "soak_seconds": 1,
        "shorten_soak": True,
        "confirm": AZURE["cluster_name"],
        **options,
    }
    return rows(world.migrate({"": place}, until=until, workloads=chosen, **given), place)


@pytest.mark.soak
def test_twelve_shapes_go_forth_and_back(site: Site, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(running(site, tmp_path))
        webhook = stack.enter_context(workload_identity.running(site.api_server))
        place = stack.enter_context(migration_site.place(site, webhook))
        place.identity(trusted=False)
        place.account("")
        fill(place)
        before = templates(place)
        plan = world.migrate({"": place}).stats["workload_identity_migration_plan"]["localhost"]
        assert f"Job {place.namespace}/{ONCE}" in plan["ended"]
        (still,) = [each for each in plan["templates"] if each["kind"] == "Job"]
        assert (still["name"], [each["code"] for each in still["blocked"]]) == (STILL, ["template_immutable"])
        there(world, place)
        back(world, place, before)


def there(world: World, place: Place) -> None:
    """Each leaves once it has run with Workload ID, and not before; what ended or runs holds up nobody."""
    switched = move(world, place, "switch")
    assert {name: row[0] for name, row in switched.items()} == dict.fromkeys(SHAPES, "switched"), switched
    soaking = move(world, place, "leave")
    for name, (state, _next, why) in soaking.items():
        runs = "concurrent" if name == "concurrent" else "forbidding" if name == "forbidding" else ""
        assert state == "soaking" and ("has not ended yet" if runs else "kubectl -n ") in why, (name, why)
    for name in ("concurrent", "forbidding"):
        for number, _phase in enumerate(SHAPES[name][2]):
            end(place, f"{name}-{number}", "Succeeded")
    proved = sorted(SHAPES.keys() - {"suspended", "never-ran"})
    for name in proved:
        start(place, name, f"{name}-proof")
        end(place, f"{name}-proof", "Failed" if name == "failed" else "Succeeded")
    left = move(world, place, "leave")
    for name, (state, _next, why) in left.items():
        if name == "failed":
            assert state == "soaking" and "ran with Workload ID and failed" in why, why
        else:
            assert state == ("left" if name in proved else "soaking"), (name, why)


def back(world: World, place: Place, before: dict[str, Any]) -> None:
    """Also those that have left, and though ended Jobs name the service account; what runs keeps what it needs."""
    start(place, "failed", "failed-late")
    chosen = [f"{place.namespace}/CronJob/{name}" for name in SHAPES]
    world.node.client_ids[place.namespace] = place.client_id
    returned = rows(world.migrate({"": place}, undo=True, workloads=chosen), place)
    assert {name: row[0] for name, row in returned.items()} == dict.fromkeys(SHAPES, "original"), returned
    assert "began with Workload ID" in returned["failed"][2] and templates(place) == before
    assert len(place.trusted_by_identity()) == 1
    end(place, "failed-late", "Succeeded")
    played = world.migrate({"": place}, undo=True, workloads=chosen)
    assert rows(played, place) == dict.fromkeys(SHAPES, ("original", "", "")) and played.status == 0, played.output
    assert place.trusted_by_identity() == [] and templates(place) == before
    account = place.client.get(kinds.SERVICE_ACCOUNT, place.namespace, WEB) or {}
    assert "annotations" not in account["metadata"]
