# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The failures that users reported, and the codes that tell each of them; what no code tells, and who must look where.

They come from the issues of AAD Pod Identity, of Workload ID, and of AKS. An entry without a code cannot be told from
outside a pod, a node or Azure's own records, or is no failure any more.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cache

PAGE = "https://github.com/azureops/pod_identity/blob/main/docs/codes.md"
_REPOSITORIES = {
    "AWI": "Azure/azure-workload-identity",
    "AKS": "Azure/AKS",
    "KEDA": "kedacore/keda",
    "REDIS": "Azure/Microsoft.Azure.StackExchangeRedis",
    "ENGINE": "Azure/aks-engine",
    "DOCS": "MicrosoftDocs/azure-aks-docs",
    "CILIUM": "cilium/cilium",
    "": "Azure/aad-pod-identity",
}


@dataclass(frozen=True)
class Reported:
    """One failure. ``numbers``: as ``585`` of AAD Pod Identity, ``AWI#720`` of another one, see ``_REPOSITORIES``.

    ``look``: what a person must look at, where no code tells it, or what a code does not tell of it.
    """

    numbers: str
    symptom: str
    codes: tuple[str, ...] = ()
    look: str = ""

    @property
    def issues(self) -> tuple[str, ...]:
        """``Azure/aad-pod-identity#585``."""
        parts = (number.rpartition("#") for number in self.numbers.split())
        return tuple(f"{_REPOSITORIES[short]}#{number}" for short, dummy, number in parts)


# What each group of nodes of the inventory aks_nodes is explained by.
OF_NODE_GROUPS: t.Mapping[str, tuple[str, ...]] = {
    "not_ready": (),
    "nmi_missing": ("nmi_missing_on_node", "stale_rule"),
    "nmi_not_active": ("nmi_not_active", "nmi_crashing"),
    "rules_suspected": ("stale_rule",),
    "not_inspected": (),
    "windows": (),
}


def address(code: str) -> str:
    """Where a code is explained."""
    return f"{PAGE}#{code}"


def references(code: str, more: t.Iterable[str] = ()) -> tuple[str, ...]:
    """Of whatever is told with a code: the page first, then documentation, then issues."""
    return tuple(dict.fromkeys((address(code), *more, *issues_of(code))))


@cache
def issues_of(code: str) -> tuple[str, ...]:
    return tuple(issue for several in GROUPS.values() for one in several if code in one.codes for issue in one.issues)


GROUPS: t.Mapping[str, tuple[Reported, ...]] = {
    "NMI cannot tell which pod asks (500)": (
        Reported("780", "NMI logs list pod error", ("nmi_does_not_know_pod",)),
        Reported("473 730 761", "failed to match pod IP, pod list is empty", ("nmi_does_not_know_pod",)),
        Reported("947", "Executor pods of Spark get nothing", ("label_of_pods_differs", "unlabelled_pod_asks")),
    ),
    "No assignment, or one that stays Created (404, 403 before 1.6.1, 503 with retry-after)": (
        Reported("497", "CREATED state failed after 16 attempts", ("nothing_matches", "assignment_missing")),
        Reported("1039 1255", "The same, while MIC's log is clean or slow", ("mic_slow", "mic_without_leader")),
        Reported("472 279 509 323 503 977", "The same now and then, after many pods started", ("mic_slow",)),
        Reported(
            "671 678 585", "ASSIGNED state failed after 20 attempts", ("assignment_pending", "mic_refused_by_azure")
        ),
        Reported("556 773", "context canceled", ("client_timeout_short",)),
        Reported("799", "context canceled, of an add-on without the label", ("unlabelled_pod_asks",)),
        Reported("531", "MIC logs that a pod has no assigned node yet", ("nothing_matches",)),
        Reported("175", "MIC finds no identity in objects with older spellings", ("field_misspelled",)),
        Reported("723 1013 1199", "lost leader lease", ("mic_without_leader",)),
        Reported("723", "MIC restarts again and again", ("mic_crashing",)),
        Reported("484", "MIC itself gets 403", ("mic_not_excepted",)),
        Reported("1267", "client-side throttling", ("mic_slow",)),
        Reported("1065 607 245", "A token of another identity of the same name", ("identity_shadowed",)),
        Reported("1280 388 475 212", "Assignments in the namespace default", ("assignment_contested", "modes_differ")),
    ),
    "MIC cannot write to Azure": (
        Reported(
            "585 443 613 636 1279 KEDA#2178",
            "LinkedAuthorizationFailed for assign/action",
            ("role_missing_on_identity", "mic_refused_by_azure"),
        ),
        Reported("339 544 692", "The same, naming identities that are gone", ("dead_identity_blocks_others",)),
        Reported("752 753", "LinkedAuthorizationFailed for galleries/images", ("mic_rewrites_scale_sets",)),
        Reported("635", "Application security groups vanish", ("mic_rewrites_scale_sets",)),
        Reported(
            "778 838 1054 1220 553",
            "MIC logs Identity not found",
            ("kubelet_identity_gone", "mic_cannot_login"),
        ),
        Reported("987 1308 898", "Images cannot be pulled, az login fails", ("kubelet_identity_used_by_pods",)),
        Reported(
            "515 521 1327 487 217 1192 1139",
            "FailedIdentityOperation, healthy identities are not assigned either",
            ("dead_identity_blocks_others", "identity_gone"),
        ),
        Reported("676 677", "429, thousands of writes", ("mic_throttled_by_azure",)),
        Reported("988", "Tens of thousands of requests to ARM in a day", ("mic_throttled_by_azure",)),
        Reported(
            "1012",
            "A write takes a quarter of an hour",
            ("mic_slow",),
            "Why Azure is slow is not told: see the activity log of the scale set.",
        ),
        Reported(
            "633 639 AKS#1650 ENGINE#4013",
            "Identities vanish from scale sets after an upgrade",
            ("identity_not_on_scale_set",),
        ),
        Reported("813 637", "More than 150 identities", ("too_many_identities",)),
        Reported("760 535", "Invalid resource id", ("resource_id_malformed",)),
        Reported(
            "227 533 644 1151",
            "Uninstalling or a namespace hangs",
            ("assignment_not_deleted", "namespace_stuck", "definition_stuck"),
        ),
        Reported("366", "MIC loops over a node that is gone", ("assignment_of_missing_node",)),
    ),
    "A token is refused although the identity is assigned (403)": (
        Reported(
            "681 1380 880 606 436 725",
            "NMI answers Identity not found",
            ("identity_recreated", "ghost_on_scale_set", "identity_not_on_scale_set"),
        ),
        Reported("74 148", "Service principal: Refresh request failed 404", ("tenant_missing",)),
        Reported("1154", "the MSI endpoint is not available", ("node_cannot_reach_imds",)),
        Reported(
            "629",
            "az retries with object_id and gets a token of another identity",
            ("ambiguous_default",),
            "Which parameters an application sends is seen in its own code or settings only: NMI ignores object_id.",
        ),
    ),
    "Network and node": (
        Reported("716 821 417 1195 1092", "i/o timeout", ("policy_blocks_nmi",)),
        Reported("CILIUM#20103 DOCS#11", "Timeout, or the metadata service answers itself", ("kube_proxy_bypasses",)),
        Reported("249", "NMI ends with Resource temporarily unavailable", ("nmi_crashing",)),
        Reported("294", "NMI ends with Permission denied", ("nmi_crashing",)),
        Reported("728 877", "NMI ends in iptables", ("nmi_crashing",)),
        Reported("740", "bind: address already in use", ("two_installations", "nmi_crashing")),
        Reported("875 892 1050 1070 1157", "not supported for Kubenet", ("kubenet_refused",)),
        Reported("113 154", "Rules stay when NMI is gone", ("stale_rule",)),
        Reported(
            "1242",
            "Pods reach the metadata service while NMI restarts",
            look="It lasts ten seconds, and nothing keeps a trace of it: compare the time of the application's request "
            "with the restarts of NMI on the node.",
        ),
        Reported(
            "1243",
            "A pod older than NMI keeps its connection to the metadata service",
            look="Only the node's table of connections shows it (conntrack -L -d 169.254.169.254); restart the pod, or "
            "run NMI with --enable-conntrack-deletion.",
        ),
        Reported("563", "The DaemonSet of the add-on comes back", ("addon_failed",), "See who manages it: nmi_info."),
        Reported("920", "Definitions are gone after an upgrade of the add-on", ("definitions_gone",)),
        Reported("1388", "Definitions and identities are gone after an upgrade", ("definitions_gone",)),
        Reported(
            "968",
            "az warns that instances have to be updated",
            look="Nothing is wrong: identities of a scale set are effective without an update of its instances.",
        ),
    ),
    "Application": (
        Reported(
            "1085",
            "parameter resource cannot be empty",
            look="What an application asks for is in its own code: it must send resource. The verdict request_refused "
            "tells the same of a request of ours.",
        ),
        Reported(
            "193 182 980",
            "Many requests, because tokens are not kept",
            look="NMI keeps no tokens; count its requests per pod in its metrics, and let the application keep them.",
        ),
        Reported("REDIS#79", "NMI is asked for Workload ID's client id", ("client_id_unknown_to_nmi",)),
    ),
    "Workload ID": (
        Reported("AWI#720", "The label counts on pods, no longer on service accounts", ("label_missing_on_template",)),
        Reported(
            "AWI#725 AWI#1115",
            "AppAuthentication knows no Workload ID",
            ("library_knows_no_workload_id", "library_too_old"),
            "Without its variable it is not seen from outside which library an application uses: "
            "AzureServiceTokenProvider needs the proxy sidecar, or to be replaced.",
        ),
        Reported("AWI#773", "The proxy keeps a Job from ending", ("sidecar_holds_job", "proxy_keeps_job_alive")),
        Reported(
            "AWI#774",
            "A pod with the proxy stays Terminating",
            ("proxy_holds_pod",),
            "Where another container still runs, see its log and what it waits for.",
        ),
        Reported("AWI#647", "A namespace stays Terminating", ("webhook_blocks_namespace",)),
        Reported("AWI#790", "Pods are not mutated", ("pod_not_mutated", "label_missing_on_template")),
        Reported("AWI#863 AWI#1608", "The webhook is down", ("webhook_not_running",)),
        Reported(
            "AWI#977 AWI#1200 KEDA#8152",
            "AADSTS70021 or 700213 now and then, with a right credential",
            ("credential_missing", "credential_wrong"),
            "Where no code is told, nothing is wrong that can be read: ask many times (samples of pod_token_info) and "
            "let the application retry; deleting and creating the credential cured it once.",
        ),
        Reported(
            "AWI#995",
            "Both systems side by side",
            look="Nothing is wrong: the pod's own redirect comes before that of the node.",
        ),
        Reported(
            "AWI#1009",
            "The proxy does not start: its user breaks the policy of the pod",
            ("proxy_not_started",),
        ),
        Reported(
            "AWI#1424",
            "The proxy's init container is privileged and not admitted",
            ("proxy_refused", "proxy_not_admitted", "pod_security_refuses", "policy_refuses"),
        ),
        Reported(
            "AWI#1050",
            "Rules of the proxy on the host",
            ("host_network_refused", "proxy_on_host_network"),
            "What an old webhook left on a node only the node shows: imds_iptables_cleanup reports AZWI_PROXY_OUTPUT.",
        ),
        Reported("AWI#1270", "NMI answers 404 after the webhook set a client id", ("client_id_unknown_to_nmi",)),
        Reported(
            "AWI#1363",
            "AADSTS700231: a token of a federated identity is no assertion for another one",
            look="Whether an application uses its token so is in its own code: give the application of the other "
            "tenant a federated credential of its own.",
        ),
        Reported("AKS#3897 AKS#4139 AKS#5472 AKS#5686", "Labelled pods cannot be created", ("webhook_not_running",)),
        Reported("AKS#3982", "A cluster made anew has another issuer", ("issuer_of_other_cluster",)),
        Reported(
            "AKS#5541",
            "The path of the token is another one",
            ("token_path_differs", "token_path_hard_coded"),
            "Where no code is told, see files of the application for /var/run/secrets/azure/tokens: it must "
            "read AZURE_FEDERATED_TOKEN_FILE.",
        ),
    ),
}
