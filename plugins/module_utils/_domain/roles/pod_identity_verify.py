# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_verify: which identity each workload must get, and what became of its token."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from ..azure import arm_id
from ..diagnosis.catalogue import references
from ..needs import KubernetesNeed, KubernetesPermission
from ..sessions import KNOWN_AFTER_APPLY
from ..suggestions import closest
from ..table import links
from ..tokens.token import NOT_VERIFIED, OK
from .part import ROLE_PHASES, Look, Part, Raw, Run, refuse

PHASES = ROLE_PHASES["pod_identity_verify"]
WORKLOADS, DEMO = PHASES
# In place of the name of a pod.
_DEMO = "(demo)"

_CLUSTER, _OF_EACH, _OF_DEMO = (
    "the whole cluster",
    "the namespace of each workload",
    "the namespace of the demo application",
)
_UNLESS_EXEC = f"{_OF_EACH}, unless its `method` is `exec`"
_AADPODIDENTITY = "aadpodidentity.k8s.io"
# What the names of looks at identities in Azure begin with, before their ids.
_READ = "identity "
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
    """``kubernetes``: what this run may do in the cluster. ``unknown``: what is wrong with the workloads where the
    entries of pod_identity_bindings_list are all that there will be."""

    kubernetes: tuple[KubernetesNeed, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """The entries of pod_identity_bindings_list that a role of the same run makes, and takes away."""

    managed: tuple[Raw, ...] = ()
    absent: tuple[Raw, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Listed:
        plan = observed.get("bindings") or {}
        return cls(*(tuple(plan.get(name) or ()) for name in ("managed", "absent")))


def check(options: Options, listed: Listed, run: Run) -> Checked:
    """Refuses entries that name no pods, or an identity that is taken away."""
    refuse((*_contradictions(options), *_taken_away(options, listed)))
    return Checked(tuple(_needs(options, run)), tuple(_ungiven(options, listed)))


def _expected(workload: Workload, entries: t.Iterable[Raw]) -> list[Raw]:
    """The entries that the workload expects one of."""
    namespace, dummy, name = workload.expect.rpartition("/")
    return [each for each in entries if each["name"] == name and namespace in ("", each.get("namespace") or "default")]


def _taken_away(options: Options, listed: Listed) -> t.Iterator[str]:
    for number, each in enumerate(options.workloads, 1):
        if _expected(each, listed.absent) and not _expected(each, listed.managed):
            yield (
                f"pod_identity_verify_workloads, entry {number}: expect is {each.expect}, which is absent in "
                "pod_identity_bindings_list; correct one of them, or leave the workload out."
            )


def _ungiven(options: Options, listed: Listed) -> t.Iterator[str]:
    names = [str(each["name"]) for each in listed.managed]
    for number, each in enumerate(options.workloads, 1):
        found, selector = _expected(each, listed.managed), each.given.get("selector")
        named = f"pod_identity_verify_workloads, entry {number}: expect is {each.expect}"
        if each.expect and not found:
            close = closest(each.expect, names, cutoff=0.6)
            meant = f"did you mean {close}?" if close else "add such an entry, or correct the name."
            yield f"{named}, and pod_identity_bindings_list has no entry of this name; {meant}"
        elif found and selector and selector not in [entry.get("selector") for entry in found]:
            yield (
                f"{named}, which pods with the selector {selector} do not get: that of the entry in "
                f"pod_identity_bindings_list is {found[0].get('selector')}; correct one of them."
            )


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


# what this run knows


@dataclass(frozen=True)
class Verification:
    """What a run knows of its workloads; each task goes by what the one before left, and leaves it with more.

    ``asked``: workloads whose token can be compared; ``unseen``: rows of those that cannot be asked for. ``demo``: what
    the demo application stands for, and whether it can be compared. ``warnings`` tell what is not known. ``rows``: the
    fact ``pod_identity_verification`` so far; ``table``: the same to be shown. ``message``: why the role fails; empty
    where it does not. ``places``: the pods or namespaces that it fails for. ``again``: the demo application may still
    get its token, until ``end``, in seconds. ``demo_name`` is that of its Job, by which a try is told from one of an
    earlier use of the role.
    """

    asked: tuple[t.Any, ...] = ()
    unseen: tuple[Raw, ...] = ()
    demo: t.Any = None
    demo_runs: bool = False
    warnings: tuple[str, ...] = ()
    rows: tuple[Raw, ...] = ()
    table: tuple[Raw, ...] = ()
    message: str = ""
    places: tuple[str, ...] = ()
    again: bool = False
    end: float = 0
    demo_name: str = ""

    @classmethod
    def parse(cls, plan: Raw) -> Verification:
        """From the plan of the task before."""
        asked, unseen, rows, table = (tuple(plan[name]) for name in ("asked", "unseen", "rows", "table"))
        return cls(
            asked=asked,
            unseen=unseen,
            rows=rows,
            table=table,
            demo=plan["demo"],
            demo_runs=bool(plan["demo_runs"]),
            message=plan["message"],
            places=tuple(plan["places"]),
            demo_name=plan["demo_name"],
        )

    def with_rows(self, added: t.Iterable[Raw], options: Options, run: Run) -> Verification:
        """What check mode did not verify is not wrong, and never counts as right either."""
        rows = (*self.rows, *({**row, "references": list(references(row["verdict"]))} for row in added))
        right = (OK, NOT_VERIFIED) if run.check_mode else (OK,)
        table = tuple({**row, "pod": _pod(row), "verdict": _shown_verdict(row)} for row in rows)
        wrong = [row for row in rows if row["verdict"] not in right]
        told = " ".join(f"{_pod(row)}: {row['verdict']}, {row['message']}" for row in wrong)
        see = ", ".join(links(wrong))
        message = f"{len(wrong)} of {len(rows)} workloads do not get what they must: {told} See {see}."
        if not wrong or not options.fail:
            return replace(self, rows=rows, table=table, message="", places=())
        return replace(self, rows=rows, table=table, message=message, places=tuple(map(_place, wrong)))


def _pod(row: Raw) -> str:
    return f"{row['namespace']}/{row['pod'] or '(probe)'}"


def _place(row: Raw) -> str:
    """Where a diagnosis looks. The pod of the demo application is gone."""
    namespace, pod = row["namespace"], row["pod"]
    return f"{namespace}/{pod}" if pod not in ("", _DEMO) else str(namespace)


def _shown_verdict(row: Raw) -> str:
    """With how many answers were right, where there are several."""
    asked = (row.get("samples") or {}).get("asked", 1)
    return f"{row['verdict']} ({row['samples']['right']} of {asked})" if asked > 1 else str(row["verdict"])


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
    """The AzureIdentities of the cluster and what Azure says of their identities, by resource id in lower case; empty
    where they are not known there, of which ``warnings`` tell.

    ``reachable`` is false as long as the cluster is only predicted. ``word``: one that no other try has.
    """

    identities: tuple[Identity, ...]
    addon: bool
    reachable: bool
    azure: t.Mapping[str, Raw]
    warnings: tuple[str, ...]
    word: str

    @classmethod
    def parse(cls, observed: Raw) -> Known:
        addon = bool((observed["cluster"].get("pod_identity_profile") or {}).get("enabled"))
        found = (observed.get("identities") or {}).get("resources") or ()
        azure, lines = {}, []
        for resource_id in [name[len(_READ) :] for name in observed if name.startswith(_READ)]:
            azure[resource_id], line = _read(resource_id, observed[f"{_READ}{resource_id}"])
            lines += [line] if line else []
        for each in observed["of_run"].values():
            # Check mode predicts the ids of an identity that does not exist.
            if each.get("id") and each.get("principal_id") != KNOWN_AFTER_APPLY:
                azure[each["id"].lower()] = each
        identities = tuple(Identity.parse(each, addon=addon) for each in found)
        return cls(identities, addon, bool(observed["reachable"]), azure, tuple(lines), str(observed["word"]))


def _read(resource_id: str, answer: Raw) -> tuple[Raw, str]:
    """What Azure said of an identity, and a line that tells why that is nothing."""
    found = answer.get("identities")
    if found:
        return t.cast(Raw, found[0]), ""
    why = "it does not exist in Azure" if found is not None else f"it cannot be read: {answer['msg']}"
    name = arm_id.parse(resource_id).name
    return {}, f"Tenant and object id of the identity {name} are not compared, because {why}"


@dataclass(frozen=True)
class Meant:
    """A workload with the identities that its ``expect`` may mean, the ids that are expected of its token, and what
    pod_token_info is asked."""

    workload: Raw
    candidates: tuple[str, ...]
    expected: t.Mapping[str, str]
    question: Raw


def look_for_identities(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """Whoever may not read an identity in Azure still gets the other claims checked."""
    if not any(map(run.runs, PHASES)):
        return
    yield Look(
        "identities", "kubernetes_object_info", {"api_version": f"{_AADPODIDENTITY}/v1", "kind": "AzureIdentity"}
    )
    for resource_id in _unread(options, Known.parse(found)):
        parts = arm_id.parse(resource_id)
        where = {"subscription_id": parts.subscription, "resource_group": parts.resource_group, "name": parts.name}
        yield Look(
            f"{_READ}{resource_id}",
            "user_assigned_identity_info",
            where,
            in_cluster=False,
            tolerates=lambda _failed: True,
        )


def expected(options: Options, known: Known, run: Run) -> Verification:
    """Refuses names that stand for no identity, or for several; in check mode the objects may be only predicted."""
    if not any(map(run.runs, PHASES)):
        return Verification()
    meant = [(each, _meant(each, known)) for each in options.workloads]
    unclear = [(workload, row) for workload, row in meant if workload.expect and len(row.candidates) != 1]
    if not run.check_mode:
        refuse(_unknown(workload, row.candidates) for workload, row in unclear)
    uncertain, demo = [workload for workload, _row in unclear], options.demo_workload
    missing = uncertain if known.reachable else options.workloads
    return Verification(
        asked=tuple(row for workload, row in meant if workload not in missing),
        unseen=tuple(_unseen(each.namespace, each.expect, _why_unseen(each, known)) for each in missing),
        demo=_meant(demo, known) if demo else None,
        demo_runs=not run.check_mode or (options.in_check_mode and known.reachable and demo not in uncertain),
        warnings=known.warnings,
        demo_name=f"pod-identity-demo-{known.word}",
    )


def _why_unseen(workload: Workload, known: Known) -> str:
    if not known.reachable:
        return "There is no cluster yet."
    return f"The cluster does not have the identity {workload.expect} yet."


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


# verdicts


@dataclass(frozen=True)
class Tokens:
    """The tokens of the workloads that were asked for, in their order."""

    known: Verification
    tokens: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Tokens:
        return cls(Verification.parse(observed["known"]), tuple(observed["tokens"]))


def verdicts(options: Options, found: Tokens, run: Run) -> Verification:
    rows = [_verdict(asked, token) for asked, token in zip(found.known.asked, found.tokens)]
    return found.known.with_rows([*rows, *found.known.unseen], options, run)


def _verdict(asked: Raw, token: Raw) -> dict[str, t.Any]:
    claims = " ".join(CLAIMS[each["check"]] for each in token["checks"] if each["ok"])
    identity = token["identity"] or asked["workload"].get("expect") or ""
    return {**token, "identity": identity, "claims_checked": claims}


# demo


@dataclass(frozen=True)
class Tried:
    """How far the demo application has come: its node, whether it got a token, and the last that is known of it.

    ``again``: it may still get one. ``began``: when it was looked at first, in seconds.
    """

    known: Verification
    node: str
    succeeded: bool
    last_line: str
    again: bool
    began: float

    @classmethod
    def parse(cls, observed: Raw) -> Tried:
        log, failure = observed.get("log") or {}, observed["failure"]
        lines = [failure] if failure else [each for each in log.get("log_lines") or () if each]
        pod: Raw = next(iter((observed.get("pods") or {}).get("resources") or ()), {})
        succeeded = observed["success"] in (log.get("log") or "")
        return cls(
            known=Verification.parse(observed["known"]),
            node=(pod.get("spec") or {}).get("nodeName") or "",
            succeeded=succeeded,
            last_line=lines[-1] if lines else "nothing",
            again=not succeeded and not failure,
            began=float(observed["began"]),
        )


def look_at_demo(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """Until its pod runs there is no log to read. A verdict without the node is one too."""
    if not found["known"]["demo_runs"] or not options.demo_workload or found["failure"]:
        return
    of_job = {
        "namespace": options.demo_workload.namespace,
        "label_selectors": [f"job-name={found['known']['demo_name']}"],
    }
    log = {"module": "k8s_log", "container": "demo", **of_job}
    yield Look("log", "kubernetes_core", log, tolerates=lambda _failed: True)
    yield Look("pods", "kubernetes_object_info", {"kind": "Pod", **of_job}, tolerates=lambda _failed: True)


def demo(options: Options, found: Tried, run: Run) -> Verification:
    """The verdict of the demo application is one more row."""
    workload = options.demo_workload
    namespace, expect = (workload.namespace, workload.expect) if workload else ("", "")
    row = _unseen(namespace, expect, "The demo application was not run.", _DEMO)
    if found.known.demo_runs:
        message = "The upstream demo application got its token."
        if not found.succeeded:
            message = (
                f"The upstream demo application got no token within {options.demo_timeout} seconds; the last that is "
                f"known: {found.last_line}"
            )
        row.update(
            node=found.node,
            identity=next(iter(found.known.demo["candidates"]), ""),
            claims_checked="its own log",
            verdict=OK if found.succeeded else "no_token",
            message=message,
        )
    end = found.began + options.demo_timeout
    return replace(found.known.with_rows([row], options, run), again=found.again and found.known.demo_runs, end=end)


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Listed, check),
    "expected": Part(Options, Known, expected, look_for_identities),
    "verdicts": Part(Options, Tokens, verdicts),
    "demo": Part(Options, Tried, demo, look_at_demo),
}
