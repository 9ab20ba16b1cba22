# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AKS puts into a cluster for its Workload ID add-on: the real webhook in kube-system.

Its objects are those of the project's own chart. What AKS marks them with is what users reported: the label of what it
manages (azure-workload-identity#823), and annotations of a release of helm by which helm refuses to install the chart
beside it (#1295); a record of that release is nowhere in the cluster. Webhooks of AKS leave out the namespaces that are
its own. Self-consistent, for want of a report: where the chart was first, AKS takes over what both name alike, so that
pods are sent to the webhook of kube-system from then on, and it goes with the add-on.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from . import addons, commands, paths, programs
from .addons import Call, Object

NAMESPACE = "kube-system"
RELEASE = "aks-managed-workload-identity"
_OF_HELM = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
_OURS = {**addons.MANAGED, "app.kubernetes.io/managed-by": "Helm"}
_OWN_NAMESPACES = {"key": "control-plane", "operator": "DoesNotExist"}


async def deploy(call: Call, tenant_id: str) -> None:
    """Bring all of it to what is desired, whatever is there; the webhook serves some time later."""
    for each in await _objects(tenant_id):
        await addons.apply(call, each)


async def remove(call: Call, tenant_id: str) -> None:
    """Take all of it away; first what sends pods to it."""
    for each in reversed(await _objects(tenant_id)):
        await addons.delete(call, each)


async def _objects(tenant_id: str) -> list[Object]:
    """In the order in which they are made."""
    values = {
        "azureTenantID": tenant_id,
        "podLabels": addons.MANAGED,
        "mutatingWebhookNamespaceSelector": {"matchExpressions": [_OWN_NAMESPACES]},
    }
    chart = programs.built("workload-identity") / "charts/workload-identity-webhook"
    rendered = await commands.run(
        *(str(paths.BIN / "helm"), "template", RELEASE, str(chart), "--namespace", NAMESPACE, "--values", "-"),
        stdin=json.dumps(values).encode(),
        env={"HOME": "/nonexistent"},
    )
    return [_marked(each) for each in yaml.safe_load_all(rendered) if each]


def _marked(each: Any) -> Object:
    metadata = each["metadata"]
    metadata["labels"] = {**metadata["labels"], **_OURS}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **_OF_HELM}
    return dict(each)
