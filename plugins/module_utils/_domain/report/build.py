# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Makes a report of an observation."""

from __future__ import annotations

import re
import typing as t
from collections import Counter

from ..azure import arm_id, ownership
from ..diagnosis import catalogue
from ..errors import Failure
from ..matching.matching import USER_ASSIGNED
from ..migration.stages import BLOCKED, STATES
from ..names import namespace_of
from ..tokens.token import NOT_VERIFIED, OK
from . import grounds, model, ways
from .model import (
    BROKEN,
    ERROR,
    HEALTHY,
    INFO,
    SEVERITIES,
    SUSPECT,
    UNKNOWN,
    VERDICTS,
    WARNING,
    WORST_FIRST,
    counted,
    spoken,
)
from .observation import (
    CARRIERS,
    DIAGNOSIS,
    INSTALLATIONS,
    INVENTORY,
    LEFTOVERS,
    NODES,
    NOTHING_GIVEN,
    PLAN,
    REMOVAL,
    RULES,
    SOURCES,
    STAGES,
    VERIFICATION,
    Observed,
    Raw,
    parse,
)

# What a person needs of a token to know whose it is, for what, and how long.
_CLAIMS = ("aud", "iss", "tid", "appid", "azp", "oid", "sub", "xms_mirid", "xms_az_rid", "xms_ficinfo", "iat", "exp")
_KINDS = {0: "managed identity", 1: "service principal", 2: "service principal with a certificate"}
_ANSWERS = {
    "node_token": "a token of its node, through NMI",
    "imds": "a token of its node, past NMI",
    "not_assigned": "no token: no identity is assigned",
    "no_such_identity": "no token: there is no such identity",
    "unsupported_type": "no token: the type of the identity is none",
    "no_client_id": "no token: the client id is missing",
}
# What of an identity on a scale set is nobody's leftover.
_KEPT = (ownership.PROTECTED, ownership.USED)
_LEFT = ("left", NOT_VERIFIED)
_NOT_READ, _INSTALLED = "not_read", "installation_left"
_VERIFY_AGAIN = (
    "Do what the answer says; where another cause concerns the workload, fix that first. Then verify again: "
    "ansible-playbook azureops.pod_identity.verify -e @FILE."
)
_CODE = re.compile(r"[a-z]+(_[a-z]+)*", re.ASCII)
_SENTENCES = {
    SUSPECT: "Nothing in {name} is known to be broken, but something looks wrong: {counts}.",
    HEALTHY: "Nothing is wrong with {name}: its identities, tokens and nodes were looked at.",
    UNKNOWN: "Nothing wrong was found in {name}, but not all was looked at: {gaps}.",
}


def build(document: t.Any) -> model.Report:
    """Raises Failure where ``document`` is no observation, or a source is not what its module returns."""
    return of_observed(parse(document))


def of_observed(observed: t.Iterable[Observed]) -> model.Report:
    """The same of an observation that is parsed, of which one cluster after the other is taken."""
    clusters = tuple(map(_cluster, observed))
    verdicts = Counter(one.verdict for one in clusters)
    worst = next((verdict for verdict in WORST_FIRST if verdicts[verdict]), UNKNOWN)
    if len(clusters) == 1:
        sentence = clusters[0].sentence
    else:
        told = [f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]]
        sentence = f"{counted(len(clusters), 'cluster')}: {spoken(told) or 'nothing was looked at'}."
    return model.Report(worst, sentence, clusters)


def _cluster(observed: Observed) -> model.Cluster:
    try:
        return _told(observed)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Failure(
            f"A source of the cluster {observed.name} is not what its module returns "
            f"({type(error).__name__}: {error}): "
            "give the whole result of one that this collection wrote."
        ) from error


def _told(observed: Observed) -> model.Cluster:
    problems = tuple(_problems(observed))
    workloads = tuple(_workloads(observed, problems))
    movers = tuple(_movers(observed))
    wrong = tuple(_wrong(observed, problems, movers))
    gaps = grounds.gaps(observed)
    verdict, failure = _verdict(observed, problems, wrong, gaps), _failure(observed)
    graph = ways.find(observed)
    inventory = observed.result(INVENTORY)
    counts = inventory.get("assignments")
    states = Counter(one.phase for one in movers)
    rules = inventory.get("rules") or {}
    return model.Cluster(
        name=observed.name,
        verdict=verdict,
        sentence=_sentence(observed.name, verdict, failure, wrong, gaps),
        failure=failure,
        observed_at=observed.observed_at,
        looked=tuple(
            model.Looked(one.key, one.what, observed.times[one.key]) for one in SOURCES if one.key in observed.times
        ),
        rules=tuple((key.replace("_", " "), str(value)) for key, value in sorted(rules.items())),
        matrix=tuple(_matrix(workloads)),
        problems=problems,
        workloads=workloads,
        others=len(inventory.get("workloads", ())) - len(workloads),
        identities=tuple(_identities(observed)),
        assignments=None if counts is None else model.Assignments(counts["computed"], counts["live"], counts["equal"]),
        assigned=tuple(_assigned(observed, problems)),
        tokens=tuple(map(_token, observed.rows(VERIFICATION))),
        nodes=tuple(_nodes(observed)),
        leftovers=tuple(_leftovers(observed)),
        movers=movers,
        phases=tuple((state, states[state]) for state in STATES if states[state]),
        unread=tuple(_unread(observed)),
        graph=graph,
    )


def _failure(observed: Observed) -> str:
    """Why the cluster could not be looked at, or neither its inventory nor its diagnosis was read; else ''."""
    if observed.failure or not observed.results.keys().isdisjoint((INVENTORY, DIAGNOSIS)):
        return observed.failure
    return observed.failures.get(INVENTORY) or observed.failures.get(DIAGNOSIS, "")


def _wrong(observed: Observed, problems: t.Iterable[model.Problem], movers: t.Iterable[model.Mover]) -> t.Iterator[str]:
    """What is wrong with the cluster, or looks so, counted: ``2 errors``."""
    severities = Counter(one.severity for one in problems)
    for severity in (ERROR, WARNING):
        if severities[severity]:
            yield counted(severities[severity], severity)
    dead = grounds.dead_rules(observed)
    if dead:
        yield f"{counted(len(dead), 'node')} with rules of an NMI that does not serve there"
    blocked = sum(_is_blocked(one) for one in movers) if _moves(observed) else 0
    if blocked:
        yield f"{counted(blocked, 'workload')} of the migration blocked"


def _moves(observed: Observed) -> bool:
    """Whether a migration has begun: a workload that may not move is nothing wrong before."""
    begun = (row["uses"] in ways.BY_WORKLOAD_ID for row in observed.result(PLAN).get("templates", ()))
    return bool(observed.rows(STAGES)) or any(begun)


def _is_blocked(one: model.Mover) -> bool:
    return BLOCKED in (one.phase, one.verdict)


def _verdict(
    observed: Observed, problems: t.Iterable[model.Problem], wrong: t.Sequence[str], gaps: t.Sequence[str]
) -> str:
    if observed.failure:
        return UNKNOWN
    if any(one.certain for one in problems):
        return BROKEN
    if wrong:
        return SUSPECT
    return UNKNOWN if gaps else HEALTHY


def _sentence(name: str, verdict: str, failure: str, wrong: t.Sequence[str], gaps: t.Sequence[str]) -> str:
    if verdict == BROKEN:
        return f"{name} is broken: {spoken(wrong)}."
    if failure:
        return f"{name} could not be looked at: {failure}"
    return _SENTENCES[verdict].format(name=name, counts=spoken(wrong), gaps="; ".join(gaps))


# problems


def _problems(observed: Observed) -> t.Iterator[model.Problem]:
    """The causes of the diagnosis, which has the findings of the inventory in it; these where nobody made one.

    And each token that is not right: of pods of one workload, or with one selector, once.
    """
    if DIAGNOSIS in observed.results:
        found = [_cause(row) for row in observed.result(DIAGNOSIS)["causes"]]
    else:
        found = [_finding(row) for row in observed.result(INVENTORY).get("findings", ())]
    by_object: dict[tuple[str, str], list[Raw]] = {}
    for row in observed.rows(VERIFICATION):
        if row["verdict"] not in (OK, NOT_VERIFIED):
            by_object.setdefault((row["verdict"], _asked(observed, row)), []).append(row)
    found += [_wrong_token(code, label, rows) for (code, label), rows in by_object.items()]
    yield from sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _asked(observed: Observed, token: Raw) -> str:
    """Label of the workload whose token it is, or of its pod."""
    for row in observed.result(INVENTORY).get("workloads", ()):
        if grounds.is_of(token, row):
            return ways.label(row)
    if token["pod"]:
        return f"Pod {token['namespace']}/{token['pod']}"
    return f"AzureIdentity {token['identity']}" if "/" in token["identity"] else f"Namespace {token['namespace']}"


def _wrong_token(code: str, label: str, rows: t.Sequence[Raw]) -> model.Problem:
    told = [(f"Pod {row['namespace']}/{row['pod'] or '(probe)'}", row) for row in rows]
    return model.Problem(
        severity=ERROR,
        code=code,
        object=label,
        namespace=rows[0]["namespace"],
        text=rows[0]["message"],
        certainty="proved",
        symptom="",
        remedy=_VERIFY_AGAIN,
        command="",
        because=(),
        evidence=tuple(
            model.Evidence(f"{pod} on node {row['node']}" if row["node"] else pod, row["message"], "")
            for pod, row in told
        ),
        link=link(code),
        issues=(),
    )


def _cause(row: Raw) -> model.Problem:
    return model.Problem(
        severity=row["severity"],
        code=row["code"],
        object=row["object"],
        namespace=namespace_of(row["object"]),
        text=row["cause"],
        certainty=row["certainty"],
        symptom=row["symptom"],
        remedy=row["fix"]["text"],
        command=row["fix"]["command"],
        because=tuple(row["because"]),
        evidence=tuple(model.Evidence(each["source"], each["text"], each["time"]) for each in row["evidence"]),
        link=link(row["code"]),
        issues=tuple(row["references"][1:]),
    )


def _finding(row: Raw) -> model.Problem:
    return model.Problem(
        severity=row["severity"],
        code=row["code"],
        object=row["object"],
        namespace=namespace_of(row["object"]),
        text=row["message"],
        certainty="proved",
        symptom="",
        remedy=row["remedy"],
        command="",
        because=(),
        evidence=(),
        link=link(row["code"]),
        issues=tuple(row["references"][1:]),
    )


def link(code: str) -> str:
    """Where a code is explained, whatever an observation says; '' for what can be none."""
    return catalogue.address(code) if _CODE.fullmatch(code) else ""


# workloads


def _workloads(observed: Observed, problems: t.Iterable[model.Problem]) -> t.Iterator[model.Workload]:
    """Those that have to do with identities."""
    about: dict[str, list[model.Problem]] = {}
    for problem in problems:
        about.setdefault(problem.object, []).append(problem)
    phases = {row["workload"]: row["state"] for row in observed.rows(STAGES)}
    planned = {ways.label(row): row for row in observed.result(PLAN).get("templates", ())}
    for row in observed.result(INVENTORY).get("workloads", ()):
        label, found = ways.label(row), [one for name in _concerns(row) for one in about.get(name, ())]
        if not (row["selector"] or row["identities"] or label in about or label in planned):
            continue
        plan = planned.get(label, {})
        left = bool(plan) and ways.has_left(plan)
        verdict, why = _verdict_of(found, [each for each in observed.rows(VERIFICATION) if grounds.is_of(each, row)])
        yield model.Workload(
            label=label,
            namespace=row["namespace"],
            verdict=verdict,
            why=why,
            selector=row["selector"],
            service_account=row["service_account"],
            pods=row["pods"],
            identities=(plan["client_id"],)
            if left and plan["client_id"]
            else tuple(f"{each['namespace']}/{each['name']}" for each in row["identities"]),
            # What NMI would say to pods that do not ask it is nobody's matter.
            answer="" if left else _answer(row["default"]),
            phase=phases.get(label, ""),
            codes=tuple(dict.fromkeys(one.code for one in found)),
        )


def _concerns(row: Raw) -> t.Iterator[str]:
    """Labels of the workload and of what it gets its tokens by."""
    yield ways.label(row)
    yield f"ServiceAccount {row['namespace']}/{row['service_account']}"
    for each in row["identities"]:
        yield f"AzureIdentity {each['namespace']}/{each['name']}"
        yield f"AzureIdentityBinding {each['namespace']}/{each['binding']}"


def _verdict_of(found: t.Sequence[model.Problem], tokens: t.Sequence[Raw]) -> tuple[str, str]:
    for token in tokens:
        if token["verdict"] not in (OK, NOT_VERIFIED):
            return BROKEN, token["message"]
    for one in found:
        if one.certain:
            return BROKEN, one.text
    for one in found:
        if one.severity != INFO:
            return SUSPECT, one.text
    if tokens and all(token["verdict"] == OK for token in tokens):
        return HEALTHY, "Its token was verified."
    return UNKNOWN, "No token of it was verified."


def _answer(default: Raw) -> str:
    parts = [_ANSWERS.get(kind, kind.replace("_", " ")) for kind in default["answers"] if kind != "token"]
    names = default["identities"]
    if names:
        parts.insert(0, f"a token of {names[0]}" if len(names) == 1 else f"a token of any of {', '.join(names)}")
    return " or ".join(parts)


def _matrix(workloads: t.Iterable[model.Workload]) -> t.Iterator[model.Matrix]:
    by_namespace: dict[str, Counter[str]] = {}
    for one in workloads:
        by_namespace.setdefault(one.namespace, Counter())[one.verdict] += 1
    for namespace, counts in sorted(by_namespace.items()):
        yield model.Matrix(namespace, tuple(counts[verdict] for verdict in VERDICTS))


# identities


def _identities(observed: Observed) -> t.Iterator[model.Identity]:
    """One for each managed identity, by whatever AzureIdentities, and for each other AzureIdentity."""
    inventory = observed.result(INVENTORY)
    rows: dict[str, list[Raw]] = {}
    for row in inventory.get("identities", ()):
        rows.setdefault(ways.identity(row).key, []).append(row)
    users = Counter(
        key for row in inventory.get("workloads", ()) for key in {ways.identity(each).key for each in row["identities"]}
    )
    known = inventory.get("assignments") is not None
    assigned = Counter(arm_id.normal(row["resource_id"]) for row in inventory.get("assigned", ()))
    carried = ways.carriers(observed)
    planned = {arm_id.normal(row["identity_id"]): row for row in observed.result(PLAN).get("identities", ())}
    for key, several in sorted(rows.items()):
        first, plan = several[0], planned.get(key, {})
        managed = first["type"] == USER_ASSIGNED
        yield model.Identity(
            id=first["resource_id"],
            name=ways.identity(first).name,
            client_id=first["client_id"],
            kind=_KINDS.get(first["type"], "identity"),
            names=tuple(sorted(f"{row['namespace']}/{row['name']}" for row in several)),
            workloads=users[key],
            assigned=assigned[key] if known and managed else None,
            scale_sets=None if carried is None else tuple(sorted(carried.get(key, {}).values())),
            credentials_used=plan.get("credentials_used"),
            credentials_free=plan.get("credentials_free"),
        )


def _assigned(observed: Observed, problems: t.Iterable[model.Problem]) -> t.Iterator[model.Assigned]:
    codes: dict[str, list[str]] = {}
    for one in problems:
        kind, _blank, name = one.object.partition(" ")
        if kind == "AzureAssignedIdentity":
            codes.setdefault(name, []).append(one.code)
    for row in observed.result(INVENTORY).get("assigned", ()):
        names = (f"{row['namespace']}/{row['name']}", row["name"])
        yield model.Assigned(
            name=names[0],
            pod=row["pod"],
            node=row["node"],
            identity=arm_id.last_segment(row["resource_id"]) or row["client_id"],
            deleting=row["deleting"],
            codes=tuple(code for name in names for code in codes.get(name, ())),
        )


def _token(row: Raw) -> model.Token:
    claims = row.get("claims") or {}
    return model.Token(
        namespace=row["namespace"],
        pod=row["pod"],
        node=row["node"],
        selector=row.get("selector", ""),
        service_account=row.get("service_account", ""),
        identity=row["identity"],
        path=row.get("path", ""),
        verdict=row["verdict"],
        message=row["message"],
        claims=tuple((name, str(claims[name])) for name in _CLAIMS if name in claims),
        link=link(row["verdict"]),
    )


# nodes


def _nodes(observed: Observed) -> t.Iterator[model.Node]:
    nodes = {row["name"]: row for row in observed.result(NODES).get("nodes", ())}
    nmi: dict[str, Raw] = {}
    for installation in observed.result(INSTALLATIONS).get("installations", ()):
        for row in installation["nodes"]:
            # Of several installations the one that serves the node.
            if row["node"] not in nmi or row["state"] == "active":
                nmi[row["node"]] = row
    rules = {row["node"]: row for row in observed.rows(RULES) if row.get("node")}
    for name in sorted({*nodes, *nmi, *rules}):
        node, state, rule = nodes.get(name, {}), nmi.get(name, {}), rules.get(name)
        yield model.Node(
            name=name,
            scale_set=node.get("scale_set_name", ""),
            ready=node.get("ready"),
            nmi=state.get("state") or node.get("nmi_state") or "",
            reason=state.get("reason", ""),
            rules="" if rule is None else _rules(rule),
        )


def _rules(row: Raw) -> str:
    """How it ended, with numbers where somebody looked."""
    parts = [f"{len(row[key])} {key}" for key in ("found", "removed", "left") if row.get(key)]
    reason = f": {row['reason']}" if row.get("reason") else ""
    return f"{row['outcome']}{f' ({spoken(parts)})' if parts else ''}{reason}"


# leftovers


def _residue(observed: Observed) -> t.Iterator[Raw]:
    """What pod identity left in the cluster; beside an installation that nobody removed only what does not go."""
    rows = [*observed.result(INVENTORY).get("residue", ()), *observed.result(LEFTOVERS).get("residue", ())]
    installed = any(row["code"] == _INSTALLED for row in rows) and REMOVAL not in observed.results
    for row in {(each["code"], each["object"]): each for each in rows}.values():
        of_installation = installed and (row["severity"] != ERROR or row["code"] == _INSTALLED)
        if row["code"] != _NOT_READ and not of_installation:
            yield row


def _leftovers(observed: Observed) -> t.Iterator[model.Leftover]:
    for row in _residue(observed):
        yield model.Leftover("cluster", row["object"], "left", row["message"], row["code"], link(row["code"]))
    if LEFTOVERS in observed.results:
        for row in observed.result(LEFTOVERS)["identities"]:
            if row["ownership"] not in _KEPT:
                yield model.Leftover(row["scale_set"], row["identity"], row["outcome"], row["why"], "", "")
    else:
        for place in observed.result(CARRIERS).get("resources", ()):
            for row in place["identities"]:
                if row["ownership"] not in _KEPT:
                    what = arm_id.last_segment(row["id"])
                    yield model.Leftover(place["name"], what, row["ownership"], row["ownership_because"], "", "")
    for row in observed.result(REMOVAL).get("audit", ()):
        if row["state"] in _LEFT:
            code = row.get("code") or ""
            yield model.Leftover(row["where"], row["what"], row["state"], row["reason"], code, link(code))


# migration


def _movers(observed: Observed) -> t.Iterator[model.Mover]:
    """Those of the plan, and those that only the phases of a run tell of."""
    stages = {row["workload"]: row for row in observed.rows(STAGES)}
    for row in observed.result(PLAN).get("templates", ()):
        label = ways.label(row)
        stage = stages.pop(label, {})
        yield model.Mover(
            label=label,
            namespace=row["namespace"],
            verdict=row["verdict"],
            uses=row["uses"].replace("_", " "),
            phase=stage.get("state", ""),
            next=stage.get("next", ""),
            why=stage.get("why", ""),
            blockers=tuple(
                model.Blocker(each["stage"], each["code"], each["object"], each["reason"], each["remedy"])
                for each in row["blocked"]
            ),
        )
    for label, stage in stages.items():
        yield model.Mover(label, namespace_of(label), "", "", stage["state"], stage["next"], stage["why"], ())


# what was not looked at


def _unread(observed: Observed) -> t.Iterator[model.Unread]:
    why, told = observed.failure or NOTHING_GIVEN, {source.key: source.what for source in SOURCES}
    for source in SOURCES:
        if source.key not in observed.results:
            yield model.Unread(source.key, source.what, observed.failures.get(source.key, why), source.needs)
    for row in grounds.unread_by_diagnosis(observed):
        yield model.Unread(DIAGNOSIS, row["what"], row["why"], row["needs"])
    for row in observed.result(PLAN).get("not_looked_at", ()):
        yield model.Unread(PLAN, row["what"], row["why"], row["needs"])
    for row in observed.result(INVENTORY).get("residue", ()):
        if row["code"] == _NOT_READ:
            yield model.Unread(INVENTORY, f"what is left of the kind {row['object']}", row["message"], row["remedy"])
    for key, name in ((INSTALLATIONS, "unread"), (CARRIERS, "unread"), (LEFTOVERS, "undetermined")):
        for sentence in observed.result(key).get(name, ()):
            yield model.Unread(key, told[key], sentence, "")
