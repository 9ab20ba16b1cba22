# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the options of a module lead to, as a kubeconfig that later tasks get."""

from __future__ import annotations

import os
import typing as t
from urllib.parse import quote, urlsplit, urlunsplit

from .._domain.errors import Failure
from .._domain.kubernetes import kubeconfig, ways
from .config import Settings, existing, is_complete, require_library


def written_down(settings: Settings) -> dict[str, t.Any]:
    """The kubeconfig that leads where the settings do, the same way and as the same user.

    Raises a Failure for a kubeconfig that cannot be read or has no such context.
    """
    config = kubeconfig.of_cluster_and_user({}, {})
    if settings.kubeconfig and not is_complete(settings):
        path = os.path.abspath(existing(settings.kubeconfig))
        try:
            config = kubeconfig.of_one_context(_parsed(path), settings.context, os.path.dirname(path))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Failure(f"The kubeconfig {path} cannot be used: it is malformed.") from None
    config = kubeconfig.with_options(
        config,
        server=settings.host,
        token=settings.api_key,
        client_cert=_whole(settings.client_cert),
        client_key=_whole(settings.client_key),
        ca_cert=_whole(settings.ca_cert),
        validate_certs=settings.validate_certs,
    )
    way = {name: getattr(settings, name) for name in ways.KEYS}
    way["impersonate_groups"] = list(settings.impersonate_groups)
    way["proxy_headers"] = dict(settings.proxy_headers or {})
    return kubeconfig.with_way(config, way, _proxy(settings, kubeconfig.summary(config)["server"]))


def _proxy(settings: Settings, server: str) -> str | None:
    """The URL of the proxy that leads to the server, with the password that its headers have."""
    if not settings.proxy:
        return None
    require_library()
    from requests.utils import should_bypass_proxies  # of a library that kubernetes needs, and which decides by it

    if should_bypass_proxies(server, no_proxy=settings.no_proxy or ""):
        return None
    user, colon, password = str((settings.proxy_headers or {}).get("proxy_basic_auth") or "").partition(":")
    parts = urlsplit(settings.proxy)
    if not colon:
        return settings.proxy
    host = parts.netloc.rpartition("@")[2]  # the library takes no password out of the URL
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))


def _whole(path: str | None) -> str | None:
    return os.path.abspath(os.path.expanduser(path)) if path else None


def _parsed(path: str) -> t.Mapping[str, t.Any]:
    """A kubeconfig, which may be one that the library refuses later: only what is no mapping is refused here."""
    require_library()
    import yaml  # the library needs it too

    try:
        with open(path, "rb") as file:
            config = yaml.safe_load(file)
    except OSError as error:
        raise Failure(f"The kubeconfig {path} cannot be read ({error.strerror}): name another file.") from error
    except (yaml.YAMLError, ValueError):  # their text quotes the content
        config = None
    if not isinstance(config, dict):
        raise Failure(f"The kubeconfig {path} cannot be used: it is malformed.")
    return config
