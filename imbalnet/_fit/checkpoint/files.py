"""The file of a checkpoint: written as a whole or not at all, and checked when read.

``torch.load(weights_only=True)`` reads it, which runs no code.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

_MAGIC = b"imbalnet checkpoint 1\n"
_NAME, _LOCK = "unfinished_fit.pt", "in_use.lock"
PLACEHOLDER = "{fit}"


class CheckpointFile:
    """The file of an unfinished fit in a folder.

    Parameters
    ----------
    folder : str
        The parameter ``checkpoint``; "{fit}" in it is replaced by `fit`.
    fit : str
        A name of the fit.
    """

    def __init__(self, folder: str, fit: str) -> None:
        self.asked = folder
        self.is_own = PLACEHOLDER in folder
        self.folder = Path(folder.replace(PLACEHOLDER, fit))
        self.path = self.folder / _NAME

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Create and lock the folder; the system unlocks it if the process dies."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / _LOCK)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"checkpoint={self.asked!r}: another fit that is running saves itself "
                f"in {self.folder}; {self._own_folder()}."
            ) from error
        except OSError as error:
            raise ValueError(
                f"checkpoint={self.asked!r} must be a folder that can be written to, "
                f"but: {error}."
            ) from error
        try:
            yield
        finally:
            if not self.path.exists():
                with suppress(OSError):  # Windows keeps open files
                    Path(lock.lock_file).unlink()
            lock.release()
            if self.is_own:
                with suppress(OSError):  # it holds a checkpoint
                    self.folder.rmdir()

    def read(self) -> dict[str, Any] | None:
        """Return the content that was written last, or None."""
        if not self.path.exists():
            return None
        content = self.path.read_bytes()
        magic, rest = content[: len(_MAGIC)], memoryview(content)[len(_MAGIC) :]
        sum_size = hashlib.sha256().digest_size
        damaged = ValueError(
            f"checkpoint={self.asked!r}: {self.path} is damaged, or no file of this "
            "version of imbalnet; delete it to start anew."
        )
        if magic != _MAGIC or _sum(rest[sum_size:]) != rest[:sum_size]:
            raise damaged
        try:
            payload = io.BytesIO(rest[sum_size:])
            return torch.load(payload, map_location="cpu", weights_only=True)
        except UnpicklingError as error:  # it would run code
            raise damaged from error

    def write(self, content: dict[str, Any]) -> None:
        """Replace the file in one step, after the new content is complete."""
        payload = io.BytesIO()
        torch.save(content, payload)
        unfinished = self.path.with_suffix(".tmp")
        with open(unfinished, "wb") as file:
            file.writelines([_MAGIC, _sum(payload.getbuffer()), payload.getbuffer()])
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)
        self._sync_folder()

    def delete(self) -> None:
        """Delete the file."""
        for path in (self.path, self.path.with_suffix(".tmp")):
            path.unlink(missing_ok=True)

    def refusal(self, why: str) -> ValueError:
        """Return the error for a file of another fit."""
        return ValueError(
            f"checkpoint={self.asked!r} holds an unfinished fit with {why}. Fit as "
            f"before to go on with it; or delete {self.path} to start anew; or "
            f"{self._own_folder()}."
        )

    def _own_folder(self) -> str:
        if self.is_own:
            return "give another folder"
        own = str(Path(self.asked) / PLACEHOLDER)
        return f"give another folder (checkpoint={own!r} gives each fit its own)"

    def _sync_folder(self) -> None:
        """Write the folder's entries to disk, where the system can."""
        if os.name != "posix":
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sum(payload: Any) -> bytes:
    return hashlib.sha256(payload, usedforsecurity=False).digest()
