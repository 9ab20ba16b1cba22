# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interpreters that the machine has, and the virtual environments that the gates and tests run in.

An environment is keyed by the requirement files and the interpreter it was made from, so a changed file makes a new
one and a second run finds everything ready.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .stage import CACHE, CHECKOUT

REQUIREMENTS = CHECKOUT / "tests/requirements"
Command = Callable[[list[str]], bool]


@functools.cache
def interpreter(version: str) -> Path | None:
    """The interpreter of that version (``"3.12"``), from PATH or pyenv; None where the machine has none."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [sys.executable, shutil.which(name), *map(str, sorted(pyenv.glob(f"{version}.*/bin/{name}")))]
    question = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in filter(None, candidates):
        # A pyenv shim exists for every version that pyenv knows, but fails for one that is not switched on.
        answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
        words = answer.stdout.split()
        if answer.returncode == 0 and words[0] == version:
            return Path(words[1])
    return None


def environment(name: str, python: Path, run: Command) -> Path:
    """The environment of ``tests/requirements/<name>.txt``, made with ``python``; returns its ``bin``.

    ``run`` carries out a command and says whether it succeeded. Raises RuntimeError where installing failed.
    """
    files = _requirement_files(REQUIREMENTS / f"{name}.txt")
    key = hashlib.sha256(str(python).encode() + b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    home = CACHE / "environments" / f"{name}-{key}"
    whole = home / "whole"  # written last: an interrupted installation is never taken for an environment
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(home, ignore_errors=True)
            pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", str(files[0])]
            if not (run([str(python), "-m", "venv", str(home)]) and run(pip)):
                raise RuntimeError(f"the environment of tests/requirements/{name}.txt could not be installed")
            whole.touch()
    return home / "bin"


def interpreter_links(versions: list[str]) -> Path:
    """A folder in which every interpreter of ``versions`` is found as ``pythonX.Y``, to be put on PATH."""
    folder = CACHE / "interpreters"
    folder.mkdir(parents=True, exist_ok=True)
    for version in versions:
        python = interpreter(version)
        link = folder / f"python{version}"
        if python and link.is_symlink() and link.readlink() == python:
            continue  # somebody may be using it
        link.unlink(missing_ok=True)
        if python:
            link.symlink_to(python)
    return folder


def _requirement_files(path: Path) -> list[Path]:
    """A requirement file and those that it includes, itself first."""
    files = [path]
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            files += _requirement_files((path.parent / line[3:].strip()).resolve())
    return files
