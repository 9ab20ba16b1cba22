# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_answer
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each


def printed(**entries: Any) -> str:
    return "\n".join(json.dumps({key: value}) for key, value in entries.items())


IMDS = '{"header": "Server: IMDS/150.870.65.1853"}\n{"instance-header": "Server: IMDS/150.870.65.1853"}\n'


@for_each(
    case("imds", IMDS + printed(tool="curl", exit="0", status="400", end=1), "imds", True),
    case("refused", printed(tool="curl", exit="7", status="000", end=1), "nobody", False),
    case("timeout", printed(tool="curl", exit="28", status="000", end=1), "unknown", False),
    case(
        "mesh", '{"header": "Server: istio"}\n' + printed(tool="curl", exit="0", status="400", end=1), "unknown", False
    ),
    case("nothing", "", "unknown", False),
)
def test_only_the_metadata_service_proves(output: str, answered_by: str, proved: bool) -> None:
    finding = imds_answer.find(output)
    assert (finding.answered_by, finding.proved) == (answered_by, proved)
    assert finding.message


def test_beside_the_pods_the_same_counts() -> None:
    def found(output: str) -> tuple[str, bool]:
        finding = imds_answer.find_beside(output, "10.244.0.254")
        assert finding.message
        return finding.answered_by, finding.proved

    assert found(IMDS + printed(tool="python3", exit="0", status="400", end=1)) == ("imds", True)
    assert found(printed(tool="python3", exit="7", end=1)) == ("nobody", False)
    assert found(printed(tool="python3", exit="28", end=1)) == ("unknown", False)
    assert found(printed(tool="python3", connected="0.01", exit="28", end=1)) == ("unknown", False)
    assert found("") == ("unknown", False)


@for_each(
    case("a wrong option", Failure("pod_cidr is wrong."), "pod_cidr is wrong."),
    case("the kernel", OSError(11, "Try again"), "could not be asked ([Errno 11] Try again); run"),
    case("a connection", ConnectionError("gone\n  for good"), "could not be asked (gone for good); run"),
    case("without a word", IndexError(), "could not be asked (IndexError); run"),
)
def test_as_a_part_of_another_result_nothing_is_a_failure(error: Exception, told: str) -> None:
    def refuse(method: str) -> tuple[imds_answer.Finding, list[str]]:
        raise error

    answer = imds_answer.part(["throw_away_namespace"], refuse)["answer"]
    assert (answer["answered_by"], answer["proved"], told in answer["message"]) == ("unknown", False, True), answer
