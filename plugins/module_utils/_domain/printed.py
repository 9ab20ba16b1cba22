# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Text as a terminal gets it. Whatever a tenant or a service wrote passes through here on its way to a person.

Sentences of failures, warnings, names in sentences, and cells of tables do.
"""

from __future__ import annotations

import typing as t


def escaped(text: str) -> str:
    """Write what is not printable as Python does in ASCII: control characters, marks of direction, odd blanks."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def printed(text: str) -> str:
    """Escape a text, and put it on one line."""
    return escaped(text.replace("\n", " ").replace("\t", " "))


def each_printed(value: t.Any) -> t.Any:
    """Print each text in a value."""
    if isinstance(value, str):
        return printed(value)
    if isinstance(value, t.Mapping):
        return {key: each_printed(each) for key, each in value.items()}
    return [each_printed(each) for each in value] if isinstance(value, (list, tuple)) else value
