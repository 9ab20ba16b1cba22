# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The parts of all roles and playbooks, their options as tasks see them, and what a part looks at and decides."""

from __future__ import annotations

import typing as t
from dataclasses import fields
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks import destroy, leftovers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    imds_node_cleanup,
    pod_identity_bindings,
    pod_identity_chart,
    pod_identity_cluster,
    pod_identity_restore,
    pod_identity_uninstall,
    pod_identity_verify,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Look, Part, Run
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

Raw = t.Mapping[str, t.Any]
Parts = t.Mapping[str, Part[t.Any, t.Any]]
ROLES: t.Mapping[str, Parts] = {
    "imds_node_cleanup": imds_node_cleanup.PARTS,
    "pod_identity_bindings": pod_identity_bindings.PARTS,
    "pod_identity_chart": pod_identity_chart.PARTS,
    "pod_identity_cluster": pod_identity_cluster.PARTS,
    "pod_identity_restore": pod_identity_restore.PARTS,
    "pod_identity_uninstall": pod_identity_uninstall.PARTS,
    "pod_identity_verify": pod_identity_verify.PARTS,
}
PLAYBOOKS: t.Mapping[str, Parts] = {"destroy": destroy.PARTS, "leftovers": leftovers.PARTS}
PARTS: t.Mapping[str, Parts] = {**ROLES, **PLAYBOOKS}
# What the variables begin with that several roles, or playbooks, read.
SHARED = "pod_identity"
# The variable that tasks register the session as, see cluster_session.
SESSION = "pod_identity_session"
_ROLES = Path(__file__).parents[2] / "roles"


class WrongOptions(Exception):
    """What Ansible says about values that the argument specification of the role does not take."""


def spec(role: str) -> dict[str, t.Any]:
    """The options of a role. Call it where Ansible loads the action, before it forks."""
    text = (_ROLES / role / "meta/argument_specs.yml").read_bytes()
    options: dict[str, t.Any] = yaml_load(text)["argument_specs"]["main"]["options"]
    return options


def defaults(role: str) -> dict[str, t.Any]:
    """The values of a role's options that are not set, as where its tasks run. Call it as ``spec``."""
    values: dict[str, t.Any] = yaml_load((_ROLES / role / "defaults/main.yml").read_bytes())
    return {name: trust_as_template(value) if isinstance(value, str) else value for name, value in values.items()}


def playbook_specs(
    playbooks: t.Mapping[str, t.Mapping[str, Part[t.Any, t.Any]]], roles: t.Mapping[str, dict[str, t.Any]]
) -> dict[str, dict[str, t.Any]]:
    """The options of each playbook, which has no argument specification: those that roles have too as in ``roles``, by
    the names of the roles, others with the types of the fields of its options."""
    of_roles = {name: option for options in roles.values() for name, option in options.items()}
    return {
        playbook: {
            f"{SHARED}_{field.name}": of_roles.get(f"{SHARED}_{field.name}", {"type": field.type})
            for part in parts.values()
            for field in fields(part.options)
        }
        for playbook, parts in playbooks.items()
    }


def options(
    action: ActionBase,
    prefix: str,
    options: t.Mapping[str, t.Any],
    names: t.Iterable[str],
    variables: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Values of the options with these names, which lack the prefix (the role, or SHARED); None where one is null.

    ``options``: those of ``spec`` or of ``playbook_specs``. Raises WrongOptions.
    """
    wanted = {f"{prefix}_{name}": name for name in names}
    # As a dictionary, in which what is to be omitted is left out.
    # In the play, and in another role, the defaults of a role are no variables.
    known = {**DEFAULTS.get(prefix, {}), **variables}
    given = dict(action._templar.template({name: known[name] for name in wanted if name in known}))
    for name, value in given.items():
        # Validation takes these for true, and the filter bool, by which tasks read options, for false.
        if options[name].get("type") == "bool" and str(value).lower() in ("y", "t"):
            raise WrongOptions(f"{name} is {value}, which Ansible reads in two ways; write true or false.")
    checked = ArgumentSpecValidator({name: options[name] for name in wanted}).validate(given)
    if checked.error_messages:
        raise WrongOptions(" ".join(checked.error_messages))
    values = {name: checked.validated_parameters.get(name) for name in wanted}
    return {short: values[name] for name, short in wanted.items() if name in given or values[name] is not None}


# Read where Ansible loads an action, before it forks.
DEFAULTS = {role: defaults(role) for role in ROLES}
SPECS = {role: spec(role) for role in ROLES}
SPECS.update(playbook_specs(PLAYBOOKS, SPECS))


def decide(
    action: ActionBase, role: str, name: str, observed: Raw, variables: Raw, subtasks: Subtasks
) -> dict[str, t.Any]:
    """The plan of a part, for which it looks at what it names first.

    Raises WrongOptions, Refused, Failure, and SubtaskFailed where a look fails.
    """
    part = PARTS[role][name]
    given = options(action, role if role in ROLES else SHARED, SPECS[role], part.names, variables)
    run = Run(
        check_mode=bool(variables.get("ansible_check_mode")),
        tags=tuple(variables.get("ansible_run_tags") or ()),
        skipped_tags=tuple(variables.get("ansible_skip_tags") or ()),
        inherited=_inherited_tags(action),
    )
    connection = (variables.get(SESSION) or {}).get("connection") or {}
    found = dict(observed)
    for look in part.looks_at(given, found, run):
        if not look.in_cluster or connection.get("reachable"):
            found[look.name] = _look(look, connection, subtasks)
    return part.plan(given, found, run)


def _inherited_tags(action: ActionBase) -> tuple[str, ...]:
    """Those of a task whose own tag is ``always``, which it may inherit too."""
    task = action._task
    inherited = {tag for tag in task.tags if tag != "always"}
    for each in (task._parent, task._role):
        inherited.update(each.tags if each else ())
    return tuple(sorted(inherited))


def _look(look: Look, connection: Raw, subtasks: Subtasks) -> dict[str, t.Any]:
    reached = {name: connection.get(name) or None for name in ("kubeconfig", "context")} if look.in_cluster else {}
    try:
        # A module that would write tells by that alone what there is.
        return subtasks.run(
            f"azureops.pod_identity.{look.module}", {**reached, **look.arguments}, check_mode=look.in_check_mode or None
        )
    except SubtaskFailed as failed:
        if look.tolerates is None or not look.tolerates(failed.result):
            raise
        return failed.result
