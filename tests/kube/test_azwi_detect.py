# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`azwi podidentity detect` beside workload_identity_info on the same ten namespaces: nothing that it finds is missing.

What both said is the table of docs/azwi_detect.md; a run leaves it in .build/azwi_detect.md.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, set_status
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import CHECKOUT, ApiServer, Runner

Raw = dict[str, Any]

CONTROLLERS = [
    f"{kind}-controller" for kind in ("deployment", "replicaset", "statefulset", "daemonset", "replicationcontroller")
]
REPLICATION_CONTROLLER = Kind("", "v1", "replicationcontrollers", "ReplicationController")
IDS = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
PAGE, MADE = CHECKOUT / "docs/azwi_detect.md", CHECKOUT / ".build/azwi_detect.md"
ENDED = "has ended"


@dataclass
class Team:
    """A namespace, and the identity of its workloads, whose label has its name. ``live``: workloads with live pods."""

    client: Client
    name: str
    live: list[str] = field(default_factory=list)

    def identity(self, name: str, number: int, namespace: str = "", kind: int = 0) -> None:
        """An AzureIdentity that pods with the label of the namespace get, wherever it is."""
        spec = {"type": kind, "resourceID": f"{IDS}/{name}", "clientID": client_id(number)}
        where = namespace or self.name
        self.create(kinds.AZURE_IDENTITY, name, where, spec=spec)
        self.create(kinds.AZURE_IDENTITY_BINDING, name, where, spec={"azureIdentity": name, "selector": self.name})

    def create(self, kind: Kind, name: str, namespace: str = "", *, metadata: Raw | None = None, **more: Any) -> Raw:
        return dict(create(self.client, kind, namespace or self.name, name, metadata=metadata or {}, **more))

    def template(self, name: str, account: str, **spec: Any) -> Raw:
        pod = {"containers": [{"name": "app", "image": "app"}], **spec}
        if account:
            pod["serviceAccountName"] = account
        return {"metadata": {"labels": {"app": name, "aadpodidbinding": self.name}}, "spec": pod}

    def workload(self, kind: Kind, name: str, account: str = "", live: int = 1, **spec: Any) -> Raw:
        """With a service account of its own where one is named."""
        if account:
            self.create(kinds.SERVICE_ACCOUNT, account)
        chosen: Raw = {"app": name} if kind == REPLICATION_CONTROLLER else {"matchLabels": {"app": name}}
        whole: Raw = {"selector": chosen, "template": self.template(name, account), **spec}
        if kind == kinds.STATEFUL_SET:
            whole["serviceName"] = name
        if live:
            self.live.append(name)
        return self.create(kind, name, spec=whole)

    def job(self, name: str, metadata: Raw | None = None) -> None:
        self.live.append(name)
        pod = self.template(name, "", restartPolicy="Never")
        self.create(kinds.JOB, name, metadata=metadata, spec={"template": pod})

    def pod(self, name: str, metadata: Raw | None = None) -> None:
        made = self.template(name, "")
        self.create(kinds.POD, name, metadata={**made["metadata"], **(metadata or {})}, spec=made["spec"])

    def end(self, name: str) -> None:
        """The pods of a workload succeed."""
        for each in self.pods(name):
            set_status(self.client, kinds.POD, self.name, each["metadata"]["name"], phase="Succeeded")

    def status(self, kind: Kind, name: str) -> Raw:
        return dict((self.client.get(kind, self.name, name) or {}).get("status") or {})

    def live_on(self) -> None:
        """Wait until each of its workloads has a pod."""
        server.until(f"{self.name} has its pods", lambda: all(map(self.pods, self.live)))

    def pods(self, name: str) -> list[Raw]:
        return [dict(each) for each in self.client.list_all(kinds.POD, self.name, labels=f"app={name}")]


def client_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


SHAPES: dict[str, Callable[[Team], None]] = {}


def shape(make: Callable[[Team], None]) -> Callable[[Team], None]:
    SHAPES[make.__name__.replace("_", "-")] = make
    return make


@shape
def deployments(team: Team) -> None:
    team.identity("money", 1)
    team.workload(kinds.DEPLOYMENT, "web")
    team.workload(kinds.DEPLOYMENT, "api", "api", replicas=2)


@shape
def stateful_sets(team: Team) -> None:
    team.identity("money", 2)
    team.workload(kinds.STATEFUL_SET, "database", "database")


@shape
def daemon_sets(team: Team) -> None:
    team.identity("money", 3)
    team.workload(kinds.DAEMON_SET, "agent", "agent")


@shape
def jobs(team: Team) -> None:
    team.identity("money", 4)
    pod = team.template("nightly", "", restartPolicy="Never")
    spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod}}}
    made = team.create(kinds.CRON_JOB, "nightly", spec=spec)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made["metadata"]["uid"]}
    team.job("nightly-1", {"ownerReferences": [{**owner, "controller": True}]})
    for name in ("running", "over"):
        team.job(name)
    server.until("the Job has a pod", lambda: bool(team.pods("over")))
    team.end("over")
    server.until("the Job has ended", lambda: "completionTime" in team.status(kinds.JOB, "over"))


@shape
def replicas(team: Team) -> None:
    team.identity("money", 5)
    team.workload(kinds.REPLICA_SET, "cache")
    team.workload(REPLICATION_CONTROLLER, "old")


@shape
def pods(team: Team) -> None:
    team.identity("money", 6)
    for name in ("shell", "over"):
        team.pod(name)
    team.end("over")


@shape
def several_identities(team: Team) -> None:
    """One of them is a service principal."""
    team.identity("a-principal", 70, kind=1)
    team.identity("b-money", 7)
    team.identity("c-vault", 71)
    team.workload(kinds.DEPLOYMENT, "web", "web")


@shape
def asleep(team: Team) -> None:
    """Nothing has a pod."""
    team.identity("money", 8)
    team.workload(kinds.DEPLOYMENT, "scaled-down", live=0, replicas=0)
    pod = team.template("suspended", "", restartPolicy="Never")
    spec = {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": {"template": pod}}}
    team.create(kinds.CRON_JOB, "suspended", spec=spec)


@shape
def identity_elsewhere(team: Team) -> None:
    """As MIC gives it, unless it is forced to namespaces."""
    team.identity("shared", 9, namespace="deployments")
    team.workload(kinds.DEPLOYMENT, "web")


@shape
def operators(team: Team) -> None:
    """A pod of a kind that only its operator knows, beside a Deployment."""
    team.identity("money", 10)
    owner = {"apiVersion": "example.com/v1", "kind": "Runner", "name": "runner", "uid": "u", "controller": True}
    team.pod("runner-0", {"ownerReferences": [owner]})
    team.workload(kinds.DEPLOYMENT, "web")


@dataclass(frozen=True)
class Found:
    """What azwi would write for a workload."""

    account: str
    client_id: str


Key = tuple[str, str, str]
"""Namespace, kind and name."""


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    with server.running(*CONTROLLERS) as started:
        server.install(started.client(), server.definitions())
        yield started


def detect(api_server: ApiServer, namespace: str, folder: Path) -> tuple[dict[Key, Found], str]:
    """What azwi finds in a namespace, and why it gives up."""
    program = workload_identity.built() / "bin/azwi"
    command = [str(program), "podidentity", "detect", "--namespace", namespace, "--output-dir", str(folder)]
    environment = {"KUBECONFIG": api_server.kubeconfig(), "HOME": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    why = done.stderr.strip().splitlines()[0] if done.returncode else ""
    written = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
    accounts = {each["metadata"]["name"]: each for each in written if each["kind"] == "ServiceAccount"}
    found = {}
    for each in written:
        if each["kind"] != "ServiceAccount":
            spec = each["spec"]
            pod = spec if each["kind"] == "Pod" else spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]
            account = accounts[pod["serviceAccountName"]]
            told = account["metadata"]["annotations"]["azure.workload.identity/client-id"]
            found[namespace, each["kind"], each["metadata"]["name"]] = Found(account["metadata"]["name"], told)
    return found, why


def ours(told: Raw) -> dict[Key, str]:
    """What workload_identity_info says of each workload."""
    found = {}
    for row in told["templates"]:
        blocked = ", ".join(sorted({each["code"] for each in row["blocked"]}))
        steps = ", ".join(row["steps"])
        found[row["namespace"], row["kind"], row["name"]] = f"{row['verdict']}: {blocked or steps}"
    for label in told["ended"]:
        kind, _space, place = label.partition(" ")
        namespace, _slash, name = place.partition("/")
        found[namespace, kind, name] = ENDED
    return found


def table(by_azwi: dict[Key, Found], by_us: dict[Key, str], failures: dict[str, str]) -> str:
    lines = ["| Namespace | Workload | azwi | workload_identity_info |", "|---|---|---|---|"]
    for key in sorted({*by_azwi, *by_us}):
        namespace, kind, name = key
        found = by_azwi.get(key)
        said = f"service account {found.account}" if found else failures.get(namespace) or "-"
        lines.append(f"| {namespace} | {kind} {name} | {said} | {by_us.get(key, '-')} |")
    return "\n".join(lines) + "\n"


@pytest.mark.soak
def test_nothing_that_azwi_finds_is_missing(api_server: ApiServer, tmp_path: Path) -> None:
    client = api_server.client()
    client.create(kinds.NODE, None, {"metadata": {"name": "n1"}})
    # A node begins with the taint that it is not ready, which pods of a DaemonSet do not tolerate.
    client.merge(kinds.NODE, None, "n1", {"spec": {"taints": None}})
    teams = [Team(client, name) for name in SHAPES]
    for team in teams:
        client.create(server.NAMESPACE, None, {"metadata": {"name": team.name}})
    for team in teams:
        SHAPES[team.name](team)
    for team in teams:
        team.live_on()
    by_azwi: dict[Key, Found] = {}
    failures = {}
    for team in teams:
        folder = tmp_path / team.name
        folder.mkdir()
        found, why = detect(api_server, team.name, folder)
        by_azwi |= found
        if why:
            failures[team.name] = why
    told = Runner(api_server, "workload_identity_info")(namespaces=list(SHAPES)).ok()
    by_us = ours(told)
    # It has seen what it looks at: living pods.
    assert len({namespace for namespace, _kind, _name in by_azwi}) >= 7 and set(failures) == {"operators"}, by_azwi
    assert [key for key in by_azwi if key not in by_us] == []
    ids: dict[Key, set[str]] = {}
    for row in told["templates"]:
        key = (row["namespace"], row["kind"], row["name"])
        ids[key] = {row["client_id"], *(each["client_id"] for each in row["identities"])}
    assert [key for key, found in by_azwi.items() if key in ids and found.client_id not in ids[key]] == []
    MADE.parent.mkdir(exist_ok=True)
    MADE.write_text(table(by_azwi, by_us, failures))
    assert MADE.read_text() in PAGE.read_text(), f"the table of {PAGE.name} is another one: take that of {MADE}"
