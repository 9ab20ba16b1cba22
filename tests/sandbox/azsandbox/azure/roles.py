# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft's built-in roles, as far as anything here asks for them."""

from __future__ import annotations

from .rbac import Role


def _actions(text: str) -> tuple[str, ...]:
    """From words; one that begins with a dot goes on behind the provider of the one before."""
    found: list[str] = []
    for word in text.split():
        found.append(f"{found[-1].partition('/')[0]}/{word[1:]}" if word.startswith(".") else word)
    return tuple(found)


BUILT_IN: tuple[Role, ...] = (
    Role(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        _actions("*"),
    ),
    Role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC,"
        " manage assignments in Azure Blueprints, or share image galleries.",
        _actions("*"),
        _actions(
            "Microsoft.Authorization/*/Delete .*/Write .elevateAccess/Action "
            "Microsoft.Blueprint/blueprintAssignments/write .blueprintAssignments/delete "
            "Microsoft.Compute/galleries/share/action Microsoft.Purview/consents/write .consents/delete"
        ),
    ),
    Role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, but does not allow you to make any changes.",
        _actions("*/read"),
    ),
    Role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        _actions("*/read Microsoft.Authorization/* Microsoft.Support/*"),
    ),
    Role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC. This role does not allow you"
        " to manage access using other ways, such as Azure Policy.",
        _actions("Microsoft.Authorization/roleAssignments/write .roleAssignments/delete */read Microsoft.Support/*"),
    ),
    Role(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        "Read and Assign User Assigned Identity",
        _actions(
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read .userAssignedIdentities/*/assign/action "
            "Microsoft.Authorization/*/read Microsoft.Insights/alertRules/* "
            "Microsoft.Resources/subscriptions/resourceGroups/read .deployments/* Microsoft.Support/*"
        ),
    ),
    Role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        "Create, Read, Update, and Delete User Assigned Identity",
        _actions(
            "Microsoft.ManagedIdentity/userAssignedIdentities/read .userAssignedIdentities/write "
            ".userAssignedIdentities/delete .userAssignedIdentities/federatedIdentityCredentials/read "
            ".userAssignedIdentities/federatedIdentityCredentials/write "
            ".userAssignedIdentities/federatedIdentityCredentials/delete "
            ".userAssignedIdentities/revokeTokens/action Microsoft.Authorization/*/read "
            "Microsoft.Insights/alertRules/* Microsoft.Resources/subscriptions/resourceGroups/read .deployments/* "
            "Microsoft.Support/*"
        ),
    ),
    Role(
        "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
        "Virtual Machine Contributor",
        "Lets you manage virtual machines, but not access to them, and not the virtual network or storage"
        " account they're connected to.",
        _actions(
            "Microsoft.Authorization/*/read Microsoft.Compute/availabilitySets/* .locations/* .virtualMachines/* "
            ".virtualMachineScaleSets/* .cloudServices/* .disks/write .disks/read .disks/delete "
            "Microsoft.DevTestLab/schedules/* Microsoft.Insights/alertRules/* "
            "Microsoft.Network/applicationGateways/backendAddressPools/join/action "
            ".loadBalancers/backendAddressPools/join/action .loadBalancers/inboundNatPools/join/action "
            ".loadBalancers/inboundNatRules/join/action .loadBalancers/probes/join/action .loadBalancers/read "
            ".locations/* .networkInterfaces/* .networkSecurityGroups/join/action .networkSecurityGroups/read "
            ".publicIPAddresses/join/action .publicIPAddresses/read .virtualNetworks/read "
            ".virtualNetworks/subnets/join/action Microsoft.RecoveryServices/locations/* .Vaults/*/read "
            "Microsoft.ResourceHealth/availabilityStatuses/read Microsoft.Resources/deployments/* "
            ".subscriptions/resourceGroups/read Microsoft.SerialConsole/serialPorts/connect/action "
            "Microsoft.SqlVirtualMachine/* Microsoft.Storage/storageAccounts/listKeys/action "
            ".storageAccounts/read Microsoft.Support/*"
        ),
    ),
    Role(
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        "Lets you manage networks, but not access to them.",
        _actions(
            "Microsoft.Authorization/*/read Microsoft.Network/* "
            "Microsoft.ResourceHealth/availabilityStatuses/read Microsoft.Insights/alertRules/* "
            "Microsoft.Resources/deployments/* .subscriptions/resourceGroups/read Microsoft.Support/*"
        ),
    ),
    Role(
        "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
        "Azure Kubernetes Service Cluster User Role",
        "List cluster user credential action.",
        _actions("Microsoft.ContainerService/managedClusters/listClusterUserCredential/action .managedClusters/read"),
    ),
    Role(
        "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8",
        "Azure Kubernetes Service Cluster Admin Role",
        "List cluster admin credential action.",
        _actions(
            "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action "
            ".managedClusters/accessProfiles/listCredential/action .managedClusters/read "
            ".managedClusters/runcommand/action"
        ),
    ),
    Role(
        "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
        "Azure Kubernetes Service Contributor Role",
        "Grants access to read and write Azure Kubernetes Service clusters",
        _actions(
            "Microsoft.ContainerService/managedClusters/read .managedClusters/write Microsoft.Resources/deployments/*"
        ),
    ),
    Role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        "acr pull",
        _actions("Microsoft.ContainerRegistry/registries/pull/read"),
    ),
    Role(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        "Read secret contents. Only works for key vaults that use the 'Azure role-based access control'"
        " permission model.",
        (),
        (),
        _actions("Microsoft.KeyVault/vaults/secrets/getSecret/action .vaults/secrets/readMetadata/action"),
    ),
    Role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data",
        _actions("Microsoft.Storage/storageAccounts/blobServices/containers/read"),
        (),
        _actions("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"),
    ),
)

BY_ID: dict[str, Role] = {role.id: role for role in BUILT_IN}
