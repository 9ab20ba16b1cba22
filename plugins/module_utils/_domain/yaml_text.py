# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""YAML of mappings, lists and text, for files that people read and change.

``_domain`` has the standard library alone, and parts of objects need no more than this.
"""

from __future__ import annotations

import re
import typing as t

# Text that no version of YAML takes for anything else.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))
_ESCAPED: t.Mapping[str, str] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Block(str):
    """Text of several lines, which stands in the file as it is: printable, and with a line end behind each line."""


Value = t.Union[str, bool, None, t.Mapping[str, t.Any], t.Sequence[t.Any]]


def text(value: t.Mapping[str, Value]) -> str:
    """A document; mappings keep their order."""
    return "".join(f"{line}\n" for line in _lines(value))


def scalar(value: str | bool | None) -> str:
    """One value on one line. What cannot stand in UTF-8 is replaced."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"{}"'.format("".join(map(_quoted, value)))


def _quoted(sign: str) -> str:
    if sign in _ESCAPED:
        return _ESCAPED[sign]
    if "\ud800" <= sign <= "\udfff":
        return "\\uFFFD"
    return sign if sign.isprintable() else f"\\U{ord(sign):08X}"


def _lines(value: Value) -> t.Iterator[str]:
    """Of a mapping or a list that has something in it."""
    if isinstance(value, t.Mapping):
        for key, inner in value.items():
            yield from _entry(f"{scalar(key)}:", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            first, *rest = _lines(inner) if _has_lines(inner) else [_on_one_line(inner)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _entry(key: str, inner: Value) -> t.Iterator[str]:
    if isinstance(inner, Block):
        yield f"{key} |"
        yield from (f"  {line}" for line in inner.splitlines())
    elif _has_lines(inner):
        yield key
        yield from (f"  {line}" for line in _lines(inner))
    else:
        yield f"{key} {_on_one_line(inner)}"


def _has_lines(value: Value) -> bool:
    return isinstance(value, (t.Mapping, list, tuple)) and bool(value)


def _on_one_line(value: Value) -> str:
    if isinstance(value, t.Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    return scalar(t.cast("str | bool | None", value))
