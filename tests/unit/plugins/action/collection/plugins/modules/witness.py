# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells everything that a module finds around it, and does what it is told to."""

from __future__ import annotations

import atexit
import datetime
import locale
import logging
import multiprocessing
import os
import signal
import stat
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible.module_utils.common.text.converters import to_text

OPTIONS = {
    "say": {"type": "raw"},
    "text": {"type": "str"},
    "number": {"type": "int"},
    "flag": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "list": {"type": "list", "elements": "str"},
    "map": {"type": "dict"},
    "choice": {"type": "str", "choices": ["a", "b"], "default": "a"},
    "entries": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "no_log": True}},
    },
    "secret": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WITNESS_SECRET"])},
    "old": {"type": "str", "removed_in_version": "9.0.0", "removed_from_collection": "azureops.witness"},
    "other": {"type": "str", "aliases": ["another"]},
    "do": {"type": "list", "elements": "str", "default": []},
    "file": {"type": "path"},
}


def kind(value: Any) -> Any:
    """The types in a value, without what tells that a controller wrote it."""
    if isinstance(value, dict):
        return {str(key): [type(key).__name__, kind(each)] for key, each in value.items()}
    if isinstance(value, list):
        return [kind(each) for each in value]
    return type(value).__name__


def descriptors() -> dict[str, str]:
    found = {}
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            mode = os.fstat(int(name)).st_mode
        except OSError:
            continue
        if int(name) < 3 or not stat.S_ISREG(mode):  # the archive that modules come from
            found[name] = stat.filemode(mode)[0]
    return found


def streams() -> list[Any]:
    return [[each.encoding, each.errors, each.fileno()] for each in (sys.stdin, sys.stdout, sys.stderr)]


def loggers() -> dict[str, Any]:
    known = logging.root.manager.loggerDict.items()
    return {
        "root": [logging.root.level, len(logging.root.handlers), logging.root.manager.disable],
        "odd": sorted(
            name
            for name, each in known
            if isinstance(each, logging.Logger) and (each.level or each.handlers or each.disabled)
        ),
    }


def around() -> dict[str, Any]:
    main_module = sys.modules["__main__"]
    return {
        "argv": [len(sys.argv), os.path.basename(sys.argv[0]), os.path.isabs(sys.argv[0])],
        "name": __name__,
        "main": [main_module.main is main, __package__, __spec__ and __spec__.name],
        "file": os.path.basename(__file__),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "environ": dict(os.environ),
        "directory": os.getcwd(),
        "umask": mask(),
        "descriptors": descriptors(),
        "stdin": sys.stdin.read(),
        "streams": streams(),
        "signals": {str(each): str(signal.getsignal(each)) for each in signal.valid_signals()}
        | {"SIGINT": getattr(signal.getsignal(signal.SIGINT), "__name__", str(signal.getsignal(signal.SIGINT)))},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "loggers": loggers(),
        "filters": [[each[0], str(each[1]), str(each[2]), str(each[3]), each[4]] for each in warnings.filters],
        "showwarning": warnings.showwarning.__module__,
        "hooks": [sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__],
        "threads": [each.name for each in threading.enumerate()],
        "process": [multiprocessing.current_process().name, multiprocessing.parent_process() is None],
        "locale": locale.setlocale(locale.LC_ALL),
        "temporary": tempfile.gettempdir(),
        "group": os.getpgrp() != os.getpid(),
        "zone": time.tzname,
        "ids": [os.getuid(), os.getgid(), os.getgroups()],
        "path": [each for each in sys.path if "payload" not in each and "AnsiballZ" not in each],
        "recursion": sys.getrecursionlimit(),
    }


def mask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def spoil(module: AnsibleModule) -> None:
    """Leave behind whatever a process can leave behind."""
    os.environ["SPOILT"] = "yes"
    os.environ.pop("HOME", None)
    os.umask(0)
    os.chdir("/")
    logging.root.setLevel(1)
    logging.basicConfig(handlers=[logging.StreamHandler()], force=True)
    logging.getLogger("spoilt").setLevel(5)
    warnings.simplefilter("error")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.argv.append("spoilt")
    sys.path.insert(0, "/spoilt")
    tempfile.tempdir = "/spoilt"
    setattr(AnsibleModule, "spoilt", True)  # noqa: B010  it has none
    module.params["spoilt"] = True
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def write(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text + "\n")


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        mutually_exclusive=[["text", "number"]],
        required_if=[["choice", "b", ["text"]]],
    )
    do, file = module.params["do"], module.params["file"]
    result = {"changed": False, "params": module.params, "kinds": kind(module.params)}
    result["told"] = {
        "check": module.check_mode,
        "diff": module._diff,
        "verbosity": module._verbosity,
        "name": module._name,
        "shell": module._shell,
        "no_log": module.no_log,
        "spoilt": hasattr(AnsibleModule, "spoilt"),
    }
    if "look" in do:
        result["around"] = around()
    if "spoil" in do:
        spoil(module)
    if "tmpdir" in do:
        place = module.tmpdir
        write(os.path.join(place, "something"), "x")
        write(file, place)
        result["tmpdir"] = [oct(os.stat(place).st_mode), os.path.basename(place.rstrip("/")).split("-")[:2]]
    if "warn" in do:
        module.warn("A warning")
        module.warn("A warning")
        result["warnings"] = ["Another warning"]
    if "deprecate" in do:
        module.deprecate("Old", version="9.0.0", collection_name="azureops.pod_identity")
        module.deprecate("Older", date="2030-01-01", collection_name="azureops.pod_identity")
    if "log" in do:
        logging.getLogger("witness").warning("for nobody")
        warnings.warn("for nobody", stacklevel=1)
        print("for nobody", file=sys.stderr)
    if "diff" in do:
        result["diff"] = {"before": "a\n", "after": "b\n"}
        result["changed"] = True
    if "facts" in do:
        result["ansible_facts"] = {"witnessed": "yes", "ansible_python_interpreter": "/no"}
    if "types" in do:
        result["types"] = {
            "bytes": b"\xff\xc3\xa9",
            "set": {1},
            "tuple": (1, 2),
            "time": datetime.datetime(2026, 1, 2, 3, 4, 5),
            "keys": {1: 2, None: 3, False: 4},
            "text": to_text(b"\xff", errors="surrogateescape"),
        }
    if "run" in do:
        result["run"] = module.run_command(["/bin/sh", "-c", "echo $WITNESS; echo x >&2; exit 3"])
    if "output" in do:
        print("before")
    if "keep" in do:
        atexit.register(write, file, "atexit")
    if "thread" in do:
        threading.Timer(0.1, write, (file, "thread")).start()
    if "large" in do:
        result["large"] = "x" * (1 << 20)
    if "until" in do:
        write(file, "once")
        with open(file, encoding="utf-8") as lines:
            result["times"] = len(lines.readlines())
    if "secret" in do:
        result["shown"] = f"with {module.params['secret']} in it"
    if "results" in do:
        result["results"] = "some"
    if "internal" in do:
        result.update(_ansible_suppress_tmpdir_delete=False, ansible_loop_var="x", stdout="a\nb", rc=0)
    if "fail" in do:
        module.fail_json(msg="It failed", code=7)
    if "failed exception" in do:
        try:
            raise ValueError("the cause")
        except ValueError as error:
            module.fail_json(msg="It failed", exception=error)
    if "raise" in do:
        raise RuntimeError("unforeseen") from KeyError("x")
    if "exit" in do:
        sys.exit(4)
    if "exit text" in do:
        sys.exit("a last word")
    if "hard exit" in do:
        os._exit(9)
    if "return" in do:
        return
    if "kill" in do:
        os.kill(os.getpid(), signal.SIGKILL)
    if "garbage" in do:
        print("{this is not JSON")
        sys.exit(0)
    if "wait" in do:
        atexit.register(write, file, "atexit")
        try:
            write(file, "waits")
            time.sleep(30)
        finally:
            write(file, "finally")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
