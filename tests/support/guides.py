# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides of docs/docsite/rst, read as tests run them.

In a guide each block with the language `bash` holds commands, and a block `text` behind it what the last of them says.
Three comments, which readers do not see, belong to the block behind them: `.. file: NAME` says that it is what this
file holds, `.. before: NAME` what a test does at that place (tests/sandbox/test_guides.py), `.. status: N` with what
its commands end. In what a command says `...` stands for anything: in a line for a part of it, on a line of its own for
any lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "docs/docsite/rst"
FOLLOWED = ("first_steps", "keep", "look", "playbooks", "many_clusters", "broken", "remove", "leave")
"""The guides with commands, in the order in which tests/sandbox/test_guides.py follows them."""
NOT_TYPED = {"az login": "it asks a person"}
"""Commands of the installation that no test types, and why."""
_PART = re.compile(
    r"^\.\. (?:code-block:: (?P<language>\w+)|(?P<mark>file|before|status): (?P<word>\S+))\n(?P<body>(?:\n|   .*\n)*)",
    re.MULTILINE,
)
# A block of Markdown that is indented, or between fences with the language bash.
_MARKDOWN = re.compile(r"^```bash\n(?P<fenced>.*?)^```$|(?P<indented>(?:^    .*\n)+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True)
class Before:
    """What has happened to the cluster when the reader comes to this place."""

    name: str


@dataclass(frozen=True)
class Command:
    """A command that the reader types."""

    text: str
    says: str = ""
    status: int = 0


Step = File | Before | Command


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.rst"))


def steps(name: str) -> list[Step]:
    """What the reader of a guide does, in its order."""
    return list(parsed((FOLDER / f"{name}.rst").read_text()))


def parsed(text: str) -> Iterator[Step]:
    """The steps of a guide; ValueError where a mark belongs to no block."""
    file, status = "", 0
    commands: list[Command] = []
    behind = 0
    for part in _PART.finditer(text):
        language, mark, word = part["language"], part["mark"], part["word"]
        body = "\n".join(line[3:] for line in part["body"].strip("\n").splitlines()) + "\n"
        if language == "text" and commands and not text[behind : part.start()].strip():
            commands[-1] = Command(commands[-1].text, body, commands[-1].status)
            continue
        yield from commands
        commands, behind = [], part.end()
        if mark == "before":
            yield Before(word)
        elif mark == "file":
            file = word
        elif mark == "status":
            status = int(word)
        elif file:
            yield File(file, body)
            file = ""
        elif language == "bash":
            commands = [Command(line, status=status) for line in logical_lines(body)]
            status = 0
    yield from commands
    if file or status:
        raise ValueError(f"no block is behind the last mark ({file or status})")


def commands(name: str) -> list[Command]:
    return [step for step in steps(name) if isinstance(step, Command)]


def commands_of_markdown(text: str) -> list[str]:
    """Commands of all blocks in bash, and of indented ones those that begin with a program of Ansible."""
    found = []
    for block in _MARKDOWN.finditer(text):
        lines = logical_lines("\n".join(line.strip() for line in (block["fenced"] or block["indented"]).splitlines()))
        found += [line for line in lines if block["fenced"] or line.startswith("ansible")]
    return found


def installation() -> list[str]:
    """What a stranger types by the README before the first guide."""
    section = (CHECKOUT / "README.md").read_text().partition("\n## Installation\n")[2].partition("\n## ")[0]
    return [each for each in commands_of_markdown(section) if each not in NOT_TYPED]


def logical_lines(block: str) -> list[str]:
    """Commands as one line each, without comments."""
    joined = re.sub(r"\s*\\\n\s*", " ", block)
    return [line for line in (re.sub(r"(^|\s+)# .*", "", line).strip() for line in joined.splitlines()) if line]


def not_said(output: str, says: str) -> str:
    """The first lines of `says` that the output does not have where they have to be; empty where it has all."""
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    chunks: list[list[str]] = [[]]
    for line in says.strip("\n").splitlines():
        if line.strip() == "...":
            chunks.append([])
        else:
            chunks[-1].append(line.rstrip())
    at = 0
    for number, chunk in enumerate(chunks):
        places = list(range(at, len(lines) - len(chunk) + 1))
        if number == 0:
            places = places[:1]
        if number == len(chunks) - 1:
            places = [place for place in places if place + len(chunk) == len(lines)]
        fitting = (place for place in places if all(map(_fits, lines[place:], chunk)))
        place = next(fitting, None)
        if place is None:
            return "\n".join(chunk) or "(the end of the output)"
        at = place + len(chunk)
    return ""


def _fits(line: str, wanted: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, wanted.split("..."))), line) is not None
