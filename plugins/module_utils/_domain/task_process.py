# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether a module may run in a fork of ansible-playbook, and in which environment.

It may where nothing that it sees or does differs from what it would as a process that Ansible starts.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

# The releases of ansible-core of which is known how they run a module.
CORES = ("2.19", "2.20", "2.21")
SYSTEM = "Linux"
# What Ansible calls a shell, and the programs that they may be.
EXECUTABLES = ("/bin/sh", "/bin/bash")
SHELLS = ("dash", "bash")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What a process, or its loader, C library or interpreter, reads only when it starts.
_READ_AT_START = re.compile(
    r"(?:PYTHON|LD_|LC_|MALLOC_|OPENSSL_|_?ANSIBLE_)"
    r"|(?:LANG|LANGUAGE|TZ|GLIBC_TUNABLES|GCONV_PATH|RES_OPTIONS|LOCALDOMAIN|BASH_ENV|ENV)\Z"
)
# What shells set or read themselves instead of only handing it on.
_OF_SHELLS = frozenset({"IFS", "PS4", "OPTIND", "PPID", "LINENO", "BASHOPTS", "SHELLOPTS", "POSIXLY_CORRECT"})


@dataclass(frozen=True)
class Task:
    """What is known of a task and its host. The defaults are those of a task that may run in a fork."""

    switched_off_by: str = ""
    core: str = CORES[-1]
    system: str = SYSTEM
    connection: str = "local"
    become: bool = False
    asynchronous: bool = False
    # Of the host, where it is named, and whether it is the one of ansible-playbook.
    interpreter: str = ""
    own_interpreter: bool = True
    # What could not be imported on the controller.
    missing: str = ""
    module_elsewhere: str = ""
    # A part of ansible.module_utils that a folder of the user replaces.
    replaced: str = ""
    executables: tuple[str, ...] = ("/bin/sh",)
    shell_type: str = "sh"
    # The program that the executable is.
    shell: str = "dash"
    directory_exists: bool = True
    keep_files: bool = False
    extensions: tuple[str, ...] = ()
    tracebacks: bool = False
    open_files: str = "0"
    # Whether libraries are looked for in the home of the user too.
    user_site: bool = False
    # Of the interpreter of ansible-playbook alone.
    flags: tuple[str, ...] = ()
    inherited: t.Mapping[str, str] = field(default_factory=dict)
    # The task's own environment.
    environment: t.Mapping[str, str] = field(default_factory=dict)


def why_not(task: Task) -> str:
    """Why the module is left to Ansible; empty where it may run in a fork."""
    return next((reason for applies, reason in _reasons(task) if applies), "")


def _reasons(task: Task) -> t.Iterator[tuple[object, str]]:
    yield task.switched_off_by, f"{task.switched_off_by} turns it off"
    yield task.core not in CORES, f"ansible-core {task.core} is none of {', '.join(CORES)}"
    yield task.system != SYSTEM, f"{task.system} is not {SYSTEM}"
    yield task.connection != "local", f"its connection is {task.connection}"
    yield task.become, "it becomes another user"
    yield task.asynchronous, "it is asynchronous"
    yield not task.own_interpreter, f"its interpreter {task.interpreter} is not that of ansible-playbook"
    yield task.missing, f"ansible-playbook cannot import {task.missing}"
    yield task.module_elsewhere, f"its module is {task.module_elsewhere}"
    yield task.replaced, f"{task.replaced} replaces a part of ansible.module_utils"
    yield not all(task.executables), "its shell has no executable"
    odd = next((each for each in task.executables if each not in EXECUTABLES), "")
    yield odd, f"its shell executable is {odd}"
    yield len(set(task.executables)) > 1, f"its shell executables are {' and '.join(task.executables)}"
    yield task.shell_type != "sh", f"its shell type is {task.shell_type}"
    yield task.shell not in SHELLS, f"{task.executables[0]} is {task.shell or 'unknown'}"
    yield not task.directory_exists, "the directory of the playbook is gone"
    yield task.keep_files, "remote files are kept"
    yield task.extensions, f"modules run with {', '.join(task.extensions)}"
    yield task.tracebacks, "tracebacks are shown"
    yield task.open_files != "0", "the number of open files of modules is limited"
    yield task.flags, f"ansible-playbook was started with flags of Python ({', '.join(task.flags)})"
    yield task.user_site and "HOME" in task.environment, "HOME of its environment says where libraries are"
    yield "BASH_ENV" in task.inherited, "BASH_ENV is set"
    touched = next((name for name in sorted(task.inherited) if name in _OF_SHELLS), "")
    yield touched, f"the shell uses {touched} of the environment"
    name = next((name for name in task.environment if not _NAME.match(name) or name in _OF_SHELLS), "")
    yield name, f"its environment names {name!r}"
    early = next((name for name in task.environment if _READ_AT_START.match(name)), "")
    yield early, f"{early} of its environment is read when a process starts"
    void = next((name for name, value in task.environment.items() if "\0" in value), "")
    yield void, f"{void} of its environment has a null character"


def core(version: str) -> str:
    """The release line of a version of ansible-core."""
    return ".".join(version.split(".")[:2])


def variables(
    inherited: t.Mapping[str, str],
    own: t.Mapping[str, str],
    *,
    shell: str,
    release: str,
    directory: str,
    logical: bool,
    old_exists: bool,
    python: str,
) -> dict[str, str]:
    """What the module finds in its environment: what the shells hand on to it, and the task's own.

    ``logical``: whether PWD, as it is inherited, names the directory. ``old_exists``: whether OLDPWD is one.
    """
    found = dict(inherited)
    if shell == "dash":
        found = {name: value for name, value in found.items() if _NAME.match(name)}
    else:
        level = found.get("SHLVL", "").strip()
        found["SHLVL"] = str((int(level) if level.isdigit() else 0) + (0 if _is_replaced(shell, release) else 1))
        found["_"] = python
        if not old_exists:
            found.pop("OLDPWD", None)
    if not logical:
        found["PWD"] = directory
    return {**found, **own}


def ended(signal: int, description: str, *, shell: str, release: str) -> tuple[int, str]:
    """What is told of a module that a signal ended: its status, and what the shell adds to its standard error."""
    return (-signal, "") if _is_replaced(shell, release) else (128 + signal, f"{description}\n")


def _is_replaced(shell: str, release: str) -> bool:
    """Whether the module takes the place of the shell, which is so where it is the last command of a bash."""
    return shell == "bash" and release not in ("2.19", "2.20")
