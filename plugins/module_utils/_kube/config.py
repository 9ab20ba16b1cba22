# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""From the options of a module to a configuration of the kubernetes package.

The rules are those of kubernetes.core with two differences: ``~/.kube/config`` is never used by itself, so that a
module cannot reach a cluster that nobody named, and a kubeconfig that the task names wins over ``host`` and
credentials, so that neither the environment nor module_defaults lead a task elsewhere. Where that kubeconfig was
written for a whole run (``written_down``), it alone decides, also on proxies, certificates and impersonation.
"""

from __future__ import annotations

import contextlib
import logging
import os
import typing as t
from dataclasses import dataclass

from .._domain.errors import Failure
from .._domain.kubernetes import ways
from .._libraries import library

_CHOOSING = ("host", "api_key", "client_cert", "client_key")
_CHECKING = ("ca_cert", "validate_certs")
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class Settings:
    """The options of ``_argspec.kubernetes_auth``; None where unset."""

    kubeconfig: str | None = None
    context: str | None = None
    host: str | None = None
    api_key: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    ca_cert: str | None = None
    validate_certs: bool | None = None
    proxy: str | None = None
    no_proxy: str | None = None
    proxy_headers: t.Mapping[str, str | None] | None = None
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, params: t.Mapping[str, t.Any]) -> Settings:
        """The settings of a task: its own ``kubeconfig`` wins over what else would choose a server or a user.

        Beside it ``host``, credentials and what the environment names do not count; beside one that was written for a
        run, nothing does.
        """
        names = [name for name in cls.__dataclass_fields__ if name != "impersonate_groups"]
        given = {name: params.get(name) for name in names}
        if given["kubeconfig"]:
            given.update(dict.fromkeys(_CHOOSING))
            way = way_of(given["kubeconfig"])
            if way is not None:
                groups = tuple(way.pop("impersonate_groups") or ())
                return cls(impersonate_groups=groups, **{**given, **dict.fromkeys(_CHECKING), **way})
        else:
            given["kubeconfig"] = os.environ.get("K8S_AUTH_KUBECONFIG")
            given["context"] = given["context"] or os.environ.get("K8S_AUTH_CONTEXT")
        return cls(impersonate_groups=tuple(params.get("impersonate_groups") or ()), **given)

    @property
    def named(self) -> bool:
        """Whether they name an API server; else there may be the service account of a pod."""
        return bool(self.kubeconfig or self.host)


def way_of(path: str) -> dict[str, t.Any] | None:
    """How the server of a kubeconfig is reached, where it was written for a whole run.

    None for every other one, and for one that cannot be read: whoever loads it says why.
    """
    try:
        import yaml
    except ImportError:
        return None
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return ways.way(yaml.safe_load(file))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        return None


def require_library() -> None:
    """Raise a Failure unless the kubernetes package can be imported."""
    with library("kubernetes"):
        import kubernetes.client  # noqa: F401  the import is the question


def load_configuration(settings: Settings, temporary_directory: str | None) -> t.Any:
    """The ``kubernetes.client.Configuration`` of the settings.

    ``temporary_directory`` takes the certificates that a kubeconfig carries inline; the library wants them as files.
    """
    require_library()
    from kubernetes import client

    configuration = client.Configuration()
    if is_complete(settings):
        pass
    elif settings.kubeconfig:
        _load_kubeconfig(settings, configuration, temporary_directory)
    elif settings.context:
        raise Failure(
            f"The context {settings.context!r} is named without a kubeconfig: set kubeconfig (or K8S_AUTH_KUBECONFIG); "
            "~/.kube/config is not used by itself."
        )
    elif not settings.host:
        _load_service_account(configuration)
    _override(settings, configuration)
    return configuration


def existing(path: str) -> str:
    """The path of a kubeconfig, ``~`` resolved; raises a Failure where there is no such file."""
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        raise Failure(
            f"The kubeconfig {path} does not exist: name an existing file, or write it with "
            "azureops.pod_identity.aks_kubeconfig."
        )
    return path


def is_complete(settings: Settings) -> bool:
    """Whether they need no kubeconfig."""
    return bool(settings.host and (settings.api_key or (settings.client_cert and settings.client_key)))


def _load_kubeconfig(settings: Settings, configuration: t.Any, temporary_directory: str | None) -> None:
    from kubernetes import config

    path = existing(settings.kubeconfig or "")
    try:
        with _overheard() as said:
            config.load_kube_config(
                config_file=path,
                context=settings.context,
                client_configuration=configuration,
                persist_config=False,
                temp_file_path=temporary_directory,
            )
    except Exception as error:  # the library raises ConfigException, YAML, type and key errors for a bad file
        reason = " ".join(str(error).split())[:300] if type(error).__name__ == "ConfigException" else "it is malformed"
        raise Failure(
            f"The kubeconfig {path} cannot be used"
            + (f" with the context {settings.context!r}" if settings.context else "")
            + f": {reason}."
        ) from error
    if said:
        raise Failure(
            f"The kubeconfig {path} gives no credentials, because the command that it logs in with failed "
            f"({' '.join(said[0].split())[:300]}): run that command by hand, or name another kubeconfig."
        )


@contextlib.contextmanager
def _overheard() -> t.Iterator[list[str]]:
    """What the library logs at level error, which would otherwise go to standard error."""
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(handler)


def _load_service_account(configuration: t.Any) -> None:
    from kubernetes import config

    if not (os.path.exists(f"{_SERVICE_ACCOUNT}/token") and os.environ.get("KUBERNETES_SERVICE_HOST")):
        raise Failure(
            "No API server is named: set kubeconfig (or K8S_AUTH_KUBECONFIG), or host with api_key or with client_cert "
            "and client_key; ~/.kube/config is not used by itself."
        )
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise Failure(f"The service account in {_SERVICE_ACCOUNT} cannot be used: {error}.") from error


def _override(settings: Settings, configuration: t.Any) -> None:
    """Options win over what was loaded."""
    if settings.host:
        configuration.host = settings.host.rstrip("/")
    if settings.api_key:
        configuration.api_key = {"authorization": f"Bearer {settings.api_key}"}
        configuration.refresh_api_key_hook = None
    for name, value in (
        ("cert_file", settings.client_cert),
        ("key_file", settings.client_key),
        ("ssl_ca_cert", settings.ca_cert),
        ("verify_ssl", settings.validate_certs),
        ("proxy", settings.proxy),
        ("no_proxy", settings.no_proxy),
    ):
        if value is not None:
            setattr(configuration, name, value)
    if settings.ca_cert:
        configuration.ca_cert_data = None
    if settings.proxy_headers:
        from urllib3.util import make_headers

        given: dict[str, t.Any] = {name: value for name, value in settings.proxy_headers.items() if value is not None}
        configuration.proxy_headers = make_headers(**given)
