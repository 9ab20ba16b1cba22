# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of cases without a second list of their columns."""

from __future__ import annotations

import inspect
import typing as t

import pytest

Test = t.TypeVar("Test", bound=t.Callable[..., None])


def case(name: str, *values: t.Any) -> t.Any:
    """A row with a name."""
    return pytest.param(*values, id=name)


def for_each(*rows: t.Any) -> t.Callable[[Test], Test]:
    """Run a test once for each row: a tuple with the first parameters of the test, or its one parameter."""

    def mark(test: Test) -> Test:
        first = rows[0].values if isinstance(rows[0], type(pytest.param())) else rows[0]
        columns = list(inspect.signature(test).parameters)[: len(first) if isinstance(first, tuple) else 1]
        return pytest.mark.parametrize(columns if isinstance(first, tuple) else columns[0], rows)(test)

    return mark
