# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""One verdict over several answers to the same question; a single answer is the case of one.

Entra refuses some requests although nothing is wrong with a federated credential (2 % of them: kedacore/keda#8152), and
NMI may fail on one node only, so that one answer proves little.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..diagnosis.catalogue import references
from . import token
from .probe_job import Place
from .token_request import Answer


@dataclass(frozen=True)
class Sample:
    """A request that was made, or could not be: from where, the answer and its verdict."""

    place: Place
    answer: Answer
    verdict: token.Verdict

    @property
    def kind(self) -> tuple[str, ...]:
        """What tells distinct answers apart."""
        found = self.verdict
        return found.verdict, found.code, found.error_code, found.answered_by, str(self.answer.status)


@dataclass(frozen=True)
class Outcome:
    """``shown`` is the sample that stands for all: one of the most frequent answers that are not right, if any is not.

    ``right`` of ``samples`` are; ``kinds`` are the distinct answers, the most frequent first.
    """

    verdict: token.Verdict
    shown: Sample
    right: int
    samples: tuple[Sample, ...]
    kinds: tuple[tuple[Sample, ...], ...]

    def view(self) -> dict[str, t.Any]:
        return {
            "asked": len(self.samples),
            "right": self.right,
            "rate": round(self.right / len(self.samples), 4),
            "answers": [_row(kind) for kind in self.kinds],
        }


def _row(kind: t.Sequence[Sample]) -> dict[str, t.Any]:
    first, found = kind[0].answer, kind[0].verdict
    return {
        "count": len(kind),
        "verdict": found.verdict,
        "code": found.code,
        "error_code": found.error_code,
        "answered_by": found.answered_by,
        "http_status": first.status,
        "message": found.message,
        "references": list(references(found.verdict)),
        "pods": sorted({sample.place.model_name for sample in kind} - {""}),
        "nodes": sorted({sample.place.node for sample in kind} - {""}),
    }


def outcome(samples: t.Sequence[Sample], expected: token.Expectation) -> Outcome:
    """The verdict over all samples, of which there is at least one.

    Right only if every one is; ``intermittent`` if some are right and some wrong; otherwise that of most of the wrong
    ones, where what was not obtained counts only if nothing else was.
    """
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.kind, []).append(sample)
    kinds = sorted((tuple(group) for group in groups.values()), key=len, reverse=True)
    wrong = [kind for kind in kinds if kind[0].verdict.verdict != token.OK]
    wrong.sort(key=lambda kind: kind[0].verdict.verdict == token.NOT_VERIFIED)
    shown = (wrong or kinds)[0][0]
    right = len(samples) - sum(map(len, wrong))
    verdict = _over(samples, shown, wrong, right, expected)
    return Outcome(verdict, shown, right, tuple(samples), tuple(kinds))


def _over(
    samples: t.Sequence[Sample],
    shown: Sample,
    wrong: t.Sequence[t.Sequence[Sample]],
    right: int,
    expected: token.Expectation,
) -> token.Verdict:
    found = shown.verdict
    if len(samples) == 1:
        return found
    clients = {str(claims.get("appid") or claims.get("azp")) for each in samples if (claims := each.answer.claims)}
    if not wrong and not expected.client_id and len(clients) > 1:
        return token.ambiguous(
            found, f"{len(samples)} requests without client_id got tokens of {len(clients)} client ids"
        )
    if not wrong:
        return replace(found, message=f"{_without_stop(found.message)}, {right} of {len(samples)} times.")
    others = ", ".join(f"{len(kind)} {kind[0].verdict.verdict}" for kind in wrong)
    count = f"{right} of {len(samples)} requests got the right token, the others not ({others})"
    if right and found.verdict != token.NOT_VERIFIED:
        return replace(found, verdict="intermittent", code="V16", message=f"{count}. {found.message}")
    return replace(found, message=f"{count}. {found.message}")


def _without_stop(message: str) -> str:
    return message[:-1] if message.endswith(".") else message
