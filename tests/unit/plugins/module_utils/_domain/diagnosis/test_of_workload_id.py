# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause on the way of Workload ID: a world that has it, worlds that nearly have it, and hostile ones."""

from __future__ import annotations

import copy
import shlex
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import azure, diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Line, Log
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    WEBHOOK,
    Observed,
    components,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.of_workload_id import TABLE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import trusted_namespaces
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.support.observed_world import ago, told, world
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, for_each, worlds_by_name

USE, CLIENT = "azure.workload.identity/use", "azure.workload.identity/client-id"
BOUND = "azure.workload.identity/use-identity-binding"
PROXY = "azure.workload.identity/inject-proxy-sidecar"
SKIP = "azure.workload.identity/skip-containers"
HOME = "azure-workload-identity-system"
CLIENT_ID = "00000000-0000-0000-0000-00000000000a"
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"
CLUSTER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/aks"
ISSUER = "https://westeurope.oic.prod-aks.azure.com/tenant/cluster/"
SUBJECT, AUDIENCE = "system:serviceaccount:team:web", "api://AzureADTokenExchange"
DEPLOYMENT, ACCOUNT, POD = "Deployment team/web", "ServiceAccount team/web", "Pod team/web-1-a"
SERVING, CONFIGURED = f"Deployment {HOME}/controller", "MutatingWebhookConfiguration wi"
ENVIRONMENT = {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_FEDERATED_TOKEN_FILE": "/token"}

Change = t.Callable[[dict[str, t.Any]], object]


def container(name: str = "app", **environment: str) -> Raw:
    return {"name": name, "env": [{"name": key, "value": value} for key, value in environment.items()]}


def owner(kind: str, name: str) -> list[Raw]:
    return [{"kind": kind, "name": name, "uid": name, "controller": True}]


def metadata(name: str, namespace: str = "team", by: tuple[str, str] = ("", ""), **more: t.Any) -> Raw:
    owners = {"ownerReferences": owner(*by)} if by[0] else {}
    return {"name": name, "namespace": namespace, "uid": name, **owners, **more}


def deployment(name: str, namespace: str, labels: dict[str, str], **spec: t.Any) -> Raw:
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {"metadata": metadata(name, namespace), "spec": {"template": template}}


def replica_set(name: str, namespace: str, of: str) -> Raw:
    return {"metadata": metadata(name, namespace, ("Deployment", of)), "spec": {"replicas": 1}}


def objects() -> dict[str, t.Any]:
    """A workload as it is to be, its webhook, and an identity that trusts its service account."""
    labels = {"app": "web", USE: "true"}
    token = {"serviceAccountToken": {"path": "azure-identity-token", "audience": AUDIENCE}}
    serving = {"azure-workload-identity.io/system": "true"}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    manager = {"name": "manager", "image": "mcr.example/oss/azure/workload-identity/webhook:v1.3.0"}
    runs = {"serviceAccountName": "web", "nodeName": "n1", "containers": [container(**ENVIRONMENT)]}
    webhook = {
        "name": "mutation.azure-workload-identity.io",
        "failurePolicy": "Fail",
        "clientConfig": {"caBundle": "QQ==", "service": {"namespace": HOME, "name": "webhook"}},
        "objectSelector": {"matchLabels": {USE: "true"}},
        "rules": [{"operations": ["CREATE"], "resources": ["pods"]}],
    }
    return {
        "Deployment": [
            deployment("web", "team", labels, serviceAccountName="web", containers=[container()]),
            deployment("controller", HOME, serving, containers=[manager]),
        ],
        "ReplicaSet": [replica_set("web-1", "team", "web"), replica_set("controller-1", HOME, "controller")],
        "Pod": [
            {
                "metadata": metadata("web-1-a", by=("ReplicaSet", "web-1"), labels=labels),
                "spec": {**runs, "volumes": [{"name": "t", "projected": {"sources": [token]}}]},
                "status": {"phase": "Running"},
            },
            {
                "metadata": metadata("controller-1-a", HOME, by=("ReplicaSet", "controller-1"), labels=serving),
                "spec": {"nodeName": "n1", "containers": [manager]},
                "status": ready,
            },
        ],
        "ServiceAccount": [
            {"metadata": metadata("web", annotations={CLIENT: CLIENT_ID})},
            {"metadata": metadata("default")},
            {"metadata": metadata("default", HOME)},
        ],
        "Namespace": [{"metadata": {"name": name}} for name in ("team", HOME)],
        "MutatingWebhookConfiguration": [{"metadata": {"name": "wi"}, "webhooks": [webhook]}],
        "credentials": [Credential("web", ISSUER, SUBJECT, (AUDIENCE,))],
        "issuer": {"enabled": True, "issuerURL": ISSUER},
        "events": (),
        "logs": (),
    }


def here(change: Change = lambda made: None) -> Observed:
    made = objects()
    change(made)
    credentials, issuer, events, logs = (made.pop(key) for key in ("credentials", "issuer", "events", "logs"))
    identity = azure.IdentityInAzure(IDENTITY, True, CLIENT_ID)
    cluster = {"id": CLUSTER, "name": "aks", "properties": {"oidcIssuerProfile": issuer}}
    kinds = ("AzureIdentity", "AzureIdentityBinding", "AzureAssignedIdentity")
    return world(
        **{**{kind: [] for kind in kinds}, **made},
        components=components(made, trusted_namespaces.Belief.parse(made, ())),
        azure=azure.Azure(cluster, azure.IdentityInAzure("k", True), "mc", identities={IDENTITY.lower(): identity}),
        credentials=None if credentials is None else {IDENTITY.lower(): credentials},
        events=events,
        logs=logs,
    )


def at(*path: str | int, to: t.Any = None) -> Change:
    """Puts ``to`` at a path of the objects; without it, what is there goes."""

    def change(made: dict[str, t.Any]) -> None:
        inner: t.Any = made
        for key in path[:-1]:
            inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
        if to is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = copy.deepcopy(to)

    return change


def both(*changes: Change) -> Change:
    return lambda made: [change(made) for change in changes]


def job(*states: tuple[str, str], **annotations: str) -> Change:
    """The workload is a Job whose pod has these containers with their states."""

    def change(made: dict[str, t.Any]) -> None:
        template = made["Deployment"].pop(0)["spec"]["template"]
        template["metadata"]["annotations"] = annotations
        made["Job"] = [{"metadata": metadata("web"), "spec": {"template": template}}]
        one = made["Pod"][0]
        one["metadata"] = metadata("web-1-a", by=("Job", "web"), labels=template["metadata"]["labels"])
        one["status"]["containerStatuses"] = [{"name": name, "state": {state: {}}} for name, state in states]

    return change


def pod_alone(**environment: str) -> Change:
    """Nobody makes it."""

    def change(made: dict[str, t.Any]) -> None:
        del made["Deployment"][0], made["ReplicaSet"][0]
        del made["Pod"][0]["metadata"]["ownerReferences"]
        made["Pod"][0]["spec"]["containers"] = [container(**environment)]

    return change


def second_pod(made: dict[str, t.Any]) -> None:
    """Another one of the workload, that has no token."""
    other = copy.deepcopy(made["Pod"][0])
    other["metadata"]["name"], other["spec"]["containers"] = "web-1-b", [container()]
    made["Pod"].append(other)


def credential(issuer: str = ISSUER, subject: str = SUBJECT, audience: str = AUDIENCE, name: str = "web") -> Credential:
    return Credential(name, issuer, subject, (audience,))


def mutated(client_id: str = CLIENT_ID) -> Raw:
    """A container as the webhook leaves it."""
    return container(AZURE_CLIENT_ID=client_id, AZURE_FEDERATED_TOKEN_FILE="/token")


def makes(*containers: Raw) -> Change:
    """What the template has."""
    return at("Deployment", 0, "spec", "template", "spec", "containers", to=list(containers))


def runs(*containers: Raw) -> Change:
    """What the pod has."""
    return at("Pod", 0, "spec", "containers", to=list(containers))


def credentials(*several: Credential) -> Change:
    return at("credentials", to=list(several))


def not_made(message: str, seconds: float = 60) -> Change:
    """A pod, says an event."""
    event = Event("ReplicaSet team/web-1", "FailedCreate", message, warning=True, time=ago(seconds))
    return at("events", to=(event,))


LABELS = ("Deployment", 0, "spec", "template", "metadata", "labels")
POD_LABELS = ("Pod", 0, "metadata", "labels")
ENDED, RUNS = ("app", "terminated"), ("azwi-proxy", "running")
HOOK = ("MutatingWebhookConfiguration", 0, "webhooks", 0)
ENDS = {
    "name": "manager",
    "restartCount": 7,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": ago(60)}},
}


def ending(*texts: str, severity: str = "") -> Change:
    """The webhook's pod ends again and again; of its log before the restart these are the last lines."""
    lines = tuple(Line(text, severity, ago(60)) for text in texts)
    return both(
        at("Pod", 1, "status", to={"phase": "Running", "containerStatuses": [ENDS]}),
        at("logs", to=(Log(WEBHOOK, HOME, "controller-1-a", "n1", lines, previous=True),)),
    )


NO_TENANT = "panic: unable to set up pod mutator: tenant ID is required"
NO_CERTIFICATE = 'could not refresh cert on startup error="acquiring secret to update certificates: not found"'
FORBIDDEN = 'secrets is forbidden: User "system:serviceaccount:kube-system:wi" cannot list resource "secrets"'
NOT_SERVED = at("Pod", 1, "status", to={"phase": "Pending"})
NOT_CALLED = 'Internal error occurred: failed calling webhook "mutation.azure-workload-identity.io": refused'
BARE = runs(container())
NO_WEBHOOK, NO_ISSUER = at("MutatingWebhookConfiguration", to=[]), at("issuer", to={"enabled": False})
UNANNOTATED = at("ServiceAccount", 0, "metadata", "annotations")
MARKED = at("Deployment", 0, "metadata", "labels", to={USE: "true"})
ANNOTATIONS = ("Deployment", 0, "spec", "template", "metadata", "annotations")
PLAIN = both(at(*LABELS, to={"app": "web"}), at(*POD_LABELS, to={"app": "web"}))
UNLABELLED = both(PLAIN, BARE)
UNUSED = both(UNLABELLED, UNANNOTATED)
UNMUTATED = ("pod_not_mutated", DEPLOYMENT, "proved")
UNMARKED = ("label_missing_on_template", DEPLOYMENT, "proved")
GOVERNMENT = "api://AzureADTokenExchangeUSGov"
TOKEN_OF_GOVERNMENT = {"serviceAccountToken": {"path": "azure-identity-token", "audience": GOVERNMENT}}
NO_CONTROL_PLANE = {"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]}
ENDING = both(
    at("Namespace", 0, "status", to={"phase": "Terminating"}),
    at("Pod", 0, "metadata", "deletionTimestamp", to=ago(60)),
    at("Pod", 0, "metadata", "finalizers", to=["batch.kubernetes.io/job-tracking"]),
    at("ServiceAccount", 0),
    at(*HOOK, "rules", 0, "operations", to=["CREATE", "UPDATE"]),
    at("Deployment", 0),
    at("ReplicaSet", 0),
)

PROXIED = at(*ANNOTATIONS, to={PROXY: "true"})
ON_HOST = at("Deployment", 0, "spec", "template", "spec", "hostNetwork", to=True)
THERE = at("ReplicaSet", 0, "status", to={"replicas": 1})
LACKS = both(at("ReplicaSet", 0, "status", to={"replicas": 0}), at("Pod", 0))
WITH_PROXY = container("azwi-proxy")
DENIED = (
    'admission webhook "validation.gatekeeper.sh" denied the request: privileged container, container: azwi-proxy-init'
)


def going(seconds: float, *states: tuple[str, str]) -> Change:
    """The pod is deleted, and had to be gone so long ago."""
    return both(
        at("Pod", 0, "metadata", "deletionTimestamp", to=ago(seconds)),
        at("Pod", 0, "status", "containerStatuses", to=[{"name": name, "state": {of: {}}} for name, of in states]),
    )


def confined(level: str) -> Change:
    return at("Namespace", 0, "metadata", "labels", to={"pod-security.kubernetes.io/enforce": level})


def old_library(value: str) -> Change:
    given = {"AzureServicesAuthConnectionString": value}
    return both(makes(container(**given)), runs(container(**ENVIRONMENT, **given)))


GROUPS: Groups[Change] = {
    ("no", "cause"): {"as it is to be": lambda made: None},
    (("webhook_missing", "the Workload ID webhook", "proved"), UNMUTATED): {
        "no webhook": both(NO_WEBHOOK, BARE),
        "another webhook": both(at(*HOOK, "name", to="mutation.example"), BARE),
    },
    ("no", "webhook_missing"): {
        "webhooks were not read": at("MutatingWebhookConfiguration"),
        "no webhook, and nobody uses it": both(NO_WEBHOOK, UNUSED),
        "no webhook, and the workload does its work": both(NO_WEBHOOK, makes(mutated())),
    },
    ("webhook_not_running", SERVING, "proved"): {
        "its pod is not Ready": NOT_SERVED,
        "it ends without a word": ending(),
        "it ends, and a pod's name tells why": ending(NO_TENANT, severity="I"),
        "it has no pod": at("Pod", 1),
        "it has a pod of somebody else": at("Pod", 1, "metadata", "ownerReferences", to=owner("ReplicaSet", "other")),
    },
    ("webhook_not_running", SERVING, "likely"): {
        "it ends, because it knows no tenant": ending(NO_TENANT, "goroutine 1 [running]:"),
        "it ends for want of its certificate": ending(NO_CERTIFICATE),
        "it ends for want of rights": ending(FORBIDDEN),
        "it ends again and again, and is Ready for a moment": both(
            ending(NO_TENANT),
            at("Pod", 1, "status", "conditions", to=[{"type": "Ready", "status": "True"}]),
            at("Pod", 1, "status", "containerStatuses", 0, "state", to={"running": {}}),
        ),
        "it was not called": not_made(NOT_CALLED),
    },
    ("webhook_not_running", CONFIGURED, "proved"): {
        "it has no Deployment": both(at("Deployment", 1), at("ReplicaSet", 1), at("Pod", 1)),
        "it has a Deployment elsewhere": at("Deployment", 1, "metadata", "namespace", to="team"),
        "it has no certificate": at(*HOOK, "clientConfig", "caBundle"),
    },
    ("no", "webhook_not_running"): {
        "it was not called, and the pods are there now": both(
            not_made(NOT_CALLED), at("ReplicaSet", 0, "status", to={"replicas": 1})
        ),
        "it was not called, says an event about what there is not": at(
            "events", to=(Event("ReplicaSet team/web-2", "FailedCreate", NOT_CALLED, time=ago(60)),)
        ),
        "it was not called yesterday": not_made(NOT_CALLED, 86400),
        "another one was not called": not_made(NOT_CALLED.replace("mutation.", "m.")),
        "an event without a time": at("events", to=(Event("Pod a/b", "x", NOT_CALLED, time="soon"),)),
        "it does not run, and nobody uses it": both(NOT_SERVED, UNUSED),
    },
    UNMARKED: {
        "the label on the workload": both(UNLABELLED, MARKED),
        "the label among annotations": both(UNLABELLED, at(*ANNOTATIONS, to={USE: "true"})),
        "the label with another value": both(at(*LABELS, USE, to="True"), at(*POD_LABELS, USE, to="True"), BARE),
        "the label on the workload, and one of two pods that has the token": both(PLAIN, MARKED, second_pod),
        "the label on the service account": both(
            UNLABELLED, at("ServiceAccount", 0, "metadata", "labels", to={USE: "true"})
        ),
    },
    ("no", "label_missing_on_template"): {
        "the label on the workload, and pods that have the token": both(PLAIN, MARKED),
        "only the client id on the service account, and pods that have the token": PLAIN,
        "on its way from pod identity": both(UNLABELLED, at(*LABELS, "aadpodidbinding", to="x")),
        "a service account without anything": both(UNLABELLED, UNANNOTATED),
        "an account that another one uses": lambda made: made["Deployment"].append(
            deployment("job", "team", {"app": "j"}, serviceAccountName="web")
        ),
    },
    ("label_missing_on_template", DEPLOYMENT, "possible"): {"only the client id on the service account": UNLABELLED},
    ("service_account_missing", ACCOUNT, "proved"): {
        "no service account": at("ServiceAccount", 0),
        "one of another namespace": at("ServiceAccount", 0, "metadata", "namespace", to="other"),
    },
    ("no", "service_account_missing"): {"accounts were not read": at("ServiceAccount")},
    ("client_id_not_annotated", ACCOUNT, "proved"): {
        "no client id, and an empty one injected": both(UNANNOTATED, runs(mutated(""))),
        "a pod alone with an empty client id": both(
            UNANNOTATED, pod_alone(AZURE_CLIENT_ID="", AZURE_FEDERATED_TOKEN_FILE="/token")
        ),
    },
    ("client_id_not_annotated", ACCOUNT, "possible"): {
        "no client id": both(UNANNOTATED, runs(container(AZURE_FEDERATED_TOKEN_FILE="/token")))
    },
    ("no", "client_id_not_annotated"): {
        "a client id of its own": both(UNANNOTATED, makes(container(AZURE_CLIENT_ID="own")))
    },
    UNMUTATED: {
        "a pod without the variable": BARE,
        "a pod from before the label": both(BARE, at(*POD_LABELS, to={"app": "web"})),
        "a pod from before the client id": runs(mutated("")),
        "a pod from before the client id, by a newer webhook": runs(container(AZURE_FEDERATED_TOKEN_FILE="/token")),
    },
    ("no", "pod_not_mutated"): {
        "a pod from before the label that has the token": at(*POD_LABELS, to={"app": "web"}),
        "a client id of its own beside that of the account": both(
            makes(container(AZURE_CLIENT_ID="own")), runs(mutated("own"))
        ),
        "a container that another webhook adds": runs(mutated(), container("istio-proxy")),
        "a container that is skipped": both(
            makes(container(), container("b")),
            at(*ANNOTATIONS, to={SKIP: "a; b"}),
            at("Pod", 0, "metadata", "annotations", to={SKIP: "a; b"}),
            runs(mutated(), container("b")),
        ),
        "a pod that ends": both(BARE, at("Pod", 0, "metadata", "deletionTimestamp", to=ago(1))),
        "a pod alone to which another webhook adds a container": both(
            pod_alone(), runs(mutated(), container("istio-proxy"))
        ),
    },
    ("pod_not_mutated", "Pod team/web-1-a", "proved"): {"a pod alone": pod_alone()},
    ("namespace_excluded", DEPLOYMENT, "proved"): {
        "a namespace that AKS leaves out": both(
            at(*HOOK, "namespaceSelector", to=NO_CONTROL_PLANE),
            at("Namespace", 0, "metadata", "labels", to={"control-plane": "true"}),
        ),
        "a confined namespace that no webhook covers": both(
            PROXIED, confined("baseline"), LACKS, at(*HOOK, "namespaceSelector", to={"matchLabels": {"other": "true"}})
        ),
    },
    ("no", "namespace_excluded"): {
        "a namespace that is not left out": at(*HOOK, "namespaceSelector", to=NO_CONTROL_PLANE),
        "a namespace that was not read": both(
            at("Namespace", 0), at(*HOOK, "namespaceSelector", to={"matchLabels": {"a": "b"}})
        ),
    },
    ("issuer_disabled", "ManagedCluster aks", "proved"): {"no issuer": NO_ISSUER},
    ("no", "issuer_disabled"): {"no issuer, and nobody uses it": both(NO_ISSUER, UNUSED)},
    ("credential_missing", ACCOUNT, "proved"): {
        "no credential": credentials(),
        "no credential, with an identity binding that is not wanted": both(
            credentials(), at(*LABELS, BOUND, to="false")
        ),
        "one for another account": both(credentials(credential(subject="system:serviceaccount:team:default"))),
        "one for another account that is spelled alike": both(
            credentials(credential(subject="system:serviceaccount:team:web2")),
            at("ServiceAccount", 1, "metadata", "name", to="web2"),
        ),
        "a subject of GitHub": credentials(credential(subject="repo:o/r:ref:refs/heads/main")),
    },
    ("no", "credentials"): {
        "no credential, with an identity binding by a label of the template": both(
            credentials(), at(*LABELS, BOUND, to="true"), at(*POD_LABELS, BOUND, to="true")
        ),
        "no credential, with an identity binding by an annotation of the template": both(
            credentials(), at(*ANNOTATIONS, BOUND, to="true")
        ),
        "no credential, with an identity binding by an annotation of the pod": both(
            credentials(), at("Pod", 0, "metadata", "annotations", BOUND, to="true")
        ),
        "credentials were not read": lambda made: made.update(credentials=None),
        "the audience of another cloud, as the token has it": both(
            credentials(credential(audience=GOVERNMENT)),
            at("Pod", 0, "spec", "volumes", 0, "projected", "sources", 0, to=TOKEN_OF_GOVERNMENT),
        ),
        "one for each of two clusters": credentials(
            credential(issuer=ISSUER.replace("cluster", "blue"), name="blue"), credential()
        ),
        "a client id of no known identity": both(
            credentials(),
            at("ServiceAccount", 0, "metadata", "annotations", to={CLIENT: "other"}),
            runs(mutated("other")),
        ),
    },
    ("credential_wrong", "FederatedIdentityCredential web", "proved"): {
        "another audience": credentials(credential(audience="api://Other")),
        "the issuer without its slash": credentials(credential(issuer=ISSUER.rstrip("/"))),
        "the subject in other letters": credentials(credential(subject=SUBJECT.replace("web", "Web"))),
        "the subject of a typing error": credentials(credential(subject="system:serviceaccount:teem:web")),
    },
    ("issuer_of_other_cluster", "FederatedIdentityCredential web", "proved"): {
        "the issuer of another cluster": credentials(credential(issuer=ISSUER.replace("cluster", "blue")))
    },
    ("sidecar_holds_job", "Job team/web", "proved"): {"a Job held by the proxy": job(ENDED, RUNS)},
    ("no", "sidecar_holds_job"): {
        "a Job that still works": job(("app", "running"), RUNS),
        "a Job whose proxy ended": job(ENDED, ("azwi-proxy", "terminated")),
        "a Job with a native sidecar": both(
            job(("app", "running"), **{PROXY: "true"}),
            at("Deployment", 0, "spec", "template", "spec", "containers", 0, "image", to="x/webhook:v1.5.0"),
        ),
    },
    ("sidecar_holds_job", "Job team/web", "possible"): {
        "a Job that will be held": both(job(("app", "running"), **{PROXY: "true"}))
    },
    ("proxy_holds_pod", POD, "proved"): {"a deleted pod held by the proxy": going(300, ENDED, RUNS)},
    ("no", "proxy_holds_pod"): {
        "a deleted pod that still has time": going(-20, ENDED, RUNS),
        "a deleted pod that is just over its time": going(20, ENDED, RUNS),
        "a deleted pod whose application runs": going(300, ("app", "running"), RUNS),
        "a deleted pod without the proxy": going(300, ENDED),
    },
    ("proxy_refused", DEPLOYMENT, "proved"): {
        "a proxy in a confined namespace": both(PROXIED, confined("baseline"), LACKS)
    },
    ("proxy_refused", DEPLOYMENT, "possible"): {
        "a proxy in a namespace that was confined later": both(PROXIED, confined("restricted"), THERE)
    },
    ("proxy_refused", DEPLOYMENT, "likely"): {"a proxy that a policy refuses": both(PROXIED, LACKS, not_made(DENIED))},
    ("no", "proxy_refused"): {
        "a proxy that a policy refused long ago": both(PROXIED, LACKS, not_made(DENIED, 100_000)),
        "a proxy that a policy refused, and that is there": both(PROXIED, THERE, not_made(DENIED)),
        "something else that a policy refuses": both(PROXIED, LACKS, not_made(DENIED.replace("azwi-proxy", "app"))),
        "a proxy in a privileged namespace": both(PROXIED, confined("privileged"), LACKS),
        "a confined namespace without a proxy": both(confined("baseline"), LACKS),
    },
    ("host_network_refused", DEPLOYMENT, "proved"): {
        "a proxy on the host network": both(PROXIED, ON_HOST, LACKS),
        "a proxy on the host network since an old webhook": both(PROXIED, ON_HOST, THERE, runs(mutated(), WITH_PROXY)),
    },
    ("host_network_refused", DEPLOYMENT, "possible"): {
        "a proxy on the host network from now on": both(PROXIED, ON_HOST, THERE)
    },
    ("no", "host_network_refused"): {"the host network without a proxy": both(ON_HOST, LACKS)},
    ("library_knows_no_workload_id", DEPLOYMENT, "possible"): {
        "a library that knows no Workload ID": old_library("RunAs=App")
    },
    ("no", "library_knows_no_workload_id"): {
        "a library with a secret of its own": old_library("RunAs=App;AppId=a;TenantId=t;AppKey=k"),
        "a library on the machine of its developer": old_library("RunAs=Developer; DeveloperTool=AzureCli"),
        "a library behind the proxy": both(old_library("RunAs=App"), PROXIED),
    },
    ("webhook_blocks_namespace", "Namespace team", "proved"): {"a namespace that is blocked": ENDING},
    ("no", "webhook_blocks_namespace"): {
        "one that is not called for updates": both(ENDING, at(*HOOK, "rules", 0, "operations", to=["CREATE"])),
        "one that does not end": both(ENDING, at("Namespace", 0, "status")),
        "a pod that waits for nothing": both(ENDING, at("Pod", 0, "metadata", "finalizers")),
        "a pod without the label": both(ENDING, at(*POD_LABELS, to={"app": "web"})),
    },
}
CASES = worlds_by_name(GROUPS)


@pytest.mark.parametrize("case", CASES)
def test_the_causes_of_a_world(case: str) -> None:
    change, causes = CASES[case]
    assert told(TABLE, here(change)) == causes


def test_every_code_is_found_in_some_world() -> None:
    assert codes(CASES) == {row.code for row in TABLE.rows}


@pytest.mark.parametrize("case", [case for case, (dummy, causes) in CASES.items() if causes])
def test_what_was_found_concerns_the_namespace(case: str) -> None:
    change, causes = CASES[case]
    ours = {row.code for row in TABLE.rows}
    scope = Scope("team", pod="web-1-a") if "Pod" in case else Scope("team")
    found = diagnose.diagnose(here(change), scope)
    assert {one.code for one in found.causes} & ours == {code for code, *rest in causes}


def test_what_a_pod_shows_comes_after_what_explains_it() -> None:
    both_of_them = both(NO_WEBHOOK, BARE)
    causes = diagnose.diagnose(here(both_of_them), Scope("team", workload="web")).causes
    by_code = {one.code: one for one in causes}
    assert by_code["pod_not_mutated"].because == ("webhook_missing",)
    assert causes[0].code == "webhook_missing"


def test_a_cluster_that_could_not_be_read_has_an_issuer_or_not() -> None:
    observed = here(NO_ISSUER)
    assert observed.azure
    assert told(TABLE, replace(observed, azure=replace(observed.azure, cluster={}))) == []


def test_what_serves_the_webhook_is_one_of_the_components() -> None:
    assert [one.label for one in here().of(WEBHOOK)] == [SERVING]
    assert [len(one.pods) for one in here().of(WEBHOOK)] == [1]


@for_each(
    (NO_TENANT, "it is not told the tenant (AZURE_TENANT_ID)", "azureTenantID"),
    (NO_CERTIFICATE, "it cannot keep its certificate", "Install its chart again"),
    (FORBIDDEN, "its service account lacks rights", "ClusterRole"),
)
def test_the_log_of_the_webhook_tells_why_it_ends(text: str, why: str, remedy: str) -> None:
    (one,) = [each for row in TABLE.rows for each in row.look(here(ending(text)))]
    assert why in one.cause and remedy in one.remedy
    last = one.evidence[-1]
    assert (last.source, last.text) == (f"log of Pod {HOME}/controller-1-a before its restart", text)
    assert one.command == f"kubectl --namespace {HOME} logs --previous controller-1-a"


@for_each(
    (credentials(), "create", ISSUER),
    (credentials(credential(issuer=ISSUER.replace("cluster", "blue"))), "create", ISSUER),
    (credentials(credential(audience="a b'; touch hurt")), "update", ISSUER),
)
def test_the_command_writes_what_the_token_has(change: Change, verb: str, issuer: str) -> None:
    (one,) = [one for row in TABLE.rows if row.code != "issuer_disabled" for one in row.look(here(change))]
    words = shlex.split(one.command)
    given = dict(zip(words[4::2], words[5::2]))
    assert words[:4] == ["az", "identity", "federated-credential", verb]
    assert given["--name"] == ("web" if verb == "update" else "team-web")
    assert (given["--issuer"], given["--subject"], given["--audiences"]) == (issuer, SUBJECT, AUDIENCE)
    assert (given["--resource-group"], given["--identity-name"]) == ("g", "web")


@for_each(
    (both(credentials(), NO_ISSUER), "credential_missing"),
    (at("ServiceAccount", 0), "service_account_missing"),
    (at("ServiceAccount", 0, "metadata", "annotations", to={}), "client_id_not_annotated"),
)
def test_what_is_not_known_is_in_no_command(change: Change, code: str) -> None:
    assert [one.command for row in TABLE.rows if row.code == code for one in row.look(here(change))] == [""]


def test_an_azure_identity_with_any_text_as_its_resource_is_passed_over() -> None:
    spec = {"type": 0, "clientID": "tenant", "resourceID": "$(touch hurt)/userAssignedIdentities/x"}
    identity = {"metadata": metadata("i"), "spec": spec}
    change = both(at("ServiceAccount", 0, "metadata", "annotations", to={CLIENT: "tenant"}), runs(mutated("tenant")))
    observed = here(lambda made: [change(made), made.update(AzureIdentity=[identity])])
    assert told(TABLE, observed) == []


def test_a_pod_of_an_azure_identity_leads_to_its_credentials() -> None:
    """Where Azure tells of no identities, the AzureIdentity says which one has the client id."""
    identity = {"metadata": metadata("i"), "spec": {"type": 0, "clientID": CLIENT_ID.upper(), "resourceID": IDENTITY}}
    observed = here(lambda made: made.update(AzureIdentity=[identity], credentials=[]))
    assert ("credential_missing", ACCOUNT, "proved") in told(TABLE, observed)
