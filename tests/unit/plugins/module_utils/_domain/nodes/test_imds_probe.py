# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_probe


def test_the_pod_is_plain_and_no_taint_keeps_it_away() -> None:
    job = imds_probe.job("n1", "default", name="p", owner="me", image="i", timeout=20, start_timeout=60)
    template = job["spec"]["template"]
    assert set(template["metadata"]["labels"]) == {"azureops.pod-identity/probe", "azureops.pod-identity/owner"}
    assert template["spec"]["nodeName"] == "n1"
    assert template["spec"]["tolerations"] == [{"operator": "Exists"}]
    # No resource is named, so that no token can come back.
    assert any(str(word).endswith("resource=") for word in template["spec"]["containers"][0]["command"])
