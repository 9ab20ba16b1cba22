# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the connection plugins share: their options as modules take them, and how errors reach people."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import subprocess
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.hidden_arguments import hidden_variables

_SHELL = "/bin/sh -c "


def shown(plugin: t.Any, command: str) -> str:
    """What is told of a command; nothing where the task has secrets, which may be in it."""
    secret = plugin.get_option("task_no_log") or hidden_variables(plugin.get_option("task_environment"))
    return "EXEC a command that is not shown, because its task has secrets" if secret else f"EXEC {command}"


def script(command: str) -> str:
    """What a shell is to read so that no process has the command among its arguments."""
    if not command.startswith(_SHELL):
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return words[-1] if command == _SHELL + shlex.quote(words[-1]) else command


def options(plugin: t.Any, known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of a plugin that modules have too, with the same types, choices and environment variables.

    A default counts as unset, because a module looks into its environment before it takes the default.
    """
    given = {}
    for name in known:
        value, origin = plugin.get_option_and_origin(name)
        if value is not None and origin != "default":
            given[name] = value
    result = ArgumentSpecValidator(dict(known)).validate(given)
    if result.error_messages:
        raise AnsibleConnectionFailure(f"{plugin.transport}: {'; '.join(result.error_messages)}.")
    validated: dict[str, t.Any] = result.validated_parameters
    return validated


def run_command(arguments: t.Sequence[str], **_options: t.Any) -> tuple[int, str, str]:
    """As a module's own, for what ``az`` says of its login."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def unreachable() -> t.Iterator[None]:
    """A Failure means that the host is unreachable."""
    try:
        yield
    except Failure as failure:
        raise AnsibleConnectionFailure(failure.sentence) from failure


def read_local(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise AnsibleFileNotFound(f"The file {path} does not exist here.") from error
    except OSError as error:
        raise AnsibleError(f"The file {path} cannot be read here: {error.strerror}.") from error


def write_local(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise AnsibleError(f"The file {path} cannot be written here: {error.strerror}.") from error


def require_sum(what: str, data: bytes, told: str) -> None:
    """Raise unless ``told`` begins with the SHA-256 of the data, as ``sha256sum`` prints it."""
    if hashlib.sha256(data).hexdigest() != told.strip().partition(" ")[0]:
        raise AnsibleConnectionFailure(f"{what} did not arrive as it was sent: run again.")


def require_transfer(what: str, status: int, errors: bytes) -> None:
    if status != 0:
        text = " ".join(errors.decode("utf-8", "replace").split())[:300].rstrip(".")
        raise AnsibleError(f"{what} failed with status {status}: {text or 'no reason was given'}.")
