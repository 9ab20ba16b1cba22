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

    option: str
    variables: Mapping[str, Any]
    name: str = field(default="", kw_only=True)
    """Tells apart several cases of one option."""

    @property
    def role(self) -> str:
        return self.option.removeprefix("pod_identity_").partition("_")[0]

    @property
    def id(self) -> str:
        return f"{self.option.removeprefix('pod_identity_')}{f'-{self.name}' if self.name else ''}"


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
    back: tuple[str, ...] | None = None
    """Tasks that change something once the option is as before; None: the same. What is not set is not touched, so
    often none."""
    given: tuple[tuple[str, ...], ...] = ()
    """Commands that somebody has run at the workstation before."""
    afterwards: tuple[tuple[str, ...], ...] = ()
    """Commands that take away what is left besides what was there before."""


@dataclass(frozen=True)
class Refusal(Case):
    """It is refused before anything is written."""

    reason: str
    only_said: bool = False
    """Whether check mode says so and goes on: an earlier task may make what is missing."""


@dataclass(frozen=True)
class Creation(Case):
    """An option of a cluster that does not exist yet: how its prediction differs from one without the option."""

    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict(Case):
    """What the row of the verdict says, by path, and why the role fails, if it does."""

    row: Mapping[str, Any]
    reason: str = ""
    arguments: tuple[str, ...] = ()


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
PUT_CLUSTER = f"PUT managedClusters/{CLUSTER}"
PAIR = ("AzureIdentity spare/spare", "AzureIdentityBinding spare/spare")
BEHAVIOR = "identity.metadata.annotations.aadpodidentity.k8s.io/Behavior"
TYPE_1 = {"type": 1, "client_id": f"{ID}3", "tenant_id": f"{ID}4", "client_password_secret": {"name": "credential"}}

CHANGES: tuple[Change, ...] = (
    Change(
        "pod_identity_cluster_tags",
        cluster(tags={"team": "b"}),
        {GROUP_MADE: {"tags.team": "b"}, MADE: {"tags.team": "b"}},
        azure=(f"PUT resourcegroups/{GROUP}", PUT_CLUSTER),
    ),
    Change(
        "pod_identity_cluster_append_tags",
        cluster(append_tags=False),
        {GROUP_MADE: {"tags.theirs": None}},
        azure=(f"PUT resourcegroups/{GROUP}",),
        back=(),
        given=(("az", "group", "update", "-n", GROUP, "--set", "tags.theirs=1"),),
    ),
    Change(
        "pod_identity_cluster_sku_tier",
        cluster(sku_tier="Standard"),
        {MADE: {"sku_tier": "Standard"}},
        azure=(PUT_CLUSTER,),
        back=(),
    ),
    Change(
        "pod_identity_cluster_network_policy",
        cluster(network_policy="calico"),
        {MADE: {"network_policy": "calico"}},
        azure=(PUT_CLUSTER,),
        back=(),
    ),
    Change(
        "pod_identity_cluster_agent_pools",
        cluster(agent_pools=[{"name": "nodepool1", "node_labels": {"a": "b"}}]),
        {MADE: {"agent_pools.0.node_labels.a": "b"}},
        azure=(PUT_CLUSTER,),
        back=(),
    ),
    Change(
        "pod_identity_cluster_oidc_issuer_enabled",
        cluster(oidc_issuer_enabled=True),
        {MADE: {"oidc_issuer_enabled": True, "oidc_issuer_url": "(known after apply)"}},
        azure=(PUT_CLUSTER,),
        back=(),
    ),
    Change(
        "pod_identity_cluster_principal_id",
        cluster(principal_id=f"{ID}9"),
        {NODES: {f"{role}.principal_id": f"{ID}9" for role in MIC_ROLES}},
        azure=("PUT roleAssignments", "PUT roleAssignments"),
        back=(),
    ),
    Change(
        "pod_identity_chart_values",
        chart(values={"nmi": {"loggingFormat": "json"}}),
        {RELEASE: {"values.nmi.loggingFormat": "json"}, INSTALLED: None},
        kubernetes=(
            "DaemonSet default/aad-pod-identity-nmi",
            "Secret default/sh.helm.release.v1.aad-pod-identity",
        ),
        back=(),
    ),
    # The registry that it is anyway: the release notes it, and no pod restarts.
    Change(
        "pod_identity_chart_image_registry",
        chart(image_registry="mcr.microsoft.com"),
        {RELEASE: {"values.image.repository": "mcr.microsoft.com/oss/azure/aad-pod-identity"}, INSTALLED: None},
        kubernetes=("Secret default/sh.helm.release.v1.aad-pod-identity",),
        back=(),
    ),
    Change("pod_identity_chart_accept_existing", chart(accept_existing=True), {}),
    Change("pod_identity_chart_allow_network_plugin_kubenet", chart(allow_network_plugin_kubenet=True), {}),
    Change(
        "pod_identity_bindings_list.selector",
        spare(selector="others"),
        {WRITTEN: {"binding.spec.selector": "others"}},
        kubernetes=PAIR[1:],
    ),
    Change(
        "pod_identity_bindings_list.behavior",
        spare(behavior="standard"),
        {WRITTEN: {BEHAVIOR: None}},
        kubernetes=PAIR[:1],
    ),
    Change(
        "pod_identity_bindings_list.labels",
        spare(labels={"team": "a"}),
        {WRITTEN: {"binding.metadata.labels.team": "a", "identity.metadata.labels.team": "a"}},
        kubernetes=PAIR,
        back=(),
    ),
    Change(
        "pod_identity_bindings_list.binding_name",
        spare(binding_name="second"),
        {WRITTEN: {"binding.metadata.name": "second", "binding.spec.selector": "spare"}},
        kubernetes=("AzureIdentityBinding spare/second",),
        back=(),
        afterwards=(("kubectl", "delete", "-n", "spare", "azureidentitybinding/second", "--ignore-not-found"),),
    ),
    Change(
        "pod_identity_bindings_list.tags",
        spare(tags={"team": "b"}),
        {CREATED: {"tags.team": "b"}},
        azure=("PATCH userAssignedIdentities/spare",),
    ),
    Change(
        "pod_identity_bindings_list.roles",
        spare(roles=[{"role": "Reader"}, {"role": "Network Contributor"}]),
        {GRANTED: {"role_name": "Network Contributor"}},
        azure=("PUT roleAssignments",),
        back=(),
    ),
    Change(
        "pod_identity_bindings_list.roles.role",
        spare(roles=[{"role": "Key Vault Secrets User"}]),
        {GRANTED: {"role_name": "Key Vault Secrets User"}},
        azure=("PUT roleAssignments",),
        back=(),
    ),
    Change(
        "pod_identity_bindings_list.roles.scope",
        spare(roles=[{"role": "Reader", "scope": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/second"}]),
        {GRANTED: {"role_name": "Reader", "scope": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/second"}},
        azure=("PUT roleAssignments",),
        back=(),
    ),
    Change(
        "pod_identity_bindings_list.identity_name",
        spare(identity_name="other"),
        {
            CREATED: {"name": "other"},
            GRANTED: {"role_name": "Managed Identity Operator"},
            WRITTEN: {"identity.spec.clientID": "(known after apply)", "identity.spec.resourceID": ...},
        },
        azure=("PUT userAssignedIdentities/other", "PUT roleAssignments", "PUT roleAssignments"),
        kubernetes=PAIR[:1],
        back=(WRITTEN,),
    ),
    Change(
        "pod_identity_bindings_list.resource_group",
        spare(resource_group="second"),
        {
            CREATED: {"name": "spare", "resource_group": "second"},
            GRANTED: {"role_name": "Managed Identity Operator"},
            WRITTEN: {"identity.spec.clientID": "(known after apply)", "identity.spec.resourceID": ...},
        },
        azure=("PUT userAssignedIdentities/spare", "PUT roleAssignments", "PUT roleAssignments"),
        kubernetes=PAIR[:1],
        back=(WRITTEN,),
    ),
    Change(
        "pod_identity_bindings_list.name",
        spare(name="renamed"),
        {
            CREATED: {"name": "renamed"},
            GRANTED: {"role_name": "Managed Identity Operator"},
            WRITTEN: {"identity.metadata.name": "renamed", "binding.spec.azureIdentity": "renamed"},
        },
        azure=("PUT userAssignedIdentities/renamed", "PUT roleAssignments", "PUT roleAssignments"),
        kubernetes=("AzureIdentity spare/renamed", "AzureIdentityBinding spare/renamed"),
        back=(),
        afterwards=tuple(
            ("kubectl", "delete", "-n", "spare", f"{kind}/renamed", "--ignore-not-found")
            for kind in ("azureidentitybinding", "azureidentity")
        ),
    ),
    Change(
        "pod_identity_bindings_list.namespace",
        spare(namespace="elsewhere"),
        {"Create the namespaces": None, WRITTEN: {"identity.metadata.namespace": "elsewhere"}},
        kubernetes=(
            "AzureIdentity elsewhere/spare",
            "AzureIdentityBinding elsewhere/spare",
            "Namespace elsewhere",
            "ServiceAccount elsewhere/default",
        ),
        back=(),
    ),
    Change(
        "pod_identity_bindings_list.type",
        spare(**TYPE_1),
        {
            WRITTEN: {
                "identity.spec.type": 1,
                "identity.spec.clientID": f"{ID}3",
                "identity.spec.tenantID": f"{ID}4",
                "identity.spec.clientPassword.name": "credential",
                "identity.spec.clientPassword.namespace": "spare",
            }
        },
        kubernetes=PAIR[:1],
        name="0-to-1",
    ),
    Change(
        "pod_identity_bindings_list.type",
        principal(type=2, client_password_secret={"name": "certificate"}),
        {WRITTEN: {"identity.spec.type": 2, "identity.spec.clientPassword.name": "certificate"}},
        kubernetes=("AzureIdentity spare/principal",),
        name="1-to-2",
    ),
    Change(
        "pod_identity_bindings_list.client_id",
        principal(client_id=f"{ID}5"),
        {WRITTEN: {"identity.spec.clientID": f"{ID}5"}},
        kubernetes=("AzureIdentity spare/principal",),
    ),
    Change(
        "pod_identity_bindings_list.tenant_id",
        principal(tenant_id=f"{ID}6"),
        {WRITTEN: {"identity.spec.tenantID": f"{ID}6"}},
        kubernetes=("AzureIdentity spare/principal",),
    ),
    Change(
        "pod_identity_bindings_list.client_password_secret.name",
        principal(client_password_secret={"name": "newer"}),
        {WRITTEN: {"identity.spec.clientPassword.name": "newer"}},
        kubernetes=("AzureIdentity spare/principal",),
    ),
    Change(
        "pod_identity_bindings_list.client_password_secret.namespace",
        principal(client_password_secret={"name": "credential", "namespace": "billing"}),
        {WRITTEN: {"identity.spec.clientPassword.namespace": "billing"}},
        kubernetes=("AzureIdentity spare/principal",),
    ),
    Change(
        "pod_identity_bindings_list.state",
        spare(state="absent"),
        {WRITTEN: {}},
        kubernetes=PAIR,
        back=(WRITTEN,),
    ),
    Change(
        "pod_identity_bindings_list.allow_in_use",
        bindings(list=[{**USED, "state": "absent", "allow_in_use": True}, SPARE, PRINCIPAL]),
        {WRITTEN: {}},
        kubernetes=("AzureIdentity billing/billing", "AzureIdentityBinding billing/billing"),
        back=(WRITTEN,),
    ),
    # What equals what is desired is not written, whoever its owner is.
    Change("pod_identity_bindings_owner", bindings(owner="others"), {}),
    Change(
        "pod_identity_bindings_adopt",
        bindings(adopt=True),
        {
            WRITTEN: {
                f"{kind}.metadata.labels.azureops.pod-identity/owner": "default" for kind in ("identity", "binding")
            }
        },
        kubernetes=PAIR,
        back=(),
        given=(
            ("kubectl", "label", "-n", "spare", "azureidentity/spare", "azureops.pod-identity/owner=b", "--overwrite"),
            (
                *("kubectl", "label", "-n", "spare", "azureidentitybinding/spare"),
                *("azureops.pod-identity/owner=b", "--overwrite"),
            ),
        ),
    ),
)

REFUSALS: tuple[Refusal, ...] = (
    *(
        Refusal(f"pod_identity_cluster_{option}", cluster(**{option: value}), f"{option} of the cluster one is")
        for option, value in {
            "dns_prefix": "other",
            "kubernetes_version": "1.30",
            "service_cidr": "10.9.0.0/16",
            "dns_service_ip": "10.0.0.11",
            "node_resource_group": "nodes",
        }.items()
    ),
    Refusal(
        "pod_identity_cluster_agent_pools",
        cluster(agent_pools=[{"name": "nodepool1", "vm_size": "Standard_B2s"}]),
        "vm_size of the cluster one, agent pool nodepool1 is",
    ),
    Refusal("pod_identity_cluster_location", cluster(location="eastus"), "cannot change it to 'eastus'"),
    Refusal("pod_identity_cluster_resource_group_location", cluster(resource_group_location="eastus"), "cannot move"),
    Refusal("pod_identity_cluster_network_plugin", cluster(network_plugin="kubenet"), "ARP spoofing"),
    Refusal("pod_identity_cluster_kubelet_identity", cluster(kubelet_identity="/other"), "system-assigned"),
    Refusal(
        "pod_identity_cluster_workload_identity_enabled",
        cluster(workload_identity_enabled=True),
        "set pod_identity_cluster_oidc_",
    ),
    Refusal("pod_identity_cluster_sku_tier", cluster(sku_tier="Gold"), "must be one of: Free, Standard, Premium"),
    Refusal("pod_identity_cluster_create", cluster(name="two", create=False), "pod_identity_cluster_create=true"),
    Refusal(
        "pod_identity_cluster_subscription_id",
        cluster(subscription_id=f"{ID}0"),
        "check pod_identity_cluster_subscription_id,",
    ),
    Refusal("pod_identity_chart_release_name", chart(release_name="mine"), "A second NMI would fight with it"),
    Refusal("pod_identity_chart_namespace", chart(namespace="kube-system"), "A second NMI would fight with it"),
    Refusal("pod_identity_chart_version", chart(version="4.1.17"), "pod_identity_chart_upgrade=true"),
    Refusal("pod_identity_chart_upgrade", chart(version="4.1.17", upgrade=True), "set pod_identity_chart_backup_dir"),
    Refusal("pod_identity_chart_digest", chart(digest="0"), "give its 64 hexadecimal digits"),
    Refusal("pod_identity_chart_ref", chart(ref="/nowhere/chart.tgz"), "set pod_identity_chart_version"),
    Refusal(
        "pod_identity_bindings_create_namespaces",
        {**bindings(create_namespaces=False), **spare(namespace="nowhere")},
        "The namespace nowhere of pod_identity_bindings_list does not exist",
        only_said=True,
    ),
    Refusal(
        "pod_identity_bindings_list.resource_group",
        spare(resource_group="nowhere"),
        "The resource group nowhere of identities in pod_identity_bindings_list does not exist",
        only_said=True,
    ),
    Refusal("pod_identity_bindings_list.location", spare(location="eastus"), "cannot move to eastus"),
    Refusal(
        "pod_identity_bindings_list.subscription_id",
        spare(subscription_id=f"{ID}0"),
        "check subscription_id in pod_identity_bindings_list,",
    ),
    Refusal(
        "pod_identity_bindings_subscription_id",
        bindings(subscription_id=f"{ID}0"),
        "check pod_identity_bindings_subscription_id,",
    ),
    Refusal("pod_identity_bindings_list.type", spare(type=1), "needs client_id, tenant_id and"),
    Refusal("pod_identity_bindings_mode", {"pod_identity_mode": "addon"}, "entry principal is a service principal"),
    Refusal(
        "pod_identity_bindings_list.client_password_secret.name",
        principal(client_password_secret={"name": "nowhere"}),
        "Secret spare/nowhere that client_password_secret of pod_identity_bindings_list names does not exist",
    ),
    Refusal(
        "pod_identity_bindings_list.allow_in_use",
        bindings(list=[{**USED, "state": "absent"}, SPARE, PRINCIPAL]),
        "allow_in_use",
    ),
    Refusal(
        "pod_identity_bindings_owner",
        bindings(owner="others", list=[USED, {**SPARE, "selector": "others"}, PRINCIPAL]),
        "adopt",
    ),
)

IDENTITY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)
CREATIONS: tuple[Creation, ...] = (
    *(
        Creation(f"pod_identity_cluster_{option}", cluster(**{option: value}), {option: value})
        for option, value in {
            "dns_prefix": "other",
            "kubernetes_version": "1.34",
            "network_policy": "cilium",
            "service_cidr": "10.9.0.0/16",
            "dns_service_ip": "10.0.0.11",
            "node_resource_group": "nodes",
            "sku_tier": "Premium",
            "pod_cidr": "10.99.0.0/16",
        }.items()
    ),
    Creation("pod_identity_cluster_location", cluster(location="eastus"), {"location": "eastus"}),
    Creation(
        "pod_identity_cluster_network_plugin_mode",
        cluster(network_plugin_mode="overlay"),
        {"network_plugin_mode": "overlay", "pod_cidr": "(known after apply)"},
    ),
    Creation("pod_identity_cluster_network_plugin", cluster(network_plugin="none"), {"network_plugin": "none"}),
    Creation(
        "pod_identity_cluster_allow_network_plugin_kubenet",
        cluster(network_plugin="kubenet", allow_network_plugin_kubenet=True),
        {"network_plugin": "kubenet", "pod_cidr": "(known after apply)"},
    ),
    Creation(
        "pod_identity_cluster_agent_pools",
        cluster(agent_pools=[{"name": "sys", "count": 1}]),
        {"agent_pools.0.name": "sys", "agent_pools.0.count": 1},
    ),
    Creation(
        "pod_identity_cluster_user_assigned_identity",
        cluster(user_assigned_identity=f"{IDENTITY}/control"),
        {"identity.type": "UserAssigned", "identity.user_assigned_identities.0": f"{IDENTITY}/control"},
    ),
    Creation(
        "pod_identity_cluster_kubelet_identity",
        cluster(user_assigned_identity=f"{IDENTITY}/control", kubelet_identity=f"{IDENTITY}/nodes"),
        {
            "identity.type": "UserAssigned",
            "identity.user_assigned_identities.0": f"{IDENTITY}/control",
            "kubelet_identity.resource_id": f"{IDENTITY}/nodes",
        },
    ),
    Creation(
        "pod_identity_cluster_workload_identity_enabled",
        cluster(oidc_issuer_enabled=True, workload_identity_enabled=True),
        {"oidc_issuer_enabled": True, "oidc_issuer_url": "(known after apply)", "workload_identity_enabled": True},
    ),
)

WRONG = "do not get what they must"
VERDICTS: tuple[Verdict, ...] = (
    # Pods of every namespace can get `principal`; `spare` is for those of its own.
    Verdict("pod_identity_verify_workloads.expect", verify(expect="principal"), {}, reason=WRONG),
    Verdict("pod_identity_verify_workloads.expect", verify(expect="nobody"), {}, reason="correct its name", name="no"),
    Verdict(
        "pod_identity_verify_workloads.expect",
        verify(expect="spare"),
        {},
        reason="correct its name",
        name="other",
    ),
    Verdict(
        "pod_identity_verify_fail",
        {**verify(expect="principal"), "pod_identity_verify_fail": False},
        {"identity": "billing/billing", "verdict": "wrong_identity"},
    ),
    Verdict(
        "pod_identity_verify_workloads.resource",
        verify(resource="https://vault.azure.net"),
        {"claims.aud": "https://vault.azure.net", "verdict": "ok"},
    ),
    Verdict(
        "pod_identity_verify_workloads.selector",
        verify(selector="nobody"),
        {},
        reason=WRONG,
    ),
    Verdict(
        "pod_identity_verify_workloads.namespace",
        verify(namespace="spare"),
        {},
        reason="correct its name",
    ),
    Verdict("pod_identity_verify_workloads.node", verify(node="nowhere"), {}, reason="does not exist"),
    Verdict("pod_identity_verify_workloads.client_id", verify(client_id=f"{ID}7"), {"verdict": ...}, reason=WRONG),
    Verdict(
        "pod_identity_verify_samples",
        {"pod_identity_verify_samples": 3, "pod_identity_verify_sample_interval": 1},
        {"samples.asked": 3, "samples.right": 3, "verdict": "ok"},
    ),
    Verdict(
        "pod_identity_verify_in_check_mode",
        {"pod_identity_verify_in_check_mode": True},
        {"verdict": "ok"},
        arguments=("--check",),
    ),
    Verdict(
        "pod_identity_verify_in_check_mode",
        {**verify(expect="nobody"), "pod_identity_verify_in_check_mode": True},
        {"verdict": "not_verified", "identity": "nobody"},
        arguments=("--check",),
        name="unknown",
    ),
    Verdict(
        "pod_identity_verify_in_check_mode",
        {},
        {"verdict": "not_verified"},
        arguments=("--check",),
        name="not",
    ),
)

SITE, WIRE, KUBE = "tests/sandbox/test_site.py", "tests/wire/modules", "tests/kube"
EXCEPTIONS = f"{KUBE}/test_roles.py::test_the_life_of_an_exception"
RESTORED = f"{WIRE}/test_restored_identities.py"
CLUSTER_TESTS, BINDING_TESTS = f"{WIRE}/test_aks_cluster.py", f"{KUBE}/test_azure_identity_binding.py"
LIST_TESTS = f"{KUBE}/test_binding_lists.py"
TOKENS, PROBES = "tests/sandbox/test_pod_token.py", f"{KUBE}/test_pod_token_info.py"
REPORTED = "tests/unit/roles/test_report.py"
REPORTED_FILES = "tests/unit/plugins/plugin_utils/test_report_files.py"
ELSEWHERE: dict[str, str] = {
    "pod_identity_report_target": f"{REPORTED}::test_saved_files_become_a_report",
    "pod_identity_report_formats": f"{REPORTED}::test_saved_files_become_a_report",
    "pod_identity_report_title": f"{REPORTED}::test_saved_files_become_a_report",
    "pod_identity_report_fail_on": f"{REPORTED}::test_saved_files_become_a_report",
    "pod_identity_report_previous": f"{REPORTED_FILES}::test_what_is_new_since_an_earlier_report",
    "pod_identity_report_files": f"{REPORTED}::test_saved_files_become_a_report",
    "pod_identity_report_log_files": f"{REPORTED}::test_logs_are_looked_at_with_their_objects",
    "pod_identity_cluster_name": f"{SITE}::test_two_clusters_are_two_hosts",
    "pod_identity_cluster_mode": f"{SITE}::test_the_addon_instead_of_the_chart",
    "pod_identity_chart_mode": f"{SITE}::test_the_addon_instead_of_the_chart",
    "pod_identity_bindings_mode": f"{SITE}::test_the_addon_instead_of_the_chart",
    "pod_identity_cluster_state": f"{SITE}::test_a_cluster_is_deleted_only_when_confirmed",
    "pod_identity_cluster_confirm_absent": f"{SITE}::test_a_cluster_is_deleted_only_when_confirmed",
    "pod_identity_cluster_remove_resource_group": (
        f"{WIRE}/test_resource_group.py::test_resources_that_are_about_to_go_do_not_keep_a_group"
    ),
    "pod_identity_cluster_force_delete_nonempty": (
        f"{WIRE}/test_resource_group.py::test_a_group_with_resources_is_deleted_only_on_demand"
    ),
    "pod_identity_cluster_expected_resources": (
        f"{WIRE}/test_cluster_role.py::test_what_a_site_made_goes_and_what_stays_is_told"
    ),
    "pod_identity_cluster_manage_role_assignments": (
        f"{SITE}::test_missing_assignments_are_named_for_whoever_may_grant_them"
    ),
    "pod_identity_cluster_wait_timeout": f"{CLUSTER_TESTS}::test_an_operation_that_takes_too_long_is_named",
    "pod_identity_cluster_restore_identities": f"{RESTORED}::test_the_role_does_what_it_is_told",
    "pod_identity_cluster_restore_timeout": f"{RESTORED}::test_the_role_does_what_it_is_told",
    "pod_identity_cluster_kubeconfig": f"{SITE}::test_the_wrong_cluster_is_refused",
    "pod_identity_cluster_credentials": f"{WIRE}/test_aks_kubeconfig.py::test_the_life_of_a_kubeconfig",
    "pod_identity_chart_backup_dir": f"{SITE}::test_another_version_comes_with_a_backup",
    "pod_identity_chart_recorded_values": "tests/sandbox/test_uninstall.py::test_what_was_removed_comes_back",
    "pod_identity_chart_accept_record": f"{KUBE}/test_forged_release.py::test_a_record_that_is_doubted_can_be_accepted",
    "pod_identity_chart_clear_lock": f"{SITE}::test_a_killed_helm_run_is_cleared",
    "pod_identity_bindings_manage_role_assignments": (
        f"{SITE}::test_missing_assignments_are_named_for_whoever_may_grant_them"
    ),
    **{
        f"pod_identity_bindings_exceptions.{key}": EXCEPTIONS
        for key in ("name", "namespace", "pod_labels", "state", "allow_in_use")
    },
    "pod_identity_bindings_accept": f"{LIST_TESTS}::test_what_is_refused_in_a_list_is_refused_before_the_first_write",
    "pod_identity_bindings_wait": f"{SITE}::test_workloads_are_assigned_and_restarted",
    "pod_identity_bindings_wait_timeout": f"{BINDING_TESTS}::test_waiting_names_the_pods_that_are_missing",
    "pod_identity_bindings_restart": f"{SITE}::test_workloads_are_assigned_and_restarted",
    "pod_identity_bindings_restart.namespace": f"{SITE}::test_workloads_are_assigned_and_restarted",
    "pod_identity_bindings_restart.name": f"{SITE}::test_workloads_are_assigned_and_restarted",
    "pod_identity_bindings_show": f"{KUBE}/test_bindings_report.py::test_it_asks_nothing_where_it_is_off",
    "pod_identity_bindings_render_dir": f"{SITE}::test_objects_are_written_as_files",
    "pod_identity_verify_at_once": f"{PROBES}::test_a_probe_that_was_crowded_out_is_run_again_by_itself",
    "pod_identity_verify_workloads.pod": f"{TOKENS}::test_assigned",
    "pod_identity_verify_workloads.method": f"{TOKENS}::test_assigned",
    "pod_identity_verify_workloads.allow_detach": f"{TOKENS}::test_the_last_holder_is_protected",
    "pod_identity_verify_workloads.allow_blocked_evictions": f"{TOKENS}::test_a_budget_allows_what_it_allowed",
    "pod_identity_verify_workloads.allow_unready_endpoints": f"{PROBES}::test_service_that_publishes_unready_pods",
    "pod_identity_verify_workloads.image": f"{TOKENS}::test_wrong_requests",
    "pod_identity_verify_workloads.labels": f"{PROBES}::test_the_probe_hurts_nobody_and_goes",
}
UNTRIED: dict[str, str] = {
    "pod_identity_cluster_resource_group": "names the place of everything; every test sets it through the shared name",
    "pod_identity_cluster_poll_interval": "only how often Azure is asked; every test sets it",
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
