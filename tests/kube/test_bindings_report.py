# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role pod_identity_bindings shows in the end: who gets what, and what is wrong with that. There is no MIC."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    CRON_JOB,
    DEPLOYMENT,
    POD,
    SECRET,
)
from ansible_collections.azureops.pod_identity.tests.kube.imported_roles import ENTRY, imported
from ansible_collections.azureops.pod_identity.tests.kube.objects import another_namespace, create, make
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

ONLY = ("--tags", "pod_identity_bindings_show")
TOLD_BY = "Tell the fact"
TOLD = {
    "name": TOLD_BY,
    "ansible.builtin.debug": {
        "msg": "{{ pod_identity_bindings_report | default({}) | to_json | b64encode }} is the report"
    },
    "tags": ["always"],
}
AAD = "aadpodidentity.k8s.io"
LISTED = {
    AAD: ["azureidentities", "azureidentitybindings", "azurepodidentityexceptions", "azureassignedidentities"],
    "": ["pods", "nodes"],
    "apps": ["deployments", "statefulsets", "daemonsets", "replicasets"],
    "batch": ["jobs", "cronjobs"],
}
WRITES = [
    {"apiGroups": [""], "resources": ["namespaces", "secrets"], "verbs": ["get"]},
    {"apiGroups": [AAD], "resources": ["*"], "verbs": ["list", "create", "patch"]},
]


@dataclass(frozen=True)
class Shown:
    """What a play left: its output, the lines of each message by the name of its task, and the fact."""

    output: str
    messages: dict[str, list[str]]
    report: dict[str, Any]

    @classmethod
    def parse(cls, output: str) -> Shown:
        messages = {}
        for task in re.split(r"^TASK \[", output, flags=re.MULTILINE)[1:]:
            name, dummy, rest = task.partition("]")
            if found := re.search(r'"msg": (\[.*?^    \]|".*?"$)', rest, re.DOTALL | re.MULTILINE):
                told = json.loads(found[1])
                messages[name.rpartition(" : ")[2]] = told if isinstance(told, list) else [told]
        report = re.search(r'"(\S+) is the report"', output)
        return cls(output, messages, json.loads(base64.b64decode(report[1])) if report else {})

    @property
    def lines(self) -> list[str]:
        return self.messages.get("Show who gets what", [])

    @property
    def table(self) -> list[str]:
        return self._tables.get("WORKLOAD", [])

    @property
    def findings(self) -> list[str]:
        return self._tables.get("CODE", [])

    @property
    def reason(self) -> str:
        return "".join(line for line in self.lines if line.startswith("Who gets what is not shown"))

    @property
    def _tables(self) -> dict[str, list[str]]:
        """By the heading of the first column."""
        tables = [table.split("\n") for table in "\n".join(self.lines).split("\n\n") if table]
        return {table[0].split()[0]: table for table in tables}


@dataclass(frozen=True)
class World:
    """Two identities for one selector, in one of two namespaces with workloads."""

    player: Player
    server: ApiServer
    team: str
    other: str

    def play(self, *arguments: str, token: str = ADMIN, status: int = 0, **options: Any) -> Shown:
        place = {"namespace": self.team, "selector": self.team, "client_password_secret": {"name": "billing"}}
        given = {
            "list": [{**ENTRY, **place, "name": name} for name in ("billing", "orders")],
            "exceptions": [{"name": "agents", "namespace": self.team, "pod_labels": {"app": "agent"}}],
            "wait": False,
            **options,
        }
        ended, output = self.player.play(
            [*imported("bindings"), TOLD],
            *arguments,
            **{f"pod_identity_bindings_{name}": value for name, value in given.items()},
            pod_identity_kubeconfig=self.server.kubeconfig(token),
        )
        assert ended == status, output
        return Shown.parse(output)


@pytest.fixture
def world(api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path) -> Iterator[World]:
    create(client, SECRET, namespace, "billing", stringData={"client_secret": "none"})
    make(client, DEPLOYMENT, namespace, "web", namespace)
    make(client, CRON_JOB, namespace, "agent", "")
    make(client, POD, namespace, "lost", f"{namespace}-lost")
    make(client, POD, namespace, "plain", "")
    with another_namespace(client, f"{namespace}-other") as other:
        make(client, DEPLOYMENT, other, "far", namespace)
        make(client, POD, other, "foreign", f"{namespace}-lost")
        yield World(Player(tmp_path), api_server, namespace, other)


@pytest.mark.soak
def test_a_first_run_ends_with_who_gets_what(world: World) -> None:
    team, other = world.team, world.other
    first = world.play("--check")
    assert (first.table, first.findings) == ([], []) and "which check mode only predicts" in first.reason
    assert first.report == {"workloads": [], "findings": [], "left_out": first.reason}

    done = world.play()
    assert done.reason == done.report["left_out"] == ""
    found = {(row["namespace"], row["name"]): row for row in done.report["workloads"]}
    assert set(found) == {(team, "web"), (team, "agent"), (team, "lost"), (other, "far")}
    assert [one["name"] for one in found[other, "far"]["identities"]] == ["billing", "orders"]
    codes = {(finding["code"], finding["object"]) for finding in done.report["findings"]}
    assert codes == {
        ("ambiguous_default", f"Deployment {team}/web"),
        ("ambiguous_default", f"Deployment {other}/far"),
        ("nothing_matches", f"Pod {team}/lost"),
    }
    rows = [" ".join(line.split()) for line in done.table]
    assert rows[0].startswith("WORKLOAD KIND")
    both = f"{team}/billing or {team}/orders"
    for name, kind, texts in (
        (f"{team}/web", "Deployment", (f"{team}/billing, {team}/orders", both, "ambiguous_default")),
        (f"{other}/far", "Deployment", (f"{team}/billing, {team}/orders", both, "ambiguous_default")),
        (f"{team}/lost", "Pod", ("not_assigned", "nothing_matches")),
        (f"{team}/agent", "CronJob", ("node_token",)),
    ):
        (start,) = [index for index, row in enumerate(rows) if row.startswith(f"{name} {kind}")]
        end = next((index for index, row in enumerate(rows) if index > start and row[0] not in "├└"), len(rows))
        text = " ".join(row.strip("├└ ") for row in rows[start:end])
        assert [one for one in texts if one not in text] == [], text
    text = " ".join(line.strip("├└ ") for line in done.findings)
    for finding in done.report["findings"]:
        assert all(finding[key] in text for key in ("code", "object", "message", "remedy"))
    written = [line for line in done.output.splitlines() if line.strip(' ",') in {*done.table, *done.findings}]
    # Addresses stay whole.
    links = {f"See {finding['references'][0]}" for finding in done.report["findings"]}
    assert links <= set(done.findings)
    assert len(written) == len(done.table + done.findings)
    assert max(len(line) for line in written if line.strip(' ",') not in links) <= 80

    # What is there can be shown in check mode too.
    again = world.play("--check")
    assert (again.table, again.report) == (done.table, done.report)
    assert "changed=0 " in again.output


@pytest.mark.soak
def test_it_asks_nothing_where_it_is_off(world: World) -> None:
    """One list per kind where it is on."""

    def asked(**options: Any) -> tuple[Shown, list[str]]:
        before = len(world.server.requests())
        shown = world.play(*ONLY, **options)
        return shown, sorted(world.server.requests()[before:])

    kinds = [kind for kinds in LISTED.values() for kind in kinds]
    shown, requests = asked()
    assert shown.table and requests == sorted(f"list {kind}" for kind in kinds)
    off, requests = asked(show=False)
    assert (off.report, list(off.messages), requests) == ({}, [TOLD_BY], [])
    nobody, requests = asked(list=[], exceptions=[])
    assert requests == [] and "neither pod_identity_bindings_list nor" in nobody.reason
    files, requests = asked(exceptions=[], render_dir=str(world.player.directory / "objects"))
    assert (files.report, requests) == ({}, [])


@pytest.mark.soak
@pytest.mark.parametrize("allowed", [[], ["nodes"], ["pods"]], ids=["none", "no-pods", "no-nodes"])
def test_who_may_not_look_is_told_what_is_missing(world: World, client: Client, allowed: list[str]) -> None:
    """And may write all the same; nothing of it is asked before."""
    rules = WRITES
    if allowed:
        rest = [{"apiGroups": [group], "resources": LISTED[group], "verbs": ["list"]} for group in ("apps", "batch")]
        rules = [*WRITES, *rest, {"apiGroups": [""], "resources": allowed, "verbs": ["list"]}]
    with server.rights_of_restricted(client, f"report-{world.team}", *rules):
        done = world.play(token=RESTRICTED)
    kinds = [f"{kind}.{group}".strip(".") for group, kinds in LISTED.items() for kind in kinds if group != AAD]
    missing = [name for name in kinds if not allowed or name in {"pods", "nodes"} - set(allowed)]
    lines = done.lines
    assert lines == [
        "Who gets what is not shown, because in the whole cluster the user of the connection may not "
        f"{', '.join(f'list {name}' for name in missing)}; somebody who administers the cluster has to give it a role "
        "that allows it."
    ]
    assert done.report == {"workloads": [], "findings": [], "left_out": lines[0]}
    assert "changed=2 " in done.output and done.table == done.findings == []
    assert client.get(AZURE_IDENTITY, world.team, "billing") and client.get(
        AZURE_IDENTITY_BINDING, world.team, "orders"
    )


@pytest.mark.soak
def test_who_may_nothing_is_told_so(world: World) -> None:
    shown = world.play(*ONLY, token=RESTRICTED)
    assert shown.reason.count("list ") == sum(map(len, LISTED.values()))


@pytest.mark.soak
def test_before_pod_identity_is_installed(world: World, client: Client, definitions: list[dict[str, Any]]) -> None:
    """Check mode predicts the objects without their kinds; what is there is shown as it is."""
    server.remove(client, definitions)
    try:
        predicted, now = world.play("--check"), world.play(*ONLY)
    finally:
        server.install(client, definitions)
    assert predicted.table == [] and "which check mode only predicts" in predicted.reason
    assert {row["name"]: row["default"]["answers"] for row in now.report["workloads"]} == {
        "web": ["not_assigned"],
        "lost": ["not_assigned"],
    }
