# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of the migration lists, and a user who may not list all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.kubectl_output import CONSTRAINTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import Raw, Site
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED

CONSTRAINT = Kind(CONSTRAINTS[1:], "v1beta1", "k8steamlabels", "K8sTeamLabels", False)


OPTIONAL = [versions[0] for versions in migration.OPTIONAL]


LISTED = [*inventory.KINDS, *migration.KINDS, *OPTIONAL, CONSTRAINT]


RARE = pytest.mark.soak


TRIES: Raw = {"apiGroups": [""], "resources": ["pods", "serviceaccounts/token"], "verbs": ["create"]}


def lists(*without: Kind) -> list[Raw]:
    """The right to list all that is looked at, but for some."""
    return [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["list"]}
        for kind in LISTED
        if kind not in without
    ]


@contextlib.contextmanager
def rights(site: Site, *rules: Raw) -> Iterator[None]:
    """For the block that is what the user of the token ``RESTRICTED`` may do."""
    kind = next(each for each in LISTED if [each.plural] in [rule["resources"] for rule in rules])
    client = site.api_server.client(RESTRICTED)

    def known() -> bool:
        try:
            client.list_all(kind)
        except ApiFailure:
            return False
        return True

    with server.rights_of_restricted(site.client, "reads-most", *rules):
        server.until("the rights are known", known)
        yield


def of(told: Raw, *parts: str) -> dict[tuple[str, str], set[str]]:
    """The codes of these parts, by kind and name of the workload."""
    return {
        (row["kind"], row["name"]): {each["code"] for part in parts for each in row[part]} - {""}
        for row in told["templates"]
    }
