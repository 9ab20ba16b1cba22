# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection that the roles of one run share."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

CLUSTER = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/"
CONTEXT = {"name": "one", "context": {"cluster": "one", "user": "one"}}
SERVER = {"name": "one", "cluster": {"server": "https://127.0.0.1:9"}}


def until(condition: Callable[[], object], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


@cases(
    "found, status, said",
    ("same", {"id": CLUSTER.upper() + "ONE", "name": "one", "resource_group": "rg"}, 0, "failed=0"),
    ("another", {"id": CLUSTER + "two", "name": "two", "resource_group": "rg"}, 2, "(which is another)"),
)
def test_a_kept_connection_is_to_one_cluster(player: Player, found: dict[str, Any], status: int, said: str) -> None:
    kept = {"owner": "somebody", "directory": "/nowhere", "cluster": CLUSTER + "one"}
    facts = {"pod_identity_session": {"cluster": found, "connection": kept}}
    named = {"pod_identity_cluster_name": found["name"], "pod_identity_resource_group": "rg"}
    tasks = [{"ansible.builtin.set_fact": facts}, role("pod_identity_cluster", "connect")]
    done, output = player.play(tasks, **named)
    assert (done, said in output) == (status, True), output
    assert ("keeps a connection to" in output) == (status != 0)


def test_a_prediction_ends_where_it_began(player: Player) -> None:
    """Whatever connects in it; and a role that begins later does not go on with one that came to no end."""
    session = "azureops.pod_identity.cluster_session"
    predicted = {"id": CLUSTER + "one", "name": "one", "resource_group": "rg", "fqdn": "(known after apply)"}

    def to(state: str, *claims: str, **arguments: Any) -> list[dict[str, Any]]:
        task = {session: {"state": state, **arguments}, "register": "pod_identity_session", "ignore_errors": True}
        return [task, {"ansible.builtin.assert": {"that": list(claims)}}]

    was, found = "pod_identity_session.cluster.fqdn is undefined", "pod_identity_session.cluster.fqdn is defined"
    known = {"id": CLUSTER + "one", "name": "one", "resource_group": "rg"}
    begin = [*to("known", was, cluster=known), *to("predicted", was), *to("known", found, cluster=predicted)]
    connect = to(
        "connected", found, "pod_identity_session.before is defined", "not pod_identity_session.connection.reachable"
    )
    gone = "pod_identity_session.before is undefined"
    tasks = [
        *(*begin, *connect, *to("restored", was, gone, "pod_identity_session.connection == {}")),
        *(*begin, *to("asked", was, gone)),
    ]
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    status, output = player.play(tasks, "--check", **named)
    assert (status, list(player.temporary.glob("azureops-pod-identity-*"))) == (0, []), output


def test_what_a_killed_run_left_is_removed(player: Player, tmp_path: Path) -> None:
    """And nothing that a live run uses, or that is not ours."""
    kubeconfig, gate = tmp_path / "kubeconfig", tmp_path / "gate"
    kubeconfig.write_text(json.dumps({"current-context": "one", "contexts": [CONTEXT], "clusters": [SERVER]}))
    connect, disconnect = role("pod_identity_cluster", "connect"), role("pod_identity_cluster", "disconnect")
    hold = [connect, {"ansible.builtin.wait_for": {"path": str(gate), "timeout": 600}}, disconnect]
    named = {"pod_identity_kubeconfig": str(kubeconfig)}

    def directories() -> set[Path]:
        return set(player.temporary.glob("azureops-pod-identity-*"))

    try:
        killed = player.start(hold, **named)
        until(lambda: len(directories()) == 1)
        (left,) = directories()
        killed.send_signal(signal.SIGKILL)  # a zombie until it is waited for
        foreign = {player.temporary / "azureops-pod-identity-open", player.temporary / "azureops-pod-identity-new"}
        for path in foreign:
            path.mkdir(0o755 if path.name.endswith("open") else 0o700)
        live = player.start(hold, **named)
        until(lambda: left not in directories())
        until(lambda: len(directories()) == 3)
        (used,) = directories() - foreign
        assert used.stat().st_mode & 0o777 == 0o700
        status, output = player.play([connect, disconnect], **named)
        assert status == 0, output
        assert directories() == {used, *foreign}
    finally:
        gate.touch()
        killed.communicate()
    output, _none = live.communicate(timeout=60)
    assert live.returncode == 0, output
    assert directories() == foreign


@pytest.mark.parametrize("arguments", [(), ("--check", "--diff")], ids=["run", "check"])
def test_whoever_connected_disconnects(player: Player, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nobody else, and as often as it is asked; the next connection is a new one."""
    kubeconfig, directories = tmp_path / "kubeconfig", str(player.temporary / "azureops-pod-identity-*")
    kubeconfig.write_text(json.dumps({"current-context": "one", "contexts": [CONTEXT], "clusters": [SERVER]}))
    connect, disconnect = role("pod_identity_cluster", "connect"), role("pod_identity_cluster", "disconnect")
    session, mine = "azureops.pod_identity.cluster_session", {"owner": "mine"}
    connect_mine = {session: mine, "register": "pod_identity_session"}
    disconnect_mine = {session: {**mine, "state": "absent"}, "register": "pod_identity_session"}
    open_connections = f"lookup('ansible.builtin.pipe', 'ls -d {directories} | wc -l') | int"

    def left(number: int, reachable: str) -> dict[str, Any]:
        fact = f"pod_identity_session.connection.{reachable}"
        return {"ansible.builtin.assert": {"that": [f"{open_connections} == {number}", fact]}}

    tasks = [
        *(disconnect, connect_mine, left(1, "reachable"), disconnect, left(1, "reachable")),
        *(connect_mine, left(1, "owner == 'mine'"), disconnect_mine, disconnect_mine),
        *(left(0, "owner is undefined"), left(0, "directory is undefined"), connect, left(1, "reachable"), disconnect),
    ]
    status, output = player.play(tasks, *arguments, pod_identity_kubeconfig=str(kubeconfig))
    assert (status, "changed=0" in output) == (0, True), output
    assert list(player.temporary.glob("azureops-pod-identity-*")) == []


def test_an_interrupted_run_leaves_nothing(player: Player, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"current-context": "one", "contexts": [CONTEXT], "clusters": [SERVER]}))
    begun = tmp_path / "begun"
    # In one task, so that it is under way: between two of them ansible-core may lose the signal.
    task = {"ansible.builtin.shell": f"touch {begun}; sleep 100"}
    tasks = [role("pod_identity_cluster", "connect"), task]
    play = player.start(tasks, pod_identity_kubeconfig=str(kubeconfig))
    until(begun.exists)
    assert list(player.temporary.glob("azureops-pod-identity-*"))
    play.send_signal(signal.SIGINT)
    output, _none = play.communicate(timeout=60)
    assert list(player.temporary.glob("azureops-pod-identity-*")) == [], output


@cases(
    "variables, said",
    ("nothing", {}, "No cluster is named; set"),
    ("absent", {"pod_identity_kubeconfig": "/nowhere"}, "/nowhere', and there is no such file"),
)
def test_without_a_way_to_an_api_server_nothing_is_left(player: Player, variables: dict[str, str], said: str) -> None:
    status, output = player.play([role("pod_identity_cluster", "connect")], **variables)
    assert (status, said in output) == (2, True), output
    assert list(player.temporary.glob("azureops-pod-identity-*")) == []


@table(
    "tasks_from, variables",
    ("connect", {"pod_identity_cluster_name": "one"}),
    ("begin", {"pod_identity_cluster_name": "one"}),
    ("begin", {"pod_identity_resource_group": "rg"}),
)
def test_a_cluster_is_named_by_the_role_alone(player: Player, tasks_from: str, variables: dict[str, str]) -> None:
    """A name or a group that is for modules names none."""
    defaults = {"azureops.pod_identity.aks_cluster_info": {"name": "other", "resource_group": "other"}}
    whole = {
        "hosts": "localhost",
        "module_defaults": defaults,
        "vars": variables,
        "tasks": [role("pod_identity_cluster", tasks_from)],
    }
    status, output = player.play(whole)
    told = "No cluster is named; set pod_identity_cluster_name and pod_identity_resource_group." in output
    assert (status, told) == (2, True), output


@cases(
    "play",
    ("defaults", {"module_defaults": {"group/azureops.pod_identity.kubernetes": {"kubeconfig": "{{ place }}"}}}),
    ("environment", {"environment": {"K8S_AUTH_KUBECONFIG": "{{ place }}"}}),
)
def test_what_is_set_for_modules_is_for_the_session_too(player: Player, play: dict[str, Any]) -> None:
    whole = {"hosts": "localhost", "vars": {"place": "/nowhere"}, "tasks": [role("pod_identity_cluster", "connect")]}
    status, output = player.play({**whole, **play})
    assert (status, "/nowhere does not exist" in output) == (2, True), output
    assert list(player.temporary.glob("azureops-pod-identity-*")) == []
