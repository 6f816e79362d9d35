"""Files of datasets that are downloaded: looked for on this machine first, and always checked by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import DataError, MissingExtra
from ..base.extras import require
from ..base.folders import cache_folder


@dataclass(frozen=True)
class Remote:
    """The files of one dataset.

    Attributes:
        name: of the dataset, and of its folder in `$BACKLIT_DATA` and in the cache.
        files: for each file its address and its SHA-256.
        beside: may the files also lie in `$BACKLIT_DATA` itself? Not if other datasets have files of the same names.
    """

    name: str
    files: dict[str, tuple[str, str]]
    beside: bool = True

    def find(self) -> Path | None:
        """The folder that holds all the files, where there is one on this machine."""
        folders = [Path(cache_folder(), self.name)]
        if given := os.environ.get("BACKLIT_DATA"):
            folders = [Path(given) / self.name, *([Path(given)] if self.beside else []), *folders]
        return next((folder for folder in folders if all((folder / file).is_file() for file in self.files)), None)

    def folder(self, download: bool) -> Path:
        """The folder that holds all the files, downloaded into the cache if they are nowhere else.

        Raises:
            DataError: a file is not what it should be, or cannot be had.
        """
        found = self.find()
        if found is None:
            return self._download(download)
        for file, (_, digest) in self.files.items():
            with (found / file).open("rb") as stream:
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
            if actual != digest:
                raise DataError(
                    f"{found / file}: not the file that belongs to {self.name}: expected SHA-256 {digest}, found "
                    f"{actual}. Put the right file there, or take it away to have it downloaded."
                )
        return found

    def _download(self, allowed: bool) -> Path:
        folder = Path(cache_folder(), self.name)
        try:
            if not allowed:
                raise OSError("download=False was given.")
            pooch = require("pooch", "data")
            pooch.get_logger().setLevel("WARNING")
            for file, (url, digest) in self.files.items():
                pooch.retrieve(url, f"sha256:{digest}", fname=file, path=folder)
        except (OSError, ValueError, MissingExtra) as error:
            origin, _, _ = next(iter(self.files.values()))[0].rpartition("/")
            raise DataError(
                f"{self.name} is not on this machine and could not be downloaded: {error}\n"
                f"Get {', '.join(self.files)} from {origin} and put it into {folder}, or set BACKLIT_DATA (now "
                f"{os.environ.get('BACKLIT_DATA') or 'not set'}) to a folder and put it into {self.name} there. "
                "Without a network: digits, iris and their like need no download."
            ) from None
        return folder
