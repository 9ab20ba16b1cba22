# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is asked in the place of pods: a token as their applications ask for it, and what became of each request."""

from __future__ import annotations

import typing as t

from ..installation.workload_identity_webhook import CLIENT_ID
from ..kubernetes.workloads import Workload
from ..matching.matching import Pod, Raw
from ..tokens import mutation, token, token_questions
from ..tokens.probe_job import PROBE_LABEL, Target
from ..tokens.token_questions import Question
from .cause import PROBE
from .observed import Asked, Observed, Unread
from .scope import Scope, workload_in

# Of a namespace or a cluster, all of them at the same time.
MOST = token_questions.AT_ONCE
# The option of the module, and the variable of the playbook.
OPTION = "probe: true (-e pod_identity_diagnose_probe=true)"
_NEEDS = "a probe pod in their place, with the permissions of pod_token_info in their namespaces"


def questions(
    observed: Observed,
    scope: Scope,
    *,
    resource: str = token_questions.RESOURCE,
    image: str = token_questions.IMAGE,
) -> tuple[tuple[Question, ...], tuple[Unread, ...]]:
    """One for the workload that ``scope`` names; else one for each that gets an identity, ``MOST`` at most.

    And what is not asked although it is in ``scope``. Raises Failure where that names what does not exist.
    """
    unread: list[Unread] = []
    found: list[Pod] = []
    named = bool(scope.workload or scope.pod)
    several = (workload_in(observed, scope),) if named else observed.inventory.cluster.workloads
    for workload in several:
        if not named and (scope.namespace not in ("", workload.pod.namespace) or not _gets(observed, workload)):
            continue
        pod = _model(workload, scope.pod)
        if pod:
            found.append(pod)
        elif named or any(each.lives and not _is_probe(each) for each in workload.pods):
            what = f"the token of {scope.label if named else workload.label}"
            unread.append(Unread(PROBE, what, "no pod of it runs", "a pod that runs"))
    if len(found) > MOST:
        what = f"the tokens of {len(found) - MOST} further workloads"
        unread.append(Unread(PROBE, what, f"at most {MOST} are asked for", "a diagnosis of each namespace or workload"))
    return tuple(_question(observed, pod, resource, image) for pod in found[:MOST]), tuple(unread)


def _gets(observed: Observed, workload: Workload) -> bool:
    """Whether its requests to the metadata address are answered with a token of an identity of its own."""
    inventory = observed.inventory
    by_nmi = inventory.asks_nmi(workload) and bool(inventory.matches(workload))
    return by_nmi or any(mutation.has_proxy(_raw(observed, pod)) for pod in workload.pods if _runs(pod))


def _model(workload: Workload, name: str) -> Pod | None:
    """The pod in whose place it is asked."""
    fit = (pod for pod in workload.pods if _runs(pod) and name in ("", pod.name))
    return min(fit, key=lambda pod: pod.name, default=None)


def _runs(pod: Pod) -> bool:
    return pod.lives and pod.phase == "Running" and bool(pod.node) and not _is_probe(pod)


def _is_probe(pod: Pod) -> bool:
    """Whether a run that was killed left it, or another one asks with it now."""
    return PROBE_LABEL in pod.labels


def _question(observed: Observed, pod: Pod, resource: str, image: str) -> Question:
    """As the application asks: by the client id that it is told, or through the proxy of Workload ID."""
    raw, target = _raw(observed, pod), Target(pod.namespace, pod=pod.name)
    if mutation.has_proxy(raw) or (mutation.is_mutated(raw) and not pod.selector):
        expect = {"path": token.WORKLOAD_IDENTITY, "client_id": _annotated(observed, pod)}
        return Question(target, resource, expect=expect, image=image)
    told = mutation.client_ids(raw)
    return Question(target, resource, client_id=told[0] if len(told) == 1 else None, image=image)


def _annotated(observed: Observed, pod: Pod) -> str | None:
    """The client id of its service account."""
    for raw in observed.objects.get("ServiceAccount", ()):
        metadata = raw["metadata"]
        if (metadata.get("namespace"), metadata.get("name")) == (pod.namespace, pod.service_account):
            return str((metadata.get("annotations") or {}).get(CLIENT_ID) or "") or None
    return None


def _raw(observed: Observed, pod: Pod) -> Raw:
    return observed.pods.get((pod.namespace, pod.name), {})


def not_asked(several: t.Sequence[Question], why: str, needs: str = "") -> tuple[Unread, ...]:
    """Of questions that are not asked for one and the same reason."""
    if not several:
        return ()
    pods = [f"Pod {one.target.namespace}/{one.target.pod}" for one in several]
    what = f"the token of {pods[0]}" if len(pods) == 1 else f"the tokens of {len(pods)} pods, such as {pods[0]}"
    return (Unread(PROBE, what, why, needs or _NEEDS),)


def answered(
    several: t.Sequence[Question], answers: t.Sequence[token_questions.Asked]
) -> tuple[tuple[Asked, ...], tuple[Unread, ...]]:
    """The verdicts, and what has none."""
    found: list[Asked] = []
    silent: dict[str, list[Question]] = {}
    for question, answer in zip(several, answers):
        outcome = answer.outcome()
        if outcome.verdict.verdict == token.NOT_VERIFIED:
            silent.setdefault(outcome.verdict.message, []).append(question)
            continue
        place, target = outcome.shown.place, question.target
        asked = Asked(
            target.namespace,
            target.pod,
            place.node,
            outcome.verdict,
            identities=tuple(filter(None, answer.expected.identity.split(", "))),
            service_account=place.service_account,
        )
        found.append(asked)
    return tuple(found), tuple(one for why, those in silent.items() for one in not_asked(those, why))
