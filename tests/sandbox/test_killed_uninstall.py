# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""uninstall.yml dies at each of its writes: the next run ends it, and its bundle brings everything back. Needs root.

Writes are those to the API server and to Azure. Each dies with the process of its task, by Ctrl-C, or as if the power
had failed, by turns, before or after it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from held_requests import gate, let_through
from operators import SITE, Operator, Run
from private_files import private_files
from sandboxes import PROGRAM, eventually, running
from uninstalled import IN_USE, RESTORE, UNINSTALL, attached, chains, states

from ansible_collections.azureops.pod_identity.tests.support.kill_modes import DEATHS
from azsandbox.network import WORKSTATION_ADDRESS

pytestmark = [pytest.mark.story, pytest.mark.soak]

KUBERNETES, AZURE = 26, 3
"""How many writes a whole run makes."""
SETTLED = "azureidentity,azureidentitybinding,azurepodidentityexception"


@dataclass(frozen=True)
class Moment:
    to: str
    number: int

    @property
    def death(self) -> str:
        return DEATHS[self.number % len(DEATHS)]

    @property
    def happened(self) -> bool:
        return self.number % 2 == 0

    def __str__(self) -> str:
        return f"{self.to}-{self.number}-{'after' if self.happened else 'before'}-{self.death}"


MOMENTS = [
    Moment(to, number)
    for to, writes in (("kubernetes", KUBERNETES), ("azure", AZURE))
    for number in range(1, writes + 1)
]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running("killed-uninstall") as sandbox:
        variables = {**SITE, "pod_identity_artifact_target": "secret:default/way-back"}
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        operator.kubeconfig()
        let_through(operator)
        operator.sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
        eventually(lambda: states(operator) == ["Assigned"], 120)
        yield operator


def there(operator: Operator) -> dict[tuple[str, str, str], Any]:
    """Objects that people made, by kind and place, as they can be compared after they have come back."""
    found = operator.kubectl("get", SETTLED, "-A")["items"]
    return {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): (
            each["metadata"].get("labels"),
            each["spec"],
        )
        for each in found
    }


def restore(operator: Operator, told: dict[str, Any]) -> Run:
    """Restore, and accept what the second run has not seen itself."""
    named = {f"pod_identity_restore_{name}": told[name] for name in ("bundle", "sha256")}
    done = operator.play(RESTORE, variables={**named, "pod_identity_restore_accept": ["unverified"]}).ok()
    assert [row["verdict"] for row in done.verdicts()] == ["ok"]
    return done


@pytest.mark.soak
def test_every_write_is_a_moment(operator: Operator) -> None:
    operator.forget_requests()
    with gate(operator, operator.directory / "kubeconfig") as passed:
        variables = {**IN_USE, "pod_identity_kubeconfig": str(operator.directory / "through")}
        done = operator.play(UNINSTALL, variables=variables).ok()
        writes = passed.writes()
    azure = operator.azure_writes()
    (told,) = done.stats["pod_identity_uninstall"].values()
    restore(operator, told)
    operator.sandbox.exec("kubectl", "delete", "secret", *secrets(operator))
    assert (len(writes), len(azure)) == (KUBERNETES, AZURE), "\n".join((*writes, *azure))


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_the_way_back_is_whole(operator: Operator, moment: Moment) -> None:
    before, roles = there(operator), granted(operator)
    operator.sandbox.run("azure", "fault", "--clear")
    operator.forget_requests()
    to_cluster = moment.to == "kubernetes"
    number = moment.number if to_cluster else 0
    with gate(operator, operator.directory / "kubeconfig", number, after=moment.happened) as held:
        variables = {**IN_USE, "pod_identity_kubeconfig": str(operator.directory / "through")}
        if not to_cluster:
            chosen = ("--method", "PUT,PATCH,DELETE", "--path", "^management.*", "--nth", str(moment.number))
            after = ["--after"] if moment.happened else []
            operator.sandbox.run("azure", "fault", "--remote", WORKSTATION_ADDRESS, "--hang", *chosen, *after)

        def reached() -> bool:
            return held.reached() if to_cluster else any(each["fault"] for each in operator.requests())

        def let_go() -> None:
            held.let_go()
            operator.sandbox.run("azure", "fault", "--clear")

        done = operator.play_after_death(
            UNINSTALL, reached, moment.death, what=str(moment), variables=variables, meanwhile=let_go
        ).ok()
    assert attached(operator).isdisjoint({"billing"}) and chains(operator) == []
    assert private_files(operator) == []
    (told,) = done.stats["pod_identity_uninstall"].values()
    (named,) = secrets(operator)
    assert told["bundle"] == f"secret:default/{named}"
    restore(operator, told)
    assert there(operator) == before and granted(operator) == roles
    assert restore(operator, told).changes() == []
    operator.sandbox.exec("kubectl", "delete", "secret", named)


def secrets(operator: Operator) -> list[str]:
    found = operator.kubectl("get", "secrets", "-n", "default")["items"]
    return [each["metadata"]["name"] for each in found if each["metadata"]["name"].startswith("way-back-")]


def granted(operator: Operator) -> set[tuple[str, str, str]]:
    listed = operator.sandbox.az("role", "assignment", "list", "--all")
    return {(each["roleDefinitionName"], each["scope"].lower(), each["principalId"]) for each in listed}
