# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both ways to a node, as playbooks use them, on two real nodes. Needs root. The last test breaks a node."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from applications import pod
from operators import Operator, Run
from sandboxes import Sandbox, eventually, running
from tenant import hostile_image

pytestmark = [pytest.mark.story, pytest.mark.soak]

POD, COMMAND = "azureops.pod_identity.aks_node_pod", "azureops.pod_identity.vmss_run_command"
PREFIX = "pod-identity-node-access-"
# What cannot be compressed takes run-command 180 calls for one MiB.
SIZES = {POD: 1 << 20, COMMAND: 40_000}
TEXT = "grüße 'quoted' \"$HOME\" \\n\nsecond line\n"
MESSAGE = "VM 'x' has not reported status for VM agent or extensions."
SILENT = {"status": "Failed", "error": {"code": "VMAgentStatusCommunicationError", "message": MESSAGE}}


# The machines of tests may lack sudo, and the shell of nobody lets nobody in.
NOBODY = {"become": True, "become_method": "su", "become_user": "nobody", "become_flags": "-s /bin/sh"}


@dataclass(frozen=True)
class World:
    sandbox: Sandbox
    operator: Operator
    instances: dict[str, str]
    """By the name of the node."""

    @property
    def first(self) -> str:
        return min(self.instances)

    def play(self, connection: str, tasks: list[dict[str, Any]], *limit: str, **variables: Any) -> Run:
        return self.operator.play(self.book(tasks), *limit, inventory=self.inventory(connection, **variables))

    def book(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]

    def inventory(self, connection: str, **variables: Any) -> str:
        common = {
            "ansible_connection": connection,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_aks_node_pod_kubeconfig": str(self.operator.directory / "kubeconfig"),
            "ansible_vmss_run_command_poll_interval": 0.3,
            **variables,
        }
        hosts = {name: {"ansible_vmss_run_command_instance": each} for name, each in self.instances.items()}
        return json.dumps({"all": {"vars": common, "hosts": hosts}})

    def kubectl(self, *arguments: str) -> str:
        return self.sandbox.exec("kubectl", *arguments)

    def namespaces(self) -> list[str]:
        """Those of runs, with their kind."""
        return [each for each in self.kubectl("get", "namespaces", "-o", "name").split() if PREFIX in each]

    @property
    def namespace(self) -> str:
        """That of the only run since they were forgotten."""
        (name,) = self.namespaces()
        return name.partition("/")[2]

    def jobs(self) -> list[str]:
        return self.kubectl("get", "jobs", "-A", "-l", "app.kubernetes.io/managed-by", "-o", "name").split()

    def forget(self) -> None:
        """Take away what the runs of earlier tests left."""
        self.kubectl("delete", "--ignore-not-found", *(self.namespaces() or ["namespace/none"]))

    @property
    def address(self) -> str:
        """Of the first node."""
        return self.operator.addresses()[self.first]

    def on_node(self, *command: str) -> str:
        """Output of a command on the first node, by a way that is not under test."""
        return self.sandbox.ssh(self.address, *command)

    def on_node_with(self, path: Path, command: str) -> None:
        """Run a command on the first node with a file as its standard input."""
        ssh = shlex.join(["ssh", "-o", "LogLevel=ERROR", f"root@{self.address}", command])
        self.sandbox.exec("bash", "-c", f"{ssh} < {shlex.quote(str(path))}")

    def command(self, name: str, tasks: list[dict[str, Any]], connection: str, **variables: Any) -> list[str]:
        """The command that runs tasks on the first node."""
        book, hosts = self.operator.directory / f"{name}.json", self.operator.directory / f"{name}-hosts.yml"
        book.write_text(json.dumps(self.book(tasks)))
        hosts.write_text(self.inventory(connection, **variables))
        return ["ansible-playbook", str(book), "-i", str(hosts), "--limit", self.first]

    @contextmanager
    def started(self, tasks: list[dict[str, Any]], connection: str, **variables: Any) -> Iterator[None]:
        """A play on the first node that is killed at the end."""
        command = self.command("killed", tasks, connection, **variables)
        process = self.sandbox.start("exec", "--", *command)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("connections")
    with running("connections") as sandbox:
        sandbox.exec("az", "group", "create", "-n", "rg", "-l", "westeurope")
        sandbox.exec("az", "aks", "create", "-g", "rg", "-n", "one", "--node-count", "2", "--generate-ssh-keys")
        operator = Operator(sandbox, folder, {})
        operator.kubeconfig("rg", "one", "--admin")
        nodes = operator.kubectl("get", "nodes")["items"]
        instances = {raw["metadata"]["name"]: raw["spec"]["providerID"].removeprefix("azure://") for raw in nodes}
        yield World(sandbox, operator, instances)


def task(module: str, options: dict[str, Any] | str | None = None, **keywords: Any) -> dict[str, Any]:
    module = f"ansible.builtin.{module}"
    return {"name": module, module: options or {}, **keywords}


def expect(*conditions: str) -> dict[str, Any]:
    return task("assert", {"that": list(conditions)})


@pytest.mark.parametrize("connection", [POD, COMMAND])
def test_tasks_as_over_any_connection(world: World, connection: str) -> None:
    """On both nodes at once; what the tasks say is compared with what the node has."""
    data = random.Random(7).randbytes(SIZES[connection])
    source, back = world.operator.directory / "sörce", world.operator.directory / "back"
    source.write_bytes(data)
    target = "/tmp/a file with ümlaut"
    run = world.play(
        connection,
        [
            task("ping"),
            task("setup", {"gather_subset": ["!all", "platform"]}),
            expect("ansible_facts['nodename'] == inventory_hostname"),
            task("command", {"argv": ["cat"], "stdin": TEXT, "stdin_add_newline": False}, register="echoed"),
            task("shell", "printf '%s' \"$WHO\"", environment={"WHO": "ä b"}, register="who"),
            task("raw", "id -un", register="nobody", **NOBODY),
            task("command", "seq 1 20000", register="long"),
            task("raw", "printf 'out ü'; printf err >&2; exit 4", register="raw", failed_when="raw.rc != 4"),
            expect(
                "echoed.stdout ~ '\n' == text",
                "who.stdout == 'ä b'",
                "nobody.stdout is search('nobody')",
                "long.stdout_lines | length == 20000 and long.stdout_lines[-1] == '20000'",
                "raw.stdout == 'out ü' and raw.stderr is search('err')",
            ),
            task("copy", {"src": str(source), "dest": target, "mode": "0640"}),
            task("stat", {"path": target, "checksum_algorithm": "sha256"}, register="there"),
            expect(f"there.stat.checksum == '{hashlib.sha256(data).hexdigest()}'", "there.stat.mode == '0640'"),
            task("fetch", {"src": target, "dest": f"{back}-{{{{ inventory_hostname }}}}", "flat": True}),
            task("slurp", {"src": target}, register="slurped"),
            expect(f"slurped.content | length == {-(-len(data) // 3) * 4}"),
            task("file", {"path": "/nonexistent/x", "state": "file"}, register="bad", ignore_errors=True),
            expect("bad.msg is search('/nonexistent/x')"),
        ],
        text=TEXT,
    ).ok()
    for node in world.instances:
        assert Path(f"{back}-{node}").read_bytes() == data
    assert "unreachable=0" in run.output
    assert world.on_node("ls", "/root/.ansible/tmp") == ""
    eventually(lambda: "azureops" not in world.on_node("ls", "/run", "/tmp"), 30)
    assert world.on_node("find", "/var/lib", "-path", "*/run-command/*", "-type", "f") == ""


@contextmanager
def silent_kubelet(world: World, node: str) -> Iterator[None]:
    """The API server takes no status of the node from its kubelet, which would correct what a test writes there."""
    group, metadata = "admissionregistration.k8s.io/v1", {"name": "silent-kubelet"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes/status"]}
    validation = {"expression": f"!(request.userInfo.username in ['system:node:{node}', 'asking'])"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    bound = {"policyName": "silent-kubelet", "validationActions": ["Deny"]}
    kinds = {"ValidatingAdmissionPolicy": spec, "ValidatingAdmissionPolicyBinding": bound}

    def is_refused() -> bool:
        asking = ("--as", "asking", "--as-group", "system:masters")
        patch = ("--subresource=status", "--type=merge", "--patch", '{"status": {}}', "--dry-run=server")
        answer = world.sandbox.call("exec", "--", "kubectl", "patch", "node", node, *patch, *asking)
        return "ValidatingAdmissionPolicy" in answer.stderr

    world.operator.apply(
        *({"apiVersion": group, "kind": kind, "metadata": metadata, "spec": each} for kind, each in kinds.items())
    )
    try:
        eventually(is_refused)
        yield
    finally:
        world.kubectl("delete", *(f"{kind}/silent-kubelet" for kind in kinds))


def test_images_that_are_gone_are_passed_over(world: World) -> None:
    """The kubelet tells only now and then which images it has: here two that are not there any more."""
    world.forget()
    images = json.loads(world.kubectl("get", "node", world.first, "-o", "json"))["status"]["images"]
    pause = "mcr.microsoft.com/oss/v2/kubernetes/pause"
    gone = [{"names": [f"{pause}:{tag}"], "sizeBytes": size} for size, tag in enumerate("ab", start=1)]
    status = json.dumps({"status": {"images": [*gone, *images]}})
    with silent_kubelet(world, world.first):
        world.kubectl("patch", "node", world.first, "--subresource=status", "--type=merge", "--patch", status)
        world.play(POD, [task("raw", "true")], "--limit", world.first).ok()
    (image,) = world.kubectl("get", "jobs", "-n", world.namespace, "-o", "jsonpath={..image}").split()
    assert image in [name for each in images for name in each["names"]]
    told = world.kubectl(
        "get", "events", "-n", world.namespace, "--field-selector=reason=ErrImageNeverPull", "-o", "name"
    )
    assert len(told.split()) == 2
    world.forget()


def test_no_image_of_a_tenant_runs_or_is_obeyed(world: World) -> None:
    """The loader says which files it was told to load and could not; it says nothing where nobody told it to."""
    world.forget()
    tenant, path = "tenant.example/small", world.operator.directory / "tenant.tar"
    hostile_image(path, f"{tenant}:1")
    world.on_node_with(path, "/opt/bin/ctr -n k8s.io images import --local -")

    def images() -> dict[str, int]:
        listed = json.loads(world.kubectl("get", "node", world.first, "-o", "json"))["status"]["images"]
        return {name: each["sizeBytes"] for each in listed for name in each["names"]}

    eventually(lambda: f"{tenant}:1" in images(), 120)
    assert min(images().values()) == images()[f"{tenant}:1"]
    loader = world.on_node("ls /usr/lib/*-linux-gnu/ld-linux-*").split()[0]
    libraries = os.path.dirname(loader)
    told = {"of-the-environment.so", "of-the-file.so"}

    def obeyed(log: str) -> set[str]:
        return {name for name in told if name in log}

    # What it does to a pod that is not on its guard.
    command = [f"/host{loader}", "--library-path", f"/host{libraries}", "/host/usr/bin/true"]
    mounts = [{"name": "host", "mountPath": "/host"}]
    container = {"name": "x", "image": f"{tenant}:1", "imagePullPolicy": "Never", "command": command}
    host = [{"name": "host", "hostPath": {"path": "/"}}]
    mounted = {**container, "volumeMounts": mounts}
    world.operator.apply(pod("unguarded", mounted, nodeName=world.first, restartPolicy="Never", volumes=host))
    eventually(lambda: "Succeeded" in world.kubectl("get", "pod", "unguarded", "-o", "jsonpath={.status.phase}"), 60)
    assert obeyed(world.kubectl("logs", "unguarded")) == told
    world.kubectl("delete", "pod", "unguarded", "--now")

    # Unless its repository is named it is not used; where it is, nothing in it is obeyed.
    tasks = [task("raw", "id -u", register="said"), expect("said.stdout | trim == '0'", "said.stderr == ''")]
    for repositories in ([], [tenant]):
        named = {"ansible_aks_node_pod_image_repositories": repositories}
        world.play(POD, tasks, "--limit", world.first, **named).ok()
        (job,) = world.jobs()
        used = world.kubectl(
            "get", job, "-n", world.namespace, "-o", "jsonpath={.spec.template.spec.containers[0].image}"
        )
        assert used == (f"{tenant}:1" if repositories else "mcr.microsoft.com/oss/kubernetes/pause:3.6")
        assert world.kubectl("logs", "-n", world.namespace, job) == ""
        world.forget()
    world.on_node("/opt/bin/ctr", "-n", "k8s.io", "images", "rm", f"{tenant}:1")


def test_one_pod_serves_a_run_and_goes(world: World) -> None:
    reset = {"name": "Take the pod away", "ansible.builtin.meta": "reset_connection"}
    image = "mcr.microsoft.com/azurelinux/base/core:3.0"
    for variables in ({}, {"ansible_aks_node_pod_image": image}):
        world.forget()
        world.play(POD, [task("ping"), task("command", "true"), task("ping")], **variables).ok()
        assert len(world.jobs()) == 2, "one for each node"
        pods = json.loads(world.kubectl("get", "pods", "-n", world.namespace, "-o", "json"))["items"]
        used = {raw["spec"]["containers"][0]["image"] for raw in pods if not raw["metadata"].get("deletionTimestamp")}
        assert used == {image if variables else "mcr.microsoft.com/oss/kubernetes/pause:3.6"}
    mark = json.loads(world.kubectl("get", "namespace", world.namespace, "-o", "json"))["metadata"]["labels"]
    assert mark["pod-security.kubernetes.io/enforce"] == "privileged"
    world.forget()
    world.play(POD, [task("ping"), reset]).ok()
    eventually(lambda: not world.namespaces(), 60)


def test_what_a_killed_run_left_goes(world: World) -> None:
    """By the next run in the same place, which no command of the killed run survives."""
    world.forget()
    killed = world.command("killed", [task("command", "sleep 1000")], POD, ansible_aks_node_pod_idle_timeout=9)
    following = world.command("next", [task("ping")], POD)
    story = f"""
        {shlex.join(killed)} >/dev/null 2>&1 & run=$!
        until kubectl get pods -A | grep {PREFIX} | grep -q Running; do sleep 1; done
        kubectl get namespaces -o name | grep {PREFIX}
        kill -9 $run; wait $run
        {shlex.join(following)} >/dev/null || exit 1"""
    (before,) = world.sandbox.exec("bash", "-c", story).split()
    eventually(lambda: len(world.namespaces()) == 1 and before not in world.namespaces(), 60)
    eventually(lambda: "sleep 1000" not in world.on_node("ps", "ax"), 60)


def test_a_killed_run_goes_unaided(world: World) -> None:
    """A running command alone keeps the pod alive beyond the idle limit."""
    world.forget()
    with world.started([task("command", "sleep 1000")], POD, ansible_aks_node_pod_idle_timeout=12):
        eventually(lambda: "sleep 1000" in world.on_node("ps", "ax"), 60)
        time.sleep(20)
        assert "sleep 1000" in world.on_node("ps", "ax"), "the idle limit ended a command that was running"
    eventually(lambda: "sleep 1000" not in world.on_node("ps", "ax"), 60)
    eventually(lambda: world.jobs() == [], 120)


def test_another_command_is_waited_for(world: World) -> None:
    with world.started([task("command", "sleep 40")], COMMAND):
        eventually(lambda: "sleep 40" in world.on_node("ps", "ax"), 60)
        busy = {"ansible_vmss_run_command_busy_timeout": 1}
        refused = world.play(COMMAND, [task("ping")], "--limit", world.first, **busy)
        assert refused.status != 0 and "another run-command is still in progress" in refused.output
        world.play(COMMAND, [task("ping")], "--limit", world.first).ok()


def test_a_silent_agent_is_named(world: World) -> None:
    fault = ("--path", "Microsoft.Compute/locations/.*/operations/", "--status", "200", "--body", json.dumps(SILENT))
    world.sandbox.run("azure", "fault", *fault)
    refused = world.play(COMMAND, [task("ping")], "--limit", world.first)
    world.sandbox.run("azure", "fault", "--clear")
    assert refused.status != 0 and "unreachable=1" in refused.output
    assert f"The VM agent of {world.first} (instance 0) does not answer" in refused.output
    assert "Traceback" not in refused.output


def test_secrets_are_refused(world: World) -> None:
    secret = "correct-horse"
    world.sandbox.run("azure", "log", "--clear")
    user = task("user", {"name": "nobody", "password": secret, "update_password": "on_create"})
    only = ("--limit", world.first)
    for pipelining in (True, False):
        refused = world.play(COMMAND, [user], *only, ansible_vmss_run_command_pipelining=pipelining)
        assert refused.status != 0 and "has secrets (password)" in refused.output
    quiet = world.play(COMMAND, [task("command", "true", no_log=True)], *only)
    assert quiet.status != 0
    raw = world.play(COMMAND, [task("raw", f"echo {secret}", no_log=True)], *only)
    assert raw.status != 0
    log = world.sandbox.run("azure", "log", "--host", "management.azure.com", "--json")
    assert secret not in log
    world.play(COMMAND, [user], *only, ansible_vmss_run_command_allow_no_log=True).ok()


def test_a_dead_kubelet(world: World) -> None:
    only = ("--limit", world.first)
    world.play(POD, [task("ping")], *only).ok()
    world.on_node("umount -l /opt/bin/kubelet && pkill -x kubelet")
    early = world.play(POD, [task("ping")], *only, ansible_aks_node_pod_start_timeout=8)
    assert early.status != 0 and "kubelet" in early.output and "vmss_run_command" in early.output

    eventually(lambda: "NotReady" in world.kubectl("get", "node", world.first, "--no-headers"), 120)
    late = world.play(POD, [task("ping")], *only)
    assert late.status != 0 and f"Node {world.first} is not Ready since" in late.output
    assert "Traceback" not in early.output + late.output
    world.play(COMMAND, [task("ping")], *only).ok()
