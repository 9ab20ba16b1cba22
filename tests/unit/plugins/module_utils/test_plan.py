# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last stretch of every module, driven through a real AnsibleModule and read from its standard output."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.azureops.pod_identity.plugins.module_utils import _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import KNOWN_AFTER_APPLY, Plan, Step

Leave = Callable[[Callable[[AnsibleModule], Any]], "tuple[int, dict[str, Any]]"]


@pytest.fixture
def leave(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Leave:
    """Run a job in a module; the exit status, what the module printed, and its warnings.

    Where a test before it has loaded the controller, Ansible shows a warning to the person instead of printing it.
    """
    flags = getattr(request, "param", {})

    def run(job: Callable[[AnsibleModule], Any]) -> tuple[int, dict[str, Any]]:
        with patch_module_args({f"_ansible_{name}": value for name, value in flags.items()}):
            module = AnsibleModule({}, supports_check_mode=True)
            warnings: list[str] = []
            monkeypatch.setattr(module, "warn", warnings.append)
            with pytest.raises(SystemExit) as left:
                job(module)
        return int(left.value.code or 0), {**json.loads(capsys.readouterr().out), "warnings": warnings}

    return run


def created(name: str) -> Change:
    return Change.of_object("create", "Vault", "team", name, "it is new")


def told(*names: str) -> list[dict[str, str]]:
    return [{"verb": "create", "kind": "Vault", "id": f"team/{name}", "why": "it is new"} for name in names]


def journal_plan(journal: list[str]) -> Plan:
    def write(name: str, answer: dict[str, Any] | None) -> Step:
        def apply() -> dict[str, Any] | None:
            journal.append(name)
            return answer

        return Step(f"Create {name}", created(name), apply=apply)

    return Plan(before={}, after={"id": KNOWN_AFTER_APPLY}, steps=(write("one", {"id": "1"}), write("two", None)))


def test_real_run_applies_in_order_and_returns_what_the_service_said(leave: Leave) -> None:
    journal: list[str] = []
    status, result = leave(lambda module: _plan.run(module, lambda: journal_plan(journal), key="state"))
    assert (status, journal) == (0, ["one", "two"])
    assert result["changed"] is True
    assert (result["actions"], result["changes"]) == (["Create one", "Create two"], told("one", "two"))
    assert result["state"] == {"id": "1"}
    assert "diff" not in result


@pytest.mark.parametrize("leave", [{"check_mode": True, "diff": True}], indirect=True)
def test_check_mode_writes_nothing_and_predicts_the_same_actions_and_diff(leave: Leave) -> None:
    journal: list[str] = []
    status, result = leave(lambda module: _plan.run(module, lambda: journal_plan(journal), key="state"))
    assert (status, journal) == (0, [])
    assert result["changed"] is True
    assert (result["actions"], result["changes"]) == (["Create one", "Create two"], told("one", "two"))
    assert result["state"] == {"id": KNOWN_AFTER_APPLY}
    assert result["diff"] == {"before": {}, "after": {"id": KNOWN_AFTER_APPLY}}


@pytest.mark.parametrize("leave", [{"check_mode": True}], indirect=True)
def test_check_mode_takes_the_answer_of_a_preview(leave: Leave) -> None:
    step = Step(
        "Apply it",
        created("it"),
        apply=lambda: pytest.fail("written in check mode"),
        preview=lambda: {"defaulted": True},
    )
    status, result = leave(lambda module: _plan.run(module, lambda: Plan({}, {}, (step,)), key="result"))
    assert status == 0
    assert result["result"] == {"defaulted": True}


def test_failure_in_the_middle_tells_what_was_done_and_what_was_not(leave: Leave) -> None:
    def refuse() -> None:
        raise Failure("Vault v1 refused; ask its owner.", error={"code": "Forbidden", "request_id": "r1"})

    steps = (Step("Create one", created("one"), apply=lambda: None), Step("Create two", created("two"), apply=refuse))
    status, result = leave(lambda module: _plan.run(module, lambda: Plan({}, {}, steps), key="state"))
    assert status == 1
    assert result["msg"] == "Vault v1 refused; ask its owner."
    assert result["error"] == {"code": "Forbidden", "request_id": "r1"}
    assert (result["changed"], result["actions"], result["failed_action"]) == (True, ["Create one"], "Create two")
    assert (result["changes"], [result["failed_change"]]) == (told("one"), told("two"))


def test_unknown_error_is_one_sentence_without_traceback(leave: Leave) -> None:
    def broken() -> Plan:
        raise KeyError("properties")

    status, result = leave(lambda module: _plan.run(module, broken, key="state"))
    assert status == 1
    assert "KeyError: 'properties'" in result["msg"]
    assert "Traceback" not in json.dumps(result)


@pytest.mark.parametrize("leave", [{"check_mode": True}], indirect=True)
def test_check_mode_accepts_a_predicted_value(leave: Leave) -> None:
    status, result = leave(
        lambda module: _plan.report(module, lambda: {"known": _plan.known(module, KNOWN_AFTER_APPLY)})
    )
    assert (status, result["known"]) == (0, False)


def test_real_run_refuses_a_predicted_value(leave: Leave) -> None:
    status, result = leave(
        lambda module: _plan.report(module, lambda: {"known": _plan.known(module, KNOWN_AFTER_APPLY)})
    )
    assert status == 1
    assert "pass the real value" in result["msg"]


def test_known_value_is_known(leave: Leave) -> None:
    assert leave(lambda module: _plan.report(module, lambda: {"known": _plan.known(module, "x")}))[1]["known"] is True


class Watch:
    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.warnings: list[str] = []

    def see(self, failure: Failure | None = None) -> None:
        self.results["gap"] = [1]
        self.warnings.append("A gap.")
        if failure:
            raise failure


def test_what_a_watch_saw_is_told(leave: Leave) -> None:
    watch = Watch()
    plan = Plan({}, {}, (Step("Change it", created("it"), watch.see),), watch=watch)
    status, result = leave(lambda module: _plan.run(module, lambda: plan, key="state"))
    assert (status, result["changed"], result["gap"]) == (0, True, [1])
    assert result["warnings"] == ["A gap."]


@pytest.mark.parametrize("results", [{}, {"changed": True}])
def test_it_is_told_of_a_failure_too_which_may_follow_a_change(leave: Leave, results: dict[str, Any]) -> None:
    watch = Watch()
    step = Step("Change it", created("it"), lambda: watch.see(Failure("It is lost.", results=results)))
    status, result = leave(lambda module: _plan.run(module, lambda: Plan({}, {}, (step,), watch=watch), key="state"))
    assert (status, result["changed"], result["gap"]) == (1, bool(results), [1])
    assert (result["actions"], result["failed_action"]) == ([], "Change it")
    assert (result["changes"], [result["failed_change"]]) == ([], told("it"))
    assert result["warnings"] == ["A gap."]


def test_a_wait_behind_a_write_that_fails_follows_a_change(leave: Leave) -> None:
    step = Step("Change it", created("it"), lambda: _plan.behind_write(lambda: Watch().see(Failure("It is lost."))))
    status, result = leave(lambda module: _plan.run(module, lambda: Plan({}, {}, (step,)), key="state"))
    assert (status, result["changed"], result["failed_action"]) == (1, True, "Change it")


@pytest.mark.parametrize("leave", [{"check_mode": True}], indirect=True)
def test_there_is_nothing_to_see_in_check_mode(leave: Leave) -> None:
    watch = Watch()
    plan = Plan({}, {}, (Step("Change it", created("it"), watch.see),), watch=watch)
    status, result = leave(lambda module: _plan.run(module, lambda: plan, key="state"))
    assert (status, "gap" in result, watch.warnings) == (0, False, [])


def test_steps_of_a_wave_run_together_and_the_next_wave_waits_for_all_of_them(leave: Leave) -> None:
    together, ended = threading.Barrier(3), []

    def member(name: str) -> Step:
        def apply() -> dict[str, Any]:
            together.wait(30)
            ended.append(name)
            return {"last": name}

        return Step(name, created(name), apply, wave=1)

    def behind() -> dict[str, Any]:
        return {"ended": sorted(ended)}

    steps = (*(member(name) for name in "abc"), Step("d", created("d"), behind, wave=2))
    status, result = leave(lambda module: _plan.run(module, lambda: Plan({}, {}, steps, at_once=3), key="state"))
    assert (status, result["actions"], result["state"]) == (0, ["a", "b", "c", "d"], {"ended": ["a", "b", "c"]})


def test_behind_a_failure_in_a_wave_no_other_step_begins(leave: Leave) -> None:
    began = []

    def begin(number: int) -> None:
        began.append(number)
        if number == 3:
            raise Failure("It broke.")

    steps = tuple(
        Step(str(number), created(str(number)), functools.partial(begin, number), wave=1 + number // 10)
        for number in range(20)
    )
    plan = Plan({}, {}, steps, at_once=1, extra_results={"planned": 20})
    status, result = leave(lambda module: _plan.run(module, lambda: plan, key="state"))
    assert (status, result["msg"], result["failed_action"], result["planned"]) == (1, "It broke.", "3", 20)
    assert (result["actions"], began, result["changed"]) == (["0", "1", "2"], [0, 1, 2, 3], True)
    assert (result["changes"], [result["failed_change"]]) == (told("0", "1", "2"), told("3"))
