# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's machines: what they can do, and that nothing of them remains on the host. Needs root."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import Sandbox, eventually

pytestmark = pytest.mark.story

SANDBOX = Path(__file__).with_name("sandbox")
NAME = f"world-{os.getpid()}"
STATE = Path("/run/azureops-sandbox") / NAME
ENVIRONMENT = {**os.environ, "SANDBOX_NAME": NAME}
NODES = 2


def sandbox(*arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [SANDBOX, *arguments], input=stdin, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )
    assert not check or done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
    return done


def shell(script: str) -> str:
    """Output of a script on the workstation."""
    return sandbox("exec", "--", "bash", "-euo", "pipefail", "-c", script).stdout.strip()


def start() -> None:
    """A sandbox with one cluster of two Ready nodes."""
    sandbox("build", "az")  # a script in exec cannot have it built
    sandbox("up")
    shell("az group create --name rg --location westeurope; az aks create -g rg -n one --node-count 2 --no-wait")
    eventually(lambda: (STATE / "clusters/0.kubeconfig").exists(), 120)


# What people are told


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("", 2, "required: COMMAND; see tests/sandbox/sandbox help."),
        ("nonsense", 2, "invalid choice: 'nonsense' (choose from"),
        ("up twice", 2, "Unrecognized arguments: twice"),
        ("build nothing", 2, "there is no part 'nothing'; see tests/sandbox/sandbox help build."),
        ("exec", 2, "see tests/sandbox/sandbox help exec."),
        ("azure fault --status none", 2, "see tests/sandbox/sandbox help azure fault."),
        ("status", 1, "Sandbox absent is not up: run tests/sandbox/sandbox up."),
        ("exec -- true", 1, "Sandbox absent is not up"),
        ("reset", 1, "Sandbox absent is not up"),
        ("azure log", 1, "Sandbox absent is not up"),
        ("azure principal a/b", 1, "The name 'a/b' is not usable"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments: str, status: int, words: str) -> None:
    done = Sandbox("absent").call(*arguments.split())
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (status, "")
    assert line.startswith("sandbox: ") and words in line


def test_help_is_of_all_and_of_a_command() -> None:
    everything, one = (Sandbox("absent").run("help", *command) for command in ([], ["exec"]))
    assert "start the sandbox" in everything and "serve-azure" not in everything
    assert "--tools" in one and Sandbox("absent").run("exec", "--help") == one


def test_down_twice_is_no_failure() -> None:
    assert Sandbox("absent").run("down") == Sandbox("absent").run("down") == "sandbox absent is not up\n"


# What a host shows


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def host() -> dict[str, object]:
    """All of the host that a sandbox could leave a trace in, without other sandboxes that may be running."""
    mine = re.compile(rf"azureops-sandbox(?!-(?!{NAME}))")
    groups = {
        str(group)
        for mountpoint in re.findall(r" (/sys/fs/cgroup\S*) ", Path("/proc/self/mountinfo").read_text())
        for group in Path(mountpoint).iterdir()
        if group.is_dir() and ("azureops-sandbox" not in group.name or mine.search(group.name))
    }
    legacy = Path("/proc/net/ip_tables_names")
    return {
        "links": output("ip", "-oneline", "link"),
        "addresses": output("ip", "-oneline", "address"),
        "routes": output("ip", "route", "show", "table", "all"),
        "namespaces": sorted(Path("/run/netns").iterdir()) if Path("/run/netns").exists() else None,
        "mounts": sorted(Path("/proc/self/mountinfo").read_text().splitlines()),
        "control groups": groups,
        # Reading a table of the legacy back end makes it.
        "iptables (legacy)": packet_filter("legacy") if legacy.exists() and legacy.read_text() else "",
        "iptables (nft)": packet_filter("nft"),
        "settings": {
            name: Path("/proc/sys", name).read_text()
            for name in ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "net/ipv4/ip_forward")
        },
        "processes": processes(NAME),
        "state": [str(path) for path in STATE.parent.glob(f"{NAME}*")],
    }


def packet_filter(back_end: str) -> list[str]:
    lines = output(f"iptables-{back_end}-save").splitlines()
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in lines if not line.startswith("#")]


def processes(word: str) -> list[str]:
    """Processes whose arguments or environment contain a word; not this one and its ancestors."""
    own = set()
    process = os.getpid()
    while process:
        own.add(str(process))
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or directory.name in own:
            continue
        try:
            arguments = (directory / "cmdline").read_bytes()
            if word.encode() in arguments + (directory / "environ").read_bytes():
                found.append(arguments.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def node_inits() -> list[int]:
    """Host process ids of the nodes' inits."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if not directory.name.isdigit() or b"/opt/bin/node-init\0" not in (directory / "cmdline").read_bytes():
                continue
            ids = re.search(r"^NSpid:\s+(.*)$", (directory / "status").read_text(), re.MULTILINE)
            root = os.readlink(directory / "ns/pid")
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            ours = NAME.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()
            if ids and ids[1].split()[-1] == "1" and ours and root:
                found.append(int(directory.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, object]]:
    yield host()
    sandbox("down")


@pytest.fixture(scope="module")
def world(before: dict[str, object]) -> None:
    start()


# What the sandbox can do


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_nodes_are_ready_and_status_says_so() -> None:
    assert shell("kubectl get nodes --no-headers").count(" Ready ") == NODES
    assert sandbox("status").stdout.count("  Ready") == NODES


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_status_may_be_cut_off() -> None:
    """As by `| head -1`: nobody reads the rest."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [SANDBOX, "status"], env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_a_second_up_changes_nothing() -> None:
    before = (STATE / "init.pid").read_text()
    assert "is up already" in sandbox("up").stdout
    refused = sandbox("up", "--with", "workload-identity", check=False)
    assert refused.returncode == 1 and "is up without workload-identity: run" in refused.stderr
    assert (STATE / "init.pid").read_text() == before
    assert shell("kubectl get nodes --no-headers").count(" Ready ") == NODES


POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: {node}
  hostNetwork: {privileged}
  hostPID: {privileged}
  volumes: [{{name: host, hostPath: {{path: /}}}}]
  containers:
    - name: main
      image: mcr.microsoft.com/azurelinux/base/core:3.0
      command: [sleep, "100000"]
      securityContext: {{privileged: {privileged}}}
      volumeMounts: [{{name: host, mountPath: /host}}]
"""


def pod(name: str, node: str, *, privileged: bool = False) -> None:
    manifest = POD.format(name=name, node=node, privileged=str(privileged).lower())
    sandbox("exec", "--", "kubectl", "apply", "-f", "-", stdin=manifest)
    shell(f"kubectl wait --for=condition=Ready pod/{name} --timeout=60s")


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_pods_resolve_names_and_reach_each_other() -> None:
    nodes = shell("kubectl get nodes -o name").replace("node/", "").split()
    for number, node in enumerate(nodes):
        pod(f"pod-{number}", node)
    for number in range(NODES):
        run = f"kubectl exec pod-{number} --"
        assert shell(f"{run} curl -s https://management.azure.com/metadata/endpoints?api-version=2020-09-01")
        answer = shell(f"{run} curl -sk https://kubernetes.default.svc.cluster.local/healthz")
        assert "Unauthorized" in answer
        for address in shell("kubectl get pods -o jsonpath='{.items[*].status.podIP}'").split():
            # Nothing listens there: the refusal comes from the pod itself.
            refusal = shell(f"{run} curl -sS http://{address}:9 2>&1 || true")
            assert "onnection refused" in refusal or "Couldn't connect" in refusal
        outside = shell(f"{run} curl -sS -m 5 https://example.com 2>&1 || true")
        assert "resolve" in outside


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_three_ways_lead_to_the_same_node() -> None:
    node, address = shell(
        "kubectl get nodes -o jsonpath='{.items[0].metadata.name} {.items[0].status.addresses[0].address}'"
    ).split()
    pod("privileged", node, privileged=True)
    by_pod = shell("kubectl exec privileged -- chroot /host cat /etc/hostname /etc/machine-id")
    by_ssh = shell(f"ssh -o BatchMode=yes root@{address} cat /etc/hostname /etc/machine-id")
    scale_set, number = node[:-6], int(node[-6:], 36)
    group = shell("az aks show -g rg -n one --query nodeResourceGroup -o tsv")
    by_azure = shell(
        f"az vmss run-command invoke -g {group} -n {scale_set} --instance-id {number} --command-id RunShellScript"
        " --scripts 'cat /etc/hostname /etc/machine-id' --query 'value[0].message' -o tsv"
    )
    assert by_pod.splitlines()[0] == node
    assert by_ssh == by_pod
    assert by_pod in by_azure
    assert shell(f"ssh -o BatchMode=yes azureuser@{address} whoami") == "azureuser"


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_the_workstation_reaches_what_an_operator_may_reach() -> None:
    node = shell("kubectl get nodes -o jsonpath='{.items[0].status.addresses[0].address}'")

    def reaches(address: str, port: int) -> bool:
        return (
            sandbox("exec", "--", "bash", "-c", f"timeout 3 true </dev/tcp/{address}/{port}", check=False).returncode
            == 0
        )

    assert reaches("management.azure.com", 443)
    assert reaches(node, 22)
    assert not reaches(node, 10250)
    assert not reaches("169.254.169.254", 80)
    assert "unreachable" in sandbox("exec", "--", "bash", "-c", "</dev/tcp/8.8.8.8/53", check=False).stderr


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_exec_passes_on_input_status_and_directory(tmp_path: Path) -> None:
    assert sandbox("exec", "--", "cat", stdin="hello").stdout == "hello"
    assert sandbox("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert sandbox("exec", "--", "sh", "-c", "kill -TERM $$", check=False).returncode == 128 + signal.SIGTERM
    done = subprocess.run(
        [SANDBOX, "exec", "--", "pwd"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path)


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_exec_passes_on_signals() -> None:
    script = "trap 'echo stopped; exit 5' TERM; echo started; sleep 1000 & wait"
    with subprocess.Popen(
        [SANDBOX, "exec", "--", "bash", "-c", script], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "started\n"
        command.terminate()
        assert command.stdout.read() == "stopped\n"
    assert command.returncode == 5


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_exec_on_a_terminal_is_interrupted_by_control_c() -> None:
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background of a script ignores it
        os.execve(SANDBOX, [str(SANDBOX), "exec", "--", "sh", "-c", "tty; sleep 1000"], ENVIRONMENT)
    seen = b""
    while b"/dev/pts/" not in seen:
        assert select.select([terminal], [], [], 30)[0]
        seen += os.read(terminal, 1000)
    eventually(lambda: processes("sleep\x001000"))
    os.write(terminal, b"\x03")
    eventually(lambda: os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGINT
    os.close(terminal)


# What is left when parts are killed


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_a_killed_exec_leaves_nothing_inside() -> None:
    word = f"{time.time_ns()}"
    with subprocess.Popen(
        [SANDBOX, "exec", "--", "sh", "-c", f"sleep {word} & sleep {word}"], env=ENVIRONMENT
    ) as command:
        eventually(lambda: len(processes(f"sleep\x00{word}")) == 2)
        command.kill()
    eventually(lambda: not processes(word))


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_a_killed_node_takes_all_of_it_along_and_nothing_else() -> None:
    inits = node_inits()
    assert len(inits) == NODES
    space = os.readlink(f"/proc/{inits[0]}/ns/mnt")
    os.kill(inits[0], signal.SIGKILL)
    eventually(lambda: len(node_inits()) == NODES - 1)

    def left() -> list[str]:
        links = (directory / "ns/mnt" for directory in Path("/proc").iterdir() if directory.name.isdigit())
        return [str(link) for link in links if os.path.lexists(link) and space in _target(link)]

    eventually(lambda: not left())
    eventually(lambda: "NotReady" in sandbox("status").stdout, 120)
    assert shell("kubectl get nodes --no-headers").count(" Ready ") == NODES - 1


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


@pytest.mark.soak
@pytest.mark.usefixtures("world")
def test_reset_empties_the_subscription_even_when_azure_was_killed() -> None:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and f"serve-azure\0--name\0{NAME}\0" in _arguments(directory):
            os.kill(int(directory.name), signal.SIGKILL)
    eventually(lambda: not node_inits())
    assert "ENDED" in sandbox("status").stdout
    sandbox("reset")
    assert shell("az group list -o tsv") == ""
    assert "cluster" not in sandbox("status").stdout


def _arguments(directory: Path) -> str:
    try:
        return (directory / "cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.soak
def test_nothing_remains_after_down(before: dict[str, object], world: None) -> None:
    sandbox("down")
    assert host() == before


@pytest.mark.soak
def test_nothing_remains_when_init_was_killed(before: dict[str, object]) -> None:
    start()
    assert node_inits()
    with subprocess.Popen([SANDBOX, "exec", "--", "sleep", "1000"], env=ENVIRONMENT) as command:
        eventually(lambda: processes("sleep\x001000"))
        os.kill(int((STATE / "init.pid").read_text()), signal.SIGKILL)
        command.wait(timeout=30)
    eventually(lambda: not processes(NAME))
    assert "not up" in sandbox("status", check=False).stderr
    sandbox("down")
    assert host() == before


def test_down_needs_no_state_directory(before: dict[str, object]) -> None:
    sandbox("up")
    shutil.rmtree(STATE)
    sandbox("down")
    assert host() == before
