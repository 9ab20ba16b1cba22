# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks in every place where a secret can be, and playbooks at -vvvv --diff that must not spread one. Needs root.

The tests are one story: a site, its workloads restarted, uninstall and restore, and nodes cleaned over each transport.
After each run the marks are searched for wherever somebody else than the operator could read them.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from applications import deployment, sleeper
from jobs import Job, RunnerOperator
from operators import CLUSTER, GROUP, SITE, Operator, Run, dead_rules, on_localhost
from sandboxes import Sandbox, running
from spills import LOOKS, OWN, Marks, Watch
from uninstalled import to_restore

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.restarts import ANNOTATION
from azsandbox import paths

pytestmark = [pytest.mark.story, pytest.mark.soak]

PRINCIPAL = {
    "name": "reports",
    "namespace": "billing",
    "selector": "reports",
    "type": 1,
    "client_id": "11111111-1111-4111-8111-111111111111",
    "tenant_id": "22222222-2222-4222-8222-222222222222",
    "client_password_secret": {"name": "reports-credential"},
}
VAULT = "planted"
# Lets through who says one of the passwords, and notes whose it was.
PROXY = """
import asyncio, base64, sys
port, log, *users = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1), *open(sys.argv[3]).read().split()
known = {"Basic " + base64.b64encode(each.encode()).decode(): each.partition(":")[0] for each in users}
async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().split("\\r\\n")
    said = [line.partition(": ")[2] for line in head if line.lower().startswith("proxy-authorization:")]
    if not said or said[0] not in known:
        writer.write(b"HTTP/1.1 407 Who are you\\r\\nProxy-Authenticate: Basic\\r\\nContent-Length: 0\\r\\n\\r\\n")
        return writer.close()
    host, _, port = head[0].split()[1].rpartition(":")
    log.write(f"{known[said[0]]} {host}\\n")
    inner, outer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    await asyncio.gather(pump(reader, outer), pump(inner, writer), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        print("ready", flush=True)
        await server.serve_forever()
asyncio.run(main())
"""
PORT = 3128
PROXIES = ("everything", "kubernetes")
"""Their users."""


@dataclass
class Vault:
    """An operator with secrets in every place, and what became of them."""

    operator: Operator
    marks: Marks
    kept: Path
    """Directory of restore bundles."""
    environment: dict[str, str]
    """Of plays, with proxies that want passwords."""
    nodes: dict[str, str] = field(default_factory=dict)
    """Addresses by name."""
    progress: list[tuple[str, str]] = field(default_factory=list)
    """What the first site said of tasks that took long."""

    @property
    def own(self) -> Path:
        return self.operator.directory / OWN

    def play(self, playbook: str | list[dict[str, Any]], *arguments: str, **options: Any) -> Run:
        """The playbook, which must have ended well and spread nothing."""
        run, spilled = self.watched(playbook, *arguments, **options)
        run.ok()
        assert spilled == []
        return run

    def watched(
        self, playbook: str | list[dict[str, Any]], *arguments: str, marks: Marks | None = None, **options: Any
    ) -> tuple[Run, list[str]]:
        with Watch(self.operator, marks or self.marks, [self.kept]) as watch:
            run = self.operator.play(playbook, "-vvvv", "--diff", *arguments, **options)
        return run, watch.search(run)

    def job(self, playbook: str | list[dict[str, Any]], *arguments: str, **options: Any) -> tuple[Run, Job]:
        """The same by ansible-runner, which is asked for the password of the vault.

        Of secrets it keeps those of the environment that it has itself, as its documentation says, and no other.
        """
        prompt = rf"Vault password \({VAULT}\):\s*$"
        operator = RunnerOperator.of(self.operator, {prompt: (self.own / "password").read_text()})
        asked = ("--vault-id", f"{VAULT}@prompt")
        with Watch(operator, self.marks, [self.kept]) as watch:
            run = operator.play(playbook, "-vvvv", "--diff", *asked, *arguments, **options)
        operator.job.check(run)
        assert watch.search(run) == [f"the secret of the operator in the file {operator.job.command}"]
        assert operator.job.command.stat().st_mode & 0o077 == 0
        kept = Job(self.own / "job")
        shutil.rmtree(kept.folder, ignore_errors=True)
        operator.job.folder.rename(kept.folder)
        shutil.rmtree(operator.private)
        return run, kept

    def with_environment(self, playbook: str, *but: str) -> list[dict[str, Any]]:
        """A playbook of the collection, all of whose plays have an environment, but those of these names."""
        plays: list[dict[str, Any]] = yaml.safe_load((paths.CHECKOUT / f"playbooks/{playbook}.yml").read_text())
        assert {*but} < {each["name"] for each in plays}
        for each in plays:
            if each["name"] not in but:
                each["environment"] = self.environment
        return plays

    def plant_in_cluster(self) -> None:
        """A workload that is to be restarted, and the Secret of a service principal."""
        planted = self.marks.plant
        password = {"name": "PASSWORD", "value": planted("the environment of a Deployment")}
        made = deployment("api", "billing", {"aadpodidbinding": "billing"}, sleeper("api", env=[password]))
        made["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: "old"}
        self.operator.apply(made)
        word = planted("the data of a Secret")
        copied = {
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps(_secret(planted("what kubectl applied"))),
            "objectset.rio.cattle.io/applied": base64.b64encode(
                gzip.compress(json.dumps(_secret(planted("what rancher applied"))).encode())
            ).decode(),
            "kapp.k14s.io/original": json.dumps(_secret(planted("what kapp applied"))),
        }
        secret = _secret(word)
        self.operator.apply({**secret, "metadata": {**secret["metadata"], "annotations": copied}}, verb="create")

    def get_credentials(self) -> None:
        """Those of the kubeconfig that Azure hands out count as planted."""
        file = self.operator.kubeconfig(name=f"{OWN}/kubeconfig")
        (user,) = yaml.safe_load(Path(file).read_text())["users"]
        self.marks.plant("the key of the kubeconfig", _line(base64.b64decode(user["user"]["client-key-data"]).decode()))

    def has_secret(self) -> bool:
        found = self.operator.sandbox.exec("kubectl", "get", "secrets", "-n", "billing", "-o", "name")
        return "secret/reports-credential" in found

    def put_back(self, bundle: Mapping[str, Any]) -> None:
        """The Secret that went, as the README of the role tells."""
        (encrypted,) = bundle["secrets"]
        (self.own / "encrypted").write_text(encrypted["document"])
        script = f"ansible-vault decrypt --vault-id {self.vault} --output - < encrypted | kubectl create -f -"
        self.operator.sandbox.exec("bash", "-c", f"cd {self.own} && {script}")

    @property
    def vault(self) -> str:
        return f"{VAULT}@{self.own / 'password'}"

    def uninstall(self, *, by_runner: bool = False, **variables: Any) -> None:
        confirmed = {
            "pod_identity_uninstall_confirm": CLUSTER,
            "pod_identity_uninstall_allow_in_use": True,
            "pod_identity_uninstall_vault_id": VAULT,
        }
        assert self.has_secret()
        playbook, given = self.with_environment("uninstall"), {**confirmed, **variables}
        if by_runner:
            self.job(playbook, variables=given)
        else:
            self.play(playbook, "--vault-id", self.vault, variables=given)
        assert not self.has_secret()


def _secret(word: str) -> dict[str, Any]:
    data = {"clientSecret": base64.b64encode(word.encode()).decode()}
    metadata = {"name": "reports-credential", "namespace": "billing"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _line(key: str) -> str:
    """One that no other key has."""
    return key.splitlines()[2]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as kept, running("planted") as sandbox:
        marks, directory = Marks(), tmp_path_factory.mktemp("operator")
        own = directory / OWN
        own.mkdir()
        sandbox.run("azure", "settings", "log_whole=true")
        (own / "password").write_text(marks.plant("the password of the vault"))
        account = json.loads((paths.state(sandbox.name) / "principals/operator.json").read_text())
        marks.plant("the secret of the operator", account["secret"])
        key = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(own / "key"), "-out", str(own / "crt"))
        subprocess.run(["openssl", "req", "-x509", "-subj", "/CN=certified", *key], check=True, capture_output=True)
        marks.plant("the key of a certificate", _line((own / "key").read_text()))
        (own / "pem").write_text((own / "key").read_text() + (own / "crt").read_text())
        role = ("--role", "Owner", "--scope", f"/subscriptions/{account['subscription_id']}")
        sandbox.run("azure", "principal", "certified", *role, "--certificate", str(own / "crt"))
        values = {
            "clientPassword": marks.plant("a value of the chart"),
            "nmi": {"clientPassword": marks.plant("a value within others of the chart")},
        }
        variables = {**SITE, "pod_identity_artifact_target": kept, "pod_identity_chart_values": values}
        users = {name: f"{name}:{marks.plant(f'the password of the proxy for {name}')}" for name in PROXIES}
        environment = {
            "HTTPS_PROXY": f"http://{users['everything']}@127.0.0.1:{PORT}",
            # The client library takes no password out of the URL.
            "K8S_AUTH_PROXY": f"http://kubernetes:{marks.plant('a password in the URL of a proxy')}@127.0.0.1:{PORT}",
            "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH": users["kubernetes"],
        }
        environment["APPLICATION_TOKEN"] = marks.plant("a variable of the play's environment")
        with proxy(sandbox, own, list(users.values())):
            yield Vault(Operator(sandbox, directory, variables), marks, Path(kept), environment)


@contextmanager
def proxy(sandbox: Sandbox, own: Path, users: list[str]) -> Iterator[None]:
    (own / "proxy.py").write_text(PROXY)
    (own / "users").write_text("\n".join(users))
    arguments = [str(own / name) for name in ("proxy.py", "used", "users")]
    process = sandbox.start("exec", "--", "python3", arguments[0], str(PORT), *arguments[1:])
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def site(vault: Vault) -> Vault:
    _run, job = vault.job("azureops.pod_identity.site")
    vault.progress = job.progress()
    vault.nodes = vault.operator.addresses()
    vault.get_credentials()
    vault.plant_in_cluster()
    return vault


def test_a_site_tells_nothing_but_how_far_it_is(site: Vault) -> None:
    """By ansible-runner: each line is an event of its own, while its task is under way."""
    task = "Create or change the cluster"
    assert any(each == task and "control plane and nodes are starting" in line for each, line in site.progress)


@pytest.mark.soak
@pytest.mark.parametrize("playbook", ["migrate", "report"])
def test_a_job_tells_nothing(site: Vault, playbook: str) -> None:
    """Those that change nothing in a cluster, by ansible-runner."""
    target = site.kept / "report"
    options = {"variables": {"pod_identity_report_target": str(target)}} if playbook == "report" else {}
    run, job = site.job(site.with_environment(playbook), **options)
    if playbook == "report":
        assert run.changes() == ["Write the report"] and (target / "pod-identity-report.json").exists()
        shutil.rmtree(target)
    else:
        assert run.changes() == [] and job.stats["workload_identity_migration_plan"]["localhost"]


def test_each_search_finds_what_a_careless_play_spreads(site: Vault) -> None:
    """Or the other tests would prove nothing."""
    marks, kubeconfig = Marks(), str(site.own / "kubeconfig")
    said, listed, left, on_node = (marks.plant(name) for name in ("said", "listed", "left", "left on a node"))
    sent, asked, logged, happened = (marks.plant(name) for name in ("sent", "asked", "logged", "happened"))
    packed = marks.plant("packed")
    command, debug, k8s = "ansible.builtin.command", "ansible.builtin.debug", "azureops.pod_identity.kubernetes_core"
    quiet = {"no_log": True}
    word = {"name": "WORD", "value": logged}
    container = sleeper("x", command=["bash", "-c", "echo $WORD; sleep infinity"], env=[word])
    place = {"name": "careless", "namespace": "default"}
    event = {"involvedObject": {"kind": "Pod", **place}, "reason": "Careless", "message": happened, "type": "Normal"}
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"x": asked}},
        {"apiVersion": "v1", "kind": "Event", "metadata": place, **event},
        {"apiVersion": "v1", "kind": "Pod", "metadata": place, "spec": {"containers": [container]}},
    ]
    token = ".".join(
        base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (b'{"alg":"x"}', b'{"sub":"x"}', bytes(30))
    )
    address = min(site.nodes.values())
    ssh = ["ssh", "-o", "LogLevel=ERROR", f"root@{address}", "cat > /tmp/left"]
    pack = {"cmd": f"base64 | gzip > {site.kept}/left", "stdin": packed}
    group = {"name": GROUP, "tags": {"x": sent}, "append_tags": True}
    looks = f"$(cat {site.own / LOOKS})"
    until_seen = f"first={looks}; until [ {looks} -gt $((first + 1)) ]; do sleep 0.02; done"
    tasks: list[dict[str, Any]] = [
        {debug: {"msg": said}},
        {debug: {"msg": token}},
        {command: {"argv": ["bash", "-c", until_seen, listed]}, **quiet},
        {"ansible.builtin.copy": {"content": left, "dest": "~/left"}, **quiet},
        {command: {"argv": ssh, "stdin": on_node}, **quiet},
        {"ansible.builtin.shell": pack, **quiet},
        {"azureops.pod_identity.resource_group": group, **quiet},
        {k8s: {"module": "k8s", "kubeconfig": kubeconfig, "definition": "{{ item }}", "wait": True}, **quiet}
        | {"loop": objects},
        {command: {"argv": ["bash", "-c", "until kubectl logs careless -n default | grep .; do :; done"]}, **quiet},
    ]
    run, spilled = site.watched(on_localhost(*tasks), marks=marks)
    run.ok()
    places = {
        "said": "the output",
        "token": "the output",
        "listed": "the arguments of a process",
        "left": "the file",
        "left on a node": "a file of a node: /tmp/left",
        "packed": "the file",
        "sent": "a request to ARM: PUT",
        "asked": "the audit log",
        "logged": "the log of pod",
        "happened": "the event Careless",
    }
    missed = [name for name, place in places.items() if not any(s.startswith(f"{name} in {place}") for s in spilled)]
    assert missed == [], spilled
    site.operator.sandbox.exec("kubectl", "delete", "--now", "pod/careless", "configmap/careless")
    site.operator.sandbox.exec("sh", "-c", "rm ~/left")
    site.operator.sandbox.ssh(address, "rm /tmp/left")
    (site.kept / "left").unlink()


def test_a_restart_tells_nothing(site: Vault) -> None:
    """With a certificate, an environment, and through a proxy."""
    wanted: dict[str, Any] = {
        "pod_identity_bindings_list": [*SITE["pod_identity_bindings_list"], PRINCIPAL],
        "pod_identity_bindings_restart": [{"namespace": "billing", "name": "api"}],
    }
    site.operator.variables.update(wanted)
    certificate = {"AZURE_SECRET": "", "AZURE_X509_CERTIFICATE_PATH": str(site.own / "pem")}
    run = site.play(site.with_environment("site"), principal="certified", environment=certificate)
    assert any("estart" in task for task in run.changes()), run.changes()
    used = {line.split()[0] for line in (site.own / "used").read_text().splitlines()}
    assert used == set(PROXIES), used


def test_an_uninstall_tells_nothing(site: Vault) -> None:
    """Its bundle in a file, which the following run restores, with the login as variables and a cache of facts."""
    site.uninstall()
    (file,) = site.kept.glob(f"{CLUSTER}-*.json")
    account = json.loads((paths.state(site.operator.sandbox.name) / "principals/operator.json").read_text())
    login = {f"pod_identity_{name}": account[name] for name in ("client_id", "secret")}
    given = {**login, "pod_identity_tenant": account["tenant_id"], **to_restore(file)}
    facts = str(site.operator.directory / "facts")
    cache = {"ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": facts}
    site.play(site.with_environment("restore"), variables=given, environment=cache)
    site.put_back(json.loads(file.read_text()))


def test_a_bundle_in_a_secret_tells_nothing(site: Vault) -> None:
    """By ansible-runner."""
    site.uninstall(by_runner=True, pod_identity_uninstall_artifact_target="secret:default/planted")
    secrets = site.operator.kubectl("get", "secrets", "-n", "default")["items"]
    (bundle,) = [each for each in secrets if each["metadata"]["name"].startswith("planted-")]
    assert site.marks.found(json.dumps(bundle).encode()) == set()


@pytest.mark.parametrize("transport", ["ssh", "aks_node_pod", "vmss_run_command"])
def test_a_node_that_is_cleaned_tells_nothing(site: Vault, transport: str) -> None:
    """Nor what plays have in their environment; that of nodes is refused over run-command: Azure keeps its scripts.

    By ansible-runner through a pod and over run-command.
    """
    name, address = min(site.nodes.items())
    site.operator.sandbox.ssh(address, f"iptables-save -t nat | grep -q aad-metadata || {{ {dead_rules()} }}")
    variables = {
        "node": name,
        "imds_node_cleanup_transports": [transport],
        "imds_node_cleanup_artifact_target": f"{site.kept}/tables" if transport == "ssh" else "secret:default/tables",
    }
    options: dict[str, Any] = {"variables": variables}
    without = []
    if transport == "vmss_run_command":
        without = ["Clean the nodes"]
        refused, spilled = site.watched(site.with_environment("cleanup_nodes"), "-u", "root", **options)
        assert (refused.outcomes, spilled) == (["unreachable"], [])
        assert "has secrets (APPLICATION_TOKEN, HTTPS_PROXY" in refused.nodes[name]["reason"]
    playbook = site.with_environment("cleanup_nodes", *without)
    if transport == "ssh":
        run = site.play(playbook, "-u", "root", **options)
    else:
        run, _job = site.job(playbook, "-u", "root", **options)
    assert run.outcomes == ["cleaned"]
    assert transport != "ssh" or [path.name for path in (site.kept / "tables").iterdir()] == [name]
