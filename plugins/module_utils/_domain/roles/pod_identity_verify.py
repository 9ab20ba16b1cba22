# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_verify: which identity each workload must get, and what became of its token."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .. import arm_id
from ..sessions import KNOWN_AFTER_APPLY
from .part import ROLE_PHASES, KubernetesNeed, KubernetesPermission, Nothing, Part, Raw, Run, refuse

PHASES = ROLE_PHASES["pod_identity_verify"]
WORKLOADS, DEMO = PHASES
OK, NOT_VERIFIED = "ok", "not_verified"

_CLUSTER, _OF_EACH, _OF_DEMO = (
    "the whole cluster",
    "the namespace of each workload",
    "the namespace of the demo application",
)
_UNLESS_EXEC = f"{_OF_EACH}, unless its `method` is `exec`"
_AADPODIDENTITY = "aadpodidentity.k8s.io"
_IN_AZURE = re.compile("/subscriptions/[^/]+/resourcegroups/[^/]+/providers/[^/]+/[^/]+/[^/]+")

PERMISSIONS: t.Mapping[str, KubernetesPermission] = {
    "read_identities": KubernetesPermission("always", _CLUSTER, "azureidentities", ("list",), _AADPODIDENTITY),
    "read_bindings": KubernetesPermission(WORKLOADS, _CLUSTER, "azureidentitybindings", ("list",), _AADPODIDENTITY),
    "read_pods": KubernetesPermission(WORKLOADS, _CLUSTER, "pods", ("list",)),
    "read_nodes": KubernetesPermission(WORKLOADS, _CLUSTER, "nodes", ("list",)),
    "read_services": KubernetesPermission(WORKLOADS, _OF_EACH, "services", ("list",)),
    "read_budgets": KubernetesPermission(WORKLOADS, _OF_EACH, "poddisruptionbudgets", ("list",), "policy"),
    "run_jobs": KubernetesPermission(WORKLOADS, _UNLESS_EXEC, "jobs", ("list", "create", "delete"), "batch"),
    "read_logs": KubernetesPermission(WORKLOADS, _UNLESS_EXEC, "pods", ("get",), "", "log"),
    "run_commands": KubernetesPermission(
        WORKLOADS, "the namespace of each workload whose `method` is `exec`", "pods", ("get", "create"), "", "exec"
    ),
    "read_demo_pods": KubernetesPermission(DEMO, _OF_DEMO, "pods", ("list",)),
    "run_demo": KubernetesPermission(DEMO, _OF_DEMO, "jobs", ("get", "create", "delete"), "batch"),
    "read_demo_logs": KubernetesPermission(DEMO, _OF_DEMO, "pods", ("get",), "", "log"),
}
# The claims behind the checks of pod_token_info, in its order.
CLAIMS = {
    "audience": "aud",
    "tenant": "tid",
    "client_id": "appid",
    "object_id": "oid",
    "resource_id": "xms_mirid",
    "not_expired": "exp",
    "issued_during_probe": "iat",
}


@dataclass(frozen=True)
class Workload:
    """An entry of the list; ``given`` has all of its keys that are set."""

    given: Raw
    namespace: str
    expect: str

    @classmethod
    def parse(cls, entry: Raw) -> Workload:
        given = {name: value for name, value in entry.items() if value is not None}
        return cls(given, given["namespace"], given.get("expect") or "")

    @property
    def names_pods(self) -> bool:
        return any(self.given.get(name) for name in ("selector", "pod", "service_account"))


@dataclass(frozen=True)
class Options:
    workloads: tuple[Workload, ...] = field(default=(), metadata={"parse": Workload.parse})
    in_check_mode: bool = False
    demo: bool = False
    demo_timeout: int = 300
    fail: bool = True

    @property
    def demo_workload(self) -> Workload | None:
        """The one that the demo application stands for."""
        return next((each for each in self.workloads if each.expect and each.given.get("selector")), None)


# options


@dataclass(frozen=True)
class Checked:
    """``kubernetes``: what this run may do in the cluster; ``demo``: the entry that the demo application stands for."""

    kubernetes: tuple[KubernetesNeed, ...]
    demo: Raw


def check(options: Options, _nothing: Nothing, run: Run) -> Checked:
    """Refuses entries that name no pods."""
    refuse(_contradictions(options))
    demo = options.demo_workload
    return Checked(tuple(_needs(options, run)), demo.given if demo else {})


def _contradictions(options: Options) -> t.Iterator[str]:
    for each in options.workloads:
        if not each.names_pods:
            yield (
                f"An entry of pod_identity_verify_workloads in namespace {each.namespace} names no pods; set its "
                "selector, pod or service_account."
            )
    if options.demo and not options.demo_workload:
        yield "pod_identity_verify_demo needs an entry of pod_identity_verify_workloads with selector and expect."


def _needs(options: Options, run: Run) -> t.Iterator[KubernetesNeed]:
    """Check mode only reads unless it is told to verify too."""
    may, of, phases = PERMISSIONS, KubernetesNeed.of, run.phases(PHASES)
    yield of(may["read_identities"])
    if run.check_mode and not options.in_check_mode:
        return
    if WORKLOADS in phases and options.workloads:
        yield from (of(may[name]) for name in ("read_bindings", "read_pods", "read_nodes"))
        for each in options.workloads:
            asks = ("run_commands",) if each.given.get("method") == "exec" else ("run_jobs", "read_logs")
            yield from (of(may[name], each.namespace) for name in ("read_services", "read_budgets", *asks))
    if DEMO in phases and options.demo and options.demo_workload:
        for name in ("read_demo_pods", "run_demo", "read_demo_logs"):
            yield of(may[name], options.demo_workload.namespace)


# identities


@dataclass(frozen=True)
class Identity:
    """An AzureIdentity; ``confined``: for pods of its own namespace only. ``resource_id`` is in lower case."""

    namespace: str
    name: str
    confined: bool
    resource_id: str
    client_id: str
    tenant_id: str

    @classmethod
    def parse(cls, found: Raw, *, addon: bool) -> Identity:
        metadata, spec = found["metadata"], found.get("spec") or {}
        behavior = (metadata.get("annotations") or {}).get("aadpodidentity.k8s.io/Behavior")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            confined=addon or behavior == "namespaced",
            resource_id=str(spec.get("resourceID") or "").lower() if not spec.get("type") else "",
            client_id=str(spec.get("clientID") or ""),
            tenant_id=str(spec.get("tenantID") or ""),
        )

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    def may_be(self, workload: Workload) -> bool:
        """Whether the workload may mean it."""
        return workload.expect in (self.place, self.name)


@dataclass(frozen=True)
class Known:
    """The AzureIdentities of the cluster and what Azure says of their identities, by resource id in lower case.

    ``of_run``: identities of this run, ``read`` those that were read in Azure, empty where they are not known there.
    """

    identities: tuple[Identity, ...]
    addon: bool
    azure: t.Mapping[str, Raw]

    @classmethod
    def parse(cls, observed: Raw) -> Known:
        addon = bool((observed["cluster"].get("pod_identity_profile") or {}).get("enabled"))
        azure = dict(observed["read"])
        for each in observed["of_run"].values():
            # Check mode predicts the ids of an identity that does not exist.
            if each.get("id") and each.get("principal_id") != KNOWN_AFTER_APPLY:
                azure[each["id"].lower()] = each
        return cls(tuple(Identity.parse(each, addon=addon) for each in observed["identities"]), addon, azure)


@dataclass(frozen=True)
class Meant:
    """A workload with the identities that its ``expect`` may mean, the ids that are expected of its token, and what
    pod_token_info is asked."""

    workload: Raw
    candidates: tuple[str, ...]
    expected: t.Mapping[str, str]
    question: Raw


@dataclass(frozen=True)
class Unread:
    """An identity that Azure has to be asked about; ``id`` is in lower case."""

    id: str
    subscription_id: str
    resource_group: str
    name: str

    @classmethod
    def of(cls, resource_id: str) -> Unread:
        parts = arm_id.parse(resource_id)
        return cls(resource_id, parts.subscription, parts.resource_group, parts.name)


@dataclass(frozen=True)
class Expected:
    """``asked``: workloads whose token can be compared; ``uncertain`` those of which check mode cannot say what they
    must get. ``unread``: identities that Azure has to be asked about. ``demo``: what the demo application stands
    for, and whether it can be compared."""

    asked: tuple[Meant, ...]
    uncertain: tuple[Raw, ...]
    unread: tuple[Unread, ...]
    demo: Meant | None
    demo_runs: bool


def expected(options: Options, known: Known, run: Run) -> Expected:
    """Refuses names that stand for no identity, or for several; in check mode the objects may be only predicted."""
    meant = [(each, _meant(each, known)) for each in options.workloads]
    if not run.check_mode:
        refuse(
            _unknown(workload, row.candidates)
            for workload, row in meant
            if workload.expect and len(row.candidates) != 1
        )
    uncertain = [workload for workload, row in meant if workload.expect and len(row.candidates) != 1]
    demo = options.demo_workload
    return Expected(
        asked=tuple(row for workload, row in meant if workload not in uncertain),
        uncertain=tuple(workload.given for workload in uncertain),
        unread=tuple(map(Unread.of, _unread(options, known))),
        demo=_meant(demo, known) if demo else None,
        demo_runs=not run.check_mode or (options.in_check_mode and demo not in uncertain),
    )


def _meant(workload: Workload, known: Known) -> Meant:
    """Azure knows the ids best. What the add-on attached stays attached, whatever pods come and go."""
    found = [
        each
        for each in known.identities
        if each.may_be(workload) and (each.namespace == workload.namespace or not each.confined)
    ]
    identity = found[0] if len(found) == 1 else None
    azure = known.azure.get(identity.resource_id) or {} if identity else {}
    ids = {
        "client_id": azure.get("client_id") or (identity.client_id if identity else ""),
        "tenant_id": azure.get("tenant_id") or (identity.tenant_id if identity else ""),
        "object_id": azure.get("principal_id") or "",
    }
    given = {name: value for name, value in workload.given.items() if name != "expect" and value not in ("", {})}
    question = {"allow_detach": known.addon, **given, "expect": {name: value for name, value in ids.items() if value}}
    return Meant(workload.given, tuple(each.place for each in found), ids, question)


def _unknown(workload: Workload, candidates: t.Sequence[str]) -> str:
    if candidates:
        return (
            f"The identity {workload.expect} that pods in namespace {workload.namespace} must get may be "
            f"{' or '.join(candidates)}; write the one that is meant with its namespace into expect of "
            "pod_identity_verify_workloads."
        )
    return (
        f"No AzureIdentity {workload.expect} that pods in namespace {workload.namespace} can get is in the cluster, "
        "but pod_identity_verify_workloads expects it; correct its name there."
    )


def _unread(options: Options, known: Known) -> t.Iterable[str]:
    ids = (each.resource_id for workload in options.workloads for each in known.identities if each.may_be(workload))
    return dict.fromkeys(each for each in ids if _IN_AZURE.fullmatch(each) and each not in known.azure)


# read


@dataclass(frozen=True)
class Answers:
    """What Azure said of identities, each by its id in lower case."""

    read: Raw
    answers: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Answers:
        return cls(observed["read"], tuple(observed["answers"]))


@dataclass(frozen=True)
class InAzure:
    """``read``: all that is known by now, by id; ``lines`` tell what is not."""

    read: Raw
    lines: tuple[str, ...]


def in_azure(_options: Options, found: Answers, _run: Run) -> InAzure:
    read, lines = dict(found.read), []
    for each in found.answers:
        state = each.get("state")
        there = (state or {}).get("principal_id", KNOWN_AFTER_APPLY) != KNOWN_AFTER_APPLY
        read[each["item"]["id"]] = state if there else {}
        if not there:
            why = "it does not exist in Azure" if state is not None else f"it cannot be read: {each['msg']}"
            lines.append(f"Tenant and object id of the identity {each['item']['name']} are not compared, because {why}")
    return InAzure(read, tuple(lines))


# verdicts


@dataclass(frozen=True)
class Tokens:
    """The workloads that were asked for, their tokens, and those that were not. ``reachable``: there is a cluster."""

    asked: tuple[Raw, ...]
    tokens: tuple[Raw, ...]
    uncertain: tuple[Raw, ...]
    reachable: bool

    @classmethod
    def parse(cls, observed: Raw) -> Tokens:
        asked, tokens, uncertain = (tuple(observed[name]) for name in ("asked", "tokens", "uncertain"))
        return cls(asked, tokens, uncertain, bool(observed["reachable"]))


@dataclass(frozen=True)
class Verdicts:
    """The fact ``pod_identity_verification``."""

    rows: tuple[Raw, ...]


def verdicts(options: Options, found: Tokens, _run: Run) -> Verdicts:
    if not found.reachable:
        return Verdicts(
            tuple(_unseen(each.namespace, each.expect, "There is no cluster yet.") for each in options.workloads)
        )
    rows = [_verdict(asked, token) for asked, token in zip(found.asked, found.tokens)]
    for each in found.uncertain:
        message = f"The cluster does not have the identity {each['expect']} yet."
        rows.append(_unseen(each["namespace"], each["expect"], message))
    return Verdicts(tuple(rows))


def _verdict(asked: Raw, token: Raw) -> dict[str, t.Any]:
    claims = ", ".join(CLAIMS[each["check"]] for each in token["checks"] if each["ok"])
    identity = token["identity"] or asked["workload"].get("expect") or ""
    return {**token, "identity": identity, "claims_checked": claims}


def _unseen(namespace: str, identity: str, message: str, pod: str = "") -> dict[str, t.Any]:
    """The row of a workload that nobody asked for."""
    return {
        "pod": pod,
        "node": "",
        "answered_by": "",
        "claims_checked": "",
        "verdict": NOT_VERIFIED,
        "namespace": namespace,
        "identity": identity,
        "message": message,
    }


# demo


@dataclass(frozen=True)
class Tried:
    """How the demo application ended: its node, its identity, whether it got a token, and the last line of its log.

    ``ran`` is false where check mode did not run it.
    """

    ran: bool
    node: str = ""
    identity: str = ""
    succeeded: bool = False
    last_line: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Tried:
        if not observed["ran"]:
            return cls(ran=False)
        lines = [each for each in observed["log_lines"] or () if each]
        pod: Raw = next(iter(observed["pods"]), {})
        return cls(
            ran=True,
            node=(pod.get("spec") or {}).get("nodeName") or "",
            identity=next(iter(observed["candidates"]), ""),
            succeeded=observed["success"] in observed["log"],
            last_line=lines[-1] if lines else "nothing",
        )


@dataclass(frozen=True)
class Tested:
    row: Raw


def demo(options: Options, found: Tried, _run: Run) -> Tested:
    """The verdict of the demo application."""
    workload = options.demo_workload
    namespace, expect = (workload.namespace, workload.expect) if workload else ("", "")
    if not found.ran:
        return Tested(_unseen(namespace, expect, "The demo application was not run.", "(demo)"))
    message = "The upstream demo application got its token."
    if not found.succeeded:
        message = (
            f"The upstream demo application got no token within {options.demo_timeout} seconds; the last that is "
            f"known: {found.last_line}"
        )
    return Tested(
        {
            "namespace": namespace,
            "pod": "(demo)",
            "node": found.node,
            "identity": found.identity,
            "answered_by": "",
            "claims_checked": "its own log",
            "verdict": OK if found.succeeded else "no_token",
            "message": message,
        }
    )


# report


@dataclass(frozen=True)
class Verified:
    rows: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Verified:
        return cls(tuple(observed["rows"]))


@dataclass(frozen=True)
class Report:
    """Rows of the table, and why the role fails; empty where it does not."""

    rows: tuple[Raw, ...]
    message: str


def report(options: Options, found: Verified, run: Run) -> Report:
    """What check mode did not verify is not wrong, and never counts as right either."""
    right = (OK, NOT_VERIFIED) if run.check_mode else (OK,)
    rows = tuple({**row, "pod": f"{row['namespace']}/{row['pod'] or '(probe)'}"} for row in found.rows)
    wrong = [row for row in rows if row["verdict"] not in right]
    told = " ".join(f"{row['pod']}: {row['verdict']}, {row['message']}" for row in wrong)
    message = f"{len(wrong)} of {len(rows)} workloads do not get what they must: {told}"
    return Report(rows, message if wrong and options.fail else "")


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "expected": Part(Options, Known, expected),
    "read": Part(Options, Answers, in_azure),
    "verdicts": Part(Options, Tokens, verdicts),
    "demo": Part(Options, Tried, demo),
    "report": Part(Options, Verified, report),
}
