# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml killed at each of its requests to Azure: the next run makes up for it. Needs root.

At its writes it dies with the process of its task and by Ctrl-C, too; tests/kube/test_killed.py has those to the API
server.

The requests are numbered as a whole run from an empty subscription makes them, without the looks at an operation that
goes on, whose number depends on the machine; of these the first ones are taken.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from operators import CLUSTER, GROUP, POLL, SITE, SITE_REQUESTS, SITE_WRITES, Operator, Run
from private_files import private_files
from sandboxes import running

from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL, DEATHS, INTERRUPT, WORKER
from azsandbox.network import WORKSTATION_ADDRESS

pytestmark = [pytest.mark.story, pytest.mark.soak]


@dataclass(frozen=True)
class Moment:
    """A request that gets no answer; what it asks for has ``happened`` all the same, or not."""

    name: str
    chosen: tuple[str, ...]
    number: int
    happened: bool = False
    death: str = ALL

    def __str__(self) -> str:
        return f"{self.name}-{self.number}" + (f"-{self.death}" if self.death != ALL else "")

    @property
    def fault(self) -> tuple[str, ...]:
        return (*self.chosen, "--nth", str(self.number), *(["--after"] if self.happened else []))


POLLS = 5
MOMENTS = [
    *(Moment("request", ("--path", f"^(?!.*{POLL})"), number) for number in range(1, SITE_REQUESTS + 1)),
    *(Moment("write", ("--method", "PUT"), number, happened=True) for number in range(1, SITE_WRITES + 1)),
    *(
        # The one happens before and the other after the write is carried out, by turns.
        Moment("write", ("--method", "PUT"), number, happened=(number % 2 == 0) == (death == WORKER), death=death)
        for number in range(1, SITE_WRITES + 1)
        for death in (WORKER, INTERRUPT)
    ),
    *(Moment("poll", ("--path", POLL), number) for number in range(1, POLLS + 1)),
]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running("killed") as sandbox:
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), SITE)


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_the_next_run_makes_up_for_a_killed_one(operator: Operator, moment: Moment) -> None:
    operator.sandbox.run("reset")
    require_site(operator, operator.play_after_kill("azureops.pod_identity.site", moment.fault, moment.death))


@pytest.mark.parametrize("way", ["requests", "writes"])
def test_each_run_goes_on_where_the_one_before_died(
    operator: Operator, record_property: Callable[[str, object], None], way: str
) -> None:
    """At each request before it is carried out, as if the power had failed; or at each write, after it is.

    By turns it is the power, the process of the task, or Ctrl-C. All runs are in one subscription: each comes to a
    request to which none before has come, by its method and path.
    """
    operator.sandbox.run("reset")
    operator.forget_requests()
    operator.site().ok()
    methods = ("PUT",) if way == "writes" else ("GET", "POST", "PUT", "PATCH", "DELETE")
    whole = {each for each in asked(operator) if each[0] in methods}
    operator.sandbox.run("reset")
    known: set[tuple[str, str]] = set()
    died: list[tuple[str, str]] = []
    came_there = True
    while came_there:
        assert len(died) < 2 * len(whole), f"no run comes to its end: {died}"
        operator.sandbox.run("azure", "fault", "--clear")
        operator.forget_requests()
        for method in methods:
            paths = "|".join(re.escape(path) for each, path in sorted(known) if each == method)
            ahead = f"^(?!.*{POLL})(?!({paths})([?#]|$))" if paths else f"^(?!.*{POLL})"
            chosen = ("--remote", WORKSTATION_ADDRESS, "--method", method, "--path", ahead)
            operator.sandbox.run("azure", "fault", "--hang", *chosen, *(["--after"] if way == "writes" else []))
        came_there = operator.die(
            "azureops.pod_identity.site",
            lambda: any(each["fault"] for each in operator.requests()),
            ALL if way == "requests" else DEATHS[len(died) % len(DEATHS)],
            lambda: operator.sandbox.run("azure", "fault", "--clear"),
        )
        # Each command of a workstation has a PID namespace of its own, and what was killed in another stays for a day.
        for left in map(Path, private_files(operator)):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        died += [each for each, fault in asked(operator).items() if fault]
        known |= asked(operator).keys()
    operator.sandbox.run("azure", "fault", "--clear")  # the last run came to none
    record_property(f"deaths at {way}", len(died))
    assert moments(whole) - moments(set(died)) == Counter(), "no run died there"
    require_site(operator, operator.site())


def asked(operator: Operator) -> dict[tuple[str, str], bool]:
    """Method and path of what the last run has asked Azure, polls left out, and whether a fault met it."""
    made = [((each["method"], f"{each['host']}{each['path']}"), bool(each["fault"])) for each in operator.requests()]
    met = {each for each, fault in made if fault}
    return {each: each in met for each, _fault in made if POLL not in each[1]}


def moments(requests: set[tuple[str, str]]) -> Counter[str]:
    """In words that are the same in every subscription."""
    return Counter(_DRAWN.sub("DRAWN", " ".join(each)) for each in requests)


_DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{8}(?=-vmss)", re.IGNORECASE)


def require_site(operator: Operator, done: Run) -> None:
    """What a whole run leads to, and nothing is left to be done."""
    done.ok()
    assert [row["verdict"] for row in done.verdicts()] == ["ok"]
    assert private_files(operator) == []
    assert operator.site("--check").ok().changes() == []

    az, kubectl = operator.sandbox.az, operator.kubectl
    assert [each["name"] for each in az("aks", "list")] == [CLUSTER]
    assert [each["name"] for each in az("identity", "list", "--resource-group", GROUP)] == ["billing"]
    nodes = az("aks", "show", "--resource-group", GROUP, "--name", CLUSTER)["nodeResourceGroup"]
    listed = az("role", "assignment", "list", "--all")
    granted = [(each["roleDefinitionName"], each["scope"].rpartition("/")[2]) for each in listed]
    assert sorted(each for each in granted if each[0] != "Owner") == [
        ("Contributor", nodes),  # AKS's own
        ("Managed Identity Operator", nodes),
        ("Managed Identity Operator", "billing"),
        ("Reader", GROUP),
        ("Virtual Machine Contributor", nodes),
    ]
    objects = kubectl("get", "azureidentity,azureidentitybinding,daemonset,deployment", "-A")["items"]
    assert sorted(each["kind"] for each in objects) == [
        "AzureIdentity",
        "AzureIdentityBinding",
        "DaemonSet",
        "Deployment",
    ]
