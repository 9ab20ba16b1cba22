# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which API server the options mean, and as whom."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubeconfig as of_file
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import Settings, load_configuration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.written_down import written_down


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a kubeconfig that must never be used by itself."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig("https://never"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / ".kube" / "config"))
    for name in ("KUBERNETES_SERVICE_HOST", "K8S_AUTH_KUBECONFIG", "K8S_AUTH_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def kubeconfig(server: str) -> str:
    contexts = [{"name": n, "context": {"cluster": n, "user": n}} for n in ("one", "two")]
    clusters = [{"name": n, "cluster": {"server": f"{server}/{n}"}} for n in ("one", "two")]
    users = [{"name": n, "user": {"token": f"token-{n}"}} for n in ("one", "two")]
    of = {"apiVersion": "v1", "kind": "Config", "current-context": "one"}
    return yaml.safe_dump({**of, "clusters": clusters, "users": users, "contexts": contexts})


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


ELSEWHERE = {"host": "https://other/", "api_key": "mine", "client_cert": "/c", "client_key": "/k"}


def meant(options: dict[str, Any]) -> tuple[tuple[str, dict[str, str]], ...]:
    """Where the options lead, and where what is written down of them leads."""
    settings = Settings.parse(options)
    path = Path(os.environ["HOME"]) / "elsewhere" / "written"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(written_down(settings)))
    return loaded(**{name: getattr(settings, name) for name in Settings.__dataclass_fields__}), loaded(
        kubeconfig=str(path)
    )


def test_a_kubeconfig_of_the_task_wins_over_all_that_leads_elsewhere(
    named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "other").write_text(kubeconfig("https://other"))
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(home / "other"))
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "two")
    there = ("https://named/one", {"authorization": "Bearer token-one"})
    assert meant({"kubeconfig": named}) == meant({"kubeconfig": named, **ELSEWHERE}) == (there, there)
    there = ("https://named/two", {"authorization": "Bearer token-two"})
    assert meant({"kubeconfig": named, "context": "two", **ELSEWHERE}) == (there, there)


def test_the_environment_chooses_where_the_task_names_no_kubeconfig(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not Settings.parse({}).named
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", named)
    assert Settings.parse({}).named
    there = ("https://named/one", {"authorization": "Bearer token-one"})
    assert meant({}) == (there, there)
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "two")
    there = ("https://named/two", {"authorization": "Bearer token-two"})
    assert meant({}) == (there, there)
    there = ("https://named/one", {"authorization": "Bearer mine"})
    assert meant({"context": "one", "api_key": "mine"}) == (there, there)
    there = ("https://other", {"authorization": "Bearer mine"})
    assert meant({"host": "https://other/", "api_key": "mine"}) == (there, there)
    there = ("https://other", {"authorization": "Bearer token-two"})
    assert meant({"host": "https://other/"}) == (there, there)


def test_what_is_written_down_leads_there_from_another_folder(home: Path) -> None:
    (home / "ca.pem").write_text("ca")
    config = yaml.safe_load(kubeconfig("https://named"))
    config["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    config["users"][0]["user"] = {"exec": {"command": "bin/login", "args": ["x"]}, "client-key": "~/k.pem"}
    (home / "named").write_text(yaml.safe_dump(config))
    written = written_down(Settings(kubeconfig=str(home / "named")))
    assert written["clusters"][0]["cluster"]["certificate-authority"] == str(home / "ca.pem")
    (user,) = written["users"]
    assert (user["user"]["exec"]["command"], user["user"]["client-key"]) == (
        str(home / "bin/login"),
        str(home / "k.pem"),
    )
    written = written_down(Settings(kubeconfig=str(home / "named"), ca_cert="/ca", validate_certs=False, api_key="k"))
    assert written["clusters"][0]["cluster"] == {"server": "https://named/one", "insecure-skip-tls-verify": True}
    assert written["users"][0]["user"] == {"token": "k", "client-key": str(home / "k.pem")}


WAY = {
    "proxy": "http://proxy:1",
    "no_proxy": "x",
    "proxy_headers": {"proxy_basic_auth": "u:p/", "basic_auth": None, "user_agent": None},
    "impersonate_user": "night",
    "impersonate_groups": ["ops"],
    "validate_certs": False,
}


def written(path: Path, **options: Any) -> dict[str, Any]:
    """A kubeconfig as a session writes it."""
    config = written_down(Settings.parse(options))
    path.write_text(yaml.safe_dump(config))
    return config


def test_what_is_written_down_alone_decides_by_which_way_and_as_whom(named: str, home: Path) -> None:
    """Also where the environment, which options fall back to, says otherwise later."""
    path = home / "written"
    config = written(path, kubeconfig=named, **WAY)
    evil = {"proxy": "http://evil:1", "ca_cert": "/evil", "validate_certs": True, "impersonate_user": "evil"}
    settings = Settings.parse({"kubeconfig": str(path), **ELSEWHERE, **evil, "impersonate_groups": ["evil"]})
    for name in ("proxy", "no_proxy", "proxy_headers", "impersonate_user"):
        assert getattr(settings, name) == WAY[name]
    assert (settings.impersonate_groups, settings.ca_cert, settings.host) == (("ops",), None, None)
    assert load_configuration(settings, None).verify_ssl is False
    assert written(path, kubeconfig=str(path), **evil) == config, "written once more it is the same"
    assert config["clusters"][0]["cluster"]["proxy-url"] == "http://u:p%2F@proxy:1", "that of helm"
    assert config["users"][0]["user"] == {"token": "token-one", "as": "night", "as-groups": ["ops"]}


def test_the_password_in_a_header_is_that_of_helm_too(named: str, home: Path) -> None:
    """The library takes none out of the URL, so that one there may be a wrong one."""
    headers = {"proxy_basic_auth": "u:p", "basic_auth": None, "user_agent": None}
    config = written(
        home / "written", kubeconfig=named, **{**WAY, "proxy": "http://u:old@proxy:1", "proxy_headers": headers}
    )
    assert config["clusters"][0]["cluster"]["proxy-url"] == "http://u:p@proxy:1"


def test_what_is_written_down_without_a_way_has_none_later(named: str, home: Path) -> None:
    path = home / "written"
    written(path, kubeconfig=named)
    settings = Settings.parse({"kubeconfig": str(path), **WAY})
    assert (settings.proxy, settings.impersonate_user, settings.validate_certs) == (None, None, None)
    assert Settings.parse({"kubeconfig": named, **WAY}).proxy == "http://proxy:1", "a file of somebody else"


def test_helm_has_no_proxy_where_none_leads_there(named: str, home: Path) -> None:
    config = written(home / "written", kubeconfig=named, **{**WAY, "no_proxy": "named"})
    assert "proxy-url" not in config["clusters"][0]["cluster"]


def test_a_new_token_changes_no_way(named: str, home: Path) -> None:
    """The file that AKS gives anew in a long run."""
    (home / "ca.pem").write_text("ca")
    for way in ({}, WAY, {**WAY, "validate_certs": None, "ca_cert": str(home / "ca.pem")}):
        path = home / "written"
        old = written(path, kubeconfig=named, **way)
        fresh = yaml.safe_load(kubeconfig("https://named").replace("token-one", "token-new"))
        path.write_text(yaml.safe_dump(of_file.with_kept_way(fresh, old)))
        new = written(path, kubeconfig=str(path), proxy="http://evil:1", validate_certs=True)
        old["users"][0]["user"]["token"] = "token-new"
        assert new == old
    assert of_file.with_kept_way(fresh, fresh) is fresh


def test_host_alone_needs_no_file() -> None:
    assert loaded(host="https://h", api_key="k") == ("https://h", {"authorization": "Bearer k"})
    assert loaded(host="https://h") == ("https://h", {})


@pytest.mark.parametrize("content", ["", "a: [", "[]", "apiVersion: v1", "\x00"])
def test_kubeconfigs_that_are_none(home: Path, content: str) -> None:
    path = home / "bad"
    path.write_text(content)
    with pytest.raises(Failure, match="cannot be used"):
        loaded(kubeconfig=str(path))
    with pytest.raises(Failure, match="cannot be used|has no current context"):
        written_down(Settings(kubeconfig=str(path)))
    for load in (loaded, lambda kubeconfig: written_down(Settings(kubeconfig=kubeconfig))):
        with pytest.raises(Failure, match="does not exist"):
            load(kubeconfig=str(home / "none"))


def test_tls_and_proxy_options() -> None:
    headers = {"proxy_basic_auth": "u:p", "basic_auth": None, "user_agent": None}
    by = {"proxy": "http://p:1", "no_proxy": "x", "proxy_headers": headers}
    settings = Settings.parse({"host": "https://h", "api_key": "k", "validate_certs": False, **by})
    configuration = load_configuration(settings, None)
    assert (configuration.verify_ssl, configuration.proxy, configuration.no_proxy) == (False, "http://p:1", "x")
    assert configuration.proxy_headers["proxy-authorization"].startswith("Basic ")


def test_headers_of_a_proxy_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = ArgumentSpecValidator(kubernetes_auth().options)
    for said, shown in (("u:p", "Basic "), ("", "")):
        monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH", said)
        given = validator.validate({"host": "https://h", "api_key": "k"}).validated_parameters
        configuration = load_configuration(Settings.parse(given), None)
        assert (configuration.proxy_headers or {}).get("proxy-authorization", "").startswith(shown)
        assert bool(configuration.proxy_headers) == bool(said)
