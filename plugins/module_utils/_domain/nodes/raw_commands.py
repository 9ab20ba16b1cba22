# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Commands for a node that has nothing but a shell, as one script, and their answers out of what it prints.

A rule's text is an argument and part of an answer, and may hold anything but NUL. So every word is quoted, and the
answers are told apart by a token that nobody could know before.
"""

from __future__ import annotations

import shlex
import typing as t

from ..errors import Failure

Words = t.Sequence[str]

# The output of a command goes out as it comes; only its errors are held back until it has ended.
_BEGIN = """\
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C LANGUAGE=C
export PATH LC_ALL LANGUAGE
run() {{
{{ e=$("$@" 2>&1 >&3 3>&- </dev/null); c=$?; }} 3>&1
printf '\n{token} %s\n%s\n{token}\n' "$c" "$e"
return $c
}}
end() {{
echo '{token} end'
exit 0
}}
echo '{token}'
"""


def script(token: str, commands: t.Sequence[Words], *, until_failure: bool) -> bytes:
    """For the standard input of ``/bin/sh``."""
    after = " || end" if until_failure else ""
    lines = [f"run {quoted(command)}{after}\n" for command in commands]
    return "".join([_BEGIN.format(token=token), *lines, "end\n"]).encode("utf-8", "surrogateescape")


def quoted(words: Words) -> str:
    return " ".join(map(shlex.quote, words))


def answers(token: str, printed: str) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each command that was run."""
    found: list[tuple[int, str, str]] = []
    dummy, begun, rest = printed.partition(f"{token}\n")
    while begun and not rest.startswith(f"{token} end"):
        out, told, rest = rest.partition(f"\n{token} ")
        status, dummy, rest = rest.partition("\n")
        errors, ended, rest = rest.partition(f"\n{token}\n")
        if not (told and ended):
            break
        found.append((int(status), out, errors))
    if not rest.startswith(f"{token} end"):
        raise Failure(
            "The commands did not all run on the node, or their answer was cut off; run the task again, and look "
            "whether the connection takes standard input."
        )
    return found
