# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module cluster_lease against a real API server: one run at a time, whatever happens to it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import LEASE
from ansible_collections.azureops.pod_identity.plugins.modules import cluster_lease
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import INTERRUPT, strike
from ansible_collections.azureops.pod_identity.tests.support.players import Player, finish, kill

MODULE = "azureops.pod_identity.cluster_lease"
LABEL = f"Lease {lease.NAMESPACE}/{lease.NAME}"
# Of a machine that is not this one.
ELSEWHERE = {"holder": "bob@elsewhere, process 7", "process": "boot/1/7/5"}
ALICE = {"holder": "alice@laptop, process 9", "process": "boot/2/9/5"}


@pytest.fixture
def run(api_server: ApiServer, client: Client) -> Iterator[Runner]:
    client.delete(LEASE, lease.NAMESPACE, lease.NAME)
    yield Runner(api_server, "cluster_lease")
    client.delete(LEASE, lease.NAMESPACE, lease.NAME)


def held(client: Client) -> str:
    found = client.get(LEASE, lease.NAMESPACE, lease.NAME)
    return str(found["spec"]["holderIdentity"]) if found else ""


def test_it_is_taken_renewed_and_given_back(run: Runner, client: Client) -> None:
    predicted = run(check=True, **ALICE).ok()
    assert (predicted["changed"], predicted["actions"], held(client)) == (True, [f"take {LABEL}"], "")
    assert predicted["lease"] == {"holder": ALICE["holder"], "duration": 3600}
    taken = run(**ALICE, duration=60).ok()
    assert taken["changes"] == predicted["changes"]
    assert (taken["actions"], taken["lease"]["holder"], held(client)) == (
        predicted["actions"],
        ALICE["holder"],
        ALICE["holder"],
    )
    assert taken["diff"]["before"] == {}
    first = client.get(LEASE, lease.NAMESPACE, lease.NAME)
    assert run(**ALICE, renew_only=True).ok()["actions"] == [f"renew {LABEL}"]
    second = client.get(LEASE, lease.NAMESPACE, lease.NAME)
    assert first and second
    assert first["spec"]["acquireTime"] == second["spec"]["acquireTime"]
    assert second["spec"]["leaseDurationSeconds"] == 3600
    assert not run(**ELSEWHERE, state="absent").ok()["changed"]
    assert held(client) == ALICE["holder"]
    assert run(**ALICE, state="absent").ok()["actions"] == [f"give back {LABEL}"]
    assert not run(**ALICE, state="absent").ok()["changed"]
    assert held(client) == ""


def test_who_holds_it_is_named(run: Runner, client: Client) -> None:
    run(**ELSEWHERE).ok()
    for check in (False, True):
        outcome = run(check=check, **ALICE)
        assert f"{ELSEWHERE['holder']} works on this cluster and holds {LABEL}" in outcome.failure()
        assert outcome.result["lease"]["holder"] == ELSEWHERE["holder"]
    outcome = run(**ALICE, wait_timeout=2, wait_sleep=1)
    assert ELSEWHERE["holder"] in outcome.failure()
    assert outcome.result["failed_action"] == f"take {LABEL} from {ELSEWHERE['holder']}"
    assert f"which {ELSEWHERE['holder']} has taken" in run(**ALICE, renew_only=True).failure()
    assert held(client) == ELSEWHERE["holder"]


def test_what_another_run_may_have_changed_is_not_gone_on_with(run: Runner) -> None:
    assert f"does not hold {LABEL} any more, so" in run(**ALICE, renew_only=True).failure()


def test_a_dead_run_elsewhere_keeps_it_for_its_time(run: Runner, client: Client) -> None:
    run(**ELSEWHERE).ok()
    assert ELSEWHERE["holder"] in run(**ALICE).failure()
    run(**ELSEWHERE, duration=5).ok()
    run(**ALICE, wait_timeout=30, wait_sleep=1).ok()
    assert held(client) == ALICE["holder"]
    found = client.get(LEASE, lease.NAMESPACE, lease.NAME)
    assert found and found["spec"]["leaseTransitions"] == 1


def test_of_many_that_try_at_once_one_gets_it(run: Runner, client: Client) -> None:
    """From nothing, and from one that has run out."""
    for number in range(2):
        with ThreadPoolExecutor(6) as pool:
            tried = list(pool.map(lambda each: run(holder=f"run {each}", process=""), range(number, number + 6)))
        assert sorted(outcome.rc for outcome in tried) == [0] + [1] * 5, [outcome.output for outcome in tried]
        (taken,) = [outcome.result["lease"]["holder"] for outcome in tried if outcome.rc == 0]
        assert held(client) == taken
        assert all(taken in outcome.failure() for outcome in tried if outcome.rc)
        past = {"holderIdentity": "gone", "renewTime": "2020-01-01T00:00:00.000000Z"}
        client.merge(LEASE, lease.NAMESPACE, lease.NAME, {"spec": past})


def test_each_of_them_gets_it_who_waits(run: Runner, client: Client) -> None:
    def work(number: int) -> None:
        whose = {"holder": f"run {number}", "process": ""}
        run(**whose, wait_timeout=60, wait_sleep=1).ok()
        assert held(client) == f"run {number}"
        run(**whose, renew_only=True).ok()
        run(**whose, state="absent").ok()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert held(client) == ""


def test_who_may_not_is_told(run: Runner) -> None:
    outcome = run(token=server.RESTRICTED, **ALICE)
    assert "may not get leases.coordination.k8s.io in namespace default" in outcome.failure()


def test_two_playbooks(run: Runner, api_server: ApiServer, client: Client, tmp_path: Path) -> None:
    """The one that holds it is named by its process, and does not keep it when it is killed."""
    task = {MODULE: {"kubeconfig": api_server.kubeconfig()}}
    renew = {MODULE: {**task[MODULE], "renew_only": True}}
    first = Player(tmp_path / "first").start([task, renew, {"ansible.builtin.pause": {"seconds": 60}}])
    try:
        server.until("the first playbook holds the Lease", lambda: bool(held(client)))
        assert held(client).endswith(f", process {first.pid}")
        output = Player(tmp_path / "second").play([task])[1]
        assert re.search(rf"process {first.pid} works on this cluster", " ".join(output.split())), output
    finally:
        kill(first)
    assert held(client).endswith(f", process {first.pid}")
    again = Player(tmp_path / "third").start([task])
    status, output = finish(again, 120)
    assert status == 0, output
    assert held(client) == ""  # it goes with whoever does not give it back


def test_ctrl_c_frees_it(run: Runner, api_server: ApiServer, client: Client, tmp_path: Path) -> None:
    task = {MODULE: {"kubeconfig": api_server.kubeconfig()}}
    play = Player(tmp_path / "player").start([task, {"ansible.builtin.pause": {"seconds": 60}}])
    try:
        server.until("the playbook holds the Lease", lambda: bool(held(client)))
        strike(play.pid, INTERRUPT)
        finish(play, 30)
    finally:
        kill(play)
    assert held(client) == ""


def test_a_run_that_died_in_another_process_namespace_holds_nobody_up(
    run: Runner, api_server: ApiServer, client: Client, tmp_path: Path
) -> None:
    """As commands of a workstation may have one each; while it lives it is known to."""
    task = {MODULE: {"kubeconfig": api_server.kubeconfig()}}
    player = Player(tmp_path / "player")
    command, environment = player._command([task, {"ansible.builtin.pause": {"seconds": 60}}])
    namespace = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc"]
    first = subprocess.Popen([*namespace, *command], env=environment, stdin=subprocess.DEVNULL, text=True)
    try:
        server.until("the first playbook holds the Lease", lambda: bool(held(client)))
        output = Player(tmp_path / "second").play([task])[1]
        assert "that run still works on this machine" in " ".join(output.split()), output
    finally:
        first.kill()
        first.wait()
    assert held(client)
    server.until("it is free", lambda: Player(tmp_path / f"again{time.time()}").play([task])[0] == 0)


def test_the_examples(run: Runner, api_server: ApiServer, client: Client, tmp_path: Path) -> None:
    text = cluster_lease.EXAMPLES.replace("/etc/ansible/prod.kubeconfig", api_server.kubeconfig())
    status, output = Player(tmp_path / "player").play(yaml.safe_load(text))
    assert (status, "changed=3 " in output, held(client)) == (0, True, ""), output
