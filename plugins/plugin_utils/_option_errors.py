# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is wrong with the value of an option, in sentences that name the operator's own variable and entry."""

from __future__ import annotations

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


def wrong(name: str, option: Raw, value: object) -> t.Iterator[str]:
    """``option``: as the argument specification of a role has it. Null is what is not set."""
    if value is None:
        if option.get("required"):
            yield f"{name} is missing."
        return
    convert, called = _TYPES[option.get("type") or "str"]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        yield f"{name} is {_shown(value, option)}, not {called}."
        return
    choices = option.get("choices")
    if isinstance(converted, list):
        of_elements = {key: option.get(key) for key in ("options", "choices", "no_log")}
        element = {**of_elements, "type": option.get("elements") or "raw"}
        for number, each in enumerate(converted if element["type"] != "raw" else ()):
            yield from wrong(_entry(name, number, each), element, each)
    elif choices and converted not in choices:
        yield f"{name} is {_shown(converted, option)}; it is one of {', '.join(map(str, choices))}."
    elif isinstance(converted, dict) and option.get("options"):
        yield from _wrong_keys(name, option["options"], converted)


def _wrong_keys(name: str, options: Raw, value: Raw) -> t.Iterator[str]:
    known = {key: option or {} for key, option in options.items()}
    for key in value:
        if key not in known:
            close = closest(str(key), known, cutoff=0.6)
            meant = f"did you mean {close}?" if close else f"it has {', '.join(sorted(known))}."
            yield f"{name} has no key {key}; {meant}"
    for key, option in known.items():
        yield from wrong(f"{name}: {key}", option, value.get(key))


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
