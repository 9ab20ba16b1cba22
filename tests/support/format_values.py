# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that each format of options takes, and such as it refuses."""

from __future__ import annotations

from typing import Any

GROUP = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net/subnets/nodes"
GUID = "11111111-1111-4111-8111-111111111111"

# By what a value of the format is called.
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "a path of a file": (["/a", "~/a", "a"], [" "]),
    "a GUID": ([GUID, GUID.upper()], ["s", GUID[1:], f"{GUID}\n"]),
    "a name of a resource group in Azure": (["rg", "a.b", "MC_(x)-1", "a" * 90], ["a b", "rg.", "a" * 91, "a/b"]),
    "a name of a resource group for nodes": (["MC_rg_one_westeurope"], ["a" * 81, "a b"]),
    "a name of a cluster in AKS": (["demo", "a", "A_b-1", "2024"], ["demo cluster", "-a", "a_", "a.b", "a" * 64]),
    "a name of an Azure region": (["westeurope", "West Europe", "eastus2"], ["west-europe", "1", "europe.west"]),
    "tags of Azure": ([{"team": "a"}, {"a": 1, "b": None}, {}], [{"a/b": "c"}, {"a": []}, {"a": "b" * 257}, {"": "b"}]),
    "labels of Kubernetes": (
        [{"a": "b"}, {"x.y/a": ""}, {"a": 1}],
        [{"a b": "c"}, {"a": True}, {"a": "b c"}, {"a": {}}],
    ),
    "labels of nodes": ([{"gpu": True}, {"a": "b"}], [{"a b": "c"}, {"a": "b c"}]),
    "a name of a namespace": (["a", "kube-system"], ["a.b", "A", "a" * 64, "a_b", "a\n"]),
    "a name of an object of Kubernetes": (["a", "a.b-c"], ["A", "a b", "-a", "a" * 254, "a\n"]),
    "a value of a label of Kubernetes": (["a", "A_b.c-1"], ["a b", "-a", "a" * 64, "a\n"]),
    "the resource id of a user-assigned identity": ([IDENTITY, IDENTITY.upper()], ["x", GROUP, f"{IDENTITY}/x"]),
    "an Azure resource id": (
        [GROUP, IDENTITY, f"/subscriptions/{GUID}", "/resourceGroups/rg/providers/A.B/c/d", f"{GROUP}/"]
        + ["/providers/Microsoft.Management/managementGroups/m", f"{SUBNET}/providers/A.B/c/d"],
        ["rg/data", "rg", "/other", "/", "/subscriptions", f"{GROUP}/providers/A.B/c", "https://x/"],
    ),
    "the resource id of a subnet": ([SUBNET], [GROUP, "nodes"]),
    "a version of Kubernetes": (["1.34", "1.34.2", "2.0"], ["1.3", "latest", "v1.34", "1"]),
    "a version of the chart": (["4.1.18", "v4.1.18", "4.1.18-rc.1"], ["latest", "4.1", ">=4.1.0"]),
    "a range of addresses": (["10.0.0.0/16", "fd00::/64"], ["10.0.0.0", "10.0.0.0/33", "big"]),
    "an IP address": (["10.0.0.10", "fd00::1"], ["10.0.0", "10.0.0.0/16", "dns"]),
    "a number from 1 to 65535": ([1, 80], [0, 65536]),
    "a number of 0 or more": ([0, 5], [-1]),
    "a number of 1 or more": ([1], [0, -1]),
    "a number from 0 to 1": ([0, 0.5, 1], [-0.1, 1.5]),
    "a number from 0 to 1000": ([0, 1000], [-1, 1001]),
    "a number from 1 to 500": ([1, 500], [0, 501]),
    "a number from 10 to 250": ([10, 250], [9, 251]),
    "a reference of an image": (
        ["mcr.microsoft.com/a/b:v1.8.17", "localhost:5000/a", f"a@sha256:{'0' * 64}", "a:b"],
        ["https://a/b", "a b", "a:b:c", "a@sha256:0"],
    ),
    "a repository of images": (["mcr.microsoft.com", "r:5000/a/b"], ["https://r/a", "a b", "r/a:v1"]),
    "an address": (["https://x/charts", "oci://x/y", "file:///srv/charts"], ["x/charts", "charts"]),
    "what a token can be for": (["https://vault.azure.net/", "api://x", GUID], ["a b", "https://a /"]),
    "a SHA-256 digest": (["0" * 64, "A" * 64], ["0", "0" * 63, "0" * 64 + "\n", "latest"]),
    "a directory or a Secret": (["/a", "~/a", "secret:a/b"], ["secret:a", "secret:a/b/c", "secret:", "secret:A/b"]),
    "a file or a Secret": (["/a", "secret:a/b"], ["secret:a", "secret:a/b/c"]),
    "a name of an AzureIdentity": (["billing", "shop/billing"], ["a/b/c", "a b", "/a", "A"]),
    "a workload": (
        ["shop/Deployment/web", "*/*/*"],
        ["a b", "shop//web", "a/b/c/d"],
    ),
    "a name of an agent pool": (["nodepool1", "a"], ["node-pool", "1a", "a" * 13, "A"]),
    "a taint": (["a=b:NoSchedule", "a:NoExecute", "x.y/a=b:PreferNoSchedule"], ["a=b", "a=b:Never", "a b:NoSchedule"]),
    "a name of an identity in Azure": (["billing", "a_1"], ["ab", "-abc", "a.b", "a b c"]),
    "a tenant": ([GUID, "example.onmicrosoft.com"], ["t", "a b"]),
    "a prefix of a host name": (["demo", "a-1"], ["a.b", "-a", "a" * 55]),
    "a name of a helm release": (["aad-pod-identity", "a.b"], ["A", "a" * 54, "a b"]),
    "a role of Azure": (
        ["Reader", GUID, f"{GROUP}/providers/A.B/c/d", "My own role"],
        ["/other", "/subscriptions/a/b"],
    ),
    "a resource group": (["rg", GROUP], ["a b", IDENTITY, "rg/other"]),
    "an identity": (["billing", IDENTITY, GUID], ["a b", "rg/billing"]),
    "a pod": (["web", "shop/web"], ["shop/", "a/b/c", "a b"]),
    "an AzureIdentityBinding": (["shop/billing"], ["billing", "a/b/c", "a b"]),
    "a wave of workloads": ([["a/b/c"], []], [["a/b"], [1], ["a/b/c", "d"]]),
    "a list of replacements": ([{"shop/money": IDENTITY}, {}], [{"money": IDENTITY}, {"shop/money": "7"}]),
    "a chart": (["aad", "/srv/a.tgz", "oci://r/a", "https://x/a-1.2.3.tgz"], [" ", " a"]),
    "a size of machines": (["Standard_D2s_v5"], ["Standard D2", "2"]),
}
