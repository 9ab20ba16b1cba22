# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Commands that an operator pastes, and how they stand on the screen."""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from dataclasses import dataclass

from .printed import printed

# What ansible-playbook takes as it stands after the name of a variable and =.
_PLAIN = re.compile(r"[\w./:@+~-]+", re.ASCII)
_SPECIAL = re.compile(r"[\"$`\\!]")
# In place of the file with the operator's variables, of which nobody knows the name, and what is said of it.
FILE, WITH_FILE = "FILE", ", with your file of variables"


@dataclass(frozen=True)
class Command:
    """``about``: what it is for, without a colon. ``command``: for a shell, on one line."""

    about: str
    command: str

    @classmethod
    def parse(cls, one: t.Mapping[str, t.Any]) -> Command:
        return cls(str(one["about"]), str(one["command"]))

    @property
    def lines(self) -> tuple[str, str]:
        return f"{self.about}:", self.command


def on_screen(host: str, commands: t.Iterable[Command]) -> t.Iterator[str]:
    """Lines that stand on a screen as they are, because formats of results quote and fold them.

    Commands for the same thing stand together below it.
    """
    about = ""
    for one in commands:
        if one.about != about:
            about = one.about
            yield printed(f"[{host}] {about}:")
        yield printed(one.command)


def grant(principal: str, role: str, scope: str) -> str:
    """The command that makes a role assignment. ``principal``: an object id, or what a shell makes one of."""
    return (
        f"az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal "
        f"--role {_quoted(role)} --scope {_quoted(scope)}"
    )


def _quoted(text: str) -> str:
    """In the quotes that people write, unless the text means something to a shell in these."""
    return shlex.quote(text) if _SPECIAL.search(text) else f'"{text}"'


def shell(*words: str) -> str:
    """The words as a shell takes them: a name, which may come from a file, cannot be more than a name."""
    return " ".join(map(shlex.quote, words))


def playbook(name: str, variables: t.Mapping[str, t.Any], *, file: str = "", flags: t.Iterable[str] = ()) -> str:
    """The command that runs a playbook of the collection.

    ``variables``: of the playbook, of which empty ones are left out, behind those of a file.
    """
    words = ["ansible-playbook", f"azureops.pod_identity.{name}", *flags, *(["-e", f"@{file}"] if file else [])]
    for key, value in variables.items():
        if value:
            is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
            words += ["-e", f"{key}={value}" if is_plain else json.dumps({key: value})]
    return shell(*words)
