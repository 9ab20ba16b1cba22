# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a play asks, of Azure and of the API server, task by task; one of its reads can be answered oddly."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.kube.kills import AZURE, KUBERNETES, OF_A_RUN, World
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Instead, standing, writes
from ansible_collections.azureops.pod_identity.tests.kube.server_answers import ODD as OF_SERVER
from ansible_collections.azureops.pod_identity.tests.support.azure_answers import DRAWN
from ansible_collections.azureops.pod_identity.tests.support.azure_answers import ODD as OF_AZURE
from ansible_collections.azureops.pod_identity.tests.support.azure_answers import writes as writes_to_azure
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import Counting, Read
from ansible_collections.azureops.pod_identity.tests.support.players import finish
from azsandbox.azure.faults import Faults, Rule, parse

CALLBACKS = Path(__file__).with_name("callback")
ANSWER_WITHIN = 3
"""Seconds until an answer that does not come is given up, where none comes."""
MODULE_ENDS_WITHIN = 60
"""The same of helm, which does not give up by itself and is killed."""
BY_HELM = re.compile(r" : (Uninstall the releases|Install or change the release)\b")
"""Tasks in which helm itself asks. It reads while it writes, so that a read comes now before a write, now behind it."""
LEASE = re.compile(r"/apis/coordination\.k8s\.io/")
"""That of the lock of runs is renewed as time goes by, and given back by a run that failed."""


@dataclass(frozen=True)
class Look:
    """A read of a play, by the task that it is of."""

    task: str
    to: str
    read: Read

    def __str__(self) -> str:
        nth = f", number {self.read.nth}" if self.read.nth > 1 else ""
        return f"{self.task}: {self.to} {self.read}{nth}"


@dataclass(frozen=True)
class Write:
    task: str
    to: str
    what: str


class Timeline:
    """What is asked from both, one after the other. ``known``: what a world has drawn by lot, and the word for it."""

    def __init__(self, steps: Path, known: dict[str, str]) -> None:
        self.log: list[Look | Write] = []
        self.hits: list[int] = []
        """Where in the log the reads stand that were answered oddly."""
        self._steps, self._known = steps, known
        self._odd: Look | None = None
        self._lasting = False
        self._again = False
        self._task = ""
        self._counting = Counting()
        self._lock = threading.Lock()

    def begin(self, odd: Look | None = None, *, lasting: bool = False) -> None:
        """Forget what was. From now on this read is answered oddly, once, or whenever its task asks again."""
        self._steps.write_text("")
        self.log, self.hits = [], []
        self._odd, self._lasting, self._again, self._task, self._counting = odd, lasting, False, "", Counting()

    def steps(self) -> list[dict[str, Any]]:
        """What the callback told."""
        return [json.loads(line) for line in self._steps.read_text().splitlines()]

    def wrote(self, to: str, method: str, path: str) -> None:
        with self._lock:
            self._follow()
            self._counting.write()
            self.log.append(Write(self._task, to, f"{method} {self._general(path)}"))

    def odd(self, to: str, method: str, path: str) -> bool:
        """Whether this read is to be answered oddly."""
        with self._lock:
            self._follow()
            read = self._counting.read(method, self._general(path))
            look = Look(self._task, to, read)
            if self._again:  # what is looked at until it is as it is to be: the first look stands for all
                return self._lasting and bool(self.hits)
            self.log.append(look)
            if self._is_due(look):
                self.hits.append(len(self.log) - 1)
                return True
            return False

    def _is_due(self, look: Look) -> bool:
        if self._odd is None:
            return False
        due, read = self._odd.read, look.read
        same = (look.task, look.to, read.method, read.path) == (self._odd.task, self._odd.to, due.method, due.path)
        if due.behind and BY_HELM.search(look.task):
            return same and read.behind > 0 and (self._lasting or not self.hits)
        return same and read.behind >= due.behind and read.nth >= due.nth if self._lasting else look == self._odd

    def _follow(self) -> None:
        """A request belongs to the task that began last."""
        steps = self.steps()
        begun = [number for number, each in enumerate(steps) if "begun" in each]
        task = str(steps[begun[-1]]["begun"]) if begun else ""
        self._again = bool(begun) and any("again" in each for each in steps[begun[-1] :])
        if task != self._task:
            self._task, self._counting = task, Counting()

    def _general(self, path: str) -> str:
        for lot, word in self._known.items():
            path = re.sub(re.escape(lot), word, path, flags=re.IGNORECASE)
        return OF_A_RUN.sub("DRAWN", DRAWN.sub("DRAWN", path))


class Between(Instead):
    """Stands between the play and its API server."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(lets_write=True)
        self._timeline = timeline

    def is_write(self, method: str, path: str, body: bytes) -> bool:
        if not writes(method, path, body):
            return False
        if not LEASE.search(path):
            self._timeline.wrote(KUBERNETES, method, path.partition("?")[0])
        return True

    def odd(self, method: str, path: str) -> bool:
        return self._timeline.odd(KUBERNETES, method, path)


class Watching(Faults):
    """The faults of a simulated Azure, beside which one read is answered oddly."""

    def __init__(self, timeline: Timeline, manager: str) -> None:
        super().__init__()
        self._timeline, self._manager = timeline, manager
        self.rule: Rule | None = None

    def hit(self, method: str, target: str, remote: str) -> Rule | None:
        host, _slash, path = target.partition("?")[0].partition("/")
        if host.lower() == self._manager and path.lower().startswith(("subscriptions/", "/subscriptions/")):
            path = "/" + path.lstrip("/")
            if writes_to_azure(method, path):
                self._timeline.wrote(AZURE, method, path)
            elif self._timeline.odd(AZURE, method, path):
                return self.rule
        return super().hit(method, target, remote)


@dataclass
class Ended:
    """How a play ended."""

    status: int
    output: str
    log: list[Look | Write]
    hits: list[int]
    steps: list[dict[str, Any]]

    @property
    def wrote(self) -> list[str]:
        """Behind the first odd answer."""
        behind = self.log[self.hits[0] :] if self.hits else self.log
        return [f"{each.task}: {each.what}" for each in behind if isinstance(each, Write)]

    @property
    def failures(self) -> list[str]:
        """What tasks failed with, behind which no task went on as if nothing were."""
        found = [each for each in self.steps if "failed" in each and not each["ignored"]]
        return [message for each in found for message in each["messages"]]

    def changed_behind(self, task: str) -> list[str]:
        """The tasks with a change that began behind this one."""
        begun = next(place for place, each in enumerate(self.steps) if each.get("begun") == task)
        following = next((place for place in range(begun + 1, len(self.steps)) if "begun" in self.steps[place]), None)
        return [] if following is None else [each["changed"] for each in self.steps[following:] if "changed" in each]


@dataclass
class Stage:
    """A world whose plays are watched."""

    world: World
    environment: dict[str, str]
    timeline: Timeline
    proxy: Between
    faults: Watching
    ended: list[Ended] = field(default_factory=list)

    def play(self, look: Look | None = None, odd: str = "204") -> Ended:
        lasting = odd == "hang"
        limits = {"ANSWER_WITHIN": str(ANSWER_WITHIN), "MODULE_ENDS_WITHIN": str(MODULE_ENDS_WITHIN)}
        for name, seconds in limits.items():
            self.environment.pop(name, None)
            if lasting:
                self.environment[name] = seconds
        self.proxy.begin(None, OF_SERVER[odd])
        self.faults.rule = parse({**OF_AZURE[odd], "count": 0})
        self.timeline.begin(look, lasting=lasting)
        status, output = finish(self.world.start(self.proxy.url), 600)
        return Ended(status, output, self.timeline.log, self.timeline.hits, self.timeline.steps())


@contextlib.contextmanager
def stage(make: Callable[[dict[str, str]], contextlib.AbstractContextManager[World]], folder: Path) -> Iterator[Stage]:
    """In a new world, of which ``make`` is told what its plays have in their environment."""
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "steps",
        "STEPS_FILE": str(folder / "steps"),
    }
    with make(environment) as world:
        known = {world.namespace: "NAMESPACE", world.azure.subscription_id: "SUBSCRIPTION"}
        timeline = Timeline(folder / "steps", known)
        timeline.begin()
        proxy = Between(timeline)
        faults = Watching(timeline, world.azure.endpoints.host("arm"))
        with standing(world.server, proxy):
            world.azure.in_loop(lambda: setattr(world.azure.server, "faults", faults))
            yield Stage(world, environment, timeline, proxy, faults)
