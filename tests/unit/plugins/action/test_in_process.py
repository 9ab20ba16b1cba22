# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in a fork of ansible-playbook, beside the same as modules: whole results and the whole output are equal."""

from __future__ import annotations

import difflib
import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _fork
from ansible_collections.azureops.pod_identity.tests.support.players import Player

WITNESS = "azureops.witness.witness"
COLLECTION = Path(__file__).with_name("collection")
OWN = "{{ ansible_playbook_python }}"
IN_A_FORK = "in a fork of ansible-playbook"
STRATEGIES = ("linear", "free", "host_pinned")
CLUSTERS = tuple(f"cluster{number}" for number in range(6))
# Lines of -vvv that tell how a module runs, which is what differs; the last is the second one of a command.
HOW = re.compile(r"<[\w.]+> |Using module file |Pipelining is enabled|\*'")


def does(*what: str, **options: Any) -> dict[str, Any]:
    return {WITNESS: {"do": list(what), **options}}


ARGUMENTS = {
    "say": "{{ [1, none, true, 1.5, {'a': {'b': [none]}}, 'x' * 3] }}",
    "text": "{{ 5 }}",
    "flag": "{{ 'yes' }}",
    "path": "~/{{ 'x' }}",
    "list": "{{ ['a', 1, true] }}",
    "map": {"inner": "{{ {'n': none, 'i': 1} }}", "left": "{{ omit }}"},
    "entries": [{"name": "{{ 1 }}", "key": "hush-{{ 'a' }}"}, {"name": "b"}],
    "secret": "{{ vaulted }}",
    "other": "{{ omit }}",
}
# What runs, each as a task of its own, in a fork and as a module.
UNTIL = {"until": "it.times == 3", "retries": 5, "delay": 0, "register": "it"}
ALIKE: dict[str, dict[str, Any]] = {
    "around": does("look"),
    "arguments": {WITNESS: ARGUMENTS},
    "unsafe arguments": does(say="{{ unsafe }}", text="{{ unsafe }}"),
    "arguments of variables": does(say="{{ [lazy, nested, date, vaulted] }}"),
    "arguments as a text": {WITNESS: "text=x number='{{ omit }}' flag=no"},
    "no arguments": {WITNESS: {}},
    "arguments of a dictionary": {WITNESS: "{{ {'text': 'a', 'say': nested} }}"},
    "an alias": {WITNESS: {"another": "x"}},
    "a removed option": {WITNESS: {"old": "x"}},
    "an unknown option": {WITNESS: {"unknown": 1}},
    "a wrong type": {WITNESS: {"number": "many"}},
    "a wrong choice": {WITNESS: {"choice": "c"}},
    "exclusive options": {WITNESS: {"text": "a", "number": 1}},
    "a missing option": {WITNESS: {"choice": "b"}},
    "a missing part": {WITNESS: {"entries": [{"key": "hush"}]}},
    "an argument that is no JSON": {WITNESS: {"say": "{{ undefined_variable }}"}},
    "an option from the environment": {**does("secret"), "environment": {"WITNESS_SECRET": "hush-environment"}},
    "a secret": does("secret", secret="hush-secret"),
    "a secret in a failure": does("secret", "fail", secret="It"),
    "no log": {**does("look", text="hush"), "no_log": True},
    "check mode": {**does("diff"), "check_mode": True},
    "diff": {**does("diff"), "diff": True},
    "warnings": does("warn"),
    "deprecations": does("deprecate"),
    "logs": does("log"),
    "facts": does("facts"),
    "types": does("types"),
    "a command": {**does("run"), "environment": {"WITNESS": "a 'b' \"c\" $HOME `id` \\ \n*"}},
    "output before": does("output"),
    "a large result": does("large"),
    "results": does("results"),
    "internal keys": does("internal"),
    "a failure": does("fail", "warn"),
    "a failure with an exception": does("failed exception"),
    "an exception": does("raise"),
    "an exit": does("exit"),
    "an exit with a text": does("exit text"),
    "a hard exit": does("hard exit"),
    "a return": does("return"),
    "killed": does("kill"),
    "garbage": does("garbage"),
    "a failure that is none": {**does("fail"), "failed_when": False, "changed_when": True},
    "an environment": {
        **does("look"),
        "environment": {"WITNESS": "{{ 1 }}", "EMPTY": "", "HOME": "/nowhere", "TMPDIR": "/var/tmp", "NONE": None},
    },
    "a loop that spoils": {**does("look", "spoil", text="{{ item }}"), "loop": ["a", "b", "c"]},
    "after it": does("look"),
    "a loop of environments": {**does("look"), "environment": {"WITNESS_SECRET": "of-{{ item }}"}, "loop": ["a", "b"]},
    "a loop with failures": {**does("{{ item }}"), "loop": ["fail", "warn", "raise", "deprecate"]},
    "until": {**does("until", file="{{ folder }}/until"), **UNTIL},
    "delegated here": {**does("look"), "delegate_to": "localhost"},
    "skipped": {**does("look"), "when": "false"},
    "atexit": does("keep", file="{{ folder }}/atexit"),
    "a thread": does("thread", file="{{ folder }}/thread"),
    "a temporary directory": does("tmpdir", file="{{ folder }}/tmpdir"),
    "a short timeout that is enough": {**does("look"), "timeout": 60},
}
# What is left to Ansible, and why.
NODE_POD = "azureops.pod_identity.aks_node_pod"


def having(**variables: Any) -> dict[str, Any]:
    return {**does(), "vars": variables}


LEFT: dict[str, tuple[dict[str, Any], str]] = {
    "become": ({**does(), "become": True}, "it becomes another user"),
    "async": ({**does(), "async": 30, "poll": 1}, "it is asynchronous"),
    "switched off": (
        having(pod_identity_in_process="{{ 'no' }}"),
        "the variable pod_identity_in_process turns it off",
    ),
    "another interpreter": (
        having(ansible_python_interpreter="{{ folder }}/python"),
        "its interpreter .*/python is not that of ansible-playbook",
    ),
    "another connection": (having(ansible_connection=NODE_POD), f"its connection is {NODE_POD}"),
    "another shell": (having(ansible_shell_executable="/bin/dash"), "its shell executable is /bin/dash"),
    "a name of a variable": ({**does(), "environment": {"A.B": "x"}}, "its environment names 'A.B'"),
    "for the interpreter": (
        {**does(), "environment": {"PYTHONWARNINGS": "error"}},
        "PYTHONWARNINGS of its environment is read when a process starts",
    ),
    "a locale": ({**does(), "environment": {"LC_ALL": "C.UTF-8"}}, "LC_ALL of its environment is read"),
    "open files": (having(ansible_python_module_rlimit_nofile=100), "the number of open files of modules is limited"),
}
FAILING = {"another connection", "a name of a variable"}


def task(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "ignore_errors": True, "ignore_unreachable": True, **body}


def plays() -> list[dict[str, Any]]:
    variables = {
        "unsafe": {"__ansible_unsafe": "{{ 'not' }} templated"},
        "lazy": "{{ nested.a }}",
        "nested": {"a": ["{{ 1 + 1 }}", {"b": "{{ none }}"}], "c": "{{ vaulted }}"},
        "date": "2026-01-02",
        "vaulted": "hush-variable",
    }
    alike = [task(name, body) for name, body in ALIKE.items()]
    left = [task(f"left: {name}", body) for name, (body, _why) in LEFT.items()]
    first = {"hosts": "here", "vars": variables, "tasks": [*alike, *left]}
    defaults = {
        "hosts": "here",
        "module_defaults": {WITNESS: {"text": "of the module"}, "group/azureops.witness.all": {"say": "of the group"}},
        "tasks": [task("module defaults", does()), task("module defaults, partly", does(text="of the task"))],
    }
    own = {"WITNESS_SECRET": "hush-{{ inventory_hostname }}", "WITNESS_OF": "of-{{ inventory_hostname }}"}
    many = [
        {"hosts": "clusters", "strategy": strategy, "environment": own, "tasks": of_clusters(strategy)}
        for strategy in STRATEGIES
    ]
    return [{"gather_facts": False, **play} for play in [first, defaults, *many]]


def of_clusters(strategy: str) -> list[dict[str, Any]]:
    look = {**does("look", "spoil", text="{{ inventory_hostname }}"), "loop": [1, 2]}
    fail = does("{{ 'fail' if inventory_hostname == 'cluster3' else 'warn' }}")
    if strategy != "linear":
        return [task(f"{strategy}: look", look), task(f"{strategy}: some fail", fail)]
    return [
        task("linear: look", look),
        task("linear: some fail", fail),
        task("linear: throttled", {**does("look"), "throttle": 1}),
        task("linear: once", {**does("look"), "run_once": True}),
        task("linear: elsewhere", {**does("look"), "delegate_to": "here"}),
    ]


@dataclass(frozen=True)
class Run:
    output: str
    results: dict[str, list[dict[str, Any]]]
    left_over: dict[str, list[str]]

    def how(self, name: str) -> list[str]:
        """What the lines of -vvv say of a task."""
        (block,) = re.findall(rf"^TASK \[{re.escape(name)}\] \*.*?(?=^TASK |^PLAY |\Z)", self.output, re.M | re.S)
        return re.findall(r"witness runs (.*)\.$", block, re.M)


def player(folder: Path, *, in_process: bool, **environment: str) -> Player:
    made = Player(folder / "player", {"ANSIBLE_REMOTE_TMP": str(folder / "tmp"), **environment})
    (folder / "player/collections/ansible_collections/azureops/witness").symlink_to(COLLECTION)
    local = {"ansible_connection": "local", "ansible_python_interpreter": OWN, "pod_identity_in_process": in_process}
    children = {"clusters": {"hosts": dict.fromkeys(CLUSTERS)}}
    inventory = {"all": {"vars": local, "hosts": {"here": None}, "children": children}}
    (folder / "inventory.yml").write_text(json.dumps(inventory))
    return made


def run(folder: Path, whole: list[dict[str, Any]], *, in_process: bool, executable: str = "/bin/sh") -> Run:
    """In a folder of the same name each time, because results name it."""
    work = folder / "work"
    if work.exists():
        work.rename(folder / f"work-{time.monotonic_ns()}")
    work.mkdir()
    python = work / "python"
    python.symlink_to(sys.executable)
    results = work / "results"
    callback = {"WITNESS_RESULTS": str(results), "ANSIBLE_CALLBACKS_ENABLED": "azureops.witness.results"}
    callback["ANSIBLE_EXECUTABLE"] = executable
    made = player(work, in_process=in_process, **callback)
    (work / "play.yml").write_text(yaml.safe_dump(whole, sort_keys=False))
    process = made.start(
        *(str(work / "play.yml"), "-i", str(work / "inventory.yml"), "-vvv", "--forks", "4"), folder=str(work)
    )
    output = process.communicate(timeout=600)[0]
    found: dict[str, list[dict[str, Any]]] = {}
    for line in results.read_text().splitlines():
        told = json.loads(line)
        found.setdefault(told.pop("task"), []).append(told)
    temporary = sorted(path.name for path in (work / "tmp").glob("*"))
    names = ("until", "atexit", "thread", "tmpdir")
    files = {name: (work / name).read_text().split() for name in names if (work / name).exists()}
    return Run(output.replace(str(made.temporary), "TMPDIR"), normal(found, made), {**files, "tmp": temporary})


def normal(value: Any, made: Player) -> Any:
    return json.loads(json.dumps(value).replace(str(made.temporary), "TMPDIR"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The two runs, which all processes of this run of pytest share."""
    here = tmp_path_factory.getbasetemp()
    kept = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "both-runs"
    with open(f"{kept}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = tmp_path_factory.mktemp("both")
            runs = [run(folder, plays(), in_process=each) for each in (True, False)]
            kept.write_text(json.dumps([asdict(each) for each in runs]))
    fork, module = (Run(**each) for each in json.loads(kept.read_text()))
    return fork, module


def names() -> Iterator[str]:
    for play in plays():
        yield from (str(each["name"]) for each in play["tasks"])


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith("left: ")])
def test_the_result_is_the_same(both: tuple[Run, Run], name: str) -> None:
    fork, module = (sorted(each.results.get(name, []), key=json.dumps) for each in both)
    assert fork == module
    assert fork or name == "skipped"


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith(("left: ", "skipped"))])
def test_it_ran_in_a_fork(both: tuple[Run, Run], name: str) -> None:
    fork, module = (each.how(name) for each in both) if "free" not in name and "pinned" not in name else ([], [])
    assert set(fork) <= {IN_A_FORK}
    assert set(module) <= {"as a module, because the variable pod_identity_in_process turns it off"}


@pytest.mark.parametrize("name", LEFT)
def test_it_is_left_to_ansible(both: tuple[Run, Run], name: str) -> None:
    how = both[0].how(f"left: {name}")
    assert [each for each in how if not re.match(f"as a module, because {LEFT[name][1]}", each)] == []
    assert how
    (told,) = [each for each in both[0].results[f"left: {name}"] if each["event"] in ("ok", "failed", "unreachable")]
    assert (told["event"] == "ok") == (name not in FAILING), told


def test_the_output_is_the_same(both: tuple[Run, Run]) -> None:
    fork, module = ([line for line in shown(each) if not HOW.match(line)] for each in both)
    assert list(difflib.unified_diff(fork, module, lineterm="", n=1)) == []


def shown(each: Run) -> list[str]:
    """The output as far as its order is certain."""
    kept, rest = each.output.split("TASK [left: become]", 1)
    (defaults,) = re.findall(r"^TASK \[module defaults\].*?^PLAY ", rest, re.M | re.S)
    others = rest.partition(defaults)[2]
    # Headings come as often as hosts go on by themselves.
    lines = [line for line in others.splitlines() if line and not line.startswith(("TASK ", "task path: "))]
    return [*kept.splitlines(), *defaults.splitlines(), *sorted(lines)]


def test_nothing_is_left_behind(both: tuple[Run, Run]) -> None:
    fork, module = (each.left_over for each in both)
    for path in (*fork.pop("tmpdir"), *module.pop("tmpdir")):
        assert not os.path.exists(path)
    assert fork == module
    assert fork == {"until": 3 * ["once"], "atexit": ["atexit"], "thread": ["thread"], "tmp": []}


def test_clusters_do_not_meet(both: tuple[Run, Run]) -> None:
    for strategy in STRATEGIES:
        told = [each for each in both[0].results[f"{strategy}: look"] if each["event"] == "item ok"]
        assert sorted(each["host"] for each in told) == sorted(2 * CLUSTERS)
        for each in told:
            assert each["result"]["around"]["environ"]["WITNESS_OF"] == f"of-{each['host']}"
            assert "SPOILT" not in each["result"]["around"]["environ"]


def test_with_ansible_runner(tmp_path: Path) -> None:
    """It gives ansible-playbook a terminal, and has results from a callback of its own."""
    fork, module = (of_runner(tmp_path, in_process=each) for each in (True, False))
    assert fork[0] == module[0]
    assert [len(told) for told in fork[1:]] == [len(BY_RUNNER), 0]
    assert [len(told) for told in module[1:]] == [0, len(BY_RUNNER)]


BY_RUNNER = ("around", "arguments", "a secret", "warnings", "deprecations", "a failure", "an exception")


def of_runner(folder: Path, *, in_process: bool) -> tuple[list[Any], list[str], list[str]]:
    """What a run of ansible-runner tells of each task, and how often a module ran in a fork and as a module."""
    work = folder / "work"
    if work.exists():
        work.rename(folder / "work-before")
    (work / "runner").mkdir(parents=True)
    made = player(work, in_process=in_process)
    variables = {"nested": {}, "vaulted": "hush-variable", "folder": str(work)}
    tasks = [task(name, ALIKE[name]) for name in BY_RUNNER]
    whole = [{"hosts": "here", "gather_facts": False, "vars": variables, "tasks": tasks}]
    (work / "play.yml").write_text(yaml.safe_dump(whole, sort_keys=False))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": f"{work / 'player/collections'}:{os.environ['ANSIBLE_COLLECTIONS_PATH']}",
        "ANSIBLE_HOME": str(work / "ansible"),
        "ANSIBLE_REMOTE_TMP": str(work / "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "TMPDIR": str(made.temporary),
    }
    given = ("-p", str(work / "play.yml"), "--inventory", str(work / "inventory.yml"), "--cmdline=-vvv")
    command = [sys.executable, "-m", "ansible_runner", "run", str(work / "runner"), *given, "--ident", "one"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kept = work / "runner/artifacts/one"
    events = [json.loads(file.read_text()) for file in (kept / "job_events").glob("*.json")]
    told = [
        (each["event"], each["event_data"]["task"], each["event_data"]["res"])
        for each in sorted(events, key=lambda each: int(each["counter"]))
        if each["event"] in ("runner_on_ok", "runner_on_failed")
    ]
    output = (kept / "stdout").read_text()
    ways = (IN_A_FORK, "as a module, because the variable pod_identity_in_process turns it off")
    return normal(told, made), *(re.findall(f"witness runs {way}", output) for way in ways)


@pytest.mark.parametrize("in_process", [True, False])
def test_interrupted(tmp_path: Path, in_process: bool) -> None:
    process, file = waiting(tmp_path, in_process=in_process)
    wait_until_it_polls(process.pid)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode in (99, 130), output
    wait_for(file, "atexit")
    assert file.read_text().split() == ["waits", "finally", "atexit"]


def test_with_bash(tmp_path: Path) -> None:
    """Another shell hands on another environment."""
    tasks = [task(name, ALIKE[name]) for name in ("around", "a command", "an environment")]
    plays = [{"hosts": "here", "gather_facts": False, "tasks": tasks}]
    fork, module = (run(tmp_path, plays, in_process=each, executable="/bin/bash") for each in (True, False))
    assert fork.results == module.results
    assert len(fork.results) == len(tasks)
    assert fork.how("around") == [IN_A_FORK]


def test_timed_out(tmp_path: Path) -> None:
    process, file = waiting(tmp_path, in_process=True, timeout=3)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2, output
    assert "timed out" in output.lower() or "timeout" in output.lower()
    assert file.read_text().split() == ["waits", "finally", "atexit"]


def waiting(folder: Path, *, in_process: bool, **keywords: Any) -> tuple[subprocess.Popen[str], Path]:
    # By default Ansible sends its workers SIGTERM at once after SIGINT, and a module does not always see SIGINT first.
    made = player(folder, in_process=in_process, ANSIBLE_WORKER_SHUTDOWN_POLL_COUNT="100")
    file = folder / "file"
    process = made.start(
        {"hosts": "here", "tasks": [{**does("wait", file=str(file)), **keywords}]},
        *("-i", str(folder / "inventory.yml")),
    )
    wait_for(file, "waits")
    return process, file


def wait_for(file: Path, word: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if file.exists() and word in file.read_text().split():
            return
        time.sleep(0.05)
    raise AssertionError(f"{word} is not in {file}")


def wait_until_it_polls(process: int) -> None:
    """A worker may be at work while ansible-playbook is still in fork(), from where no interrupt reaches it."""
    status = Path(f"/proc/{process}/status")
    first, end = 0, time.monotonic() + 60
    while time.monotonic() < end:
        sleeps = int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
        first = first or sleeps
        if sleeps > first + 20:
            return
        time.sleep(0.02)
    raise AssertionError(f"the process {process} does not wait for its worker")


def test_many_files_are_open() -> None:
    """As beside some hundreds of workers, whose pipes every later one has open."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2000:
        pytest.skip("this process may open fewer than 2000 files")
    ends = []
    for text in (b"out", b"err"):
        source, target = os.pipe()
        ends.append(fcntl.fcntl(source, fcntl.F_DUPFD, 1500))
        os.write(target, text)
        for each in (source, target):
            os.close(each)
    try:
        assert _fork._read((ends[0], ends[1]), lambda: None, 0.1) == (b"out", b"err")
    finally:
        for end in ends:
            os.close(end)
