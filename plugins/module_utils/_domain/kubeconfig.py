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
import typing as t

from .errors import Failure

Config = t.Mapping[str, t.Any]

# The application id of the AKS server in Entra, the same in all tenants.
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
# A token that lives shorter than this (seconds) is replaced.
TOKEN_RESERVE = 1800


def summary(config: Config) -> dict[str, str]:
    """Server, context and cluster that the current context leads to."""
    context_name = str(config.get("current-context") or "")
    context = _named(config, "contexts", context_name).get("context") or {}
    cluster_name = str(context.get("cluster") or "")
    cluster = _named(config, "clusters", cluster_name).get("cluster") or {}
    return {"server": str(cluster.get("server") or ""), "context": context_name, "cluster": cluster_name}


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
    return float(expiry) if isinstance(expiry, (int, float)) else None


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


def _logins(config: Config) -> list[dict[str, t.Any]]:
    users = [entry.get("user") or {} for entry in config.get("users") or ()]
    return [user for user in users if "auth-provider" in user or "exec" in user]
