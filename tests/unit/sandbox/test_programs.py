# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox's builds promise: keys follow contents, and what was interrupted is never taken for whole."""

from __future__ import annotations

import io
import itertools
import os
import pty
import re
import signal
import subprocess
import sys
import tarfile
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pytest

from ansible_collections.azureops.pod_identity.tests.unit.tables import table
from azsandbox import builds, execution_environment, images, paths, programs, progress, toolenvs
from azsandbox.progress import BuildError, Item, Work, build, output, run, whole


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "azureops-pod-identity"


def python(code: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(paths.SANDBOX)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)


# Keys


def test_paths_follow_the_environment(cache: Path) -> None:
    assert cache == paths.CACHE
    assert cache / "programs" in paths.BIN.parents
    assert cache / "programs" in paths.CHARTS.parents


def test_a_digest_tells_its_parts_apart() -> None:
    assert paths.digest("ab", "c") != paths.digest("a", "bc")
    assert paths.digest("ab") == paths.digest(b"ab")


@pytest.mark.parametrize("change", ["content", "name", "more"])
def test_a_tree_digest_notices(change: str, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub/file").write_text("one")
    before = paths.tree_digest(root)
    assert paths.tree_digest(root) == before
    match change:
        case "content":
            (root / "sub/file").write_text("two")
        case "name":
            (root / "sub/file").rename(root / "sub/other")
        case "more":
            (root / "empty").touch()
    assert paths.tree_digest(root) != before


def test_a_row_is_named_by_what_its_go_mod_requires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "GOMODS", tmp_path)
    (tmp_path / "x").mkdir()
    go_mod = tmp_path / "x/go.mod"
    row = programs.Row("x", "example.com/x", {"x": "example.com/x/cmd/x"})
    go_mod.write_text(
        "module y\n\ngo 1.24.3\n\nrequire (\n\texample.com/x/extra v9.9.9\n\texample.com/x v1.2.3 // indirect\n)\n"
    )
    assert (row.version, row.go_version) == ("v1.2.3", (1, 24, 3))
    before = row.key
    go_mod.write_text("module y\n\ngo 1.24.3\n\nrequire example.com/x v1.2.4\n")
    assert row.version == "v1.2.4"
    assert row.key != before
    go_mod.write_text("module y\n\ngo 1.24.3\n")
    with pytest.raises(BuildError, match=r"does not require example\.com/x"):
        str(row.version)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is made, by title; nothing really is."""
    titles: list[str] = []

    def pretended(items: Sequence[Item], out: TextIO | None) -> None:
        titles.extend(item.title.removeprefix("Python environment ").partition(" ")[0] for item in items)

    monkeypatch.setattr(progress, "build", pretended)
    monkeypatch.setattr(programs, "_go_items", list)
    return titles


EVERY_SANDBOX = {"Debian", "ansible", "collections", "etcd", "coredns", "kubernetes", "containerd", "helm"} | {
    "aad-pod-identity",
    "registry",
}


@table(
    "parts, wanted",
    (["sandbox"], EVERY_SANDBOX),
    (["debian"], {"Debian"}),
    (["az"], {"az"}),
    (["browser"], {"chromium"}),
    (["azcollection"], {"collections", "azcollection"}),
    (["workload-identity"], {"workload-identity", "token-app"}),
    (["sandbox", "workload-identity"], EVERY_SANDBOX | {"workload-identity", "token-app"}),
)
def test_a_part_is_what_it_needs_and_nothing_else(parts: list[str], wanted: set[str], made: list[str]) -> None:
    builds.build(parts)
    assert sorted(made) == sorted(wanted)


@pytest.mark.parametrize("other", [None, toolenvs.Environment("ansible-x", ("ansible-core",), "ansible")])
def test_all_is_every_part_once(
    other: toolenvs.Environment | None, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolenvs, "other_ansible", lambda: other)
    monkeypatch.setattr(execution_environment, "python", lambda: other and "python")
    builds.build(["all"])
    clients = ("az", "azcollection", "workload-identity", "token-app", "kwok", "kustomize-controller", "chromium")
    assert {*EVERY_SANDBOX, *clients, "ansible-builder"} == {*made} - {"ansible-x", "execution"}
    assert ("execution" in made) == (other is not None)
    assert len(made) == len(set(made)) and ("ansible-x" in made) == (other is not None)


def test_what_cannot_be_there_is_said(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolenvs, "other_ansible", lambda: None)
    with pytest.raises(BuildError, match=r"no Python 3\.12 or newer"):
        builds.build(["other"])
    assert made == []


@pytest.mark.parametrize("client", builds.CLIENTS)
def test_a_client_that_is_not_built_says_which_command_builds_it(client: str, tmp_path: Path) -> None:
    wrapper = Path(builds.__file__).parent / "wrappers" / client
    places = dict.fromkeys(("SANDBOX_AZ", "SANDBOX_WORKLOAD_IDENTITY"), str(tmp_path / "missing"))
    done = subprocess.run(
        ["sh", wrapper, "version"], env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (127, "")
    assert line.startswith(f"{client}: ") and line.endswith(f": tests/sandbox/sandbox build {builds.CLIENTS[client]}")


def test_what_is_built_on_request_changes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    before = paths.BIN, programs.built("kubernetes")
    monkeypatch.setattr(programs, "ROWS", tuple(row for row in programs.ROWS if not row.on_request))
    assert (paths.BIN, programs.built("kubernetes")) == before
    monkeypatch.setattr(programs, "ROWS", programs.ROWS[1:])
    assert paths.BIN != before[0]


def test_an_environment_follows_its_requirements() -> None:
    one, two = (toolenvs.Environment("x", (f"thing=={version}",), "thing") for version in (1, 2))
    assert one.path != two.path


@table(
    "package, name", ("./kube", "kube"), ("helm.sh/helm/v3/cmd/helm", "helm"), ("go.etcd.io/etcd/server/v3", "server")
)
def test_go_names_a_program(package: str, name: str) -> None:
    assert programs._go_name(package) == name


def test_versions_of_go_compare_as_numbers() -> None:
    assert programs._numbers("1.24.11") > programs._numbers("1.24.3") > programs._numbers("1.24rc1")
    assert programs._numbers("devel") == ()


# Interrupted and failed builds


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    with pytest.raises(ZeroDivisionError), whole(target) as directory:
        (directory / "half").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_is_killed_is_not_taken_for_whole_and_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    child = python(
        "import os, pathlib, signal\nfrom azsandbox.progress import whole\n"
        f"with whole(pathlib.Path({str(target)!r})) as d:\n"
        " (d / 'half').touch()\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with whole(target) as directory:
        (directory / "all").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
    assert [path.name for path in target.iterdir()] == ["all"]


def test_sigterm_ends_the_running_command_with_its_children(tmp_path: Path, cache: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 100 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait"
    child = python(
        "import pathlib\nfrom azsandbox.progress import Item, build, run, whole\n"
        f"target = pathlib.Path({str(tmp_path / 'thing')!r})\n"
        "def make(work):\n with whole(target):\n"
        f"  run(['sh', '-c', {script!r}], work.log)\n"
        "build([Item('thing', target.exists, make)])\n"
    )
    _wait_until(pid_file.exists)
    child.terminate()
    _output, errors = child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGTERM
    assert b"[1/1] thing ... failed after" in errors
    pid = int(pid_file.read_text())
    _wait_until(lambda: not _runs(pid))
    assert [path.name for path in tmp_path.glob("*thing*")] == []


def test_a_command_that_is_just_being_started_ends_with_its_build(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = python(
        "import os, pathlib, signal, subprocess\nfrom azsandbox.progress import Item, build, run\n"
        "class Popen(subprocess.Popen):\n def __init__(self, *args, **kwargs):\n"
        "  super().__init__(*args, **kwargs)\n"
        f"  pathlib.Path({str(pid_file)!r}).write_text(str(self.pid))\n"
        "  os.kill(os.getpid(), signal.SIGTERM)\n"
        "subprocess.Popen = Popen\n"
        "build([Item('thing', lambda: False, lambda work: run(['sleep', '100'], work.log))])\n"
    )
    assert b"failed after" in child.communicate(timeout=30)[1]
    assert child.returncode == 128 + signal.SIGTERM
    assert not _runs(int(pid_file.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def test_an_environment_without_its_stamp_is_not_ready(tmp_path: Path) -> None:
    environment = toolenvs.Environment("x", ("thing",), "thing")
    program = environment.path / "bin/thing"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert not environment.ready()
    (environment.path / "complete").touch()
    assert environment.ready()
    program.unlink()
    assert not environment.ready()


def test_a_failed_command_shows_the_end_of_its_log_and_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(BuildError) as failure:
        run(["sh", "-c", "seq 100; exit 3"], log)
    text = str(failure.value)
    assert "sh ended with status 3" in text
    assert str(log) in text
    assert "    100" in text.splitlines()
    assert "    50" not in text.splitlines()


def test_what_a_command_writes_is_apart_from_what_it_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert output(["sh", "-c", "echo answer; echo words >&2"], log, cwd=tmp_path, env=dict(os.environ)) == "answer\n"
    assert log.read_text().splitlines()[1:] == ["words"]


def test_a_command_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no-such-program could not be started: No such file"):
        run(["no-such-program"], tmp_path / "log")


def test_debian_packages_that_cannot_be_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolenvs, "missing_debian_packages", lambda dummy: ["conntrack", "iptables"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        BuildError, match="as root: apt-get install -y --no-install-recommends --no-remove conntrack iptables$"
    ):
        builds.build(["debian"], io.StringIO())


def test_a_machine_without_dpkg_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="this machine has no dpkg: .* conntrack .* iptables "):
        builds.build(["debian"], io.StringIO())


# Progress


def test_only_what_is_not_done_is_made() -> None:
    made: list[str] = []
    items = [
        Item("old", lambda: True, lambda work: made.append("old")),
        Item("new", lambda: "new" in made, lambda work: made.append("new")),
    ]
    out = io.StringIO()
    build(items, out)
    build(items, out)
    assert made == ["new"]
    assert out.getvalue() == "[1/1] new ...\n[1/1] new ... 0 s\n"


PACKAGES = [f"example.com/{number}" for number in range(200)]


def come_to(work: Work, count: int) -> None:
    """Log what a compiler logs until it comes to the last of so many packages."""
    work.log.write_text("\n".join(["go: downloading example.com/0 v1.0.0", *PACKAGES[:count], *PACKAGES[:3]]))


@table(
    "count, after, words",
    (0, 4, "3 of 200 packages, 4 s"),
    (9, 30, "9 of 200 packages, 30 s"),
    (50, 30, "50 of 200 packages, 30 s, about 1 min 30 s left"),
    (50, 60, "50 of 200 packages, 1 min, about 3 min left"),
    (150, 95, "150 of 200 packages, 1 min 35 s, about 40 s left"),
    (200, 130, "200 of 200 packages, 2 min 10 s, linking"),
)
def test_what_is_compiled_tells_how_far_it_is(count: int, after: float, words: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "log")
    work.compiles(PACKAGES)
    come_to(work, count)
    assert work.packages is not None
    begun = work.packages.begun
    assert progress._standing(work, begun, begun + after) == words


def test_what_compiles_nothing_tells_how_long_it_takes(tmp_path: Path) -> None:
    assert progress._standing(Work(tmp_path / "log"), 100, 161) == "1 min 1 s"


def test_a_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(progress, "_LINE", 0.05)
    done, out = tmp_path / "done", io.StringIO()

    def make(work: Work) -> None:
        work.compiles(PACKAGES)
        for count in (50, 200):
            come_to(work, count)
            _wait_until(lambda words=f" {count} of 200 packages, ": words in out.getvalue())
        done.touch()

    build([Item("x", done.exists, make)], out)
    first, *states, last = out.getvalue().splitlines()
    assert first == "[1/1] x ..." and "packages" not in last
    # On a busy machine a line may come before it is known what is compiled.
    counted = list(itertools.dropwhile(lambda state: "packages" not in state, states))
    assert all(re.fullmatch(r"\[1/1\] x \.\.\. \d+ of 200 packages, .*", state) for state in counted)
    assert all(re.fullmatch(r"\[1/1\] x \.\.\. \d+ s", state) for state in states[: len(states) - len(counted)])


def test_a_terminal_gets_one_line_that_moves_and_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(progress, "_TICK", 0.05)
    done, shown = tmp_path / "done", bytearray()
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 40))

    def until(words: bytes) -> None:
        while words not in shown:
            shown.extend(os.read(reader, 4096))

    def make(work: Work) -> None:
        work.compiles(PACKAGES)
        for count in (50, 200):
            come_to(work, count)
            until(b"a thing ... %d of 200 packages" % count)
        done.touch()

    with os.fdopen(writer, "w") as terminal:
        build([Item("a thing", done.exists, make)], terminal)
        until(b"\r\n")
    os.close(reader)
    empty, *states, end = shown.decode().split("\r")
    assert (empty, end) == ("", "\n")
    assert {len(state) for state in states} == {39}
    assert re.fullmatch(r"\[1/1\] a thing \.\.\. \d+ s *", states[-1])


def test_an_item_is_made_once_and_keeps_no_other_waiting() -> None:
    made: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def make_slowly(work: Work) -> None:
        begun.set()
        assert go_on.wait(20)
        made.append("slow")

    slow = Item("slow", lambda: "slow" in made, make_slowly)
    builds = [threading.Thread(target=build, args=([slow], io.StringIO())) for _number in range(2)]
    for each in builds:
        each.start()
    assert begun.wait(20)
    build([Item("quick", lambda: "quick" in made, lambda work: made.append("quick"))], io.StringIO())
    go_on.set()
    for each in builds:
        each.join(20)
    assert made == ["quick", "slow"]


def test_a_build_that_leaves_nothing_usable_fails() -> None:
    with pytest.raises(BuildError, match="empty: the build ended well, but"):
        build([Item("empty", lambda: False, lambda work: None)], io.StringIO())


# Images


def test_a_layer_depends_on_its_contents_alone(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    tree: images.Tree = {
        "usr/bin/program": program,
        "bin": images.Link("usr/bin"),
        "tmp": images.Folder(0o1777),
        "etc/hosts": b"",
    }
    layer = images._tar(tree)
    os.utime(program, (1, 1))
    program.chmod(0o700)
    assert images._tar(dict(reversed(list(tree.items())))) == layer
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        entries = {entry.name: (oct(entry.mode), entry.mtime, entry.uid) for entry in archive}
    assert entries == {
        "bin": ("0o777", 0, 0),
        "etc/hosts": ("0o644", 0, 0),
        "tmp": ("0o1777", 0, 0),
        **dict.fromkeys(("etc", "usr", "usr/bin", "usr/bin/program"), ("0o755", 0, 0)),
    }
