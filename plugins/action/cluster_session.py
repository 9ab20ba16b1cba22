# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds a cluster, connects to its API server and proves that it is the named cluster's.

Each request is that of a module, run as a task of its own would run it: with the host, the environment and the
module_defaults of this one.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.plugins.action import ActionBase

# Loaded here, before the workers are forked, so that their modules can run in these.
from ansible_collections.azureops.pod_identity.plugins.action import (  # isort: skip
    access_review_info,
    aks_cluster_info,
    aks_kubeconfig,
    cluster_connection,
    kubernetes_object_info,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import sessions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _private_directories, _roles
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

Raw = t.Mapping[str, t.Any]

ROLE = "pod_identity_cluster"
SPEC = _roles.spec(ROLE)
NAMED = ("name", "resource_group", "state", "allow_network_plugin_kubenet")
OPTIONS = (*NAMED, "subscription_id", "kubeconfig", "context", "credentials")
NEEDS = [{"verbs": ["list"], "resource": "nodes"}]
LOADED = (access_review_info, aks_cluster_info, aks_kubeconfig, cluster_connection, kubernetes_object_info)
ARGUMENTS = {
    "state": {"type": "str", "default": "connected", "choices": ["found", "connected", "absent", "private_directory"]},
    "owner": {"type": "str", "default": ROLE},
    "cluster": {"type": "dict", "default": {}},
    "connection": {"type": "dict", "default": {}},
}

_private_directories.remove_at_exit()


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        dummy, arguments = self.validate_argument_spec(ARGUMENTS)
        subtasks = Subtasks(self, variables)
        try:
            if arguments["state"] == "private_directory":
                found: dict[str, t.Any] = {"path": _private_directories.make(subtasks)}
            elif arguments["state"] == "absent":
                found = _disconnect(subtasks, arguments["owner"], _known(arguments)["connection"])
            else:
                options = _roles.options(self, ROLE, SPEC, OPTIONS, variables)
                session = _Session(subtasks, options, arguments["owner"])
                found = session.find() if arguments["state"] == "found" else session.connect(**_known(arguments))
        except SubtaskFailed as failed:
            found = {name: value for name, value in failed.result.items() if name != "invocation"}
        except (Failure, _roles.WrongOptions) as error:
            found = {"failed": True, "msg": str(error)}
        return {**result, "changed": False, **subtasks.told, **found}


def _known(arguments: Raw) -> dict[str, t.Any]:
    return {"cluster": arguments["cluster"], "connection": sessions.Connection.parse(arguments["connection"])}


def _disconnect(subtasks: Subtasks, owner: str, connection: sessions.Connection) -> dict[str, t.Any]:
    """The connection that is left: none, unless it is somebody else's."""
    if connection.is_open and connection.owner != owner:
        return {"connection": connection.fact()}
    if connection.is_open:
        _private_directories.remove(subtasks, connection.directory)
    return {"connection": {}}


class _Session:
    def __init__(self, subtasks: Subtasks, options: Raw, owner: str) -> None:
        self._subtasks = subtasks
        self._owner = owner
        given = {name: value for name, value in options.items() if value not in (None, "")}
        self._named = sessions.Named(**{name: given[name] for name in NAMED if name in given})
        self._in_azure = {
            "subscription_id": given.get("subscription_id"),
            "resource_group": given.get("resource_group"),
        }
        self._kubeconfig = {name: given.get(name) for name in ("kubeconfig", "context")}
        self._credentials = given.get("credentials")

    def _run(self, name: str, arguments: Raw, *, check_mode: bool | None = None) -> dict[str, t.Any]:
        return self._subtasks.run(f"azureops.pod_identity.{name}", arguments, check_mode=check_mode)

    def find(self) -> dict[str, t.Any]:
        """The cluster that is named, not one of module_defaults."""
        self._named.require_names()
        read = self._run("aks_cluster_info", {**self._in_azure, "name": self._named.name})
        cluster: dict[str, t.Any] = next(iter(read["clusters"]), {})
        self._named.refuse_kubenet(cluster)
        return {"cluster": cluster}

    def connect(self, cluster: Raw, connection: sessions.Connection) -> dict[str, t.Any]:
        """The connection; what is open already stays, with a token that lasts."""
        found: dict[str, t.Any] = {"cluster": cluster} if cluster else {}
        if self._named.is_named:
            self._named.require_names()
        if self._named.is_named and not self._named.is_of(cluster):
            found = self.find()
            cluster = found["cluster"]
        connection.refuse_another(self._named, cluster)
        if not connection.is_open:
            connection = self._open(cluster)
        elif connection.may_outlive_its_token(cluster):
            self._fetch(cluster, connection)
        return {**found, "connection": connection.fact()}

    def _open(self, cluster: Raw) -> sessions.Connection:
        if self._named.is_named:
            self._named.require(cluster)
        directory = _private_directories.make(self._subtasks)
        try:
            return self._proved(cluster, directory)
        except BaseException:  # whatever ends it, also Ctrl-C
            with contextlib.suppress(SubtaskFailed):
                _private_directories.remove(self._subtasks, directory)
            raise

    def _proved(self, cluster: Raw, directory: str) -> sessions.Connection:
        """A connection that leads to the named cluster."""
        opened = sessions.Connection.opened(self._owner, directory, self._named, cluster, fetched=True)
        if not opened.reachable:
            return opened
        # What options and environment name now is what every later task of the run reaches, whatever its environment
        # says. The tasks that follow read the cluster in check mode too.
        chosen = self._run("cluster_connection", {"path": opened.kubeconfig, **self._kubeconfig}, check_mode=False)
        if not chosen["state"] and not self._named.is_named:
            raise Failure(
                "No cluster is named; set pod_identity_cluster_name and pod_identity_resource_group, or "
                "pod_identity_kubeconfig."
            )
        fetched = not chosen["state"]
        connection = sessions.Connection.opened(self._owner, directory, self._named, cluster, fetched=fetched)
        server = self._fetch(cluster, connection) if fetched else ""
        if self._named.is_named and sessions.needs_proof(connection, cluster, server):
            self._prove(cluster, connection)
        return connection

    def _fetch(self, cluster: Raw, connection: sessions.Connection) -> str:
        """Write the kubeconfig from AKS; returns its server."""
        arguments = {
            **self._in_azure,
            "cluster_name": self._named.name,
            "path": connection.kubeconfig,
            "credentials": self._credentials,
            "power_state": cluster.get("power_state") or None,
        }
        return str(self._run("aks_kubeconfig", arguments, check_mode=False)["state"]["server"])

    def _prove(self, cluster: Raw, connection: sessions.Connection) -> None:
        try:
            reached = self._run("access_review_info", {"kubeconfig": connection.kubeconfig, "needs": NEEDS})
        except SubtaskFailed as failed:
            code = (failed.result.get("error") or {}).get("code")
            if cluster.get("private_cluster") and code == "NameResolutionError":
                sessions.refuse_unresolved(cluster, self._named.name)
            raise
        if sessions.has_name_of(cluster, reached["server"]):
            return
        if reached["missing"]:
            sessions.refuse_unproved(cluster, self._named.name, reached["server"])
        nodes = self._run(
            "kubernetes_object_info", {"kubeconfig": connection.kubeconfig, "api_version": "v1", "kind": "Node"}
        )
        sessions.refuse_foreign_nodes(cluster, self._named.name, nodes["resources"])
