# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import clouds
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

LOGIN = {"loginEndpoint": "https://login.local/", "audiences": ["https://management.core/", "https://arm.local/"]}


def nothing(url: str) -> Any:
    raise RuntimeError(f"{url} was asked for")


@table(
    "name, resource_manager, scope",
    ("AzureCloud", "https://management.azure.com", "https://management.azure.com/.default"),
    ("azureusgovernment", "https://management.usgovcloudapi.net", "https://management.usgovcloudapi.net/.default"),
    ("AzureChinaCloud", "https://management.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default"),
)
def test_named_clouds(name: str, resource_manager: str, scope: str) -> None:
    cloud = clouds.find(name, nothing)
    assert (cloud.resource_manager, cloud.scope, cloud.vouched) == (resource_manager, scope, False)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(Failure, match="use one of AzureCloud, AzureUSGovernment, AzureChinaCloud"):
        clouds.find("AzureMoonCloud", nothing)


@table(
    "setting, url",
    ("https://arm.local", "https://arm.local/metadata/endpoints?api-version=2019-05-01"),
    ("https://arm.local/", "https://arm.local/metadata/endpoints?api-version=2019-05-01"),
    ("https://arm.local/metadata/endpoints", "https://arm.local/metadata/endpoints?api-version=2019-05-01"),
    ("https://arm.local/metadata/endpoints?api-version=x", "https://arm.local/metadata/endpoints?api-version=x"),
)
def test_where_a_cloud_describes_itself(setting: str, url: str) -> None:
    assert clouds.metadata_url(setting) == url


ELSEWHERE = {"name": "Other", "resourceManager": "https://other/", "authentication": LOGIN}


@table(
    "document, resource_manager, audience",
    ([ELSEWHERE, {**ELSEWHERE, "resourceManager": "https://arm.local/"}], "https://arm.local", "https://arm.local/"),
    ([ELSEWHERE], "https://other", "https://management.core/"),
    ({"graphEndpoint": "https://graph/", "authentication": LOGIN}, "https://arm.local", "https://arm.local/"),
)
def test_a_description_is_read(document: Any, resource_manager: str, audience: str) -> None:
    cloud = clouds.find("https://arm.local", lambda _url: document)
    assert (cloud.resource_manager, cloud.audience) == (resource_manager, audience)
    assert (cloud.authority, cloud.vouched) == ("https://login.local", True)


@table(
    "name, graph",
    ("AzureCloud", "https://graph.microsoft.com"),
    ("AzureUSGovernment", "https://graph.microsoft.us"),
    ("AzureChinaCloud", "https://microsoftgraph.chinacloudapi.cn"),
)
def test_where_graph_is(name: str, graph: str) -> None:
    assert clouds.find(name, nothing).graph == graph


@table("said, graph", ({"microsoftGraphResourceId": "https://graph/"}, "https://graph"), ({}, ""))
def test_where_a_cloud_says_that_graph_is(said: dict[str, str], graph: str) -> None:
    assert clouds.find("https://arm.local", lambda _url: {"authentication": LOGIN, **said}).graph == graph


@pytest.mark.parametrize("document", [[], {}, [{"authentication": {}}], "text"])
def test_what_describes_no_cloud_is_refused(document: Any) -> None:
    with pytest.raises(Failure, match="does not describe a cloud"):
        clouds.find("https://arm.local", lambda _url: document)


@table(
    "name, audience",
    ("AzureCloud", "api://AzureADTokenExchange"),
    ("azureusgovernment", "api://AzureADTokenExchangeUSGov"),
    ("AzureChinaCloud", "api://AzureADTokenExchangeChina"),
)
def test_the_audience_of_an_exchange(name: str, audience: str) -> None:
    assert clouds.find(name, nothing).exchange_audience == audience
