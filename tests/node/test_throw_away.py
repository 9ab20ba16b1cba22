# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who answers a free address of a node's pods: a node that routes, and a metadata service behind it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.node.lab import Node, until
from ansible_collections.azureops.pod_identity.tests.node.pod_nodes import PODS, everything, node_of_azure
from ansible_collections.azureops.pod_identity.tests.node.states import State, lay


def ask(node: Node, **options: Any) -> dict[str, Any]:
    node.request("imds_answer_info", {"method": "throw_away_namespace", "pod_cidr": PODS, "timeout": 2, **options})
    answered = node.finish()
    assert not answered.get("failed"), answered
    answer: dict[str, Any] = answered["answer"]
    return answer


def test_the_metadata_service_proves_itself_and_nothing_stays() -> None:
    with node_of_azure() as (node, imds):
        lay(node, State("none", "plain", ("nft",)))
        before = everything(node)
        answer = ask(node)
        assert (answer["answered_by"], answer["proved"]) == ("imds", True), answer
        assert imds.readline() == "asked by 10.244.0.254\n"
        assert everything(node) == before


@pytest.mark.parametrize("shape", ["R0", "R2", "R4"])
def test_a_dead_rule_refuses_the_address_as_it_does_a_pods(shape: str) -> None:
    """R0 and R2 are for addresses of pods alone."""
    with node_of_azure() as (node, dummy):
        lay(node, State(shape, "plain", ("nft",)))
        answer = ask(node)
        assert (answer["answered_by"], answer["proved"]) == ("nobody", False), answer
        assert "refused" in answer["message"]


def test_silence_proves_nothing() -> None:
    """Azure does not know the address, or a rule leads nowhere: the same from within."""
    with node_of_azure(way_back=False) as (node, dummy):
        silent = ask(node)
        lay(node, State("R4", "plain", ("nft",)))
        node.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet")
        assert ask(node) == silent
    assert (silent["answered_by"], silent["proved"]) == ("unknown", False)
    assert "10.244.0.254" in silent["message"]


def test_an_address_that_somebody_has_is_not_taken() -> None:
    with node_of_azure() as (node, imds):
        node.run("ip", "route", "add", "10.244.0.254/32", "dev", "lo")
        node.run("ip", "neighbour", "add", "10.244.0.253", "lladdr", "02:00:00:00:00:01", "dev", "eth0")
        node.run("ip", "address", "add", "10.244.0.252/32", "dev", "lo")
        assert ask(node)["proved"]
        assert imds.readline() == "asked by 10.244.0.251\n"
        taken = ask(node, pod_cidr="10.244.0.252/30")
        assert (taken["answered_by"], "No address of 10.244.0.252/30 is free" in taken["message"]) == ("unknown", True)


def test_a_clean_up_that_finds_nothing_asks_as_well() -> None:
    def clean(check: bool = False, **options: Any) -> dict[str, Any]:
        given = {"answer_method": ["throw_away_namespace"], "pod_cidr": PODS}
        node.request("imds_iptables_cleanup", {"save_directory": str(node.folder), **given, **options}, check=check)
        done = node.finish()
        assert not done.get("failed"), done
        return done

    with node_of_azure() as (node, imds):
        lay(node, State("R4", "plain", ("nft",)))
        assert "answer" not in clean(check=True)
        removed = clean()
        assert removed["changed"] and "answer" not in removed
        assert "answer" not in clean(check=True) and "answer" not in clean(answer_method=[])
        before = everything(node)
        answer = clean()["answer"]
        assert (answer["answered_by"], answer["method"]) == ("imds", "throw_away_namespace"), answer
        assert imds.readline() == "asked by 10.244.0.254\n"
        assert everything(node) == before
        unknown = clean(pod_cidr="fd00::/64")["answer"]
        assert (unknown["answered_by"], "give a range" in unknown["message"]) == ("unknown", True)


def test_a_killed_task_leaves_nothing() -> None:
    with node_of_azure(seconds=60) as (node, imds):
        before = node.run("ip", "-oneline", "link")
        options = {"method": "throw_away_namespace", "pod_cidr": PODS, "timeout": 3}
        node.request("imds_answer_info", options)
        assert imds.readline().startswith("asked by")
        assert node.run("ip", "-oneline", "link") != before
        (task,) = node.run("pgrep", "-P", str(node.pid)).split()
        node.run("kill", "-KILL", task)
        until(lambda: node.run("ip", "-oneline", "link") == before, "the end of the link")


def test_what_cannot_be_asked_is_said() -> None:
    with Node() as node:
        unknown = ask(node, pod_cidr=None)
        assert (unknown["answered_by"], "is not known" in unknown["message"]) == ("unknown", True)
        node.request("imds_answer_info", {"method": "throw_away_namespace", "pod_cidr": "fd00::/64"})
        assert "give a range of IPv4 addresses" in node.finish()["msg"]
    with Node(entrance=["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]) as node:
        refused = ask(node)
        assert (refused["answered_by"], "makes no network namespace" in refused["message"]) == ("unknown", True)


@pytest.mark.parametrize("program", ["ip", "unshare"])
def test_what_the_question_meets_leaves_what_the_clean_up_found(program: str) -> None:
    """A program that the kernel does not run."""
    with node_of_azure() as (node, dummy):
        lay(node, State("none", "plain", ("nft",)))
        broken = node.folder / program
        broken.write_bytes(b"\0")
        broken.chmod(0o755)
        node.run("sh", "-c", f'mount --bind "$1" "$(readlink -f "$(command -v {program})")"', "sh", broken)
        done = node.cleanup(answer_method=["throw_away_namespace"], pod_cidr=PODS)
        assert "nft" in done["result"]["backends"]
        answer = done["answer"]
        assert (answer["answered_by"], "Exec format error" in answer["message"]) == ("unknown", True), answer
