# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which API server the options mean, and as whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import Settings, load_configuration


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a kubeconfig that must never be used by itself."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig("https://never"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / ".kube" / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path


def kubeconfig(server: str) -> str:
    contexts = [{"name": n, "context": {"cluster": n, "user": n}} for n in ("one", "two")]
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": n, "cluster": {"server": f"{server}/{n}"}} for n in ("one", "two")],
            "users": [{"name": n, "user": {"token": f"token-{n}"}} for n in ("one", "two")],
            "contexts": contexts,
        }
    )


@pytest.fixture
def named(home: Path) -> str:
    path = home / "named"
    path.write_text(kubeconfig("https://named"))
    return str(path)


def loaded(**options: Any) -> tuple[str, dict[str, str]]:
    settings = Settings(**options)
    configuration = load_configuration(settings, None)
    return str(configuration.host), Client(configuration, settings)._credentials()


def test_nothing_named_is_no_cluster() -> None:
    with pytest.raises(Failure, match="No API server is named"):
        loaded()
    with pytest.raises(Failure, match="without a kubeconfig"):
        loaded(context="one")


def test_kubeconfig_and_context(named: str) -> None:
    assert loaded(kubeconfig=named) == ("https://named/one", {"authorization": "Bearer token-one"})
    assert loaded(kubeconfig=named, context="two") == ("https://named/two", {"authorization": "Bearer token-two"})
    with pytest.raises(Failure, match="'three'"):
        loaded(kubeconfig=named, context="three")


def test_options_win_over_the_kubeconfig(named: str) -> None:
    host, credentials = loaded(kubeconfig=named, host="https://other/", api_key="mine")
    assert (host, credentials) == ("https://other", {"authorization": "Bearer mine"})
    assert loaded(kubeconfig=named, api_key="mine") == ("https://named/one", {"authorization": "Bearer mine"})


def test_host_alone_needs_no_file() -> None:
    assert loaded(host="https://h", api_key="k") == ("https://h", {"authorization": "Bearer k"})
    assert loaded(host="https://h") == ("https://h", {})


@pytest.mark.parametrize("content", ["", "a: [", "[]", "apiVersion: v1", "\x00"])
def test_kubeconfigs_that_are_none(home: Path, content: str) -> None:
    path = home / "bad"
    path.write_text(content)
    with pytest.raises(Failure, match="cannot be used"):
        loaded(kubeconfig=str(path))
    with pytest.raises(Failure, match="does not exist"):
        loaded(kubeconfig=str(home / "none"))


def test_tls_and_proxy_options() -> None:
    settings = Settings.parse(
        {
            "host": "https://h",
            "api_key": "k",
            "validate_certs": False,
            "proxy": "http://p:1",
            "no_proxy": "x",
            "proxy_headers": {"proxy_basic_auth": "u:p", "basic_auth": None, "user_agent": None},
        }
    )
    configuration = load_configuration(settings, None)
    assert (configuration.verify_ssl, configuration.proxy, configuration.no_proxy) == (False, "http://p:1", "x")
    assert configuration.proxy_headers["proxy-authorization"].startswith("Basic ")
