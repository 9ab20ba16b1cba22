# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with dead rules, which a playbook cleans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from operators import SITE, Operator, Run, dead_rules
from sandboxes import Sandbox, eventually

GROUP, CLUSTER, NODE_GROUP = "cleanup-test", "one", "MC_cleanup-test_one_westeurope"


@dataclass(frozen=True)
class World:
    operator: Operator
    nodes: tuple[str, ...]
    addresses: tuple[str, ...]
    cluster: str = CLUSTER

    @property
    def sandbox(self) -> Sandbox:
        return self.operator.sandbox

    @property
    def folder(self) -> Path:
        return self.operator.directory

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def kubectl(self, *arguments: str) -> str:
        return self.sandbox.exec("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments)

    def ssh(self, node: int, script: str) -> str:
        return self.sandbox.ssh(self.addresses[node], script)

    def rules(self, node: int) -> list[str]:
        """The nat table of a node without counters; the probe's own comings and goings change nothing in it."""
        lines = self.ssh(node, "iptables-save -t nat").splitlines()
        return sorted(line for line in lines if line.startswith("-"))

    def answered_by(self, node: int) -> str:
        """Who answers a plain pod on the node at the metadata address."""
        asked = {"node": self.nodes[node], "kubeconfig": str(self.kubeconfig)}
        return str(self.operator.module("imds_answer_info", **asked)["answer"]["answered_by"])

    def until_no_node_access(self) -> None:
        """Wait for the end of the namespaces of the connection aks_node_pod, which its runs ask for."""
        eventually(lambda: "node-access" not in self.kubectl("get", "namespaces", "-o", "name"))

    def play(self, playbook: str | list[dict[str, Any]], *arguments: str, **variables: Any) -> Run:
        return self.operator.play(playbook, "-u", "root", *arguments, variables=variables)

    def clean(self, *arguments: str, playbook: str | list[dict[str, Any]] = "", **variables: Any) -> Run:
        """The playbook as an operator runs it; where another one is given, that."""
        named = {} if playbook else {"pod_identity_resource_group": GROUP, "pod_identity_cluster_name": self.cluster}
        target = {"imds_node_cleanup_artifact_target": str(self.folder / "saved")}
        name = playbook or "azureops.pod_identity.cleanup_nodes"
        return self.play(name, *arguments, **{**named, **target, **variables})

    def source(self, **options: Any) -> str:
        """A file for the inventory plugin."""
        source, place = self.folder / "test.aks_nodes.yml", {"resource_group": GROUP, "cluster_name": CLUSTER}
        groups = [{"key": "aks_node.scale_set_name", "prefix": "vmss"}]
        plugin = "azureops.pod_identity.aks_nodes"
        source.write_text(yaml.safe_dump({"plugin": plugin, **place, "keyed_groups": groups, **options}))
        return str(source)

    def inventory(self, **options: Any) -> dict[str, list[str]]:
        """The groups of the inventory plugin with their hosts."""
        listed = json.loads(self.sandbox.exec("ansible-inventory", "-i", self.source(**options), "--list"))
        return {name: sorted(group["hosts"]) for name, group in listed.items() if "hosts" in group}

    def install(self) -> None:
        variables = {**SITE, "pod_identity_resource_group": GROUP, "pod_identity_bindings_list": []}
        self.play("azureops.pod_identity.site", **{**variables, "pod_identity_verify_workloads": []}).ok()
        self.operator.kubeconfig(GROUP, CLUSTER)

    def kill(self) -> None:
        """SIGKILL to every NMI while the chart goes: stopped first, so that none can clean up or be started again."""
        for node in range(len(self.nodes)):
            self.ssh(node, "pkill -STOP -x nmi")
        options = ("--namespace", "default", "--kubeconfig", str(self.kubeconfig))
        self.sandbox.exec("helm", "uninstall", "aad-pod-identity", *options)
        for node in range(len(self.nodes)):
            self.ssh(node, "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done")
            assert any("aad-metadata" in rule for rule in self.rules(node))

    def unreachable_kubeconfig(self) -> str:
        """That of the cluster, but its API server does not answer."""
        kubeconfig = yaml.safe_load(self.kubeconfig.read_text())
        kubeconfig["clusters"][0]["cluster"]["server"] = "https://10.224.0.199:443"
        path = self.folder / "unreachable"
        path.write_text(yaml.safe_dump(kubeconfig))
        return str(path)

    def hosts(self) -> str:
        """An inventory of somebody else, with addresses that nobody has to be asked for."""
        path = self.folder / "hosts.yml"
        hosts = {name: {"ansible_host": address} for name, address in zip(self.nodes, self.addresses, strict=True)}
        path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        return str(path)

    def lay(self, node: int, **options: str) -> None:
        self.ssh(node, dead_rules(**options))


TAKE_AWAY = """
    while iptables -w -t nat -D PREROUTING -j aad-metadata 2>/dev/null; do :; done
    ! iptables -w -t nat -F aad-metadata 2>/dev/null || iptables -w -t nat -X aad-metadata
"""


def foreign(rules: list[str]) -> list[str]:
    """The rules that are not NMI's; those of kube-proxy's services come and go by themselves."""
    return [rule for rule in rules if "aad-metadata" not in rule and "KUBE-S" not in rule]
