# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of the roles of site.yml: what changing it alone must do, or where else that is tested.

tests/unit/project/test_options.py holds this table against the argument specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GROUP, CLUSTER = "options", "one"
SUBSCRIPTION = "SUBSCRIPTION"
"""Stands for the id of the sandbox's subscription."""
ID = "11111111-1111-4111-8111-11111111111"
MIC_ROLES = ("Managed Identity Operator", "Virtual Machine Contributor")
"""What MIC needs at the resource group of the nodes."""

# `used` has a running pod; `spare` and `principal` are changed. Each test sees that the others stay as they are.
USED: dict[str, Any] = {"name": "billing", "namespace": "billing", "selector": "billing", "behavior": "namespaced"}
SPARE: dict[str, Any] = {
    "name": "spare",
    "namespace": "spare",
    "selector": "spare",
    "behavior": "namespaced",
    "tags": {"team": "a"},
    "roles": [{"role": "Reader"}],
}
PRINCIPAL: dict[str, Any] = {
    "name": "principal",
    "namespace": "spare",
    "selector": "principal",
    "type": 1,
    "client_id": f"{ID}1",
    "tenant_id": f"{ID}2",
    "client_password_secret": {"name": "credential", "namespace": "spare"},
}
WORKLOAD: dict[str, Any] = {"namespace": "billing", "selector": "billing", "expect": "billing"}
VARIABLES: dict[str, Any] = {
    "pod_identity_resource_group": GROUP,
    "pod_identity_cluster_name": CLUSTER,
    "pod_identity_location": "westeurope",
    "pod_identity_cluster_create": True,
    "pod_identity_cluster_poll_interval": 1,
    "pod_identity_cluster_tags": {"team": "a"},
    "pod_identity_bindings_create_namespaces": True,
    "pod_identity_bindings_list": [USED, SPARE, PRINCIPAL],
    "pod_identity_verify_workloads": [WORKLOAD],
}

Shown = Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Case:
    """One option that is set or changed, and nothing else."""

    named: str
    """The option without the prefix of the collection."""
    variables: Mapping[str, Any]
    name: str = field(default="", kw_only=True)
    """Tells apart several cases of one option."""

    @property
    def option(self) -> str:
        return f"pod_identity_{self.named}"

    @property
    def role(self) -> str:
        return self.named.partition("_")[0]

    @property
    def id(self) -> str:
        return f"{self.named}{f'-{self.name}' if self.name else ''}"


@dataclass(frozen=True)
class Change(Case):
    """What is done, and nothing else."""

    shown: Shown
    """By task that changes something: what its diff says, as path and new value; None where a task has no diff. Of
    what is created some of it, of what goes nothing."""
    azure: tuple[str, ...] = ()
    """The writes, as method and last two parts of the path; a role assignment has no name here."""
    kubernetes: tuple[str, ...] = ()
    """The objects that are written, made or removed."""
    back: tuple[str, ...] | None = ()
    """Tasks that change something once the option is as before; None: the same. What is not set is not touched, so
    often none."""
    given: tuple[str, ...] = ()
    """Commands that somebody has run at the workstation before."""
    afterwards: tuple[str, ...] = ()
    """Commands that take away what is left besides what was there before."""


@dataclass(frozen=True)
class Refusal(Case):
    """It is refused before anything is written."""

    reason: str


@dataclass(frozen=True)
class Creation(Case):
    """An option of a cluster that does not exist yet: how its prediction differs from one without the option."""

    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict(Case):
    """What the row of the verdict says, by path, or why the role fails."""

    row: Mapping[str, Any] = field(default_factory=dict)
    reason: str = field(default="", kw_only=True)
    arguments: tuple[str, ...] = field(default=(), kw_only=True)


def cluster(**options: Any) -> dict[str, Any]:
    return {f"pod_identity_cluster_{name}": value for name, value in options.items()}


def chart(**options: Any) -> dict[str, Any]:
    return {f"pod_identity_chart_{name}": value for name, value in options.items()}


def bindings(**options: Any) -> dict[str, Any]:
    return {f"pod_identity_bindings_{name}": value for name, value in options.items()}


def spare(**keys: Any) -> dict[str, Any]:
    return bindings(list=[USED, {**SPARE, **keys}, PRINCIPAL])


def principal(**keys: Any) -> dict[str, Any]:
    return bindings(list=[USED, SPARE, {**PRINCIPAL, **keys}])


def verify(**keys: Any) -> dict[str, Any]:
    return {"pod_identity_verify_workloads": [{**WORKLOAD, **keys}]}


MADE, CREATED, WRITTEN, GRANTED, NODES = (
    "Create or change the cluster",
    "Create the identities",
    "Write AzureIdentity and AzureIdentityBinding",
    "Grant the roles",
    "Grant the roles on the node resource group",
)
GROUP_MADE = "Create the resource group"
RELEASE, INSTALLED = "Write down the release as it shall be", "Install or change the release"
PUT_CLUSTER, PUT_GROUP = f"PUT managedClusters/{CLUSTER}", f"PUT resourcegroups/{GROUP}"
ASSIGNED = "PUT roleAssignments"
HELM_RECORD = "Secret default/sh.helm.release.v1.aad-pod-identity"
REPOSITORY = "mcr.microsoft.com/oss/azure/aad-pod-identity"
PAIR = ("AzureIdentity spare/spare", "AzureIdentityBinding spare/spare")
OF_PRINCIPAL = ("AzureIdentity spare/principal",)
BEHAVIOR = "identity.metadata.annotations.aadpodidentity.k8s.io/Behavior"
OWNER, OWNERS = "metadata.labels.azureops.pod-identity/owner", "azureops.pod-identity/owner=b --overwrite"
TYPE_1 = {"type": 1, "client_id": f"{ID}3", "tenant_id": f"{ID}4", "client_password_secret": {"name": "credential"}}
SHOWN_1 = {"type": 1, "clientID": f"{ID}3", "tenantID": f"{ID}4"}
SHOWN_1 |= {"clientPassword.name": "credential", "clientPassword.namespace": "spare"}
SHOWN_2 = {"type": 2, "clientPassword.name": "certificate"}
SECOND = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/second"
MAY_USE = {GRANTED: {"role_name": "Managed Identity Operator"}}
UNKNOWN = {WRITTEN: {"identity.spec.clientID": "(known after apply)", "identity.spec.resourceID": ...}}
RENAMED = {WRITTEN: {"identity.metadata.name": "renamed", "binding.spec.azureIdentity": "renamed"}}
LABELS = {f"{kind}.metadata.labels.team": "a" for kind in ("binding", "identity")}

CHANGES: tuple[Change, ...] = (
    Change(
        *("cluster_tags", cluster(tags={"team": "b"})),
        {GROUP_MADE: {"tags.team": "b"}, MADE: {"tags.team": "b"}},
        azure=(PUT_GROUP, PUT_CLUSTER),
        back=None,
    ),
    Change(
        *("cluster_append_tags", cluster(append_tags=False), {GROUP_MADE: {"tags.theirs": None}}),
        azure=(PUT_GROUP,),
        given=(f"az group update -n {GROUP} --set tags.theirs=1",),
    ),
    *(
        Change(f"cluster_{option}", cluster(**{option: value}), {MADE: shown}, (PUT_CLUSTER,))
        for option, value, shown in (
            ("sku_tier", "Standard", {"sku_tier": "Standard"}),
            ("network_policy", "calico", {"network_policy": "calico"}),
            ("agent_pools", [{"name": "nodepool1", "node_labels": {"a": "b"}}], {"agent_pools.0.node_labels.a": "b"}),
            ("oidc_issuer_enabled", True, {"oidc_issuer_enabled": True, "oidc_issuer_url": "(known after apply)"}),
        )
    ),
    Change(
        *("cluster_principal_id", cluster(principal_id=f"{ID}9")),
        {NODES: {f"{role}.principal_id": f"{ID}9" for role in MIC_ROLES}},
        azure=(ASSIGNED, ASSIGNED),
    ),
    Change(
        *("chart_values", chart(values={"nmi": {"loggingFormat": "json"}})),
        {RELEASE: {"values.nmi.loggingFormat": "json"}, INSTALLED: None},
        kubernetes=("DaemonSet default/aad-pod-identity-nmi", HELM_RECORD),
    ),
    # The registry that it is anyway: the release notes it, and no pod restarts.
    Change(
        *("chart_image_registry", chart(image_registry="mcr.microsoft.com")),
        {RELEASE: {"values.image.repository": REPOSITORY}, INSTALLED: None},
        kubernetes=(HELM_RECORD,),
    ),
    Change("chart_accept_existing", chart(accept_existing=True), {}, back=None),
    Change("chart_allow_network_plugin_kubenet", chart(allow_network_plugin_kubenet=True), {}, back=None),
    *(
        Change(f"bindings_list.{key}", spare(**{key: value}), {WRITTEN: shown}, (), objects, back)
        for key, value, shown, objects, back in (
            ("selector", "others", {"binding.spec.selector": "others"}, PAIR[1:], None),
            ("behavior", "standard", {BEHAVIOR: None}, PAIR[:1], None),
            ("labels", {"team": "a"}, LABELS, PAIR, ()),
            ("state", "absent", {}, PAIR, (WRITTEN,)),
        )
    ),
    Change(
        *("bindings_list.binding_name", spare(binding_name="second")),
        {WRITTEN: {"binding.metadata.name": "second", "binding.spec.selector": "spare"}},
        kubernetes=("AzureIdentityBinding spare/second",),
        afterwards=("kubectl delete -n spare azureidentitybinding/second --ignore-not-found",),
    ),
    Change(
        *("bindings_list.tags", spare(tags={"team": "b"}), {CREATED: {"tags.team": "b"}}),
        azure=("PATCH userAssignedIdentities/spare",),
        back=None,
    ),
    *(
        Change(f"bindings_list.{key}", spare(roles=roles), {GRANTED: shown}, (ASSIGNED,))
        for key, roles, shown in (
            ("roles", [{"role": "Reader"}, {"role": "Network Contributor"}], {"role_name": "Network Contributor"}),
            ("roles.role", [{"role": "Key Vault Secrets User"}], {"role_name": "Key Vault Secrets User"}),
            ("roles.scope", [{"role": "Reader", "scope": SECOND}], {"role_name": "Reader", "scope": SECOND}),
        )
    ),
    *(
        Change(
            *(f"bindings_list.{key}", spare(**{key: value})),
            shown={CREATED: made, **MAY_USE, **UNKNOWN},
            azure=(f"PUT userAssignedIdentities/{made['name']}", ASSIGNED, ASSIGNED),
            kubernetes=PAIR[:1],
            back=(WRITTEN,),
        )
        for key, value, made in (
            ("identity_name", "other", {"name": "other"}),
            ("resource_group", "second", {"name": "spare", "resource_group": "second"}),
        )
    ),
    Change(
        *("bindings_list.name", spare(name="renamed"), {CREATED: {"name": "renamed"}, **MAY_USE, **RENAMED}),
        ("PUT userAssignedIdentities/renamed", ASSIGNED, ASSIGNED),
        ("AzureIdentity spare/renamed", "AzureIdentityBinding spare/renamed"),
        afterwards=tuple(
            f"kubectl delete -n spare {kind}/renamed --ignore-not-found"
            for kind in ("azureidentitybinding", "azureidentity")
        ),
    ),
    Change(
        *("bindings_list.namespace", spare(namespace="elsewhere")),
        {"Create the namespaces": None, WRITTEN: {"identity.metadata.namespace": "elsewhere"}},
        kubernetes=(
            *("AzureIdentity elsewhere/spare", "AzureIdentityBinding elsewhere/spare"),
            *("Namespace elsewhere", "ServiceAccount elsewhere/default"),
        ),
    ),
    *(
        Change(
            *(
                "bindings_list.type",
                variables,
                {WRITTEN: {f"identity.spec.{path}": each for path, each in shown.items()}},
            ),
            kubernetes=kubernetes,
            back=None,
            name=name,
        )
        for name, variables, shown, kubernetes in (
            ("0-to-1", spare(**TYPE_1), SHOWN_1, PAIR[:1]),
            ("1-to-2", principal(type=2, client_password_secret={"name": "certificate"}), SHOWN_2, OF_PRINCIPAL),
        )
    ),
    *(
        Change(
            *(f"bindings_list.{key}", principal(**{key.partition(".")[0]: value})),
            {WRITTEN: {f"identity.spec.{path}": shown}},
            kubernetes=OF_PRINCIPAL,
            back=None,
        )
        for key, value, path, shown in (
            ("client_id", f"{ID}5", "clientID", f"{ID}5"),
            ("tenant_id", f"{ID}6", "tenantID", f"{ID}6"),
            ("client_password_secret.name", {"name": "newer"}, "clientPassword.name", "newer"),
            (
                *("client_password_secret.namespace", {"name": "credential", "namespace": "billing"}),
                *("clientPassword.namespace", "billing"),
            ),
        )
    ),
    Change(
        *(
            "bindings_list.allow_in_use",
            bindings(list=[{**USED, "state": "absent", "allow_in_use": True}, SPARE, PRINCIPAL]),
        ),
        {WRITTEN: {}},
        kubernetes=("AzureIdentity billing/billing", "AzureIdentityBinding billing/billing"),
        back=(WRITTEN,),
    ),
    # What equals what is desired is not written, whoever its owner is.
    Change("bindings_owner", bindings(owner="others"), {}, back=None),
    Change(
        *("bindings_adopt", bindings(adopt=True)),
        {WRITTEN: {f"{kind}.{OWNER}": "default" for kind in ("identity", "binding")}},
        kubernetes=PAIR,
        given=tuple(f"kubectl label -n spare azureidentity{kind}/spare {OWNERS}" for kind in ("", "binding")),
    ),
)

IDENTITY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)
REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "cluster_kubernetes_version", cluster(kubernetes_version="1.30"), "kubernetes_version of the cluster one is"
    ),
    Refusal("cluster_kubelet_identity", cluster(kubelet_identity=f"{IDENTITY}/other"), "system-assigned"),
    Refusal(
        "cluster_workload_identity_enabled", cluster(workload_identity_enabled=True), "set pod_identity_cluster_oidc_"
    ),
    Refusal("cluster_sku_tier", cluster(sku_tier="Gold"), "must be one of: Free, Standard, Premium"),
    Refusal("cluster_create", cluster(name="two", create=False), "pod_identity_cluster_create=true"),
    Refusal("chart_release_name", chart(release_name="mine"), "A second NMI would fight with it"),
    Refusal("chart_namespace", chart(namespace="kube-system"), "A second NMI would fight with it"),
    Refusal("chart_version", chart(version="4.1.17"), "pod_identity_chart_upgrade=true"),
    Refusal("chart_upgrade", chart(version="4.1.17", upgrade=True), "set pod_identity_chart_backup_dir"),
    Refusal("chart_digest", chart(digest="0"), "write its 64 hexadecimal digits"),
    Refusal("chart_ref", chart(ref="/nowhere/chart.tgz"), "there is no such file"),
    Refusal("bindings_list.location", spare(location="eastus"), "cannot move to eastus"),
    *(
        Refusal(f"{name}subscription_id", variables, f"check {said},")
        for name, variables, said in (
            ("cluster_", cluster(subscription_id=f"{ID}0"), "pod_identity_cluster_subscription_id"),
            ("bindings_list.", spare(subscription_id=f"{ID}0"), "subscription_id in pod_identity_bindings_list"),
            ("bindings_", bindings(subscription_id=f"{ID}0"), "pod_identity_bindings_subscription_id"),
        )
    ),
)

CONTROL = {"identity.type": "UserAssigned", "identity.user_assigned_identities.0": f"{IDENTITY}/control"}
ISSUED = {"oidc_issuer_enabled": True, "workload_identity_enabled": True}
CREATIONS: tuple[Creation, ...] = (
    *(
        Creation(f"cluster_{option}", cluster(**{option: value}), {option: value})
        for option, value in {
            "location": "eastus",
            "dns_prefix": "other",
            "kubernetes_version": "1.34",
            "network_plugin": "none",
            "network_policy": "cilium",
            "service_cidr": "10.9.0.0/16",
            "dns_service_ip": "10.0.0.11",
            "node_resource_group": "nodes",
            "sku_tier": "Premium",
            "pod_cidr": "10.99.0.0/16",
        }.items()
    ),
    *(
        Creation(f"cluster_{option}", cluster(**options), {**shown, "pod_cidr": "(known after apply)"})
        for option, options, shown in (
            ("network_plugin_mode", {"network_plugin_mode": "overlay"}, {"network_plugin_mode": "overlay"}),
            (
                *("allow_network_plugin_kubenet", {"network_plugin": "kubenet", "allow_network_plugin_kubenet": True}),
                {"network_plugin": "kubenet"},
            ),
        )
    ),
    Creation(
        *("cluster_agent_pools", cluster(agent_pools=[{"name": "sys", "count": 1}])),
        {"agent_pools.0.name": "sys", "agent_pools.0.count": 1},
    ),
    Creation("cluster_user_assigned_identity", cluster(user_assigned_identity=f"{IDENTITY}/control"), CONTROL),
    Creation(
        "cluster_kubelet_identity",
        cluster(user_assigned_identity=f"{IDENTITY}/control", kubelet_identity=f"{IDENTITY}/nodes"),
        {**CONTROL, "kubelet_identity.resource_id": f"{IDENTITY}/nodes"},
    ),
    Creation(
        "cluster_workload_identity_enabled", cluster(**ISSUED), {**ISSUED, "oidc_issuer_url": "(known after apply)"}
    ),
)

WRONG, UNNAMED = "do not get what they must", "correct its name"
CHECKED: dict[str, Any] = {"pod_identity_verify_in_check_mode": True}
VERDICTS: tuple[Verdict, ...] = (
    # Pods of every namespace can get `principal`; `spare` is for those of its own.
    *(
        Verdict(f"verify_workloads.{key}", verify(**{key: value}), reason=reason, name=value if key == "expect" else "")
        for key, value, reason in (
            ("expect", "principal", WRONG),
            ("expect", "nobody", UNNAMED),
            ("expect", "spare", UNNAMED),
            ("selector", "nobody", WRONG),
            ("namespace", "spare", UNNAMED),
            ("node", "nowhere", "does not exist"),
            ("client_id", f"{ID}7", WRONG),
        )
    ),
    Verdict(
        *("verify_fail", {**verify(expect="principal"), "pod_identity_verify_fail": False}),
        {"identity": "billing/billing", "verdict": "wrong_identity"},
    ),
    Verdict(
        *("verify_workloads.resource", verify(resource="https://vault.azure.net")),
        {"claims.aud": "https://vault.azure.net", "verdict": "ok"},
    ),
    Verdict(
        *("verify_samples", {"pod_identity_verify_samples": 3, "pod_identity_verify_sample_interval": 1}),
        {"samples.asked": 3, "samples.right": 3, "verdict": "ok"},
    ),
    *(
        Verdict("verify_in_check_mode", variables, row, arguments=("--check",), name=name)
        for name, variables, row in (
            ("known", CHECKED, {"verdict": "ok"}),
            ("unknown", {**verify(expect="nobody"), **CHECKED}, {"verdict": "not_verified", "identity": "nobody"}),
            ("not", {}, {"verdict": "not_verified"}),
        )
    ),
)

SITE, WIRE, KUBE = "tests/sandbox/test_site.py", "tests/wire/modules", "tests/kube"
CLUSTER_TESTS, ROLE_TESTS = f"{WIRE}/test_aks_cluster.py", f"{WIRE}/test_cluster_role.py"
TOKENS, PROBES = "tests/sandbox/test_pod_token.py", f"{KUBE}/test_pod_token_info.py"
LISTS, REPORTED = f"{KUBE}/test_binding_lists.py", "tests/unit/roles/test_report.py"
_ELSEWHERE: dict[str, str] = {
    f"{REPORTED}::test_saved_files_become_a_report": " ".join(
        f"report_{name}" for name in ("target", "formats", "title", "fail_on", "files")
    ),
    "tests/unit/plugins/plugin_utils/test_report_files.py::test_what_is_new_since_an_earlier_report": "report_previous",
    f"{REPORTED}::test_logs_are_looked_at_with_their_objects": "report_log_files",
    f"{SITE}::test_two_clusters_are_two_hosts": "cluster_name",
    f"{SITE}::test_the_addon_instead_of_the_chart": "cluster_mode chart_mode bindings_mode",
    f"{ROLE_TESTS}::test_cluster_and_group_go_as_predicted": "cluster_state cluster_confirm_absent",
    f"{ROLE_TESTS}::test_a_cluster_lies_where_it_is_told_in_a_group_that_lies_elsewhere": (
        "cluster_resource_group_location"
    ),
    f"{ROLE_TESTS}::test_what_a_site_made_goes_and_what_stays_is_told": "cluster_expected_resources",
    f"{WIRE}/test_resource_group.py::test_resources_that_are_about_to_go_do_not_keep_a_group": (
        "cluster_remove_resource_group"
    ),
    f"{WIRE}/test_resource_group.py::test_a_group_with_resources_is_deleted_only_on_demand": (
        "cluster_force_delete_nonempty"
    ),
    "tests/sandbox/test_permissions.py::test_assignments_that_somebody_else_makes_are_listed_for_the_whole_run": (
        "cluster_manage_role_assignments bindings_manage_role_assignments"
    ),
    f"{CLUSTER_TESTS}::test_an_operation_that_takes_too_long_is_named": "cluster_wait_timeout",
    f"{WIRE}/test_restored_identities.py::test_the_role_does_what_it_is_told": (
        "cluster_restore_identities cluster_restore_timeout"
    ),
    f"{KUBE}/test_right_cluster.py::test_the_right_cluster_is_told_by_its_name_or_its_nodes": "cluster_kubeconfig",
    f"{WIRE}/test_aks_kubeconfig.py::test_the_life_of_a_kubeconfig": "cluster_credentials",
    f"{SITE}::test_another_version_comes_with_a_backup": "chart_backup_dir",
    "tests/sandbox/test_uninstall.py::test_what_was_removed_comes_back": "chart_recorded_values",
    f"{KUBE}/test_forged_release.py::test_a_record_that_is_doubted_can_be_accepted": "chart_accept_record",
    f"{SITE}::test_a_killed_helm_run_is_cleared": "chart_clear_lock",
    f"{KUBE}/test_roles.py::test_the_life_of_an_exception": " ".join(
        f"bindings_exceptions.{key}" for key in ("name", "namespace", "pod_labels", "state", "allow_in_use")
    ),
    f"{KUBE}/test_roles.py::test_a_namespace_that_is_missing_is_only_said_in_check_mode": "bindings_create_namespaces",
    f"{LISTS}::test_what_is_refused_in_a_list_is_refused_before_the_first_write": "bindings_accept",
    f"{SITE}::test_workloads_are_assigned_and_restarted": (
        "bindings_wait bindings_restart bindings_restart.namespace bindings_restart.name"
    ),
    f"{KUBE}/test_azure_identity_binding.py::test_waiting_names_the_pods_that_are_missing": "bindings_wait_timeout",
    f"{KUBE}/test_bindings_report.py::test_it_asks_nothing_where_it_is_off": "bindings_show",
    f"{SITE}::test_objects_are_written_as_files": "bindings_render_dir",
    f"{PROBES}::test_a_probe_that_was_crowded_out_is_run_again_by_itself": "verify_at_once",
    f"{TOKENS}::test_assigned": "verify_workloads.pod verify_workloads.method",
    f"{TOKENS}::test_the_last_holder_is_protected": "verify_workloads.allow_detach",
    f"{TOKENS}::test_a_budget_allows_what_it_allowed": "verify_workloads.allow_blocked_evictions",
    f"{PROBES}::test_service_that_publishes_unready_pods": "verify_workloads.allow_unready_endpoints",
    f"{TOKENS}::test_wrong_requests": "verify_workloads.image",
    f"{PROBES}::test_the_probe_hurts_nobody_and_goes": "verify_workloads.labels",
}
ELSEWHERE = {f"pod_identity_{name}": place for place, names in _ELSEWHERE.items() for name in names.split()}
UNTRIED: dict[str, str] = {
    "pod_identity_cluster_resource_group": "names the place of everything; every test sets it through the shared name",
    "pod_identity_cluster_poll_interval": "only how often Azure is asked; every test sets it",
    **{
        f"pod_identity_cluster_agent_pools.{key}": "handed on; the module's own tests are in tests/wire"
        for key in ("name", "count", "vm_size", "mode", "os_type", "vnet_subnet_id", "max_pods")
        + ("node_labels", "node_taints", "orchestrator_version")
    },
    "pod_identity_cluster_context": "chooses within a kubeconfig; handed on like the kubeconfig",
    "pod_identity_cluster_keep_kubeconfig": "a file for tasks after the role, as the entry point connect leaves it",
    "pod_identity_chart_repository": "where an equal chart comes from; what is installed stays the same",
    "pod_identity_chart_wait_timeout": "only how long to wait",
    "pod_identity_chart_helm_binary": "only which helm does it",
    "pod_identity_bindings_resource_group": "the same request as of its key resource_group, for all entries at once",
    "pod_identity_bindings_restart.kind": "the tests restart a Deployment; another kind is the same request",
    "pod_identity_verify_workloads.service_account": "handed on; another way to name the pods than selector and pod",
    "pod_identity_verify_workloads.container": "handed on; which container of a pod runs the command",
    "pod_identity_verify_workloads.timeout": "only how long to wait",
    "pod_identity_verify_workloads.start_timeout": "only how long to wait",
    "pod_identity_verify_sample_interval": "only how long to wait",
    "pod_identity_verify_demo": "`make demo` runs it",
    "pod_identity_verify_demo_image": "`make demo` runs the default; the sandbox has no other",
    "pod_identity_verify_demo_timeout": "only how long to wait",
}
