# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python tests/readmes.py`: write the table of permissions of each role into its README.

It stands in the last section, and is that of the map PERMISSIONS of the role's plan.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
PLANS = "plugins.module_utils._domain.roles"
COMMAND = "python tests/readmes.py"
SECTION = "\n## Permissions\n"
HEADING = "| Phase | Where | Permission |\n|---|---|---|\n"


def roles() -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """README and permissions of each role that tells what it needs."""
    for path in sorted(CHECKOUT.glob("roles/*/README.md")):
        plan = importlib.import_module(f"{PLANS}.{path.parent.name}")
        if hasattr(plan, "PERMISSIONS"):
            yield path, plan.PERMISSIONS


def rows(permissions: Mapping[str, Any]) -> Iterator[str]:
    for each in permissions.values():
        phase = each.phase if each.phase == "always" else f"`{each.phase}`"
        yield f"| {phase} | {each.where} | {_permission(each)} |\n"


def _permission(each: Any) -> str:
    if hasattr(each, "actions"):
        return ", ".join(f"`{action}`" for action in each.actions)
    resource = "/".join(filter(None, (each.resource, each.subresource)))
    return f"{', '.join(each.verbs)} {resource}" + (f" ({each.api_group})" if each.api_group else "")


def written(text: str, permissions: Mapping[str, Any]) -> str:
    """The README with the table as it has to be; the section on permissions is its last."""
    before, _section, rest = text.partition(SECTION)
    explained, _heading, table = rest.partition(HEADING)
    behind = table.partition("\n\n")[2]
    others = "\n\n".join(filter(None, (before.rstrip(), behind.strip())))
    return f"{others}\n{SECTION}{explained}{HEADING}{''.join(rows(permissions))}"


def main() -> None:
    sys.path.insert(0, str(CHECKOUT))
    for path, permissions in roles():
        path.write_text(written(path.read_text(), permissions))


if __name__ == "__main__":
    main()
