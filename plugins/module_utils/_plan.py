# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The last stretch of every module: from a plan to check mode, diff, writes and the result.

This is the only file that reads ``check_mode`` and the only one that builds a diff, so that a prediction and the
real run cannot come from different code.
"""

from __future__ import annotations

import itertools
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import _progress
from ._domain.change import Change
from ._domain.errors import Failure
from ._domain.printed import printed

Document = t.Mapping[str, t.Any]
T = t.TypeVar("T")

# Stands under its normal key for a value that Azure assigns only when the resource is created.
KNOWN_AFTER_APPLY = "(known after apply)"


class Module(t.Protocol):
    """What is used of an AnsibleModule; an action plugin has something else that does the same."""

    check_mode: bool
    _diff: bool
    _name: str

    def warn(self, warning: str) -> None: ...

    def exit_json(self, **results: t.Any) -> t.NoReturn: ...

    def fail_json(self, msg: str, **results: t.Any) -> t.NoReturn: ...


@dataclass(frozen=True)
class Step:
    """One write. ``apply`` returns the resource as the service now reports it, or None where that adds nothing.

    ``summary`` tells people what ``change`` tells programs.
    ``preview`` asks the server for the same answer without writing (Kubernetes dry run); None where it cannot.
    Neighbours of one ``wave`` do not depend on each other and are carried out at the same time; 0 is a step alone.
    ``needs``: what whoever carries it out must be allowed, apart from reading.
    """

    summary: str
    change: Change
    apply: t.Callable[[], Document | None]
    preview: t.Callable[[], Document | None] | None = None
    wave: int = 0
    needs: tuple[Need, ...] = ()


class Need(t.Protocol):
    """A permission, which can be compared; see ``_domain/needs.py``, which is not sent to nodes."""

    def entry(self) -> dict[str, t.Any]: ...


class Watch(t.Protocol):
    """What looks around while the steps are applied: further results, and warnings, for which it has had a reason."""

    results: dict[str, t.Any]
    warnings: list[str]


@dataclass(frozen=True)
class Plan:
    """What is, what will be, and the writes between them. No step means: nothing to do.

    ``before`` and ``after`` are what the diff shows; an absent resource is ``{}``. ``result`` is what the module
    returns when no step says better; without it that is ``after``. ``extra_results`` go with these, also
    with those of a failure. At most ``at_once`` steps of a wave are carried out at the same time.
    """

    before: Document
    after: Document
    steps: tuple[Step, ...] = ()
    result: Document | None = None
    warnings: tuple[str, ...] = ()
    watch: Watch | None = None
    extra_results: Document = field(default_factory=dict)
    at_once: int = 10


def run(module: Module, make_plan: t.Callable[[], Plan], *, key: str) -> t.NoReturn:
    """Make the plan, carry it out unless in check mode, and leave with the result under ``key``."""
    guarded(module, lambda: _finish(module, make_plan(), key))


def report(module: Module, observe: t.Callable[[], Document]) -> t.NoReturn:
    """Leave with what ``observe`` returns; for modules that only look."""
    guarded(module, lambda: module.exit_json(changed=False, **observe()))


def known(module: Module, value: str | None) -> bool:
    """Whether ``value`` is known yet. A predicted value is accepted in check mode only."""
    if value != KNOWN_AFTER_APPLY:
        return True
    if not module.check_mode:
        raise Failure(
            f"The value {KNOWN_AFTER_APPLY!r} stands for something that check mode could not know; "
            "pass the real value, for example from the result of the task that created the resource."
        )
    return False


def behind_write(wait: t.Callable[[], T]) -> T:
    """What is waited for at the end of a step; where that fails, the step has changed something all the same."""
    try:
        return wait()
    except Failure as failure:
        failure.results["changed"] = True
        raise


def predicting(module: Module) -> bool:
    """Whether only a prediction is asked for, so that nothing is waited for, and nothing made just to look."""
    return bool(module.check_mode)


def guarded(module: Module, job: t.Callable[[], t.Any]) -> t.NoReturn:
    """Run ``job``, which leaves the module itself; whatever is raised becomes one sentence and data."""
    _progress.begin(module)
    try:
        job()
    except Failure as failure:
        _fail(module, failure)
    except Exception as error:  # a defect of ours must not reach a person as a traceback either
        _fail(
            module,
            Failure(
                f"{module._name} met an error that it does not know ({type(error).__name__}: {error}); "
                "this is a defect of azureops.pod_identity, please report it with this message."
            ),
        )
    raise SystemExit("the job of a module returned without a result")


def _finish(module: Module, plan: Plan, key: str) -> None:
    for warning in plan.warnings:
        module.warn(printed(warning))
    outcome = plan.after if plan.result is None else plan.result
    needed = {"permissions": _permissions(plan.steps)} if module.check_mode else {}
    done: list[Step] = []
    for wave in _waves(plan.steps):
        ended = _carry_out(wave, plan.at_once, predict=module.check_mode)
        done += [step for step, dummy, failure in ended if failure is None]
        outcome = next((answer for dummy, answer, failure in reversed(ended) if answer), outcome)
        for step, failure in [(step, failure) for step, dummy, failure in ended if failure]:
            results = {**_extra_results(module, plan), **needed, **failure.results}
            # A step may have failed after its write.
            begun = bool(results.get("changed")) and not module.check_mode
            results["changed"] = begun or (bool(done) and not module.check_mode)
            results.update(
                _told(done), begun=begun, failed_action=printed(step.summary), failed_change=step.change.view()
            )
            raise Failure(failure.sentence, error=failure.error, results=results) from failure
    result = {
        **_extra_results(module, plan),
        **needed,
        "changed": bool(plan.steps),
        **_told(done),
        key: dict(outcome),
    }
    if module._diff:
        result["diff"] = {"before": dict(plan.before), "after": dict(plan.after)}
    module.exit_json(**result)


def _told(done: t.Sequence[Step]) -> dict[str, t.Any]:
    return {"actions": [printed(step.summary) for step in done], "changes": [step.change.view() for step in done]}


def _permissions(steps: t.Iterable[Step]) -> list[dict[str, t.Any]]:
    return [need.entry() for need in dict.fromkeys(need for step in steps for need in step.needs)]


def _waves(steps: t.Iterable[Step]) -> t.Iterator[list[Step]]:
    for wave, members in itertools.groupby(steps, key=lambda step: step.wave):
        if wave:
            yield list(members)
        else:
            yield from ([step] for step in members)


def _carry_out(
    wave: t.Sequence[Step], at_once: int, *, predict: bool
) -> list[tuple[Step, Document | None, Failure | None]]:
    """The steps that were begun, in their order, each with its answer or failure; behind a failure none begins."""
    failed = threading.Event()

    def attempt(step: Step) -> tuple[Step, Document | None, Failure | None] | None:
        if failed.is_set():
            return None
        write = step.preview if predict else step.apply
        try:
            return step, write() if write else None, None
        except Failure as failure:
            failed.set()
            return step, None, failure
        except BaseException:
            failed.set()
            raise

    if len(wave) == 1:
        attempts = [attempt(wave[0])]
    else:
        with ThreadPoolExecutor(at_once) as pool:
            attempts = list(pool.map(attempt, wave))
    return [ended for ended in attempts if ended]


def _extra_results(module: Module, plan: Plan) -> dict[str, t.Any]:
    for warning in plan.watch.warnings if plan.watch else ():
        module.warn(printed(warning))
    return {**plan.extra_results, **(plan.watch.results if plan.watch else {})}


def _fail(module: Module, failure: Failure) -> t.NoReturn:
    results = dict(failure.results)
    if failure.error:
        results["error"] = failure.error
    module.fail_json(msg=failure.sentence, **results)
