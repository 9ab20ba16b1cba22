# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Programs of the node: which there are, and how they are run."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.process import get_bin_path

RunCommand = t.Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The program's message on one line."""
        return "; ".join(line.strip() for line in self.err.splitlines() if line.strip()) or f"exit status {self.code}"


@dataclass(frozen=True)
class Node:
    """Runs programs as they are named, without a shell; ``run_command`` is the module's."""

    run_command: RunCommand

    def run(self, argv: t.Sequence[str]) -> Answer:
        # Texts of rules are arguments: a ``$HOME`` or ``~`` in a comment must stay what it is.
        code, out, err = self.run_command(
            list(argv), environ_update={"LC_ALL": "C", "LANGUAGE": "C"}, expand_user_and_vars=False
        )
        return Answer(code, out, err)

    def iptables(self, back_end: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """How to call iptables and iptables-save for a back end; None where the node has no such programs."""
        plain, save = program(f"iptables-{back_end}"), program(f"iptables-{back_end}-save")
        if plain and save:
            return (plain,), (save,)
        multi = program(f"xtables-{back_end}-multi")
        if multi:
            return (multi, "iptables"), (multi, "iptables-save")
        plain, save = program("iptables"), program("iptables-save")
        if plain and save and self._back_end(plain) == back_end and self._back_end(save) == back_end:
            return (plain,), (save,)
        return None

    def _back_end(self, path: str) -> str:
        """``iptables v1.8.9 (nf_tables)``; before 1.8 there was only one back end, and no word in parentheses."""
        return "nft" if "nf_tables" in self.run([path, "--version"]).out else "legacy"


def program(name: str) -> str | None:
    try:
        path: str = get_bin_path(name)
    except ValueError:
        return None
    return path
