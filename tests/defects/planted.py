# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of planted defects, defects.txt.

A line ``= FILE TEST...`` is followed by the defects of that file, which these tests should catch. Of one, the lines
with ``- `` before them stand in the file exactly once, and its lines with ``+ `` take their place; a blank line ends
it. Lines that begin with ``#`` are comments.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("defects.txt")


@dataclass(frozen=True)
class Defect:
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        """Stays the same wherever it stands in the list, and whatever tests are named."""
        return hashlib.sha256("\0".join((self.file, self.old, self.new)).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        return f"{self.file}: {' '.join(self.old.split())[:100]} -> {' '.join(self.new.split())[:100] or 'nothing'}"

    def planted(self, text: str) -> str:
        """The text of the file with the defect in it; ValueError where it cannot be there."""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{count} times in the file, not once")
        if self.old.split() == self.new.split():
            raise ValueError("changes nothing")
        return text.replace(self.old, self.new)

    def problem(self, checkout: Path = CHECKOUT) -> str:
        """Why it is no defect of this tree that these tests can catch; '' where it is one."""
        try:
            _require_syntax(self.file, self.planted((checkout / self.file).read_text()))
            missing = [test for test in self.tests if not _exists(checkout, test)]
        except (OSError, ValueError, SyntaxError, yaml.YAMLError) as error:
            return " ".join(str(error).split())
        return f"no such test: {', '.join(missing)}" if missing else "" if self.tests else "names no test"


def listed(file: Path = LIST) -> list[Defect]:
    """The defects of the list, in its order."""
    return list(_parsed(file.read_text()))


def _parsed(text: str) -> Iterator[Defect]:
    head: list[str] = []
    old: list[str] = []
    new: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if f"{line} ".startswith("- ") and head and not new:
            old.append(line[2:])
        elif f"{line} ".startswith("+ ") and old:
            new.append(line[2:])
        elif not line or line.startswith("= "):
            if old:
                yield Defect(head[0], "\n".join(old), "\n".join(new), tuple(head[1:]))
            old, new = [], []
            head = line[2:].split() if line else head
        elif not line.startswith("#"):
            raise ValueError(f"line {number} of the list of defects has no place there: {line}")


def _require_syntax(file: str, text: str) -> None:
    """Raise SyntaxError or YAMLError where nothing could be run."""
    if file.endswith(".py"):
        ast.parse(text)
    elif file.endswith((".yml", ".yaml")):
        yaml.safe_load(text)


def _exists(checkout: Path, test: str) -> bool:
    """Whether a folder or file of tests is there and, of a node id, each class and function that it names."""
    path, *names = test.partition("[")[0].split("::")
    where = checkout / path
    if not names:
        return path.split("/")[0] == "tests" and where.exists()
    return where.is_file() and all(f"def {name}(" in where.read_text() for name in names)
