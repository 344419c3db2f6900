"""The wheel that is published has everything that the pages need."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cubbyhole.ui.render import static_folder

ROOT = Path(__file__).parents[2]
UI = "cubbyhole/ui"


@pytest.mark.skipif(not (static_folder() / "manifest.json").exists(), reason="not built: run `make web`")
def test_a_wheel_contains_the_built_pages_their_templates_and_their_words(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        manifest = json.loads(archive.read(f"{UI}/static/manifest.json"))
    assert {"app.js", "app.css", "mark.svg"} <= manifest.keys()
    assert {f"{UI}/static/{name}" for name in manifest.values()} <= packed
    for folder, kind in (("templates", "*.html"), ("locales", "*.json")):
        here = {f"{UI}/{folder}/{path.name}" for path in (ROOT / "src" / UI / folder).glob(kind)}
        assert here and here <= packed
    assert not [name for name in packed if "node_modules" in name or name.endswith(".ts")]
