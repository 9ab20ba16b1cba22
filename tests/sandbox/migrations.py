# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook migrate on a site, and what the workloads there say of each request for a token meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from applications import Object
from operators import GROUP, Operator, Run
from sandboxes import COMMAND_SECONDS, eventually

NAMESPACE, PLAYBOOK = "billing", "azureops.pod_identity.migrate"
OF_NMI = {"aadpodidbinding": "billing"}


@dataclass
class Recorder:
    """What the pods of a workload say of each request, also those that are gone by now."""

    operator: Operator
    name: str
    records: list[dict[str, Any]] = field(default_factory=list)
    _seen: set[float] = field(default_factory=set)
    _pods: set[str] = field(default_factory=set)
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        for each in self._processes:
            each.kill()
            each.wait()
        self._thread.join()

    def was_served(self) -> bool:
        return any(each["ok"] for each in self.records)

    def since(self, moment: float) -> list[dict[str, Any]]:
        return sorted((each for each in self.records if each["began"] >= moment), key=lambda each: float(each["began"]))

    def _watch(self) -> None:
        """Follow the log of each pod, from when it runs on, and anew where the API server ended that."""
        of_workload = ("-l", f"app={self.name}", "--field-selector=status.phase=Running")
        for pod in self._lines("get", "pods", *of_workload, "--watch", "-o", "name"):
            if pod not in self._pods:
                self._pods.add(pod)
                threading.Thread(target=self._follow, args=(pod.strip(),), daemon=True).start()

    def _follow(self, pod: str) -> None:
        for line in self._lines("logs", "-f", "-c", "app", pod, until_gone=pod):
            assert "eyJ" not in line
            if line.startswith("{") and line.endswith("}\n"):  # else kubectl says why it ends, or has ended in a line
                record = json.loads(line)
                if record["began"] not in self._seen:
                    self._seen.add(record["began"])
                    self.records.append(record)

    def _lines(self, *command: str, until_gone: str = "") -> Iterator[str]:
        """What kubectl says without an end, again from the beginning where it ended before the object or the test."""
        while not self._stop.is_set():
            process = self.operator.sandbox.start("exec", "--", "kubectl", "-n", NAMESPACE, *command)
            self._processes.append(process)
            assert process.stdout
            yield from process.stdout
            if until_gone and not self._stop.is_set():
                look = ("kubectl", "-n", NAMESPACE, "get", until_gone, "--ignore-not-found", "-o", "name")
                found = self.operator.sandbox.call("exec", "--", *look)
                if found.returncode == 0 and not found.stdout:
                    return
            self._stop.wait(1)


@dataclass
class Story:
    operator: Operator
    identity: dict[str, str]
    recorders: dict[str, Recorder] = field(default_factory=dict)
    templates: dict[str, Any] = field(default_factory=dict)
    client_ids: dict[str, str] = field(default_factory=dict)
    """Of workloads with an identity of their own."""

    def record(self, name: str) -> None:
        """From its first token on: a pod may ask before MIC has given it the identity."""
        recorder = self.recorders[name] = Recorder(self.operator, name)
        recorder.start()
        eventually(recorder.was_served, 60)
        recorder.records[:] = [each for each in recorder.records if each["ok"]]

    def migrate(
        self,
        *arguments: str,
        seconds: float = COMMAND_SECONDS,
        others: Object | None = None,
        principal: str = "",
        **variables: Any,
    ) -> Run:
        """``variables``: of the role, without its name. ``others``: those that are not its own."""
        given = {**(others or {}), **{f"workload_identity_migration_{name}": each for name, each in variables.items()}}
        return self.operator.play(PLAYBOOK, *arguments, variables=given, seconds=seconds, principal=principal)

    def states(self, run: Run) -> dict[str, tuple[str, str]]:
        rows = run.ok().stats["workload_identity_migration_stages"]["localhost"]
        return {row["workload"].rpartition("/")[2]: (row["state"], row["next"]) for row in rows}

    def reasons(self, run: Run) -> str:
        rows = run.ok().stats["workload_identity_migration_stages"]["localhost"]
        return " ".join(row["why"] for row in rows)

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.operator.kubectl("get", "deployment", name, "-n", NAMESPACE))

    def credentials(self) -> list[str]:
        named = ("-g", GROUP, "--identity-name", "billing")
        found = self.operator.sandbox.az("identity", "federated-credential", "list", *named)
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
        assert {each["appid"] for each in found} == {self.client_ids.get(name, self.identity["clientId"])}
        return list(dict.fromkeys(each["path"] for each in found))

    def last_path(self, name: str) -> str:
        """That of a request that begins from now on."""
        began = max(each["began"] for each in self.recorders[name].records)
        eventually(lambda: len(self.recorders[name].since(began)) > 3, 60)
        return str(self.recorders[name].since(began)[-1]["path"])
