# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of the checks counts what happened, and the staged copy is the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.gates import environments, runner, stage
from ansible_collections.azureops.pod_identity.tests.gates.runner import Counts, Runner


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(runner, "LOGS", tmp_path / "logs")
    return Runner()


def test_gates_are_counted(run: Runner) -> None:
    assert run.gate("good", ["true"])
    assert not run.gate("bad", ["sh", "-c", "echo the reason; exit 3"])
    run.skip("absent", "no such interpreter")
    assert str(run.counts) == "1 passed, 1 failed, 1 skipped"
    assert run.not_run == ["absent: no such interpreter"]
    assert run.failures == ["bad: exit status 3"]


def test_a_failure_shows_the_end_of_its_log(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    run.gate("bad", ["sh", "-c", "seq 1000; exit 1"])
    shown = capsys.readouterr().out
    assert "| 1000" in shown and "| 900\n" not in shown


def test_a_gate_that_takes_too_long_fails_and_is_ended(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT", 0.1)
    child = tmp_path / "pid"
    assert not run.gate("slow", ["sh", "-c", f"sleep 600 & echo $! > {child}; wait"], limit=0.3)
    assert run.counts == Counts(failed=1)
    _wait_until(lambda: _gone(int(child.read_text())))


def test_jobs_run_side_by_side_and_count_together(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "stage", lambda: tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for pipe in ("one", "two"):
        os.mkfifo(tmp_path / pipe)

    def meets(name: str, mine: str, other: str) -> Callable[[Runner], object]:
        def job(of: Runner) -> None:
            # Each waits until the other has begun.
            of.gate(name, ["sh", "-c", f"echo here > {tmp_path / mine} & cat {tmp_path / other}; wait"], limit=120)
            of.skip(name, f"{name} was half done")

        return job

    run.side_by_side([meets("first", "one", "two"), meets("second", "two", "one")])
    assert run.counts == Counts(passed=2, skipped=2)
    assert run.not_run == ["first: first was half done", "second: second was half done"]


def test_an_interrupted_run_ends_all_jobs(tmp_path: Path) -> None:
    script = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from tests.gates import runner\n"
        f"runner.LOGS, runner.stage = Path({str(tmp_path)!r}), lambda: Path({str(tmp_path)!r})\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "def job(number):\n"
        " command = f'cd {runner.LOGS}; echo $$ > new{number}; mv new{number} pid{number}; sleep 600'\n"
        " return lambda run: run.gate(f'job{number}', ['sh', '-c', command])\n"
        "runner.Runner().side_by_side([job(1), job(2)])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=stage.CHECKOUT)
    pids = [tmp_path / "pid1", tmp_path / "pid2"]
    _wait_until(lambda: all(pid.exists() for pid in pids))
    process.terminate()
    assert process.wait(20) == 143
    assert all(_gone(int(pid.read_text())) for pid in pids)


@pytest.mark.parametrize(
    ("source", "counts", "failure"),
    [
        ("def test_a(): pass\ndef test_b(): assert False", Counts(1, 1), "it: test_it::test_b: assert False"),
        ("import pytest\n@pytest.mark.skip(reason='why')\ndef test_a(): pass", Counts(0, 0, 1), None),
        ("nothing = 1", Counts(0, 1), "it: pytest ended with exit status 5"),
        ("this is no Python", Counts(0, 1), "it: ::test_it: collection failure"),
        ("import os\ndef test_a(): os._exit(7)", Counts(0, 1), "it: pytest ended with exit status 7"),
    ],
    ids=["passes-and-fails", "skips", "no-test", "not-collected", "crashes"],
)
def test_tests_are_counted(run: Runner, tmp_path: Path, source: str, counts: Counts, failure: str | None) -> None:
    (tmp_path / "test_it.py").write_text(source + "\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # names are relative to where this is
    run.pytest("it", Path(sys.executable), [str(tmp_path / "test_it.py"), "-p", "no:cacheprovider"])
    assert run.counts == counts
    assert run.not_run == (["it: why"] if counts.skipped else [])
    assert run.failures == ([failure] if failure else [])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a tracked, a new and an ignored file."""
    monkeypatch.setattr(stage, "CACHE", tmp_path / "cache")
    root = tmp_path / "checkout"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    for name in ("tracked", ".gitignore", "new", "ignored"):
        (root / name).write_text(f"{name}\n")
    (root / ".gitignore").write_text("ignored\n")
    subprocess.run(["git", "add", "tracked", ".gitignore"], cwd=root, check=True)
    return root


def test_the_staged_copy_follows_the_tree(checkout: Path) -> None:
    copy = stage.stage(checkout) / stage.COLLECTION
    assert _names(copy) == {"tracked", ".gitignore", "new"}
    before = (copy / "tracked").stat().st_mtime_ns
    (checkout / "new").unlink()
    (checkout / "new").mkdir()  # a folder where a file was
    (checkout / "new/link").symlink_to("../tracked")
    (checkout / ".gitignore").write_text("ignored\n*.pyc\n")
    (copy / "left-behind").touch()
    stage.stage(checkout)
    assert _names(copy) == {"tracked", ".gitignore", "new/link"}
    assert os.readlink(copy / "new/link") == "../tracked"
    assert (copy / ".gitignore").read_text() == "ignored\n*.pyc\n"
    assert (copy / "tracked").stat().st_mtime_ns == before
    (checkout / "tracked").unlink()
    stage.stage(checkout)
    assert _names(copy) == {".gitignore", "new/link"}


def test_an_interrupted_environment_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "one.txt").write_text("-r two.txt\n")
    (tmp_path / "two.txt").write_text("first\n")
    commands: list[list[str]] = []

    def make(works: bool) -> Callable[[list[str]], bool]:
        def run(command: list[str]) -> bool:
            commands.append(command)
            if "venv" in command:
                Path(command[-1]).mkdir(parents=True)
            return works or "venv" in command

        return run

    python = Path(sys.executable)
    with pytest.raises(RuntimeError, match="one.txt"):
        environments.environment("one", python, make(works=False))
    made = environments.environment("one", python, make(works=True))
    assert len(commands) == 4
    assert environments.environment("one", python, make(works=True)) == made and len(commands) == 4
    (tmp_path / "two.txt").write_text("second\n")  # what a file includes counts too
    assert environments.environment("one", python, make(works=True)) != made


def _names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has ended too."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["sandbox-up"], "tests/sandbox/sandbox up"),
        (["sandbox-exec", "COMMAND=az group list"], "tests/sandbox/sandbox exec -- az group list"),
        (["sandbox-azure", "COMMAND=log --json"], "tests/sandbox/sandbox azure log --json"),
    ],
)
def test_make_reaches_the_sandbox(arguments: list[str], command: str) -> None:
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", *arguments],
        cwd=stage.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == command
