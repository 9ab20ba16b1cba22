# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Causes on the way of Workload ID: webhook, labels, service accounts, federated credentials.

The webhook mutates a pod when it is created, if the pod itself has the label; its service account tells the client id.
Entra then takes the token of the service account for one of the identity, if a federated credential of that names the
cluster's issuer, the service account and the audience, each letter by letter.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace
from datetime import timedelta

from .. import suggestions
from ..azure import arm_id
from ..azure.federated import Credential, Holder, service_account, spelled
from ..commands import shell
from ..installation import nmi, workload_identity_webhook
from ..installation.workload_identity_webhook import (
    AUDIENCE,
    BINDING_MARK,
    CLIENT_ID,
    CLIENT_ID_VARIABLE,
    PROXY_ANNOTATION,
    PROXY_CONTAINER,
    PROXY_INIT_CONTAINER,
    TOKEN_FILE_VARIABLE,
    TOKEN_PATH,
    USE_LABEL,
    Webhook,
)
from ..kubernetes import sources
from ..kubernetes.objects import annotations_of, labels_of
from ..kubernetes.sources import Source
from ..matching.inventory import subject
from ..matching.matching import USER_ASSIGNED, Pod, Raw, controller
from ..moments import lately, moment, written
from ..tokens import mutation
from .cause import (
    AZURE,
    ERROR,
    EVENTS,
    LIKELY,
    LOGS,
    OBJECTS,
    POSSIBLE,
    PROVED,
    WARNING,
    Evidence,
    Suspicion,
    Suspicions,
    Table,
)
from .crashes import OF_WEBHOOK, crash_of, crashed, last_words
from .labels import label_of
from .observed import WEBHOOK, Component, Observed

TABLE = Table()
_DOCS = "https://azure.github.io/azure-workload-identity/docs/"
_LABELS = f"{_DOCS}topics/service-account-labels-and-annotations.html"
_CREDENTIALS = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations"
_NOT_CALLED = re.compile(rf'failed calling webhook "{re.escape(workload_identity_webhook.NAME)}"')
_RESTARTED = ("Deployment", "StatefulSet", "DaemonSet")
_MAKERS = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job")
_OTHER_CLUSTER = "issuer, that of another cluster"
_NATIVE_SIDECAR_SINCE = (1, 5, 0)
_SECURITY_LABEL, _CONFINED = "pod-security.kubernetes.io/enforce", ("baseline", "restricted")
# After the time that a pod had to end, its kubelet kills what still runs.
_TO_END = timedelta(minutes=1)
# What AppAuthentication reads, and the parts of its value that name something else than a managed identity.
_OLD_VARIABLE = "AzureServicesAuthConnectionString"
_OWN_CREDENTIAL = re.compile(r"AppKey|Certificate|Developer|CurrentUser", re.IGNORECASE)
# What the webhook itself puts beside the containers of a pod.
_INJECTED = (PROXY_CONTAINER, PROXY_INIT_CONTAINER)


@TABLE.cause(
    ERROR,
    "Install the webhook: az aks update --enable-oidc-issuer --enable-workload-identity, or its chart.",
    told_by="Workloads with the label azure.workload.identity/use, and no MutatingWebhookConfiguration of Workload ID.",
    references=(f"{_DOCS}installation/mutating-admission-webhook.html",),
)
def webhook_missing(observed: Observed) -> Suspicions:
    """Pods are labelled for Workload ID, and its webhook is not installed."""
    using = [one for one in _users(observed) if not one.provides_itself]
    if using and "MutatingWebhookConfiguration" in observed.objects and not _webhooks(observed):
        yield Suspicion(
            object="the Workload ID webhook",
            symptom="Pods have no token of Workload ID; their library falls back to NMI or the metadata service.",
            cause="No MutatingWebhookConfiguration of Workload ID is in the cluster.",
            evidence=tuple(Evidence(one.label, f"It has the label {USE_LABEL}.") for one in using[:5]),
            concerns=_concerns(using),
        )


@TABLE.cause(
    ERROR,
    "Bring the webhook to run: see the events and the log of its pods; restart afterwards what was created without it.",
    told_by="The webhook's configuration beside the Deployment and pods that serve it, its caBundle, and events about "
    "what lacks pods that say it could not be called; why it ends again and again, by its log before and after the "
    "restart.",
    sources=(OBJECTS, EVENTS, LOGS),
)
def webhook_not_running(observed: Observed) -> Suspicions:
    """Nothing serves the Workload ID webhook.

    With the failure policy Fail no labelled pod is created meanwhile, with Ignore each is created without its token.
    """
    using = _users(observed)
    for one in _webhooks(observed) if using and "Deployment" in observed.objects else ():
        serving = [each for each in observed.of(WEBHOOK) if each.namespace == one.namespace]
        pods = [pod for each in serving for pod in each.pods]
        name, certainty = (serving[0].label if serving else one.label), PROVED
        failed, ending = _failed_calls(observed), _ending(observed, serving)
        if not one.service:
            continue
        if not serving:
            why = f"no Deployment of it is in the namespace {one.namespace}"
        elif not _serves(observed, pods):
            why = f"none of its {len(pods)} pods is Ready, or stays so" if pods else "it has no pod"
            if ending and ending.why:
                # That it ends is proved by its state; why, by what its log says, is not.
                why, certainty = f"{why}, because {ending.why}", LIKELY
        elif not one.bundle:
            name, why = one.label, "its configuration has no caBundle, which the webhook writes when it starts"
        elif failed:
            why, certainty = "the API server could not call it a short time ago", LIKELY
        else:
            continue
        yield Suspicion(
            object=name,
            symptom="Labelled pods are not created." if one.fails else "Labelled pods are created without a token.",
            cause=f"The Workload ID webhook does not serve: {why}.",
            evidence=(Evidence(name, f"{why[0].upper()}{why[1:]}."), *(ending.evidence if ending else ()), *failed[:3]),
            certainty=certainty,
            concerns=_concerns(each for each in using if _is_covered(observed, one, each) is not False),
            remedy=ending.remedy if ending else "",
            command=ending.command
            if ending
            else shell("kubectl", "describe", "deployments,pods", "--namespace", one.namespace),
        )


@dataclass(frozen=True)
class _Ending:
    """A webhook that ends again and again. ``why`` and ``remedy``: as its log says, '' where that says nothing."""

    why: str
    remedy: str
    evidence: tuple[Evidence, ...]
    command: str


def _serves(observed: Observed, pods: t.Iterable[Raw]) -> bool:
    """One that ends again and again is Ready for a moment only."""
    return any(nmi.is_ready(pod) and not crash_of(pod, observed) for pod in pods)


def _ending(observed: Observed, serving: t.Sequence[Component]) -> _Ending | None:
    """Only where no pod serves: one of several is no failure."""
    if _serves(observed, [pod for each in serving for pod in each.pods]):
        return None
    for each in serving:
        for reason, crashes in crashed(observed, each, OF_WEBHOOK):
            evidence = (crashes[0].evidence, *last_words(observed, each, reason, crashes))
            namespace, pod = sources.place(crashes[0].pod)
            command = shell("kubectl", "--namespace", namespace, "logs", "--previous", pod)
            return _Ending(reason.cause, reason.remedy, evidence, command)
    return None


@TABLE.cause(
    ERROR,
    'Put the label azure.workload.identity/use: "true" under spec.template.metadata.labels and roll out.',
    told_by="The label elsewhere than among the labels of the pod template: on the workload, among annotations, with "
    "another value, or on the service account alone. Where only the service account has the client id, that is "
    "possible only, and not told of pods that still have aadpodidbinding. Nothing is told where all pods have "
    "AZURE_FEDERATED_TOKEN_FILE.",
    references=(_LABELS,),
)
def label_missing_on_template(observed: Observed) -> Suspicions:
    """The label for Workload ID is not on the pods, where alone it counts, so the webhook leaves them as they are."""
    accounts, using = _accounts(observed) or {}, _users(observed)
    served = {(one.workload.pod.namespace, one.workload.pod.service_account) for one in using}
    for one in _all(observed):
        pod = one.workload.pod
        if pod.labels.get(USE_LABEL) == "true" or one.provides_itself or one.has_token:
            continue
        account = accounts.get((pod.namespace, pod.service_account), {})
        # Pods that are still served by NMI need no label yet, and of those that share an account not all need a token.
        by_account = not pod.selector and pod.service_account != "default"
        by_account = by_account and (pod.namespace, pod.service_account) not in served
        marks = _marks(one, account if by_account else {})
        if not marks and not (by_account and annotations_of(account).get(CLIENT_ID)):
            continue
        where = f"ServiceAccount {pod.namespace}/{pod.service_account}"
        yield Suspicion(
            object=one.label,
            symptom="Its pods have no token of Workload ID; their library falls back to NMI or the metadata service.",
            cause=f"The pod template of {one.label} lacks the label {USE_LABEL} with the value true.",
            evidence=tuple(marks) or (Evidence(where, f"It has the annotation {CLIENT_ID}."),),
            certainty=PROVED if marks else POSSIBLE,
            concerns=_concerns([one]),
            command=_patch(one, {"labels": {USE_LABEL: "true"}}),
        )


def _marks(one: _User, account: Raw) -> list[Evidence]:
    """Where the label is that ought to be on the template."""
    pod = one.workload.pod
    found = []
    if USE_LABEL in pod.labels:
        found.append(Evidence(one.label, f"The value of the label is {pod.labels[USE_LABEL]!r} instead of 'true'."))
    if USE_LABEL in annotations_of(one.template):
        found.append(Evidence(one.label, f"{USE_LABEL} is among the annotations of the template."))
    if one.raw is not one.template and USE_LABEL in labels_of(one.raw):
        found.append(Evidence(one.label, "The label is on the workload itself."))
    if not found and USE_LABEL in labels_of(account):
        label = f"ServiceAccount {pod.namespace}/{pod.service_account}"
        found.append(Evidence(label, "The label is on the service account, where it does not count any more."))
    return found


@TABLE.cause(
    ERROR,
    "Create the service account with the annotation azure.workload.identity/client-id.",
    told_by="The service account that a labelled pod template names is not in its namespace.",
)
def service_account_missing(observed: Observed) -> Suspicions:
    """A workload for Workload ID names a service account that does not exist, so none of its pods is created."""
    accounts = _accounts(observed)
    if accounts is None:
        return
    for one in _users(observed):
        place = (one.workload.pod.namespace, one.workload.pod.service_account)
        if place not in accounts:
            yield Suspicion(
                object=f"ServiceAccount {'/'.join(place)}",
                symptom="Pods of the workload are not created.",
                cause=f"{one.label} names the service account {'/'.join(place)}, which does not exist.",
                evidence=(Evidence(one.label, f"Its service account is {place[1]}."),),
                concerns=_concerns([one]),
            )


@TABLE.cause(
    WARNING,
    "Annotate the service account with azure.workload.identity/client-id and restart the workload.",
    told_by="A service account without the annotation, and containers that set no AZURE_CLIENT_ID of their own.",
    references=(_LABELS,),
)
def client_id_not_annotated(observed: Observed) -> Suspicions:
    """The service account of a workload for Workload ID has no client id, and its containers set none."""
    accounts = _accounts(observed)
    if accounts is None:
        return
    for one in _users(observed):
        pod = one.workload.pod
        account = accounts.get((pod.namespace, pod.service_account))
        empty = [each for each in one.pods if _values(each, CLIENT_ID_VARIABLE) == {""}]
        told = _sets(one.template, CLIENT_ID_VARIABLE) and not (one.made_by_hand and empty)
        if account is None or annotations_of(account).get(CLIENT_ID) or told:
            continue
        label = f"ServiceAccount {pod.namespace}/{pod.service_account}"
        yield Suspicion(
            object=label,
            symptom="A request that names no client id fails.",
            cause=f"{label} has no client id for the pods of {one.label}.",
            evidence=(
                Evidence(label, f"It has no annotation {CLIENT_ID}."),
                *(Evidence(label_of(each), f"{CLIENT_ID_VARIABLE} is empty.") for each in empty[:3]),
            ),
            certainty=PROVED if empty else POSSIBLE,
            concerns=_concerns([one]),
        )


@TABLE.cause(
    ERROR,
    "Restart the workload, so that the webhook sees its pods.",
    told_by="A living pod without AZURE_FEDERATED_TOKEN_FILE in a container of its template that is not skipped, in "
    "any container where the template is not known, or one with another client id than its service account tells now.",
    references=(_LABELS,),
    symptom=True,
)
def pod_not_mutated(observed: Observed) -> Suspicions:
    """A pod that is to use Workload ID was created without the webhook, or before its service account was ready."""
    accounts = _accounts(observed) or {}
    for one in _users(observed):
        account = accounts.get((one.workload.pod.namespace, one.workload.pod.service_account), {})
        found = [(each, why) for each in one.pods for why in (_why_not_mutated(one, each, account),) if why]
        if found:
            restarts = one.workload.kind in _RESTARTED
            place = (f"{one.workload.kind.lower()}/{one.workload.name}", "--namespace", one.workload.pod.namespace)
            yield Suspicion(
                object=one.label,
                symptom="Its pods have no token of Workload ID, or one of another identity.",
                cause=f"{len(found)} of {len(one.pods)} pods of {one.label} are not as the webhook makes them now.",
                evidence=tuple(Evidence(label_of(each), why) for each, why in found[:5]),
                concerns=_concerns([one]),
                command=shell("kubectl", "rollout", "restart", *place) if restarts else "",
            )


def _why_not_mutated(one: _User, pod: Raw, account: Raw) -> str:
    mutated = mutation.is_mutated(pod)
    if labels_of(pod).get(USE_LABEL) != "true" and not mutated:
        return "It lacks the label that the template has."
    # Other webhooks may add containers after this one: only a template tells which.
    names = {each.get("name") for each in _containers(one.template)}
    lacking = [name for name in _lacking(pod, TOKEN_FILE_VARIABLE) if name in names]
    if lacking and not (one.made_by_hand and mutated):
        return f"{TOKEN_FILE_VARIABLE} is not set in {', '.join(lacking)}."
    told, wanted = _values(pod, CLIENT_ID_VARIABLE), str(annotations_of(account).get(CLIENT_ID) or "")
    own = one.made_by_hand or _sets(one.template, CLIENT_ID_VARIABLE)
    if wanted and told != {wanted} and not own and names:
        given = ", ".join(map(repr, sorted(told))) or "not set"
        return f"{CLIENT_ID_VARIABLE} is {given}, its service account says {wanted}."
    return ""


@TABLE.cause(
    ERROR,
    "Move the workload to a namespace that the webhook covers.",
    told_by="The labels of the namespace beside the namespaceSelector of the webhook's configuration, to which AKS "
    "adds that namespaces with the label control-plane are left out.",
)
def namespace_excluded(observed: Observed) -> Suspicions:
    """The Workload ID webhook leaves out the namespace of a workload that is labelled for it."""
    webhooks = _webhooks(observed)
    for one in _users(observed) if webhooks else ():
        if not one.provides_itself and all(_is_covered(observed, each, one) is False for each in webhooks):
            namespace = one.workload.pod.namespace
            yield Suspicion(
                object=one.label,
                symptom="Its pods have no token of Workload ID.",
                cause=f"The webhook leaves out the namespace {namespace}.",
                evidence=tuple(
                    Evidence(each.label, f"Its namespaceSelector does not select the Namespace {namespace}.")
                    for each in webhooks
                ),
                concerns=_concerns([one]),
            )


@TABLE.cause(
    ERROR,
    "Enable the issuer: az aks update --enable-oidc-issuer; this restarts the API server and cannot be undone.",
    told_by="oidcIssuerProfile of the cluster in Azure, where workloads have the label azure.workload.identity/use.",
    sources=(AZURE, OBJECTS),
)
def issuer_disabled(observed: Observed) -> Suspicions:
    """The cluster has no OIDC issuer, so Entra can check no token of its service accounts."""
    using = _users(observed)
    if using and observed.azure and observed.azure.cluster and not _issuer(observed):
        name = str(observed.azure.cluster.get("name", ""))
        yield Suspicion(
            object=f"ManagedCluster {name}",
            symptom="Entra refuses the tokens of every service account.",
            cause="The OIDC issuer of the cluster is not enabled.",
            evidence=(Evidence(f"ManagedCluster {name}", "It has no issuerURL."),),
            concerns=_concerns(using),
        )


@TABLE.cause(
    ERROR,
    "Create the federated credential.",
    told_by="The credentials of the identity whose client id the service account tells; none is for that account. "
    "Pods that get it by an identity binding of AKS need none.",
    sources=(AZURE, OBJECTS),
    references=(_CREDENTIALS,),
)
def credential_missing(observed: Observed) -> Suspicions:
    """The identity has no federated credential for the service account of a workload."""
    for one in _trusts(observed):
        if one.fitting is None:
            yield _mistrusted(
                one,
                f"ServiceAccount {one.account}",
                f"The {one.holder} has no federated credential for {one.subject}.",
                f"It has {len(one.credentials)} federated credentials, none for {one.subject}.",
                one.create,
            )


@TABLE.cause(
    ERROR,
    "Write issuer, subject and audience exactly as the cluster and the token have them.",
    told_by="A federated credential that differs from the token in its audience, in spelling of issuer or subject, or "
    "by naming a service account that does not exist and is spelled much like it.",
    sources=(AZURE, OBJECTS),
    references=(_CREDENTIALS,),
)
def credential_wrong(observed: Observed) -> Suspicions:
    """A federated credential is nearly that for the service account: issuer, subject or audience is misspelled."""
    for one in _trusts(observed):
        if one.fitting and one.wrong != _OTHER_CLUSTER:
            label = f"FederatedIdentityCredential {one.fitting.name}"
            yield _mistrusted(
                one,
                label,
                f"The federated credential {one.fitting.name} of the {one.holder} has another {one.wrong}.",
                f"Its {one.wrong} is {one.got!r}, the token's is {one.wanted!r}.",
                one.update,
            )


@TABLE.cause(
    ERROR,
    "Create a federated credential for this cluster's issuer beside it.",
    told_by="A federated credential for the service account, and for the issuer of another cluster.",
    sources=(AZURE, OBJECTS),
    references=(_CREDENTIALS,),
)
def issuer_of_other_cluster(observed: Observed) -> Suspicions:
    """The federated credential for a service account trusts another cluster, as after the cluster was made anew."""
    for one in _trusts(observed):
        if one.fitting and one.wrong == _OTHER_CLUSTER:
            label = f"FederatedIdentityCredential {one.fitting.name}"
            yield _mistrusted(
                one,
                label,
                f"The federated credential {one.fitting.name} of the {one.holder} trusts another cluster.",
                f"Its issuer is {one.got}, the cluster's is {one.wanted}.",
                one.create,
            )


@TABLE.cause(
    WARNING,
    "Take the annotation azure.workload.identity/inject-proxy-sidecar away and let the library use Workload ID itself, "
    "or use a webhook from 1.5.0 on with Kubernetes from 1.32 on, where the proxy is a native sidecar.",
    told_by="A pod of a Job whose containers have all ended but azwi-proxy; a template of a Job with the annotation "
    "and a webhook before 1.5.0.",
)
def sidecar_holds_job(observed: Observed) -> Suspicions:
    """The proxy sidecar of Workload ID keeps a Job from ending."""
    versions = [one.version for one in observed.of(WEBHOOK) if one.version]
    for one in _users(observed):
        if one.workload.kind not in ("Job", "CronJob"):
            continue
        held = [each for each in one.pods if _is_held(each)]
        old = bool(versions) and max(versions) < _NATIVE_SIDECAR_SINCE
        if not held and not (old and PROXY_ANNOTATION in annotations_of(one.template)):
            continue
        yield Suspicion(
            object=one.label,
            symptom="Pods of the Job run on when its work is done.",
            cause=f"The container {PROXY_CONTAINER} of {one.label} does not end with the others.",
            evidence=tuple(Evidence(label_of(each), f"Only {PROXY_CONTAINER} still runs.") for each in held[:5])
            or (Evidence(one.label, f"Its template has the annotation {PROXY_ANNOTATION}."),),
            certainty=PROVED if held else POSSIBLE,
            concerns=_concerns([one]),
        )


@TABLE.cause(
    WARNING,
    "Delete the pod by force once its work is done (kubectl delete pod --grace-period=0 --force); a webhook from 1.5.0 "
    "on with Kubernetes from 1.32 on makes the proxy a native sidecar, which ends with the others.",
    told_by="A pod that was deleted, whose time to end is over, and of whose containers only azwi-proxy still runs.",
)
def proxy_holds_pod(observed: Observed) -> Suspicions:
    """A pod that was deleted does not go, because the proxy sidecar of Workload ID still runs."""
    for raw in observed.objects.get("Pod", ()):
        until = moment(str(raw["metadata"].get("deletionTimestamp") or ""))
        if until is None or observed.now - until < _TO_END or not _is_held(raw):
            continue
        namespace, name = sources.place(raw)
        yield Suspicion(
            object=label_of(raw),
            symptom="The pod stays Terminating.",
            cause=f"The container {PROXY_CONTAINER} of {label_of(raw)} does not end with the others.",
            evidence=(Evidence(label_of(raw), f"It was to be gone, and {PROXY_CONTAINER} runs.", written(until)),),
            concerns=frozenset({label_of(raw)}),
            command=shell("kubectl", "--namespace", namespace, "describe", "pod", name),
        )


@TABLE.cause(
    ERROR,
    "Let the library use Workload ID itself, so that the pod needs no proxy, or let a namespace take it whose Pod "
    "Security level and policies allow a privileged container.",
    told_by="A template with the proxy sidecar in a namespace whose Pod Security level refuses privileged containers; "
    "proved where it lacks pods. Without such a level, events about what lacks pods that name the proxy.",
    sources=(OBJECTS, EVENTS),
    references=("https://kubernetes.io/docs/concepts/security/pod-security-standards/",),
)
def proxy_refused(observed: Observed) -> Suspicions:
    """Pods with the proxy sidecar of Workload ID are not created, because its init container is privileged."""
    levels = {
        str(raw["metadata"]["name"]): str((raw["metadata"].get("labels") or {}).get(_SECURITY_LABEL) or "")
        for raw in observed.objects.get("Namespace", ())
    }
    for one in _proxied(observed):
        namespace = one.workload.pod.namespace
        level, lacking = levels.get(namespace, ""), _lacking_pods(observed, one)
        confined = level in _CONFINED
        said = [
            Evidence(f"event of {each.object}", each.message, each.time)
            for each in observed.events or ()
            if each.object in lacking and lately(each.time, observed.now) and PROXY_CONTAINER in each.message
        ]
        if not confined and not said:
            continue
        why = f"Pod Security {level} of the namespace {namespace}" if confined else "a policy of the cluster"
        yield Suspicion(
            object=one.label,
            symptom="Its pods are not created, and those that there are have no successors.",
            cause=f"The init container of the proxy of {one.label} is privileged, which {why} refuses.",
            evidence=(
                Evidence(one.label, f"Its template has the annotation {PROXY_ANNOTATION}."),
                *((Evidence(f"Namespace {namespace}", f"{_SECURITY_LABEL} is {level}."),) if confined else ()),
                *said[:3],
            ),
            certainty=(PROVED if lacking else POSSIBLE) if confined else LIKELY,
            concerns=_concerns([one]),
        )


@TABLE.cause(
    ERROR,
    "Take hostNetwork away, or the annotation azure.workload.identity/inject-proxy-sidecar, and let the library use "
    "Workload ID itself.",
    told_by="hostNetwork in a pod template with the proxy sidecar; proved where the workload lacks pods, or has one "
    "with the proxy.",
)
def host_network_refused(observed: Observed) -> Suspicions:
    """Pods with the proxy sidecar of Workload ID use the host network, where the webhook refuses it.

    Source: Azure/azure-workload-identity, pkg/webhook/webhook.go, Handle. Before its pull request 1090 such pods came
    to be, and the proxy redirected the requests of their whole node.
    """
    for one in _proxied(observed):
        if not one.workload.pod.host_network:
            continue
        redirects = any(map(mutation.has_proxy, one.pods))
        effect = "the proxy redirects the requests of its whole node" if redirects else "the webhook refuses the proxy"
        yield Suspicion(
            object=one.label,
            symptom="Programs on the node get no token." if redirects else "Its pods are not created.",
            cause=f"{one.label} uses the host network, where {effect}.",
            evidence=(Evidence(one.label, f"Its template has hostNetwork and the annotation {PROXY_ANNOTATION}."),),
            certainty=PROVED if redirects or _lacking_pods(observed, one) else POSSIBLE,
            concerns=_concerns([one]),
        )


@TABLE.cause(
    WARNING,
    "Replace AppAuthentication (AzureServiceTokenProvider) by Azure.Identity, or give the workload the proxy sidecar.",
    told_by="The variable AzureServicesAuthConnectionString, which only that library reads, in a container of a "
    "workload with Workload ID and without the proxy, unless its value names a credential of its own.",
)
def library_knows_no_workload_id(observed: Observed) -> Suspicions:
    """A container is set up for AppAuthentication, which knows no Workload ID and asks the metadata service."""
    for one in _users(observed):
        every = (one.template, *one.pods)
        if one.is_bound or one.wants_proxy or any(map(mutation.has_proxy, every)):
            continue
        names = {
            str(each.get("name", ""))
            for raw in every
            for each in _containers(raw)
            for entry in each.get("env") or ()
            if entry.get("name") == _OLD_VARIABLE and not _OWN_CREDENTIAL.search(str(entry.get("value") or ""))
        }
        if names:
            yield Suspicion(
                object=one.label,
                symptom="Requests go to NMI or the metadata service; without both the application gets no token.",
                cause=f"{', '.join(sorted(names))} of {one.label} may ask by a library that knows no Workload ID.",
                evidence=(Evidence(one.label, f"{_OLD_VARIABLE} is set in {', '.join(sorted(names))}."),),
                certainty=POSSIBLE,
                concerns=_concerns([one]),
            )


@TABLE.cause(
    ERROR,
    "Take UPDATE out of the operations in the webhook's configuration, as it is in a webhook from 1.0.0 on: an ending "
    "namespace takes no new service account.",
    told_by="A Namespace that is ending, labelled pods in it that wait for a finalizer, their service account gone, "
    "and a webhook that is called for UPDATE as well.",
)
def webhook_blocks_namespace(observed: Observed) -> Suspicions:
    """The Workload ID webhook refuses the update that would let a pod go, so its namespace does not end."""
    accounts = _accounts(observed)
    if accounts is None:
        return
    updating = [one for one in _webhooks(observed) if one.operations & {"UPDATE", "*"}]
    ending = {
        str(raw["metadata"]["name"])
        for raw in observed.objects.get("Namespace", ())
        if (raw.get("status") or {}).get("phase") == "Terminating"
    }
    for raw in observed.objects.get("Pod", ()) if updating else ():
        metadata, pod = raw["metadata"], Pod.parse(raw)
        waits = pod.namespace in ending and pod.deleting and metadata.get("finalizers")
        labelled = any(one.mutates(pod.labels) for one in updating)
        if waits and labelled and (pod.namespace, pod.service_account) not in accounts:
            yield Suspicion(
                object=f"Namespace {pod.namespace}",
                symptom="The namespace stays Terminating.",
                cause=f"The webhook refuses to let the pod {pod.name} go, because its service account is gone.",
                evidence=(
                    Evidence(updating[0].label, "It is called for UPDATE of pods."),
                    Evidence(label_of(raw), f"It is deleted and waits for {', '.join(metadata['finalizers'])}."),
                ),
                concerns=frozenset({label_of(raw), f"Namespace {pod.namespace}"}),
                command=shell("kubectl", "edit", "mutatingwebhookconfiguration", updating[0].configuration),
            )


class _User(Source):
    @property
    def provides_itself(self) -> bool:
        """Whether its containers are told where the token is without the webhook."""
        return not self.made_by_hand and mutation.is_mutated(self.template)

    @property
    def has_token(self) -> bool:
        """Whether its pods are told where the token is, whoever told them."""
        return bool(self.pods) and all(map(mutation.is_mutated, self.pods))

    @property
    def wants_proxy(self) -> bool:
        """Whether the webhook is to put the proxy sidecar into its pods."""
        return PROXY_ANNOTATION in ((self.template.get("metadata") or {}).get("annotations") or {})

    @property
    def is_bound(self) -> bool:
        """Whether AKS's identity binding gives it its identity: Entra compares nothing of its service account then."""
        every = (self.template, *self.pods)
        marks = (mark for one in every for mark in (labels_of(one), annotations_of(one)))
        return any(mark.get(BINDING_MARK) == "true" for mark in marks)


def _all(observed: Observed) -> list[_User]:
    found = sources.find(observed.inventory.cluster.workloads, observed.objects)
    return [_User(one.workload, one.raw, one.template, one.pods) for one in found]


def _users(observed: Observed) -> list[_User]:
    """Workloads whose pods are to use Workload ID."""
    return [one for one in _all(observed) if one.workload.pod.labels.get(USE_LABEL) == "true"]


def _proxied(observed: Observed) -> list[_User]:
    """Those whose pods a webhook is to give the proxy sidecar."""
    webhooks = _webhooks(observed)
    return [
        one
        for one in _users(observed)
        if one.wants_proxy and any(_is_covered(observed, each, one) is not False for each in webhooks)
    ]


def _lacking_pods(observed: Observed, one: _User) -> set[str]:
    """Labels of what makes its pods and lacks some."""
    above, namespace = (one.workload.kind, one.workload.name), one.workload.pod.namespace
    return {
        f"{kind} {'/'.join(sources.place(raw))}"
        for kind in _MAKERS
        for raw in observed.objects.get(kind, ())
        if sources.place(raw)[0] == namespace
        and above in ((kind, sources.place(raw)[1]), controller(raw))
        and _lacks_pods(kind, raw)
    }


def _webhooks(observed: Observed) -> tuple[Webhook, ...]:
    return workload_identity_webhook.find(observed.objects)


def _is_covered(observed: Observed, webhook: Webhook, one: _User) -> bool | None:
    """None where the namespace was not read."""
    selected = workload_identity_webhook.namespace_labels(one.workload.pod.namespace, observed.objects)
    return None if selected is None else webhook.covers(selected)


def _failed_calls(observed: Observed) -> list[Evidence]:
    """Of a short time ago, by events about what still lacks pods: they outlast a repair, and tenants write them."""
    lacking = {
        f"{kind} {'/'.join(sources.place(raw))}"
        for kind in _MAKERS
        for raw in observed.objects.get(kind, ())
        if _lacks_pods(kind, raw)
    }
    return [
        Evidence(f"event of {one.object}", one.message, one.time)
        for one in observed.events or ()
        if one.object in lacking and lately(one.time, observed.now) and _NOT_CALLED.search(one.message)
    ]


def _lacks_pods(kind: str, raw: Raw) -> bool:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if kind == "DaemonSet":
        return int(status.get("currentNumberScheduled") or 0) < int(status.get("desiredNumberScheduled") or 0)
    if kind == "Job":
        return not any(status.get(state) for state in ("active", "succeeded", "failed"))
    wanted = spec.get("replicas")
    return int(status.get("replicas") or 0) < (1 if wanted is None else int(wanted))


def _accounts(observed: Observed) -> dict[tuple[str, str], Raw] | None:
    """None where they were not read."""
    if "ServiceAccount" not in observed.objects:
        return None
    return {sources.place(raw): raw for raw in observed.objects["ServiceAccount"]}


def _concerns(many: t.Iterable[_User]) -> frozenset[str]:
    return frozenset(label for one in many for label in (one.label, *map(label_of, one.pods)))


def _patch(one: _User, metadata: Raw) -> str:
    if one.workload.kind not in _RESTARTED:
        return ""
    patch = json.dumps({"spec": {"template": {"metadata": metadata}}})
    place = (one.workload.kind.lower(), "--namespace", one.workload.pod.namespace, one.workload.name)
    return shell("kubectl", "patch", *place, "--patch", patch)


def _containers(pod: Raw) -> list[Raw]:
    """Those that the webhook gives the token: all but the skipped ones and its own."""
    spec = pod.get("spec") or {}
    left_out = {*workload_identity_webhook.skipped(pod), *_INJECTED}
    both = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return [each for each in both if each.get("name") not in left_out]


def _lacking(pod: Raw, variable: str) -> list[str]:
    """Names of the containers without it."""
    return [
        str(each.get("name", ""))
        for each in _containers(pod)
        if variable not in {entry.get("name") for entry in each.get("env") or ()}
    ]


def _sets(pod: Raw, variable: str) -> bool:
    """Whether one of its containers has it."""
    return len(_lacking(pod, variable)) < len(_containers(pod))


def _values(pod: Raw, variable: str) -> set[str]:
    """What its containers are told as text, rather than by reference."""
    return {
        str(entry.get("value") or "")
        for each in _containers(pod)
        for entry in each.get("env") or ()
        if entry.get("name") == variable and "valueFrom" not in entry
    }


def _is_held(pod: Raw) -> bool:
    states = {
        str(each.get("name", "")): each.get("state") or {}
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
    }
    others = [state for name, state in states.items() if name != PROXY_CONTAINER]
    return "running" in states.get(PROXY_CONTAINER, {}) and bool(others) and all("terminated" in one for one in others)


@dataclass(frozen=True)
class _Trust:
    """What Entra compares for one service account and one identity, and the credential that comes nearest.

    ``wrong``: what of ``fitting`` differs; without ``fitting`` no credential is for the service account at all.
    """

    users: tuple[_User, ...]
    account: str
    identity: str
    issuer: str
    subject: str
    audience: str
    credentials: tuple[Credential, ...]
    fitting: Credential | None = None
    wrong: str = ""
    got: str = ""
    wanted: str = ""

    @property
    def holder(self) -> Holder:
        return Holder.identity(self.identity)

    @property
    def create(self) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", self.account)[:120]
        return self._command("create", name)

    @property
    def update(self) -> str:
        return self._command("update", self.fitting.name if self.fitting else "")

    def _command(self, verb: str, name: str) -> str:
        """Empty where the issuer is not known."""
        if not self.issuer:
            return ""
        parts = arm_id.parse(self.identity)
        where = ("--subscription", parts.subscription, "--resource-group", parts.resource_group)
        what = ("--issuer", self.issuer, "--subject", self.subject, "--audiences", self.audience)
        names = ("--identity-name", self.holder.name, "--name", name)
        return shell("az", "identity", "federated-credential", verb, *where, *names, *what)


def _mistrusted(one: _Trust, label: str, cause: str, evidence: str, command: str) -> Suspicion:
    return Suspicion(
        object=label,
        symptom="Entra refuses the token of the service account (AADSTS70021, 700211, 700212 or 700213).",
        cause=cause,
        evidence=(Evidence(str(one.holder), evidence),),
        concerns=_concerns(one.users) | {f"ServiceAccount {one.account}"},
        command=command,
    )


def trusting(observed: Observed) -> tuple[str, ...]:
    """Ids of the identities that service accounts of Workload ID name, once each: whose credentials matter."""
    ids = (identity for _place, _using, _client_id, identity in _named(observed) if identity)
    return tuple({identity.lower(): identity for identity in ids}.values())


def strangers(observed: Observed) -> dict[str, str]:
    """Labels of service accounts of Workload ID by client ids that no identity has which is known."""
    return {
        client_id: f"ServiceAccount {'/'.join(place)}"
        for place, _using, client_id, identity in _named(observed)
        if client_id and not identity
    }


def _named(observed: Observed) -> t.Iterator[tuple[tuple[str, str], list[_User], str, str]]:
    """The service accounts that workloads use, these workloads, the client id, and the id of the identity.

    Both are '' where they are not known.
    """
    accounts, by_client_id = _accounts(observed) or {}, _identities(observed)
    using: dict[tuple[str, str], list[_User]] = {}
    for one in (one for one in _users(observed) if not one.is_bound):
        using.setdefault((one.workload.pod.namespace, one.workload.pod.service_account), []).append(one)
    for place, users in using.items():
        client_id = str(annotations_of(accounts.get(place, {})).get(CLIENT_ID) or "").lower()
        yield place, users, client_id, by_client_id.get(client_id, "")


def _trusts(observed: Observed) -> t.Iterator[_Trust]:
    """One for each service account that names an identity whose credentials were read, and that Entra would refuse."""
    accounts = _accounts(observed) or {}
    for place, users, _client_id, identity in _named(observed):
        credentials = (observed.credentials or {}).get(identity.lower())
        if credentials is not None:
            trust = _Trust(
                users=tuple(users),
                account="/".join(place),
                identity=identity,
                issuer=_issuer(observed),
                subject=subject(users[0].workload),
                audience=_audience(observed, users),
                credentials=tuple(credentials),
            )
            judged = _judged(trust, accounts)
            if judged:
                yield judged


def _judged(one: _Trust, accounts: t.Container[tuple[str, str]]) -> _Trust | None:
    """With the credential that comes nearest; None where one fits. An issuer that is not known fits every one."""

    def told(credential: Credential, wrong: str, got: str, wanted: str) -> _Trust:
        return replace(one, fitting=credential, wrong=wrong, got=got, wanted=wanted)

    mine = [each for each in one.credentials if each.subject == one.subject]
    here = [each for each in mine if each.issuer == one.issuer or not one.issuer]
    if any(each.audiences == (one.audience,) for each in here):
        return None
    for each in here:
        return told(each, "audience", ", ".join(each.audiences), one.audience)
    for each in mine:
        if spelled(each.issuer) == spelled(one.issuer):
            return told(each, "issuer", each.issuer, one.issuer)
    for each in mine:
        return told(each, _OTHER_CLUSTER, each.issuer, one.issuer)
    strays = {each.subject: each for each in one.credentials if each.subject and _is_stray(each, accounts)}
    for name, each in strays.items():
        if spelled(name) == spelled(one.subject):
            return told(each, "subject", name, one.subject)
    like = suggestions.closest(one.subject, strays, cutoff=0.9)
    return told(strays[like], "subject", like, one.subject) if like else one


def _is_stray(credential: Credential, accounts: t.Container[tuple[str, str]]) -> bool:
    """Whether it is for no service account that there is."""
    account = service_account(credential.subject)
    return account is None or account not in accounts


def _identities(observed: Observed) -> dict[str, str]:
    """Ids of managed identities by their client ids, as Azure tells them or else AzureIdentities."""
    found = {
        one.client_id.lower(): one.resource_id
        for one in observed.inventory.cluster.identities
        if one.type == USER_ASSIGNED and one.client_id and arm_id.is_user_assigned_identity(one.resource_id)
    }
    told = observed.azure.identities.values() if observed.azure else ()
    return {**found, **{one.client_id.lower(): one.id for one in told if one.exists and one.client_id}}


def _issuer(observed: Observed) -> str:
    cluster = observed.azure.cluster if observed.azure else {}
    profile = (cluster.get("properties") or {}).get("oidcIssuerProfile") or {}
    return str(profile.get("issuerURL") or "") if profile.get("enabled", True) else ""


def _audience(observed: Observed, users: t.Sequence[_User]) -> str:
    """As the tokens of the pods have it, or else as the webhook would write it."""
    for one in users:
        for pod in one.pods:
            for volume in (pod.get("spec") or {}).get("volumes") or ():
                for source in (volume.get("projected") or {}).get("sources") or ():
                    token = source.get("serviceAccountToken") or {}
                    if token.get("path") == TOKEN_PATH and token.get("audience"):
                        return str(token["audience"])
    told = (nmi.flag(one.workload, "audience") for one in observed.of(WEBHOOK))
    return next(filter(None, told), AUDIENCE)
