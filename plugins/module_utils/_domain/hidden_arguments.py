# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which arguments of a module, as Ansible sends it, and which variables of its environment are secret."""

from __future__ import annotations

import ast
import json
import re
import typing as t

from . import ansiballz

_WORDS = frozenset(
    ("pass", "passwd", "password", "passphrase", "pwd", "secret", "secrets", "token", "tokens", "credential")
    + ("credentials", "key", "keys", "apikey", "cookie", "bearer", "pat", "sas", "jwt", "dsn")
)
_ENDS = ("password", "passwd", "passphrase", "pgpass", "secret", "token", "apikey", "credentials", "authorization")
# What such a name ends with where the value only tells where the secret is, or which one it is.
_PLACES = frozenset(("file", "path", "dir", "name", "id", "url", "uri", "endpoint", "type"))
_NONE = frozenset(("PWD", "OLDPWD"))
_SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]+\.eyJ|\b(AccountKey|sig)=")


def hidden(payload: bytes) -> tuple[str, ...]:
    """Names of the arguments that the module keeps out of logs; ``no_log`` where the task itself says so.

    The module is in the payload, with all that it imports: what these mark as ``no_log`` and the task sets is secret.
    """
    if not ansiballz.is_module(payload):
        return ()
    try:
        keywords = ansiballz.arguments(payload)
        params = json.loads(keywords["params"])["ANSIBLE_MODULE_ARGS"]
        archive = ansiballz.archive(keywords["zip_data"])
        sources = [archive.read(name) for name in archive.namelist() if name.endswith(".py")]
    except (SyntaxError, KeyError, ValueError, TypeError):
        return ("unknown",)  # of a version that looks different: nothing can be said for its arguments
    marked: set[str] = set()
    renamed: list[tuple[str, list[str]]] = []
    for source in sources:
        if b"no_log" in source or b"aliases" in source:
            tree = ast.parse(source)
            marked |= _marked(tree)
            renamed += _aliases_given_later(tree)
    marked |= {alias for name, aliases in renamed if name in marked for alias in aliases}
    found = sorted(marked & set(_given(params)))
    return (*(("no_log",) if params.get("_ansible_no_log") else ()), *found)


def hidden_variables(environment: t.Any) -> tuple[str, ...]:
    """Names of the variables that look like secrets, by name or value; ``environment`` is that of a task."""
    if isinstance(environment, (list, tuple)):
        return tuple(sorted({name for each in environment for name in hidden_variables(each)}))
    if not isinstance(environment, dict):
        return ()
    return tuple(sorted(str(name) for name, value in environment.items() if _looks_secret(str(name), value)))


def _looks_secret(name: str, value: t.Any) -> bool:
    if value in (None, "") or name in _NONE:
        return False
    if _SECRET_VALUE.search(str(value)):
        return True
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if not words or words[-1] in _PLACES:
        return False
    pair = words[-2:] == ["connection", "string"] or words[-1] == "auth"
    return bool(_WORDS.intersection(words)) or words[-1].endswith(_ENDS) or pair


def _marked(tree: ast.AST) -> set[str]:
    """Names, and other names, of options whose specification says ``no_log``, as a literal or as argument of a call."""
    names: set[str] = set()
    for node in ast.walk(tree):
        for name, value in _entries(node):
            candidates = [value, *(value.args if isinstance(value, ast.Call) else ())]
            for candidate in candidates:
                if _says_no_log(candidate):
                    names.update((name, *_aliases(candidate)))
    return names


def _aliases(specification: ast.AST) -> list[str]:
    return [text for name, value in _entries(specification) if name == "aliases" for text in _texts(value)]


def _aliases_given_later(tree: ast.AST) -> t.Iterator[tuple[str, list[str]]]:
    """What ``spec["name"]["aliases"] = [...]`` says."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _texts(target.slice) == ["aliases"]:
                    option = target.value
                    for name in _texts(option.slice) if isinstance(option, ast.Subscript) else ():
                        yield name, _texts(node.value)


def _texts(node: ast.AST) -> list[str]:
    parts = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else (node,)
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _says_no_log(node: ast.AST) -> bool:
    return any(
        name == "no_log" and isinstance(value, ast.Constant) and value.value is True for name, value in _entries(node)
    )


def _entries(node: ast.AST) -> t.Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg:
                yield keyword.arg, keyword.value


def _given(value: t.Any) -> t.Iterator[str]:
    """Names of everything that is set, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is not None:
                yield str(name)
                yield from _given(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _given(inner)
