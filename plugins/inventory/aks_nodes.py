# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: aks_nodes
short_description: The nodes of AKS clusters as hosts, grouped by what is wrong with them
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Every node of the clusters is a host, found through the API server and, where that does not answer, through the
    scale sets alone.
  - "Groups: C(not_ready); C(nmi_missing) (no NMI pod there); C(nmi_not_active) (a pod, but it intercepts nothing);
    C(rules_suspected) (NMI is not active there, or AKS's own monitor reports rules of users); C(not_inspected) (the API
    server could not be asked about it or its NMI); C(windows), in which Windows nodes are and in no other. They exist
    when they are empty."
  - Each host has the variable C(aks_node) with what M(azureops.pod_identity.aks_node_info) returns of a node and
    C(cluster_name), C(resource_group), C(cluster_id); C(ansible_host) is its first address, and is not
    set where the node calls something else its address. The connections
    P(azureops.pod_identity.aks_node_pod#connection) and P(azureops.pod_identity.vmss_run_command#connection) find
    their node without more variables.
  - The variables C(pod_identity_cluster_name) and C(pod_identity_resource_group) are set as the playbooks of this
    collection need them.
  - The name of the file must end in C(aks_nodes.yml) or C(aks_nodes.yaml).
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [azureops.pod_identity.aks_nodes]
  clusters:
    description:
      - The clusters. Every other option of this plugin, but those for groups and the cache, may stand in an entry too
        and wins there.
      - If unset, the cluster is named by O(cluster_name) and O(resource_group), or O(kubeconfig).
    type: list
    elements: dict
  resource_group:
    description: Resource group of the cluster.
    type: str
  cluster_name:
    description: Name of the managed cluster; without it only the API server is asked.
    type: str
  api_timeout:
    description: Seconds until an API server must answer.
    type: float
    default: 10
  protected_identities:
    description:
      - Resource ids of identities on scale sets that may stand open to every pod, besides those that the cluster itself
        names.
    type: list
    elements: str
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._kubernetes_auth
  - constructed
  - inventory_cache
seealso:
  - module: azureops.pod_identity.aks_node_info
"""

EXAMPLES = r"""
# One cluster; the credential comes from AZURE_* variables, ~/.azure/credentials or az login.
plugin: azureops.pod_identity.aks_nodes
resource_group: rg-shop
cluster_name: shop
---
# Two clusters, groups by pool, and only nodes with an address behind ssh as another user.
plugin: azureops.pod_identity.aks_nodes
clusters:
  - {resource_group: rg-shop, cluster_name: shop}
  - {resource_group: rg-bank, cluster_name: bank, kubeconfig: ~/clusters/bank.kubeconfig}
keyed_groups:
  - key: aks_node.scale_set_name
    prefix: vmss
compose:
  ansible_user: "'azureuser'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/aks_nodes
cache_timeout: 300
"""

import tempfile
import typing as t

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.azureops.pod_identity.plugins.module_utils import _nodes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import cluster_nodes
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _connections


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "azureops.pod_identity.aks_nodes"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("aks_nodes.yml", "aks_nodes.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        self.load_cache_plugin()
        key, wanted = self.get_cache_key(path), bool(self.get_option("cache"))
        hosts = self._cache.get(key) if cache and wanted else None
        if hosts is None:
            hosts = self._observe(config)
            if wanted:
                self._cache[key] = hosts
        self._populate(inventory, hosts)

    def _observe(self, config: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        spec = _nodes.argument_spec()
        shared = self._given(config, spec.options)
        hosts = []
        for entry in config.get("clusters") or [{}]:
            options = {**shared, **self._given(entry, spec.options)}
            hosts += self._hosts_of(_validated(options, spec))
        return hosts

    def _given(self, values: t.Mapping[str, t.Any], known: t.Container[str]) -> dict[str, t.Any]:
        """The options that the file sets itself; what it does not set may still come from the environment."""
        return {name: self.templar.template(value) for name, value in values.items() if name in known}

    def _hosts_of(self, options: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        try:
            with tempfile.TemporaryDirectory(prefix="azureops-pod-identity-") as directory:
                found = _nodes.observe(options, _connections.run_command, directory)
        except Failure as failure:
            raise AnsibleParserError(failure.sentence) from failure
        for sentence in (*found.unread, *found.odd):
            self.display.warning(sentence)
        cluster = {
            "cluster_id": found.cluster_id,
            "cluster_name": options["cluster_name"] or "",
            "resource_group": options["resource_group"] or "",
        }
        return [{**cluster, **node.view()} for node in found.nodes]

    def _populate(self, inventory: t.Any, hosts: t.Iterable[dict[str, t.Any]]) -> None:
        strict = self.get_option("strict")
        for group in cluster_nodes.GROUPS:
            inventory.add_group(group)
        for node in hosts:
            name = inventory.add_host(node["name"])
            variables: dict[str, t.Any] = {"aks_node": node, "ansible_aks_node_pod_node": node["name"]}
            if node["addresses"]:
                variables["ansible_host"] = node["addresses"][0]
            if node["scale_set"]:
                instance = f"{node['scale_set']}/virtualMachines/{node['instance_id']}"
                variables["ansible_vmss_run_command_instance"] = instance
            if node["cluster_name"]:
                variables["pod_identity_cluster_name"] = node["cluster_name"]
                variables["pod_identity_resource_group"] = node["resource_group"]
            for key, value in variables.items():
                inventory.set_variable(name, key, value)
            for group in node["groups"]:
                inventory.add_child(group, name)
            self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def _validated(options: dict[str, t.Any], spec: t.Any) -> dict[str, t.Any]:
    """As a module would: types, choices, and the environment for what is not set."""
    result = ArgumentSpecValidator(
        dict(spec.options), required_one_of=spec.required_one_of, required_by=dict(spec.required_by)
    ).validate(options)
    if result.error_messages:
        raise AnsibleParserError(f"aks_nodes: {'; '.join(result.error_messages)}.")
    validated: dict[str, t.Any] = result.validated_parameters
    return validated
