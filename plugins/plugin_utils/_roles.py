# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The parts of all roles and playbooks, their options as tasks see them, and what a part looks at and decides."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import Field, fields
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.template import Templar, trust_as_template

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import sessions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import variables as names
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import listed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks import (
    destroy,
    diagnose,
    leftovers,
    migrate,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import (
    imds_node_cleanup,
    pod_identity_bindings,
    pod_identity_chart,
    pod_identity_cluster,
    pod_identity_report,
    pod_identity_restore,
    pod_identity_uninstall,
    pod_identity_verify,
    workload_identity_migration,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import (
    Look,
    Part,
    Refused,
    Run,
    refuse,
)
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _option_errors, _tables
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

Raw = t.Mapping[str, t.Any]
Parts = t.Mapping[str, Part[t.Any, t.Any]]
ROLES: t.Mapping[str, Parts] = {
    "imds_node_cleanup": imds_node_cleanup.PARTS,
    "pod_identity_bindings": pod_identity_bindings.PARTS,
    "pod_identity_chart": pod_identity_chart.PARTS,
    "pod_identity_cluster": pod_identity_cluster.PARTS,
    "pod_identity_report": pod_identity_report.PARTS,
    "pod_identity_restore": pod_identity_restore.PARTS,
    "pod_identity_uninstall": pod_identity_uninstall.PARTS,
    "pod_identity_verify": pod_identity_verify.PARTS,
    "workload_identity_migration": workload_identity_migration.PARTS,
}
PLAYBOOKS: t.Mapping[str, Parts] = {
    "destroy": destroy.PARTS,
    "diagnose": diagnose.PARTS,
    "leftovers": leftovers.PARTS,
    "migrate": migrate.PARTS,
}
PARTS: t.Mapping[str, Parts] = {**ROLES, **PLAYBOOKS}
# The part with which one begins, unless it is ``options``.
FIRST = {"imds_node_cleanup": "search", "destroy": "removal"}
_REPORT = "pod_identity_report"
# Whose options are those of a playbook too.
RUNS: t.Mapping[str, tuple[str, ...]] = {"destroy": ("pod_identity_cluster",)}
# What connects to a cluster in a later task, if its plan says so.
CONNECT = ("diagnose", "leftovers", "workload_identity_migration", _REPORT)
# The options of the role pod_identity_cluster by which all others name and reach the cluster.
NAMING = ("name", "resource_group", "subscription_id", "kubeconfig", "context", "credentials")
# What the variables begin with that several roles, or playbooks, read.
SHARED = "pod_identity"
# The variable that tasks register the session as, see cluster_session.
SESSION = "pod_identity_session"
UNCONNECTED = (
    "Nothing is connected to the cluster; the tasks that connect have the tag always, so run this without --skip-tags "
    "always and --start-at-task."
)
_ROLES = Path(__file__).parents[2] / "roles"
_LOCAL = ("local", "ansible.builtin.local")
_FROM_SHARED = re.compile(r"\{\{ (?P<name>pod_identity_\w+)(?: \| default\([^()]*\))* \}\}")
_SUBSCRIPTION = "subscription_id"
# One variable, of which filters make a value of the same meaning.
_VARIABLE = re.compile(r"\{\{\s*(?P<name>\w+)\s*(?:\|[^{}]*)?\}\}")
_NO_VALUE = " has no value, because of its template: "
_PLAYBOOKS = _ROLES.with_name("playbooks")
# What roles leave for later tasks, beside SESSION, and variables that actions read.
FACTS = (
    *("pod_identity_bindings_report", "pod_identity_chart", "pod_identity_cluster_missing_permissions"),
    *("pod_identity_identities", "pod_identity_restore", "pod_identity_uninstall", "pod_identity_verification"),
    *("imds_node_cleanup", "imds_node_cleanup_result", "pod_identity_in_process", _tables.WIDTH),
    *("workload_identity_migration_plan", "workload_identity_migration_stages", "pod_identity_report"),
)


class WrongOptions(Exception):
    """Values that the argument specification of the role does not take. ``sentences``: one for each."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


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
    the names of the roles, others as the fields of its options tell."""
    of_roles = {name: option for options in roles.values() for name, option in options.items()}
    return {
        playbook: {
            f"{SHARED}_{field.name}": of_roles.get(f"{SHARED}_{field.name}", _type(field))
            for part in parts.values()
            for field in fields(part.options)
        }
        for playbook, parts in playbooks.items()
    }


def _type(field: Field[t.Any]) -> dict[str, t.Any]:
    """Where the default is a tuple, it is a list of texts, of names of files, or of entries with ``keys``."""
    keys = field.metadata.get("keys")
    elements = {"elements": "dict", "options": {key: {"required": True} for key in keys}} if keys else {}
    texts = {"elements": "path" if field.name.endswith("_files") else "str"}
    return {"type": "list", **(elements or texts)} if isinstance(field.default, tuple) else {"type": field.type}


def _operators(name: str, known: Raw) -> str:
    """The variable that the operator sets: several roles take theirs from one, unless they have their own."""
    shared = _FROM_SHARED.fullmatch(str(known.get(name, "")))
    return shared["name"] if shared else name


def option_names(role: str, arguments: Raw, variables: Raw) -> dict[str, str]:
    """What the operator sets, by the name of an option of a module to which a task of the role passes just that.

    ``arguments`` of the task, before its templates are evaluated.
    """
    known = {**DEFAULTS[role], **variables}
    passed = {name: _VARIABLE.fullmatch(value.strip()) for name, value in arguments.items() if isinstance(value, str)}
    return {
        name: _operators(found["name"], known)
        for name, found in passed.items()
        if found and any(found["name"] in options for options in SPECS.values())
    }


def option_names_of_look(message: str, templar: Templar, variables: Raw) -> dict[str, str]:
    """The same for a module that runs in the place of a task, which passes it nothing.

    Of the variables with a subscription it is those with the one of the message.
    """
    said = message.lower()
    named = dict.fromkeys(name for name, value in _subscriptions(templar, variables) if value and value in said)
    return {
        "cluster_name": f"{SHARED}_cluster_name",
        "credentials": "pod_identity_cluster_credentials",
        _SUBSCRIPTION: " or ".join(named) or f"{SHARED}_{_SUBSCRIPTION}",
    }


def _subscriptions(templar: Templar, variables: Raw) -> t.Iterator[tuple[str, str]]:
    """What the operator sets, and the id in it."""
    for role in ROLES:
        known = {**DEFAULTS[role], **variables}
        with_entries = [name for name, option in SPECS[role].items() if _SUBSCRIPTION in (option.get("options") or {})]
        own = [f"{role}_{_SUBSCRIPTION}"] if f"{role}_{_SUBSCRIPTION}" in SPECS[role] else []
        given, dummy = _values(templar, {name: known[name] for name in (*own, *with_entries) if name in known})
        for name in own:
            yield _operators(name, known), str(given.get(name) or "").lower()
        for name in with_entries:
            entries = given.get(name)
            for entry in entries if isinstance(entries, list) else ():
                found = entry.get(_SUBSCRIPTION) if isinstance(entry, dict) else None
                yield f"{_SUBSCRIPTION} in {_operators(name, known)}", str(found or "").lower()


def _values(templar: Templar, templates: Raw) -> tuple[dict[str, t.Any], list[str]]:
    """What the templates amount to, without what is to be omitted; and why some of them amount to nothing."""
    try:
        return dict(templar.template(dict(templates))), []
    except AnsibleError:
        good, wrong = {}, []
    for name, value in templates.items():
        try:
            good.update(templar.template({name: value}))
        except AnsibleError as error:
            wrong.append(f"{name}{_NO_VALUE}{str(error.message).rstrip('.')}.")
    return good, wrong


def options(
    templar: Templar,
    prefix: str,
    options: t.Mapping[str, t.Any],
    names: t.Iterable[str],
    variables: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Values of the options with these names, which lack the prefix (the role, or SHARED); None where one is null.

    ``templar``: what makes values of templates in the place of the task. ``options``: those of ``spec`` or of
    ``playbook_specs``. Raises WrongOptions.
    """
    wanted = {f"{prefix}_{name}": name for name in names}
    # As a dictionary, in which what is to be omitted is left out.
    # In the play, and in another role, the defaults of a role are no variables.
    known = {**DEFAULTS.get(prefix, {}), **variables}
    given, wrong = _values(templar, {name: known[name] for name in wanted if name in known})
    # Validation takes these for true, and the filter bool, by which tasks read options, for false.
    wrong += [
        f"{_operators(name, known)} is {value}, which Ansible reads in two ways; write true or false."
        for name, value in given.items()
        if options[name].get("type") == "bool" and str(value).lower() in ("y", "t")
    ]
    wrong += [
        f"{_operators(name, known)} is empty; write [], or leave it out."
        for name, value in given.items()
        if value is None and options[name].get("type") == "list"
    ]
    is_here = variables.get("ansible_connection") in _LOCAL
    wrong += [
        each
        for name in wanted
        for each in _option_errors.wrong(_operators(name, known), options[name], given.get(name), name, is_here=is_here)
    ]
    if wrong:
        raise WrongOptions(*wrong)
    checked = ArgumentSpecValidator({name: options[name] for name in wanted}).validate(given)
    if checked.error_messages:
        raise WrongOptions(*checked.error_messages)
    values = {name: _from_here(options[name], checked.validated_parameters.get(name)) for name in wanted}
    return {short: values[name] for name, short in wanted.items() if name in given or values[name] is not None}


def _from_here(option: Raw, value: t.Any) -> t.Any:
    """Names of files from where ansible-playbook was started; a module would look from where the playbook lies."""
    return [os.path.abspath(each) for each in value] if value and option.get("elements") == "path" else value


# Read where Ansible loads an action, before it forks.
DEFAULTS = {role: defaults(role) for role in ROLES}
SPECS = {role: spec(role) for role in ROLES}
SPECS.update(playbook_specs(PLAYBOOKS, SPECS))


def _named(text: str) -> set[str]:
    return {
        name
        for name in re.findall(r"(?<![\w.])\w+", text)
        if name.startswith(names.PREFIXES) and name not in names.PREFIXES
    }


# The playbooks name roles too, and a role is no variable unless a fact has its name.
KNOWN = {*FACTS} | {
    *(SESSION, names.OWN, *(name for options in SPECS.values() for name in options)),
    *(name for role in ROLES for name in _named((_ROLES / role / "defaults/main.yml").read_text())),
    *(name for path in _PLAYBOOKS.glob("**/*.yml") for name in _named(path.read_text())),
} - {*ROLES}


def unknown(action: ActionBase, variables: Raw, subtasks: Subtasks) -> tuple[str, ...]:
    """What is wrong with the names of variables, and with those of the credential, in a playbook of the collection.

    Elsewhere it is warned of names.
    """
    own = action._templar.template(variables.get(names.OWN)) or ()
    found = names.unknown(variables, KNOWN, own)
    if of_own_playbook(variables):
        return (*found, *names.incomplete(_of_credential(action._templar, variables)))
    for sentence in found:
        subtasks.warn(sentence)
    return ()


def _of_credential(templar: Templar, variables: Raw) -> list[str]:
    """The variables that a credential is made of in playbooks of the collection, unless it comes from elsewhere."""
    wanted = [f"{SHARED}_{name}" for name in ("client_id", "tenant", "secret", "auth_source", "profile")]
    values, dummy = _values(templar, {name: variables[name] for name in wanted if name in variables})
    given = [name for name in wanted if values.get(name)]
    elsewhere = values.get(f"{SHARED}_auth_source") or "auto", f"{SHARED}_profile" in given
    return given if elsewhere == ("auto", False) else []


def of_own_playbook(variables: Raw) -> bool:
    """Whether a playbook of the collection runs."""
    directory = str(variables.get("playbook_dir") or "")
    return bool(directory) and Path(directory).resolve() == _PLAYBOOKS.resolve()


def decide(
    action: ActionBase, role: str, name: str, observed: Raw, variables: Raw, subtasks: Subtasks
) -> dict[str, t.Any]:
    """The plan of a part, for which it looks at what it names first.

    Raises WrongOptions, Refused, Failure, and SubtaskFailed where a look fails.
    """
    part = PARTS[role][name]
    given = options(action._templar, role if role in ROLES else SHARED, SPECS[role], part.names, variables)
    run = Run(
        check_mode=bool(variables.get("ansible_check_mode")),
        tags=tuple(variables.get("ansible_run_tags") or ()),
        skipped_tags=tuple(variables.get("ansible_skip_tags") or ()),
        inherited=_inherited_tags(action),
    )
    session = variables.get(SESSION) or {}
    connection = session.get("connection") or {}
    found = dict(observed)
    if part.looks and connection.get("reachable"):
        renew(action, session, variables, subtasks)
    for look in part.looks_at(given, found, run):
        if look.in_cluster and not connection and (not session or sessions.may_have_server(session.get("cluster"))):
            raise Failure(UNCONNECTED)
        if not look.in_cluster or connection.get("reachable"):
            found[look.name] = _look(look, connection, subtasks)
    plan = part.plan(given, found, run)
    for sentence in plan.pop("warnings", ()):
        subtasks.warn(sentence)
    return plan


def renew(action: ActionBase, session: Raw, variables: Raw, subtasks: Subtasks) -> None:
    """A run may last longer than the token in its kubeconfig, which is written again then; one that lasts stays."""
    connection, cluster = sessions.Connection.parse(session["connection"]), session.get("cluster") or {}
    if connection.may_outlive_its_token(cluster):
        role = "pod_identity_cluster"
        names = ("name", "resource_group", "subscription_id", "credentials")
        fetch(subtasks, options(action._templar, role, SPECS[role], names, variables), connection, cluster)


def fetch(subtasks: Subtasks, given: Raw, connection: sessions.Connection, cluster: Raw) -> str:
    """Write the kubeconfig from AKS; returns its server. ``given``: options of the role pod_identity_cluster."""
    arguments = {
        "subscription_id": given.get("subscription_id") or None,
        "resource_group": given.get("resource_group"),
        "cluster_name": given.get("name"),
        "path": connection.kubeconfig,
        "credentials": given.get("credentials"),
        "power_state": cluster.get("power_state") or None,
    }
    written = subtasks.run("azureops.pod_identity.aks_kubeconfig", arguments, check_mode=False)
    return str(written["state"]["server"])


def begins(role: str, part: str) -> bool:
    """Whether it is the part with which a role or a playbook begins."""
    return part == FIRST.get(role, "options")


def check(
    action: ActionBase,
    role: str,
    part: str,
    observed: Raw,
    variables: Raw,
    subtasks: Subtasks,
    known: t.Iterable[str] = (),
    unread: t.Iterable[str] = (),
) -> dict[str, t.Any]:
    """The plan of the first part; raises Refused with what is ``known`` to be wrong, and all that is with options.

    ``unread``: what is wrong with options of another role that the part is told.
    """
    unread = [*unread]
    # What writes a report in the end has its options checked before anything is done.
    reports = (_REPORT,) if role != _REPORT and variables.get(f"{_REPORT}_target") else ()
    for checked in (*RUNS.get(role, ()), role, *reports):
        unread += wrong_options(action._templar, checked, variables)
    wrong = [*known, *unread]
    plan: dict[str, t.Any] = {}
    # What has no value that can be read cannot be compared.
    parts = [] if unread else [*((each, "place") for each in reports), (role, part)]
    for decider, name in parts:
        try:
            plan = decide(action, decider, name, observed, variables, subtasks)
        except Refused as refused:
            wrong += refused.sentences
        except Failure as error:
            wrong.append(str(error))
    if role in CONNECT and (not plan or plan.get("connects") or plan.get("looks")):
        wrong += wrong_names(action._templar, variables)
    refuse(dict.fromkeys(wrong))
    return plan


def wrong_names(templar: Templar, variables: Raw) -> tuple[str, ...]:
    """What is wrong with the options by which the cluster is named and reached."""
    role = "pod_identity_cluster"
    return _wrong(templar, role, SPECS[role], NAMING, variables)


def wrong_options(templar: Templar, role: str, variables: Raw) -> tuple[str, ...]:
    """What is wrong with all options of a role or of a playbook, one sentence for each."""
    prefix = role if role in ROLES else SHARED
    return _wrong(templar, prefix, SPECS[role], [name[len(prefix) + 1 :] for name in SPECS[role]], variables)


def _wrong(
    templar: Templar, prefix: str, specs: t.Mapping[str, t.Any], names: t.Iterable[str], variables: Raw
) -> tuple[str, ...]:
    try:
        options(templar, prefix, specs, names, variables)
    except WrongOptions as error:
        return error.sentences
    return ()


def wrong_options_of_hosts(templar: Templar, role: str, hosts: t.Iterable[str], variables: Raw) -> list[str]:
    """The same for several hosts, with those that a sentence is about.

    ``variables``: those of the task. What its host has of its own is no other's, and what only another host knows when
    its turn comes, such as variables of an earlier task, is left to that turn.
    """
    host, hostvars = variables["inventory_hostname"], variables["hostvars"]
    own = hostvars.raw_get(host)
    shared = {name: value for name, value in variables.items() if name not in own or not _is_same(own[name], value)}
    found: dict[str, list[str]] = {}
    for each in hosts:
        if each == host:
            sentences = wrong_options(templar, role, variables)
        else:
            others = {**shared, **hostvars.raw_get(each)}
            known = templar.copy_with_new_env(available_variables={**DEFAULTS[role], **others})
            sentences = tuple(one for one in wrong_options(known, role, others) if _NO_VALUE not in one)
        for sentence in sentences:
            found.setdefault(sentence, []).append(each)
    return [f"{sentence.rstrip('.')} ({listed(of)})." for sentence, of in found.items()]


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and one == other)


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
        # A module that would write tells by that what it would do.
        return subtasks.run(
            f"azureops.pod_identity.{look.module}", {**reached, **look.arguments}, check_mode=look.in_check_mode or None
        )
    except SubtaskFailed as failed:
        if look.tolerates is None or not look.tolerates(failed.result):
            raise
        return failed.result
