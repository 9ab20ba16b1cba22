# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a run tells of a diagnosis, which is that of ``pod_identity_diagnosis_info``, as data."""

from __future__ import annotations

import typing as t

from ..names import listed
from .cause import LIKELY, POSSIBLE, PROBE, PROVED, RULES
from .diagnose import BROKEN, SUSPECT

Raw = t.Mapping[str, t.Any]

_CERTAINTY = {PROVED: "", LIKELY: " (likely)", POSSIBLE: " (possible)"}


def lines(cause: Raw) -> t.Iterator[str]:
    """The cause in one sentence, its evidence, and what to do. Its command is printed apart, to be pasted."""
    yield f"{cause['cause']}{_CERTAINTY[cause['certainty']]}"
    if cause["symptom"]:
        yield f"What is seen of it: {cause['symptom']}"
    for each in cause["evidence"]:
        when = f" at {each['time']}" if each["time"] else ""
        yield f"Evidence: {each['source']}{when}: {each['text']}"
    yield f"What to do: {cause['fix']['text']}"
    if cause["references"]:
        yield f"See: {', '.join(cause['references'])}"


def briefly(diagnosis: Raw) -> t.Iterator[str]:
    """The likeliest cause in one sentence, if something is wrong, and what was not looked at in another."""
    scope = diagnosis["scope"]
    if diagnosis["verdict"] in (BROKEN, SUSPECT):
        first = diagnosis["causes"][0]
        yield f"The likeliest cause in {scope}{_CERTAINTY[first['certainty']]}: {first['cause']}"
    else:
        yield f"A diagnosis of {scope} finds no cause."
    # Roles ask for tokens themselves.
    unread = [one for one in diagnosis["unread"] if one["source"] not in (PROBE, RULES)]
    if unread:
        what, needs = (listed(list(dict.fromkeys(one[key] for one in unread))) for key in ("what", "needs"))
        yield f"It did not look at {what}, which takes {needs}."
