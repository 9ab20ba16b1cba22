# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Decisions of the role imds_node_cleanup: whether a way leads to a node, which node goes when, how its clean-up ended.

Results of nodes are dictionaries, as the role's README documents them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from . import token

Object = t.Mapping[str, t.Any]
ENDED_WELL = ("clean", "cleaned")
POD = "aks_node_pod"
# Files of the role with what a node goes on with that does not go its way with most others.
UNTOUCHED, UNREACHED, STOPPED, FIRST = "untouched.yml", "unreached.yml", "stopped.yml", "canary.yml"

# One command for every way: who am I, where, and which Python is there.
HELLO = (
    'echo "user=$(id -u)"; echo "host=$(cat /proc/sys/kernel/hostname)"; '
    "for python in python3 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/libexec/platform-python; do "
    "path=$(command -v $python) && \"$path\" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && "
    'echo "python=$path" && break; done; true'
)


@dataclass(frozen=True)
class Access:
    """What is there at the end of a way; an empty ``problem`` where it leads to the node."""

    problem: str
    user: str = ""
    python: str = ""


@dataclass(frozen=True)
class Host:
    """A host of the play: what is known of its node, the answers over the ways that were tried, and its result."""

    name: str
    node: Object = field(default_factory=dict)
    answers: t.Sequence[Object] = ()
    result: Object = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What the hosts of a batch do next, by host; what it says of a host that it does not name is nothing.

    ``askers`` names the host that asks about the cluster. ``go`` are cleaned side by side; ``waiting`` are reached as
    well and are not. Some hosts go on with a file of the role, that of ``next``. ``pods`` were tried over a pod, which
    has to go again.
    """

    stopped_by: str
    askers: t.Mapping[str, str]
    begun: t.Mapping[str, Object]
    next: t.Mapping[str, str]
    canary: str = ""
    access: t.Mapping[str, Object] = field(default_factory=dict)
    go: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    chosen: bool = False


@dataclass(frozen=True)
class Ended:
    """The result of a node after its clean-up; ``proves``: who answers its pods is to be known as well.

    ``more``: something is left to do for that, or for the tables that were saved.
    """

    result: Object
    proves: bool
    more: bool


def accessed(output: str, errors: str, name: str | None) -> Access:
    """What the output of ``HELLO`` tells of the machine that answered, where the node of that name should."""
    lines = [line.strip().partition("=") for line in output.splitlines()]
    said = {key: value for key, dummy, value in lines if key in ("user", "host", "python")}
    user, host, python = (said.get(key, "") for key in ("user", "host", "python"))
    if "user" not in said:
        return Access(errors.strip() or "it does not run commands")
    if name is not None and name.lower() != host.lower():
        return Access(f"another machine answers there, {host}")
    return Access("", user, python)


def begin(play: t.Sequence[Host], batch: t.Sequence[str]) -> Batch:
    """Before any node of the batch is looked at: nothing is chosen."""
    hosts = _of(play, batch)
    first: dict[tuple[str, str], str] = {}
    for host in hosts:
        if host.node.get("os", "linux") == "linux":
            first.setdefault(_cluster(host), host.name)
    return Batch(
        stopped_by=_stopped_by(play),
        askers={host.name: first[_cluster(host)] for host in hosts if host.node and _cluster(host) in first},
        begun={host.name: _begun(host, []) for host in hosts},
        next={host.name: UNTOUCHED for host in hosts},
    )


def choose(play: t.Sequence[Host], batch: t.Sequence[str], earlier: Batch) -> Batch:
    """Choose who goes on. Until one node of the run has ended well, one goes alone.

    What is left of an earlier result of a host that has not gone on yet does not count.
    """
    unfinished = {*earlier.go, *earlier.waiting} - earlier.next.keys() if earlier.chosen else set(batch)
    hosts = [host for host in _of(play, batch) if host.name in unfinished]
    ended = [host for host in play if host.name not in unfinished]
    attempts = {host.name: [_attempt(answer) for answer in host.answers] for host in _of(play, batch)}
    begun = {host.name: _begun(host, attempts[host.name]) for host in hosts}
    stopped_by = earlier.stopped_by or _stopped_by(ended)
    proved = any(host.result.get("transport") and host.result.get("outcome") in ENDED_WELL for host in ended)
    reached = [host.name for host in hosts if begun[host.name]["transport"]]
    canary = "" if proved or stopped_by or not reached else reached[0]
    following = {host.name: UNREACHED if host.answers else UNTOUCHED for host in hosts if host.name not in reached}
    if stopped_by:
        following.update(dict.fromkeys(reached, STOPPED))
    elif canary:
        following[canary] = FIRST
    return Batch(
        stopped_by=stopped_by,
        askers=earlier.askers,
        begun={**earlier.begun, **begun},
        next=following,
        canary=canary,
        access={**earlier.access, **{host.name: _way(host)["access"] for host in hosts if host.name in reached}},
        go=() if canary or stopped_by else tuple(reached),
        waiting=tuple(reached) if canary or stopped_by else (),
        pods=tuple(name for name, tried in attempts.items() if any(one["transport"] == POD for one in tried)),
        chosen=True,
    )


def ended(begun: Object, done: Object, *, first: bool, force: bool, check_mode: bool) -> Ended:
    """The result of a node, of which ``begun`` is the beginning and ``done`` what the clean-up returned."""
    back_ends = list(done.get("result", {}).get("backends", {}).values())
    outcome = _outcome(done, force)
    result: dict[str, t.Any] = {
        **begun,
        **{key: [each for one in back_ends for each in one[key]] for key in ("found", "removed", "left")},
        "outcome": outcome,
        "stops": "taken" in done or (first and outcome == "error"),
        "reason": _sentences([] if outcome in ENDED_WELL else [str(done.get("msg", ""))], [str(begun["reason"])]),
    }
    proves = outcome in ENDED_WELL and not check_mode
    answer: Object = done.get("answer", {})
    proved = proves and answer.get("answered_by") == token.IMDS and bool(answer.get("proved"))
    if proved:
        result.update(proof=answer["answered_by"], proof_method=answer["method"])
    saved = any(one.get("saved_to") for one in back_ends)
    return Ended(result, proves, more=saved or (proves and not proved))


def _outcome(done: Object, force: bool) -> str:
    if done.get("unreachable"):
        return "unreachable"
    if done.get("failed"):
        living = done.get("result", {}).get("nmi") and not force and "taken" not in done
        return "refused" if living else "error"
    return "cleaned" if done.get("changed") else "clean"


def _of(play: t.Sequence[Host], batch: t.Sequence[str]) -> list[Host]:
    return [host for host in play if host.name in set(batch)]


def _cluster(host: Host) -> tuple[str, str]:
    return str(host.node.get("cluster_name", "")), str(host.node.get("resource_group", ""))


def _stopped_by(hosts: t.Sequence[Host]) -> str:
    """The host that stopped the run, the last one where several did."""
    return next((host.name for host in reversed(hosts) if host.result.get("stops")), "")


def _attempt(answer: Object) -> dict[str, str]:
    problem = answer.get("access", {}).get("problem")
    if problem is None:
        kind = "it does not answer" if answer.get("unreachable") else "it does not run commands"
        problem = str(answer.get("msg") or "").strip() or kind
    return {"transport": answer["transport"], "problem": problem}


def _way(host: Host) -> Object:
    """What was answered over the way that leads to the node."""
    return next(answer for answer in host.answers if "access" in answer and _attempt(answer)["problem"] == "")


def _begun(host: Host, attempts: list[dict[str, str]]) -> Object:
    """A result without an outcome."""
    return {
        "node": host.node.get("name", host.name),
        "outcome": "",
        "reason": "",
        "transport": "".join(one["transport"] for one in attempts if not one["problem"]),
        "attempts": attempts,
        **{key: [] for key in ("found", "removed", "left", "saved")},
        "proof": "",
        "proof_method": "",
    }


def _sentences(*parts: t.Sequence[str]) -> str:
    return " ".join(dict.fromkeys(sentence for part in parts for sentence in part if sentence))
