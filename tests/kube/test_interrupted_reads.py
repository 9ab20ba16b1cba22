# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that only look, while the API server restarts between their first and their last request."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import DAEMON_SET
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, ApiServer, Runner


@pytest.fixture
def nmi(client: Client, namespace: str) -> Iterator[None]:
    """One that runs nowhere, so that there is something to look at."""
    container = {"name": "nmi", "image": "mcr.microsoft.com/oss/azure/aad-pod-identity/nmi:v1.8.17"}
    labels = {"app": "nmi"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    client.create(DAEMON_SET, namespace, {"metadata": {"name": "nmi"}, "spec": spec})
    with server.rights_of_nmi(client, namespace):
        yield
    client.delete(DAEMON_SET, namespace, "nmi")


@pytest.mark.soak
@pytest.mark.parametrize("name", ["pod_identity_info", "nmi_info"])
def test_an_api_server_that_goes_while_it_is_asked(name: str, api_server: ApiServer, crds: None, nmi: None) -> None:
    look = Runner(api_server, name)
    with obstacles.held(api_server, at=5) as (host, asked):
        with look.start(kubeconfig=None, host=host, api_key=ADMIN, ca_cert=str(api_server.ca)) as process:
            assert asked.result(timeout=60) > 0, "nothing had been answered yet"
            api_server.restart()
            printed, errors = process.communicate(timeout=60)
    told = json.loads(printed)
    assert (process.returncode, errors) == (1, "")
    assert told["failed"] and told["msg"] == f"The API server {host} cannot be reached: the connection failed."
    assert not {"workloads", "installations", "exception"} & set(told)
    assert not look().ok()["changed"]
