# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the clean-up needs from a node: its programs, a few files of /proc, and room for a file.

``here.Here`` is the node that the module runs on, ``raw.Raw`` one that the controller reaches with nothing but a shell.
"""

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .kernel import Listener

# All that the clean-up ever runs, besides what every node has.
PROGRAMS = (
    "iptables-nft",
    "iptables-nft-save",
    "xtables-nft-multi",
    "iptables-legacy",
    "iptables-legacy-save",
    "xtables-legacy-multi",
    "iptables",
    "iptables-save",
    "conntrack",
)
Arguments = t.Sequence[str]


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
class Process:
    number: int
    program: str


class Node(abc.ABC):
    """Programs get their arguments exactly as they are given, and speak English."""

    @abc.abstractmethod
    def run(self, argv: Arguments) -> Answer: ...

    @abc.abstractmethod
    def run_in_turn(self, argvs: t.Sequence[Arguments]) -> list[Answer]:
        """Run one after the other up to the first that fails; as many answers as were run."""

    @abc.abstractmethod
    def foresee(self, argvs: t.Sequence[Arguments]) -> None:
        """Say which commands that only look will be run next, so that a distant node is asked once for all."""

    @abc.abstractmethod
    def program(self, name: str) -> str | None:
        """The path of one of ``PROGRAMS``."""

    @abc.abstractmethod
    def lines(self, path: str, text: str) -> list[str]:
        """The lines of a file that contain the text; OSError where it cannot be read."""

    @abc.abstractmethod
    def processes(self, name: str) -> list[Process]:
        """Processes whose program has that name, in this network namespace; OSError where /proc cannot be read."""

    def listeners(self) -> list[Listener] | None:
        """Who listens for TCP in this network namespace; None where only /proc tells it."""
        return None

    @abc.abstractmethod
    def nft_tables(self) -> t.Collection[str]:
        """Names of the IPv4 tables of nf_tables."""

    @abc.abstractmethod
    def keep(self, folder: str, name: str, content: bytes) -> str:
        """Write a new file that only root reads, and return its path; OSError where it is not there then."""

    def iptables(self, back_end: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """How to call iptables and iptables-save for a back end; None where the node has no such programs."""
        plain, save = self.program(f"iptables-{back_end}"), self.program(f"iptables-{back_end}-save")
        if plain and save:
            return (plain,), (save,)
        multi = self.program(f"xtables-{back_end}-multi")
        if multi:
            return (multi, "iptables"), (multi, "iptables-save")
        plain, save = self.program("iptables"), self.program("iptables-save")
        if plain and save:
            self.foresee([[plain, "--version"], [save, "--version"]])
            if self._back_end(plain) == back_end and self._back_end(save) == back_end:
                return (plain,), (save,)
        return None

    def _back_end(self, path: str) -> str:
        """``iptables v1.8.9 (nf_tables)``; before 1.8 there was only one back end, and no word in parentheses."""
        return "nft" if "nf_tables" in self.run([path, "--version"]).out else "legacy"
