# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""AzureIdentities of type 1 and 2, for which NMI asks Entra with a Secret: what a federated credential gives of it."""

from __future__ import annotations

from ..azure import graph_answers
from ..matching.matching import CERTIFICATE, SERVICE_PRINCIPAL, Identity


def why_not_federable(identity: Identity, tenant: str) -> str:
    """Why no federated credential of its application gives what NMI gives; '' where one does, as far as is known.

    ``tenant``: that of the cluster, whose tokens the webhook makes pods ask for; '' where it is not known.
    """
    if identity.type not in (SERVICE_PRINCIPAL, CERTIFICATE):
        return f"It is of type {identity.type}, which AAD Pod Identity does not know."
    if not graph_answers.is_app_id(identity.client_id):
        return "Its client id is not that of an application."
    if identity.auxiliary_tenants:
        return "It gets tokens of several tenants at once (auxiliaryTenantIDs), and Workload ID gives that of one only."
    if not identity.tenant_id:
        return "It names no tenant (tenantID)."
    if tenant and identity.tenant_id.lower() != tenant.lower():
        return f"It gets tokens of the tenant {identity.tenant_id}, and the pods of the cluster ask in {tenant}."
    return ""
