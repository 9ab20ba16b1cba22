# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role imds_node_cleanup for which role_plan does not do.

They work over the connection to the node, or read facts of all hosts of the play, of which there are hundreds. Work and
decision are one task: each task of each node takes a process that begins as a copy of ansible-playbook's. So what these
processes need is loaded here, where Ansible loads this file, before it makes them.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.executor.module_common import _apply_action_arg_defaults
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, lookup_loader, test_loader

from ansible_collections.azureops.pod_identity.plugins.action import imds_iptables_cleanup
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import imds_node_cleanup as role
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import given_options
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles

_ROLE = "imds_node_cleanup"
_SPEC = _roles.spec(_ROLE)  # read where Ansible loads the action, before it forks
_OPTIONS = ("accept_open_imds", "artifact_target")  # what the gate reads
_CLEANUP = imds_iptables_cleanup.__name__.replace("ansible_collections.", "").replace(".plugins.action", "")
_WAY, _SEEN = "__imds_node_cleanup_way", "__imds_node_cleanup_now"
_BATCH = "__imds_node_cleanup_batch"
_FACTS = {"node": "aks_node", "result": "imds_node_cleanup_result"}
for _loader, _name in ((filter_loader, "default"), (test_loader, "defined"), (lookup_loader, "ansible.builtin.env")):
    _loader.get(_name)  # with the first of them come all of ansible.builtin

Variables = t.Mapping[str, t.Any]


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables, arguments = task_vars or {}, self._task.args
        steps: dict[str, t.Callable[[Variables, Variables], dict[str, t.Any]]] = {
            "begin": self._begin,
            "gate": self._gate,
            "access": self._access,
            "choose": self._choose,
            "clean": self._clean,
            "way": self._way,
            "look": self._look,
        }
        step = steps.get(str(arguments.get("step")))
        if step is None:
            raise AnsibleActionFail(f"step is {arguments.get('step')}; it must be one of {', '.join(steps)}.")
        try:
            return {**result, "changed": False, **step(arguments, variables)}
        except _roles.WrongOptions as error:
            raise AnsibleActionFail(str(error)) from None

    def _begin(self, _arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        # Once for all nodes, because a task of each node would cost a process of each.
        if wrong := _roles.wrong_options_of_hosts(self._templar, _ROLE, _checked(variables), variables):
            raise AnsibleActionFail(" ".join(wrong))
        return {"batch": _shown(role.begin(_play(variables), variables["ansible_play_batch"]))}

    def _choose(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        earlier = role.Batch(**arguments["batch"])
        return {"batch": _shown(role.choose(_play(variables), variables["ansible_play_batch"], earlier))}

    def _gate(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        batch, host = _batch(variables), variables["inventory_hostname"]
        # A host that is one node after the other stopped itself, and stays so for the next one.
        stops = batch.stopped_by == host
        return {"result": role.gated(batch.begun[host], self._verdict(arguments, variables), stops=stops)}

    def _access(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        verdict = self._verdict(arguments, variables)
        if verdict.outcome and not (verdict.looks and arguments.get("looks")):
            return {"held": True, "ends": True, "looks": verdict.looks}
        said = self._low_level_execute_command(role.HELLO, executable=False)
        access = role.accessed(said["stdout"], said["stderr"], arguments["node"].get("name"))
        return {"access": _shown(access), "ends": access.problem == ""}

    def _verdict(self, arguments: Variables, variables: Variables) -> role.Verdict:
        """What keeps the node of this task untouched, before anything connects to it."""
        options = given_options(role.Options, _roles.options(self._templar, _ROLE, _SPEC, _OPTIONS, variables))
        batch, node = _batch(variables), arguments["node"]
        asker = batch.askers.get(variables["inventory_hostname"])
        is_asked = asker is not None and bool(node.get("cluster_name") or arguments["has_api_server"])
        seen = (variables["hostvars"][asker].get(_SEEN) or {}) if is_asked else None
        return role.verdict(options, role.Gate(node, seen, batch.stopped_by))

    def _clean(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        try:
            ways = role.ways_to_ask(pod=bool(arguments["asks_pod"]))
            done = self._clean_up({**arguments["cleanup"], "answer_method": ways}, variables)
        except AnsibleConnectionFailure as failure:
            done = {"unreachable": True, "msg": str(failure)}
        ended = role.ended(
            arguments["begun"],
            done,
            first=bool(arguments["first"]),
            force=bool(arguments["force"]),
            check_mode=bool(self._task.check_mode),
        )
        return {**done, "ended": _shown(ended)}

    def _way(self, arguments: Variables, _variables: Variables) -> dict[str, t.Any]:
        return {"way": role.way_to_look(arguments["begun"], _answers(arguments["answers"]))}

    def _look(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        try:
            # A living NMI is no reason not to count what is there.
            done = self._clean_up({**arguments["cleanup"], "force": True}, variables, only_looks=True)
        except AnsibleConnectionFailure as failure:
            done = {"msg": str(failure)}
        return {"result": role.looked(arguments["begun"], arguments["transport"], done)}

    def _clean_up(
        self, options: dict[str, t.Any], variables: Variables, *, only_looks: bool = False
    ) -> dict[str, t.Any]:
        task = self._task.copy()
        task.check_mode = only_looks or task.check_mode
        task.action = _CLEANUP
        task.args = _apply_action_arg_defaults(_CLEANUP, self._task, options, self._templar)
        action = imds_iptables_cleanup.ActionModule(
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        try:
            done: dict[str, t.Any] = action.run(task_vars=dict(variables))
        finally:  # Ansible calls it for this action alone
            with contextlib.suppress(AnsibleConnectionFailure):
                action.cleanup()
        return done


def _checked(variables: Variables) -> t.Sequence[str]:
    """The hosts whose options are checked: all of the playbook, before the first batch; elsewhere those of the batch.

    In the role pod_identity_uninstall the host is a cluster, and others are no nodes.
    """
    facts = variables["hostvars"][variables["inventory_hostname"]]
    if (facts.get("aks_node") or {}).get("uninstalls"):
        return [variables["inventory_hostname"]]
    whole = _roles.of_own_playbook(variables)
    hosts: list[str] = variables["ansible_play_hosts_all" if whole else "ansible_play_batch"]
    return hosts


def _shown(value: object) -> dict[str, t.Any]:
    return dict(vars(value))


def _batch(variables: Variables) -> role.Batch:
    """What the last step decided for the batch."""
    return role.Batch(**variables[_BATCH]["batch"])


def _play(variables: Variables) -> list[role.Host]:
    """All hosts of the play, as their facts tell of them."""
    hosts = []
    for name in variables["ansible_play_hosts_all"]:
        facts = variables["hostvars"][name]
        said = (facts.get("__imds_node_cleanup_hello") or {}).get("results") or []
        known = {field: facts.get(fact) or {} for field, fact in _FACTS.items()}
        looks = any(each.get("looks") for each in said)
        hosts.append(role.Host(name, answers=_answers(said), looks=looks, **known))
    return hosts


def _answers(said: t.Sequence[Variables]) -> list[dict[str, t.Any]]:
    """What was answered over the ways that were tried."""
    return [{**each, "transport": each[_WAY]} for each in said if not each.get("held")]
