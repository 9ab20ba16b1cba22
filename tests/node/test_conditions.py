# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node can be like besides its rules: locked, watched, without programs, without privileges, with a live NMI."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.node import promises
from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, Node, running, until
from ansible_collections.azureops.pod_identity.tests.node.states import CHAIN, State, inhabited, lay

R4 = "R4"


@pytest.fixture(autouse=True, params=[False, True], ids=["module", "raw"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds where the node has no Python."""
    monkeypatch.setattr(Node, "raw", request.param)


@contextmanager
def stale(*where: str, entrance: Sequence[str] = ()) -> Iterator[Node]:
    """A node with kube-proxy's rules and with what a dead NMI 1.6.2 or later left."""
    with inhabited(where, entrance=entrance) as node:
        lay(node, State(R4, "plain", where))
        yield node


def holds_chain(node: Node, back_end: str) -> bool:
    return f":{CHAIN} - [0:0]\n" in node.save(back_end).partition(" -A ")[0]


def hide(node: Node, program: str) -> None:
    """Make a program something that cannot be run, in this node only."""
    node.run("mount", "--bind", "/dev/null", program)


def test_the_machines_own_rules_are_not_ours_to_touch() -> None:
    def here() -> str:
        names = Path("/proc/net/ip_tables_names")
        return (names.read_text() if names.exists() else "") + os.readlink("/proc/self/ns/net")

    before = here()
    with stale(*BACK_ENDS) as node:
        assert node.run("readlink", "/proc/self/ns/net").strip() != os.readlink("/proc/self/ns/net")
        assert "default" not in node.run("ip", "route")
        node.cleanup()
    assert here() == before


def test_a_held_lock_is_waited_for() -> None:
    with stale("legacy") as node:
        with running(node, "sh", "-c", "flock /run/xtables.lock sh -c 'echo held; cat'") as holder:
            assert holder.readline() == "held\n"
            node.start(lock_timeout=60)
            until(lambda: "iptables-legacy" in node.run("ps", "-eo", "args"), "the wait for the lock")
        answer = node.finish()
        assert answer["changed"] and not holds_chain(node, "legacy")


def test_a_lost_lock_is_tried_once_more() -> None:
    def waiting(node: Node) -> set[str]:
        lines = node.run("ps", "-eo", "pid,args").splitlines()
        return {line.split()[0] for line in lines if "iptables-legacy -w" in line}

    with stale("legacy") as node:
        with running(node, "sh", "-c", "flock /run/xtables.lock sh -c 'echo held; cat'") as holder:
            assert holder.readline() == "held\n"
            node.start(lock_timeout=2)
            until(lambda: waiting(node), "the first wait for the lock")
            first = waiting(node)
            until(lambda: waiting(node) - first, "the second wait for the lock")
        answer = node.finish()
        assert answer["changed"] and not holds_chain(node, "legacy")


def test_a_rule_that_vanishes_between_look_and_command_is_no_failure() -> None:
    with stale("legacy") as node:
        (jump,) = [line for line in node.save("legacy").splitlines() if line.endswith(f"-A PREROUTING -j {CHAIN}")]
        with running(node, "sh", "-c", "flock /run/xtables.lock sh -c 'echo held; cat'") as holder:
            assert holder.readline() == "held\n"
            node.start(lock_timeout=60)
            until(lambda: "iptables-legacy -w" in node.run("ps", "-eo", "args"), "the wait for the lock")
            words = jump.partition("-A ")[2].split()
            node.run("env", "XTABLES_LOCKFILE=/run/other.lock", "iptables-legacy", "-t", "nat", "-D", *words)
        answer = node.finish()
        assert answer["changed"] and not holds_chain(node, "legacy")
        assert answer["result"]["backends"]["legacy"]["concurrent_changes"]["gone"] == []


LOCKED_CHAIN = """#!/bin/sh
case " $* " in *" -X "*) echo "Another app is currently holding the xtables lock." >&2; exit 4;; esac
exec /usr/sbin/iptables-nft "$@"
"""


def test_what_was_removed_before_a_failure_is_told() -> None:
    with stale("nft") as node:
        program = node.folder / "iptables-nft"
        program.write_text(LOCKED_CHAIN)
        program.chmod(0o755)
        answer = node.refusal(environment={"PATH": f"{node.folder}:{os.environ['PATH']}"})
        back_end = answer["result"]["backends"]["nft"]
        assert [item["rule"] for item in back_end["found"]] == [*back_end["removed"], f"-N {CHAIN}"]
        assert back_end["counts"]["removed"] == 3
        assert holds_chain(node, "nft") and f"-j {CHAIN}\n" not in node.save("nft")


def test_a_lock_that_stays_held_changes_nothing() -> None:
    with stale("legacy") as node:
        before = node.saves()
        with running(node, "sh", "-c", "flock /run/xtables.lock sh -c 'echo held; cat'") as holder:
            assert holder.readline() == "held\n"
            answer = node.refusal(lock_timeout=1)
        assert "xtables lock for 1 seconds, twice" in answer["msg"] and "lock_timeout" in answer["msg"]
        assert answer["failed_action"].startswith("remove 3 rules and 1 chain from the legacy")
        assert node.saves() == before


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_back_end_without_programs_fails_only_when_it_holds_a_table(back_end: str) -> None:
    (other,) = set(BACK_ENDS) - {back_end}
    with stale(other) as node:
        hide(node, f"/usr/sbin/xtables-{back_end}-multi")
        answer = node.cleanup()
        assert answer["changed"]
        assert not answer["result"]["backends"][back_end]["inspected"]
        assert f"no program iptables-{back_end}" in answer["result"]["backends"][back_end]["reason"]
        assert f"The {back_end} back end is not inspected" in str(answer["warnings"])
    with stale(back_end) as node:
        hide(node, f"/usr/sbin/xtables-{back_end}-multi")
        assert f"The kernel holds a {back_end} nat table" in node.refusal()["msg"]


def test_a_node_without_any_program_and_table_is_clean() -> None:
    with Node() as node:
        for back_end in BACK_ENDS:
            hide(node, f"/usr/sbin/xtables-{back_end}-multi")
        hide(node, "/usr/sbin/conntrack")
        answer = node.cleanup()
        assert not answer["changed"] and len(answer["warnings"]) == 3


def test_without_conntrack_the_rules_go_and_it_is_said() -> None:
    with stale("nft") as node:
        hide(node, "/usr/sbin/conntrack")
        answer = node.cleanup()
        assert answer["changed"] and not holds_chain(node, "nft")
        assert answer["result"]["conntrack"]["reason"] == "the node has no program conntrack"
        assert "until it connects anew" in str(answer["warnings"])


def test_only_the_plain_names_of_a_node_are_found() -> None:
    """An image may carry iptables of one back end under its plain name only."""
    with stale("legacy") as node:
        node.run("sh", "-c", "cp /usr/sbin/xtables-legacy-multi /run/multi && mount -t tmpfs hide /usr/sbin")
        for name in ("iptables", "iptables-save"):
            node.run("sh", "-c", f"cp /run/multi /usr/sbin/{name}")
        answer = node.cleanup()
        assert answer["result"]["backends"]["legacy"]["counts"]["removed"] == 4
        assert not answer["result"]["backends"]["nft"]["inspected"]


UNPRIVILEGED = {
    "no-net-admin": ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    "user-namespace": ["unshare", "--user", "--map-root-user"],
    "another-user": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    + ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"],  # reads the tests wherever they lie
}


@pytest.mark.parametrize("entrance", UNPRIVILEGED.values(), ids=UNPRIVILEGED)
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_without_privileges_one_sentence_says_so(entrance: list[str], back_end: str) -> None:
    with Node(entrance=entrance) as node:
        lay(node, State(R4, "plain", (back_end,)))
        before = node.saves()
        message = node.refusal()["msg"]
        assert "needs root with CAP_NET_ADMIN" in message and "become" in message
        assert node.saves() == before


def test_an_unreadable_proc_is_named() -> None:
    with Node() as node:
        node.run("sh", "-c", "mount -t tmpfs nothing /proc")
        assert "/proc cannot be read" in node.refusal()["msg"]


def test_a_process_named_nmi_is_an_nmi() -> None:
    with stale("nft") as node:
        nmi = node.folder / "nmi"
        shutil.copy("/bin/cat", nmi)
        before = node.saves()
        with running(node, nmi):
            answer = node.refusal(check=True)
            assert node.refusal()["result"]["nmi"] == answer["result"]["nmi"]
            (seen,) = answer["result"]["nmi"]
            assert f"({nmi})" in seen and seen in answer["msg"] and "force" in answer["msg"]
            assert answer["result"]["backends"]["nft"]["counts"]["found"] == 4
            assert node.saves() == before
            assert node.cleanup(force=True)["result"]["nmi"] == [seen]
        assert not holds_chain(node, "nft")


def test_an_nmi_that_was_stopped_is_an_nmi() -> None:
    """It neither answers nor listens, and goes on writing its rules when somebody lets it."""
    with stale("nft") as node:
        nmi = node.folder / "nmi"
        shutil.copy("/bin/cat", nmi)
        with running(node, nmi):
            until(lambda: f"{nmi}\n" in node.run("ps", "-eo", "args"), "the start of the program")
            lines = node.run("ps", "-eo", "pid,args").splitlines()
            (number,) = [line.split()[0] for line in lines if line.endswith(f" {nmi}")]
            node.run("kill", "-STOP", number)
            try:
                assert f"({nmi})" in node.refusal()["msg"]
            finally:
                node.run("kill", "-CONT", number)


def test_an_nmi_of_another_network_namespace_is_none() -> None:
    with stale("nft") as node, Node() as other:
        nmi = node.folder / "nmi"
        shutil.copy("/bin/cat", nmi)
        with running(other, nmi):
            assert node.cleanup()["changed"]


def test_an_nmi_in_a_pid_namespace_of_its_own_is_an_nmi() -> None:
    with stale("nft") as node:
        nmi = node.folder / "nmi"
        shutil.copy("/bin/cat", nmi)
        with running(node, "unshare", "--pid", "--fork", "--mount-proc", nmi):
            until(lambda: f"{nmi}\n" in node.run("ps", "-eo", "args"), "the start of the program")
            assert f"({nmi})" in node.refusal()["msg"]


def test_an_nmi_that_a_container_cannot_see_is_known_by_its_listener() -> None:
    """The task has processes of its own, and the network of the host."""
    with stale("nft", entrance=["unshare", "--pid", "--fork", "--mount-proc"]) as node:
        with running(node, sys.executable, "-c", LISTEN, "127.0.0.1", "2579") as nmi:
            assert nmi.readline() == "listening\n"
            assert node.refusal()["result"]["nmi"] == ["a listener on 127.0.0.1 port 2579"]


# Root of a group that /proc does not make an exception for, without the right to look into processes that may do more.
UNSEEING = ["--regid=65534", "--clear-groups", "--bounding-set=-sys_ptrace,-wake_alarm", "--inh-caps=-all"]


@pytest.mark.parametrize(
    ("hidden", "named"), [("off", "/ns/net"), ("noaccess", "/proc/1/cmdline"), ("invisible", "/proc/1/cmdline")]
)
def test_a_process_that_cannot_be_looked_into_is_not_taken_for_none(hidden: str, named: str) -> None:
    script = f'mount -t proc -o hidepid={hidden} proc /proc && exec setpriv {" ".join(UNSEEING)} "$@"'
    with stale("nft", entrance=["sh", "-c", script, "sh"]) as node:
        nmi = node.folder / "nmi"
        shutil.copy("/bin/cat", nmi)
        before = node.saves()
        with running(node, nmi):
            until(lambda: f"{nmi}\n" in node.run("ps", "-eo", "args"), "the start of the program")
            message = node.refusal()["msg"]
        assert "/proc cannot be read" in message and f"{named}: " in message
        assert node.saves() == before


LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("listening", flush=True)
server.accept()
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_listener_on_the_port_that_the_rules_name_is_an_nmi(address: str) -> None:
    with inhabited(["legacy"]) as node:
        lay(node, State(R4, "plain", ("legacy",), 8579))
        with running(node, sys.executable, "-c", LISTEN, address, "8579") as output:
            assert output.readline() == "listening\n"
            assert node.refusal()["result"]["nmi"] == [f"a listener on {address} port 8579"]
        assert node.cleanup()["changed"]


def test_a_listener_on_the_port_that_the_options_name_is_an_nmi() -> None:
    """No rule names the port."""
    with inhabited(["legacy"]) as node:
        lay(node, State("empty", "plain", ("legacy",)))
        with running(node, sys.executable, "-c", LISTEN, "127.0.0.1", "8579") as output:
            assert output.readline() == "listening\n"
            assert node.refusal(nmi_port=8579)["result"]["nmi"] == ["a listener on 127.0.0.1 port 8579"]
            assert node.cleanup()["changed"]


def test_a_chain_that_comes_back_is_told() -> None:
    """Somebody writes it again each second, as an NMI does each minute: seen at once, or by the later looks."""
    with stale("nft") as node:
        again = f"while echo waits && sleep 1; do iptables-nft -t nat -N {CHAIN}; done"
        with running(node, "sh", "-c", again) as output:
            assert output.readline() == "waits\n"
            message = node.refusal(verify_seconds=120)["msg"]
        assert "NMI" in message and ("again" in message or "still holds" in message)


def test_a_chain_that_stays_away_is_verified() -> None:
    with stale("nft") as node:
        started = time.monotonic()
        assert node.cleanup(verify_seconds=3)["actions"][-1] == "see for 3 seconds that nothing comes back"
        assert time.monotonic() - started >= 3


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_what_others_write_at_the_same_time_is_kept_and_told(back_end: str) -> None:
    """kube-proxy writes by restore, without a break, before, while and after the module removes."""
    with inhabited([back_end]) as node:
        node.iptables(back_end, "-N", "KUBE-NEW")
        untouched = node.save(back_end)
        stop = threading.Event()
        written: list[str] = []

        def write() -> None:
            while not stop.is_set():
                rule = f"-A KUBE-NEW -s 10.1.{len(written) // 250}.{len(written) % 250}/32 -j RETURN"
                node.run(f"iptables-{back_end}-restore", "-w", "--noflush", text=f"*nat\n{rule}\nCOMMIT\n")
                written.append(rule)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            until(lambda: written, "the first write")
            told: list[str] = []

            def clean() -> bool:
                """Whether a write fell between the look and the removal, which the machine decides."""
                lay(node, State(R4, "duplicated", (back_end,)))
                changes = node.cleanup()["result"]["backends"][back_end]["concurrent_changes"]
                assert not changes["gone"]
                told.extend(changes["new"])
                return bool(told)

            until(clean, "a write during a clean-up")
        finally:
            stop.set()
            writer.join()
        assert set(told) <= set(written)
        lines = node.save(back_end).splitlines(keepends=True)
        assert [line.partition("] ")[2].strip() for line in lines if " -A KUBE-NEW " in line] == written
        assert "".join(line for line in lines if " -A KUBE-NEW " not in line) == untouched


WRONG_RULE = """#!/bin/sh
case " $* " in *" -D PREROUTING "*) exec /usr/sbin/iptables-nft -t nat -D PREROUTING 4;; esac
exec /usr/sbin/iptables-nft "$@"
"""


def test_a_foreign_rule_that_a_deletion_takes_ends_the_task_at_once() -> None:
    """An iptables that removes another rule than the one it was told."""
    with stale("nft") as node:
        wrong = node.folder / "iptables-nft"
        wrong.write_text(WRONG_RULE)
        wrong.chmod(0o755)
        before = node.save("nft").splitlines()
        answer = node.refusal(environment={"PATH": f"{node.folder}:{os.environ['PATH']}"})
        (lost,) = [line for line in before if line not in node.save("nft").splitlines() and "PREROUTING" in line]
        assert "are not NMI's are gone" in answer["msg"]
        assert answer["taken"] == [lost.partition("] ")[2]]
        assert Path(answer["result"]["backends"]["nft"]["saved_to"]).exists()


def test_a_full_disk_moves_the_saved_table_into_memory() -> None:
    with stale("nft") as node:
        node.run("sh", "-c", "mkdir /run/full && mount -t tmpfs -o size=4k full /run/full && echo > /run/full/file")
        answer = node.cleanup(save_directory="/run/full")
        path = answer["result"]["backends"]["nft"]["saved_to"]
        assert path.startswith("/run/azureops-pod-identity/") and CHAIN in node.run("cat", path)
        assert node.run("stat", "-c", "%a %u", path) == "600 0\n"
        assert node.run("ls", "/run/full") == "file\n"


def test_a_table_that_can_be_saved_nowhere_is_not_touched() -> None:
    with stale("nft") as node:
        before = node.saves()
        node.run("mount", "-o", "remount,ro", "/run")
        node.run("mount", "-t", "tmpfs", "-o", "ro", "shm", "/dev/shm")
        answer = node.refusal(save_directory="/run/saves")
        assert "cannot be saved anywhere" in answer["msg"] and "Read-only file system" in answer["msg"]
        assert node.saves() == before
        assert node.cleanup(save_directory="/run/saves", check=True)["changed"]


def test_only_connections_through_the_rules_are_ended() -> None:
    with Node() as node:
        promises.ends_connections(node)


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_workload_ids_proxy_goes_only_when_asked_for(back_end: str) -> None:
    with inhabited([back_end]) as node:
        promises.removes_proxy(node, back_end)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"nmi_port": 0}, "nmi_port"), ({"metadata_address": "::1"}, "metadata_address"), ({"lock_timeout": 0}, "lock")],
    ids=["nmi_port", "metadata_address", "lock_timeout"],
)
def test_options_are_checked_before_anything_is_looked_at(options: dict[str, object], name: str) -> None:
    with Node() as node:
        assert name in node.refusal(**options)["msg"]


def test_the_result_is_readable_for_every_reader() -> None:
    with inhabited(["nft"]) as node:
        lay(node, State(R4, "hostile", ("nft",)))
        json.dumps(node.cleanup(), ensure_ascii=False).encode("utf-8")
