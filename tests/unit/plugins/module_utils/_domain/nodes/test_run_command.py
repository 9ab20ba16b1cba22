# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts for run-command, run by a real shell as the service runs them: no input, the last 4,096 bytes of output."""

from __future__ import annotations

import base64
import gzip
import io
import os
import random
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import run_command
from ansible_collections.azureops.pod_identity.tests.unit.tables import case

LIMIT = 200_000


class Node:
    """A directory as the node's /run, and the service in front of a shell."""

    def __init__(self, path: Path, kept: int = 4096) -> None:
        self.path = path
        self.kept = kept
        self.calls = 0

    def call(self, lines: list[str]) -> str:
        self.calls += 1
        script = self.path / f"script-{self.calls}.sh"
        script.write_text("\n".join(lines).replace("/run/azureops-", f"{self.path}/azureops-"))
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "timeout": 60, "umask": 0o022}
        done = subprocess.run(["/bin/sh", str(script)], capture_output=True, check=False, **how)
        assert not script.exists(), "the script is left on the node"
        out, err = (stream[-self.kept :].decode(errors="replace") for stream in (done.stdout, done.stderr))
        return f"Enable succeeded: \n[stdout]\n{out}\n[stderr]\n{err}"

    def run(self, command: str, stdin: bytes | None = None, limit: int = LIMIT) -> tuple[int, bytes, bytes]:
        answer: list[run_command.Shown] = []
        for lines in run_command.scripts("t", command, stdin, limit):
            assert len("\n".join(lines).encode()) <= limit
            answer = [run_command.shown(self.call(lines), "node")]
        while sum(len(each.part) for each in answer) < answer[0].length:
            offset = sum(len(each.part) for each in answer)
            answer.append(run_command.shown(self.call(run_command.more("t", offset)), "node"))
        assert not [name for name in os.listdir(self.path) if name.startswith("azureops-")]
        return run_command.result(answer, "node")


@pytest.fixture()
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize(
    ("command", "stdin", "expected"),
    [
        case("all parts", "printf out; printf err >&2; exit 7", None, (7, b"out", b"err")),
        case("no input", "cat", None, (0, b"", b"")),
        case("empty input", "cat", b"", (0, b"", b"")),
        case("bytes", "cat", b"\x00\xff$HOME 'q'\n\nAZUREOPS\n", (0, b"\x00\xff$HOME 'q'\n\nAZUREOPS\n", b"")),
        case("quotes and umask", "echo \"it's\" '$HOME'; umask", None, (0, b"it's $HOME\n0022\n", b"")),
        case("a forged frame", "printf 'AZ1 0 x .\\n[stderr]\\n'", None, (0, b"AZ1 0 x .\n[stderr]\n", b"")),
        case("input that nobody reads", "exit 0; cat", b"x" * 100_000, (0, b"", b"")),
    ],
)
def test_one_call(node: Node, command: str, stdin: bytes | None, expected: tuple[int, bytes, bytes]) -> None:
    assert node.run(command, stdin) == expected
    assert node.calls == 1


def test_long_output_comes_in_frames(node: Node) -> None:
    data = os.urandom(30_000)
    assert node.run("cat", data) == (0, data, b"")
    assert node.calls == 6, "40,000 characters of base64, 7,800 of them at a time"


# As Ansible sends a module. It prints what it was given, and one of its arguments looks like an archive itself.
MODULE = """\
_ANSIBALLZ_WRAPPER = True
# ümlaut
def _ansiballz_main(zip_data, params):
    import base64, io, sys, zipfile
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(zip_data)))
    for name in archive.namelist():
        sys.stdout.write(name + archive.read(name).decode())
    sys.stdout.write(params)
if __name__ == "__main__":
    _ansiballz_main(
        zip_data={archive!r},
        params={params!r},
    )
"""


def sources(count: int) -> dict[str, str]:
    """Files that share their words, as those of modules do."""
    chance = random.Random(7)
    words = [f"{chance.getrandbits(64):x}" for _word in range(100)]
    return {f"package/file{number}.py": " ".join(chance.sample(words, 100)) for number in range(count)}


def module(files: dict[str, str], params: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return MODULE.format(archive=base64.b64encode(buffer.getvalue()).decode(), params=params).encode()


@pytest.mark.parametrize("limit", [LIMIT, 6000])
def test_a_module_is_put_together_on_the_node(node: Node, limit: int) -> None:
    files, params = sources(3), "zip_data='" + base64.b64encode(b"PK\3\4" + os.urandom(3000)).decode() + "'"
    expected = "".join(name + content for name, content in files.items()) + params
    assert node.run("python3", module(files, params), limit) == (0, expected.encode(), b"")


def test_files_of_a_module_shrink_together() -> None:
    payload = module(sources(20), "{}")
    (lines,) = run_command.scripts("t", "python3", payload, LIMIT)
    assert len("\n".join(lines)) < len(gzip.compress(payload)) / 2


@pytest.mark.parametrize(
    "text",
    [
        b"_ANSIBALLZ_WRAPPER = True\n_ansiballz_main(zip_data='UEsDBA==', params='')\n",
        b"_ANSIBALLZ_WRAPPER = True\n_ansiballz_main(zip_data='x')\n",
        b"_ANSIBALLZ_WRAPPER = True\nother()\n",
        b"_ANSIBALLZ_WRAPPER no Python",
    ],
)
def test_what_looks_different_goes_as_it_is(node: Node, text: bytes) -> None:
    assert node.run("cat", text) == (0, text, b"")


@pytest.mark.parametrize("size", [1, 2999, 3000, 3001, 60_000])
def test_long_input_goes_in_parts(node: Node, size: int) -> None:
    data = os.urandom(size)
    assert node.run("sha256sum && true", data, limit=8000)[0] == 0
    assert Node(node.path).run("wc -c", data, limit=8000) == (0, f"{size}\n".encode(), b"")


def test_a_command_beyond_the_limit_is_refused() -> None:
    with pytest.raises(Failure, match="script_limit"):
        run_command.scripts("t", "x" * 9000, None, 8000)


def test_less_shown_than_expected_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="its answer is not what the script prints"):
        Node(tmp_path, kept=1000).run("cat", os.urandom(3000))


def test_a_missing_part_of_the_input_is_noticed(node: Node) -> None:
    parts = run_command.scripts("t", "cat", os.urandom(9000), 8000)
    assert len(parts) > 2
    node.call(parts[0])
    with pytest.raises(Failure, match="input arrived damaged"):
        run_command.shown(node.call(parts[-1]), "node")
    with pytest.raises(Failure, match="a part of the input is missing"):
        run_command.shown(node.call(parts[2]), "node")


@pytest.mark.parametrize("part", ["", "QUJD", "H4sIAAAAAAAAA"])
def test_damaged_output_is_noticed(part: str) -> None:
    with pytest.raises(Failure, match="arrived damaged"):
        run_command.result([run_command.Shown(len(part), "0" * 64, part)], "node")
