# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Files that are written as a whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import typing as t

from ._domain.errors import Failure

Write = t.Callable[[str], t.Any]
_CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(path: str, mode: int) -> t.Iterator[Write]:
    """Yields what writes a file that takes the place of ``path`` when the block ends; after an exception none does.

    A new file gets ``mode``, one that is replaced keeps its own. Raises Failure where the file cannot be written.
    """
    target = os.path.realpath(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}-")
        try:
            with os.fdopen(handle, "wb") as file:
                yield lambda text: file.write(_encoded(text))
                file.flush()
                os.fchmod(file.fileno(), _mode(target, mode))
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise _unwritable(path, error.strerror) from error


def require_writable(path: str) -> None:
    """Raise Failure where it is certain that ``replacing`` would."""
    try:
        target = os.path.realpath(path)
    except ValueError as error:
        raise _unwritable(repr(path), str(error)) from error
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise _unwritable(path, f"the folder {folder} does not exist")
    if os.path.isdir(target):
        raise _unwritable(path, "it is a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, f"the folder {folder} may not be written")


def digest(path: str) -> str:
    """SHA-256 of a file, empty where there is none. Raises Failure where it cannot be read."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                found.update(chunk)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Failure(f"The file {path} cannot be read ({error.strerror}): check its mode.") from error
    return found.hexdigest()


class Digest:
    """What ``digest`` would return of a file with the same text."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()

    def write(self, text: str) -> None:
        self._found.update(_encoded(text))

    def __str__(self) -> str:
        return self._found.hexdigest()


def remove(path: str) -> None:
    """Raises Failure where the file cannot be removed; one that is gone is none."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise Failure(f"The file {path} cannot be removed ({error.strerror}): remove it yourself.") from error


def _encoded(text: str) -> bytes:
    """What no encoding knows, such as half a character, is shown as an escape."""
    return text.encode("utf-8", "backslashreplace")


def _mode(path: str, new: int) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return new


def _unwritable(path: str, reason: str | None) -> Failure:
    return Failure(f"The file {path} cannot be written ({reason}): create its folder, or name another path.")
