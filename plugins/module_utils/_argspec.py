# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Argument spec pieces that several modules share. Each function has a twin in ``doc_fragments/``."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule, env_fallback


@dataclass(frozen=True)
class ArgumentSpec:
    """Options together with the constraints that travel with them; pieces are joined with ``merge``."""

    options: t.Mapping[str, t.Any] = field(default_factory=dict)
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()
    required_if: tuple[tuple[t.Any, ...], ...] = ()
    required_by: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        merged = self
        for other in others:
            merged = ArgumentSpec(
                options={**merged.options, **other.options},
                mutually_exclusive=merged.mutually_exclusive + other.mutually_exclusive,
                required_together=merged.required_together + other.required_together,
                required_one_of=merged.required_one_of + other.required_one_of,
                required_if=merged.required_if + other.required_if,
                required_by={**merged.required_by, **other.required_by},
            )
        return merged

    def create_module(self) -> AnsibleModule:
        return _Module(
            argument_spec=dict(self.options),
            mutually_exclusive=self.mutually_exclusive,
            required_together=self.required_together,
            required_one_of=self.required_one_of,
            required_if=self.required_if,
            required_by=dict(self.required_by),
            supports_check_mode=True,
        )


class _Module(AnsibleModule):
    """Says in a sentence what ansible-core's own check of the options does not expect."""

    def __init__(self, **spec: t.Any) -> None:
        reason = ""
        try:
            super().__init__(**spec)
        except (TypeError, OverflowError) as error:
            reason = _misfit(self.argument_spec, self.params) or f"an option has a value that cannot be read ({error})"
        if reason:
            # It is not known yet which values are secret.
            self.fail_json(msg=f"{reason[0].upper()}{reason[1:]}: correct it.", invocation={})


def _misfit(options: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any], place: str = "") -> str:
    """The first option with a number in place of a dictionary, or with one that is not finite, and what it must be."""
    for name, spec in options.items():
        value, what = given.get(name), f"{place}{name}"
        if spec.get("type") == "int" and _infinite(value):
            return f"the option {what} must be a whole number"
        if "options" not in spec or value is None:
            continue
        listed = spec["type"] == "list" and isinstance(value, list)
        for number, one in enumerate(value if listed else [value]):
            part = f"{what}[{number}]" if listed else what
            if not isinstance(one, (dict, str)):
                return f"the option {part} must be a dictionary, and is of type {type(one).__name__}"
            found = _misfit(spec["options"], one, f"{part}.") if isinstance(one, dict) else ""
            if found:
                return found
    return ""


def _infinite(value: t.Any) -> bool:
    try:
        return math.isinf(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def env(spec: dict[str, t.Any], *names: str) -> dict[str, t.Any]:
    return {**spec, "fallback": (env_fallback, list(names))}


def owned_list(option: str, alone: t.Mapping[str, t.Any]) -> ArgumentSpec:
    """One object of an owner, or a list ``option`` of them; twin of ``doc_fragments/_owned_list.py``.

    ``alone`` are the options of one object besides its place.
    """
    text, states = {"type": "str"}, {"type": "str", "choices": ["present", "absent"]}
    entry = {
        "name": {"type": "str", "required": True},
        "namespace": dict(text),
        "state": dict(states),
        "allow_in_use": {"type": "bool"},
        **alone,
    }
    return ArgumentSpec(
        options={
            "name": dict(text),
            "namespace": dict(text),
            "state": {**states, "default": "present"},
            **alone,
            option: {"type": "list", "elements": "dict", "options": entry},
            f"purge_{option}": {"type": "bool", "default": False},
            "purge_namespaces": {"type": "list", "elements": "str", "default": []},
            "purge_allow_empty": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "default"},
            "adopt": {"type": "bool", "default": False},
            "allow_in_use": {"type": "bool", "default": False},
        },
        mutually_exclusive=tuple((option, name) for name in ("name", *alone)),
        required_one_of=(("name", option),),
        required_by={"name": ("namespace",)},
    )


def inventory() -> ArgumentSpec:
    """What an inventory is made of, and how its installation decides; twin of ``doc_fragments/_inventory.py``."""
    return ArgumentSpec(
        options={
            "files": {"type": "list", "elements": "path"},
            "mode": {"type": "str", "choices": ["managed", "standard"]},
            "force_namespaced": {"type": "bool"},
            "version": {"type": "str"},
        }
    )


def removal() -> ArgumentSpec:
    """Whose objects of AAD Pod Identity are meant; twin of ``doc_fragments/_removal.py``."""
    return ArgumentSpec(
        options={
            "owner": {"type": "str", "default": "default"},
            "scope": {"type": "str", "choices": ["owned", "all"], "default": "owned"},
            "release_namespaces": {"type": "list", "elements": "str", "default": ["default"]},
        }
    )


def kubernetes_auth() -> ArgumentSpec:
    """Which API server, as whom; twin of ``doc_fragments/_kubernetes_auth.py``.

    Names and variables are those of kubernetes.core. ``~/.kube/config`` is never used by itself.
    """
    text = {"type": "str"}
    return ArgumentSpec(
        options={
            # Their variables are read where it is known whether the task names a kubeconfig: _kube.config.Settings.
            "kubeconfig": {"type": "path"},
            "context": dict(text),
            "host": env(dict(text), "K8S_AUTH_HOST"),
            "api_key": env({"type": "str", "no_log": True}, "K8S_AUTH_API_KEY"),
            "client_cert": env({"type": "path", "aliases": ["cert_file"]}, "K8S_AUTH_CERT_FILE"),
            "client_key": env({"type": "path", "no_log": False, "aliases": ["key_file"]}, "K8S_AUTH_KEY_FILE"),
            "ca_cert": env({"type": "path", "aliases": ["ssl_ca_cert"]}, "K8S_AUTH_SSL_CA_CERT"),
            "validate_certs": env({"type": "bool", "aliases": ["verify_ssl"]}, "K8S_AUTH_VERIFY_SSL"),
            # Its URL may hold a password.
            "proxy": env({"type": "str", "no_log": True}, "K8S_AUTH_PROXY"),
            "no_proxy": env(dict(text), "K8S_AUTH_NO_PROXY"),
            "proxy_headers": {
                "type": "dict",
                # Or the variables of its options would not be read.
                "apply_defaults": True,
                "options": {
                    "basic_auth": env({"type": "str", "no_log": True}, "K8S_AUTH_PROXY_HEADERS_BASIC_AUTH"),
                    "proxy_basic_auth": env({"type": "str", "no_log": True}, "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH"),
                    "user_agent": env(dict(text), "K8S_AUTH_PROXY_HEADERS_USER_AGENT"),
                },
            },
            "impersonate_user": env(dict(text), "K8S_AUTH_IMPERSONATE_USER"),
            "impersonate_groups": env({"type": "list", "elements": "str"}, "K8S_AUTH_IMPERSONATE_GROUPS"),
        }
    )
