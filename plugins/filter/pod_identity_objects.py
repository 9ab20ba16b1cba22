# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings.binding_pair import (
    Desired,
    rendered,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import KNOWN_AFTER_APPLY


def pod_identity_objects(entry: t.Any, owner: str = "default") -> list[dict[str, t.Any]]:
    if not isinstance(entry, t.Mapping):
        raise AnsibleFilterError("The filter azureops.pod_identity.pod_identity_objects needs a dictionary.")
    given = {key: value for key, value in entry.items() if value not in (None, "")}
    lacking = [key for key in ("name", "namespace") if key not in given]
    kind = str(given.get("type", 0))  # -e gives text
    if lacking or kind not in ("0", "1", "2"):
        wrong = f"has no {lacking[0]}" if lacking else f"has the type {kind!r}, which must be 0, 1 or 2"
        raise AnsibleFilterError(f"An entry for the filter azureops.pod_identity.pod_identity_objects {wrong}.")
    desired = Desired.parse({**given, "type": int(kind), "owner": owner}, unknown=[KNOWN_AFTER_APPLY])
    try:
        return list(rendered(desired))
    except Failure as failure:
        raise AnsibleFilterError(failure.sentence) from failure


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"pod_identity_objects": pod_identity_objects}
