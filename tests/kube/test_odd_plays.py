# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd answers to whole plays: whatever is answered to a read before a write, the play ends, and writes nothing.

The matrix: each read (method and path) of Azure and of the API server that a play makes before the last of its writes,
taken from the log of a true run, task by task. Each gets odd answers by turns, one of those by which something could
pass for gone and one of the others, each time in another of the tasks that ask for it. So all classes come to reads of
all kinds; what modules do with each of them, their own matrices show.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import killed_jobs
from ansible_collections.azureops.pod_identity.tests.kube.kills import AZURE, KUBERNETES, World
from ansible_collections.azureops.pod_identity.tests.kube.odd_plays import BY_HELM, Ended, Look, Stage, Write, stage
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import CLASSES, Read, require_sentences

GONE = ("404 page", "404 type", "404 empty", "204")
"""Of the classes of odd answers those by which something could pass for gone."""
OTHERS = tuple(each for each in CLASSES if each not in GONE)
COMMAND = re.compile(
    r" For all causes, evidence and remedies: ansible-playbook azureops\.pod_identity\.diagnose -e .+$"
)
"""What the failures of roles that wait end with behind their sentences, ready to be pasted."""


def site(mode: str) -> Callable[[World], None]:
    """Without what it only looks at in the end."""

    def build(world: World) -> None:
        killed_jobs.site(world, mode)
        world.variables.update(pod_identity_verify_workloads=[], pod_identity_verify_demo=False)

    return build


def destroy(world: World) -> None:
    """An identity of the list lies in the group of the cluster."""
    world.azure.cluster(name="demo")
    world.modules.succeed("user_assigned_identity", resource_group="rg", name="billing", location="westeurope")
    world.playbook = killed_jobs.playbook("destroy")
    world.variables.update(
        pod_identity_cluster_confirm_absent="demo", pod_identity_bindings_list=[killed_jobs.entry(world)]
    )

    def reached() -> None:
        assert world.azure.arm("GET", "/resourceGroups/rg").status_code == 404

    world.reached = reached


@dataclass(frozen=True)
class Job:
    """``answers``: how many odd ones each of its reads gets; ``parts``: into how many cases they are dealt."""

    build: Callable[[World], None]
    answers: int
    parts: int


JOBS = {
    "site": Job(site("chart"), 1, 9),
    "site_addon": Job(site("addon"), 1, 4),
    "bindings": Job(killed_jobs.bindings_of_chart, 1, 5),
    "bindings_addon": Job(killed_jobs.bindings_of_addon, 1, 4),
    "uninstall": Job(killed_jobs.uninstall_chart, 1, 15),
    "uninstall_addon": Job(killed_jobs.uninstall_addon, 1, 11),
    "restore": Job(killed_jobs.restore, 1, 8),
    "leftovers": Job(killed_jobs.leftovers, 1, 4),
    "destroy": Job(destroy, 4, 3),
}
CASES = [(name, part) for name, job in JOBS.items() for part in range(job.parts)]


@dataclass(frozen=True)
class Tolerated:
    """An odd answer that does not end a play, and why; the test fails where it does."""

    jobs: str
    look: str
    """A regular expression, searched in the task and its read."""
    why: str
    answers: str = ""
    ends: bool = False
    """Whether it may end the play all the same, because a program of others decides."""

    def fits(self, job: str, look: Look, odd: str) -> bool:
        return (
            re.fullmatch(self.jobs, job) is not None
            and re.search(self.look, str(look)) is not None
            and re.fullmatch(self.answers or ".*", odd) is not None
        )


TOLERATED: tuple[Tolerated, ...] = (
    Tolerated(
        ".*",
        r"azure GET \S+/operations/DRAWN",
        "whatever does not say how an operation ended is asked for again",
        answers="204|404 .*|200 empty|200 object|200 value null|200 other list|circle",
    ),
    Tolerated(
        "leftovers",
        r"kubernetes GET /apis/aadpodidentity",
        "that the server does not serve the kind is proved by its list of groups, which is read next",
        answers="404.*",
    ),
    Tolerated(
        "leftovers",
        r"azure GET \S+/Microsoft.Insights/",
        "what MIC attached is told by another source, and what nobody tells stays",
    ),
    Tolerated(
        "leftovers|uninstall.*",
        r"azure GET \S+/userAssignedIdentities( |,|$)",
        "a source tells that pod identity attached them, whether they still exist or not",
    ),
    Tolerated(
        ".*",
        r"/selfsubjectaccessreviews\b",
        "it is no list, and whether that is permitted still stands in it",
        answers="circle",
    ),
    Tolerated(
        ".*",
        r": kubernetes DELETE ",
        "the try of a deletion is no list either, and that the server accepts it still stands in it",
        answers="circle",
    ),
    Tolerated(
        ".*", r" : Wait until [^:]+: kubernetes GET ", "it looks again, until an answer proves what it waits for"
    ),
    Tolerated(
        ".*",
        BY_HELM.pattern,
        "helm itself asks, and goes by the record of the release and by what its writes answer",
        ends=True,
    ),
)


def answered(job: str, looks: Iterable[Look]) -> list[tuple[Look, str]]:
    """Each read with the odd answers that it gets, each in one of the tasks that ask for it."""
    reads: dict[tuple[str, str, str], list[Look]] = {}
    for look in looks:
        reads.setdefault((look.to, look.read.method, look.read.path), []).append(look)
    found = []
    for read, places in reads.items():
        number = zlib.crc32(" ".join((job, *read)).encode())
        for turn in range(JOBS[job].answers):
            several = (GONE, OTHERS)[(number + turn) % 2]
            look = places[(number // 64 + turn) % len(places)]
            found.append((look, several[(number // 2 + turn // 2) % len(several)]))
    return found


class Theater:
    """Makes worlds, and knows what is read in them before something is written."""

    def __init__(self, api_server: ApiServer, client: Client, folder: Path, shared: Path) -> None:
        self._server, self._client, self._folder, self._shared = api_server, client, folder, shared
        self._made = 0

    @contextlib.contextmanager
    def stage(self, job: str) -> Iterator[Stage]:
        """A new world where the play of that name can begin."""
        self._made += 1
        folder = self._folder / str(self._made)
        folder.mkdir()

        def world(environment: dict[str, str]) -> contextlib.AbstractContextManager[World]:
            return killed_jobs.empty_world(self._server, self._client, namespace, folder, environment)

        with server.own_namespace(self._client) as namespace, stage(world, folder) as made:
            JOBS[job].build(made.world)
            yield made

    def looks(self, job: str) -> list[Look]:
        """The reads of a true run; one does for all processes of a session."""
        path = self._shared / f"odd-plays-{job}.json"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                path.write_text(json.dumps([asdict(each) for each in self._look(job)]))
        return [Look(**{**each, "read": Read(**each["read"])}) for each in json.loads(path.read_text())]

    def _look(self, job: str) -> list[Look]:
        with self.stage(job) as made:
            ended = made.play()
            assert ended.status == 0, ended.output
            made.world.reached()
            return before_writes(ended.log)


def before_writes(log: list[Look | Write]) -> list[Look]:
    """What comes before the last write.

    Behind a write of its own a task looks until that is done: the first look stands for all. Whether helm then reads
    what objects of a group look like is up to when the server tells of that group, which it just got.
    """
    last = max(place for place, each in enumerate(log) if isinstance(each, Write))
    found = [each for each in log[:last] if isinstance(each, Look)]
    behind = [each for each in found if each.read.nth == 1 and not each.read.path.startswith("/openapi/")]
    return [each for each in found if not each.read.behind or each in behind]


@pytest.fixture
def theater(api_server: ApiServer, client: Client, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Theater:
    base = tmp_path_factory.getbasetemp()
    return Theater(api_server, client, tmp_path, base.parent if base.name.startswith("popen-") else base)


@pytest.mark.soak
@pytest.mark.parametrize(("job", "part"), CASES, ids=str)
def test_nothing_follows_an_odd_answer(
    theater: Theater, record_property: Callable[[str, object], None], job: str, part: int
) -> None:
    """To each read in turn."""
    cases = answered(job, theater.looks(job))[part :: JOBS[job].parts]
    assert cases, "nothing is read"
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    with contextlib.ExitStack() as worlds:
        made: Stage | None = None
        for look, odd in cases:
            if made is None:
                worlds.close()
                made = worlds.enter_context(theater.stage(job))
            ended = made.play(look, odd)
            exception = next((each for each in TOLERATED if each.fits(job, look, odd)), None)
            try:
                counted[judge(made.world, ended, look, exception)] += 1
            except AssertionError as error:  # the others are still asked
                wrong.append(f"{look}, {odd}: {error}")
            if any(isinstance(each, Write) for each in ended.log):
                made = None  # it is not any more what the play begins with
    for kind, number in counted.items():
        record_property(f"odd answers to plays {kind}", number)
    assert not wrong, "\n\n".join(wrong)


def judge(world: World, ended: Ended, look: Look, exception: Tolerated | None) -> str:
    """What a play counts as in which that read was answered oddly."""
    assert "Traceback" not in ended.output, ended.output
    assert ended.hits, f"not asked again: {ended.output}"
    if exception and ended.status == 0:
        world.reached()
        return "tolerated"
    if exception:
        assert exception.ends or ended.wrote, f"declared as tolerated, and is not: {ended.output}"
    else:
        assert not ended.wrote, f"written all the same: {ended.wrote}, {ended.output}"
        assert not ended.changed_behind(look.task), ended.changed_behind(look.task)
    assert ended.status == 2, f"taken for an answer: {ended.output}"
    assert ended.failures, ended.output
    require_sentences(COMMAND.sub("", each) for each in ended.failures)
    return "tolerated, and ended" if exception else "refused"


def test_each_read_has_a_case() -> None:
    """With each class of answers, where there are so many."""
    tasks = ("a", "b")
    looks = [Look(task, AZURE, Read("GET", f"/{path}", 1)) for path in range(500) for task in tasks]
    for job in JOBS:
        cases = answered(job, looks)
        assert Counter(look.read.path for look, _odd in cases) == {f"/{n}": JOBS[job].answers for n in range(500)}
        assert {odd for _look, odd in cases} == set(CLASSES)
        assert {look.task for look, _odd in cases} == set(tasks)
    assert set(GONE) < set(CLASSES)


def test_what_follows_the_last_write_is_no_case() -> None:
    before, behind, polled, after = (
        Look("a", AZURE, Read("GET", "/a", nth, behind)) for nth, behind in ((1, 0), (1, 1), (2, 1), (1, 2))
    )
    write = Write("a", AZURE, "PUT /a")
    of_a_group = Look("a", KUBERNETES, Read("GET", "/openapi/v3/apis/aadpodidentity.k8s.io/v1?hash=DRAWN", 1, 1))
    assert before_writes([before, write, behind, polled, of_a_group, write, after]) == [before, behind]
