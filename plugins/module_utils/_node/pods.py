# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Pods that run on this node, as the kernel shows them."""

from __future__ import annotations

import ipaddress
import json
import os
import typing as t


def process_with_own_network(proc: str = "/proc") -> int | None:
    """The sandbox process (``pause``) of a pod with a network of its own; None where there is none to be seen.

    Any process may call itself so. One that made its network without the rights of the node is in another user
    namespace, and is none.
    """
    try:
        ours = os.readlink(f"{proc}/self/ns/net")
        users = os.readlink(f"{proc}/self/ns/user")
        numbers = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    except OSError:
        return None
    for number in numbers:
        try:
            with open(f"{proc}/{number}/comm", encoding="utf-8", errors="replace") as file:
                of_pod = file.read().strip() == "pause"
            if not of_pod or os.readlink(f"{proc}/{number}/ns/user") != users:
                continue
            if os.readlink(f"{proc}/{number}/ns/net") != ours:
                return number
        except OSError:  # it has ended in the meantime
            continue
    return None


def addresses(directory: str = "/etc/cni/net.d") -> str:
    """The range of the node's pods, where the file that its container runtime reads names one; else nothing.

    The runtime takes the first file. Plugins that are handed addresses by somebody else (Azure CNI) name no range.
    """
    try:
        first = min(name for name in os.listdir(directory) if name.endswith((".conf", ".conflist", ".json")))
        with open(os.path.join(directory, first), encoding="utf-8") as file:
            return addresses_in(file.read())
    except (OSError, ValueError):  # there is none, or it cannot be read
        return ""


def addresses_in(text: str) -> str:
    """The range that a CNI configuration names; else nothing."""
    try:
        config = json.loads(text)
    except ValueError:
        return ""
    for plugin in _objects(_object(config).get("plugins")) or [_object(config)]:
        ipam = _object(plugin.get("ipam"))
        if ipam.get("type") != "host-local":
            continue
        sets = ipam.get("ranges")
        named = [each.get("subnet") for one in (sets if isinstance(sets, list) else []) for each in _objects(one)]
        for subnet in [ipam.get("subnet"), *named]:
            if is_range(subnet):
                return str(subnet)
    return ""


def is_range(text: t.Any) -> bool:
    """Whether it is a range of IPv4 addresses."""
    try:
        ipaddress.IPv4Network(text)
    except (ValueError, TypeError):
        return False
    return isinstance(text, str)


def _object(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: t.Any) -> list[dict[str, t.Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
