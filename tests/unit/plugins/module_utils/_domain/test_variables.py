# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.variables import incomplete, unknown
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

KNOWN = {"pod_identity_cluster_name", "pod_identity_location", "imds_node_cleanup_drain", "pod_identity_mode"}


@table(
    "name, told",
    ("pod_identity_cluster_nmae", "did you mean pod_identity_cluster_name?"),
    ("pod_identity_clustername", "did you mean pod_identity_cluster_name?"),
    ("imds_node_cleanup_drian", "did you mean imds_node_cleanup_drain?"),
    ("pod_identity_billing_team", "; correct it, or name it in pod_identity_own_variables."),
    ("pod_identity_cluster_name", ""),
    ("pod_identity_team", ""),
    ("pod_identity_own_variables", ""),
    ("__pod_identity_cluster_x", ""),
    ("podidentity_location", ""),
    ("ansible_connection", ""),
)
def test_names(name: str, told: str) -> None:
    sentences = unknown([name, "pod_identity_mode"], KNOWN, ["pod_identity_team"])
    assert len(sentences) == bool(told)
    assert all(each.startswith(f"{name} is no variable of this collection; ") and told in each for each in sentences)


@table(
    "given, told",
    ("", ""),
    ("tenant", ""),
    ("client_id tenant secret", ""),
    (
        "client_id",
        "pod_identity_client_id is set, pod_identity_tenant and pod_identity_secret are not; set all three, or",
    ),
    ("client_id tenant", "pod_identity_client_id and pod_identity_tenant are set, pod_identity_secret is not; set all"),
    ("secret", "pod_identity_secret is set, pod_identity_client_id and pod_identity_tenant are not; set"),
)
def test_what_makes_a_credential(given: str, told: str) -> None:
    sentences = incomplete([f"pod_identity_{name}" for name in given.split()])
    assert len(sentences) == bool(told) and all(each.startswith(told) for each in sentences), sentences
