# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The clean-up of a node as a plan: for the module, and for its action plugin where the node has no Python."""

from __future__ import annotations

import typing as t

from ._argspec import ArgumentSpec
from ._node.cleanup import Cleanup
from ._node.programs import Node
from ._plan import Document, Plan, Step

OPTIONS = ArgumentSpec(
    options={
        "nmi_port": {"type": "int", "default": 2579},
        "metadata_address": {"type": "str", "default": "169.254.169.254"},
        "metadata_port": {"type": "int", "default": 80},
        "force": {"type": "bool", "default": False},
        "verify_seconds": {"type": "int", "default": 0},
        "lock_timeout": {"type": "int", "default": 10},
        "azwi_proxy_chains": {"type": "bool", "default": False},
        "save_directory": {"type": "path", "default": "/var/lib/azureops-pod-identity"},
        "answer_method": {
            "type": "list",
            "elements": "str",
            "choices": ["pod_network", "throw_away_namespace"],
            "default": [],
        },
        "pod_cidr": {"type": "str"},
    }
)


# Seconds until somebody must answer, as imds_answer_info waits by default.
ANSWER_TIMEOUT = 20


def make_plan(node: Node, options: t.Mapping[str, t.Any], ask: t.Callable[[], Document] = dict) -> Plan:
    """``ask`` is called where there is nothing to do, and what it returns becomes part of the result."""
    cleanup = Cleanup.observe(node, options)
    steps = tuple(Step(*step) for step in cleanup.steps())
    before = cleanup.lines()
    return Plan(
        before,
        {back_end: [] for back_end in before},
        steps,
        result=cleanup.predicted(),
        warnings=cleanup.warnings(),
        extra_results={} if steps else ask(),
    )
