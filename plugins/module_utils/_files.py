# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Files that are written as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
import typing as t

from ._domain.errors import Failure

Text = t.Union[str, bytes]
Write = t.Callable[[Text], t.Any]
ROOT = 0
_CHUNK = 1 << 20
# What makes a file writable that was refused with one of these, besides another path.
_REMEDIES: t.Mapping[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let the user of this run write there"),
    errno.ENOENT: "create its folder",
}


@contextlib.contextmanager
def replacing(mode: int, *paths: str, keep_modes: bool = True) -> t.Iterator[list[Write]]:
    """Yields what writes files that take the places of ``paths`` when the block ends; after an exception none does.

    Nothing takes a place before all are on the disk. A new file gets ``mode``, one that is replaced keeps its own,
    unless ``keep_modes`` is false.
    Raises Failure where a file cannot be written.
    """
    made: list[_Beside] = []
    try:
        for path in paths:
            made.append(_Beside(path))
        yield [each.write for each in made]
        for each in made:
            each.end(mode, keep=keep_modes)
        for each in made:
            each.take_place()
    finally:
        for each in made:
            each.remove()


class _Beside:
    """A file that is written beside the one whose place it takes. Each method raises Failure where it cannot."""

    def __init__(self, path: str) -> None:
        self._path, self._target = path, os.path.realpath(path)
        folder, name = os.path.split(self._target)
        with self._written():
            handle, self._temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
        self._file = os.fdopen(handle, "wb")

    def write(self, text: Text) -> None:
        with self._written():
            self._file.write(encoded(text))

    def end(self, mode: int, *, keep: bool) -> None:
        with self._written():
            self._file.flush()
            os.fchmod(self._file.fileno(), _mode(self._target, mode) if keep else mode)
            os.fsync(self._file.fileno())

    def take_place(self) -> None:
        with self._written():
            os.replace(self._temporary, self._target)

    def remove(self) -> None:
        """What did not take its place."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)

    @contextlib.contextmanager
    def _written(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self._path, error.strerror, _REMEDIES.get(error.errno or 0, "")) from error


def make_private(folder: str) -> None:
    """Create a folder, and those that it is in, for its owner alone; one that exists stays as open as it is.

    Raises Failure where it cannot be created, or where somebody else has laid a link in its place.
    """
    if _is_link_of_another(folder.rstrip("/")):
        raise Failure(f"The folder {folder} is a symbolic link of another user: name another one.")
    missing = []
    path = os.path.abspath(folder)
    while not os.path.isdir(path) and path != os.path.dirname(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)
        except OSError as error:
            raise Failure(
                f"The folder {folder} cannot be created ({error.strerror}): create it yourself, or name another one."
            ) from error


def devices(*paths: str) -> frozenset[int]:
    """Numbers of the file systems that the paths are on, or would be."""
    found = set()
    for path in map(os.path.abspath, paths):
        while not os.path.exists(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        found.add(os.stat(path).st_dev)
    return frozenset(found)


def require_writable(path: str) -> None:
    """Raise Failure where it is certain that ``replacing`` would."""
    if "\0" in path:
        raise _unwritable(repr(path), "no path has a null character")
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise _unwritable(path, f"the folder {folder} does not exist", _REMEDIES[errno.ENOENT])
    if os.path.lexists(target) and not os.path.isfile(target):
        raise _unwritable(path, "it is a folder" if os.path.isdir(target) else "it is no regular file")
    if _is_link_of_another(path):
        raise _unwritable(path, "it is a symbolic link of another user")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, f"the folder {folder} may not be written", _REMEDIES[errno.EACCES])


def _is_link_of_another(path: str) -> bool:
    return os.path.islink(path) and os.lstat(path).st_uid not in (ROOT, os.geteuid())


def read(path: str) -> bytes:
    """Raises Failure where the file cannot be read, or is none; nothing is waited for, as at a pipe."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Failure(f"{path} cannot be read, because it is no regular file: name another path.")
            return file.read()
    except OSError as error:
        raise Failure(f"The file {path} cannot be read ({error.strerror}): check its mode.") from error


def digest(path: str) -> str:
    """SHA-256 of a file, empty where there is none. Raises Failure where it cannot be read."""
    found = hashlib.sha256()
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f"{path} cannot be read, because it is no regular file: name another path.")
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

    def write(self, text: Text) -> None:
        self._found.update(encoded(text))

    def __str__(self) -> str:
        return self._found.hexdigest()


def remove(path: str) -> None:
    """Raises Failure where the file cannot be removed; one that is gone is none."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise Failure(f"The file {path} cannot be removed ({error.strerror}): remove it yourself.") from error


def encoded(text: Text) -> bytes:
    """As it stands in a file. What no encoding knows, such as half a character, is shown as an escape."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def _mode(path: str, new: int) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return new


def _unwritable(path: str, reason: str | None, remedy: str = "") -> Failure:
    return Failure(f"The file {path} cannot be written ({reason}): {remedy and f'{remedy}, or '}name another path.")
