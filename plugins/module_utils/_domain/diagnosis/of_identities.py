# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Causes in AzureIdentities, bindings, Secrets and labels, beyond the findings of the inventory.

Texts of NMI are those of pkg/nmi/server/server.go, pkg/nmi/standard.go and pkg/nmi/managed.go, the same from 1.6.3 to
1.8.17.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ..commands import shell
from ..installation.workload_identity_webhook import CLIENT_ID, CLIENT_ID_VARIABLE
from ..kubernetes.workloads import TEMPLATES, Workload
from ..matching.matching import (
    ASSIGNED,
    CERTIFICATE,
    SELECTOR_LABEL,
    SERVICE_PRINCIPAL,
    AssignedIdentity,
    Identity,
    Pod,
    Raw,
    controller,
)
from ..names import listed
from ..suggestions import closest
from ..tokens import mutation, token
from .cause import (
    ERROR,
    LIKELY,
    LOGS,
    OBJECTS,
    PROBE,
    PROVED,
    WARNING,
    Evidence,
    Suspicion,
    Suspicions,
    Table,
)
from .labels import label_of
from .logs import Line
from .observed import NMI, Asked, Observed, said_by
from .shown import shown

TABLE = Table()

# pkg/apis/aadpodidentity/v1/types.go. ``metadata`` is in every spec and means nothing.
_FIELDS = {
    "AzureIdentity": (
        "type",
        "resourceID",
        "clientID",
        "clientPassword",
        "tenantID",
        "auxiliaryTenantIDs",
        "adResourceID",
        "adEndpoint",
        "replicas",
        "metadata",
    ),
    "AzureIdentityBinding": ("azureIdentity", "selector", "weight", "metadata"),
    "AzurePodIdentityException": ("podLabels", "metadata"),
}
_NOTHING: tuple[t.Any, ...] = (None, "", {}, [])
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MOST_COMPARED, _MOST_SHOWN = 100, 5
_WITH_CASE = (1, 6, 0)  # MIC and NMI from here on tell fields apart by case
_CERTIFICATE_KEY = "certificate"

_NAME = r"[a-z0-9.-]{1,253}"
_FULL = rf"{_NAME}/{_NAME}"
# pkg/nmi/server/server.go, msiHandler
_REFUSED = re.compile(rf"failed to get matching identities for pod: (?P<pod>{_FULL}), error: (?P<error>.*)", re.DOTALL)
_STATUS = re.compile(
    r"status \(\d{3}\) took (?P<time>\d{1,15}) ns for req\.method=\S{1,20} reg\.path=\S{1,500} "
    r"req\.remote=(?P<address>[\d.]{7,15})"
)
# pkg/nmi/standard.go, listPodIDsWithRetry: what the context of the request says when its client has gone.
_CANCELED = "context canceled"
# pkg/nmi/standard.go and managed.go, GetIdentities: at once.
_NOT_FOUND = re.compile(r"no azure identity found for request clientID (?P<asked>\S{0,80}(?: REDACTED \S{1,80})?)")
# pkg/nmi/standard.go, listPodIDsWithRetry: after 80 seconds.
_NOT_CREATED = re.compile(
    r"clientID in request: (?P<asked>\S{0,80}?(?: REDACTED \S{1,80}?)?), getting assigned identities for pod "
    rf"{_FULL} in CREATED state failed after .*",
    re.DOTALL,
)
_COLUMNS = "custom-columns=NAME:.metadata.name,CLIENT_ID:.spec.clientID"
_REDACTED = re.compile(r"(\S{4})##### REDACTED #####(\S{4})")  # pkg/utils/utils.go


@dataclass(frozen=True)
class _Asked:
    """What NMI answered a pod that exists. ``error``: of the last time; ``seconds``: it took, where that is known."""

    workload: Workload
    pod: Pod
    error: str
    evidence: Evidence
    count: int = 1
    seconds: float | None = None


# objects


@TABLE.cause(
    ERROR,
    "Write the field as MIC and NMI read it; letter case counts.",
    told_by="A field in the spec of an AzureIdentity, AzureIdentityBinding or AzurePodIdentityException, or in what "
    "kubectl applied, that is none of theirs and is like one that is not set.",
    references=("Azure/aad-pod-identity#175",),
)
def field_misspelled(observed: Observed) -> Suspicions:
    """A field of an object of AAD Pod Identity is not written as MIC and NMI read it, so that it counts as not set."""
    cased = observed.inventory.cluster.rules.version >= _WITH_CASE
    for kind, known in _FIELDS.items():
        for raw in observed.objects.get(kind, ()):
            spec, label = _spec(raw), label_of(raw, kind)
            written = {**_applied_spec(raw), **spec}
            # What somebody writes there has no bound but that of an object.
            unknown = sorted((key for key in written if key not in known), key=lambda key: key not in spec)
            meant = {key: _meant(key, known) for key in unknown[:_MOST_COMPARED]}
            wrong = {
                key: right
                for key, right in meant.items()
                if right and spec.get(right) in _NOTHING and (cased or key.lower() != right.lower())
            }
            if wrong:
                rights = dict.fromkeys(wrong.values())
                selectors = {str(written[key]) for key, right in wrong.items() if right == "selector"}
                yield Suspicion(
                    object=label,
                    symptom="Its pods get no identity, or not the one that it is meant to give.",
                    cause=" ".join(_unset(label, right, wrong) for right in rights),
                    evidence=tuple(
                        Evidence(label, f"{shown(key, 60)!r} in {where}, no {right} in spec")
                        for key, right in list(wrong.items())[:_MOST_SHOWN]
                        for where in ("spec" if key in spec else "what kubectl applied",)
                    ),
                    concerns=frozenset({label, *_selecting(observed, selectors)}),
                    command=_patch(kind, raw, _all_corrected(wrong, written, spec)),
                )


def _unset(label: str, right: str, wrong: t.Mapping[str, str]) -> str:
    keys = [repr(shown(key, 60)) for key, meant in wrong.items() if meant == right]
    return f"The field {right} of {label} is not set: it is written as {listed(keys, _MOST_SHOWN)}."


def _all_corrected(
    wrong: t.Mapping[str, str], written: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Any]
) -> t.Mapping[str, t.Any] | None:
    """None where the value of a field is not known for sure, or may be a secret."""
    found: dict[str, t.Any] = {}
    for key, right in wrong.items():
        part = _corrected(right, written[key], [key] if key in spec else [])
        if part is None or found.get(right, written[key]) != written[key]:
            return None
        found.update(part)
    return found


def _meant(key: str, known: t.Sequence[str]) -> str:
    """The field that ``key`` is a misspelling of; empty where it is none."""
    plain = {one.lower(): one for one in known if one != "metadata"}
    lowered = key.lower().replace("_", "").replace("-", "")
    return plain.get(lowered) or plain.get(closest(lowered, plain), "")


def _applied_spec(raw: Raw) -> t.Mapping[str, t.Any]:
    """What kubectl was given: the API server drops fields that the definition of the kind does not have."""
    try:
        spec = json.loads((raw["metadata"].get("annotations") or {}).get(_APPLIED, "{}")).get("spec")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return spec if isinstance(spec, dict) else {}


def _selecting(observed: Observed, selectors: t.Container[str]) -> t.Iterator[str]:
    for workload in observed.inventory.cluster.workloads:
        if workload.pod.selector and workload.pod.selector in selectors:
            yield workload.label


def _corrected(right: str, value: t.Any, wrong: t.Iterable[str]) -> t.Mapping[str, t.Any] | None:
    """The part of a spec that sets things right; None where the value may be a secret that was written there."""
    if right == "clientPassword":
        names = value if isinstance(value, dict) else {}
        if names.keys() != {"name", "namespace"} or not all(isinstance(one, str) for one in names.values()):
            return None
    return {right: value, **dict.fromkeys(wrong)}


@TABLE.cause(
    ERROR,
    "Make the Secret (type 1: the client secret under any one key; type 2: the certificate under the key certificate, "
    "its password under password), or name the right one in clientPassword.",
    told_by="clientPassword of an AzureIdentity of type 1 or 2 names no Secret, or one that does not exist.",
)
def secret_missing(observed: Observed) -> Suspicions:
    """The Secret with which NMI logs in for an identity (type 1 or 2) does not exist."""
    for raw, identity in _principals(observed):
        place, name = _reference(raw)
        if not place or not name:
            missing = " and ".join(what for what, there in (("name", name), ("namespace", place)) if not there)
            yield _of_secret(identity, f"Its clientPassword has no {missing} of a Secret.", "", _get(raw))
        elif _lacks(observed, place, name) and not _elsewhere(observed, raw):
            text = f"Its Secret {place}/{name} does not exist."
            yield _of_secret(identity, text, f"Secret {place}/{name}", _create(identity, place, name))


@TABLE.cause(
    ERROR,
    "Name the namespace of the Secret in clientPassword, or make the Secret in the namespace that it names.",
    told_by="clientPassword of an AzureIdentity names a Secret that does not exist, and there is one of that name in "
    "the namespace of the AzureIdentity, or of another one that was looked at.",
)
def secret_elsewhere(observed: Observed) -> Suspicions:
    """The Secret of an identity (type 1 or 2) is in another namespace than its clientPassword says."""
    for raw, identity in _principals(observed):
        place, name = _reference(raw)
        elsewhere = _elsewhere(observed, raw)
        if place and name and elsewhere:
            text = f"Its Secret {place}/{name} does not exist; there is one in {', '.join(elsewhere)}."
            patch = {"clientPassword": {"name": name, "namespace": elsewhere[0]}}
            command = _patch("AzureIdentity", raw, patch) if len(elsewhere) == 1 else ""
            yield _of_secret(identity, text, f"Secret {place}/{name}", command)


@TABLE.cause(
    ERROR,
    "Put the client secret (type 1, under one key alone) or the certificate (type 2, under the key certificate, its "
    "password under password) into the Secret.",
    told_by="The Secret of an AzureIdentity: without a key, with empty values only, or for type 2 without certificate.",
)
def secret_empty(observed: Observed) -> Suspicions:
    """The Secret of an identity (type 1 or 2) does not hold what NMI reads from it."""
    for raw, identity in _principals(observed):
        place, name = _reference(raw)
        keys = _keys(observed, place, name)
        if keys is None:
            continue
        if identity.type == CERTIFICATE and keys.get(_CERTIFICATE_KEY, True):
            what = "is empty" if _CERTIFICATE_KEY in keys else f"is missing (it has {_listed(keys)})"
            text = f"The key {_CERTIFICATE_KEY} of its Secret {place}/{name} {what}."
        elif identity.type == SERVICE_PRINCIPAL and all(keys.values()):
            text = f"Its Secret {place}/{name} holds nothing (it has {_listed(keys)})."
        else:
            continue
        # An empty key that stays beside the one of the command makes the Secret ambiguous.
        command = _create(identity, place, name, *keys) if len(keys) < 2 else ""
        yield _of_secret(identity, text, f"Secret {place}/{name}", command)


@TABLE.cause(
    ERROR,
    "Leave the one key in the Secret that holds the client secret.",
    told_by="The Secret of an AzureIdentity of type 1 with several keys.",
    references=("https://azure.github.io/aad-pod-identity/docs/concepts/azureidentity/",),
)
def secret_ambiguous(observed: Observed) -> Suspicions:
    """NMI takes any key of the Secret of a service principal, and there are several."""
    for raw, identity in _principals(observed):
        place, name = _reference(raw)
        keys = _keys(observed, place, name) or {}
        if identity.type == SERVICE_PRINCIPAL and len(keys) > 1 and not all(keys.values()):
            text = f"NMI takes any of the {len(keys)} keys of its Secret {place}/{name} ({_listed(keys)}) by chance."
            command = shell("kubectl", "--namespace", place, "describe", "secret", name)
            yield _of_secret(identity, text, f"Secret {place}/{name}", command)


@TABLE.cause(
    ERROR,
    "Set tenantID of the AzureIdentity to the tenant of its application.",
    told_by="An AzureIdentity of type 1 or 2 without tenantID.",
    references=("Azure/aad-pod-identity#74", "Azure/aad-pod-identity#148"),
)
def tenant_missing(observed: Observed) -> Suspicions:
    """An identity of type 1 or 2 names no tenant, so that Microsoft Entra ID answers NMI 404."""
    for raw, identity in _principals(observed):
        if not _spec(raw).get("tenantID"):
            label = label_of(raw, "AzureIdentity")
            yield Suspicion(
                object=label,
                symptom="NMI answers its pods 403 with: Refresh request failed. Status Code = '404'.",
                cause=f"{label} is a service principal (type {identity.type}) without tenantID.",
                evidence=(Evidence(label, f"type {identity.type}, no tenantID in spec"),),
                concerns=frozenset({label}),
                command=_merge(identity.namespace, "azureidentity", identity.name)
                + ' "{\\"spec\\":{\\"tenantID\\":\\"$(az account show --query tenantId --output tsv)\\"}}"',
            )


def _of_secret(identity: Identity, text: str, secret: str, command: str) -> Suspicion:
    label = f"AzureIdentity {identity.namespace}/{identity.name}"
    return Suspicion(
        object=label,
        symptom="NMI answers its pods 403: it gets no token for the service principal.",
        cause=text,
        evidence=(Evidence(secret or label, text),),
        certainty=PROVED,
        concerns=frozenset({label, *([secret] if secret else [])}),
        command=command,
    )


def _principals(observed: Observed) -> t.Iterator[tuple[Raw, Identity]]:
    for raw in observed.objects.get("AzureIdentity", ()):
        identity = Identity.parse(raw)
        if identity.type in (SERVICE_PRINCIPAL, CERTIFICATE):
            yield raw, identity


def _reference(raw: Raw) -> tuple[str, str]:
    """Namespace and name of the Secret that an AzureIdentity names; empty what it does not name."""
    named = _spec(raw).get("clientPassword")
    named = named if isinstance(named, dict) else {}
    return str(named.get("namespace") or ""), str(named.get("name") or "")


def _lacks(observed: Observed, place: str, name: str) -> bool:
    """Whether there is no such Secret, as opposed to one that could not be read."""
    if observed.secrets is None or f"Secret {place}/{name}" in observed.unknown:
        return False
    return (place, name) not in observed.secrets


def _keys(observed: Observed, place: str, name: str) -> t.Mapping[str, bool] | None:
    """Its keys, and whether each is empty; None where there is no such Secret, or where it was not read."""
    return (observed.secrets or {}).get((place, name))


def _elsewhere(observed: Observed, raw: Raw) -> list[str]:
    """Namespaces of Secrets of the name that an AzureIdentity names, where the Secret itself does not exist.

    Its own namespace alone, where there is one.
    """
    place, name = _reference(raw)
    if observed.secrets is None or not _lacks(observed, place, name):
        return []
    found = sorted(where for where, what in observed.secrets if what == name)
    own = str(raw["metadata"].get("namespace", ""))
    return [own] if own in found else found


def _create(identity: Identity, place: str, name: str, key: str = "clientSecret") -> str:
    """Makes the Secret anew, and shows the secret to nobody. Nothing for a certificate, whose file is not known."""
    if identity.type == CERTIFICATE:
        return ""
    create = shell(
        *("kubectl", "--namespace", place, "create", "secret", "generic", name, f"--from-file={key}=/dev/stdin")
    )
    apply = "--dry-run=client --output yaml | kubectl apply --filename -"
    return f'read -rs secret && printf %s "$secret" | {create} {apply}'


def _listed(keys: t.Iterable[str]) -> str:
    return ", ".join(sorted(map(repr, keys))) or "no key"


@TABLE.cause(
    ERROR,
    "Move the label aadpodidbinding into the template of the pods (spec.template.metadata.labels).",
    told_by="The label on a Deployment or its like with a value that a binding selects there, and neither on its "
    "template nor on its pods.",
    references=("https://azure.github.io/aad-pod-identity/docs/demo/standard_walkthrough/",),
)
def label_not_on_template(observed: Observed) -> Suspicions:
    """The label aadpodidbinding is on a workload instead of on the template of its pods, so its pods lack it."""
    workloads = {(one.kind, one.pod.namespace, one.name): one for one in observed.inventory.cluster.workloads}
    for kind in TEMPLATES:
        for raw in observed.objects.get(kind, ()):
            metadata = raw["metadata"]
            one = workloads.get((kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))))
            wanted = _label_outside(raw)
            if one is None or not wanted or controller(raw)[0] or one.pod.selector:
                continue
            if any(pod.selector for pod in one.pods) or not observed.inventory.matching.matches(
                one.pod.namespace, wanted
            ):
                continue
            yield Suspicion(
                object=one.label,
                symptom="Its pods get no identity, and no AzureAssignedIdentity is made for them.",
                cause=f"The label {SELECTOR_LABEL}={wanted} is on {one.label} and not on the template of its pods.",
                evidence=(Evidence(one.label, f"metadata.labels has {SELECTOR_LABEL}={wanted}, its template has not"),),
                concerns=frozenset({one.label, *(pod.label for pod in one.pods)}),
                command=_label_template(kind, one, wanted),
            )


def _label_outside(raw: Raw) -> str:
    """The label's value on the object, or on the Jobs of a CronJob."""
    jobs = ((raw.get("spec") or {}).get("jobTemplate") or {}).get("metadata") or {}
    for labels in (raw["metadata"].get("labels"), jobs.get("labels")):
        value = str((labels or {}).get(SELECTOR_LABEL) or "")
        if value:
            return value
    return ""


def _label_template(kind: str, workload: Workload, value: str) -> str:
    """Nothing for a Job, whose template cannot be changed."""
    if kind == "Job":
        return ""
    template: dict[str, t.Any] = {"spec": {"template": {"metadata": {"labels": {SELECTOR_LABEL: value}}}}}
    body = {"spec": {"jobTemplate": template}} if kind == "CronJob" else template
    return _merge(workload.pod.namespace, kind, workload.name, body)


# what NMI's log tells


@TABLE.cause(
    WARNING,
    "If it is to have an identity, put the label aadpodidbinding into the template of its pods; if not, let it not ask "
    "for one, or use another way to log in.",
    told_by="NMI's log: a pod that has no label aadpodidbinding asks for tokens.",
    sources=(OBJECTS, LOGS),
    references=("Azure/aad-pod-identity#799",),
)
def unlabelled_pod_asks(observed: Observed) -> Suspicions:
    """A pod without the label asks NMI for a token, and waits 80 seconds for an answer that cannot be a token."""
    for one in _last_of_workloads(observed, lambda asked: not asked.pod.selector):
        yield Suspicion(
            object=one.workload.label,
            symptom="It starts slowly, and its requests for tokens end with 404 or a timeout.",
            cause=f"Its pod {one.pod.name} asks NMI for tokens ({_often(one)}) and has no label {SELECTOR_LABEL}.",
            evidence=(one.evidence,),
            certainty=LIKELY,
            concerns=_pods(one.workload),
            command=shell("kubectl", "--namespace", one.pod.namespace, "get", "azureidentitybindings"),
        )


@TABLE.cause(
    WARNING,
    "Let the application wait 100 seconds for its first token, or ask again; NMI holds the answer back until MIC has "
    "assigned the identity.",
    told_by="NMI's log: the client of a labelled pod has gone before NMI answered.",
    sources=(OBJECTS, LOGS),
    references=("Azure/aad-pod-identity#556", "Azure/aad-pod-identity#773"),
    symptom=True,
)
def client_timeout_short(observed: Observed) -> Suspicions:
    """An application gives up before NMI answers, which waits up to 100 seconds for MIC."""
    for one in _last_of_workloads(observed, lambda asked: bool(asked.pod.selector) and asked.error == _CANCELED):
        after = "" if one.seconds is None else f" after {one.seconds:.0f} seconds"
        states = {live.state for live in _assigned(observed, one.pod)}
        now = "which is assigned now" if states == {ASSIGNED} else "which is not assigned"
        yield Suspicion(
            object=one.workload.label,
            symptom="Requests for tokens of new pods time out.",
            cause=f"Its pod {one.pod.name} gave up{after} ({_often(one)}) while it waited for its identity, {now}.",
            evidence=(one.evidence,),
            certainty=LIKELY,
            concerns=_pods(one.workload),
        )


@TABLE.cause(
    ERROR,
    "Let the application ask with the client id exactly as clientID of one of its AzureIdentities, or without one; or "
    "bind an AzureIdentity that has this client id.",
    told_by="NMI's log: a pod asked with a client id that none of its identities has letter by letter; proved where "
    "AZURE_CLIENT_ID of the pod is that client id. Or NMI's answer to a request for that client id in place of the "
    "pod.",
    sources=(OBJECTS, LOGS, PROBE),
    references=("Azure/azure-workload-identity#1270", "Azure/aad-pod-identity#629"),
)
def client_id_unknown_to_nmi(observed: Observed) -> Suspicions:
    """An application asks NMI for a client id that none of the identities of its pod has."""
    answers = _answers(observed)
    for one in _last_of_workloads(observed, lambda asked: bool(asked.pod.selector) and _unknown(observed, asked)):
        asked = _asked_for(one.error)
        own = _identities(observed, one.pod)
        same = [each for each in own if _is_like(each.client_id, asked)]
        given, who = _whose(observed, one, asked)
        certain = given and all(given != each.client_id for each in own)
        if not asked:
            why = "by a resource id that none of its identities has"
        elif same and (not given or given.lower() == same[0].client_id.lower()):
            why = f"for {given or _readable(asked)}, which is written in another case"
        else:
            why = f"for {given or _readable(asked)}{who}, which none of its identities has"
        answer = answers.pop(one.workload.label, None)
        evidence = (one.evidence, *(_told(one.pod, given) if given else ()), *([answer.evidence] if answer else ()))
        cause = f"{one.pod.label} ({one.workload.kind} {one.workload.name}) asks NMI {why}; it has {_client_ids(own)}."
        yield _asks_for_another(one.workload, own, cause, evidence, certain=bool(certain or answer))
    for workload in observed.inventory.cluster.workloads:
        answer = answers.get(workload.label)
        own = _identities(observed, workload.pod) if answer else []
        if answer and own:
            given = ", ".join(mutation.client_ids(observed.pods.get((answer.namespace, answer.pod), {})))
            cause = f"Its pod {answer.pod} is told to ask NMI for {given or 'a client id'}; it has {_client_ids(own)}."
            yield _asks_for_another(workload, own, cause, (answer.evidence,), certain=True)


def _asks_for_another(
    workload: Workload, own: t.Sequence[Identity], cause: str, evidence: tuple[Evidence, ...], *, certain: bool
) -> Suspicion:
    return Suspicion(
        object=workload.label,
        symptom="NMI answers 404: no azure identity found for request clientID.",
        cause=cause,
        evidence=evidence,
        certainty=PROVED if certain else LIKELY,
        concerns=_pods(workload),
        command=shell("kubectl", "--namespace", own[0].namespace, "get", "azureidentities", "--output", _COLUMNS),
    )


def _answers(observed: Observed) -> dict[str, Asked]:
    """Answers of NMI that a pod has no identity with the client id that was asked for, by the label of its workload."""
    makers = {(pod.namespace, pod.name): one.label for one in observed.inventory.cluster.workloads for pod in one.pods}
    found = {}
    for one in observed.asked:
        # Where there are checks, a token came, and it is of another identity.
        refused = one.verdict.verdict == "wrong_identity" and not one.verdict.checks
        if refused and one.verdict.answered_by == token.NMI and (one.namespace, one.pod) in makers:
            found[makers[one.namespace, one.pod]] = one
    return found


def _told(pod: Pod, given: str) -> tuple[Evidence, ...]:
    return (Evidence(pod.label, f"{CLIENT_ID_VARIABLE} is {given!r}"),)


def _unknown(observed: Observed, one: _Asked) -> bool:
    """Whether the answer is for what was asked for, rather than for an assignment that is late or never comes."""
    own = _identities(observed, one.pod)
    if _NOT_FOUND.fullmatch(one.error):
        return bool(own)
    late = _NOT_CREATED.fullmatch(one.error)
    return late is not None and bool(own) and not any(_is_like(each.client_id, late["asked"]) for each in own)


def _asked_for(error: str) -> str:
    """As NMI shows it: ``1234##### REDACTED #####5678``; empty where it was asked for a resource id."""
    found = _NOT_FOUND.fullmatch(error) or _NOT_CREATED.fullmatch(error)
    return found["asked"] if found else ""


def _readable(asked: str) -> str:
    """Its first and last letters, where NMI shows no more."""
    found = _REDACTED.fullmatch(asked.replace("redacted", "REDACTED"))
    return f"client id {found[1]}...{found[2]} (shortened by NMI)" if found else asked


def _is_like(client_id: str, asked: str) -> bool:
    """Whether what NMI shows may be the client id, whatever its case."""
    shown = _REDACTED.fullmatch(asked.lower().replace("redacted", "REDACTED"))
    lowered = client_id.lower()
    if shown is None:
        return bool(asked) and lowered == asked.lower()
    return len(lowered) >= 8 and lowered[:4] == shown[1] and lowered[-4:] == shown[2]


def _whose(observed: Observed, one: _Asked, asked: str) -> tuple[str, str]:
    """What the pod is told to ask for, where that is like ``asked``, and whose client id is like that."""
    values = mutation.client_ids(observed.pods.get((one.pod.namespace, one.pod.name), {}))
    given = next((value for value in values if _is_like(value, asked)), "")
    for raw in observed.objects.get("ServiceAccount", ()):
        metadata = raw["metadata"]
        if (metadata.get("namespace"), metadata.get("name")) == (one.pod.namespace, one.pod.service_account):
            if _is_like(str((metadata.get("annotations") or {}).get(CLIENT_ID, "")), asked):
                return given, f" (of its service account {one.pod.service_account}, for Workload ID)"
    others = [each for each in observed.inventory.cluster.identities if _is_like(each.client_id, asked)]
    return given, f" (of AzureIdentity {others[0].namespace}/{others[0].name})" if others else ""


def _last_of_workloads(observed: Observed, concerns: t.Callable[[_Asked], bool]) -> list[_Asked]:
    """One for each workload: the last that ``concerns`` takes, with the number of them."""
    found: dict[str, _Asked] = {}
    for one in _refused(observed):
        if concerns(one):
            before = found.get(one.workload.label)
            count = before.count + 1 if before else 1
            found[one.workload.label] = _Asked(one.workload, one.pod, one.error, one.evidence, count, one.seconds)
    return list(found.values())


def _refused(observed: Observed) -> t.Iterator[_Asked]:
    """Answers of NMI to pods that exist, by the logs in their order."""
    makers = {pod.place: (one, pod) for one in observed.inventory.cluster.workloads for pod in one.pods}
    for log in observed.logs_of(NMI):
        for place, line in enumerate(log.lines):
            found = _REFUSED.fullmatch(line.text)
            maker = makers.get(found["pod"]) if found else None
            if found and maker:
                workload, pod = maker
                seconds = _took(log.lines[place + 1 : place + 20], pod)
                yield _Asked(workload, pod, found["error"], said_by(log, line), seconds=seconds)


def _took(lines: t.Iterable[Line], pod: Pod) -> float | None:
    """How long a request of the pod took, by the line that NMI writes after it."""
    for line in lines:
        found = _STATUS.fullmatch(line.text)
        if found and pod.ip and found["address"] == pod.ip:
            return int(found["time"]) / 1e9
    return None


def _identities(observed: Observed, pod: Pod) -> list[Identity]:
    matches = observed.inventory.matching.matches(pod.namespace, pod.selector)
    return [pair.identity for match in matches for pair in match.choices]


def _assigned(observed: Observed, pod: Pod) -> list[AssignedIdentity]:
    return [one for one in observed.inventory.cluster.assigned or () if pod.place == f"{one.pod_namespace}/{one.pod}"]


def _pods(workload: Workload) -> frozenset[str]:
    return frozenset({workload.label, *(pod.label for pod in workload.pods)})


def _client_ids(own: t.Iterable[Identity]) -> str:
    return ", ".join(f"{each.client_id} ({each.namespace}/{each.name})" for each in own)


def _often(one: _Asked) -> str:
    return "once" if one.count == 1 else f"{one.count} times"


def _spec(raw: Raw) -> t.Mapping[str, t.Any]:
    spec = raw.get("spec")
    return spec if isinstance(spec, dict) else {}


def _get(raw: Raw) -> str:
    place, name = (str(raw["metadata"].get(key, "")) for key in ("namespace", "name"))
    return shell("kubectl", "--namespace", place, "get", "azureidentity", name, "--output", "yaml")


def _patch(kind: str, raw: Raw, spec: t.Mapping[str, t.Any] | None) -> str:
    if spec is None:
        return ""
    place, name = (str(raw["metadata"].get(key, "")) for key in ("namespace", "name"))
    return _merge(place, kind, name, {"spec": spec})


def _merge(place: str, kind: str, name: str, *patch: t.Mapping[str, t.Any]) -> str:
    """Without ``patch`` up to where it is to stand."""
    words = ("kubectl", "--namespace", place, "patch", kind.lower(), name, "--type", "merge", "--patch")
    return shell(*words, *(json.dumps(each, separators=(",", ":")) for each in patch))
