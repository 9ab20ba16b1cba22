# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Text of logs, events and objects as it is shown: what anybody may have written, without anything but text in it."""

from __future__ import annotations

import re

from ..printed import escaped

LONGEST_TEXT = 500
_CUT = " ..."
# A token as Entra and the API server give out: whatever writes one into a log, it is shown to nobody.
_BEGIN = "eyJ"
_TOKEN = re.compile(rf"\b{_BEGIN}[\w-]{{8,}}(\.[\w-]+)*")


def shown(text: object, longest: int = LONGEST_TEXT) -> str:
    """``text`` on one line and not longer; what is not printable is escaped: control characters, marks of direction."""
    said = str(text)
    if len(said) <= longest and said.isprintable() and _BEGIN not in said:
        return said  # nearly always, and a report has hundreds of thousands of them
    said = _TOKEN.sub("(a token)", said)
    cut = len(said) > longest
    said = said[:longest]
    if not said.isprintable():
        said = escaped(said)
        cut = cut or len(said) > longest
        said = said[:longest]
    return said[: longest - len(_CUT)] + _CUT if cut else said
