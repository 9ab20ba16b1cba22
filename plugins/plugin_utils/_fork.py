# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Makes of a fork of a task's process what a process of a module is."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import gc
import importlib
import io
import locale
import logging
import multiprocessing.process
import multiprocessing.util
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import typing as t
import warnings
import weakref
from dataclasses import dataclass

# What can arrive between the fork and the moment at which it is a process of its own.
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
# What Python ignores from its start.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
# The filters for warnings with which Python starts.
_FILTERS = (
    ("default", None, DeprecationWarning, "__main__", 0),
    ("ignore", None, DeprecationWarning, None, 0),
    ("ignore", None, PendingDeprecationWarning, None, 0),
    ("ignore", None, ImportWarning, None, 0),
    ("ignore", None, ResourceWarning, None, 0),
)
_PLAIN_LOCALES = ("C", "POSIX", "C.UTF-8", "C.utf8", "UTF-8")
# Seconds for which it is waited that an interrupted module ends; it may take longer to put away what it made.
_GRACE = 5.0
_CHUNK = 1 << 16
# What a process that multiprocessing did not start takes itself for; this file is loaded in such a one.
_PROCESS = multiprocessing.process.current_process()
# Filters for warnings that libraries of modules added.
_added: list[t.Any] = []


@dataclass(frozen=True)
class Module:
    """A module whose code and libraries are here."""

    name: str
    path: str
    spec: t.Any
    code: types.CodeType


@dataclass(frozen=True)
class Call:
    """One run of a module, with its arguments as Ansible writes them."""

    module: Module
    arguments: bytes
    profile: str
    environment: t.Mapping[str, str]
    directory: str


def run(call: Call, meanwhile: t.Callable[[], None], interval: float | None) -> tuple[int, bytes, bytes]:
    """Exit status, or minus the signal that ended it, standard output and standard error.

    ``meanwhile`` is called every ``interval`` seconds.
    """
    (source, unused), (output, to_output), (errors, to_errors) = (os.pipe() for _each in range(3))
    os.close(unused)
    process = 0
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        process = os.fork()
        if not process:
            _begin(call, (source, to_output, to_errors), held)
        for each in (source, to_output, to_errors):
            os.close(each)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        said = _read((output, errors), meanwhile, interval)
        status = os.waitpid(process, 0)[1]
        process = 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        for each in (output, errors):
            os.close(each)
        if process:
            _end(process)
    return os.waitstatus_to_exitcode(status), said[0], said[1]


def _read(ends: tuple[int, int], meanwhile: t.Callable[[], None], interval: float | None) -> tuple[bytes, bytes]:
    said: dict[int, list[bytes]] = {end: [] for end in ends}
    due = time.monotonic() + (interval or 0)
    with selectors.DefaultSelector() as waiting:
        for end in ends:
            waiting.register(end, selectors.EVENT_READ)
        while waiting.get_map():
            left = None if interval is None else max(due - time.monotonic(), 0)
            for key, _events in waiting.select(left):
                data = os.read(key.fd, _CHUNK)
                said[key.fd].append(data)
                if not data:
                    waiting.unregister(key.fd)
            if interval is not None and time.monotonic() >= due:
                meanwhile()
                due = time.monotonic() + interval
    return b"".join(said[ends[0]]), b"".join(said[ends[1]])


def _end(process: int) -> None:
    """Interrupt a module that nobody waits for any more, so that it puts away what it made; it is never killed."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGINT)
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and not os.waitpid(process, os.WNOHANG)[0]:
            time.sleep(0.02)


def _begin(call: Call, standard: tuple[int, int, int], held: t.Iterable[t.Any]) -> t.NoReturn:
    """What the fork does. Nothing of the process that it came from may run in it, so it never returns."""
    status = 1
    try:
        kept = _become_a_process(call, standard)
        _reset_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        status = contextvars.Context().run(_main, call)
        del kept
    except BaseException:
        with contextlib.suppress(BaseException):
            os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _become_a_process(call: Call, standard: tuple[int, int, int]) -> list[t.Any]:
    """Returns what must not be freed, because it would close what has its number by then."""
    gc.freeze()
    kept: list[t.Any] = [sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__]
    for number, end in enumerate(standard):
        os.dup2(end, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.close(int(name))
    os.environ.clear()
    os.environ.update(call.environment)
    os.chdir(call.directory)
    kept += _reset_python(call)
    _reset_logging(kept)
    _reset_ansible(call)
    # Files that a kubeconfig in memory was written to; those of ansible-playbook may be gone by now.
    known: t.Any = getattr(sys.modules.get("kubernetes.config.kube_config"), "_temp_files", {})
    kept.append(dict(known))
    known.clear()
    return kept


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(number, signal.SIG_DFL)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _reset_python(call: Call) -> list[t.Any]:
    """Put back what libraries and Ansible changed of Python.

    Types are ignored where that is private to the standard library, or where it takes streams for constant.
    """
    kept: list[t.Any] = []
    encoding, errors = _standard_encoding(sys.__stdout__.encoding if sys.__stdout__ else "utf-8")
    sys.stdin = sys.__stdin__ = _stream(0, "r", encoding, errors)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", encoding, errors)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", encoding, "backslashreplace")  # type: ignore[misc]
    sys.excepthook, sys.unraisablehook, sys.displayhook = (
        sys.__excepthook__,
        sys.__unraisablehook__,
        sys.__displayhook__,
    )
    threading.excepthook = threading.__excepthook__
    main = getattr(sys.modules["__main__"], "__file__", None)
    beside = {"", ".", os.path.dirname(os.path.realpath(main)) if main else ""}
    sys.path[:] = [path for path in sys.path if path not in beside]
    sys.argv = [call.module.path]
    # What others wanted to do at the end is not to be done by this process; what a module adds is.
    atexit._clear()
    atexit.register(logging.shutdown)
    kept.append(dict(weakref.finalize._registry))  # type: ignore[attr-defined]
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    kept.append(list(subprocess._active))  # type: ignore[attr-defined]
    subprocess._active.clear()  # type: ignore[attr-defined]
    kept.append(dict(multiprocessing.util._finalizer_registry))  # type: ignore[attr-defined]
    multiprocessing.util._finalizer_registry.clear()  # type: ignore[attr-defined]
    kept.append(multiprocessing.process._current_process)  # type: ignore[attr-defined]
    multiprocessing.process._current_process = _PROCESS  # type: ignore[attr-defined]
    multiprocessing.process._parent_process = None  # type: ignore[attr-defined]
    multiprocessing.process._children = set()  # type: ignore[attr-defined]
    tempfile.tempdir = None
    socket.setdefaulttimeout(None)
    warnings.resetwarnings()
    warnings.filters[:] = _FILTERS  # type: ignore[index]
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]
    warnings.filters[:0] = _added  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]
    logging.captureWarnings(False)
    return kept


def _standard_encoding(encoding: str) -> tuple[str, str]:
    """Of the standard streams, as the interpreter chooses it; Ansible changes how its own treats errors."""
    chosen = os.environ.get("PYTHONIOENCODING", "").partition(":")[2]
    plain = sys.flags.utf8_mode or locale.setlocale(locale.LC_CTYPE) in _PLAIN_LOCALES
    return encoding, chosen or ("surrogateescape" if plain else "strict")


def _stream(number: int, mode: str, encoding: str, errors: str) -> io.TextIOWrapper:
    return open(number, mode, encoding=encoding, errors=errors, closefd=False)  # type: ignore[return-value]


def _reset_logging(kept: list[t.Any]) -> None:
    logging.disable(logging.NOTSET)
    logging.raiseExceptions = True
    logging.setLoggerClass(logging.Logger)
    # In place, because the end of the process has this very list. What they write to is not open here.
    kept += logging._handlerList  # type: ignore[attr-defined]
    logging._handlerList.clear()  # type: ignore[attr-defined]
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    for logger in (logging.root, *loggers):
        kept += logger.handlers
        logger.handlers = [each for each in logger.handlers if isinstance(each, logging.NullHandler)]
        logger.filters = []
        logger.setLevel(logging.WARNING if logger is logging.root else logging.NOTSET)
        logger.propagate, logger.disabled = True, False


def _reset_ansible(call: Call) -> None:
    """ansible.module_utils is told that this is no controller, which is what it takes itself for here."""
    from ansible.module_utils import _internal
    from ansible.module_utils._internal import _traceback
    from ansible.module_utils.common import warnings as told

    _internal.is_controller = False
    _internal.get_controller_serialize_map = dict
    _internal.import_controller_module = lambda _name: None
    _traceback._is_traceback_enabled = _traceback._is_module_traceback_enabled
    _traceback._module_tracebacks_enabled_events = None
    told._global_warnings.clear()
    told._global_deprecations.clear()


def _main(call: Call) -> int:
    """The module, and what the interpreter does at the end of a process; the exit status."""
    from ansible.module_utils._internal._ansiballz import _loader

    name = call.module.spec.name
    sys.modules.pop(name, None)
    runs: t.Any = types.SimpleNamespace(run_module=lambda **given: _execute(call.module, **given))
    _loader.runpy = runs
    interrupted = False
    try:
        _loader.run_module(
            json_params=call.arguments,
            profile=call.profile,
            module_fqn=name,
            modlib_path=os.path.dirname(call.module.path),
            extensions={},
        )
        status = 0
    except SystemExit as end:
        status = _status(end.code)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        status = 1
        _tell()
    for last in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            last()
        except BaseException:
            _tell()
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except Exception:
        status = 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status


def _execute(module: Module, *, mod_name: str, init_globals: dict[str, t.Any], **_given: t.Any) -> None:
    """What ``runpy.run_module`` does, with the code that is here already."""
    main = types.ModuleType("__main__")
    main.__dict__.update(
        init_globals,
        __file__=module.path,
        __loader__=module.spec.loader,
        __package__=mod_name.rpartition(".")[0],
        __spec__=module.spec,
    )
    sys.modules["__main__"] = main
    exec(module.code, main.__dict__)


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _tell() -> None:
    with contextlib.suppress(BaseException):
        traceback.print_exc()


def load(name: str, libraries: t.Iterable[str]) -> Module:
    """The module of that whole name with what it imports; ImportError where something is missing."""
    before = list(warnings.filters)
    for library in libraries:
        importlib.import_module(library)
    loaded = importlib.import_module(name)
    # A library that another action has imported before adds them no more.
    _added.extend(each for each in warnings.filters if each not in before and each not in _added)
    spec = loaded.__spec__
    code = spec.loader.get_code(name)  # type: ignore[union-attr]
    return Module(name.rpartition(".")[2], str(loaded.__file__), spec, code)
