"""Debian's Chromium under Playwright, which would otherwise want to download a browser of its own."""

from __future__ import annotations

import ctypes.util
import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "No Chromium here, so the browser tests did not run. As root `make test` installs it; "
    "otherwise ask for the package chromium, or name a browser in CUBBYHOLE_TEST_BROWSER."
)


def find_browser() -> str | None:
    """The browser's program, or None where there is none."""
    if given := os.environ.get("CUBBYHOLE_TEST_BROWSER"):
        return given
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch_arguments(program: str) -> dict[str, object]:
    """What Playwright needs to start that program, also as root and in a machine with a small /dev/shm."""
    arguments = ["--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return {"executable_path": program, "args": arguments}


def use_our_node() -> None:
    """Playwright's own Node needs libatomic1, which a bare Debian lacks: point it at the one that built the pages."""
    if "PLAYWRIGHT_NODEJS_PATH" in os.environ or ctypes.util.find_library("atomic"):
        return
    built_with = Path(__file__).parents[2] / ".node/bin/node"
    node = str(built_with) if built_with.exists() else shutil.which("node")
    if node:
        os.environ["PLAYWRIGHT_NODEJS_PATH"] = node
