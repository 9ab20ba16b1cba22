# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of what asks a cluster alone, on a real API server, as ansible-playbook runs them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    JOB,
    POD,
    SERVICE_ACCOUNT,
    Kind,
)
from ansible_collections.azureops.pod_identity.plugins.modules import (
    access_review_info,
    azure_identity_binding,
    azure_pod_identity_exception,
    imds_answer_info,
    nmi_info,
    pod_token_info,
    workload_identity_service_account,
    workload_identity_webhook_info,
)
from ansible_collections.azureops.pod_identity.tests.kube.documented import (
    NAMESPACES,
    REGISTERED,
    SOON,
    examples,
    namespaces,
    shared,
)
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

__all__ = ["namespaces", "shared"]  # fixtures


def played(api_server: ApiServer, folder: Path, tasks: list[dict[str, Any]]) -> int:
    """Runs them; how many changed something."""
    play = {
        "hosts": "localhost",
        "module_defaults": {
            "group/azureops.pod_identity.kubernetes": {"kubeconfig": api_server.kubeconfig()},
            "azureops.pod_identity.imds_answer_info": SOON,
            "azureops.pod_identity.pod_token_info": {**SOON, "allow_detach": True},
        },
        "tasks": tasks,
    }
    status, output = Player(folder).play(play, **REGISTERED)
    assert status == 0, output
    (changed,) = re.findall(r"changed=(\d+)", output)
    return int(changed)


def names(client: Client, kind: Kind) -> set[str]:
    found = (each["metadata"] for each in client.list_all(kind))
    return {
        f"{each['namespace']}/{each['name']}" for each in found if each["namespace"] in (*NAMESPACES, "kube-system")
    }


def test_bindings(client: Client, api_server: ApiServer, shared: None, tmp_path: Path) -> None:
    *make, take_away = examples(azure_identity_binding, api_server)
    assert played(api_server, tmp_path / "first", make) == len(make)
    assert names(client, AZURE_IDENTITY) == {"billing/billing", "reports/reports", "platform/shared"}
    written = {"billing/billing", "billing/billing-batch", "platform/billing-shared", "reports/reports"}
    assert names(client, AZURE_IDENTITY_BINDING) == written
    assert played(api_server, tmp_path / "second", make) == 0
    # What another example has bound to the identity stays in its way.
    left = {**take_away["azureops.pod_identity.azure_identity_binding"], "allow_in_use": True}
    assert played(api_server, tmp_path / "away", [{"azureops.pod_identity.azure_identity_binding": left}]) == 1
    assert "billing/billing" not in names(client, AZURE_IDENTITY)


@pytest.mark.soak
def test_exceptions(client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path) -> None:
    *make, take_away = examples(azure_pod_identity_exception, api_server)
    assert played(api_server, tmp_path / "first", make) == len(make)
    assert names(client, AZURE_POD_IDENTITY_EXCEPTION) == {"kube-system/addon", "monitoring/agents", "backup/backup"}
    assert played(api_server, tmp_path / "second", make) == 0
    assert played(api_server, tmp_path / "away", [take_away]) == 1
    assert names(client, AZURE_POD_IDENTITY_EXCEPTION) == {"monitoring/agents", "backup/backup"}


@pytest.mark.soak
def test_service_accounts(client: Client, api_server: ApiServer, namespaces: None, tmp_path: Path) -> None:
    *make, take_away = examples(workload_identity_service_account, api_server)
    assert played(api_server, tmp_path / "first", make) == 2
    assert names(client, SERVICE_ACCOUNT) == {"billing/api", "reports/default", "reports/default-reports"}
    assert played(api_server, tmp_path / "second", make) == 0
    assert played(api_server, tmp_path / "away", [take_away]) == 1
    assert names(client, SERVICE_ACCOUNT) == {"billing/api", "reports/default"}


@pytest.mark.soak
def test_review(api_server: ApiServer, namespaces: None, tmp_path: Path) -> None:
    assert played(api_server, tmp_path / "all", examples(access_review_info, api_server)) == 0


@pytest.mark.soak
def test_nmi(api_server: ApiServer, tmp_path: Path) -> None:
    """That one serves is found where there are nodes, in the sandbox."""
    look, _assertion = examples(nmi_info, api_server)
    assert played(api_server, tmp_path / "all", [look]) == 0


@pytest.mark.soak
def test_webhook_of_workload_id(
    client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path
) -> None:
    """None is there, and the last of the templates is not either."""
    look, assertion, manifest, live = examples(workload_identity_webhook_info, api_server)
    tasks = [
        look,
        refused(assertion, "Assertion failed"),
        manifest,
        refused(live, "does not exist: name one that does"),
    ]
    assert played(api_server, tmp_path / "all", tasks) == 0
    assert client.list_all(POD, "billing") == ()


def test_token(client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path) -> None:
    """A probe that cannot start proves nothing, which the next task says; the pod of the last one does not run."""
    probe, assertion, *others, inside = examples(pod_token_info, api_server)
    tasks = [probe, refused(assertion, "did not start within 2 s"), *others]
    tasks += [refused(inside, "does not run: name one that does")]
    assert played(api_server, tmp_path / "all", tasks) == 0
    assert client.list_all(JOB, "billing") == ()


@pytest.mark.soak
def test_answer(client: Client, api_server: ApiServer, tmp_path: Path) -> None:
    probe, assertion = examples(imds_answer_info, api_server)
    assert played(api_server, tmp_path / "all", [probe, refused(assertion, "did not start within 2 s")]) == 0
    assert client.list_all(JOB, "default") == ()


def refused(task: dict[str, Any], reason: str) -> dict[str, Any]:
    """The task, which has to fail for that reason."""
    passed = f"told is not failed or {reason!r} not in told.msg"
    return {**task, "register": "told", "failed_when": passed}
