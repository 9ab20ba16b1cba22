# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The staged copy is the tree, and make reaches the sandbox."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import stage
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


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


def _names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


@table(
    "arguments, command",
    (["sandbox-up"], "tests/sandbox/sandbox up"),
    (["sandbox-exec", "COMMAND=az group list"], "tests/sandbox/sandbox exec -- az group list"),
    (["sandbox-azure", "COMMAND=log --json"], "tests/sandbox/sandbox azure log --json"),
)
def test_make_reaches_the_sandbox(arguments: list[str], command: str) -> None:
    command_line = ["make", "-n", "--no-print-directory", *arguments]
    done = subprocess.run(command_line, cwd=stage.CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == command
