# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who answers a plain pod at the metadata address: a request that names no resource, so that no token can come back."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, replace

from ..errors import Failure
from ..tokens import responder, token_request

NO_RESOURCE = ""
_TIMED_OUT = 28  # curl's


@dataclass(frozen=True)
class Finding:
    """``proved``: the metadata service itself answered, so that no rule of NMI stands in the way."""

    answered_by: str
    proved: bool
    message: str


NO_POD = "No pod with a network of its own runs on the node, so none could be entered."
NO_RANGE = "Which addresses the node's pods have is not known, so nothing was asked from one; set pod_cidr."


def wrong_range(pod_cidr: str) -> str:
    return f"pod_cidr is {pod_cidr}; give a range of IPv4 addresses, such as 10.244.1.0/24."


def none_free(pod_cidr: str) -> str:
    return f"No address of {pod_cidr} is free on the node, so nothing was asked."


def no_namespace(why: str) -> str:
    return f"A namespace to ask from could not be made: {why}"


def asked_beside(address: str) -> str:
    return f"asked from {address} in a namespace that is gone again"


def in_turn(methods: t.Sequence[str], ask: t.Callable[[str], tuple[Finding, list[str]]]) -> dict[str, t.Any]:
    """The result of asking one way after the other until somebody is known to answer."""
    if not methods:
        raise Failure("method is empty; name at least one way to ask.")
    finding, method = unknown(""), ""
    actions: list[str] = []
    for method in methods:
        earlier = finding.message
        finding, done = ask(method)
        actions += done
        if finding.answered_by != responder.UNKNOWN:
            break
        finding = unknown(f"{earlier} {finding.message}".strip())
    return {"answer": {"method": method, **asdict(finding)}, "actions": actions}


def part(methods: t.Sequence[str], ask: t.Callable[[str], tuple[Finding, list[str]]]) -> dict[str, t.Any]:
    """The answer as a part of another module's result, which nothing that goes wrong with the question makes fail."""
    try:
        return {"answer": in_turn(methods, ask)["answer"]}
    except Failure as failure:
        reason = failure.sentence
    except Exception as error:  # of a connection, of the node's kernel
        cause = " ".join(str(error).split()) or type(error).__name__
        reason = f"Who answers pods could not be asked ({cause}); run the task again."
    return {"answer": {"method": "", **asdict(unknown(reason))}}


def unknown(reason: str) -> Finding:
    """Nothing is known."""
    return Finding(responder.UNKNOWN, False, reason)


def find(output: str) -> Finding:
    """What the printed answer proves. Silence proves nothing: who is kept from asking hears as little."""
    answer = token_request.parse(output)
    who = responder.UNKNOWN if answer.exit_code is None else responder.answered_by(answer)
    if who == responder.IMDS:
        return Finding(who, True, "The metadata service itself answers pods there.")
    if who == responder.NMI:
        return Finding(who, False, "NMI still answers pods there.")
    if who == responder.PROXY:
        return Finding(who, False, "The proxy of Workload ID answers pods there.")
    if who == responder.NOBODY and answer.exit_code == _TIMED_OUT:
        return unknown(
            f"No answer came within {answer.seconds:.0f} seconds: a network policy, AKS's restriction of IMDS, or a "
            "rule that leads nowhere may hold it back."
        )
    told = responder.unclear(answer) if answer.status and answer.exit_code is not None else responder.silence(answer)
    return Finding(who, False, told.message)


def find_beside(output: str, address: str) -> Finding:
    """What an answer proves that went to a free address of the pods, in a namespace which is no pod's.

    The request takes a pod's way through the nat table.
    """
    finding = find(output)
    if finding.proved:
        return replace(finding, message=f"The metadata service itself answers {address}, a free address of pods there.")
    hint = f" It was asked from {address}"
    hint += (
        ", and some networks let no answer in for an address that no pod has."
        if finding.answered_by == responder.UNKNOWN
        else "."
    )
    return replace(finding, message=finding.message + hint)
