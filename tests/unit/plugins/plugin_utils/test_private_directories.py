# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which private directories of other runs go."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _private_directories
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed

PREFIX = "/tmp/azureops-pod-identity-"


class Host:
    """Runs the tasks on directories that are only named; those of ``stuck`` cannot be removed."""

    def __init__(self, names: list[str], stuck: str) -> None:
        self.paths = [PREFIX + name for name in names]
        self.stuck = PREFIX + stuck

    def run(self, name: str, arguments: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
        assert check_mode is False
        if name.endswith("tempfile"):
            return {"path": f"{PREFIX}own", "uid": 1}
        if name.endswith("find"):
            return {"files": [{"path": path, "uid": 1, "mode": "0700", "mtime": 0} for path in self.paths]}
        if arguments["path"] == self.stuck:
            raise SubtaskFailed({"msg": "Operation not permitted"})
        self.paths.remove(arguments["path"])
        return {}


@pytest.mark.parametrize("stuck", ["a", "b", "c"])
def test_one_that_cannot_be_removed_protects_no_other(stuck: str) -> None:
    host: Any = Host(["a", "b", "c"], stuck)
    assert _private_directories.make(host) == f"{PREFIX}own"
    assert host.paths == [PREFIX + stuck]
