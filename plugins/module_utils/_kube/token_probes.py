# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Requests for the tokens of several workloads: from throw-away pods, or inside running ones."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from .._domain.errors import Failure
from .._domain.matching.matching import SELECTOR_LABEL, Binding, Identity, Pod
from .._domain.tokens import probe, probe_job, token, token_questions, token_request
from .._domain.tokens.token_questions import Asked, Question
from . import mutations, probes
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    Kind,
    Object,
    label,
)
from .parallel import in_parallel

# Every probe looks at its pod at least once a second.
_FRESH_SECONDS = 0.25
# Who holds an identity may change while others are asked.
_CURRENT_SECONDS = 30


@dataclass(frozen=True)
class Surroundings:
    """What was read for the workloads of a namespace: pods, what decides about identities, leftovers by workload."""

    pods: tuple[Object, ...]
    cluster: probe.Cluster
    leftovers: tuple[Object, ...]


def ask(client: Client, questions: t.Sequence[Question], *, at_once: int, strict: bool) -> list[Asked]:
    """Ask all questions, in parallel; every list is read once for all of them, and again after half a minute.

    What keeps one question from being asked is its reason and keeps no other back; with ``strict`` it is raised.
    When the process is interrupted or told to end, all probes are removed before.
    """
    if not questions:
        return []
    around = _Around(client, questions)
    stop = threading.Event()
    asking = _Asking(client, stop)
    done: dict[int, tuple[str, ...]] = {}  # by earlier attempts

    def attempt(number: int) -> Asked:
        question, before = questions[number], done.get(number)
        done.setdefault(number, ())
        try:
            asked = asking.ask(question, around.of(question.target.namespace, anew=before is not None))
            done[number] = (*(before or ()), *asked.actions)
            return replace(asked, actions=done[number])
        except Failure as failure:
            if strict:
                raise
            return token_questions.not_asked(question, failure.sentence)
        except Exception as error:  # a defect of ours must not take the verdicts of the others away
            if strict:
                raise
            return token_questions.not_asked(
                question,
                f"The request for {question.target} met an error that is not known ({type(error).__name__}: {error}); "
                "this is a defect of azureops.pod_identity, please report it with this message.",
            )

    attempts = [lambda number=number: attempt(number) for number in range(len(questions))]
    with _ending_in_order():
        return in_parallel(attempts, at_once, repeat_alone=lambda asked: asked.crowded_out, stop=stop)


@contextlib.contextmanager
def _ending_in_order() -> t.Iterator[None]:
    """SIGTERM ends the process as an interrupt does, by way of everything that is to be put away."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Around:
    """What is around the workloads: read at once, and again for whoever comes when that is no longer current."""

    def __init__(self, client: Client, questions: t.Sequence[Question]) -> None:
        self._client, self._questions = client, questions
        self._lock = threading.Lock()
        self._read()

    def of(self, namespace: str, *, anew: bool) -> Surroundings:
        """Raises the Failure for which it cannot be read. With ``anew`` it is read in any case."""
        with self._lock:
            if anew or time.monotonic() > self._until:
                self._read()
            found = self._found[namespace]
        if isinstance(found, Failure):
            raise found
        return found

    def _read(self) -> None:
        until = time.monotonic() + _CURRENT_SECONDS
        self._found = _observe(self._client, self._questions)
        self._until = until


def _observe(client: Client, questions: t.Sequence[Question]) -> dict[str, Surroundings | Failure]:
    """What is around the workloads, by namespace, or why that cannot be read."""
    bindings, identities = _known(client, AZURE_IDENTITY_BINDING), _known(client, AZURE_IDENTITY)
    # Without a binding no pod of another namespace matters, and not everybody may list those.
    labelled = client.list_all(POD, labels=SELECTOR_LABEL) if bindings else ()
    cluster = probe.Cluster(
        # A probe goes in a moment, so what it holds is as good as lost.
        pods=tuple(pod for pod in map(Pod.parse, labelled) if probe_job.PROBE_LABEL not in pod.labels),
        bindings=tuple(Binding.parse(raw) for raw in bindings),
        identities=tuple(Identity.parse(raw) for raw in identities),
        nodes=client.list_all(NODE),
    )

    def look(namespace: str) -> Surroundings | Failure:
        mine = [each for each in questions if each.target.namespace == namespace]
        try:
            return Surroundings(
                pods=client.list_all(POD, namespace)
                if not bindings or any(not each.target.selector for each in mine)
                else tuple(raw for raw in labelled if raw["metadata"].get("namespace") == namespace),
                cluster=replace(
                    cluster,
                    services=client.list_all(SERVICE, namespace),
                    budgets=client.list_all(POD_DISRUPTION_BUDGET, namespace),
                ),
                leftovers=probes.leftovers(client, namespace, mine[0].owner)
                if any(each.method != "exec" for each in mine)
                else (),
            )
        except Failure as failure:
            return failure

    namespaces = sorted({each.target.namespace for each in questions})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(namespaces, pool.map(look, namespaces)))


def _known(client: Client, kind: Kind) -> tuple[Object, ...]:
    """Empty where AAD Pod Identity is not installed: its path can be tried all the same."""
    try:
        return client.list_all(kind)
    except ApiFailure as failure:
        if failure.kind_missing:
            return ()
        raise


class _Asking:
    """Questions that are asked at the same time, until ``stop`` is set."""

    def __init__(self, client: Client, stop: threading.Event) -> None:
        self._client, self._stop = client, stop
        self._pods = _Pods(client)

    def ask(self, question: Question, around: Surroundings) -> Asked:
        """From one pod after the other, where samples are to come from several."""
        client, target, within = self._client, question.target, question.method == "exec"
        gone = () if within else probes.remove(client, target, around.leftovers)
        actions = tuple(f"removed leftover Job {target.namespace}/{name}" for name in gone)
        found: list[Asked] = []
        for place, wanted in probe.spread(target, around.pods, question.labels, question.samples, within=within):
            self._go_on()
            expected = probe.expectation(
                place, target.namespace, around.cluster, question.expect, question.resource, question.client_id
            )
            asked = Asked(place, expected, wanted=wanted, target_url=question.target_url, exchanges=question.exchanges)
            # A probe that asks Entra itself is changed by the webhook even where its workload is not yet.
            if within if question.exchanges else expected.path == token.WORKLOAD_IDENTITY:
                asked = mutations.look(client, target.namespace, asked, question.container if within else None)
            if not (asked.finding or asked.reason):
                try:
                    asked = self._inside(question, asked) if within else self._beside(question, asked, around)
                except Failure as failure:
                    self._go_on()
                    if not found:
                        raise
                    asked = replace(asked, reason=failure.sentence)
            found.append(asked)
        return replace(
            found[0],
            actions=(*actions, *(action for asked in found for action in asked.actions)),
            crowded_out=any(asked.crowded_out for asked in found),
            others=tuple(found[1:]),
        )

    def _beside(self, question: Question, asked: Asked, around: Surroundings) -> Asked:
        """From a throw-away pod, unless something stands against it."""
        client, target, place = self._client, question.target, asked.place
        if question.exchanges:
            place = probe.for_exchange(place)
        name = probes.new_name()
        reason = probe.obstacle(
            place, target.namespace, name, around.cluster, asks_nmi=not question.exchanges, **question.allowed
        )
        if reason:
            return replace(asked, reason=reason)
        limits = {
            "start_timeout": question.start_timeout,
            "timeout": token_questions.seconds(question, asked.wanted),
        }
        job = token_questions.job(question, place, name, asked.wanted)
        try:
            ran = probes.run(client, job, **limits, look=self._pod_of)
        except ApiFailure as failure:  # of the quota of Jobs
            if not token_questions.crowded_out(str(failure.error.get("message"))):
                raise
            return replace(asked, reason=failure.sentence, crowded_out=True)
        asked = replace(
            asked,
            place=probe.replace_node(place, ran.node),
            output=ran.output,
            reason=ran.reason,
            actions=(f"ran probe Job {target.namespace}/{name}" + (f" on {ran.node}" if ran.node else ""),),
            crowded_out=token_questions.crowded_out(ran.trouble),
        )
        if asked.lacks_token:
            asked = mutations.unchanged(client, target.namespace, asked, job["spec"]["template"], "The probe's pod")
        return asked

    def _pod_of(self, namespace: str, job: str) -> Object | None:
        self._go_on()
        return self._pods.of_job(namespace, job)

    def _inside(self, question: Question, asked: Asked) -> Asked:
        """From a running pod of the workload."""
        pod, target = asked.place.model, question.target
        if pod is None:
            return replace(asked, reason=f"No pod of {target} runs, so nothing could be asked in one.")
        metadata, spec = pod["metadata"], pod["spec"]
        containers = [entry["name"] for entry in spec["containers"]]
        default = (metadata.get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
        chosen = str(question.container or (default if default in containers else containers[0]))
        place = f"{metadata['namespace']}/{metadata['name']}"
        if chosen not in containers:
            raise Failure(f"Pod {place} has no container {chosen}, only {', '.join(containers)}.")
        asked = replace(asked, actions=(f"asked in pod {place}",))
        where = (str(metadata["name"]), target.namespace, chosen)
        # The latter for images with Python but without a shell.
        for command in (question.shell_command(), question.python_command()):
            output = self._until_known(*where, command, question.timeout + 60)
            if token_request.parse(output).tool:
                return self._more(question, replace(asked, output=output), where, command)
        reason = (
            f"Container {chosen} of pod {place} has neither a shell nor python3, so nothing could be asked in it: "
            "use method: probe_pod."
        )
        return replace(asked, reason=reason)

    def _more(self, question: Question, asked: Asked, where: tuple[str, str, str], command: t.Sequence[str]) -> Asked:
        """The other requests of the pod; what ends them early is the reason of those that are missing."""
        for _number in range(asked.wanted - 1):
            self._stop.wait(question.interval)
            self._go_on()
            try:
                output = self._until_known(*where, command, question.timeout + 60)
            except Failure as failure:
                self._go_on()
                return replace(asked, reason=failure.sentence)
            asked = replace(asked, output=f"{asked.output}\n{output}")
        return asked

    def _until_known(self, pod: str, namespace: str, container: str, command: t.Sequence[str], timeout: float) -> str:
        """What the command printed once NMI knew the pod, or at the end of the time for that."""
        end = time.monotonic() + token_questions.AGAIN_SECONDS
        while True:
            output = self._run(pod, namespace, container, command, timeout)
            if not token_questions.is_pod_unknown(output) or time.monotonic() > end or self._stop.wait(1):
                return output

    def _run(self, pod: str, namespace: str, container: str, command: t.Sequence[str], timeout: float) -> str:
        """What the command printed in a running container."""
        from websocket import WebSocketException

        what = label(POD, namespace, pod)
        try:
            with contextlib.closing(self._client.start(namespace, pod, container, command)) as stream:
                end = time.monotonic() + timeout
                while stream.is_open() and time.monotonic() < end:
                    self._go_on()
                    stream.run_forever(timeout=1)
                if stream.is_open():
                    raise Failure(
                        f"The command in {what} did not end within {timeout:.0f} seconds: raise timeout, or look at "
                        "the pod."
                    )
                return (stream.read_stdout(timeout=0) or b"").decode("utf-8", "replace")
        except (OSError, WebSocketException) as error:
            raise Failure(
                f"The connection to {what} broke before its answer ({type(error).__name__}: {error}): check that the "
                "pod still runs and run again, or use method: probe_pod."
            ) from error

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Failure("The run was interrupted before the answer; run it again.")


class _Pods:
    """The pods of probes, listed once for all that look at the same time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._namespaces: dict[str, _Listed] = {}

    def of_job(self, namespace: str, job: str) -> Object | None:
        """The pod; None where there is none (yet)."""
        with self._lock:
            listed = self._namespaces.setdefault(namespace, _Listed())
        with listed.lock:
            if time.monotonic() > listed.until:
                found = self._client.list_all(POD, namespace, labels=probe_job.PROBE_LABEL)
                listed.pods = {str((raw["metadata"].get("labels") or {}).get("job-name")): raw for raw in found}
                listed.until = time.monotonic() + _FRESH_SECONDS
            return listed.pods.get(job)


class _Listed:
    """The pods of one namespace by the names of their Jobs, and until when they are not listed again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.pods: dict[str, Object] = {}
