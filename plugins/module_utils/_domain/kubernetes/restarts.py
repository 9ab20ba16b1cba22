# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether a workload has to be restarted, because its pods match other identities than when they were made."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from ..errors import Failure
from ..matching.matching import SELECTOR_LABEL, pod_template

ANNOTATION = "azureops.pod-identity/identities"

Raw = t.Mapping[str, t.Any]

# What check mode cannot know yet makes the hash of it unknown as well.
_UNKNOWN = "(known after apply)"
_DIGITS = 16


@dataclass(frozen=True)
class Match:
    """A binding with its identity: which pods it matches, when it was written last, and what it says.

    ``only``: the one namespace whose pods it matches, empty for all. ``written`` is a timestamp, or ``now``.
    """

    selector: str
    only: str
    written: str
    content: t.Any

    @classmethod
    def parse(cls, entry: Raw) -> Match:
        return cls(entry["selector"] or "", entry["only"] or "", entry["written"] or "", entry["content"])


@dataclass(frozen=True)
class Decision:
    """``noted`` is what the annotation of the pods says, ``now`` what it has to say after a restart."""

    noted: str
    now: str
    due: bool


def decide(workload: Raw, pods: t.Iterable[Raw], matches: t.Iterable[Match]) -> Decision:
    """Whether ``workload``, which has these pods, is to be restarted.

    One that has no annotation yet is restarted only if one of its pods is older than what was written last.
    """
    metadata = pod_template(workload).get("metadata") or {}
    noted = str((metadata.get("annotations") or {}).get(ANNOTATION, ""))
    selector = (metadata.get("labels") or {}).get(SELECTOR_LABEL, "")
    places = ("", workload["metadata"]["namespace"])
    matching = [each for each in matches if each.selector == selector and each.only in places]
    # Texts in lists of one form, which compare as they are written.
    text = json.dumps(sorted(each.content for each in matching))
    now = _UNKNOWN if _UNKNOWN in text else hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    if noted:
        return Decision(noted, now, due=noted != now)
    written = max((each.written for each in matching), default="")
    living = [pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return Decision(noted, now, due=any(str(pod.get("creationTimestamp")) < written for pod in living))


def label_selector(workload: Raw) -> str:
    """The selector of a workload as a request writes it; one with an unknown operator raises Failure."""
    selector = (workload.get("spec") or {}).get("selector") or {}
    written = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, values = each["key"], ",".join(each.get("values") or ())
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        if each["operator"] not in forms:
            raise Failure(
                f"The selector of {workload['metadata']['name']} has the operator {each['operator']}, which is not "
                "known here: restart that workload by hand."
            )
        written.append(forms[each["operator"]])
    return ",".join(written)
