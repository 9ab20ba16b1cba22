# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the playbook diagnose: what it looks at, and what it tells in the end. It changes nothing.

Roles that fail make the same diagnosis of what failed, and tell it in brief, or only name it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from .. import commands
from ..azure import arm_id
from ..commands import FILE, WITH_FILE, Command
from ..diagnosis import telling
from ..diagnosis.asked_of_pods import OPTION
from ..diagnosis.cause import AZURE, EVENTS, INFO, LOGS, NODES, OBJECTS, PROBE, RULES
from ..diagnosis.diagnose import BROKEN, HEALTHY, SUSPECT, UNKNOWN
from ..roles.part import COMMANDS, Look, Nothing, Part, Raw, Run, refuse

_PREFIX = "pod_identity_diagnose"
_VERDICTS = {
    BROKEN: "{scope} is broken.",
    SUSPECT: "Nothing in {scope} is known to be broken, but something looks wrong.",
    HEALTHY: "Nothing is wrong with {scope}: all was looked at, and requests in the place of pods there, with the "
    "client id that AZURE_CLIENT_ID names, got the right tokens.",
    UNKNOWN: "Nothing wrong is seen in {scope}, as far as it was looked at: {seen}.",
}
_SOURCES = {OBJECTS: "objects", EVENTS: "events", LOGS: "logs", NODES: "NMI on its nodes", AZURE: "Azure"}
# What is told beside the verdict where it is missing; what else is not looked at stands in a table.
_PROOFS = (PROBE, RULES)


@dataclass(frozen=True)
class Options:
    """Variables without their common prefix."""

    cluster_name: str = ""
    resource_group: str = ""
    subscription_id: str = ""
    diagnose_namespace: str = ""
    diagnose_workload: str = ""
    diagnose_pod: str = ""
    diagnose_files: tuple[str, ...] = ()
    diagnose_log_files: tuple[str, ...] = ()
    diagnose_logs: bool = True
    diagnose_events: bool = True
    diagnose_nodes: bool = True
    diagnose_azure: bool = True
    diagnose_log_megabytes: int = 20
    diagnose_log_hours: int = 24
    diagnose_probe: bool = False

    @property
    def arguments(self) -> dict[str, t.Any]:
        """Those of the module."""
        azure = self.diagnose_azure and self.cluster_name
        return {
            "subscription_id": self.subscription_id or None,
            "resource_group": self.resource_group if azure else None,
            "cluster_name": self.cluster_name if azure else None,
            "namespace": self.diagnose_namespace or None,
            "workload": self.diagnose_workload or None,
            "pod": self.diagnose_pod or None,
            "files": list(self.diagnose_files) or None,
            "log_files": list(self.diagnose_log_files),
            "logs": self.diagnose_logs,
            "events": self.diagnose_events,
            "nodes": self.diagnose_nodes,
            "log_megabytes": self.diagnose_log_megabytes,
            "log_hours": self.diagnose_log_hours,
            "probe": self.diagnose_probe,
        }


# options


@dataclass(frozen=True)
class Checked:
    """``connects``: to the cluster; not where files are looked at."""

    connects: bool


def check(options: Options, _nothing: Nothing, _run: Run) -> Checked:
    refuse(_contradictions(options))
    return Checked(connects=not options.diagnose_files)


def _contradictions(options: Options) -> t.Iterator[str]:
    if options.diagnose_pod and options.diagnose_workload:
        yield f"{_PREFIX}_pod and {_PREFIX}_workload name two things to look at; set one of them."
    if options.diagnose_probe and options.diagnose_files:
        yield f"{_PREFIX}_probe asks in a cluster, and {_PREFIX}_files is what was saved of one; leave one of them out."
    if options.diagnose_log_files and not options.diagnose_files:
        yield f"{_PREFIX}_log_files needs the objects that its logs are of; name their files with {_PREFIX}_files."
    yield from _misplaced("pod", options.diagnose_pod, options.diagnose_namespace, 2)
    yield from _misplaced("workload", options.diagnose_workload, options.diagnose_namespace, 3)


def _misplaced(what: str, given: str, namespace: str, most: int) -> t.Iterator[str]:
    """``most``: of how many parts its name is with its namespace."""
    parts = given.split("/")
    if given and not namespace and len(parts) == 1:
        yield f"{_PREFIX}_{what} is {given} without its namespace; write NAMESPACE/{given}."
    if namespace and len(parts) == most and parts[0] != namespace:
        yield f"{_PREFIX}_{what} is {given} and {_PREFIX}_namespace is {namespace}; leave {_PREFIX}_namespace out."


# found


@dataclass(frozen=True)
class Diagnosed:
    """What the module has found."""

    scope: str
    verdict: str
    causes: tuple[Raw, ...]
    unread: tuple[Raw, ...]
    requests: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Diagnosed:
        found = observed["diagnosis"]
        lists = (tuple(found[name]) for name in ("causes", "unread", "requests"))
        return cls(found["scope"], found["verdict"], *lists)


@dataclass(frozen=True)
class Row:
    """A cause in the table."""

    severity: str
    code: str
    object: str
    cause: str
    what_to_do: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """The fact ``pod_identity_diagnosis``. ``likeliest``: lines about the first cause. ``others``: rows of the rest.

    ``commands``: of causes that nothing else explains, and of what a verdict that finds nothing lacks.
    """

    scope: str
    verdict: str
    likeliest: tuple[str, ...]
    others: tuple[Row, ...]
    commands: tuple[Command, ...] = ()
    causes: tuple[Raw, ...] = field(default=())
    unread: tuple[Raw, ...] = field(default=())
    requests: tuple[Raw, ...] = field(default=())


def told(options: OptionsOfRoles, found: Diagnosed, _run: Run) -> Told:
    first, rest = found.causes[:1], found.causes[1:]
    scope = f"{found.scope[0].upper()}{found.scope[1:]}" if found.verdict == BROKEN else found.scope
    lines = [_VERDICTS[found.verdict].format(scope=scope, seen=_seen(found))]
    if found.verdict == UNKNOWN:
        lines += [
            f"Not looked at: {one['what']}, because {one['why'].rstrip('.')}. It takes {one['needs']}."
            for one in found.unread
            if one["source"] in _PROOFS
        ]
    for cause in first:
        lines += telling.lines(cause)
    others = tuple(
        Row(
            each["severity"],
            each["code"],
            each["object"],
            f"{each['cause']}{_because(each)}",
            each["fix"]["text"],
            tuple(each["references"]),
        )
        for each in rest
    )
    to_paste = (*_mending(found), *(_looking(options, found) if found.verdict == UNKNOWN else ()))
    data = (found.causes, found.unread, found.requests)
    return Told(found.scope, found.verdict, tuple(lines), others, to_paste, *data)


def _seen(found: Diagnosed) -> str:
    missing = {one["source"] for one in found.unread}
    return ", ".join(name for source, name in _SOURCES.items() if source not in missing) or "nearly nothing"


def _mending(found: Diagnosed) -> t.Iterator[Command]:
    for cause in found.causes:
        if cause["fix"]["command"] and cause["severity"] != INFO and not cause["because"]:
            yield Command(f"{cause['code']}, {cause['object']}", cause["fix"]["command"])


def _looking(options: OptionsOfRoles, found: Diagnosed) -> t.Iterator[Command]:
    """At what proves that it is well; what was saved in files proves nothing of that."""
    if options.diagnose_files:
        return
    file = FILE if options.has_secret else ""
    if any(one["source"] == PROBE and one["needs"] == OPTION for one in found.unread):
        asking = {**options.variables, f"{_PREFIX}_probe": "true"}
        yield Command("Ask for tokens in the place of pods", commands.playbook("diagnose", asking, file=file))
    if any(one["source"] == RULES for one in found.unread):
        variables = {key: value for key, value in options.variables.items() if not key.startswith(_PREFIX)}
        command = commands.playbook("cleanup_nodes", variables, file=file, flags=("--check",))
        yield Command("Look at the rules of nodes", command)


def _because(cause: Raw) -> str:
    return f" Because of {', '.join(cause['because'])}." if cause["because"] else ""


def _look(options: Options, _observed: Raw, _run: Run) -> t.Iterator[Look]:
    module, in_cluster = "pod_identity_diagnosis_info", not options.diagnose_files
    yield Look("diagnosis", module, options.arguments, in_cluster=in_cluster)


# failure


@dataclass(frozen=True)
class OptionsOfRoles(Options):
    """Those by which a role reached Azure and the cluster too."""

    auth_source: str = ""
    profile: str = ""
    tenant: str = ""
    client_id: str = ""
    cloud_environment: str = ""
    cert_validation_mode: str = ""
    kubeconfig: str = ""
    context: str = ""
    cluster_kubeconfig: str = ""
    cluster_context: str = ""

    @property
    def has_secret(self) -> bool:
        """Whether the credential takes a secret of the operator's variables, which is in no command."""
        return bool(self.client_id) and (self.auth_source or "auto") == "auto" and not self.profile

    @property
    def variables(self) -> dict[str, str]:
        """Of the playbook, for the same."""
        values = {
            "auth_source": self.auth_source,
            "profile": self.profile,
            "tenant": self.tenant,
            "client_id": self.client_id if self.auth_source == "msi" else "",
            "cloud_environment": self.cloud_environment,
            "cert_validation_mode": self.cert_validation_mode,
            "subscription_id": self.subscription_id,
            "resource_group": self.resource_group,
            "cluster_name": self.cluster_name,
            "kubeconfig": self.cluster_kubeconfig or self.kubeconfig,
            "context": self.cluster_context or self.context,
            "diagnose_namespace": self.diagnose_namespace,
            "diagnose_workload": self.diagnose_workload,
            "diagnose_pod": self.diagnose_pod,
        }
        return {f"pod_identity_{name}": value for name, value in values.items()}


@dataclass(frozen=True)
class Failed:
    """What a role failed with, in its own ``message``. ``places``: what suffers, as NAMESPACE/POD or NAMESPACE; None
    where no diagnosis is made, and only named.

    ``cluster``: as the session has it, {} where none is named. ``diagnosis``: the result of the module, with ``msg``
    in place of a diagnosis where it failed; None where it did not run.
    """

    message: str
    places: tuple[str, ...] | None
    cluster: Raw
    diagnosis: Raw | None

    @classmethod
    def parse(cls, observed: Raw) -> Failed:
        places = observed.get("places")
        found = None if places is None else tuple(dict.fromkeys(places))
        return cls(observed["message"], found, observed["cluster"], observed.get("diagnosis"))

    def narrow(self, options: OptionsOfRoles) -> OptionsOfRoles:
        """The options of a diagnosis of what failed: a pod, a namespace, or else the cluster."""
        places = self.places or ()
        pod = places[0] if len(places) == 1 and "/" in places[0] else ""
        namespaces = {place.partition("/")[0] for place in places}
        found = str(self.cluster.get("id") or "")
        return replace(
            options,
            cluster_name=str(self.cluster.get("name") or ""),
            resource_group=str(self.cluster.get("resource_group") or ""),
            subscription_id=arm_id.parse(found).subscription if found.startswith("/") else options.subscription_id,
            diagnose_pod=pod,
            diagnose_namespace=namespaces.pop() if len(namespaces) == 1 and not pod else "",
            diagnose_workload="",
            diagnose_files=(),
            diagnose_log_files=(),
            # What a role fails for was asked already, or waits for what a request would wait for as well.
            diagnose_probe=False,
        )


@dataclass(frozen=True)
class Explained:
    """``message``: that of the failure, with what a diagnosis adds. ``printed``: the command."""

    message: str
    printed: tuple[Command, ...] = ()


def explain(options: OptionsOfRoles, failed: Failed, _run: Run) -> Explained:
    """Whatever becomes of the diagnosis, the message begins with why the role fails."""
    sentences, found = [failed.message], failed.diagnosis
    if found is not None:
        sentences += telling.briefly(found) if "verdict" in found else [f"No diagnosis was made: {found.get('msg')}"]
    file, with_file = (FILE, WITH_FILE) if options.has_secret else ("", "")
    command = commands.playbook("diagnose", failed.narrow(options).variables, file=file)
    to_paste = Command(f"For all causes, evidence and remedies{with_file}", command)
    return Explained(" ".join((*sentences, *to_paste.lines)), (to_paste,))


def _look_why(options: OptionsOfRoles, observed: Raw, _run: Run) -> t.Iterator[Look]:
    failed = Failed.parse(observed)
    if failed.places is not None:
        arguments = failed.narrow(options).arguments
        yield Look("diagnosis", "pod_identity_diagnosis_info", arguments, tolerates=lambda _failed: True)


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "found": Part(OptionsOfRoles, Diagnosed, told, _look),
    "commands": COMMANDS,
    "failure": Part(OptionsOfRoles, Failed, explain, _look_why),
}
