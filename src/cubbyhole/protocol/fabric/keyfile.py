"""Writing a key so that a power cut leaves either the old file or the new one, never half."""

from __future__ import annotations

import os
from pathlib import Path


def write_key_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write ``path`` whole and to the disk. Its folder is made, for its owner only, if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
