# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The session of a run: checks the options of roles, finds and proves the cluster, connects, asks what is permitted.

What is known of it is the variable that every task with this action registers; each goes by what the one before left.
Each request is that of a module, run as a task of its own would run it: with the host, the environment and the
module_defaults of this one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# Loaded here, before the workers are forked, so that their modules can run in these.
from ansible_collections.azureops.pod_identity.plugins.action import (  # isort: skip
    access_review_info,
    aks_cluster_info,
    aks_kubeconfig,
    cluster_connection,
    kubernetes_object_info,
    permission_info,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import sessions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure, refuses
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, refuse
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_cluster import CREATE
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import (
    _changes,
    _private_directories,
    _roles,
)
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietEnvironment
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

Raw = t.Mapping[str, t.Any]

ROLE = "pod_identity_cluster"
CHART, BINDINGS, VERIFY = "pod_identity_chart", "pod_identity_bindings", "pod_identity_verify"
NAMED = ("name", "resource_group", "subscription_id", "state", "allow_network_plugin_kubenet")
OPTIONS = (*_roles.NAMING, "state", "allow_network_plugin_kubenet")
NEEDS = [{"verbs": ["list"], "resource": "nodes"}]
LOADED = (
    *(access_review_info, aks_cluster_info, aks_kubeconfig),
    *(cluster_connection, kubernetes_object_info, permission_info),
)
STATES = ["known", "predicted", "counted", "restored", "connected", "asked", "begun", "absent", "private_directory"]
ARGUMENTS = {
    "state": {"type": "str", "default": "connected", "choices": STATES},
    "owner": {"type": "str", "default": ROLE},
    "roles": {"type": "list", "elements": "str", "default": []},
    "cluster": {"type": "dict", "default": {}},
    "azure": {"type": "list", "elements": "dict", "default": []},
    "kubernetes": {"type": "list", "elements": "dict", "default": []},
    "connects": {"type": "bool", "default": False},
    "further": {"type": "bool", "default": False},
    "permissions": {"type": "list", "elements": "dict", "default": []},
    "ungranted": {"type": "list", "elements": "dict", "default": []},
    "needed": {"type": "bool", "default": True},
    "tells": {"type": "bool", "default": True},
}
# The file of the role with what creates or changes the cluster, by whether that is so of its resource group too.
CREATION = {False: "create.yml", True: "create_in_group.yml"}
# What may name the API server in the environment of ansible-playbook.
NAMED_BY = ("K8S_AUTH_KUBECONFIG", "K8S_AUTH_HOST")
_ABSENT = (
    "pod_identity_cluster_state is absent, which the playbook site cannot do; delete the cluster with the playbook "
    "azureops.pod_identity.destroy, or with the role pod_identity_cluster alone."
)
_WITHOUT_HELM = (
    "The program {} is not found where the role pod_identity_chart runs; install helm 3 there, or set "
    "pod_identity_chart_helm_binary to its path."
)
EMPTY: t.Mapping[str, t.Any] = {
    "connection": {},
    "plans": {},
    "missing": [],
    "phases": [],
    "roles": [],
    "permissions": [],
    "ungranted": [],
    "creation": "",
    "account": {},
    "connects": False,
}

_private_directories.remove_at_exit()


class ActionModule(QuietEnvironment):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        before = variables.get(_roles.SESSION) or {}
        dummy, arguments = self.validate_argument_spec(ARGUMENTS)
        subtasks = Subtasks(self, variables)
        if arguments["state"] == "private_directory":
            return {**result, **_alone(subtasks, arguments["owner"]), "changed": False, **subtasks.told}
        known = {name: before[name] for name in ("cluster", "before", *EMPTY) if name in before}
        session = _Session(self, variables, subtasks, arguments["owner"], {**EMPTY, **known})
        try:
            if arguments["needed"]:
                getattr(session, f"be_{arguments['state']}")(arguments)
        except SubtaskFailed as failed:
            outcome = {name: value for name, value in failed.result.items() if name != "invocation"}
        except (AnsibleError, Failure, Refused, _roles.WrongOptions) as error:
            outcome = {"failed": True, "msg": str(error)}
        else:
            return {**result, "changed": False, **subtasks.told, **session.known, **_stats(session.told, variables)}
        # Whoever rescues the run goes on, or disconnects, with these.
        names = ("cluster", "before", "connection", "account")
        kept = {name: session.known[name] for name in names if session.known.get(name)}
        return {**result, "changed": False, **subtasks.told, **kept, **outcome}


def _alone(subtasks: Subtasks, owner: str) -> dict[str, t.Any]:
    """A session without a connection of its own: a directory, and what its tasks change."""
    return {"path": _private_directories.make(subtasks), _changes.KNOWN: _changes.begin(owner)}


def _stats(told: list[dict[str, t.Any]] | None, variables: Raw) -> dict[str, t.Any]:
    """The changes as data of the run, as set_stats leaves them."""
    if told is None:
        return {}
    # Ansible adds lists of several sessions and hosts.
    rows = [{"host": variables["inventory_hostname"], **each} for each in told]
    return {"ansible_stats": {"data": {"pod_identity_changes": rows}, "aggregate": True, "per_host": False}}


class _Session:
    """``known``: what the task registers."""

    def __init__(
        self, action: ActionBase, variables: dict[str, t.Any], subtasks: Subtasks, owner: str, known: dict[str, t.Any]
    ) -> None:
        self._action, self._variables, self._subtasks, self._owner = action, variables, subtasks, owner
        self.known = known
        self.told: list[dict[str, t.Any]] | None = None
        self._regions: list[str] = []

    @functools.cached_property
    def _options(self) -> dict[str, t.Any]:
        given = _roles.options(self._action._templar, ROLE, _roles.SPECS[ROLE], OPTIONS, self._variables)
        return {name: value for name, value in given.items() if value not in (None, "")}

    @functools.cached_property
    def _named(self) -> sessions.Named:
        return sessions.Named(**{name: self._options[name] for name in NAMED if name in self._options})

    @property
    def _principal_id(self) -> str:
        """An option that only the role pod_identity_cluster reads, which tells what is wrong with it."""
        with contextlib.suppress(_roles.WrongOptions):
            given = _roles.options(self._action._templar, ROLE, _roles.SPECS[ROLE], ["principal_id"], self._variables)
            return str(given.get("principal_id") or "")
        return ""

    @property
    def _in_azure(self) -> dict[str, t.Any]:
        return {name: self._options.get(name) for name in ("subscription_id", "resource_group")}

    @property
    def _named_cluster(self) -> dict[str, t.Any]:
        """What the options of other roles are read by; what is wrong with these is told as that of their role."""
        names = ("name", "resource_group", "subscription_id")
        try:
            known = self._options
        except _roles.WrongOptions:
            known = {}
        return {f"cluster_{name}": known.get(name, "") for name in names}

    @property
    def _connection(self) -> sessions.Connection:
        return sessions.Connection.parse(self.known["connection"])

    def _run(self, name: str, arguments: Raw, *, check_mode: bool | None = None) -> dict[str, t.Any]:
        return self._subtasks.run(f"azureops.pod_identity.{name}", arguments, check_mode=check_mode)

    def _decide(self, role: str, part: str, observed: Raw) -> dict[str, t.Any]:
        return _roles.decide(self._action, role, part, observed, self._variables, self._subtasks)

    # the states

    def be_known(self, arguments: Raw) -> None:
        """Whoever began for roles that need one connects as soon as there is a cluster."""
        self._learn(arguments["cluster"])
        if arguments["cluster"] and self.known["connects"]:
            self._connect(self._owner)

    def be_predicted(self, _arguments: Raw) -> None:
        """From here on the cluster is what check mode predicts, until it is restored."""
        self.known["before"] = [self.known["cluster"]]

    def be_counted(self, arguments: Raw) -> None:
        """What predictions need adds up, until somebody begins or asks anew."""
        for name in ("permissions", "ungranted"):
            self.known[name] = [*self.known[name], *arguments[name]]

    def be_restored(self, _arguments: Raw) -> None:
        (cluster,) = self.known.pop("before")
        self._learn(cluster)

    def be_connected(self, arguments: Raw) -> None:
        if arguments["tells"]:
            self._begin_changes()
        if self._action._task._role is None:
            refuse(_roles.unknown(self._action, self._variables, self._subtasks))
        self._forget_another()
        self._connect(self._owner)

    def be_asked(self, arguments: Raw) -> None:
        self._forget_prediction()
        before = self.known["missing"] if arguments["further"] else []
        self.known.update(permissions=[], ungranted=[])
        asking = {name: arguments[name] for name in ("azure", "kubernetes", "connects")}
        self._ask("questions", asking, self._owner, connected=arguments["further"])
        self.known["missing"] = before + [each for each in self.known["missing"] if each not in before]

    def be_begun(self, arguments: Raw) -> None:
        roles = arguments["roles"]
        self._begin_changes()
        plans = self._check(roles)
        self._forget_prediction()
        self.known["plans"] = {**self.known["plans"], **plans}
        self.known.update(roles=roles, permissions=[], ungranted=[])
        others = [plans[role] for role in roles if role != ROLE]
        connects = any(plan.get("connects", True) for plan in others)
        asking = {
            "azure": [need for plan in others for need in plan.get("azure", ())],
            "kubernetes": [need for plan in others for need in plan.get("kubernetes", ())],
            "connects": connects,
        }
        self.known["connects"] = ROLE in roles and connects
        if ROLE in roles:
            unread = self._find_if_permitted(list_regions=plans[ROLE]["creates"])
            # Then nothing is there but what this run makes.
            if self.known.get("cluster") == {} and plans[ROLE]["creates"]:
                refuse(self._unknown(plans))
            self._ask("own_questions", asking, self._owner)
            # Whoever may not even read the cluster is told so with all the rest, if Azure tells of it.
            if unread and self._may_go_on:
                raise unread
            # A cluster that is still to be created, or is being created, is connected to when it is there.
            cluster = self.known.get("cluster")
            to_come = plans[ROLE]["creates"] and CREATE in self.known["phases"]
            to_come &= not (cluster and sessions.may_have_server(cluster))
            if connects and self._may_go_on and not to_come:
                self._connect(self._owner)
            return
        self._ask("questions", asking, self._owner)
        # What is certainly missing is told first.
        if self._may_go_on and connects:
            self._connect(self._owner)
        elif self._may_go_on and any(plan.get("finds") for plan in others) and self._named.is_named:
            # That there is none may be known too.
            if "cluster" not in self.known:
                self._know(self._find())

    def be_absent(self, arguments: Raw) -> None:
        """None is left, unless it is somebody else's. In the end stands what was changed."""
        connection, account = self._connection, self.known["account"]
        if arguments["tells"] and account.get("owner") == self._owner:
            self.known.update(account={}, connects=False)
            self.told = _changes.end(account, self._variables)
        if connection.is_open and connection.owner == self._owner:
            self._disconnect()

    # what they are made of

    def _begin_changes(self) -> None:
        self.known["account"] = self.known["account"] or _changes.begin(self._owner)

    @property
    def _may_go_on(self) -> bool:
        return not any(each["certain"] for each in self.known["missing"])

    def _forget_prediction(self) -> None:
        """One that an earlier role did not come to the end of; with it goes what it predicted."""
        if "before" in self.known:
            self.be_restored({})
        self._forget_another()

    def _forget_another(self) -> None:
        """What is known of a cluster that is not the one that is named now."""
        if not (self._named.is_named and self._named.is_of(self.known.get("cluster") or {})):
            self.known.pop("cluster", None)

    def _disconnect(self) -> None:
        _private_directories.remove(self._subtasks, self._connection.directory)
        self.known["connection"] = {}

    def _check(self, roles: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
        """What the options of these roles amount to; refuses with all that is wrong in all of them."""
        plans: dict[str, dict[str, t.Any]] = {}
        wrong = [*_roles.unknown(self._action, self._variables, self._subtasks)]
        unread = _roles.wrong_names(self._action._templar, self._variables)
        for role in roles:
            observed = {**self._named_cluster, "bindings": plans.get(BINDINGS)}
            try:
                plans[role] = _roles.check(
                    self._action, role, "options", observed, self._variables, self._subtasks, unread=unread
                )
            except Refused as refused:
                wrong += refused.sentences
        if ROLE in plans and len(plans) > 1 and self._named.state == "absent":
            wrong.append(_ABSENT)
        wrong += [_WITHOUT_HELM.format(each) for each in self._absent(plan.get("helm") for plan in plans.values())]
        refuse(dict.fromkeys(wrong))
        return plans

    def _absent(self, programs: t.Iterable[str | None]) -> t.Iterator[str]:
        """Those that a task with the environment of this one would not find."""
        action = self._action
        for program in filter(None, programs):
            # Modules look there too, whatever PATH is.
            look = f"PATH=$PATH:/sbin:/usr/sbin:/usr/local/sbin command -v {shlex.quote(program)}"
            command = f"{action._compute_environment_string()} /bin/sh -c {shlex.quote(look)}".strip()
            if action._low_level_execute_command(command)["rc"]:
                yield program

    def _unknown(self, plans: Raw) -> t.Iterable[str]:
        """What the workloads to verify expect of a cluster that is still to be created, and that nothing gives them."""
        if BINDINGS not in plans or VERIFY not in plans:
            return ()
        values = _roles.options(
            self._action._templar, CHART, _roles.SPECS[CHART], ["values", "recorded_values"], self._variables
        )
        # The chart can make some too.
        own = any((given or {}).get("azureIdentities") for given in values.values())
        return () if own else plans[VERIFY]["unknown"]

    def _find_if_permitted(self, *, list_regions: bool) -> SubtaskFailed | None:
        """Why it may not be read, if that is so."""
        self.known.pop("cluster", None)
        try:
            self._know(self._find(list_regions=list_regions))
        except SubtaskFailed as failed:
            if not refuses(failed.result, 403):
                raise
            return failed
        return None

    def _ask(self, part: str, asking: Raw, owner: str, *, connected: bool = False) -> None:
        """Ask Azure and the API server for what is needed; ``missing`` is what they do not permit.

        ``connected``: connecting is permitted, whatever else is not.
        """
        elsewhere = any(os.environ.get(name) for name in NAMED_BY)
        cluster = self.known.get("cluster")
        found = {"cluster": cluster or {}, "missing": cluster == {}, "regions": self._regions}
        plan = self._decide(ROLE, part, {**asking, **found, "named_elsewhere": elsewhere})
        missing: list[dict[str, t.Any]] = []
        if plan["azure"]:
            needs = {"subscription_id": self._options.get("subscription_id"), "needs": plan["azure"]}
            missing += self._run("permission_info", needs)["missing"]
        certain = any(each["certain"] for each in missing) and not connected
        if plan["kubernetes"] and not certain and sessions.may_have_server(cluster):
            self._connect(plan["looker"] or owner)
            if self._connection.reachable:
                reached = {"kubeconfig": self._connection.kubeconfig, "needs": plan["kubernetes"]}
                missing += self._run("access_review_info", reached)["missing"]
        self.known.update(missing=missing, phases=plan["phases"], creation=CREATION[plan["group"]])

    def _learn(self, cluster: Raw) -> None:
        """A connection to a cluster that was only predicted goes with what was known of it."""
        self._know(cluster)
        if self._connection.is_open and not self._connection.reachable:
            self._disconnect()

    def _know(self, cluster: Raw) -> None:
        """``principal_id``: who gets the roles of the nodes, as far as that is known."""
        known = dict(cluster)
        if cluster:
            kubelet = (cluster.get("kubelet_identity") or {}).get("object_id")
            known["principal_id"] = self._principal_id or kubelet or ""
        self.known["cluster"] = known

    def _find(self, *, list_regions: bool = False) -> dict[str, t.Any]:
        """The cluster that is named, not one of module_defaults."""
        self._named.require_names()
        named = {**self._in_azure, "name": self._named.name, "list_regions": list_regions}
        read = self._run("aks_cluster_info", named)
        self._regions = read.get("regions") or []
        cluster: dict[str, t.Any] = next(iter(read["clusters"]), {})
        self._named.refuse_kubenet(cluster)
        return cluster

    def _connect(self, owner: str) -> None:
        """What is open already stays, with a token that lasts."""
        if self._named.is_named:
            self._named.require_names()
        if self._named.is_named and not self._named.is_of(self.known.get("cluster") or {}):
            self._know(self._find())
        cluster, connection = self.known.get("cluster") or {}, self._connection
        connection.refuse_another(self._named, cluster)
        if not connection.is_open:
            connection = self._open(cluster, owner)
        elif connection.may_outlive_its_token(cluster):
            self._fetch(cluster, connection)
        self.known["connection"] = connection.fact()

    def _open(self, cluster: Raw, owner: str) -> sessions.Connection:
        if self._named.is_named:
            self._named.require(cluster)
        directory = _private_directories.make(self._subtasks)
        try:
            return self._proved(cluster, directory, owner)
        except BaseException:  # whatever ends it, also Ctrl-C
            with contextlib.suppress(SubtaskFailed):
                _private_directories.remove(self._subtasks, directory)
            raise

    def _proved(self, cluster: Raw, directory: str, owner: str) -> sessions.Connection:
        """A connection that leads to the named cluster."""
        opened = sessions.Connection.opened(owner, directory, self._named, cluster, fetched=True)
        if not opened.reachable:
            return opened
        # What options and environment name now is what every later task of the run reaches, whatever its environment
        # says. The tasks that follow read the cluster in check mode too.
        named = {name: self._options.get(name) for name in ("kubeconfig", "context")}
        chosen = self._run("cluster_connection", {"path": opened.kubeconfig, **named}, check_mode=False)
        if not chosen["state"] and not self._named.is_named:
            raise Failure(
                "No cluster is named; set pod_identity_cluster_name and pod_identity_resource_group, or "
                "pod_identity_kubeconfig."
            )
        fetched = not chosen["state"]
        connection = sessions.Connection.opened(owner, directory, self._named, cluster, fetched=fetched)
        server = ""
        if fetched:
            server, file = self._fetch(cluster, connection), connection.kubeconfig
            self._run("cluster_connection", {"path": file, "kubeconfig": file}, check_mode=False)
        if self._named.is_named and sessions.needs_proof(connection, cluster, server):
            self._prove(cluster, connection)
        return connection

    def _fetch(self, cluster: Raw, connection: sessions.Connection) -> str:
        """Write the kubeconfig of AKS; the way to its server that is in the file already stays there."""
        return _roles.fetch(self._subtasks, self._options, connection, cluster)

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
