# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes without Python: what they need instead, how often they are asked, and the action plugin that does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import raw_commands
from ansible_collections.azureops.pod_identity.tests.node import fleet
from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, Node
from ansible_collections.azureops.pod_identity.tests.node.pod_nodes import PODS, everything, node_of_azure
from ansible_collections.azureops.pod_identity.tests.node.promises import hold
from ansible_collections.azureops.pod_identity.tests.node.states import CHAIN, State, inhabited, lay

STATE = State("R4", "hostile", BACK_ENDS)
BUSYBOX = shutil.which("busybox") or "no busybox: run tests/sandbox/sandbox build debian"
SHELLS = [["/bin/sh"], ["bash", "--posix"], [BUSYBOX, "sh"]]


@pytest.fixture
def node() -> Iterator[Node]:
    with inhabited(BACK_ENDS) as node:
        node.raw = True
        yield node


def test_a_node_is_asked_as_rarely_as_can_be(node: Node) -> None:
    """Over run-command each time takes tens of seconds: two for a look; saving, removing and connections one each."""
    node.cleanup()
    assert node.calls == 2
    lay(node, State("R4", "plain", ("nft",)))
    node.cleanup(check=True)
    assert node.calls == 2
    node.cleanup()
    assert node.calls == 5


def test_without_perl_the_tables_tell(node: Node) -> None:
    node.run("mount", "--bind", "/dev/null", "/usr/bin/perl")
    hold(node, STATE)


def test_without_anybody_who_knows_the_kernel_the_node_is_not_clean(node: Node) -> None:
    for program in ("/usr/bin/perl", "/usr/sbin/xtables-nft-multi"):
        node.run("mount", "--bind", "/dev/null", program)
    assert "neither Python nor perl nor the program iptables-nft" in node.refusal()["msg"]


def test_busybox_is_enough(node: Node) -> None:
    tools = node.folder / "tools"
    tools.mkdir()
    for tool in ("cat", "grep", "head", "mkdir", "readlink", "rm", "sha256sum", "sync", "tr"):
        (tools / tool).symlink_to(BUSYBOX)
    node.run("mount", "--bind", BUSYBOX, os.path.realpath("/bin/sh"))
    node.environment = {"PATH": str(tools)}
    hold(node, STATE)


WORDS = st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=255)), min_size=1, max_size=4)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=3))
def test_every_word_arrives_and_comes_back(shell: Sequence[str], calls: list[list[str]]) -> None:
    """A letter is a byte. Each command prints its words, in both outputs."""
    told = 'printf "%s|" "$@"; printf "%s|" "$@" >&2; exit 3'
    words = [[_text(word) for word in call] for call in calls]
    commands = [["/bin/sh", "-c", told, "sh", *call] for call in words]
    script = raw_commands.script("token", commands, until_failure=False)
    done = subprocess.run(shell, input=script, stdout=subprocess.PIPE, check=True)
    expected = ["".join(f"{word}|" for word in call) for call in words]
    answers = raw_commands.answers("token", done.stdout.decode("utf-8", "surrogateescape"))
    assert answers == [(3, each, each) for each in expected]


def _text(word: str) -> str:
    return word.encode("latin-1").decode("utf-8", "surrogateescape")


def test_after_a_failure_nothing_more_is_run() -> None:
    commands = [["/bin/echo", "one"], ["/bin/false"], ["/bin/echo", "two"]]
    script = raw_commands.script("token", commands, until_failure=True)
    done = subprocess.run(["/bin/sh"], input=script, stdout=subprocess.PIPE, check=True)
    assert raw_commands.answers("token", done.stdout.decode()) == [(0, "one\n", ""), (1, "", "")]


MODULE = "azureops.pod_identity.imds_iptables_cleanup"
STEP = "azureops.pod_identity.imds_node_cleanup_step"


def ansible(node: Node, python: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """The clean-up's result as Ansible runs it on the node; ``python`` is the node's."""
    return task(node, python, MODULE, check=check, save_directory=str(node.folder), **options)


def task(
    node: Node, python: str, module: str, *, check: bool = False, keywords: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    result, play = node.folder / "result", node.folder / "play.yml"
    here = {"ansible_python_interpreter": sys.executable}
    tasks = [
        {
            module: options,
            "register": "done",
            "ignore_errors": True,
            "diff": True,
            "check_mode": check,
            **(keywords or {}),
        },
        {"ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": str(result)}, "vars": here},
    ]
    variables: dict[str, Any] = {
        "ansible_python_interpreter": python,
        "ansible_remote_tmp": str(node.folder / "tmp"),
        "ansible_become": True,
        "ansible_become_method": "ansible.builtin.su",
    }
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]))
    call = node.argv("ansible-playbook", "-i", "localhost,", "-c", "local", play)
    environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).with_name("connection"))}
    environment["ANSIBLE_BECOME_ALLOW_SAME_USER"] = "1"  # else root would not become root
    subprocess.run(call, env=environment, check=True, timeout=120)
    done: dict[str, Any] = json.loads(result.read_text())
    return done


def test_the_task_is_the_same_without_python(node: Node) -> None:
    """That the node has none is said as the role says it."""
    before = node.saves()
    lay(node, STATE)
    wanted = ansible(node, sys.executable, check=True)
    predicted = ansible(node, "", check=True)
    keys = ("changed", "actions", "changes", "result", "diff")
    assert {key: predicted[key] for key in keys} == {key: wanted[key] for key in keys}
    assert node.saves() != before
    real = ansible(node, "")
    assert (real["changed"], real["actions"], real["diff"]) == (True, wanted["actions"], wanted["diff"])
    assert real["changes"] == wanted["changes"]
    assert node.saves() == before
    assert CHAIN in Path(real["result"]["backends"]["nft"]["saved_to"]).read_text(encoding="latin-1")


@pytest.mark.parametrize("python", ["/nowhere/python3", "3.6", "3.8"])
def test_that_no_python_is_usable_is_found_out(node: Node, python: str) -> None:
    """Where there is none, or one that is too old for modules; Ansible fails in three ways."""
    if python.startswith("3."):
        old = shutil.which(f"python{python}")
        if old is None:
            pytest.skip(f"no Python {python} on this machine")
        python = os.path.realpath(old)
    before = node.saves()
    lay(node, STATE)
    assert ansible(node, python)["result"]["backends"]["nft"]["counts"]["removed"]
    assert node.saves() == before


def test_what_is_wrong_is_said_without_python_too(node: Node) -> None:
    result = ansible(node, "", nmi_port=0)
    assert result["failed"] and result["msg"].startswith("nmi_port is 0")


def answer(node: Node, **options: Any) -> dict[str, Any]:
    """Who answers pods of a node without Python that is known to have none."""
    node.run("sh", "-c", 'mount --bind /dev/null "$(readlink -f /usr/bin/python3)"')
    module = "azureops.pod_identity.imds_answer_info"
    done = task(node, "", module, method="throw_away_namespace", timeout=2, **options)
    found: dict[str, Any] = done["answer"]
    return found


def test_such_a_node_is_proved_from_a_throw_away_namespace() -> None:
    with node_of_azure() as (node, imds):
        before = everything(node)
        proved = answer(node, pod_cidr=PODS)
        assert (proved["answered_by"], proved["method"]) == ("imds", "throw_away_namespace"), proved
        assert imds.readline() == "asked by 10.244.0.254\n"
        methods = ["throw_away_namespace"]
        assert ansible(node, "", answer_method=methods, pod_cidr=PODS)["answer"]["answered_by"] == "imds"
        assert "answer" not in ansible(node, "", check=True, answer_method=methods, pod_cidr=PODS)
        assert everything(node) == before
        lay(node, State("R4", "plain", ("nft",)))
        refused = answer(node, pod_cidr=PODS)
        assert (refused["answered_by"], "10.244.0.254" in refused["message"]) == ("nobody", True), refused


def test_what_such_a_node_lacks_for_a_proof_is_said() -> None:
    with node_of_azure() as (node, dummy):
        node.run("sh", "-c", "[ ! -d /etc/cni ] || mount -t tmpfs none /etc/cni")
        unknown = answer(node)
        assert (unknown["answered_by"], unknown["proved"]) == ("unknown", False)
        assert "set pod_cidr" in unknown["message"]
        node.run("sh", "-c", 'mount --bind /dev/null "$(readlink -f /usr/bin/unshare)"')
        assert "could not be made" in answer(node, pod_cidr=PODS)["message"]


def over_a_connection(node: Node, **variables: Any) -> dict[str, Any]:
    """What a task has besides that goes to the node over a connection."""
    return {"vars": {"ansible_connection": "namespaces", "ansible_namespaces_process": node.pid, **variables}}


def test_a_connection_lost_at_the_question_leaves_what_was_found(node: Node) -> None:
    lost = over_a_connection(node, ansible_namespaces_breaks_at="nsenter")
    methods = ["pod_network"]
    done = ansible(node, "", keywords=lost, answer_method=methods)
    assert (done["changed"], "nft" in done["result"]["backends"]) == (False, True), done
    assert (done["answer"]["answered_by"], "The node is gone" in done["answer"]["message"]) == ("unknown", True), done
    lost = over_a_connection(node, ansible_namespaces_breaks_at="nat")
    assert ansible(node, "", keywords={**lost, "ignore_unreachable": True}, answer_method=methods)["unreachable"]


def test_a_clean_up_that_takes_too_long_leaves_no_directory(node: Node) -> None:
    slow = node.folder / "python3"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    keywords = {**over_a_connection(node), "timeout": 5}
    options: dict[str, Any] = {
        "step": "clean",
        "begun": {"reason": ""},
        "first": False,
        "force": False,
        "asks_pod": True,
        "cleanup": {},
    }
    done = task(node, str(slow), STEP, keywords=keywords, **options)
    assert "timedout" in done, done
    assert list((node.folder / "tmp").glob("*")) == []


ROLE = "azureops.pod_identity.imds_node_cleanup"


def test_the_role_cleans_such_a_node(tmp_path: Path) -> None:
    """From hello to the saved table on the controller, and the proof."""
    with fleet.fleet(tmp_path / "nodes.json", ["bare"]) as nodes:
        enter = [*fleet.entrance(nodes["bare"]), "sh", "-ec"]
        subprocess.run([*enter, BROKEN], check=True)
        hosts = {"bare": {"ansible_connection": "namespaces", "ansible_namespaces_process": nodes["bare"]}}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        keep = {"content": "{{ imds_node_cleanup_result | to_json }}", "dest": str(tmp_path / "result")}
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        tasks = [
            {"ansible.builtin.include_role": {"name": ROLE}},
            {"ansible.builtin.copy": keep, "delegate_to": "localhost", "vars": here},
        ]
        options = {"accept_open_imds": True, "artifact_target": str(tmp_path / "saved")}
        variables = {f"imds_node_cleanup_{name}": value for name, value in options.items()}
        play = [{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]
        (tmp_path / "play.json").write_text(json.dumps(play))
        environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).with_name("connection"))}
        files = [str(tmp_path / name) for name in ("hosts.json", "play.json")]
        subprocess.run(["ansible-playbook", "-i", *files], env=environment, check=True, timeout=300)
        left = subprocess.run(
            [*enter, "iptables-nft-save -t nat"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    result = json.loads((tmp_path / "result").read_text())
    assert (result["outcome"], len(result["removed"])) == ("cleaned", 3), result["reason"]
    assert (result["proof"], result["proof_method"]) == ("imds", "pod_network")
    assert CHAIN not in left and "KUBE-X" in left
    (saved,) = result["saved"]
    assert Path(saved).is_relative_to(tmp_path) and f"-j {CHAIN}" in Path(saved).read_text()


BROKEN = f"""
iptables-nft -t nat -N KUBE-X
iptables-nft -t nat -N {CHAIN}
iptables-nft -t nat -A {CHAIN} -j RETURN
iptables-nft -t nat -I PREROUTING -m comment --comment "it's" -j {CHAIN}
for python in python3 python3.9 python3.10 python3.11 python3.12 python3.13; do
! path=$(command -v $python) || mount --bind /dev/null $(readlink -f $path)
done
! python3 -c pass
"""
