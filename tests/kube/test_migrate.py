# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate at a real API server and with files: its phase plan, which changes nothing, and what it does to
service accounts, and back, where neither Azure nor nodes are needed."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    DEPLOYMENT,
    LEASE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.objects import CLIENT_ID, ID, create, dump, pair, workload
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

PLAYBOOK = "azureops.pod_identity.migrate"
OWNED = {"app.kubernetes.io/managed-by": "Helm"}
PLANTED = "planted-3e9b7a"
RELEASE = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"}


def shop(client: Client, namespace: str) -> None:
    """Two workloads with one identity, one of which belongs to a helm release."""
    pair(client, namespace, "money", f"{ID}-{namespace}")
    workload(client, namespace, "web")
    workload(client, namespace, "api", labels=OWNED, annotations=RELEASE)


@pytest.mark.soak
def test_the_plan_is_told_written_and_changes_nothing(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    shop(client, namespace)
    player, plans = Player(tmp_path / "play"), tmp_path / "plans"
    given: dict[str, Any] = {
        "pod_identity_kubeconfig": api_server.kubeconfig(),
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_directory": str(plans),
    }
    with workload_identity.running(api_server):
        assert player.play(PLAYBOOK, "--check", **given)[0] == 0 and not plans.exists()
        before = len(api_server.requests())
        status, output = player.play(PLAYBOOK, **given)
        asked = api_server.requests()[before:]
        assert status == 0 and "changed=2" in output, output
        again = player.play(PLAYBOOK, **given)[1]
    assert "changed=0" in again, again
    assert "Of 2 workloads 0 are ready, 1 can move, and something is in the way of 1. Not all was looked at." in output
    for text in (f"Deployment {namespace}/web", "manifest_has_owner", "workload_identity_migration_override_owner"):
        assert text in output, output
    # Pods are made in dry runs only, with the label and without it, also of what its owner has to change.
    verbs = [each for each in asked if each.split()[0] not in ("get", "list")]
    assert verbs == ["create pods"] * 4, verbs
    path = plans / "localhost/plan.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    plan = json.loads(path.read_text())
    assert [each["verdict"] for each in plan["templates"]] == ["blocked", "needs"]
    assert not {"fields_would_be_lost"} & {each["code"] for each in plan["templates"][1]["not_looked_at"]}

    given["workload_identity_migration_fail_on_blocked"] = True
    status, output = player.play(PLAYBOOK, **given)
    assert status == 2 and f"Something is in the way of {namespace}/api: mend what the plan names" in output, output
    given["workload_identity_migration_override_owner"] = True
    status, output = player.play(PLAYBOOK, **given)
    assert status == 0 and "something is in the way of 0" in output, output


def test_files_without_a_cluster(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    shop(client, namespace)
    names = [kind.resource for kind in (*inventory.KINDS, *migration.KINDS)]
    (tmp_path / "all.json").write_bytes(dump(api_server, *names))
    given: dict[str, Any] = {
        "workload_identity_migration_files": [str(tmp_path / "all.json")],
        "workload_identity_migration_namespaces": [namespace],
    }
    before = len(api_server.requests())
    status, output = Player(tmp_path / "play").play(PLAYBOOK, **given)
    assert status == 0 and "1 can move" in output and "no cluster is named there" in output, output
    assert api_server.requests()[before:] == []


@pytest.mark.soak
def test_a_cluster_that_cannot_be_reached_stops_no_other(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """One table tells of all clusters, and the run fails for those that failed. Neither output nor files nor what is
    left to whoever started the run have a secret."""
    shop(client, namespace)
    secret = {"env": [{"name": "PASSWORD", "value": PLANTED}], "args": [f"--key={PLANTED}"]}
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": "app", **secret}]}}}
    client.merge(DEPLOYMENT, namespace, "web", {"spec": spec})
    away = tmp_path / "away"
    away.write_text(
        re.sub(r"https://127\.0\.0\.1:\d+", "https://127.0.0.1:9", Path(api_server.kubeconfig()).read_text())
    )
    here = {"ansible_connection": "local", "pod_identity_kubeconfig": api_server.kubeconfig()}
    hosts = {
        "away": {**here, "pod_identity_kubeconfig": str(away)},
        "open": here,
        "strict": {**here, "workload_identity_migration_fail_on_blocked": True},
    }
    clusters, plans = tmp_path / "clusters.json", tmp_path / "plans"
    clusters.write_text(json.dumps({"clusters": {"hosts": hosts}}))
    given: dict[str, Any] = {
        "pod_identity_hosts": "clusters",
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_directory": str(plans),
    }
    player = Player(tmp_path / "play", {"ANSIBLE_SHOW_CUSTOM_STATS": "true"})
    status, output = player.play(PLAYBOOK, "-i", str(clusters), "-vvv", **given)
    assert status == 2, output
    (table,) = re.findall(r"TASK \[Show the plans of all clusters\](.*?)\nTASK", output, re.DOTALL)
    rows = {cells[0]: cells[1:] for cells in (line.strip(' ",').split(None, 5) for line in table.splitlines()) if cells}
    assert [rows["open"][:3], rows["strict"][:3]] == [["0", "1", "1"]] * 2, table
    # A reason is below its row.
    assert "127.0.0.1:9 cannot be reached" in table.partition('"open ')[0], table
    assert f"Something is in the way of {namespace}/api" in table.partition('"strict ')[2], table
    failed = dict(re.findall(r"^(\w+) +: .*failed=(\d)", output, re.MULTILINE))
    assert failed == {"away": "1", "open": "0", "strict": "1"}, output
    # What was found is left to whoever started the run, also of the cluster for which it fails.
    stats = output.partition("CUSTOM STATS")[2]
    assert '"open": {' in stats and '"strict": {' in stats and f"Deployment {namespace}/api" in stats, stats
    files = [path.read_text() for path in plans.glob("*/plan.json")]
    assert len(files) == 2 and [text for text in (output, *files) if PLANTED in text or ADMIN in text] == []


@pytest.mark.soak
def test_no_batch_of_clusters_follows_one_that_failed(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """One that is away does not count; one table tells of all batches."""
    shop(client, namespace)
    away = tmp_path / "away"
    away.write_text(
        re.sub(r"https://127\.0\.0\.1:\d+", "https://127.0.0.1:9", Path(api_server.kubeconfig()).read_text())
    )
    here = {"ansible_connection": "local", "pod_identity_kubeconfig": api_server.kubeconfig()}
    hosts = {"away": {**here, "pod_identity_kubeconfig": str(away)}, "canary": here, "last": here}
    clusters, player = tmp_path / "clusters.json", Player(tmp_path / "play")
    given: dict[str, Any] = {
        "pod_identity_hosts": "clusters",
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_until": "account",
        "workload_identity_migration_serial": [2, 1],
    }

    def play(**of_canary: Any) -> tuple[dict[str, str], str]:
        inventory = {"clusters": {"hosts": {**hosts, "canary": {**here, **of_canary}}}}
        clusters.write_text(json.dumps(inventory))
        status, output = player.play(PLAYBOOK, "-i", str(clusters), **given)
        assert status == 2, output
        table = re.findall(r"TASK \[Show the plans of all clusters\](.*?)\nTASK", output, re.DOTALL)
        assert len(table) == 1 and "127.0.0.1:9 cannot be reached" in table[0], output
        told = " ".join(re.sub('[",├└]', " ", table[0]).split())
        return dict(re.findall(r"^(\w+) +: .*failed=(\d)", output, re.MULTILINE)), told

    def prepared() -> int:
        return sum("annotations" in each["metadata"] for each in client.list_all(SERVICE_ACCOUNT, namespace))

    with workload_identity.running(api_server):
        failed, table = play(workload_identity_migration_fail_on_blocked=True)
        assert failed == {"away": "1", "canary": "1", "last": "1"} and prepared() == 0, table
        assert "because cluster canary which comes before it failed" in table, table
        failed, table = play()
    assert failed == {"away": "1", "canary": "0", "last": "0"} and prepared() == 2, table
    assert table.count("1 awaiting_owner 1 credential") == 2, table


@pytest.mark.soak
def test_service_accounts_are_prepared_and_taken_back(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """Of one that is annotated, and of one that takes the place of the account default, with its rights."""
    shop(client, namespace)
    workload(client, namespace, "plain", account="default")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    create(
        client, ROLE_BINDING, namespace, "reads", roleRef=role, subjects=[{"kind": "ServiceAccount", "name": "default"}]
    )
    player = Player(tmp_path / "play")
    given: dict[str, Any] = {
        "pod_identity_kubeconfig": api_server.kubeconfig(),
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_until": "account",
    }

    def accounts() -> dict[str, str]:
        found = (each["metadata"] for each in client.list_all(SERVICE_ACCOUNT, namespace))
        return {
            each["name"]: each.get("annotations", {}).get("azure.workload.identity/client-id", "") for each in found
        }

    def bindings() -> list[str]:
        return [each["metadata"]["name"] for each in client.list_all(ROLE_BINDING, namespace)]

    def play(changed: int, *arguments: str, **more: Any) -> str:
        status, output = player.play(PLAYBOOK, *arguments, **given, **more)
        assert status == 0 and f"changed={changed}" in output, output
        assert client.list_all(LEASE, "default") == ()
        return output

    before = accounts()
    assert before == dict.fromkeys(("api", "default", "web"), "")
    with workload_identity.running(api_server):
        play(1, "--check")
        assert accounts() == before
        output = play(1)
        made = {"api": CLIENT_ID, "default": "", "default-money": CLIENT_ID, "web": CLIENT_ID}
        assert accounts() == made and len(bindings()) == 2
        assert "awaiting_owner" in output and "manifest_has_owner" in output, output
        play(0)
    undo = {"workload_identity_migration_undo": True}
    one = {"workload_identity_migration_workloads": [f"{namespace}/Deployment/web"]}
    play(1, "--check", **undo)
    assert accounts() == made
    play(1, **undo, **one)
    assert accounts() == {**made, "web": ""}
    play(1, **undo)
    assert accounts() == before and bindings() == ["reads"]
    play(0, **undo)


class WithoutAccounts(obstacles.Instead):
    """Writes no service account, though it says of dry runs that it would."""

    def is_write(self, method: str, path: str, body: bytes) -> bool:
        return "/serviceaccounts/" in path and super().is_write(method, path, body)


def test_a_write_that_fails_ends_its_loop_and_a_refusal_stops_one_alone(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """What failed is told where it failed and in the table, and the run fails at its end."""
    shop(client, namespace)
    player = Player(tmp_path / "play")
    given: dict[str, Any] = {
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_until": "account",
    }

    def play(kubeconfig: str) -> tuple[str, dict[str, str]]:
        status, output = player.play(PLAYBOOK, pod_identity_kubeconfig=kubeconfig, **given)
        assert status == 2 and "changed=0" in output, output
        items = re.findall(rf"^(\w+): \[localhost\] \(item={namespace}/(\w+)\)(.*)$", output, re.MULTILINE)
        assert all(state == "failed" and '"msg": ' in told for state, _name, told in items), output
        return output, {name: told for _state, name, told in items}

    with workload_identity.running(api_server):
        proxy = WithoutAccounts()
        with obstacles.standing(api_server, proxy):
            output, failed = play(api_server.kubeconfig(server=proxy.url))
            written = proxy.writes
        assert len(failed) == len(written) == 1 and "nothing is written here" in str(failed), output
        (first,) = failed
        assert f"because what was done for Deployment {namespace}/{first} before it failed." in " ".join(output.split())
        with (
            obstacles.refusal(api_server) as config,
            obstacles.webhook(client, namespace, "serviceaccounts", config, group=""),
        ):
            output, failed = play(api_server.kubeconfig())
    assert sorted(failed) == ["api", "web"] and "not tried" not in output, output
    assert not any("annotations" in each["metadata"] for each in client.list_all(SERVICE_ACCOUNT, namespace))


def test_a_second_operator_at_the_same_time_is_refused(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    shop(client, namespace)
    now = "2999-01-01T00:00:00.000000Z"
    spec = {"holderIdentity": "ann@workstation", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    create(client, LEASE, "default", "azureops-pod-identity", spec=spec)
    given: dict[str, Any] = {
        "pod_identity_kubeconfig": api_server.kubeconfig(),
        "workload_identity_migration_namespaces": [namespace],
        "workload_identity_migration_until": "account",
    }
    try:
        status, output = Player(tmp_path / "play").play(PLAYBOOK, **given)
    finally:
        client.delete(LEASE, "default", "azureops-pod-identity")
    assert status == 2 and "ann@workstation" in output, output
    assert not any("annotations" in each["metadata"] for each in client.list_all(SERVICE_ACCOUNT, namespace))
