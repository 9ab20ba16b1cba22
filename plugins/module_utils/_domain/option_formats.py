# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Formats of the values that operators give to roles and playbooks: a row for each option, checked by the first task.

Types and choices stand in the argument specifications. What two values say against each other is decided by the part
that reads both.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from .azure import arm_id
from .kubernetes import objects
from .names import LABEL_VALUE, NAMESPACE_NAME, OBJECT_NAME
from .printed import printed
from .tokens.token_questions import MOST_SAMPLES

IN_SECRET = "secret:"
_LONGEST = 60


@dataclass(frozen=True)
class Format:
    """``called``: what a value is that ``holds``; ``write``: how to write one. ``shown``: no value is a secret.

    ``is_file``: an absolute path must lead to a file that is there.
    """

    called: str
    write: str
    holds: t.Callable[[t.Any], bool]
    shown: bool = True
    is_file: bool = False

    def wrong(self, name: str, value: object) -> str:
        """What is wrong with the value of the operator's variable ``name``; empty where it holds."""
        if self.holds(value):
            return ""
        text = printed(repr(value) if isinstance(value, str) else str(value))
        said = f"is {text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'}, " if self.shown else "is "
        return f"{name} {said}not {self.called}{self.write and '; write '}{self.write}."


def _like(pattern: str, flags: int = 0) -> t.Callable[[t.Any], bool]:
    compiled = re.compile(pattern, flags)
    return lambda value: compiled.fullmatch(str(value)) is not None


def _from(least: float, most: float | None = None) -> Format:
    called = f"a number from {least} to {most}" if most is not None else f"a number of {least} or more"
    return Format(called, "", lambda value: value >= least and (most is None or value <= most))


def _is_address(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def _is_range(value: object) -> bool:
    try:
        ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return False
    return "/" in str(value)


def _is_labels(value: t.Mapping[object, object]) -> bool:
    return all(
        objects.KEY.fullmatch(str(key))
        and not isinstance(each, (list, dict))
        and (each == "" or LABEL_VALUE.fullmatch(str(each)))
        for key, each in value.items()
    )


def _is_labels_of_texts(value: t.Mapping[object, object]) -> bool:
    """Where what YAML made of a value is not put into words."""
    return _is_labels(value) and not any(each is None or isinstance(each, (bool, float)) for each in value.values())


def _is_tags(value: t.Mapping[object, object]) -> bool:
    return all(
        0 < len(str(key)) <= 512
        and not re.search(r"[<>%&\\?/]", str(key))
        and not isinstance(each, (list, dict))
        and len(str(each)) <= 256
        for key, each in value.items()
    )


def _is_place(value: str) -> bool:
    """A path, or a Secret by its namespace and name."""
    if not value.startswith(IN_SECRET):
        return True
    namespace, slash, name = value[len(IN_SECRET) :].partition("/")
    return bool(slash and NAMESPACE_NAME.fullmatch(namespace) and OBJECT_NAME.fullmatch(name))


def _is_path_of_object(value: object, *, most: int) -> bool:
    """``NAME``, after its namespace and whatever else may stand before it, at ``most``."""
    parts = str(value).split("/")
    return all(parts) and len(parts) <= most and not re.search(r"\s", str(value))


def _is_reference(value: object) -> bool:
    """An AzureIdentity by its name, with or without its namespace."""
    namespace, slash, name = str(value).rpartition("/")
    return bool(OBJECT_NAME.fullmatch(name)) and (not slash or bool(NAMESPACE_NAME.fullmatch(namespace)))


_WORKLOAD = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+")


def _is_workload(value: object) -> bool:
    return isinstance(value, str) and _WORKLOAD.fullmatch(value) is not None


def _is_wave(value: t.Sequence[object]) -> bool:
    return all(map(_is_workload, value))


def _is_replacements(value: t.Mapping[object, object]) -> bool:
    return all(
        str(name).count("/") == 1 and _is_reference(name) and arm_id.is_user_assigned_identity(str(identity))
        for name, identity in value.items()
    )


def _is_identity(value: object) -> bool:
    """A managed identity by its name or id, or a service principal by its client id."""
    text = str(value)
    return arm_id.is_user_assigned_identity(text) if "/" in text else bool(re.fullmatch(r"\S+", text))


def _is_group(value: object) -> bool:
    """A resource group by its name or id."""
    text = str(value)
    return bool(re.fullmatch(r"(/subscriptions/[^/\s]+)?/resourcegroups/[^/]+/?", text, re.I)) or GROUP.holds(text)


def _is_role(value: object) -> bool:
    """A role by its name, GUID or id."""
    text = str(value)
    return bool(text.strip()) and (not text.startswith("/") or _RESOURCE_ID(text))


_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_RESOURCE_ID = _like(
    r"(/subscriptions/[^/\s]+)?(/resourcegroups/[^/]+)?(/providers/[^/\s]+(/[^/]+/[^/]+)+)*(?<!^)/?", re.IGNORECASE
)
_IN_DNS = "lower-case letters, digits and hyphens"
_ENDS = "beginning and ending with a letter or digit"

# Whatever text, path or dictionary: only who reads it can tell what is wrong with it.
FREE = Format("a value", "one", lambda _value: True)
# A path of a file or directory that is looked for where and when it is read.
FILE = Format("a path of a file", "its path", lambda value: bool(str(value).strip()), is_file=True)
GUID = Format("a GUID", "it as 00000000-0000-0000-0000-000000000000", _like(_GUID))
GROUP = Format(
    "a name of a resource group in Azure",
    "1 to 90 letters, digits, '-', '_', '.' and parentheses, with no '.' at the end",
    _like(r"[\w().-]{1,90}(?<!\.)"),
)
CLUSTER = Format(
    "a name of a cluster in AKS",
    f"1 to 63 letters, digits, '-' and '_', {_ENDS}",
    _like(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"),
)
REGION = Format(
    "a name of an Azure region",
    "it as 'az account list-locations' does, such as westeurope",
    _like(r"[A-Za-z][\w ()]*"),
)
TAGS = Format(
    "tags of Azure",
    r"names of up to 512 characters without <>%&\?/, each with a text of up to 256",
    _is_tags,
    shown=False,
)
LABELS = Format(
    "labels of Kubernetes",
    "each as name: value or example.com/name: value, and a value that is no text in quotes",
    _is_labels_of_texts,
    shown=False,
)
_NODE_LABELS = Format("labels of nodes", "each as name: value or example.com/name: value", _is_labels, shown=False)
NAMESPACE = Format("a name of a namespace", f"up to 63 {_IN_DNS}", _like(NAMESPACE_NAME.pattern))
OBJECT = Format("a name of an object of Kubernetes", f"{_IN_DNS}, {_ENDS}", _like(OBJECT_NAME.pattern))
LABEL = Format(
    "a value of a label of Kubernetes",
    f"up to 63 letters, digits, '-', '_' and '.', {_ENDS}",
    _like(LABEL_VALUE.pattern),
)
IDENTITY_ID = Format(
    "the resource id of a user-assigned identity",
    "it as /subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME",
    lambda value: arm_id.is_user_assigned_identity(str(value)),
)
RESOURCE_ID = Format(
    "an Azure resource id", "/subscriptions/ID/resourceGroups/NAME, or what lies in it after that", _RESOURCE_ID
)
SUBNET_ID = Format(
    "the resource id of a subnet",
    "it as /subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Network/virtualNetworks/NETWORK/subnets/NAME",
    _like(
        r"/subscriptions/[^/\s]+/resourcegroups/[^/]+/providers/microsoft\.network/virtualnetworks/[^/]+/subnets/[^/]+",
        re.IGNORECASE,
    ),
)
KUBERNETES_VERSION = Format(
    "a version of Kubernetes", "it in quotes, such as '1.34' or '1.34.2'", _like(r"(1\.\d{2,}|[2-9]\.\d+)(\.\d+)?")
)
CHART_VERSION = Format("a version of the chart", "one such as 4.1.18", _like(r"v?\d+\.\d+\.\d+([-+][\w.+-]+)?"))
RANGE = Format("a range of addresses", "one such as 10.0.0.0/16", _is_range)
ADDRESS = Format("an IP address", "one such as 10.0.0.10", _is_address)
PORT = _from(1, 65535)
WAIT = _from(0)
SOME = _from(1)
IMAGE = Format(
    "a reference of an image",
    "it as registry.example.com/path/name:tag",
    _like(r"[\w.-]+(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-fA-F]{64})?"),
)
REPOSITORY = Format(
    "a repository of images",
    "it as registry.example.com/path, without https:// before it",
    _like(r"[\w.-]+(:\d+)?(/[\w.-]+)*"),
)
URL = Format("an address", "it as https://HOST/PATH", _like(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), shown=False)
AUDIENCE = Format(
    "what a token can be for", "an address without blanks, such as https://vault.azure.net/", _like(r"\S+")
)
SHA256 = Format("a SHA-256 digest", "its 64 hexadecimal digits", _like("[0-9a-fA-F]{64}"), shown=False)
PLACE = Format("a directory or a Secret", "the path of a directory, or secret:NAMESPACE/NAME", _is_place)
BUNDLE = Format("a file or a Secret", "the path of the file, or secret:NAMESPACE/NAME", _is_place, is_file=True)
REFERENCE = Format("a name of an AzureIdentity", "NAME or NAMESPACE/NAME", _is_reference)
WORKLOAD = Format("a workload", "NAMESPACE/KIND/NAME", _is_workload)
_POOL_NAME = Format(
    "a name of an agent pool",
    "up to 12 lower-case letters and digits, the first a letter",
    _like("[a-z][a-z0-9]{0,11}"),
)
_TAINT = Format(
    "a taint",
    "it as key=value:NoSchedule, with NoExecute or PreferNoSchedule for another effect",
    _like(r"[\w./-]+(=[\w.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)"),
)
IDENTITY_NAME = Format(
    "a name of an identity in Azure",
    "3 to 128 letters, digits, '-' and '_', the first a letter or digit",
    _like("[A-Za-z0-9][A-Za-z0-9_-]{2,127}"),
)
_TENANT = Format("a tenant", "its GUID or one of its domains", _like(rf"{_GUID}|[\w-]+(\.[\w-]+)+"))
_DNS_PREFIX = Format(
    "a prefix of a host name",
    f"up to 54 letters, digits and hyphens, {_ENDS}",
    _like("[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?"),
)
_NODE_GROUP = Format(
    "a name of a resource group for nodes",
    "1 to 80 letters, digits, '-', '_', '.' and parentheses, with no '.' at the end",
    _like(r"[\w().-]{1,80}(?<!\.)"),
)
_RELEASE = Format(
    "a name of a helm release",
    f"up to 53 {_IN_DNS}, {_ENDS}",
    lambda value: len(str(value)) <= 53 and OBJECT_NAME.fullmatch(str(value)) is not None,
)
_ROLE = Format("a role of Azure", "its name, its GUID or its id", _is_role)
_GROUP_OR_ID = Format("a resource group", "its name or its id", _is_group)
_IDENTITY = Format("an identity", "its name, its resource id, or the client id of a service principal", _is_identity)
_POD = Format("a pod", "NAMESPACE/NAME", lambda value: _is_path_of_object(value, most=2))
_BINDING = Format("an AzureIdentityBinding", "NAMESPACE/NAME", _like(r"[^/\s]+/[^/\s]+"))
_WORKLOAD_OF_ANY_KIND = Format(
    "a workload", "NAMESPACE/NAME or NAMESPACE/KIND/NAME", lambda value: _is_path_of_object(value, most=3)
)
_WAVE = Format("a wave of workloads", "a list of NAMESPACE/KIND/NAME", _is_wave)
_REPLACEMENTS = Format(
    "a list of replacements",
    "NAMESPACE/NAME of each AzureIdentity, and after it the resource id of a user-assigned identity",
    _is_replacements,
)
_CHART = Format(
    "a chart", "its name, path, address or oci:// reference", _like(r"\S(.*\S)?"), shown=False, is_file=True
)

_OF_CLUSTERS: t.Mapping[str, Format] = {
    "cluster_name": CLUSTER,
    "resource_group": GROUP,
    "subscription_id": GUID,
    "kubeconfig": FILE,
    "context": FREE,
}
_BY_ROLE: t.Mapping[str, t.Mapping[str, Format]] = {
    "imds_node_cleanup": {
        **_OF_CLUSTERS,
        "api_timeout": SOME,
        "image_repositories": REPOSITORY,
        "protected_identities": IDENTITY_ID,
        "nmi_port": PORT,
        "metadata_address": ADDRESS,
        "metadata_port": PORT,
        "verify_seconds": WAIT,
        "artifact_target": PLACE,
        "owner": LABEL,
        "probe_namespace": NAMESPACE,
        "probe_image": IMAGE,
        "drain_timeout": WAIT,
        "ready_timeout": WAIT,
    },
    "pod_identity_bindings": {
        "list.name": OBJECT,
        "list.namespace": NAMESPACE,
        "list.selector": LABEL,
        "list.binding_name": OBJECT,
        "list.subscription_id": GUID,
        "list.resource_group": GROUP,
        "list.identity_name": IDENTITY_NAME,
        "list.location": REGION,
        "list.tags": TAGS,
        "list.roles.role": _ROLE,
        "list.roles.scope": RESOURCE_ID,
        "list.client_id": GUID,
        "list.tenant_id": _TENANT,
        "list.client_password_secret.name": OBJECT,
        "list.client_password_secret.namespace": NAMESPACE,
        "list.labels": LABELS,
        "exceptions.name": OBJECT,
        "exceptions.namespace": NAMESPACE,
        "exceptions.pod_labels": LABELS,
        "subscription_id": GUID,
        "resource_group": GROUP,
        "owner": LABEL,
        "wait_timeout": WAIT,
        "restart.namespace": NAMESPACE,
        "restart.name": OBJECT,
        "render_dir": FREE,
    },
    "pod_identity_chart": {
        "release_name": _RELEASE,
        "namespace": NAMESPACE,
        "ref": _CHART,
        "repository": URL,
        "version": CHART_VERSION,
        "digest": SHA256,
        "image_registry": REPOSITORY,
        "values": FREE,
        "recorded_values": FREE,
        "backup_dir": FREE,
        "wait_timeout": WAIT,
        # Whether it is there is asked where helm runs.
        "helm_binary": FREE,
    },
    "pod_identity_cluster": {
        "name": CLUSTER,
        "subscription_id": GUID,
        "resource_group": GROUP,
        "location": REGION,
        "resource_group_location": REGION,
        "tags": TAGS,
        "dns_prefix": _DNS_PREFIX,
        "kubernetes_version": KUBERNETES_VERSION,
        "service_cidr": RANGE,
        "dns_service_ip": ADDRESS,
        "pod_cidr": RANGE,
        "node_resource_group": _NODE_GROUP,
        "agent_pools.name": _POOL_NAME,
        "agent_pools.count": _from(0, 1000),
        "agent_pools.vm_size": Format("a size of machines", "one such as Standard_D2s_v5", _like(r"[A-Za-z]\w*")),
        "agent_pools.vnet_subnet_id": SUBNET_ID,
        "agent_pools.max_pods": _from(10, 250),
        "agent_pools.node_labels": _NODE_LABELS,
        "agent_pools.node_taints": _TAINT,
        "agent_pools.orchestrator_version": KUBERNETES_VERSION,
        "user_assigned_identity": IDENTITY_ID,
        "kubelet_identity": IDENTITY_ID,
        "principal_id": GUID,
        "wait_timeout": WAIT,
        "poll_interval": WAIT,
        "restore_timeout": WAIT,
        "kubeconfig": FILE,
        "context": FREE,
        "confirm_absent": FREE,
        "expected_resources": RESOURCE_ID,
    },
    "pod_identity_report": {
        "target": FREE,
        "title": FREE,
        "previous": FREE,
        "files": FILE,
        "log_files": FILE,
    },
    "pod_identity_restore": {
        "bundle": BUNDLE,
        "sha256": SHA256,
        "lease_wait_timeout": WAIT,
        "lease_duration": SOME,
    },
    "pod_identity_uninstall": {
        "owner": LABEL,
        "confirm": FREE,
        "artifact_target": PLACE,
        "release_namespaces": NAMESPACE,
        "protected_identities": IDENTITY_ID,
        "further_resource_groups": _GROUP_OR_ID,
        "remove_unknown_identities": IDENTITY_ID,
        "wait_timeout": WAIT,
        "lease_wait_timeout": WAIT,
        "lease_duration": SOME,
        "probe_namespace": NAMESPACE,
        "probe_image": IMAGE,
        "principal_id": GUID,
        "delete_identities": IDENTITY_ID,
        "vault_id": FREE,
        "helm_binary": FREE,
    },
    "pod_identity_verify": {
        "workloads.namespace": NAMESPACE,
        "workloads.selector": LABEL,
        "workloads.pod": OBJECT,
        "workloads.service_account": OBJECT,
        "workloads.node": OBJECT,
        "workloads.resource": AUDIENCE,
        "workloads.client_id": GUID,
        "workloads.expect": REFERENCE,
        "workloads.container": NAMESPACE,
        "workloads.image": IMAGE,
        "workloads.labels": LABELS,
        "workloads.timeout": SOME,
        "workloads.start_timeout": SOME,
        "at_once": SOME,
        "samples": _from(1, MOST_SAMPLES),
        "sample_interval": WAIT,
        "demo_image": IMAGE,
        "demo_timeout": SOME,
    },
    "workload_identity_migration": {
        "namespaces": NAMESPACE,
        "workloads": WORKLOAD,
        "identities": _IDENTITY,
        "replacements": _REPLACEMENTS,
        "waves": _WAVE,
        "confirm": FREE,
        "rollout_timeout": SOME,
        "soak_seconds": WAIT,
        "canary_image": IMAGE,
        "proxy_workloads": WORKLOAD,
        "unused_bindings": _BINDING,
        "exchange_samples": WAIT,
        "exchange_min_rate": _from(0, 1),
        "files": FILE,
        "directory": FREE,
    },
    # Playbooks and what several roles share.
    "pod_identity": {
        **_OF_CLUSTERS,
        "artifact_target": PLACE,
        # What the credential is made of is read by the modules, with their own environment.
        **dict.fromkeys(("auth_source", "profile", "tenant", "client_id"), FREE),
        **dict.fromkeys(("cloud_environment", "cert_validation_mode"), FREE),
        "diagnose_namespace": NAMESPACE,
        "diagnose_workload": _WORKLOAD_OF_ANY_KIND,
        "diagnose_pod": _POD,
        "diagnose_files": FILE,
        "diagnose_log_files": FILE,
        "diagnose_log_megabytes": SOME,
        "diagnose_log_hours": SOME,
        "leftovers_confirm": FREE,
        "leftovers_node_resource_group": _NODE_GROUP,
        "leftovers_protected_identities": IDENTITY_ID,
        "leftovers_identities": IDENTITY_ID,
        "leftovers_known_files": FILE,
        "leftovers_known_identities.id": IDENTITY_ID,
        "leftovers_known_identities.source": FREE,
        "leftovers_activity_log_days": WAIT,
        "leftovers_mic_principals": GUID,
    },
}
# By the name of the option; a key of an entry stands after that of its list, with a dot between.
FORMATS: t.Mapping[str, Format] = {
    f"{prefix}_{name}": each for prefix, formats in _BY_ROLE.items() for name, each in formats.items()
}
