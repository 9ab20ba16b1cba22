# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is wrong with the value of an option, in sentences that name the operator's own variable and entry."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
    check_type_path,
    check_type_str,
)

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_formats import FORMATS, FREE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.suggestions import closest

Raw = t.Mapping[str, t.Any]


def _text(value: object) -> object:
    """Ansible would write a list or a dictionary out as a text."""
    if isinstance(value, (list, dict)):
        raise TypeError
    return check_type_str(value)


def _path(value: object) -> object:
    return check_type_path(_text(value))


# By the type of an option, as Ansible converts values, and what such a value is called.
_TYPES: t.Mapping[str, tuple[t.Callable[[t.Any], t.Any], str]] = {
    "bool": (check_type_bool, "true or false"),
    "dict": (check_type_dict, "a dictionary"),
    "float": (check_type_float, "a number"),
    "int": (check_type_int, "a whole number"),
    "list": (check_type_list, "a list"),
    "path": (_path, "a path"),
    "str": (_text, "a text"),
}


def wrong(name: str, option: Raw, value: object, key: str = "", *, is_here: bool = False) -> t.Iterator[str]:
    """``option``: as the argument specification of a role has it; ``key``: that of its format. Null is what is not set.

    ``is_here``: what reads files runs on this machine.
    """
    if value is None or (value == "" and option.get("required")):
        if option.get("required"):
            yield f"{name} is {'missing' if value is None else 'empty'}."
        return
    convert, called = _TYPES[option.get("type") or "str"]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        yield f"{name} is {_shown(value, option)}, not {called}{_instead(option, value)}."
        return
    choices = option.get("choices")
    if isinstance(converted, list) and option.get("elements") not in (None, "raw"):
        of_elements = {key: option.get(key) for key in ("options", "choices", "no_log")}
        element = {**of_elements, "type": option["elements"], "required": True}
        for number, each in enumerate(converted):
            yield from wrong(_entry(name, number, each), element, each, key, is_here=is_here)
    elif choices and not isinstance(converted, list) and converted not in choices:
        yield f"{name} is {_shown(converted, option)}; it is one of {', '.join(map(str, choices))}."
    elif isinstance(converted, dict) and option.get("options"):
        yield from _wrong_keys(name, option["options"], converted, key, is_here=is_here)
    elif value != "":
        yield from _wrong_format(name, converted, key, is_here=is_here)


def _wrong_format(name: str, value: object, key: str, *, is_here: bool) -> t.Iterator[str]:
    """At most one sentence."""
    kind = FORMATS.get(key, FREE)
    told = kind.wrong(name, value)
    if not told and kind.is_file and is_here and _is_missing(str(value)):
        told = f"{name} is {value!r}, and there is no such file; correct the path."
    if told:
        yield told


def _is_missing(path: str) -> bool:
    """Whether a path leads nowhere, from whatever directory; where that cannot be told, not."""
    whole = os.path.expanduser(path)
    if not os.path.isabs(whole):
        return False
    try:
        os.stat(whole)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _instead(option: Raw, value: object) -> str:
    """How an entry is written whose keys are left out."""
    needed = [key for key, each in (option.get("options") or {}).items() if (each or {}).get("required")]
    if option.get("no_log") or not isinstance(value, str) or not needed:
        return ""
    first = f"{needed[0]}: {value}" if len(value) <= 60 else f"{needed[0]}: ..."
    rest = "".join(f", {key}: ..." for key in needed[1:])
    return f"; write `- {{{first}{rest}}}`" if rest else f"; write `- {first}`"


def _wrong_keys(name: str, options: Raw, value: Raw, key: str, *, is_here: bool) -> t.Iterator[str]:
    known = {own: option or {} for own, option in options.items()}
    for own in value:
        if own not in known:
            close = closest(str(own), known, cutoff=0.6)
            meant = f"did you mean {close}?" if close else f"it has {', '.join(sorted(known))}."
            yield f"{name} has no key {own}; {meant}"
    for own, option in known.items():
        yield from wrong(f"{name}: {own}", option, value.get(own), f"{key}.{own}", is_here=is_here)


def _entry(name: str, number: int, value: object) -> str:
    """Counted from 1, with its own name where it has one."""
    own = value.get("name") if isinstance(value, dict) else None
    return f"{name}, entry {number + 1}" + (f" ({own})" if isinstance(own, str) and own else "")


def _shown(value: object, option: Raw) -> str:
    """The value of what can hold no secret, else only what it is."""
    of_values = option.get("choices") or option.get("type") in ("bool", "float", "int")
    if isinstance(value, (str, int, float)) and of_values and not option.get("no_log"):
        text = repr(value) if isinstance(value, str) else str(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    kinds = {list: "a list", dict: "a dictionary", str: "a text"}
    return next((called for kind, called in kinds.items() if isinstance(value, kind)), "another value")
