# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that ask an API server, in a fork of ansible-playbook and as modules: their whole results are the same."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import JOB, POD
from ansible_collections.azureops.pod_identity.tests.kube import documented as examples
from ansible_collections.azureops.pod_identity.tests.kube.documented import namespaces, shared
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.ways import Ways

__all__ = ["namespaces", "shared"]  # fixtures
OURS = "azureops.pod_identity."
MODULES = (
    *("access_review_info", "azure_identity_binding", "azure_pod_identity_exception", "kubernetes_object"),
    *("kubernetes_object_info", "workload_restart", "nmi_info", "node_pods_info", "pod_identity_info"),
    *("pod_identity_release_info", "pod_identity_restoration", "pod_identity_bundle_info", "cluster_lease"),
    *("pod_identity_bundle", "pod_identity_removal_info", "pod_identity_diagnosis_info"),
    *("workload_identity_info", "workload_identity_service_account", "workload_identity_webhook_info"),
    "workload_identity_workload",
)
PROBES = ("imds_answer_info", "pod_token_info")
TAKES_ALL = "pod_identity_removal"
WRITES_FIRST = "azure_identity_binding"
"""What it makes, many others find."""
SHARES = 3
FAILURES: list[dict[str, Any]] = [
    {"kubernetes_object": {"kind": "Pod", "name": "x", "namespace": "billing"}},
    {"kubernetes_object": {"kind": "Namespace"}},
    {"kubernetes_object_info": {"kind": "Node", "kubeconfig": "/nowhere"}},
    {"kubernetes_object_info": {"kind": "Node", "context": "nobody"}},
    {"kubernetes_object_info": {"kind": "Node", "host": "https://127.0.0.1:1", "api_key": "hush-hush"}},
    {"azure_identity_binding": {"namespace": "nowhere", "name": "x", "selector": "x", "resource_id": "x"}},
    {"azure_identity_binding": {"namespace": "billing", "bindings": [{"name": "x"}]}},
    {"pod_token_info": {"namespace": "nowhere", "selector": "nobody"}},
    {"pod_identity_info": {"files": ["/nowhere"]}},
    {"pod_identity_diagnosis_info": {"pod": "web"}},
    {"pod_identity_diagnosis_info": {"log_files": ["/nowhere"]}},
    {"workload_identity_info": {"proxy_workloads": ["web"]}},
    {"workload_identity_info": {"proxy_workloads": ["billing/Deployment/nobody"]}},
    {"cluster_lease": {"wait_timeout": "long"}},
    {"workload_restart": {"namespace": "nowhere", "name": "x", "matches": []}},
    {"workload_identity_service_account": {"namespace": "billing", "name": "nobody"}},
    {"workload_identity_service_account": {"namespace": "billing", "name": "nobody", "client_id": "me"}},
    {"workload_identity_webhook_info": {"templates": [{"kind": "Job", "name": "x"}]}},
    {"workload_identity_workload": {"namespace": "nowhere", "name": "x", "kind": "CronJob"}},
]


def tasks(api_server: ApiServer, names: Sequence[str], failures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    of_modules = (importlib.import_module(f"ansible_collections.{OURS}plugins.modules.{name}") for name in names)
    return [
        *(
            {"name": f"failure {number} of {name}", f"{OURS}{name}": options}
            for number, each in enumerate(failures)
            for name, options in each.items()
        ),
        *(task for module in of_modules for task in examples.examples(module, api_server)),
    ]


def terminating(client: Client) -> list[str]:
    """Namespaces that the API server is still emptying; the modules that list all namespaces see what is left there."""
    found = (each["metadata"] for each in client.list_all(server.NAMESPACE))
    return [each["name"] for each in found if "deletionTimestamp" in each]


@pytest.mark.soak
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("arguments", [("--check",), ()], ids=["predicted", "done"])
def test_whole_results(
    client: Client, api_server: ApiServer, shared: None, tmp_path: Path, arguments: tuple[str, ...], share: int
) -> None:
    defaults = {
        f"group/{OURS}kubernetes": {"kubeconfig": api_server.kubeconfig()},
        **{f"{OURS}{name}": examples.SOON for name in PROBES},
    }
    names = (*MODULES, *((TAKES_ALL,) if arguments else ()), *PROBES)[share::SHARES]
    first = () if WRITES_FIRST in names else (WRITES_FIRST,)
    play = {"module_defaults": defaults, "tasks": tasks(api_server, (*first, *names), FAILURES[share::SHARES])}
    ways = Ways(tmp_path, play, {}, examples.REGISTERED)

    def run(in_process: bool) -> list[dict[str, Any]]:
        for pod in client.list_all(POD):  # of probes that ran before; here is no kubelet that would end them
            server.end_pod(client, pod["metadata"]["namespace"], pod["metadata"]["name"])
        server.until("the probes are gone", lambda: not (client.list_all(JOB) or client.list_all(POD)))
        server.until("what earlier tests deleted is gone", lambda: not terminating(client), 180)
        return ways(*arguments, in_process=in_process)

    if not arguments:
        run(True)  # from here on each run begins where the one before it ended
    fork, module = run(True), run(False)
    assert [pair for pair in zip_longest(fork, module) if pair[0] != pair[1]] == []
    assert {each["event"] for each in fork} >= {"ok", "failed"}
