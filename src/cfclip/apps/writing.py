"""Putting the files of a command in place, so that a killed command can simply be repeated."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cfclip.errors import InputError, failing_to
from cfclip.io import alone_in, remove_partials, sha256_of, whole_lines

_LIST = "written"
_KEY_CHARACTERS = 16


class Writing:
    """The files of one run of a command, in sets of which none is ever left half unasked.

    A set is written in a hidden folder in --out, noted there by names and hashes, and then moved to
    --out, its last file last. The folder is gone when the command has ended, however it ended. If
    the process was killed, the folder is still there: the same command may then replace the files
    that it notes, as long as they are what was written. A file that a user put there, or changed,
    is another one.

    Args:
        out: folder of the results; made before the block begins.
        command: what was asked for, in any form that is the same for the same command.
        overwrite: whether all files may be replaced.
    """

    def __init__(self, out: Path, command: str, overwrite: bool) -> None:
        key = hashlib.sha256(command.encode(errors="surrogatepass")).hexdigest()
        self.overwrite = overwrite
        self._out = out
        self._folder = out / f".cfclip-{key[:_KEY_CHARACTERS]}.begun"
        self._list = self._folder / _LIST
        self._earlier = _hashes(self._list.read_bytes() if self._list.exists() else b"")

    def may_replace(self, path: Path) -> bool:
        """Whether a file of this name may be written: there is none, or an earlier run that was
        killed wrote it."""
        if self.overwrite or not os.path.lexists(path):
            return True
        wanted = self._earlier.get(path.name)
        return wanted is not None and _is_plain(path) and sha256_of(path) == wanted

    def __enter__(self) -> "Writing":
        with failing_to(f"write to {self._out}"), ExitStack() as stack:
            self._folder.mkdir(exist_ok=True)
            stack.enter_context(alone_in(self._folder))
            stack.callback(self._end)
            remove_partials(self._folder)
            self._clear()
            self._earlier = _hashes(b"\n".join(whole_lines(self._list)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def together(self, files: Sequence[Path]) -> Iterator[Path]:
        """The folder to write files in, by their names; they are put in place after the block.

        Raises `InputError` if one of them must not be replaced, or that cannot be done.
        """
        with failing_to(f"write to {self._out}"), ExitStack() as stack:
            stack.callback(self._clear)
            yield self._folder
            if taken := [path for path in files if not self.may_replace(path)]:
                raise InputError(f"{taken[0]} exists already; ask to overwrite it (--overwrite)")
            self._note(files)
            for path in files:
                os.replace(self._folder / path.name, path)
        for path in files:
            self._earlier.pop(path.name, None)

    def _note(self, files: Sequence[Path]) -> None:
        with open(self._list, "ab") as stream:
            for path in files:
                stream.write(_line(path.name, sha256_of(self._folder / path.name)))

    def _clear(self) -> None:
        """Remove what was written and not put in place."""
        for path in self._folder.iterdir():
            if path != self._list and not path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _end(self) -> None:
        """What the killed run wrote and this one did not stays noted, what this one wrote is the
        user's."""
        if self._earlier and not self.overwrite:
            self._list.write_bytes(b"".join(_line(*each) for each in self._earlier.items()))
        else:
            shutil.rmtree(self._folder, ignore_errors=True)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _line(name: str, digest: str) -> bytes:
    return digest.encode() + b" " + os.fsencode(name) + b"\n"


def _hashes(lines: bytes) -> dict[str, str]:
    """File name to hash; of a name that is there twice, as it was written last."""
    parts = [line.partition(b" ") for line in lines.splitlines()]
    return {os.fsdecode(name): digest.decode(errors="replace") for digest, _, name in parts}
