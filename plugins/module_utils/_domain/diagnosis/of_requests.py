# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Causes that only an answer tells: requests for tokens that were made now in the place of pods, see ``asked_of_pods``.

An answer proves what it says. Why it is so is told by causes that concern the same pod, so that each of these here is
what is seen; where there is no other cause, what the answer says is the likeliest.
"""

from __future__ import annotations

import typing as t

from ..azure import aadsts
from ..commands import shell
from ..kubernetes.workloads import Workload
from ..tokens import token
from . import catalogue
from .cause import ERROR, PROBE, WARNING, Suspicion, Suspicions, Table
from .observed import NMI, Asked, Observed

TABLE = Table()
# Where the way to NMI, or NMI's own to what it asks, is what fails.
_OF_NODE = frozenset(
    ("raw_imds", "nmi_dead", "path_blocked", "no_answer", "pod_unknown", "server_error", "throttled", "stale_token")
)
# What to do for an answer without a token.
_STEPS: t.Mapping[str, str] = {
    "raw_imds": "let NMI run on the node, and take hostNetwork away from the pod.",
    "nmi_dead": "see whether NMI runs on the node; where it does, look for a firewall that rejects port 2579.",
    "path_blocked": "look for a NetworkPolicy, or a firewall rule of the node, that drops packets on the way to NMI.",
    "not_assigned": "compare the label aadpodidbinding of the pod with selector of its binding, and see that MIC runs.",
    "assignment_stuck": "read MIC's log and events; mostly its identity lacks a role.",
    "wrong_identity": "let the application ask for clientID of its AzureIdentity.",
    "identity_missing": "compare clientID and resourceID of the AzureIdentity with the identity in Azure.",
    "pod_unknown": "let NMI on the node reach the API server, and restart it.",
    "throttled": "ask again later, and look for what asks so often.",
    "unknown_responder": "take 169.254.169.254 out of the mesh or proxy that answers.",
}


@TABLE.cause(
    ERROR,
    "Do what the answer names; where nothing else is told of the pod, ask again after that (azureops.pod_identity."
    "pod_token_info).",
    told_by="The answer to a request in the place of a pod, which names an AADSTS code of Microsoft Entra ID.",
    sources=(PROBE,),
    symptom=True,
)
def refused_by_entra(observed: Observed) -> Suspicions:
    """Entra gives no token for the credential that is presented to it in the place of a pod."""
    for one in observed.asked:
        code = one.verdict.error_code
        if not code:
            continue
        refusal, by_exchange = aadsts.find(code), one.verdict.answered_by == token.PROXY
        holds = [f"AzureIdentity {each}" for each in one.identities]
        if by_exchange:
            holds = [f"ServiceAccount {one.namespace}/{one.service_account}"]
        holder = aadsts.SERVICE_ACCOUNT if by_exchange else aadsts.AZURE_IDENTITY
        remedy = refusal.remedy(holder, ", ".join(one.identities) or "the AzureIdentity") if refusal else ""
        yield _of_answer(
            observed,
            one,
            f"Entra refuses to give {one.pod_label} a token with {code}"
            + (f": {refusal.meaning}." if refusal else f"; see {aadsts.lookup(code.replace('AADSTS', ''))}."),
            *holds[:1],
            remedy=f"{remedy[0].upper()}{remedy[1:]}." if remedy else "",
            references=(refusal.source,) if refusal else (),
        )


@TABLE.cause(
    ERROR,
    "Compare the labels of the pod, its bindings, and clientID and tenantID of its AzureIdentity with the identity "
    "that it must get; mend first what else is told of the pod.",
    told_by="The answer to a request in the place of a pod: a token that is not the one that the pod must get, or that "
    "did not come the way that it must.",
    sources=(PROBE,),
    symptom=True,
)
def token_not_right(observed: Observed) -> Suspicions:
    """A pod gets a token of another identity, tenant or audience, an old one, or one that comes past NMI."""
    for one in _answers(observed):
        if _has_token(one):
            yield _of_answer(observed, one, f"{one.pod_label} does not get its token: {one.verdict.message}")


@TABLE.cause(
    WARNING,
    "Let the application name its client id, or use one selector per identity.",
    told_by="The answer to a request in the place of a pod whose application names no client id: a token of one of its "
    "identities.",
    sources=(PROBE,),
    symptom=True,
)
def token_by_chance(observed: Observed) -> Suspicions:
    """A pod gets a token of one of its identities, as chance has it, because its request names none."""
    for one in observed.asked:
        if one.verdict.verdict == token.AMBIGUOUS:
            yield _of_answer(observed, one, f"{one.pod_label} gets its token by chance: {one.verdict.message}")


@TABLE.cause(
    ERROR,
    "Mend first what else is told of the pod. Where that is nothing, read NMI's log on the node.",
    told_by="The answer to a request in the place of a pod, or that there is none.",
    sources=(PROBE,),
    symptom=True,
)
def no_token(observed: Observed) -> Suspicions:
    """A request for a token in the place of a pod is answered with none, or not at all."""
    for one in _answers(observed):
        if not _has_token(one):
            cause = f"{one.pod_label} gets no token: {one.verdict.message}"
            step = _STEPS.get(one.verdict.verdict, "")
            remedy = f"Mend first what else is told of the pod. Where that is nothing: {step}" if step else ""
            yield _of_answer(observed, one, cause, remedy=remedy, command=_log_of_nmi(observed, one.node))


def _log_of_nmi(observed: Observed, node: str) -> str:
    for one in observed.of(NMI):
        for pod in one.pods:
            if (pod.get("spec") or {}).get("nodeName") == node:
                name = str(pod["metadata"]["name"])
                return shell("kubectl", "--namespace", one.namespace, "logs", "--since=15m", name)
    return ""


def _answers(observed: Observed) -> t.Iterator[Asked]:
    """Those that are not right, beside refusals of Entra."""
    for one in observed.asked:
        if not one.verdict.error_code and one.verdict.verdict not in (token.OK, token.AMBIGUOUS):
            yield one


def _has_token(one: Asked) -> bool:
    """Whether a token came; its claims were compared then."""
    return bool(one.verdict.checks)


def _of_answer(
    observed: Observed,
    one: Asked,
    cause: str,
    label: str = "",
    *,
    remedy: str = "",
    command: str = "",
    references: tuple[str, ...] = (),
) -> Suspicion:
    labels = {one.pod_label, *(f"AzureIdentity {each}" for each in one.identities)}
    labels |= {workload.label for workload in _workloads(observed, one)}
    if one.verdict.verdict in _OF_NODE:
        labels.add(f"Node {one.node}")
    if one.verdict.answered_by == token.PROXY:
        labels.add(f"ServiceAccount {one.namespace}/{one.service_account}")
    return Suspicion(
        object=label or one.pod_label,
        symptom="",
        cause=cause,
        evidence=(one.evidence,),
        concerns=frozenset(labels),
        namespaces=frozenset({one.namespace}),
        remedy=remedy,
        command=command,
        references=(catalogue.address(one.verdict.verdict), *references),
    )


def _workloads(observed: Observed, one: Asked) -> t.Iterator[Workload]:
    for workload in observed.inventory.cluster.workloads:
        if any((pod.namespace, pod.name) == (one.namespace, one.pod) for pod in workload.pods):
            yield workload
