# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AZURE_IDENTITY, NODE, POD, label


def test_paths_and_names() -> None:
    assert POD.path() == "/api/v1/pods" and POD.path("n", "p", "log") == "/api/v1/namespaces/n/pods/p/log"
    assert NODE.path("ignored", "x") == "/api/v1/nodes/x"
    assert AZURE_IDENTITY.path("n") == "/apis/aadpodidentity.k8s.io/v1/namespaces/n/azureidentities"
    assert label(POD, "n", "p") == "Pod n/p" and label(NODE, None, "x") == "Node x"
