# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import credentials
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

OPTIONS = {"client_id": "o", "tenant": "t", "secret": "x"}
ENVIRON = {"AZURE_CLIENT_ID": "e", "AZURE_TENANT": "t", "AZURE_SECRET": "x", "AZURE_SUBSCRIPTION_ID": "env-sub"}
CHINA = {"cloud_environment": "AzureChinaCloud"}
PROFILES = {
    "default": {"client_id": "f", "tenant": "t", "secret": "x", "subscription_id": "file-sub"},
    "work": {"client_id": "w", "tenant": "t", "x509_certificate_path": "/c.pem", **CHINA},
}


@table(
    "options, environ, profiles, source, client",
    (OPTIONS, ENVIRON, PROFILES, "options", "o"),
    ({"profile": "work", **OPTIONS}, ENVIRON, PROFILES, "credential_file", "w"),
    ({}, ENVIRON, PROFILES, "env", "e"),
    ({"subscription_id": "s"}, ENVIRON, PROFILES, "env", "e"),
    ({}, {}, PROFILES, "credential_file", "f"),
    ({}, {"AZURE_CLIENT_ID": "of an identity"}, {}, "cli", None),
    ({}, {}, {}, "cli", None),
    ({"auth_source": "env", **OPTIONS}, ENVIRON, PROFILES, "env", "e"),
    ({"auth_source": "credential_file", **OPTIONS}, ENVIRON, PROFILES, "credential_file", "f"),
    ({"auth_source": "cli"}, ENVIRON, PROFILES, "cli", None),
    ({"auth_source": "msi", "client_id": "m"}, ENVIRON, PROFILES, "msi", "m"),
    ({"auth_source": "msi"}, ENVIRON, PROFILES, "msi", "e"),
    ({"auth_source": "msi"}, {}, PROFILES, "msi", None),
)
def test_the_order_of_sources(
    options: dict[str, Any], environ: dict[str, str], profiles: dict[str, Any], source: str, client: str | None
) -> None:
    login = credentials.choose(options, environ, profiles)
    assert (login.source, login.values.get("client_id")) == (source, client)


@table(
    "options, environ, expected",
    ({"subscription_id": "o"}, ENVIRON, "o"),
    ({}, ENVIRON, "env-sub"),
    (OPTIONS, ENVIRON, "env-sub"),
    ({"auth_source": "credential_file"}, ENVIRON, "file-sub"),
    ({"auth_source": "credential_file", "subscription_id": "o"}, ENVIRON, "o"),
    ({"auth_source": "msi"}, ENVIRON, "env-sub"),
    ({"auth_source": "cli", "subscription_id": "o"}, {}, "o"),
)
def test_the_subscription(options: dict[str, Any], environ: dict[str, str], expected: str) -> None:
    assert credentials.choose(options, environ, PROFILES).values["subscription_id"] == expected


def test_tenant_has_two_variables() -> None:
    assert credentials.from_environment({"AZURE_TENANT_ID": "b"}) == {"tenant": "b"}
    assert credentials.from_environment({"AZURE_TENANT_ID": "b", "AZURE_TENANT": "a"}) == {"tenant": "a"}


@table(
    "options, environ, reason",
    ({"client_id": "o"}, {}, "from the module's options is not complete; it lacks tenant, secret or"),
    ({"secret": "x"}, {}, "it lacks client_id, tenant"),
    ({}, {"AZURE_SECRET": "x"}, "from the environment is not complete"),
    ({"auth_source": "env"}, {}, "from the environment is not complete"),
    ({"auth_source": "env"}, {"AZURE_CLIENT_SECRET": "x"}, r"AZURE_SECRET \(AZURE_CLIENT_SECRET is not read\)"),
    ({"profile": "nobody"}, {}, r"no section \[nobody\]"),
)
def test_half_a_credential_is_refused(options: dict[str, Any], environ: dict[str, str], reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        credentials.choose(options, environ, PROFILES)


def test_an_option_goes_before_the_profile() -> None:
    login = credentials.choose({"profile": "work"}, {}, PROFILES)
    assert login.setting("cloud_environment", {}) == "AzureChinaCloud"
    assert login.setting("cloud_environment", {"cloud_environment": "AzureCloud"}) == "AzureCloud"
    assert login.setting("adfs_authority_url", {}) is None


def test_the_credentials_file(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    assert credentials.read_profiles(str(path)) == {}
    path.write_text("[default]\nclient_id=a\nsecret=100%%25\nad_user=ignored\n", encoding="utf-8")
    assert credentials.read_profiles(str(path)) == {"default": {"client_id": "a", "secret": "100%%25"}}
    path.write_text("no section", encoding="utf-8")
    with pytest.raises(Failure, match="cannot be read"):
        credentials.read_profiles(str(path))


def test_a_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(credentials.choose({**OPTIONS, "secret": "hunter2"}, {}, {}))


def test_the_name_that_other_programs_read_the_secret_by_is_named_where_nothing_is_found() -> None:
    def nobody(*_arguments: Any, **_options: Any) -> tuple[int, str, str]:
        return 1, "", "Please run 'az login'"

    with pytest.raises(Failure, match="AZURE_CLIENT_SECRET is not read"):
        credentials.cli_account(nobody)
