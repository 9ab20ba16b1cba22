# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Inventories as text: that of one cluster, and those of several as one JSON document and one CSV table.

The text comes in pieces, so that nobody holds more than one cluster.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections import Counter

# An inventory as pod_identity_info returns it, or only its error.
Found = t.Mapping[str, t.Any]
Write = t.Callable[[str], t.Any]

# What the document has of a cluster; its AzureAssignedIdentities would double it.
KEYS = ("assignments", "error", "findings", "identities", "rules", "workloads")
COLUMNS = (
    *("cluster", "namespace", "kind", "name", "owner", "selector", "pods", "identities", "answers"),
    *("default_identities", "deterministic", "exceptions", "host_network", "service_account", "findings", "error"),
)
HEADING = ",".join(COLUMNS) + "\n"
# How a cell begins that a spreadsheet would take for a formula; tenants write some of them.
# Some take a semicolon for the end of a cell, and signs of full width for their plain ones.
_FORMULA = re.compile(r"(^|[;\n\r\t])(?=[=+\-@\t\r＝＋－＠])")


def text(found: Found) -> t.Iterator[str]:
    """A JSON object, with a line for each entry of its lists."""
    before = "{\n"
    for key, value in sorted(found.items()):
        yield f"{before}{_dumps(key)}: "
        before = ",\n"
        if isinstance(value, list) and value:
            yield "[\n" + _dumps(value[0])
            for entry in value[1:]:
                yield ",\n" + _dumps(entry)
            yield "\n]"
        else:
            yield _dumps(value)
    yield "\n}" if found else "{}"


def summary(found: Found) -> dict[str, t.Any]:
    """How many entries its lists have, and of the findings also how many have which code."""
    codes = Counter((each["severity"], each["code"]) for each in found["findings"])
    counts = {key: len(value) for key, value in found.items() if isinstance(value, list)}
    kinds = [{"code": code, "severity": severity, "count": number} for (severity, code), number in codes.items()]
    return {**counts, "finding_codes": kinds}


class Joined:
    """Writes the document and the table, cluster by cluster."""

    def __init__(self, document: Write, table: Write) -> None:
        self._document, self._table = document, table
        self._before = '{"clusters": {\n'
        table(HEADING)

    def add(self, cluster: str, found: Found) -> None:
        self._document(f"{self._before}{_dumps(cluster)}: ")
        self._before = ",\n"
        for piece in text({key: found[key] for key in KEYS if key in found}):
            self._document(piece)
        for line in lines(cluster, found):
            self._table(line)

    def end(self) -> None:
        self._document('{"clusters": {}}\n' if self._before.startswith("{") else "\n}}\n")


def counts(cluster: str, found: Found) -> dict[str, t.Any]:
    """What a person is told of a cluster first."""
    severities = Counter(each["severity"] for each in found.get("findings", ()))
    return {
        "cluster": cluster,
        "workloads": len(found["workloads"]) if "workloads" in found else None,
        "identities": len(found["identities"]) if "identities" in found else None,
        "errors": severities["error"],
        "warnings": severities["warning"],
        "failure": found.get("error", ""),
    }


def lines(cluster: str, found: Found) -> t.Iterator[str]:
    """A line for each workload, or one with the error."""
    codes: dict[str, list[str]] = {}
    for finding in found.get("findings", ()):
        codes.setdefault(finding["object"], []).append(finding["code"])
    for row in found.get("workloads", ({},)):
        default = row.get("default", {})
        label = f"{row.get('kind')} {row.get('namespace')}/{row.get('name')}"
        cells = {
            **row,
            "cluster": cluster,
            "identities": " ".join(each["client_id"] for each in row.get("identities", ())),
            "answers": " ".join(default.get("answers", ())),
            "default_identities": " ".join(default.get("identities", ())),
            "deterministic": default.get("deterministic", ""),
            "exceptions": " ".join(row.get("exceptions", ())),
            "findings": " ".join(codes.get(label, ())),
            "error": found.get("error", ""),
        }
        yield ",".join(_cell(cells.get(column, "")) for column in COLUMNS) + "\n"


def _cell(value: object) -> str:
    # Readers of CSV end at a null character.
    shown = str(value).replace("\0", "\\0").replace('"', '""')
    marked = _FORMULA.sub(r"\1'", shown)
    return f'"{marked}"'


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True)
