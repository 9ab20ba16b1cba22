# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""The requests for tokens that one run makes, and what became of each."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..errors import Failure
from ..installation.workload_identity_webhook import PROXY_ANNOTATION, SKIP_ANNOTATION
from . import exchange, probe_job, sampling, target, token, token_request

Raw = t.Mapping[str, t.Any]

# What is asked unless the options say otherwise: for what, from which image, and how many seconds it may take.
RESOURCE, IMAGE = "https://management.azure.com/", "mcr.microsoft.com/azurelinux/base/core:3.0"
TIMEOUT, START_TIMEOUT, OWNER = 180, 120, "default"
# How many are asked at the same time.
AT_ONCE = 25
_ALLOWED = ("allow_detach", "allow_unready_endpoints", "allow_blocked_evictions")
# What names the pods of a workload, and the rest that stands in an entry alone where there are several.
OF_ENTRY = ("namespace", "selector", "pod", "service_account", "node", "client_id", "expect", "container", "target_url")
# NMI may not know a pod yet that has just got its address.
AGAIN_SECONDS = 60
# How long the program waits for the target.
TARGET_SECONDS = 30
# A probe keeps all answers in its log.
MOST_SAMPLES = 500
# Without anything to sleep with, the answer stands as it is, and is the only one.
_AGAIN = r"""
seconds=$1 samples=$2 interval=$3
shift 3
while :; do
  end=$(($(date +%s) + seconds))
  while answer=$("$@"); do
    case "$answer" in *'match pod IP'* | *'pod list is empty'*) ;; *) break ;; esac
    [ "$(date +%s)" -lt "$end" ] && sleep 1 || break
  done
  printf '%s\n' "$answer"
  samples=$((samples - 1))
  [ "$samples" -gt 0 ] && sleep "$interval" || break
done
"""
# A probe that asks Entra itself needs no proxy, which would keep its Job from ending, and skips no container.
_OF_PROXY = (PROXY_ANNOTATION, SKIP_ANNOTATION)
_NOT_MADE = "The request was not made or its result is incomplete, so nothing is known."


@dataclass(frozen=True)
class Question:
    """The requests for one token, as the options say it; ``allowed`` are the ``allow_*`` options.

    ``path``: whom the request goes to, the metadata address (POD_IDENTITY) or Entra itself (WORKLOAD_IDENTITY).
    ``samples`` are made, in each pod one ``interval`` (seconds) after the other. A token that is right is shown to
    ``target_url`` if there is one.
    """

    target: probe_job.Target
    resource: str = RESOURCE
    client_id: str | None = None
    expect: t.Mapping[str, str | None] = field(default_factory=dict)
    method: str = "probe_pod"
    container: str | None = None
    image: str = IMAGE
    labels: t.Mapping[str, t.Any] = field(default_factory=dict)
    timeout: int = TIMEOUT
    start_timeout: int = START_TIMEOUT
    owner: str = OWNER
    samples: int = 1
    interval: int = 0
    target_url: str = ""
    allowed: t.Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys(_ALLOWED, False))
    path: str = token.POD_IDENTITY

    @property
    def exchanges(self) -> bool:
        """Whether Entra itself is asked, with the token of the service account."""
        return self.path == token.WORKLOAD_IDENTITY

    def shell_command(self) -> list[str]:
        """The program that asks; python_command() is the same for images without a shell."""
        request = (self.resource, self.client_id, self.timeout)
        if self.exchanges:
            return exchange.shell_command(*request, target=self.target_url)
        return token_request.shell_command(*request, target=self.target_url)

    def python_command(self) -> list[str]:
        request = (self.resource, self.client_id, self.timeout)
        if self.exchanges:
            return exchange.python_command(*request, target=self.target_url)
        return token_request.python_command(*request, target=self.target_url)

    @classmethod
    def parse(cls, options: Raw) -> Question:
        places = {name: options[name] or "" for name in ("namespace", "selector", "pod", "service_account", "node")}
        same = ("resource", "client_id", "method", "container", "image", "timeout", "start_timeout", "owner", "samples")
        return cls(
            target=probe_job.Target(**places),
            expect=options["expect"] or {},
            labels=options["labels"] or {},
            interval=options["sample_interval"],
            target_url=options["target_url"] or "",
            allowed={name: options[name] for name in _ALLOWED},
            path=options["path"],
            **{name: options[name] for name in same},
        )


@dataclass(frozen=True)
class Asked:
    """What became of the requests from one pod: the answers as the program printed them, or why there are none.

    ``wanted``: how many requests. ``reason``: why there are none, or fewer. ``finding``: what was wrong before anything
    was asked. ``crowded_out``: the reason passes once other probes are gone. ``others``: the same from further pods.
    ``exchanges``: as of the question.
    """

    place: probe_job.Place
    expected: token.Expectation
    output: str = ""
    reason: str = ""
    actions: tuple[str, ...] = field(default=())
    crowded_out: bool = False
    wanted: int = 1
    target_url: str = ""
    finding: token.Verdict | None = None
    others: tuple[Asked, ...] = ()
    exchanges: bool = False

    @property
    def lacks_token(self) -> bool:
        """Whether Entra could not be asked, because the webhook has not changed the pod of the probe."""
        answers = token_request.parse_all(self.output) if self.exchanges else ()
        return bool(answers) and not exchange.is_mutated(answers[0].exchange)

    def samples(self) -> tuple[sampling.Sample, ...]:
        """One for each request that was to be made."""
        mine = [sampling.Sample(self.place, answer, verdict) for answer, verdict in self._verdicts()]
        return (*mine, *(sample for other in self.others for sample in other.samples()))

    def _verdicts(self) -> t.Iterator[tuple[token_request.Answer, token.Verdict]]:
        if self.finding:
            yield token_request.Answer(), self.finding
            return
        answers = token_request.parse_all(self.output)[: self.wanted]
        for answer in answers:
            judge = exchange.judge if self.exchanges else token.judge
            verdict = judge(answer, self.expected)
            yield answer, target.judge(verdict, answer, self.target_url, self.expected.identity or "the identity")
        for _number in range(self.wanted - len(answers)):
            yield token_request.Answer(), token.not_verified(self.reason or _NOT_MADE)

    def outcome(self) -> sampling.Outcome:
        return sampling.outcome(self.samples(), self.expected)


def parse(options: Raw) -> list[Question]:
    """The questions in the order of ``workloads``; what an entry leaves out is as the other options say.

    Without ``workloads`` it is the one of the other options. Raises a Failure for an ``at_once`` or ``samples`` below
    1, a negative ``sample_interval``, and for no entry at all.
    """
    if options["at_once"] < 1:
        raise Failure(
            f"at_once is {options['at_once']}; set how many requests may be made at the same time, at least 1."
        )
    if not 1 <= options["samples"] <= MOST_SAMPLES:
        raise Failure(f"samples is {options['samples']}; set how many requests are made, 1 to {MOST_SAMPLES}.")
    if options["sample_interval"] < 0:
        raise Failure(f"sample_interval is {options['sample_interval']}; set seconds between two requests, 0 or more.")
    if options["workloads"] is not None and not options["workloads"]:
        raise Failure("workloads is empty, so nothing would be asked: name at least one workload, or leave it out.")
    entries = options["workloads"] or [{}]
    given = ({key: value for key, value in entry.items() if value is not None} for entry in entries)
    questions = [Question.parse({**options, **entry}) for entry in given]
    for question in questions:
        if question.target_url:
            target.check(question.target_url, options["target_hosts"] or ())
        if question.exchanges and question.expect.get("path") == token.POD_IDENTITY:
            raise Failure(
                f"For {question.target} path is workload_identity and expect.path is pod_identity, and Entra itself is "
                "never asked by NMI's way: leave expect.path out."
            )
    return questions


def not_asked(question: Question, reason: str) -> Asked:
    """Of what has no verdict, and of whose pods nothing is known."""
    target = question.target
    place = probe_job.Place(None, target.node, target.selector, target.service_account, {})
    client_id = question.expect.get("client_id") or ""
    return Asked(place, token.Expectation(question.resource, client_id=client_id), reason=reason)


def seconds(question: Question, wanted: int) -> int:
    """How long so many requests from one pod may take."""
    once = question.timeout + AGAIN_SECONDS + (TARGET_SECONDS if question.target_url else 0)
    return wanted * once + (wanted - 1) * question.interval


def job(question: Question, place: probe_job.Place, name: str, wanted: int = 1) -> probe_job.Object:
    """The Job of a probe that makes so many requests, and asks again while NMI does not know its pod."""
    made = probe_job.job(
        place,
        question.target,
        name=name,
        owner=question.owner,
        image=question.image,
        resource=question.resource,
        client_id=question.client_id,
        timeout=question.timeout,
        start_timeout=question.start_timeout,
        target_url=question.target_url,
    )
    made["spec"]["activeDeadlineSeconds"] += seconds(question, wanted) - question.timeout
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["command"] = again(question.shell_command(), samples=wanted, interval=question.interval)
    if question.exchanges:
        annotations = made["spec"]["template"]["metadata"]["annotations"]
        for name in _OF_PROXY:
            annotations.pop(name, None)
    return made


def again(command: t.Sequence[str], seconds: int = AGAIN_SECONDS, samples: int = 1, interval: int = 0) -> list[str]:
    """A command that asks until NMI knows the pod, for so many seconds, and prints the last answer; ``samples`` times,
    with so many seconds in between."""
    return ["sh", "-c", _AGAIN, "again", str(seconds), str(samples), str(interval), *command]


def is_pod_unknown(output: str) -> bool:
    """Whether NMI answered that it does not know the pod."""
    answer = token_request.parse(output)
    return answer.status >= 400 and token.is_pod_unknown(answer.body)


def crowded_out(reason: str) -> bool:
    """Whether a pod was refused or ended for want of room: a full node, or a quota that is used up."""
    return reason.startswith(("OutOf", "Evicted")) or "exceeded quota" in reason
