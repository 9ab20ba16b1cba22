# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The options of a role or playbook, as its tasks see them."""

from __future__ import annotations

import typing as t
from dataclasses import fields
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Part

# What the variables begin with that several roles, or playbooks, read.
SHARED = "pod_identity"
_ROLES = Path(__file__).parents[2] / "roles"


class WrongOptions(Exception):
    """What Ansible says about values that the argument specification of the role does not take."""


def spec(role: str) -> dict[str, t.Any]:
    """The options of a role. Call it where Ansible loads the action, before it forks."""
    text = (_ROLES / role / "meta/argument_specs.yml").read_bytes()
    options: dict[str, t.Any] = yaml_load(text)["argument_specs"]["main"]["options"]
    return options


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
    given = dict(action._templar.template({name: variables[name] for name in wanted if name in variables}))
    for name, value in given.items():
        # Validation takes these for true, and the filter bool, by which tasks read options, for false.
        if options[name].get("type") == "bool" and str(value).lower() in ("y", "t"):
            raise WrongOptions(f"{name} is {value}, which Ansible reads in two ways; write true or false.")
    checked = ArgumentSpecValidator({name: options[name] for name in wanted}).validate(given)
    if checked.error_messages:
        raise WrongOptions(" ".join(checked.error_messages))
    values = {name: checked.validated_parameters.get(name) for name in wanted}
    return {short: values[name] for name, short in wanted.items() if name in given or values[name] is not None}
