# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The EXAMPLES of the Azure modules, made to run against the simulated Azure."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules

OURS = "azureops.pod_identity."
GROUP, OTHER_GROUP = "pod-identity-demo", "rg-shop"
SUBSCRIPTION = "7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a"
APPLICATION = "5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51"
PRINCIPALS = ("b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21", "3b0f1c9e-52a7-4a34-9c53-7d0f4a8e6b12")
OF_A_CLUSTER = ("kubeconfig", "wait_exchange", "check_service_accounts", "known_files")
"""Options whose work is in a cluster or in files of somebody's."""


GROUP_ALONE, WITH_CLUSTER = range(2)


# What has to be there, and how many of the tasks change something.
CASES = {
    "aks_cluster": (GROUP_ALONE, 4),
    "aks_cluster_info": (WITH_CLUSTER, 0),
    "aks_kubeconfig": (WITH_CLUSTER, 2),
    "aks_pod_identity": (WITH_CLUSTER, 5),
    "aks_pod_identity_info": (WITH_CLUSTER, 0),
    "application_federated_credential": (WITH_CLUSTER, 2),
    "federated_identity_credential": (WITH_CLUSTER, 3),
    "federated_identity_credential_info": (WITH_CLUSTER, 0),
    "permission_info": (GROUP_ALONE, 0),
    "resource_group": (GROUP_ALONE, 2),
    "resource_group_info": (WITH_CLUSTER, 0),
    "role_assignment": (WITH_CLUSTER, 4),
    "role_assignment_info": (WITH_CLUSTER, 0),
    "user_assigned_identity": (GROUP_ALONE, 2),
    "user_assigned_identity_info": (WITH_CLUSTER, 0),
    "vmss_identity": (WITH_CLUSTER, 3),
    "vmss_identity_info": (WITH_CLUSTER, 0),
    "vmss_instance_reimage": (WITH_CLUSTER, 1),
}


def world(modules: Modules, level: int) -> Iterator[tuple[str, str]]:
    """What examples say, and what it is called here."""
    azure = modules.azure
    yield SUBSCRIPTION, azure.subscription_id
    yield "principal_type: User", "principal_type: ServicePrincipal"  # no people are simulated
    owner = azure.in_loop(lambda: azure.server.azure.state.principal_by_app(azure.owner.client_id))
    owner.graph.append("Application.ReadWrite.All")
    yield APPLICATION, azure.principal("billing").client_id
    for number, each in enumerate(PRINCIPALS):
        yield each, azure.principal(f"somebody-{number}").object_id
    for group in (GROUP, OTHER_GROUP):
        modules.succeed("resource_group", name=group, location="westeurope")
    if level == WITH_CLUSTER:
        for name in ("billing", "reports"):
            modules.succeed("user_assigned_identity", resource_group=GROUP, name=name)
        azure.cluster(GROUP, "demo", oidcIssuerProfile={"enabled": True})
        azure.cluster(OTHER_GROUP, "shop")


def tasks(name: str, modules: Modules, level: int, folder: Path) -> list[dict[str, Any]]:
    text = str(module(name).EXAMPLES)
    for said, called in [*world(modules, level), ("/run/user/1000", str(folder)), ("/var/backups", str(folder))]:
        text = text.replace(said, called)
    return [{key: prepared(key, options) for key, options in task.items()} for task in yaml.safe_load(text)]


def prepared(key: str, options: Any) -> Any:
    """The value of a task's key, the options of a module of ours without what is left out and without waiting."""
    if not key.startswith(OURS):
        return options
    soon = {"poll_interval": 0.1} if "poll_interval" in module(key.removeprefix(OURS)).OPTIONS.options else {}
    return {**{name: value for name, value in options.items() if name not in OF_A_CLUSTER}, **soon}


def module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.{OURS}plugins.modules.{name}")


def registered(modules: Modules) -> dict[str, Any]:
    """What earlier tasks of somebody's playbook would have found."""
    identity = modules.succeed("user_assigned_identity", resource_group=GROUP, name="billing")
    scale_sets = modules.succeed("vmss_identity_info", resource_group=OTHER_GROUP, cluster_name="shop")["resources"]
    instance = modules.azure.first_instance()
    scale_set, _members, number = str(instance["id"]).rpartition("/virtualMachines/")
    return {
        "billing_identity": identity,
        "workers_id": scale_sets[0]["id"],
        "aks_node": {
            "name": instance["properties"]["osProfile"]["computerName"],
            "scale_set": scale_set,
            "instance_id": json.loads(number),
        },
        "fleet": {"node_resource_group": scale_set.partition("/providers/")[0]},
    }
