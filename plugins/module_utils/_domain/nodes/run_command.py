# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Scripts for Azure's run-command, which has no standard input and shows the last 4,096 bytes of each output.

Input is part of the script, compressed; a module is taken apart for that, and put together on the node. Output is
compressed, kept in a directory in memory on the node, and shown in frames whose length and sum are told, so that what
is missing is noticed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shlex
import typing as t
from dataclasses import dataclass

from .. import ansiballz
from ..decompression import gunzip
from ..errors import Failure

# What one answer shows of the output: two frames, each with its head less than the 4,096 bytes that the service keeps.
FRAME = 3900
_LINE = 4000
_STEPS = 1500
_FRAME_OF_OUTPUT = re.compile(r"\[stdout\]\n(?:.*\n)*?AZ1 (\d+) ([0-9a-f]{64}) ([A-Za-z0-9+/=]*) \.\n")
_FRAME_OF_ERRORS = re.compile(r"\[stderr\]\n(?:.*\n)*?AZ2 ([A-Za-z0-9+/=]*) \.")
_REFUSED = re.compile(r"\[stdout\]\n(?:.*\n)*?AZ0 (.+)\n")

# The script deletes itself. Its directory is watched over: it goes when its script has ended and nothing came for it in
# a quarter of an hour, also when nobody comes back.
_BEGIN = """\
rm -f -- "$0"
d=/run/azureops-{token}
if [ ! -d "$d" ]; then
mkdir -m 700 "$d" || {{ echo "AZ0 the directory $d cannot be made"; exit 1; }}
echo $$ > "$d/pid"
setsid sh -c 'while [ -d "$1" ] && {{ kill -0 "$(cat "$1/pid")" || [ -z "$(find "$1/pid" -mmin +15)" ]; }}
do sleep 15; done; rm -rf "$1"' watch "$d" </dev/null >/dev/null 2>&1 &
fi
echo $$ > "$d/pid"
"""
_APPEND = """\
[ "$(cat "$d/in" 2>/dev/null | wc -c)" -eq {offset} ] || {{ echo "AZ0 a part of the input is missing"; exit 1; }}
base64 -d >> "$d/in" <<'AZUREOPS'
{text}
AZUREOPS
echo "AZ1 0 {empty}  ."
"""
# The way back from compressed input, for what is not a module and for a module.
_RESTORE = "gzip -dc"
_RESTORE_MODULE = """\
{{ gzip -dc > "$d/i"; head -c {start} "$d/i"; head -c {end} "$d/i" | tail -c {length} | base64 -w 0; \
tail -c +{rest} "$d/i"; rm -f "$d/i"; }}"""
_KEEP = """\
{{ echo $? $(wc -c < "$d/o"); cat "$d/o" "$d/e"; }} | gzip -c | base64 -w 0 > "$d/all"
rm -f "$d/o" "$d/e"
"""
_SHOW = """\
n=$(wc -c < "$d/all")
s=$(sha256sum < "$d/all")
printf 'AZ1 %s %s %s .\\n' "$n" "${{s%% *}}" "$(tail -c +{first} "$d/all" | head -c {frame})"
printf 'AZ2 %s .\\n' "$(tail -c +{second} "$d/all" | head -c {frame})" >&2
[ "$n" -ge {third} ] || rm -rf "$d"
"""


@dataclass(frozen=True)
class Shown:
    """What one answer shows: the whole length, the sum of the whole, and the part that it has."""

    length: int
    sum: str
    part: str


def scripts(token: str, command: str, stdin: bytes | None, limit: int) -> list[list[str]]:
    """The lines of one script, or of several to be run in this order, that run ``command``.

    No script is longer than ``limit`` bytes; ``token`` makes its directory on the node its own.
    """
    begin = _BEGIN.format(token=token)
    run = f"/bin/sh -c {shlex.quote(command)}" + ' > "$d/o" 2> "$d/e"'
    end = _KEEP.format() + _SHOW.format(first=1, second=1 + FRAME, third=2 * FRAME + 1, frame=FRAME)
    if stdin is None:
        return [_lines(begin, f"{run} </dev/null\n", end, limit=limit)]
    data, restore = _compressed(stdin)
    fixed = len((begin + restore + run + end).encode()) + _STEPS
    room = max(limit - fixed, 0) // (_LINE + 1) * (_LINE // 4 * 3) or max(limit - fixed, 4) // 5 * 3
    if len(data) <= room:
        document = f"base64 -d <<'AZUREOPS' | {restore} | {run}\n{_text(data)}\nAZUREOPS\n"
        return [_lines(begin, document, end, limit=limit)]
    parts = [data[start : start + room] for start in range(0, len(data), room)]
    offsets = range(0, len(data), room)
    whole = hashlib.sha256(data).hexdigest()
    check = f'[ "$(sha256sum < "$d/in")" = "{whole}  -" ] || {{ echo "AZ0 the input arrived damaged"; exit 1; }}\n'
    taken = f'exec 3< "$d/in"\nrm -f "$d/in"\n{restore} <&3 | {run}\n'
    empty = hashlib.sha256(b"").hexdigest()
    return [
        *(
            _lines(begin, _APPEND.format(offset=offset, text=_text(part), empty=empty), limit=limit)
            for offset, part in zip(offsets, parts)
        ),
        _lines(begin, check + taken, end, limit=limit),
    ]


def _compressed(stdin: bytes) -> tuple[bytes, str]:
    """The input as it is sent, and the command that makes the input of it."""
    module = ansiballz.unpack(stdin)
    if module is None:
        return gzip.compress(stdin, 9, mtime=0), _RESTORE
    start, length = len(module.before), len(module.archive)
    end = start + length
    restore = _RESTORE_MODULE.format(start=start, end=end, length=length, rest=end + 1)
    return gzip.compress(module.before + module.archive + module.after, 9, mtime=0), restore


def more(token: str, offset: int) -> list[str]:
    """The lines of the script that shows what comes after the first ``offset`` characters of the output."""
    show = _SHOW.format(first=offset + 1, second=offset + 1 + FRAME, third=offset + 2 * FRAME + 1, frame=FRAME)
    return _lines(_BEGIN.format(token=token), show, limit=None)


def _lines(*pieces: str, limit: int | None) -> list[str]:
    script = "".join(pieces)
    size = len(script.encode())
    if limit is not None and size > limit:
        raise Failure(
            f"The command makes a script of {size} bytes, and at most {limit} may be sent at once: shorten the "
            "command, or raise script_limit."
        )
    return script.splitlines()


def _text(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))


def shown(message: str, what: str) -> Shown:
    """The frames of an answer, as run-command words it; ``what`` names the instance."""
    frame = _FRAME_OF_OUTPUT.search(message)
    if frame is None:
        refused = _REFUSED.search(message)
        reason = refused.group(1) if refused else "its answer is not what the script prints"
        raise Failure(
            f"The command could not be run on {what}: {reason}.",
            error={"code": "RunCommandOutput", "message": message[-1000:]},
        )
    part = frame.group(3)
    rest = _FRAME_OF_ERRORS.search(message)
    if len(part) == FRAME and rest is not None:
        part += rest.group(1)
    return Shown(int(frame.group(1)), frame.group(2), part)


def result(parts: t.Sequence[Shown], what: str) -> tuple[int, bytes, bytes]:
    """Exit status, standard output and errors of the command, from all that was shown."""
    text = "".join(shown.part for shown in parts)
    first = parts[0]
    whole = len(text) == first.length and hashlib.sha256(text.encode()).hexdigest() == first.sum
    try:
        if not whole:
            raise ValueError
        head, _newline, rest = gunzip(base64.b64decode(text, validate=True)).partition(b"\n")
        status, length = (int(word) for word in head.split())
    except ValueError as error:
        raise Failure(
            f"The output of the command on {what} arrived damaged ({len(text)} of {first.length} characters): "
            "run again."
        ) from error
    return status, rest[:length], rest[length:]
