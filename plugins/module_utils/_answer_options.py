# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The options of imds_answer_info: for the module, and for its action plugin where the node has no Python."""

from __future__ import annotations

from ._argspec import ArgumentSpec, kubernetes_auth

OPTIONS = ArgumentSpec(
    options={
        "node": {"type": "str"},
        "method": {
            "type": "list",
            "elements": "str",
            "choices": ["probe_pod", "pod_network", "throw_away_namespace"],
            "default": ["probe_pod"],
        },
        "pod_cidr": {"type": "str"},
        "namespace": {"type": "str", "default": "default"},
        "image": {"type": "str", "default": "mcr.microsoft.com/azurelinux/base/core:3.0"},
        "timeout": {"type": "int", "default": 20},
        "start_timeout": {"type": "int", "default": 120},
        "owner": {"type": "str", "default": "default"},
    },
).merge(kubernetes_auth())
