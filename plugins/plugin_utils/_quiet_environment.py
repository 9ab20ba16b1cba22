# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Keeps secrets of a task's environment out of the commands that run its module, and its arguments out of files.

Ansible writes the environment before the command. There everybody reads it who may list processes, and at -vvv the
output has it too. It writes the module, with its arguments, into a file below remote_tmp, which stays there when the
run is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from types import MappingProxyType

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as Normal

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.hidden_arguments import hidden_variables

# Constants of the configuration come to be at run time.
C: t.Any = constants
_CONNECTIONS = "ansible.plugins.connection."
_LOCAL = f"{_CONNECTIONS}local"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class QuietEnvironment(ActionBase):
    """An action whose commands inherit the secrets of its environment, where they are processes of this one."""

    # Whether the module reads them; elsewhere than here it does without them otherwise.
    reads_secrets = True
    _inherited: t.Mapping[str, str] = MappingProxyType({})

    def _compute_environment_string(self, raw_environment_out: dict[str, t.Any] | None = None) -> str:
        named: dict[str, t.Any] = {}
        given = str(super()._compute_environment_string(named))
        hidden = {name: str(named[name]) for name in hidden_variables(named)}
        usable = {name: value for name, value in hidden.items() if _NAME.match(name) and "\0" not in value}
        self._inherited = usable if self._starts_here() else {}
        left_out = self._inherited if self._inherited or self.reads_secrets else hidden
        if left_out:
            given = str(self._connection._shell.env_prefix(**{n: v for n, v in named.items() if n not in left_out}))
        if raw_environment_out is not None:
            raw_environment_out.clear()
            raw_environment_out.update(named)
        return given

    def _starts_here(self) -> bool:
        """Whether commands are started by Ansible's own connection, and as the same user."""
        becomes = self._connection.become or self._play_context.become
        return type(self._connection).__module__ == _LOCAL and not becomes

    def _low_level_execute_command(self, *arguments: t.Any, **named: t.Any) -> dict[str, t.Any]:
        with _environment(self._inherited):
            result: dict[str, t.Any] = super()._low_level_execute_command(*arguments, **named)
        return result

    def _execute_module(self, *arguments: t.Any, **named: t.Any) -> dict[str, t.Any]:
        """Here with the temporary directory that Ansible makes for a module in a file.

        Without it, a module that needs one makes its own, and may warn of it. Elsewhere it would be one more command.
        """
        in_file = not super()._is_pipelining_enabled("new", bool(named.get("wrap_async")))
        if in_file and self._starts_here() and self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        result: dict[str, t.Any] = super()._execute_module(*arguments, **named)
        return result

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        """Hand the module to its interpreter through standard input wherever that works, whatever is configured.

        It is left to the configuration, and so mostly a file, where the task becomes somebody else, who may need a
        terminal for that, where it is asynchronous and outlives the connection, where the connection hands nothing to
        a command or is none of Ansible's own, and where files are to be kept.
        """
        own = type(self._connection).__module__.startswith(_CONNECTIONS)
        works = own and self._connection.has_pipelining and not self._connection.become and not wrap_async
        if works and module_style == "new" and not C.DEFAULT_KEEP_REMOTE_FILES:
            return True
        return bool(super()._is_pipelining_enabled(module_style, wrap_async))


class QuietNormal(QuietEnvironment, Normal):
    """Runs a module that has no action of its own."""


def quiet(action: type[ActionBase]) -> type[ActionBase]:
    """The same action with what is above, if it has not got it."""
    if issubclass(action, QuietEnvironment):
        return action
    made = type(action.__name__, (QuietEnvironment, action), {"__module__": action.__module__})
    return t.cast("type[ActionBase]", made)


@contextlib.contextmanager
def _environment(variables: t.Mapping[str, str]) -> t.Iterator[None]:
    """That of this process, which no task shares; a thread beside it has no variables of its own here."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
