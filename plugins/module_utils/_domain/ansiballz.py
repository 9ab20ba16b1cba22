# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A module as Ansible sends it: a program whose last call is given an archive of sources and the arguments."""

from __future__ import annotations

import ast
import base64
import binascii
import io
import typing as t
import zipfile
from dataclasses import dataclass

_MARK = b"_ANSIBALLZ_WRAPPER"
_MAIN = "_ansiballz_main"
_ARCHIVE = "zip_data"


def is_module(payload: bytes) -> bool:
    return _MARK in payload


def arguments(payload: bytes) -> dict[str, t.Any]:
    """What the call is given; ValueError or SyntaxError where it looks different from what is known here."""
    return {name: ast.literal_eval(node) for name, node in _call(payload).items() if name in ("params", _ARCHIVE)}


def archive(data: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(base64.b64decode(data)))
    except (binascii.Error, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True)
class Unpacked:
    """The same module with its archive as bytes that are not compressed, which shrink together better than each file.

    ``base64`` of the archive between what comes before and what follows is a module that does the same.
    """

    before: bytes
    archive: bytes
    after: bytes


def unpack(payload: bytes) -> Unpacked | None:
    """None for what is no module, or one that looks different from what is known here."""
    if not is_module(payload):
        return None
    try:
        node = _call(payload)[_ARCHIVE]
        text = str(ast.literal_eval(node))
        packed = archive(text)
    except (SyntaxError, ValueError, KeyError):
        return None
    lines = payload.splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset + 1
    end = start + len(text)
    if payload[start:end] != text.encode():
        return None
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as plain:
        for entry in packed.infolist():
            plain.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), packed.read(entry))
    return Unpacked(payload[:start], stored.getvalue(), payload[end:])


def _call(payload: bytes) -> dict[str, ast.expr]:
    for node in ast.walk(ast.parse(payload)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _MAIN:
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    return {}
