# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Runs modules in a fork of the task's process where that does the same as a process of their own, only sooner.

Everything else stays what Ansible does: this replaces of it what builds, sends and executes a module.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import json
import os
import platform
import shlex
import shutil
import signal
import site
import sys
import threading
import time
import typing as t
from types import MappingProxyType

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.release import __version__
from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import option_names, task_process
from ansible_collections.azureops.pod_identity.plugins.module_utils._progress import FILE
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _changes, _fork
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._progress_lines import LOOK, Lines, one_line
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietNormal

# Constants of the configuration come to be at run time.
C: t.Any = constants
_COLLECTION = "azureops.pod_identity"
_VARIABLE, _SWITCH = "pod_identity_in_process", "POD_IDENTITY_IN_PROCESS"
# What is imported before the workers are forked, beside what modules import first.
AZURE = (
    *("azure.core.pipeline.transport._requests_basic", "azure.core.rest._requests_basic", "azure.core.tracing.common"),
    *("azure.mgmt.core", "azure.mgmt.core.policies", "azure.identity", "msal_extensions", "requests", "netrc"),
)
_ALWAYS = (
    *("ansible.module_utils._internal._ansiballz._loader", "ansible.module_utils.basic", "encodings.utf_8_sig"),
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
)
# By which variable an interpreter has such a flag too.
_FLAGS = {
    "isolated": "",
    "ignore_environment": "",
    "no_user_site": "PYTHONNOUSERSITE",
    "safe_path": "PYTHONSAFEPATH",
    "optimize": "PYTHONOPTIMIZE",
    "dev_mode": "PYTHONDEVMODE",
    "warnoptions": "PYTHONWARNINGS",
}
KUBERNETES = ("kubernetes.client.rest", "kubernetes.config")
IDENTITIES = ("azure.mgmt.msi.models", "azure.core.paging")
ROLES = ("azure.mgmt.authorization",)


class Prepared(t.NamedTuple):
    """A module that can run in a fork, or what could not be imported for it."""

    name: str
    module: _fork.Module | None
    missing: str


def prepare(action: str, *libraries: str) -> Prepared:
    """Import what the module of an action needs. Call it where Ansible loads the action, before it forks."""
    plugins, _kind, name = action.rsplit(".", 2)
    known = task_process.core(__version__) in task_process.CORES and platform.system() == task_process.SYSTEM
    if not known or not _switched_on(os.environ.get(_SWITCH)):
        return Prepared(name, None, "")
    try:
        return Prepared(name, _fork.load(f"{plugins}.modules.{name}", (*_ALWAYS, *libraries)), "")
    except Exception as error:  # whatever it is, the module itself is to tell it
        return Prepared(name, None, f"what it needs ({error})")


def _switched_on(value: object) -> bool:
    return value in (None, "") or bool(boolean(value, strict=False))


class _Arguments(bytes):
    """The arguments of a module as Ansible sends them; stands where it has the whole module."""

    module: _fork.Module
    environment: t.Mapping[str, str]


class InProcess(QuietNormal):
    """The action of a module that runs in a fork, where that is equivalent."""

    prepared: t.ClassVar[Prepared]
    in_fork = False
    # Whether what it waits for is shown wherever it runs; otherwise where looking takes no further command elsewhere.
    waits_long = False
    _lines: Lines | None = None
    # Whether it runs in the place of another task, only to find something out.
    looks = False
    # That of the task, as it was looked at; its templates are evaluated once.
    _environment: t.Mapping[str, str] = MappingProxyType({})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        self._decide(variables)
        began = time.monotonic()
        result = self.carry_out(tmp, task_vars)
        if result.get("failed"):
            self._name_variables(result, variables)
        self.keep_changes(variables, result, began)
        return result

    def place(self, _variables: dict[str, t.Any]) -> str:
        """Where something is changed, if the actions of the module do not say it."""
        return ""

    def keep_changes(self, variables: dict[str, t.Any], result: dict[str, t.Any], began: float) -> None:
        """Let the end of the session tell what was changed."""
        where = self.place(variables)
        _changes.keep(self, variables, result, time.monotonic() - began, look=self.looks, where=where)

    def _name_variables(self, result: dict[str, t.Any], variables: dict[str, t.Any]) -> None:
        """In a role of the collection, the message names what its operator can set and the task passes.

        In the place of a task modules run in playbooks of the collection too.
        """
        role, message = self._task._role, result.get("msg")
        of_collection = role is not None and role._role_collection == _COLLECTION
        if not (self.looks or of_collection) or not isinstance(message, str):
            return
        # Only a task that failed needs it.
        from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles

        if self.looks:
            passed = _roles.option_names_of_look(message, self._templar, variables)
        else:
            passed = _roles.option_names(role._role_name, self._untemplated(), variables)
        result["msg"] = option_names.of_role(message, passed)

    def _untemplated(self) -> t.Mapping[str, t.Any]:
        """The arguments of the task as they are written; those that it has by now are evaluated."""
        written = getattr(self._task, "_ds", None) or {}
        found = written.get(self._task.action) if isinstance(written, dict) else None
        return found if isinstance(found, dict) else {}

    def carry_out(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """What is done once it is settled how the module runs.

        Beside the module, the line that it leaves (module_utils/_progress.py) is read and shown. The module knows
        nothing of who reads, and nothing depends on the reader: where it cannot read, nothing is shown.
        """
        task = self._task
        near = self.in_fork or self._starts_here() or self.waits_long
        watched = near and not (task.async_val or task.no_log)
        if watched and self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        self._lines = Lines(f"{host} -> {task.delegate_to}" if task.delegate_to else host) if watched else None
        with self._shown() if watched and not self.in_fork else contextlib.nullcontext():
            result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result

    # what the module waits for

    def _show_line(self) -> None:
        """The file is here, and no thread is needed to look into it."""
        said = ""
        with contextlib.suppress(OSError, ValueError), open(self._place_of_line(), encoding="utf-8") as file:
            said = file.read()
        if self._lines:
            self._lines.show(one_line(said))

    def _place_of_line(self) -> str:
        shell = self._connection._shell
        return str(shell.join_path(shell.tmpdir, FILE))

    @contextlib.contextmanager
    def _shown(self) -> t.Iterator[None]:
        over = threading.Event()
        arguments = (self._on_a_connection_of_its_own(), over)
        watcher = threading.Thread(target=contextvars.copy_context().run, args=(_watch, *arguments), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _on_a_connection_of_its_own(self) -> InProcess:
        """This action again; what its connection and its become plugin remember of a command is not shared."""
        other = copy.copy(self)
        other._connection = copy.copy(self._connection)
        other._inherited = {}  # to look into a file takes no secret, and the environment of a process is one
        if self._connection.become:
            other._connection.set_become_plugin(copy.copy(self._connection.become))
        return other

    def line(self) -> str:
        """What the module says now; empty where it says nothing or cannot be read."""
        try:
            said = self._low_level_execute_command(f"cat {shlex.quote(self._place_of_line())} 2>/dev/null")
        except AnsibleError:
            return ""
        return one_line(said["stdout"]) if said["rc"] == 0 else ""

    def _decide(self, task_vars: dict[str, t.Any]) -> None:
        """Settle how the module of this task runs, and tell it at -vvv."""
        try:
            reason = task_process.why_not(self._facts(task_vars))
        except Exception as error:  # Ansible has its own words for what is wrong
            reason = f"it is not known whether a fork does the same ({type(error).__name__})"
        self.in_fork = not reason
        how = f"as a module, because {reason}" if reason else "in a fork of ansible-playbook"
        Display().vvv(f"{self.prepared.name} runs {how}.", host=self._play_context.remote_addr)

    # what is known of the task

    def _facts(self, task_vars: dict[str, t.Any]) -> task_process.Task:
        switched_off_by = self._switched_off_by(task_vars)
        core = task_process.core(__version__)
        connection = self._connection.transport
        if type(self._connection).__module__ != "ansible.plugins.connection.local":
            connection = connection if connection != "local" else "a local one that is not Ansible's own"
        first = task_process.Task(
            switched_off_by=switched_off_by,
            core=core,
            system=platform.system(),
            connection=connection,
            become=bool(self._connection.become or self._play_context.become),
            asynchronous=bool(self._task.async_val),
            missing=self.prepared.missing,
        )
        if task_process.why_not(first):
            return first
        return self._more_facts(first, task_vars)

    def _more_facts(self, first: task_process.Task, task_vars: dict[str, t.Any]) -> task_process.Task:
        """What is asked only of an ansible-core that is known."""
        from dataclasses import replace

        from ansible._internal._ansiballz import _builder
        from ansible.module_utils._internal import _traceback

        delegate = self._task.delegate_to
        of_host = task_vars["ansible_delegated_vars"][delegate] if delegate else task_vars
        interpreter = self._interpreter(of_host)
        given: dict[str, t.Any] = {}
        self._compute_environment_string(given)
        self._environment = {str(name): str(value) for name, value in given.items()}
        executables = tuple(str(each) for each in (C.DEFAULT_EXECUTABLE, self._play_context.executable))
        return replace(
            first,
            interpreter=interpreter,
            own_interpreter=not interpreter or _is_own(interpreter),
            module_elsewhere=self._module_elsewhere(),
            replaced=_replaced(),
            executables=executables,
            shell_type=str(getattr(self._connection._shell, "SHELL_FAMILY", "")),
            shell=_program(executables[0]),
            directory_exists=os.path.isdir(self._loader.get_basedir()),
            keep_files=bool(C.DEFAULT_KEEP_REMOTE_FILES),
            extensions=tuple(_builder.ExtensionManager.create(task_vars=of_host).extension_names),
            tracebacks=bool(_traceback.traceback_for()),
            open_files=str(C.config.get_config_value("PYTHON_MODULE_RLIMIT_NOFILE", variables=of_host) or 0),
            inherited=dict(os.environ),
            environment=self._environment,
            user_site=bool(site.ENABLE_USER_SITE),
            flags=_flags(),
        )

    def _switched_off_by(self, task_vars: dict[str, t.Any]) -> str:
        if not _switched_on(os.environ.get(_SWITCH)):
            return f"the environment variable {_SWITCH}"
        return "" if _switched_on(self._templar.template(task_vars.get(_VARIABLE))) else f"the variable {_VARIABLE}"

    def _interpreter(self, of_host: dict[str, t.Any]) -> str:
        """The one that is named for the host; empty where Ansible would look for one."""
        from ansible._internal._templating._engine import TemplateOptions

        said = C.config.get_config_value("INTERPRETER_PYTHON", variables=of_host)
        named = self._templar._engine.template(said, options=TemplateOptions(value_for_omit="auto"))
        return "" if not named or str(named).strip() in ("auto", "auto_silent") else str(named).strip()

    def _module_elsewhere(self) -> str:
        found = self._shared_loader_obj.module_loader.find_plugin_with_context(
            self._task.action, ".py", collection_list=self._task.collections
        )
        path, ours = found.plugin_resolved_path, self.prepared.module and self.prepared.module.path
        if not path or not ours:
            return "not found"
        return "" if os.path.samefile(path, ours) else str(path)

    # what replaces Ansible's own way

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        return self.in_fork or bool(super()._is_pipelining_enabled(module_style, wrap_async))

    def _execute_module(self, *arguments: t.Any, **named: t.Any) -> dict[str, t.Any]:
        if self.in_fork and self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        result: dict[str, t.Any] = super()._execute_module(*arguments, **named)
        return result

    def _configure_module(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> tuple[t.Any, str]:
        module = self.prepared.module
        if not self.in_fork or module is None:
            configured: tuple[t.Any, str] = super()._configure_module(module_name, module_args, task_vars)
            return configured
        from ansible.executor.module_common import _BuiltModule
        from ansible.module_utils.common.json import Direction, get_module_encoder

        profile = "legacy"
        encoder = get_module_encoder(profile, Direction.CONTROLLER_TO_MODULE)
        try:
            written = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder)
        except TypeError as error:
            raise AnsibleError(f"Failed to serialize arguments for the {module_name!r} module.") from error
        data = _Arguments(written.encode())
        data.module = module
        data.environment = self._environment
        built = _BuiltModule(
            b_module_data=data, module_style="new", shebang=f"#!{sys.executable}", serialization_profile=profile
        )
        return built, module.path

    def _low_level_execute_command(self, cmd: str, *arguments: t.Any, **named: t.Any) -> dict[str, t.Any]:
        connection: t.Any = self._connection
        of_module = isinstance(named.get("in_data"), _Arguments)
        if of_module:
            connection.exec_command = self._exec_in_fork
        try:
            result: dict[str, t.Any] = super()._low_level_execute_command(cmd, *arguments, **named)
        finally:
            if of_module:
                del connection.exec_command
        return result

    def _exec_in_fork(self, _cmd: str, in_data: _Arguments, **_named: t.Any) -> tuple[int, bytes, bytes]:
        """Stands where the connection executes a command."""
        connection: t.Any = self._connection
        connection._connect()
        directory = os.path.realpath(os.fsdecode(connection.cwd))
        shell = {"shell": _program(str(C.DEFAULT_EXECUTABLE)), "release": task_process.core(__version__)}
        environment = task_process.variables(
            os.environ,
            in_data.environment,
            **shell,
            directory=directory,
            logical=_same_directory(os.environ.get("PWD", ""), directory),
            old_exists=os.path.isdir(os.environ.get("OLDPWD", "")),
            python=sys.executable,
        )
        call = _fork.Call(in_data.module, bytes(in_data), "legacy", environment, directory)
        code, output, errors = _fork.run(call, self._show_line, LOOK if self._lines else None)
        if code < 0:
            code, told = task_process.ended(-code, signal.strsignal(-code) or "", **shell)
            errors += told.encode()
        return code, output, errors

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        """As Ansible does, without the four processes that it takes for it."""
        path = ""
        if self.in_fork:
            path = _private_directory(
                str(self.get_shell_option("remote_tmp", default="~/.ansible/tmp")),
                self._connection._shell._generate_temp_dir_name(),
            )
        if not path:
            return str(super()._make_tmp_path(remote_user))
        self._cleanup_remote_tmp = True
        self._connection._shell.tmpdir = path
        return path

    def _remove_tmp_path(self, tmp_path: str | None, force: bool = False) -> None:
        path = tmp_path or self._connection._shell.tmpdir
        if self.in_fork and path and (force or self._should_remove_tmp_path(path)):
            shutil.rmtree(path, ignore_errors=True)
            if not os.path.lexists(path):
                self._connection._shell.tmpdir = None
                return
        super()._remove_tmp_path(tmp_path, force)


def _watch(action: InProcess, over: threading.Event) -> None:
    while not over.wait(LOOK):
        if action._lines:
            action._lines.show(action.line())


def _private_directory(parent: str, name: str) -> str:
    """A new directory that only its owner enters, as Ansible names it; empty where it is to be made by Ansible."""
    if parent.startswith("~/") and os.environ.get("HOME", "").startswith("/"):
        parent = os.environ["HOME"] + parent[1:]
    if not parent.startswith("/") or not all(sign.isalnum() or sign in "/._-+@" for sign in parent):
        return ""
    path = os.path.join(parent, name)
    before = os.umask(0o077)
    try:
        os.makedirs(parent, exist_ok=True)
        os.mkdir(path)
    except OSError:
        return ""
    finally:
        os.umask(before)
    return os.path.join(path, "")


def _is_own(interpreter: str) -> bool:
    """Whether it is the one that runs this, in the same virtual environment."""
    path = interpreter if "/" in interpreter else shutil.which(interpreter) or ""
    own = sys.executable
    return path == own or (
        os.path.isabs(path)
        and os.path.realpath(os.path.dirname(path)) == os.path.realpath(os.path.dirname(own))
        and os.path.realpath(path) == os.path.realpath(own)
    )


def _flags() -> tuple[str, ...]:
    """Those of the interpreter that no variable of the environment gives, which a module's own would not have."""
    found = {name: bool(getattr(sys.flags, name, False)) for name in _FLAGS}
    found["warnoptions"], found["xoptions"] = bool(sys.warnoptions), bool(sys._xoptions)
    return tuple(name for name, there in found.items() if there and not os.environ.get(_FLAGS.get(name, "")))


def _program(path: str) -> str:
    return os.path.basename(os.path.realpath(path))


def _same_directory(path: str, directory: str) -> bool:
    with contextlib.suppress(OSError):
        return path.startswith("/") and os.path.samefile(path, directory)
    return False


def _replaced() -> str:
    """What modules would be given instead of a part of ansible.module_utils."""
    import ansible.module_utils
    from ansible.plugins.loader import module_utils_loader

    (own,) = ansible.module_utils.__path__
    parts = set(os.listdir(own)) - {"__init__.py", "__pycache__"}
    for folder in module_utils_loader._get_paths(subdirs=False):
        if os.path.isdir(folder) and not os.path.samefile(folder, own):
            for name in sorted(parts.intersection(os.listdir(folder))):
                return os.path.join(folder, name)
    return ""
