# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a diagnosis looks at in a cluster, or in files that kubectl wrote of it.

Without the lists of the inventory nothing can be told. Whatever else is refused or fails is told as not looked at.
"""

from __future__ import annotations

import os
import threading
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial

from .._domain.diagnosis import asked_of_pods, reading
from .._domain.diagnosis import logs as log_lines
from .._domain.diagnosis.cause import EVENTS, LOGS, NODES, OBJECTS
from .._domain.diagnosis.events import Event
from .._domain.diagnosis.logs import Log
from .._domain.diagnosis.observed import MIC, NMI, Component, Observed, Unread, components
from .._domain.diagnosis.reading import Wanted
from .._domain.diagnosis.scope import Scope
from .._domain.diagnosis.shown import shown
from .._domain.errors import Failure
from .._domain.installation import nmi
from .._domain.installation.trusted_namespaces import SYSTEM, Belief
from .._domain.matching.inventory import Cluster, Inventory
from .._domain.matching.matching import Raw
from .._domain.names import listed
from . import inventory, token_probes
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    ENDPOINTS,
    EVENT,
    LEASE,
    MUTATING_WEBHOOK_CONFIGURATION,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    label,
)
from .parallel import in_parallel

# Beside those of the inventory.
KINDS = (
    CUSTOM_RESOURCE_DEFINITION,
    NAMESPACE,
    SERVICE_ACCOUNT,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NETWORK_POLICY,
    MUTATING_WEBHOOK_CONFIGURATION,
)
# Of kinds that a cluster has very many of, what tells of clocks and of who handles packets.
_LEASES_OF_NODES = "kube-node-lease"
_SETTINGS_OF_NETWORK = ("kube-proxy", "cilium-config")
_EVENTS = 10_000
_LINE = 200  # bytes of a line of a log, on average
_FEWEST = 8

T = t.TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """What is looked at beside objects, and how much of it. ``namespace`` and ``pod``: whose nodes come first."""

    logs: bool = True
    events: bool = True
    nodes: bool = True
    log_bytes: int = 20_000_000
    log_hours: float = 24
    namespace: str = ""
    pod: str = ""


def observe(client: Client, bounds: Bounds, settings: t.Mapping[str, t.Any]) -> Observed:
    """Raises Failure where the lists of the inventory cannot be read. ``settings``: see ``Cluster.parse``."""
    found, silent = inventory.read(client, optional=(NODE,))
    unread = [_unread_kind(kind, why) for kind, why in silent.items()]
    for kind in KINDS:
        if kind.name in found or kind.name in silent:
            continue  # what of MIC and NMI is believed was read by them
        needs = f"list on {kind.resource} in the whole cluster"
        several = _attempt(unread, OBJECTS, kind.resource, needs, partial(client.list_all, kind))
        if several is not None:
            found[kind.name] = several
    _keep_definitions(found)
    now = client.server_time()
    cluster = Cluster.parse(found, settings, silent)
    parts = components(found, Belief.parse(found, (), silent))
    unknown = _add_secrets(client, found, unread)
    _add_locks(client, found, parts, unread)
    _add_system(client, found, unread)
    events = _events(client, bounds, parts, unread)
    logs = _logs(client, bounds, parts, cluster, now, unread)
    health = _health(client, bounds, parts, unread)
    return Observed(
        inventory=Inventory(cluster),
        objects=found,
        components=parts,
        logs=logs,
        events=events,
        now=now,
        health=health,
        unknown=unknown,
        unread=tuple(unread),
    )


def _keep_definitions(found: inventory.Objects) -> None:
    """Of definitions those of pod identity."""
    name = CUSTOM_RESOURCE_DEFINITION.name
    if name in found:
        found[name] = [each for each in found[name] if reading.of_pod_identity(each)]


def _unread_kind(kind: str, why: str) -> Unread:
    belief = "" if kind == NODE.name else f" {Belief.EVERYWHERE}"
    return Unread(OBJECTS, f"{kind}s", f"{why}{belief}", f"list on {kind.lower()}s in the whole cluster")


def _attempt(unread: list[Unread], source: str, what: str, needs: str, look: t.Callable[[], T]) -> T | None:
    """What ``look`` returns; None where it fails, which is told in ``unread``."""
    try:
        return look()
    except Failure as failure:
        unread.append(Unread(source, what, failure.sentence, needs))
        return None


def _add_secrets(client: Client, found: inventory.Objects, unread: list[Unread]) -> frozenset[str]:
    """Add what of Secrets matters; labels of those that nobody knows. No value is kept."""
    named = reading.secrets_named(found)

    def look(namespace: str, name: str) -> Object | Failure | None:
        try:
            raw = client.get(SECRET, namespace, name)
        except Failure as failure:
            return failure
        return dict(reading.hidden(raw)) if raw else None

    several = _at_once([partial(look, *place) for place in named])
    found[SECRET.name] = [each for each in several if isinstance(each, dict)]
    refused: dict[str, list[str]] = {}
    for place, each in zip(named, several):
        if isinstance(each, Failure):
            refused.setdefault(each.sentence, []).append(label(SECRET, *place))
    for why, labels in refused.items():
        unread.append(Unread(OBJECTS, listed(labels), why, "get on secrets in their namespaces"))
    return frozenset(one for labels in refused.values() for one in labels)


def _add_locks(client: Client, found: inventory.Objects, parts: t.Iterable[Component], unread: list[Unread]) -> None:
    """Add the object that the leader of each MIC holds, an Endpoints or a Lease."""
    locks = {nmi.lock_of(one.workload) for one in parts if one.program == MIC}
    for lock in sorted(locks, key=lambda one: (one.namespace, one.name)):
        for kind in (ENDPOINTS, LEASE):
            what = label(kind, lock.namespace, lock.name)
            needs = f"get on {kind.resource} in namespace {lock.namespace}"
            before = len(unread)
            raw = _attempt(unread, OBJECTS, what, needs, partial(client.get, kind, lock.namespace, lock.name))
            if raw is not None:
                found[kind.name] = [*found.get(kind.name, ()), raw]
            if raw is not None or len(unread) > before:
                break
        else:
            found.setdefault(ENDPOINTS.name, [])


def _add_system(client: Client, found: inventory.Objects, unread: list[Unread]) -> None:
    """Add the Leases of nodes, and the settings of kube-proxy and Cilium where there are any."""
    needs = f"list on {LEASE.resource} in namespace {_LEASES_OF_NODES}"
    look = partial(client.list_all, LEASE, _LEASES_OF_NODES)
    leases = _attempt(unread, OBJECTS, f"{LEASE.resource} of nodes", needs, look)
    found[LEASE.name] = [*found.get(LEASE.name, ()), *(leases or ())]
    needs = f"get on {CONFIG_MAP.resource} in namespace {SYSTEM}"
    for name in _SETTINGS_OF_NETWORK:
        what, get = label(CONFIG_MAP, SYSTEM, name), partial(client.get, CONFIG_MAP, SYSTEM, name)
        raw = _attempt(unread, OBJECTS, what, needs, get)
        found[CONFIG_MAP.name] = [*found.get(CONFIG_MAP.name, ()), *([raw] if raw else ())]


def _events(
    client: Client, bounds: Bounds, parts: t.Sequence[Component], unread: list[Unread]
) -> tuple[Event, ...] | None:
    """Warnings of the whole cluster, and what happened to the lock of MIC's leader; the latest last. None: not read."""
    if not bounds.events:
        unread.append(Unread(EVENTS, "events", "they are left out", _option("events")))
        return None
    look = partial(client.list_all, EVENT, fields="type=Warning", most=_EVENTS)
    needs = "list on events in the whole cluster"
    warnings = _attempt(unread, EVENTS, "events", needs, look)
    if warnings is None:
        return None
    found = list(warnings)
    if len(found) >= _EVENTS:
        # Those of a tenant may be all of them.
        unread.append(Unread(EVENTS, "events", f"there are more than {len(found)}", "fewer events"))
        places = {str(one.workload["metadata"]["namespace"]) for one in parts} | {bounds.namespace}
        for place in sorted(places - {""}):
            found += _attempt(unread, EVENTS, f"events in namespace {place}", needs, partial(look, place)) or ()
    for lock in {nmi.lock_of(one.workload) for one in parts if one.program == MIC}:
        what = f"events about the lock {lock.namespace}/{lock.name}"
        found += _attempt(unread, EVENTS, what, needs, partial(client.events, lock.namespace, lock.name)) or ()
    unique = {(each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in found}
    return tuple(sorted(map(Event.parse, unique.values()), key=lambda one: one.time))


def _option(name: str) -> str:
    """That of the module, and the variable of the playbook."""
    return f"{name}: true (-e pod_identity_diagnose_{name}=true)"


class _Patience:
    """Who asks many pods: asks none more in a namespace where it is refused, and none at all after many failures."""

    def __init__(self, source: str, what: str, permission: str) -> None:
        self._source, self._what, self._permission = source, what, permission
        self._refused: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._skipped = 0
        self._lock = threading.Lock()

    def ask(self, namespace: str, what: str, look: t.Callable[[], T]) -> T | None:
        with self._lock:
            if namespace in self._refused:
                return None
            if len(self._failed) >= AT_ONCE:
                self._skipped += 1
                return None
        try:
            return look()
        except Failure as failure:
            with self._lock:
                if isinstance(failure, ApiFailure) and failure.forbidden:
                    self._refused[namespace] = failure.sentence
                else:
                    self._failed[what] = failure.sentence
            return None

    def unread(self) -> t.Iterator[Unread]:
        for namespace, why in sorted(self._refused.items()):
            what = f"{self._what} in namespace {namespace}"
            yield Unread(self._source, what, why, f"{self._permission} in namespace {namespace}")
        for what, why in sorted(self._failed.items()):
            yield Unread(self._source, what, why, "an answer of the kubelet of its node")
        if self._skipped:
            why = f"{len(self._failed)} others could not be read"
            yield Unread(self._source, f"{self._skipped} further: {self._what}", why, "an answer of the kubelets")


def _logs(
    client: Client,
    bounds: Bounds,
    parts: t.Sequence[Component],
    cluster: Cluster,
    now: datetime,
    unread: list[Unread],
) -> tuple[Log, ...]:
    if not bounds.logs:
        unread.append(Unread(LOGS, "logs of MIC, NMI and the webhook", "they are left out", _option("logs")))
        return ()
    first = reading.first_nodes(cluster, bounds.namespace, bounds.pod)
    begin = now - timedelta(hours=bounds.log_hours)
    wanted, left_out = reading.logs_wanted(parts, bounds.log_bytes, begin, first)
    patience = _Patience(LOGS, "logs of pods", "get on pods/log")

    def look(one: Wanted) -> Log | None:
        return patience.ask(one.namespace, one.label, partial(_log, client, one, bounds.log_hours, now))

    found = _at_once([partial(look, one) for one in wanted])
    unread += [*left_out, *patience.unread()]
    return tuple(log for log in found if log)


def _log(client: Client, wanted: Wanted, hours: float, now: datetime) -> Log:
    """The end of a log. The API cuts the newest away where lines are longer than expected, so fewer are asked for.

    Where one line alone is longer than all that is read, what is before it came with the first answer.
    """
    only: dict[str, t.Any] = {"limitBytes": wanted.bytes, "sinceSeconds": int(hours * 3600), "timestamps": "true"}
    if wanted.previous:
        only["previous"] = "true"
    lines, first = max(_FEWEST, wanted.bytes // _LINE), b""
    while True:
        text = client.log(wanted.namespace, wanted.pod, wanted.container, tailLines=lines, **only)
        if len(text) < wanted.bytes:
            return wanted.log(log_lines.parse(text, now), cut=text.count(b"\n") >= lines)
        first = first or text
        if lines < _FEWEST:
            older = first.split(b"\n")
            newer = [line for line in text.split(b"\n") if line not in set(older)]
            return wanted.log(log_lines.parse(b"\n".join((*older, *newer)), now), cut=True)
        lines //= _FEWEST


def _health(client: Client, bounds: Bounds, parts: t.Iterable[Component], unread: list[Unread]) -> dict[str, str]:
    """What each NMI that is Ready says of itself, by the label of its pod."""
    pods = [(one, pod) for one in parts if one.program == NMI for pod in one.pods if nmi.is_ready(pod)]
    if pods and not bounds.nodes:
        unread.append(Unread(NODES, "whether NMI works on each node", "nodes are left out", _option("nodes")))
        return {}
    patience = _Patience(NODES, "what NMI says of itself", "get on pods/proxy")

    def ask(namespace: str, name: str, port: int) -> str:
        said = client.ask_pod(namespace, name, port, "healthz")
        if said not in (nmi.ACTIVE, nmi.NOT_ACTIVE):
            raise Failure(f"NMI was not reached through the API server: {shown(said)}")
        return said

    def look(one: Component, pod: Raw) -> tuple[str, str] | None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        what = label(POD, namespace, name)
        said = patience.ask(namespace, what, partial(ask, namespace, name, nmi.probe_port(one.workload)))
        return None if said is None else (what, said)

    found = _at_once([partial(look, *each) for each in pods])
    unread += patience.unread()
    return dict(each for each in found if each)


def _at_once(attempts: t.Sequence[t.Callable[[], T]]) -> list[T]:
    return in_parallel(attempts, AT_ONCE, repeat_alone=lambda dummy: False, stop=threading.Event())


def read_files(
    paths: t.Iterable[str], log_paths: t.Iterable[str], bounds: Bounds, settings: t.Mapping[str, t.Any]
) -> Observed:
    """The same of files that ``kubectl get -o json`` and ``kubectl logs`` wrote."""
    found = inventory.read_files(paths)
    now = reading.last_moment(found, datetime.now(timezone.utc))
    events = found.pop(EVENT.name, None)
    _keep_definitions(found)
    unknown = _hide_secrets(found)
    expected = (*inventory.KINDS, *KINDS)
    unread = [_not_in_files(OBJECTS, kind) for kind in expected if kind.name not in found]
    if unknown:
        unread.append(Unread(OBJECTS, listed(sorted(unknown)), "the files do not have them", "a file with them"))
    if events is None:
        unread.append(_not_in_files(EVENTS, EVENT))
    unread.append(Unread(NODES, "whether NMI works on each node", "no file tells it", "a connection to the cluster"))
    parts = components(found, Belief.parse(found))
    logs = tuple(_logs_of_files(log_paths, parts, bounds, now, unread))
    return Observed(
        inventory=Inventory(Cluster.parse(found, settings)),
        objects=found,
        components=parts,
        logs=logs,
        events=None if events is None else tuple(sorted(map(Event.parse, events), key=lambda one: one.time)),
        now=now,
        unknown=unknown,
        unread=tuple(unread),
        from_files=True,
    )


def ask(
    client: Client, observed: Observed, scope: Scope, bounds: Bounds, *, resource: str, image: str
) -> tuple[Observed, tuple[str, ...]]:
    """The same with the answers to requests for tokens in the place of the pods in scope, and with what NMI logged of
    them; and what was done for that.

    ``client`` sends ``asked_of_pods.MOST`` requests at the same time. Raises Failure where ``scope`` names nothing.
    """
    questions, unread = asked_of_pods.questions(observed, scope, resource=resource, image=image)
    try:
        answers = token_probes.ask(client, questions, at_once=asked_of_pods.MOST, strict=False)
    except Failure as failure:
        return _with_unread(observed, *unread, *asked_of_pods.not_asked(questions, failure.sentence)), ()
    asked, silent = asked_of_pods.answered(questions, answers)
    actions = tuple(action for each in answers for action in each.actions)
    logs = _logs_after(client, bounds, observed) if asked else observed.logs
    return replace(_with_unread(observed, *unread, *silent), asked=asked, logs=logs), actions


def _logs_after(client: Client, bounds: Bounds, observed: Observed) -> tuple[Log, ...]:
    """Logs of NMI anew, in place of those that were read before; what cannot be read now is as it was."""
    cluster = observed.inventory.cluster
    again = _logs(client, bounds, observed.of(NMI), cluster, observed.now, []) if bounds.logs else ()
    read = {(log.namespace, log.pod, log.previous) for log in again}
    return (*(log for log in observed.logs if (log.namespace, log.pod, log.previous) not in read), *again)


def without_asking(observed: Observed, scope: Scope, why: str, needs: str) -> Observed:
    """The same, with the requests that would be made told as not looked at."""
    questions, unread = asked_of_pods.questions(observed, scope)
    return _with_unread(observed, *unread, *asked_of_pods.not_asked(questions, why, needs))


def _with_unread(observed: Observed, *unread: Unread) -> Observed:
    return replace(observed, unread=(*observed.unread, *unread))


def _not_in_files(source: str, kind: Kind) -> Unread:
    every = " --all-namespaces" if kind.namespaced else ""
    return Unread(source, kind.resource, "the files have none", f"kubectl get {kind.resource}{every} -o json")


def _hide_secrets(found: inventory.Objects) -> frozenset[str]:
    """Keep of Secrets what matters; labels of those that are named and that the files do not have."""
    named = set(reading.secrets_named(found))
    secrets = {
        (raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in found.get(SECRET.name, ())
    }
    found[SECRET.name] = [dict(reading.hidden(raw)) for place, raw in secrets.items() if place in named]
    return frozenset(label(SECRET, *place) for place in named - secrets.keys())


def _logs_of_files(
    paths: t.Iterable[str], parts: t.Sequence[Component], bounds: Bounds, now: datetime, unread: list[Unread]
) -> t.Iterator[Log]:
    programs = set()
    for path in paths:
        wanted = reading.log_of_file(os.path.basename(path), parts)
        if wanted is None:
            why = "its name is that of no pod of MIC, NMI or the webhook"
            unread.append(Unread(LOGS, f"the file {path}", why, "its pod among the objects, and POD.log as its name"))
            continue
        text, cut = _end_of(path, bounds.log_bytes)
        programs.add(wanted.program)
        yield wanted.log(log_lines.parse(text, now), cut)
    for one in parts:
        if one.program not in programs:
            needs = "kubectl logs of its pods, each in a file that is called POD.log: log_files"
            unread.append(Unread(LOGS, f"logs of {one.label}", "no file has them", needs))


def _end_of(path: str, most: int) -> tuple[bytes, bool]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            return file.read(most), size > most
    except OSError as error:
        raise Failure(f"The file {path} cannot be read ({error.strerror}): check its name and its mode.") from error
