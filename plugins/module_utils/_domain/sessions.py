# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A session with the API server of a cluster: which one may be used, and what proves that it is the named cluster's."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from .azure import arm_id, clusters
from .errors import Failure

KNOWN_AFTER_APPLY = "(known after apply)"
UNNAMED = "No cluster is named; set pod_identity_cluster_name and pod_identity_resource_group."

Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Named:
    """The options that name a cluster; without a name the kubeconfig or the environment alone do."""

    name: str = ""
    resource_group: str = ""
    subscription_id: str = ""
    state: str = "present"
    allow_network_plugin_kubenet: bool = False

    @property
    def is_named(self) -> bool:
        return bool(self.name)

    def require_names(self) -> None:
        """Refuses a cluster without a name or a resource group."""
        if not self.name or not self.resource_group:
            raise Failure(UNNAMED)

    def is_of(self, cluster: Raw) -> bool:
        """Whether what is known of a cluster is known of this one."""
        known = (_text(cluster, "name").lower(), _text(cluster, "resource_group").lower())
        if known != (self.name.lower(), self.resource_group.lower()):
            return False
        of_id = arm_id.parse(_text(cluster, "id")).subscription if _text(cluster, "id").startswith("/") else ""
        return not (self.subscription_id and of_id) or of_id.lower() == self.subscription_id.lower()

    def refuse_kubenet(self, cluster: Raw) -> None:
        on_kubenet = _text(cluster, "network_plugin") == "kubenet"
        if on_kubenet and not self.allow_network_plugin_kubenet and self.state != "absent":
            raise Failure(kubenet_refusal(self.name))

    def require(self, cluster: Raw) -> None:
        if not cluster:
            raise Failure(absence_refusal(self.name, self.resource_group))


def kubenet_refusal(name: str) -> str:
    return (
        f"Cluster {name} uses the network plugin kubenet, on which a pod can take the address of another pod by ARP "
        "spoofing and get that pod's token; use Azure CNI, or accept the risk with "
        "pod_identity_allow_network_plugin_kubenet=true."
    )


def absence_refusal(name: str, group: str) -> str:
    return (
        f"Cluster {name} does not exist in resource group {group}; correct the names, or have the playbook "
        "azureops.pod_identity.site create it with pod_identity_cluster_create=true."
    )


@dataclass(frozen=True)
class Connection:
    """The connection of a session; without a directory there is none.

    ``owner``: the role that removes it. ``cluster``: the id of the cluster that it was proved for. ``fetched``: the
    kubeconfig comes from AKS. ``reachable`` is false as long as the cluster is only predicted.
    """

    owner: str = ""
    directory: str = ""
    cluster: str = ""
    fetched: bool = False
    kubeconfig: str = ""
    context: str = ""
    reachable: bool = False

    @classmethod
    def parse(cls, found: Raw) -> Connection:
        texts = {name: _text(found, name) for name in ("owner", "directory", "cluster", "kubeconfig", "context")}
        return cls(**texts, fetched=bool(found.get("fetched")), reachable=bool(found.get("reachable")))

    @classmethod
    def opened(cls, owner: str, directory: str, named: Named, cluster: Raw, *, fetched: bool) -> Connection:
        reachable = not (named.is_named and is_predicted(cluster))
        return cls(
            owner=owner,
            directory=directory,
            cluster=_text(cluster, "id") if named.is_named else "",
            fetched=fetched,
            kubeconfig=f"{directory}/kubeconfig" if reachable else KNOWN_AFTER_APPLY,
            reachable=reachable,
        )

    @property
    def is_open(self) -> bool:
        return bool(self.directory)

    def fact(self) -> dict[str, t.Any]:
        return asdict(self)

    def refuse_another(self, named: Named, cluster: Raw) -> None:
        """Refuses to go on with a connection to another cluster than the one that is named now."""
        if not (named.is_named and self.is_open and self.cluster):
            return
        if self.cluster.lower() != _text(cluster, "id").lower():
            raise Failure(
                f"This host keeps a connection to {self.cluster}, but the cluster that is named now is {named.name} in "
                f"resource group {named.resource_group} ({'which is another' if cluster else 'which does not exist'}); "
                "correct the names, or end that connection with tasks_from=disconnect of the role "
                "pod_identity_cluster."
            )

    def may_outlive_its_token(self, cluster: Raw) -> bool:
        """A run may last longer than the token in its kubeconfig; one that lives long enough stays."""
        return self.fetched and self.reachable and bool(self.cluster and cluster.get("aad_enabled"))


def may_have_server(cluster: Raw | None) -> bool:
    """Whether there can be an API server to ask: where no cluster is named, and where one is not still created."""
    return cluster is None or (cluster.get("provisioning_state") or "Creating") != "Creating"


def is_predicted(cluster: Raw) -> bool:
    return _text(cluster, "fqdn") == KNOWN_AFTER_APPLY


def server_names(cluster: Raw) -> tuple[str, ...]:
    """As AKS calls the API server of the cluster."""
    names = (_text(cluster, "fqdn"), _text(cluster, "private_fqdn"))
    return tuple(name.lower() for name in names if name)


def has_name_of(cluster: Raw, server: str) -> bool:
    """Whether the URL of an API server has the name of that of the cluster."""
    try:
        host = urlsplit(server).hostname or ""
    except ValueError:  # it is no URL
        return False
    return host.lower() in server_names(cluster)


def needs_proof(connection: Connection, cluster: Raw, fetched_server: str) -> bool:
    """AKS itself told the server of a fetched kubeconfig; where that has another name, the nodes prove the cluster."""
    if not connection.fetched or cluster.get("private_cluster"):
        return True
    return not has_name_of(cluster, fetched_server)


def refuse_unresolved(cluster: Raw, name: str) -> None:
    """For a private cluster whose name cannot be resolved."""
    names = {"fqdn": _text(cluster, "fqdn"), "privateFQDN": _text(cluster, "private_fqdn")}
    raise Failure(clusters.unresolved({"name": name, "properties": names}))


def refuse_unproved(cluster: Raw, name: str, server: str) -> None:
    """For a user that may not list the nodes, which alone could prove the cluster."""
    raise Failure(
        f"It cannot be told whether {server} belongs to cluster {name}: AKS calls that one "
        f"{' or '.join(server_names(cluster))}, and the user of the connection may not list nodes; use a kubeconfig "
        "with that name, or have the permission to list nodes granted."
    )


def refuse_foreign_nodes(cluster: Raw, name: str, nodes: t.Iterable[Raw]) -> None:
    """A way around the API server's own name, such as a tunnel, proves nothing; the nodes behind it do."""
    group = _text(cluster, "node_resource_group")
    scope = arm_id.resource_group(arm_id.parse(_text(cluster, "id")).subscription, group)
    providers = [_text(node.get("spec") or {}, "providerID").lower() for node in nodes]
    if not group or not any(provider.startswith(f"azure://{scope}/".lower()) for provider in providers):
        raise Failure(
            f"The kubeconfig belongs to another cluster than {name}: none of its {len(providers)} nodes lies in "
            f"resource group {group}; correct pod_identity_kubeconfig, pod_identity_context or "
            "pod_identity_cluster_name."
        )


def _text(found: Raw, name: str) -> str:
    return str(found.get(name) or "")
