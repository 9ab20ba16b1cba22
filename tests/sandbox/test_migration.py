# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate in the sandbox, with real MIC, NMI, webhook and SDK. Needs root.

The tests follow one story on one site: two workloads ask for tokens all the time, while they are moved phase by phase
and brought back; what each request got, and from whom, is what the applications themselves say.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from applications import apply, served, workload
from operators import CLUSTER, GROUP, SITE, Operator, Run
from probes import QUICK_NMI
from sandboxes import eventually, running

pytestmark = pytest.mark.story(minutes=8)

NAMESPACE, PLAYBOOK = "billing", "azureops.pod_identity.migrate"
OF_NMI = {"aadpodidbinding": "billing"}
MOVED, BACK = "mover", "returner"
MARK = "azureops.pod-identity/migration"


@dataclass
class Recorder:
    """What the pods of a workload say of each request, also those that are gone by now."""

    operator: Operator
    name: str
    records: list[dict[str, Any]] = field(default_factory=list)
    _seen: set[float] = field(default_factory=set)
    _pods: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        for each in self._pods.values():
            each.kill()
            each.wait()

    def was_served(self) -> bool:
        return any(each["ok"] for each in self.records)

    def since(self, moment: float) -> list[dict[str, Any]]:
        return sorted((each for each in self.records if each["began"] >= moment), key=lambda each: float(each["began"]))

    def _watch(self) -> None:
        """Follow the log of each pod from its first line on, and anew where the API server ended that."""
        wanted = ("get", "pods", "-n", NAMESPACE, "-l", f"app={self.name}", "--field-selector=status.phase=Running")
        while not self._stop.wait(1):
            for pod in self.operator.sandbox.call("exec", "--", "kubectl", *wanted, "-o", "name").stdout.split():
                if pod not in self._pods or self._pods[pod].poll() is not None:
                    follow = ("kubectl", "logs", "-n", NAMESPACE, "-f", "-c", "app", pod)
                    self._pods[pod] = self.operator.sandbox.start("exec", "--", *follow)
                    threading.Thread(target=self._read, args=(self._pods[pod],), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            assert "eyJ" not in line
            if line.startswith("{") and line.endswith("}\n"):  # else kubectl says why it ends, or has ended in a line
                record = json.loads(line)
                if record["began"] not in self._seen:
                    self._seen.add(record["began"])
                    self.records.append(record)


@dataclass
class Story:
    operator: Operator
    identity: dict[str, str]
    recorders: dict[str, Recorder] = field(default_factory=dict)
    templates: dict[str, Any] = field(default_factory=dict)

    def migrate(self, *arguments: str, **variables: Any) -> Run:
        given = {f"workload_identity_migration_{name}": value for name, value in variables.items()}
        return self.operator.play(PLAYBOOK, *arguments, variables=given)

    def states(self, run: Run) -> dict[str, tuple[str, str]]:
        rows = run.ok().stats["workload_identity_migration_stages"]["localhost"]
        return {row["workload"].rpartition("/")[2]: (row["state"], row["next"]) for row in rows}

    def reasons(self, run: Run) -> str:
        rows = run.ok().stats["workload_identity_migration_stages"]["localhost"]
        return " ".join(row["why"] for row in rows)

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.operator.kubectl("get", "deployment", name, "-n", NAMESPACE))

    def credentials(self) -> list[str]:
        found = self.operator.sandbox.az(
            "identity", "federated-credential", "list", "-g", GROUP, "--identity-name", "billing"
        )
        return sorted(each["subject"] for each in found)

    def accounts(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.operator.kubectl("get", "sa", "-n", NAMESPACE)["items"]]

    def paths(self, name: str, since: float = 0) -> list[str]:
        """Each path once, in the order in which it was first taken; no request may have failed."""
        found = self.recorders[name].since(since)
        failed = [each for each in found if not each["ok"]]
        assert not failed, failed[:3]
        # All the time was seen.
        gaps = [after["began"] - before["ended"] for before, after in pairwise(found)]
        assert max(gaps, default=0) < 5, max(gaps)
        assert {each["appid"] for each in found} == {self.identity["clientId"]}
        return list(dict.fromkeys(each["path"] for each in found))

    def last_path(self, name: str) -> str:
        """That of a request that begins from now on."""
        began = max(each["began"] for each in self.recorders[name].records)
        eventually(lambda: len(self.recorders[name].since(began)) > 3, 60)
        return str(self.recorders[name].since(began)[-1]["path"])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with running("migration", "--with", "workload-identity") as sandbox:
        variables = {**SITE, "pod_identity_chart_values": QUICK_NMI, "pod_identity_verify_workloads": []}
        variables["pod_identity_cluster_network_plugin"] = "azure"
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": BACK, "namespace": NAMESPACE}}
        apply(
            operator,
            account,
            workload(MOVED, NAMESPACE, "default", labels=OF_NMI, INTERVAL="0.2", TIMEOUT="20"),
            workload(BACK, NAMESPACE, "default", labels=OF_NMI, account=BACK, INTERVAL="0.2", TIMEOUT="20"),
        )
        story = Story(operator, sandbox.az("identity", "show", "-g", GROUP, "-n", "billing"))
        for name in (MOVED, BACK):
            assert served(operator, name, NAMESPACE)["path"] == "nmi"
            story.templates[name] = story.deployment(name)["spec"]
            story.recorders[name] = Recorder(operator, name)
            story.recorders[name].start()
        try:
            # A pod may ask before MIC has given it the identity.
            for recorder in story.recorders.values():
                eventually(recorder.was_served, 60)
                recorder.records[:] = [each for each in recorder.records if each["ok"]]
            yield story
        finally:
            for recorder in story.recorders.values():
                recorder.end()


def test_what_the_cluster_lacks_stops_all(story: Story) -> None:
    run = story.migrate(until="switch")
    assert set(story.states(run).values()) == {("blocked", "issuer")} and not run.changes()
    assert "workload_identity_migration_enable_issuer=true" in story.reasons(run)


def test_check_mode_tells_what_can_be_known(story: Story) -> None:
    options = {"enable_issuer": True, "enable_webhook": True}
    predicted = story.migrate("--check", until="switch", **options)
    assert set(story.states(predicted).values()) == {("account", "credential")}
    assert "What follows is known once the cluster has its issuer." in story.reasons(predicted)
    assert predicted.changes() == [
        "Enable the OIDC issuer of the cluster",
        "Enable the Workload ID webhook of AKS",
        "Make or annotate the service accounts",
    ]
    assert story.accounts() == ["default", BACK]


def test_issuer_webhook_account_and_credential(story: Story) -> None:
    run = story.migrate(until="credential", enable_issuer=True, enable_webhook=True)
    assert set(story.states(run).values()) == {("credential", "canary")}
    assert story.accounts() == ["default", "default-billing", BACK]
    subjects = [f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("default-billing", BACK)]
    assert story.credentials() == subjects
    assert not story.migrate(until="credential").changes()
    for name in (MOVED, BACK):
        assert story.paths(name) == ["nmi"]


def test_check_mode_predicts_the_switch(story: Story) -> None:
    run = story.migrate("--check", until="switch")
    assert set(story.states(run).values()) == {("switched", "soak")}
    assert run.changes() == ["Switch the workloads of the wave"]
    assert story.deployment(MOVED)["spec"] == story.templates[MOVED]


def test_the_switch(story: Story) -> None:
    run = story.migrate(until="switch")
    assert set(story.states(run).values()) == {("switched", "soak")}
    for name in (MOVED, BACK):
        assert story.last_path(name) == "workload_identity"
        assert story.paths(name) == ["nmi", "workload_identity"]
        found = story.deployment(name)
        assert found["spec"]["strategy"] == story.templates[name]["strategy"]
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert labels["aadpodidbinding"] == "billing" and labels["azure.workload.identity/use"] == "true"
    assert not story.migrate(until="switch").changes()


def test_a_soak_that_is_not_over(story: Story) -> None:
    """A run that ends with it waits for nothing."""
    run = story.migrate(until="soak")
    assert set(story.states(run).values()) == {("soaking", "soak")} and not run.changes()
    assert "of 7200 seconds are over" in story.reasons(run)


def test_it_leaves_after_a_soak(story: Story) -> None:
    """A shortened one, and the other workload stays."""
    options = {"workloads": [f"{NAMESPACE}/Deployment/{MOVED}"], "soak_seconds": 30, "shorten_soak": True}
    assert "workload_identity_migration_confirm=one" in story.migrate(until="leave", **options).refused()
    before = max(each["began"] for each in story.recorders[MOVED].records)
    predicted = story.migrate("--check", until="leave", **options)
    run = story.migrate(until="leave", confirm=CLUSTER, **options)
    assert run.changes() == predicted.changes() == ["Let the workloads leave AAD Pod Identity"]
    assert story.states(run) == story.states(predicted) == {MOVED: ("left", "finish")}
    assert story.reasons(run) == "Its soak was shortened to 30 seconds."
    assert "aadpodidbinding" not in story.deployment(MOVED)["spec"]["template"]["metadata"]["labels"]
    assigned = story.operator.kubectl("get", "azureassignedidentities", "-A")["items"]
    assert {each["spec"]["pod"].rpartition("-")[0].rpartition("-")[0] for each in assigned} == {BACK}
    assert story.last_path(MOVED) == "workload_identity" and story.paths(MOVED, before) == ["workload_identity"]
    assert not story.migrate(until="leave", confirm=CLUSTER, **options).changes()


def test_the_way_back(story: Story) -> None:
    chosen = [f"{NAMESPACE}/Deployment/{BACK}"]
    before = max(each["began"] for each in story.recorders[BACK].records)
    predicted = story.migrate("--check", undo=True, workloads=chosen)
    run = story.migrate(undo=True, workloads=chosen)
    assert (
        run.changes()
        == predicted.changes()
        == [
            "Make the templates of the workloads as they were",
            "Remove the federated credentials of this collection",
            "Take back what was done to the service accounts",
        ]
    )
    assert story.states(run) == {BACK: ("original", "")}
    assert story.deployment(BACK)["spec"] == story.templates[BACK]
    assert MARK not in (story.deployment(BACK)["metadata"].get("annotations") or {})
    assert story.credentials() == [f"system:serviceaccount:{NAMESPACE}:default-billing"]
    account = story.operator.kubectl("get", "sa", BACK, "-n", NAMESPACE)
    assert not {MARK, "azure.workload.identity/client-id"} & set(account["metadata"]["annotations"])
    assert story.last_path(BACK) == "nmi" and story.paths(BACK, before) == ["workload_identity", "nmi"]
    assert not story.migrate(undo=True, workloads=chosen).changes()
    assert story.last_path(MOVED) == "workload_identity"


def test_one_that_has_left_comes_back_too(story: Story) -> None:
    """And the service account goes that was made for it."""
    run = story.migrate(undo=True)
    assert story.states(run)[MOVED] == ("original", "")
    assert story.accounts() == ["default", BACK] and story.credentials() == []
    assert story.deployment(MOVED)["spec"] == story.templates[MOVED]
    assert story.last_path(MOVED) == "nmi"
    assert story.paths(MOVED) == ["nmi", "workload_identity"]
