# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Kubeconfigs as parsed YAML: what they lead to, and how they log in."""

from __future__ import annotations

import base64
import copy
import json
import os.path
import typing as t

from ..errors import Failure
from ..moments import of_epoch
from . import ways

Config = t.Mapping[str, t.Any]

# The application id of the AKS server in Entra, the same in all tenants.
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
# A token that lives shorter than this (seconds) is replaced.
TOKEN_RESERVE = 1800
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def summary(config: Config) -> dict[str, str]:
    """Server, context and cluster that the current context leads to."""
    context_name = str(config.get("current-context") or "")
    context = _named(config, "contexts", context_name).get("context") or {}
    cluster_name = str(context.get("cluster") or "")
    cluster = _named(config, "clusters", cluster_name).get("cluster") or {}
    return {"server": str(cluster.get("server") or ""), "context": context_name, "cluster": cluster_name}


def of_one_context(config: Config, context: str | None, folder: str) -> dict[str, t.Any]:
    """The part of a kubeconfig that a context, by default the current one, leads to, for a file elsewhere.

    Paths that count from ``folder``, where the kubeconfig lies, become absolute. Raises a Failure where the kubeconfig
    does not tell a cluster and a user of that context.
    """
    name = context or str(config.get("current-context") or "")
    found = _named(config, "contexts", name).get("context") or {}
    parts = {kind: _named(config, f"{kind}s", str(found.get(kind) or "")) for kind in ("cluster", "user")}
    if not parts["cluster"].get("cluster"):
        raise Failure(
            f"The kubeconfig in {folder} has no context {name!r} with a cluster: correct kubeconfig or context."
            if name
            else f"The kubeconfig in {folder} has no current context: set context, or correct kubeconfig."
        )
    cluster = _with_whole_paths(parts["cluster"]["cluster"], folder)
    user = _with_whole_paths(parts["user"].get("user") or {}, folder)
    if "exec" in user and os.sep in str(user["exec"].get("command") or ""):
        user["exec"] = {**user["exec"], "command": os.path.join(folder, user["exec"]["command"])}
    return of_cluster_and_user(cluster, user, name, str(parts["cluster"]["name"]))


def of_cluster_and_user(
    cluster: Config, user: Config, name: str = "cluster", cluster_name: str = "cluster"
) -> dict[str, t.Any]:
    """The kubeconfig with these two alone, in a context of that name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster_name, "cluster": dict(cluster)}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": cluster_name, "user": name}}],
        "current-context": name,
    }


def with_options(
    config: Config,
    *,
    server: str | None = None,
    token: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
    ca_cert: str | None = None,
    validate_certs: bool | None = None,
) -> dict[str, t.Any]:
    """A kubeconfig of ``of_cluster_and_user`` with what is not None in the place of its own; paths are whole."""
    cluster, user = dict(config["clusters"][0]["cluster"]), dict(config["users"][0]["user"])
    if server:
        cluster["server"] = server.rstrip("/")
    if ca_cert:
        cluster.pop("certificate-authority-data", None)
        cluster["certificate-authority"] = ca_cert
    if validate_certs is not None:
        cluster["insecure-skip-tls-verify"] = not validate_certs
    if cluster.get("insecure-skip-tls-verify"):  # clients refuse a CA beside it
        for name in ("certificate-authority", "certificate-authority-data"):
            cluster.pop(name, None)
    if token:
        for name in ("exec", "auth-provider", "tokenFile"):
            user.pop(name, None)
        user["token"] = token
    for name, path in (("client-certificate", client_cert), ("client-key", client_key)):
        if path:
            user.pop(f"{name}-data", None)
            user[name] = path
    return of_cluster_and_user(cluster, user, str(config["current-context"]), str(config["clusters"][0]["name"]))


def with_way(config: Config, way: Config, proxy: str | None) -> dict[str, t.Any]:
    """A kubeconfig of ``of_cluster_and_user`` that alone decides how its server is reached, for ``way`` and for helm.

    ``way`` has the keys of ``ways.KEYS``; ``proxy`` is the URL that clients use which know no ``no_proxy``.
    """
    result = copy.deepcopy(dict(config))
    cluster, user = result["clusters"][0]["cluster"], result["users"][0]["user"]
    named = ((cluster, "proxy-url", proxy), (user, "as", way["impersonate_user"]))
    for part, name, value in (*named, (user, "as-groups", list(way["impersonate_groups"]))):
        if value:
            part[name] = value
    result["contexts"][0]["context"]["extensions"] = [{"name": ways.EXTENSION, "extension": dict(way)}]
    return result


def with_kept_way(config: Config, old: Config) -> Config:
    """``config`` with the way to the server that ``old`` has, where that was written for a whole run."""
    way = ways.way(old)
    if way is None:
        return config
    kept = of_one_context(old, None, "")["clusters"][0]["cluster"]
    unchecked = kept.get("insecure-skip-tls-verify")
    new = with_options(
        of_one_context(config, None, ""),
        ca_cert=kept.get("certificate-authority"),
        validate_certs=None if unchecked is None else not unchecked,
    )
    return with_way(new, way, kept.get("proxy-url"))


def cluster_names(config: Config) -> list[str]:
    return [str(entry.get("name")) for entry in config.get("clusters") or ()]


def login_server(config: Config) -> str | None:
    """The Entra application whose token the kubeconfig asks its user for; None where it needs no login."""
    for user in _logins(config):
        if "auth-provider" in user:
            settings = (user["auth-provider"] or {}).get("config") or {}
            return str(settings.get("apiserver-id") or AKS_SERVER)
        arguments = [str(argument) for argument in (user["exec"] or {}).get("args") or ()]
        for index, argument in enumerate(arguments[:-1]):
            if argument == "--server-id":
                return arguments[index + 1]
        return AKS_SERVER
    return None


def with_token(config: Config, token: str) -> dict[str, t.Any]:
    """The kubeconfig with a bearer token in the place of each login."""
    result = copy.deepcopy(dict(config))
    for user in _logins(result):
        user.pop("auth-provider", None)
        user.pop("exec", None)
        user["token"] = token
    return result


def without_token(config: Config) -> dict[str, t.Any]:
    result = copy.deepcopy(dict(config))
    for entry in result.get("users") or ():
        (entry.get("user") or {}).pop("token", None)
    return result


def token_expiry(config: Config) -> float | None:
    """When the token ends (seconds since the epoch); None where there is none that tells."""
    expiry = claims(token(config) or "").get("exp")
    return float(expiry) if isinstance(expiry, (int, float)) and of_epoch(expiry) else None


def with_kept_token(config: Config, old: Config, now: float) -> Config:
    """``config`` with the token of ``old`` where that one is the same caller's and lives long enough."""
    kept, new = token(old), token(config)
    if not kept or not new:
        return config
    old_claims, new_claims = claims(kept), claims(new)
    same = all(old_claims.get(name) == new_claims.get(name) for name in ("oid", "appid", "azp", "aud", "tid"))
    if not same or (token_expiry(old) or 0) - now <= TOKEN_RESERVE:
        return config
    result = copy.deepcopy(dict(config))
    for entry in result["users"]:
        if "token" in (entry.get("user") or {}):
            entry["user"]["token"] = kept
    return result


def token(config: Config) -> str | None:
    for entry in config.get("users") or ():
        found = (entry.get("user") or {}).get("token")
        if found:
            return str(found)
    return None


def claims(jwt: str) -> dict[str, t.Any]:
    """The payload of a token, unverified; {} where it is none."""
    try:
        middle = jwt.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def refuse_foreign(path: str, names: t.Sequence[str], cluster: str) -> None:
    """A file that leads to other clusters too is somebody else's."""
    others = sorted({name for name in names if name.lower() != cluster.lower()})
    if others:
        raise Failure(
            f"The file {path} leads to other clusters than {cluster} ({', '.join(others)}); name another path, or set "
            "force to true to replace it."
        )


def _named(config: Config, kind: str, name: str) -> dict[str, t.Any]:
    found = [entry for entry in config.get(kind) or () if entry.get("name") == name]
    return dict(found[0]) if found else {}


def _with_whole_paths(part: Config, folder: str) -> dict[str, t.Any]:
    return {
        name: os.path.join(folder, os.path.expanduser(str(value))) if name in _FILES and value else value
        for name, value in part.items()
    }


def _logins(config: Config) -> list[dict[str, t.Any]]:
    users = [entry.get("user") or {} for entry in config.get("users") or ()]
    return [user for user in users if "auth-provider" in user or "exec" in user]
