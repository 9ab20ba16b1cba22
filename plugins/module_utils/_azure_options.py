# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Argument spec pieces of the modules that ask Azure. Each function has a twin in ``doc_fragments/``.

Modules that run on nodes take none of them along.
"""

from __future__ import annotations

from ._argspec import ArgumentSpec, env


def azure_auth() -> ArgumentSpec:
    """Who calls Azure and which Azure it is; twin of ``doc_fragments/_azure_auth.py``.

    Only ``auth_source``, ``profile`` and the cloud settings have fallbacks here: in ``auto`` the credential options
    count as a source of their own, before the environment, so the environment is read in ``_azure/credentials.py``.
    The cloud settings have no default because a profile may hold them.
    """
    text = {"type": "str"}
    return ArgumentSpec(
        options={
            "auth_source": env(
                {"type": "str", "choices": ["auto", "cli", "credential_file", "env", "msi"], "default": "auto"},
                "ANSIBLE_AZURE_AUTH_SOURCE",
            ),
            "profile": env(dict(text), "AZURE_PROFILE"),
            "subscription_id": dict(text),
            "client_id": dict(text),
            "secret": {"type": "str", "no_log": True},
            "tenant": dict(text),
            "x509_certificate_path": {"type": "path"},
            "thumbprint": dict(text),
            "oidc_token": {"type": "str", "no_log": True},
            "oidc_token_file_path": {"type": "path", "no_log": False},
            "cloud_environment": env(dict(text), "AZURE_CLOUD_ENVIRONMENT"),
            "cert_validation_mode": env(
                {"type": "str", "choices": ["validate", "ignore"]}, "AZURE_CERT_VALIDATION_MODE"
            ),
            "adfs_authority_url": env(dict(text), "AZURE_ADFS_AUTHORITY_URL"),
            "disable_instance_discovery": env({"type": "bool"}, "AZURE_DISABLE_INSTANCE_DISCOVERY"),
        }
    )


def azure_wait() -> ArgumentSpec:
    """How long the task waits for Azure; twin of ``doc_fragments/_azure_wait.py``."""
    return ArgumentSpec(
        options={
            "wait_timeout": {"type": "int", "default": 3600},
            "poll_interval": {"type": "float", "default": 10},
            "progress": env({"type": "bool", "default": True}, "POD_IDENTITY_PROGRESS"),
        }
    )


def restored_identities() -> ArgumentSpec:
    """What the scale sets of a cluster lose by its write; twin of ``doc_fragments/_restored_identities.py``."""
    return ArgumentSpec(
        options={
            "restore_identities": {"type": "str", "choices": ["attach", "wait", "ignore"], "default": "attach"},
            "restore_timeout": {"type": "int", "default": 300},
        }
    )


def tags() -> ArgumentSpec:
    """Tags of an ARM resource; twin of ``doc_fragments/_tags.py``."""
    return ArgumentSpec(options={"tags": {"type": "dict"}, "append_tags": {"type": "bool", "default": True}})


def carriers() -> ArgumentSpec:
    """Which scale sets and virtual machines; twin of ``doc_fragments/_carriers.py``."""
    text = {"type": "str"}
    return ArgumentSpec(
        options={
            "resource_id": dict(text),
            "node_resource_group": dict(text),
            "resource_group": dict(text),
            "cluster_name": dict(text),
            "provider_ids": {"type": "list", "elements": "str", "default": []},
            "further_resource_groups": {"type": "list", "elements": "str", "default": []},
            "protected_identities": {"type": "list", "elements": "str", "default": []},
        },
        mutually_exclusive=(("resource_id", "node_resource_group"),),
        required_together=(("resource_group", "cluster_name"),),
        required_one_of=(("resource_id", "node_resource_group", "cluster_name"),),
    )


def ownership() -> ArgumentSpec:
    """What is known of identities on scale sets; twin of ``doc_fragments/_ownership.py``."""
    told = {"id": {"type": "str", "required": True}, "source": {"type": "str", "required": True}}
    return ArgumentSpec(
        options={
            "inventory": {"type": "dict"},
            "known_identities": {"type": "list", "elements": "dict", "options": told, "default": []},
            "known_files": {"type": "list", "elements": "path", "default": []},
            "used_identities": {"type": "list", "elements": "dict", "options": told, "default": []},
            "activity_log_days": {"type": "int", "default": 0},
            "mic_principals": {"type": "list", "elements": "str", "default": []},
        }
    )
