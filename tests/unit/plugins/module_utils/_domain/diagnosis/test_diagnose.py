# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis is of, as people name it."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure


@pytest.mark.parametrize(
    ("namespace", "workload", "pod", "scope"),
    [
        (None, None, None, Scope()),
        ("team", None, None, Scope("team")),
        (None, None, "team/web-1", Scope("team", pod="web-1")),
        ("team", None, "web-1", Scope("team", pod="web-1")),
        (None, "team/web", None, Scope("team", "web")),
        (None, "team/deployment/web", None, Scope("team", "deployment/web")),
        ("team", "web", None, Scope("team", "web")),
        ("team", "deployment/web", None, Scope("team", "deployment/web")),
        ("", "", "", Scope()),
    ],
)
def test_scope(namespace: str | None, workload: str | None, pod: str | None, scope: Scope) -> None:
    assert Scope.parse(namespace, workload, pod) == scope


@pytest.mark.parametrize(
    ("namespace", "workload", "pod"),
    [
        (None, None, "web-1"),
        (None, None, "/web-1"),
        (None, None, "team/"),
        (None, None, "team/pod/web-1"),
        ("team", None, "team/web-1"),
        (None, "web", None),
        (None, "a/b/c/d", None),
        ("team", "a/b/c", None),
        (None, "team//web", None),
    ],
)
def test_what_names_nothing(namespace: str | None, workload: str | None, pod: str | None) -> None:
    with pytest.raises(Failure, match="is not named as NAMESPACE/NAME"):
        Scope.parse(namespace, workload, pod)
