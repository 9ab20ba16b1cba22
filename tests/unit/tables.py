# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of cases with a row on a line."""

from __future__ import annotations

import inspect
import typing as t

import pytest

Test = t.TypeVar("Test", bound=t.Callable[..., None])
World = t.TypeVar("World")
Told = tuple[str, ...]
"""What is told of a world: a code, the object, and perhaps how certain that is."""
Groups = dict[tuple[t.Any, ...], dict[str, World]]
"""Worlds by name, under what is told of each of them, one or several; under ("no", CODE) where that is nothing."""


def table(names: str, *rows: t.Any) -> pytest.MarkDecorator:
    """Run the test with each row: a value for each of the names, or the value itself where there is one name."""
    return pytest.mark.parametrize(names, rows)


def cases(names: str, *rows: tuple[t.Any, ...]) -> pytest.MarkDecorator:
    """Run the test with each row: what the case is called, then a value for each of the names."""
    return pytest.mark.parametrize(names, [pytest.param(*values, id=case) for case, *values in rows])


def case(name: str, *values: t.Any) -> t.Any:
    """A row with a name."""
    return pytest.param(*values, id=name)


def for_each(*rows: t.Any) -> t.Callable[[Test], Test]:
    """Run a test once for each row: a tuple with the first parameters of the test, or its one parameter."""

    def mark(test: Test) -> Test:
        first = rows[0].values if isinstance(rows[0], type(pytest.param())) else rows[0]
        columns = list(inspect.signature(test).parameters)[: len(first) if isinstance(first, tuple) else 1]
        marked: Test = pytest.mark.parametrize(columns if isinstance(first, tuple) else columns[0], rows)(test)
        return marked

    return mark


def worlds_by_name(groups: Groups[World]) -> dict[str, tuple[World, list[Told]]]:
    """Each world with all that is to be told of it."""
    made: dict[str, tuple[World, list[Told]]] = {}
    for key, worlds in groups.items():
        assert not made.keys() & worlds.keys(), "two worlds have one name"
        told = [] if key[0] == "no" else [key] if isinstance(key[0], str) else list(key)
        made.update({name: (world, told) for name, world in worlds.items()})
    return made


def codes(made: t.Mapping[str, tuple[t.Any, list[Told]]]) -> set[str]:
    return {code for _world, told in made.values() for code, *_rest in told}
