# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each problem of a migration: a world that has it, beside the one where all is done and proved, which has none."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan as planning
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import problem
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.dry_run import (
    LEFT_ALONE,
    LOSES_FIELDS,
    POD_SECURITY,
    DryRun,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.dry_run import (
    QUOTA as QUOTA_REFUSES,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import Choices
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.plan import Plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw

from .migration_world import (
    ADMITTED,
    BOUND,
    CLIENT,
    CLIENT_ID,
    HOME,
    IDS,
    ISSUER,
    LABEL,
    OTHER_ID,
    TENANT,
    USE,
    Change,
    Made,
    binding,
    container,
    credential,
    exchange,
    identity,
    made,
    metadata,
    principal,
    proxied,
    template,
    unlabelled,
)

ROWS = {row.code: row for row in planning.TABLE}


def at(*path: str | int, to: t.Any) -> Change:
    """Puts ``to`` at a path of the objects."""

    def change(one: Made) -> None:
        inner: t.Any = one.objects
        for key in path[:-1]:
            inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
        inner[path[-1]] = to

    return change


def add(kind: str, raw: Raw) -> Change:
    return lambda one: one.objects.setdefault(kind, []).append(raw)


def fields(**values: t.Any) -> Change:
    def change(one: Made) -> None:
        for name, value in values.items():
            setattr(one, name, value)

    return change


def without(kind: str) -> Change:
    """It may not be listed."""
    return lambda one: one.objects.pop(kind)


def both(*changes: Change) -> Change:
    return lambda one: [change(one) for change in changes]


def replaced(one: Made) -> None:
    """A managed identity takes the place of that of the workload, which trusts it."""
    one.choices = replace(one.choices, replacements={"team/i": f"{IDS}money"})
    one.client_ids = {f"{IDS}money".lower(): CLIENT_ID}
    one.credentials = {f"{IDS}money".lower(): [credential()]}


unannotated = at("ServiceAccount", 0, "metadata", "annotations", to={})
SPEC = ("Deployment", 0, "spec", "template", "spec")
CONTAINER = (*SPEC, "containers", 0)
CONFIGURED = ("MutatingWebhookConfiguration", 0, "webhooks", 0)
SERVING = ("Deployment", 1, "spec", "template", "spec", "containers", 0, "image")
WEBHOOK = "mcr.example/oss/azure/workload-identity/webhook:"
SPAN = (at("Deployment", 0, "metadata", "annotations", to={"meta.helm.sh/release-name": "shop"}),)
recreated = at("Deployment", 0, "spec", "strategy", to={"type": "Recreate"})
by_default, alone = at(*SPEC, "serviceAccountName", to="default"), at("Deployment", 0, "spec", "replicas", to=1)
UNPROVED = fields(exchanges=[exchange()])
EGRESS = {
    "metadata": metadata("closed"),
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
}
CLAIM = {"metadata": metadata("data"), "spec": {"accessModes": ["ReadWriteOnce"]}}
CLAIMED = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
CSI = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}
OF_CLIENT = {"clientID": CLIENT_ID}
CLASS = {"metadata": metadata("vault"), "spec": {"provider": "azure", "parameters": {"usePodIdentity": "true"}}}
POLICY = {"matchConstraints": {"resourceRules": [{"resources": ["deployments"]}]}}
CONSTRAINT = {"match": {"namespaces": ["te*"], "kinds": [{"kinds": ["Pod"]}]}}
TENANT_OF_ACCOUNT = "azure.workload.identity/tenant-id"
PARTITIONED = {"rollingUpdate": {"partition": 1}}
EXCEPTED = {"metadata": metadata("e"), "spec": {"podLabels": {"app": "web"}}}
OURS = {"metadata": metadata("default-i", labels={"app.kubernetes.io/managed-by": "azureops.pod_identity"})}
BASELINE = {"pod-security.kubernetes.io/enforce": "baseline"}
QUOTA = {"metadata": metadata("all"), "spec": {"hard": {"limits.cpu": "4", "pods": "9"}}}


def env(**values: str) -> Change:
    return at(*CONTAINER, "env", to=[{"name": name, "value": value} for name, value in values.items()])


def annotated(to: Raw) -> Change:
    return at("Deployment", 0, "metadata", "annotations", to=to)


def labelled(to: Raw) -> Change:
    return at("Deployment", 0, "metadata", "labels", to=to)


def owned_by(kind: str) -> Change:
    return at("Deployment", 0, "metadata", to=metadata("web", by=(kind, "web")))


def of_account(**values: t.Any) -> Change:
    """What its service account has, too."""
    return lambda one: one.account["metadata"].update(values)


def template_annotated(to: Raw) -> Change:
    return at("Deployment", 0, "spec", "template", "metadata", "annotations", to=to)


def volumes(to: list[Raw]) -> Change:
    return at(*SPEC, "volumes", to=to)


def init_containers(*those: Raw) -> Change:
    return at(*SPEC, "initContainers", to=list(those))


def exchanged(**more: t.Any) -> Change:
    """What the proof of the workload tells, beside that of its service account."""
    return fields(exchanges=[exchange(), exchange(workload=LABEL, **more)])


def trusting(*those: Credential) -> Change:
    return fields(credentials={f"{IDS}i".lower(): list(those)})


def tried(run: DryRun) -> Change:
    return fields(dry_runs={LABEL: run})


mounted = volumes([{"name": "s", "csi": CSI}])


def as_job(one: Made) -> None:
    """The workload is made by a Job."""
    job = {"metadata": metadata("web"), "spec": {"template": one.web}}
    one.objects["Job"] = [job]
    one.objects["Deployment"] = one.objects["Deployment"][1:]
    one.objects["Pod"] = one.objects["Pod"][1:]
    one.dry_runs = {"Job team/web": one.dry_runs[LABEL]}
    one.exchanges = [replace(each, workload=each.workload and "Job team/web") for each in one.exchanges]


def as_stateful_set(one: Made) -> None:
    one.objects["StatefulSet"] = [one.objects["Deployment"].pop(0)]
    one.objects["Pod"] = one.objects["Pod"][1:]


def full(number: int) -> dict[str, list[t.Any]]:
    """So many credentials of other clusters."""
    others = [credential(f"c{each}", f"https://other/{each}/") for each in range(number)]
    return {f"{IDS}i".lower(): others}


def second_chart(*verbs: str) -> Change:
    """What says that it is the webhook, beside a role of that name which gives its service account these verbs."""

    def change(one: Made) -> None:
        of = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"]}
        rule = {**of, "verbs": list(verbs)}
        role, subject = "azure-wi-webhook-manager-role", {"kind": "ServiceAccount", "namespace": "second", "name": "wi"}
        one.objects["Deployment"].append({**one.objects["Deployment"][1], "metadata": metadata("controller", "second")})
        one.objects["ClusterRole"].append({"metadata": {"name": role}, "rules": [rule]})
        one.objects["ClusterRoleBinding"].append(
            {"metadata": {"name": role}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [subject]}
        )

    return change


def shared_by_two(one: Made) -> None:
    unlabelled(one)
    del one.account["metadata"]["annotations"]
    one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
    one.objects["AzureIdentityBinding"].append(binding("j", "y"))
    one.objects["Deployment"].append({"metadata": metadata("other"), "spec": {"template": template("y")}})


# By code: what brings it about. A pair has the effect, too, where it is other than that of the table.
WORLDS: dict[str, t.Sequence[Change]] = {
    "template_not_labelled": [
        unlabelled,
        at("Deployment", 0, "spec", "template", "metadata", "labels", USE, to="True"),
        both(unlabelled, labelled({USE: "true"})),
    ],
    "pods_older_than_account": [
        at("Pod", 0, "spec", "containers", 0, "env", to=[]),
        at("Pod", 0, "spec", "containers", 0, "env", 0, "value", to=OTHER_ID),
        at("Pod", 0, "spec", "containers", 0, "env", to=[{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/token"}]),
    ],
    "webhook_not_installed": [at("MutatingWebhookConfiguration", to=[])],
    "webhook_not_ready": [
        at("Pod", 1, "status", "conditions", to=[]),
        at("Deployment", 1, "metadata", "namespace", to="elsewhere"),
        at(*CONFIGURED, "clientConfig", "caBundle", to=""),
    ],
    "webhook_may_be_passed_over": [at(*CONFIGURED, "failurePolicy", to="Ignore")],
    "fields_would_be_lost": [
        tried(replace(ADMITTED, code=LOSES_FIELDS, lost=("spec.resources",))),
        tried(replace(ADMITTED, code=LOSES_FIELDS, changed=("spec.resources",))),
    ],
    "labelled_pod_refused": [tried(DryRun(QUOTA_REFUSES, "exceeded quota")), tried(DryRun(LEFT_ALONE, ""))],
    "container_without_token": [
        lambda one: one.objects["Pod"][0]["spec"]["containers"].append(container("mesh")),
        template_annotated({"azure.workload.identity/skip-containers": "app"}),
    ],
    "two_webhooks": [
        fields(addon=True),
        second_chart("get", "list", "update"),
        lambda one: one.objects["MutatingWebhookConfiguration"].append(
            {"metadata": {"name": "second"}, "webhooks": [one.webhook]}
        ),
    ],
    "namespace_not_covered": [
        at("Namespace", 0, "metadata", "labels", to={"control-plane": "x"}),
        at(*CONFIGURED, "namespaceSelector", to={"matchLabels": {"team": "other"}}),
    ],
    "runs_on_virtual_nodes": [at(*SPEC, "nodeSelector", to={"type": "virtual-kubelet"})],
    "identity_not_known": [
        both(at("AzureIdentityBinding", to=[]), unannotated),
        at("AzureIdentity", 0, "spec", "clientID", to=""),
    ],
    "identity_is_service_principal": [
        both(principal, fields(credentials={CLIENT_ID: []})),
        both(principal, at("AzureIdentity", 0, "spec", "type", to=2), fields(credentials={})),
    ],
    "service_principal_not_federable": [
        both(principal, at("AzureIdentity", 0, "spec", "type", to=3)),
        both(principal, at("AzureIdentity", 0, "spec", "clientID", to="billing")),
        both(principal, at("AzureIdentity", 0, "spec", "tenantID", to="")),
        both(principal, at("AzureIdentity", 0, "spec", "tenantID", to=OTHER_ID)),
        both(principal, at("AzureIdentity", 0, "spec", "auxiliaryTenantIDs", to=[TENANT, OTHER_ID])),
    ],
    "several_identities": [
        both(add("AzureIdentity", identity("j", OTHER_ID)), add("AzureIdentityBinding", binding("j")))
    ],
    "own_account_needed": [both(unlabelled, by_default), shared_by_two, at("ServiceAccount", to=[])],
    "account_name_taken": [both(unlabelled, by_default, add("ServiceAccount", {"metadata": metadata("default-i")}))],
    "account_tells_other_client_id": [
        unannotated,
        at("ServiceAccount", 0, "metadata", "annotations", CLIENT, to=OTHER_ID),
    ],
    "account_tells_other_tenant": [of_account(annotations={CLIENT: CLIENT_ID, TENANT_OF_ACCOUNT: OTHER_ID})],
    "account_has_owner": [
        both(unannotated, of_account(annotations={"meta.helm.sh/release-name": "shop"})),
        both(unannotated, of_account(annotations={"argocd.argoproj.io/tracking-id": "shop:/ServiceAccount:team/web"})),
        both(unannotated, of_account(labels={"kustomize.toolkit.fluxcd.io/name": "apps"})),
        both(unannotated, of_account(managedFields=[{"manager": "helm"}])),
        both(unannotated, of_account(labels={"kubernetes.azure.com/managedby": "aks"})),
        both(unannotated, of_account(ownerReferences=[{"kind": "Database", "name": "web", "controller": True}])),
    ],
    "own_client_id_differs": [
        env(AZURE_CLIENT_ID=OTHER_ID),
        env(AZURE_CLIENT_ID="billing"),
        at(*CONTAINER, "env", to=[{"name": "AZURE_CLIENT_ID"}]),
    ],
    "issuer_not_enabled": [fields(issuer="")],
    "not_federated": [
        trusting(),
        trusting(credential(issuer="https://other/")),
        trusting(credential(audience="api://other")),
    ],
    "credentials_not_read": [
        both(unlabelled, fields(credentials={})),
        both(unannotated, fields(credentials={})),
        both(principal, unlabelled, fields(credentials={})),
    ],
    "federated_by_other_spelling": [
        trusting(credential(issuer=ISSUER.rstrip("/"))),
        trusting(credential(subject="system:serviceaccount:team:Web")),
    ],
    "exchanges_fail": [
        fields(
            exchanges=[exchange(granted=40, codes={"AADSTS700213": 10}), exchange(workload=LABEL, asked=1, granted=1)]
        )
    ],
    "too_many_credentials": [
        fields(credentials=full(20)),
        both(principal, fields(credentials={CLIENT_ID: full(20)[f"{IDS}i".lower()]})),
    ],
    "uses_identity_binding": [template_annotated({BOUND: "true"})],
    "proxy_not_annotated": [fields(choices=Choices(proxied=frozenset({LABEL})))],
    "proxy_keeps_job_alive": [
        both(proxied, at(*SERVING, to=f"{WEBHOOK}v1.3.0"), as_job),
        both(proxied, at("Node", 0, "status", "nodeInfo", "kubeletVersion", to="v1.31.9"), as_job),
        both(proxied, at("Node", to=[]), as_job),
    ],
    "proxy_not_admitted": [
        both(proxied, at("Namespace", 0, "metadata", "labels", to=BASELINE), fields(dry_runs={})),
        both(proxied, add("ResourceQuota", QUOTA), fields(dry_runs={})),
        both(proxied, tried(DryRun(POD_SECURITY, "privileged containers are not allowed"))),
    ],
    "init_container_before_proxy": [both(proxied, init_containers(container("setup")))],
    "proxy_on_host_network": [both(proxied, at(*SPEC, "hostNetwork", to=True))],
    "proxy_ignores_parameters": [both(proxied, at(*CONTAINER, "args", to=[f"--identity={IDS}i"]))],
    "asks_metadata_service": [
        at(*CONTAINER, "command", to=["curl", "http://169.254.169.254/metadata/identity/oauth2/token?resource=x"])
    ],
    "windows_has_no_proxy": [both(proxied, at(*SPEC, "nodeSelector", to={"kubernetes.io/os": "windows"}))],
    "token_path_hard_coded": [
        both(
            at(*CONTAINER, "args", to=["--token=/var/run/secrets/azure/tokens/azure-identity-token"]),
            at(*SERVING, to=f"{WEBHOOK}v1.6.0"),
        )
    ],
    "library_too_old": [env(AzureServicesAuthConnectionString="RunAs=App")],
    "falls_back_to_node": [exchanged(served_by="nmi")],
    "assertion_expires": [exchanged(granted=49, codes={"AADSTS700024": 1})],
    "login_host_not_reached": [
        exchanged(asked=0, granted=0, reached=False),
        both(add("NetworkPolicy", EGRESS), UNPROVED),
    ],
    "manifest_has_owner": [
        both(unlabelled, annotated({"meta.helm.sh/release-name": "shop"})),
        both(unlabelled, labelled({"app.kubernetes.io/managed-by": "Helm"})),
        both(unlabelled, labelled({"kustomize.toolkit.fluxcd.io/name": "apps"})),
        both(unlabelled, at("Deployment", 0, "metadata", "managedFields", to=[{"manager": "argocd-controller"}])),
    ],
    "made_by_operator": [
        both(unlabelled, owned_by("Database")),
        both(unlabelled, labelled({"kubernetes.azure.com/managedby": "aks"})),
    ],
    "template_immutable": [both(unlabelled, as_job)],
    "cannot_surge": [
        both(unlabelled, recreated),
        both(unlabelled, alone, volumes(CLAIMED), add("PersistentVolumeClaim", CLAIM)),
    ],
    "rollout_held": [
        both(unlabelled, at("Deployment", 0, "spec", "paused", to=True)),
        both(unlabelled, as_stateful_set, at("StatefulSet", 0, "spec", "updateStrategy", to=PARTITIONED)),
    ],
    "policy_may_refuse": [
        both(unlabelled, add("ValidatingAdmissionPolicy", {"metadata": {"name": "labels"}, "spec": POLICY})),
        both(unlabelled, add("K8sLabels.constraints.gatekeeper.sh", {"metadata": {"name": "all"}, "spec": CONSTRAINT})),
    ],
    "others_take_tokens_by_it": [both(mounted, add("SecretProviderClass", CLASS))],
    "takes_node_identity": [
        both(unlabelled, add("AzurePodIdentityException", EXCEPTED)),
        both(unlabelled, at(*SPEC, "hostNetwork", to=True)),
    ],
}
# Nearly the same, where the problem is not.
NEIGHBOURS: dict[str, t.Sequence[Change]] = {
    "pods_older_than_account": [
        at("ServiceAccount", 0, "metadata", "annotations", CLIENT, to=OTHER_ID),
        at(*CONTAINER, "env", to=[{"name": "AZURE_CLIENT_ID", "valueFrom": {"secretKeyRef": {}}}]),
    ],
    "template_not_labelled": [labelled({"app": "web"})],
    "identity_is_service_principal": [principal, both(principal, replaced)],
    "service_principal_not_federable": [
        both(principal, at("AzureIdentity", 0, "spec", "tenantID", to=TENANT.upper())),
        both(principal, at("AzureIdentity", 0, "spec", "auxiliaryTenantIDs", to=[])),
        both(principal, at("AzureIdentity", 0, "spec", "auxiliaryTenantIDs", to=[OTHER_ID]), replaced),
    ],
    "webhook_not_ready": [at("Deployment", 1, "spec", "replicas", to=5)],
    "two_webhooks": [
        # What a tenant labels is none.
        lambda one: add("Deployment", {**one.objects["Deployment"][1], "metadata": metadata("fake", "team")})(one),
        # Nor is that whose role has the name alone.
        second_chart("get", "list"),
    ],
    "namespace_not_covered": [at(*CONFIGURED, "namespaceSelector", to={"matchLabels": {}})],
    "own_account_needed": [unlabelled, both(unlabelled, unannotated)],
    "account_name_taken": [both(unlabelled, by_default, add("ServiceAccount", OURS))],
    "rollout_held": [
        at("Deployment", 0, "spec", "paused", to=True),
        # Its owner is asked.
        both(unlabelled, at("Deployment", 0, "spec", "paused", to=True), *SPAN),
    ],
    "account_tells_other_tenant": [of_account(annotations={CLIENT: CLIENT_ID, TENANT_OF_ACCOUNT: TENANT.upper()})],
    "account_has_owner": [
        of_account(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}),
        # Its own owner is asked.
        both(unannotated, of_account(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}), *SPAN),
    ],
    "credentials_not_read": [
        fields(credentials={}),  # it has its tokens
        both(unlabelled, fields(credentials={}, issuer=None)),  # nobody could ask Azure at all
        both(unlabelled, fields(credentials=None)),
        both(unlabelled, trusting()),
    ],
    "own_client_id_differs": [env(AZURE_CLIENT_ID=CLIENT_ID.upper())],
    "too_many_credentials": [fields(credentials=full(19))],
    "exchanges_fail": [fields(exchanges=[exchange(granted=49, codes={"AADSTS700213": 1}), exchange(workload=LABEL)])],
    "proxy_keeps_job_alive": [both(proxied, as_job), as_job],
    "proxy_not_admitted": [
        proxied,
        # The API server took it.
        both(proxied, add("ResourceQuota", QUOTA)),
        at("Namespace", 0, "metadata", "labels", to=BASELINE),
    ],
    "init_container_before_proxy": [
        init_containers(container("setup")),
        both(proxied, init_containers({**container("mesh"), "restartPolicy": "Always"})),
    ],
    "asks_metadata_service": [
        both(proxied, at(*CONTAINER, "command", to=["curl", "http://169.254.169.254/metadata/identity/oauth2/token"]))
    ],
    "token_path_hard_coded": [at(*CONTAINER, "args", to=["--token=/var/run/secrets/other/token"])],
    "library_too_old": [both(proxied, env(AzureServicesAuthConnectionString="RunAs=App"))],
    "login_host_not_reached": [add("NetworkPolicy", EGRESS)],
    "manifest_has_owner": [*SPAN, unlabelled],
    "cannot_surge": [
        recreated,
        both(unlabelled, recreated, at("Deployment", 0, "spec", "replicas", to=0)),
        both(unlabelled, volumes(CLAIMED), add("PersistentVolumeClaim", CLAIM)),
    ],
    "others_take_tokens_by_it": [
        both(mounted, add("SecretProviderClass", {**CLASS, "spec": {"provider": "azure", "parameters": OF_CLIENT}}))
    ],
    "takes_node_identity": [add("AzurePodIdentityException", EXCEPTED)],
}
# What is not known without an input, and what is left out then.
UNKNOWN: dict[str, t.Sequence[Change]] = {
    "webhook_not_installed": [without("MutatingWebhookConfiguration")],
    "pods_older_than_account": [without("Pod")],
    "container_without_token": [without("Pod")],
    "two_webhooks": [without("ClusterRoleBinding"), without("MutatingWebhookConfiguration")],
    "identity_not_known": [
        both(without("AzureIdentityBinding"), unannotated),
        both(without("AzureIdentity"), unannotated),
    ],
    "made_by_operator": [both(unlabelled, owned_by("StatefulSet"), without("StatefulSet"))],
    "others_take_tokens_by_it": [mounted, at(*CONTAINER, "image", to="ghcr.io/kedacore/keda:2.14.0")],
    "takes_node_identity": [without("AzurePodIdentityException")],
    "fields_would_be_lost": [fields(dry_runs={})],
    "proxy_not_admitted": [both(proxied, fields(dry_runs={}))],
    "proxy_ignores_parameters": [both(proxied, UNPROVED)],
    "exchanges_fail": [fields(exchanges=[])],
    "library_too_old": [UNPROVED],
    "falls_back_to_node": [UNPROVED],
    "assertion_expires": [UNPROVED],
    "login_host_not_reached": [UNPROVED],
    "webhook_not_ready": [without("MutatingWebhookConfiguration"), without("Pod")],
    "webhook_may_be_passed_over": [without("MutatingWebhookConfiguration")],
    "namespace_not_covered": [without("Namespace"), without("MutatingWebhookConfiguration")],
    "own_account_needed": [without("ServiceAccount"), both(without("AzureIdentity"), unannotated)],
    "account_tells_other_client_id": [without("ServiceAccount"), both(without("AzureIdentity"), unannotated)],
    "own_client_id_differs": [
        at(*CONTAINER, "env", to=[{"name": "AZURE_CLIENT_ID", "valueFrom": {"secretKeyRef": {}}}]),
        both(without("AzureIdentity"), env(AZURE_CLIENT_ID=OTHER_ID)),
    ],
    "issuer_not_enabled": [fields(issuer=None)],
    "service_principal_not_federable": [both(principal, fields(tenant=""))],
    "account_tells_other_tenant": [
        both(of_account(annotations={CLIENT: CLIENT_ID, TENANT_OF_ACCOUNT: TENANT}), fields(tenant=""))
    ],
    "not_federated": [
        both(principal, fields(credentials={})),
        fields(credentials=None),
        without("AzureIdentity"),
        both(without("AzureIdentityBinding"), unannotated),
        at("AzureIdentity", 0, "spec", "resourceID", to=f"{IDS}a/b"),
    ],
    "cannot_surge": [both(unlabelled, alone, volumes(CLAIMED), lambda one: one.objects.pop("PersistentVolumeClaim"))],
}


def told(found: Plan) -> dict[str, set[str]]:
    """Codes by what they lead to."""
    lists = {problem.NEEDS: found.needs, problem.BLOCKS: found.blocked, problem.WARNS: found.warnings}
    return {effect: {item.code for item in items if item.step != "proof"} for effect, items in lists.items()}


def of(one: Made) -> Plan:
    kind = next((kind for kind in ("Job", "StatefulSet") if one.objects.get(kind)), "Deployment")
    return one.plan(f"{kind} team/web")


def cases(table: dict[str, t.Sequence[Change]]) -> list[t.Any]:
    return [
        pytest.param(code, change, id=f"{code}-{number}")
        for code, several in table.items()
        for number, change in enumerate(several)
    ]


def test_all_is_done_and_proved() -> None:
    assert made().plan() == Plan("ready")


@pytest.mark.parametrize(("code", "change"), cases(WORLDS))
def test_a_world_with_it(code: str, change: Change) -> None:
    found = of(made(change))
    row = ROWS[code]
    assert code in told(found)[row.effect], found
    assert code not in {item.code for item in found.not_looked_at}
    (item, *_more) = [each for each in (*found.needs, *found.blocked, *found.warnings) if each.code == code]
    assert item.reason.endswith(".") or item.reason.endswith("allowed") or code == "labelled_pod_refused"
    assert item.object and item.remedy == row.remedy
    if row.effect == problem.BLOCKS and row.stage == "switch":
        assert found.verdict == "blocked"
    elif row.effect == problem.NEEDS:
        assert row.step in found.steps and found.verdict in ("needs", "blocked")


@pytest.mark.parametrize(("code", "change"), cases(NEIGHBOURS))
def test_a_world_nearly_with_it(code: str, change: Change) -> None:
    found = of(made(change))
    every = (*found.needs, *found.blocked, *found.warnings, *found.not_looked_at)
    assert code not in {item.code for item in every}


@pytest.mark.parametrize(("code", "change"), cases(UNKNOWN))
def test_what_is_not_known_is_told_and_never_right(code: str, change: Change) -> None:
    found = of(made(change))
    assert code in {item.code for item in found.not_looked_at}
    assert code not in {item.code for item in (*found.blocked, *found.warnings)}
    assert found.verdict != "ready" and found.steps[-1] == "proof"


@pytest.mark.parametrize("change", [principal, both(principal, replaced), replaced])
def test_all_is_done_for_a_service_principal_too(change: Change) -> None:
    one = made(change)
    assert one.plan() == Plan("ready")
    one = made(change, both(unlabelled, unannotated))
    assert set(one.plan().steps) == {"annotation", "label"}
    # Once it has left, its service account names it.
    one = made(change, lambda it: it.web["metadata"]["labels"].pop("aadpodidbinding"))
    assert one.plan() == Plan("ready")


def has_left(one: Made) -> None:
    """By this collection."""
    label = one.web["metadata"]["labels"].pop("aadpodidbinding")
    one.objects["Deployment"][0]["metadata"]["annotations"] = {MIGRATION: json.dumps({"aadpodidbinding": label})}


def several(of_second: list[Credential] | None) -> Change:
    """Identities, of which its service account tells the first, which trusts it. ``of_second``: what the other has."""

    def change(one: Made) -> None:
        add("AzureIdentity", identity("j", OTHER_ID, type=1, resourceID="", tenantID=TENANT))(one)
        add("AzureIdentityBinding", binding("j"))(one)
        if of_second is not None:
            one.credentials = {**(one.credentials or {}), OTHER_ID: of_second}

    return change


def test_all_that_trust_a_workload_are_known_once_it_has_left() -> None:
    """So that nothing of them stays when it comes back."""

    def trusting(*changes: Change) -> dict[str, str]:
        (row,) = made(*changes).data()["templates"]
        return {each["client_id"]: each["state"] for each in row["credentials"]}

    second = several([credential()])
    assert trusting(second) == trusting(second, has_left) == {CLIENT_ID: "exists", OTHER_ID: "exists"}
    assert {item.code for item in made(second, has_left).plan().not_looked_at} == {"exchanges_fail"}
    # It is to get no more than what it uses.
    assert trusting(several([]), has_left) == {CLIENT_ID: "exists"}
    assert trusting(several(None), has_left) == {CLIENT_ID: "exists", OTHER_ID: "unknown"}
    for text in ('{"aadpodidbinding":"z"}', '{"aadpodidbinding":[]}', "[1]"):  # of whoever may write annotations
        marked = annotated({MIGRATION: text})
        assert trusting(second, has_left, marked) == {CLIENT_ID: "exists"}


def test_what_takes_the_place_of_an_identity() -> None:
    """The workload is to get it, and not what AAD Pod Identity gives; the plan tells both."""
    one = made(principal, replaced)
    one.client_ids = {f"{IDS}money".lower(): OTHER_ID}
    (trust,) = one.world().trusts(one.world().candidates[0])
    assert (trust.identity, trust.app_id, trust.client_id) == (f"{IDS}money", "", OTHER_ID)
    assert {item.code for item in one.plan().needs} == {"account_tells_other_client_id", "pods_older_than_account", ""}
    (told_of,) = one.data()["templates"][0]["identities"]
    assert (told_of["client_id"], told_of["type"], told_of["replacement"]) == (CLIENT_ID, 1, f"{IDS}money")
    one.client_ids = {}
    (item,) = [each for each in one.plan().blocked if each.code == "identity_not_known"]
    assert item.reason.startswith("The identity money, which is to take the place of AzureIdentity team/i, was not")
    one.credentials = None
    assert "identity_not_known" in {each.code for each in one.plan().not_looked_at}


def test_a_replacement_of_what_is_not_there() -> None:
    one = made(principal)
    one.choices = Choices(replacements={"team/j": f"{IDS}money"})
    with pytest.raises(Failure, match="There is no AzureIdentity team/j, which replacements names"):
        one.plan()
    one.objects["AzureIdentity"] = []  # AAD Pod Identity has gone
    one.plan()


@pytest.mark.parametrize(("name", "identity_id"), [("team", f"{IDS}money"), ("team/i", "money"), ("team/", f"{IDS}m")])
def test_a_replacement_that_cannot_be_one(name: str, identity_id: str) -> None:
    options = {"accept": [], "override_owner": False, "proxy_workloads": [], "exchange_min_rate": 0.9}
    with pytest.raises(Failure, match="correct replacements"):
        Choices.parse({**options, "replacements": {name: identity_id}})


def test_an_application_is_one_row_with_its_credentials() -> None:
    """However many AzureIdentities name it; what they name in vain is a row of its own."""
    one = made(principal)
    twin = {**one.objects["AzureIdentity"][0], "metadata": metadata("j")}
    foreign = {"metadata": metadata("k"), "spec": {**twin["spec"], "tenantID": OTHER_ID}}
    one.objects["AzureIdentity"] += [twin, foreign]
    rows = [
        (row["identity_id"], row["client_id"], row["azure_identities"], row["credentials_used"], row["subjects"])
        for row in one.data()["identities"]
    ]
    subject = "system:serviceaccount:team:web"
    assert rows == [("", CLIENT_ID, ["team/i", "team/j"], 1, [subject]), ("", CLIENT_ID, ["team/k"], None, [])]


def test_a_hard_coded_path_that_is_still_right() -> None:
    """Of a webhook before 1.6.0; an update breaks it."""
    change = at(*CONTAINER, "args", to=["--token=/var/run/secrets/azure/tokens/azure-identity-token"])
    found = made(change).plan()
    assert told(found) == {problem.NEEDS: set(), problem.BLOCKS: set(), problem.WARNS: {"token_path_hard_coded"}}
    assert found.verdict == "ready"


def test_every_problem_of_those_who_moved_is_in_the_table() -> None:
    assert {row.row for row in planning.TABLE} - {0} == set(range(1, 24))
    assert set(WORLDS) == set(ROWS)


def test_what_only_a_proof_tells_is_not_known_without_it() -> None:
    """Rows 4, 6, 14, 16 and 22."""
    rows = {ROWS[code].row for code in UNKNOWN}
    assert {4, 6, 14, 16, 22} <= rows


@pytest.mark.parametrize("row", planning.TABLE, ids=lambda row: row.code)
def test_a_row_is_sound(row: t.Any) -> None:
    assert row.effect in problem.EFFECTS and row.stage in problem.STAGES and row.step in ("", *problem.STEPS)
    assert row.effect != problem.NEEDS or row.step
    assert row.accepted_by in ("", problem.ACCEPT, problem.OVERRIDE_OWNER) and (
        not row.accepted_by or row.effect == problem.BLOCKS
    )
    assert row.remedy.endswith(".") and row.told_by.endswith(".")


@pytest.mark.parametrize("code", planning.ACCEPTABLE)
def test_an_accepted_problem_is_in_nobodys_way(code: str) -> None:
    one = made(WORLDS[code][0])
    before = of(one)
    one.choices = replace(one.choices, accepted=frozenset({code}))
    after = of(one)
    assert code in {item.code for item in before.blocked} and code not in {item.code for item in after.blocked}
    assert [item for item in before.blocked if item.code != code] == list(after.blocked)
    assert code in {item.code for item in after.accepted}
    if ROWS[code].step:
        assert ROWS[code].step in after.steps


def test_nothing_else_accepts_a_problem() -> None:
    everything = Choices(accepted=frozenset(ROWS), override_owner=True)
    for code, row in ROWS.items():
        if row.effect == problem.BLOCKS and not row.accepted_by:
            one = made(WORLDS[code][0])
            one.choices = replace(everything, proxied=one.choices.proxied)
            assert code in {item.code for item in of(one).blocked}, code


@pytest.mark.parametrize("code", WORLDS)
def test_pods_are_tried_of_what_nothing_keeps_from_workload_id(code: str) -> None:
    everything = Choices(accepted=frozenset(planning.ACCEPTABLE), override_owner=True)
    for change in WORLDS[code]:
        one = made(change)
        for choices in (one.choices, replace(everything, proxied=one.choices.proxied)):
            one.choices = choices
            world = one.world()
            expected = {
                each.key
                for each, found in planning.plans(world)
                if each.moves and not each.is_bound and not each.provides_itself
                # Nobody else would try what an owner merges.
                if not any(
                    item.stage == problem.SWITCH and item.accepted_by != problem.OVERRIDE_OWNER
                    for item in found.blocked
                )
            }
            assert {each.key for each in planning.to_try(world)} == expected


def test_an_owned_manifest_is_changed_by_option() -> None:
    one = made(WORLDS["manifest_has_owner"][0])
    assert one.plan().verdict == "blocked"
    one.choices = Choices(override_owner=True)
    found = one.plan()
    assert (found.verdict, found.steps) == ("needs", ("label",))


def test_steps_are_in_the_order_of_the_migration() -> None:
    """Of a workload that nobody has touched yet."""

    def untouched(one: Made) -> None:
        unlabelled(one)
        one.web["spec"].pop("serviceAccountName")
        one.objects["MutatingWebhookConfiguration"] = []
        one.credentials = {f"{IDS}i".lower(): []}
        one.dry_runs, one.exchanges = {}, []

    found = made(untouched).plan()
    assert found.steps == ("webhook", "service_account", "annotation", "credential", "label", "proof")
    assert found.verdict == "needs"


def test_what_waits_for_its_leave_alone_is_not_blocked_from_the_switch() -> None:
    """An init container on the metadata service: the switch is allowed, the leave is not."""
    change = both(proxied, unlabelled, init_containers(container("setup")))
    found = made(change).plan()
    assert found.verdict == "needs" and "label" in found.steps
    assert [(item.code, item.stage) for item in found.blocked] == [("init_container_before_proxy", "leave")]


def test_home_of_the_webhook_is_no_candidate() -> None:
    assert [one.label for one in made().world().candidates] == [LABEL]
    assert HOME not in {one.namespace for one in made().world().candidates}
