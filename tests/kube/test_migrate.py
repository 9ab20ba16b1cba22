# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate, whose phase plan changes nothing, at a real API server and with files."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    DEPLOYMENT,
    SERVICE_ACCOUNT,
)
from ansible_collections.azureops.pod_identity.tests.kube import server, workload_identity
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer
from ansible_collections.azureops.pod_identity.tests.kube.test_workload_identity_info import CLIENT_ID, ID, create
from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player

PLAYBOOK = "azureops.pod_identity.migrate"
OWNED = {"app.kubernetes.io/managed-by": "Helm"}
RELEASE = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"}


def workload(client: Client, namespace: str, name: str, **metadata: Any) -> None:
    labels = {"app": name, "aadpodidbinding": namespace}
    pod = {"serviceAccountName": name, "containers": [{"name": "app", "image": "app"}]}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    create(client, SERVICE_ACCOUNT, namespace, name)
    create(client, DEPLOYMENT, namespace, name, spec=spec, metadata=metadata)


def shop(client: Client, namespace: str) -> None:
    """Two workloads with one identity, one of which belongs to a helm release."""
    spec = {"type": 0, "resourceID": f"{ID}-{namespace}", "clientID": CLIENT_ID}
    create(client, AZURE_IDENTITY, namespace, "money", spec=spec)
    create(client, AZURE_IDENTITY_BINDING, namespace, "money", spec={"azureIdentity": "money", "selector": namespace})
    workload(client, namespace, "web")
    workload(client, namespace, "api", labels=OWNED, annotations=RELEASE)


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
    # Pods are made in dry runs only, and of what nothing is in the way of.
    verbs = [each for each in asked if each.split()[0] not in ("get", "list")]
    assert verbs == ["create pods"] * 2, verbs
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
    binaries, _charts = server.programs()
    kubectl = [str(binaries / "kubectl"), "--kubeconfig", api_server.kubeconfig(), "get", "-A", "-o", "json"]
    kinds = ",".join(kind.resource for kind in (*inventory.KINDS, *migration.KINDS))
    (tmp_path / "all.json").write_bytes(subprocess.check_output([*kubectl, kinds]))
    given: dict[str, Any] = {
        "workload_identity_migration_files": [str(tmp_path / "all.json")],
        "workload_identity_migration_namespaces": [namespace],
    }
    before = len(api_server.requests())
    status, output = Player(tmp_path / "play").play(PLAYBOOK, **given)
    assert status == 0 and "1 can move" in output and "no cluster is named there" in output, output
    assert api_server.requests()[before:] == []
