"""`python -m cubbyhole.cli.several`: one command line after another in one process, for whoever types many.

Each line on standard input is a JSON list of arguments as `cubbyhole` takes them; each line that comes back is
``{"code", "out", "err"}``: how it ended and what it printed. Most of a short command's time is loading its libraries,
and here they are loaded once. It ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback

from cubbyhole.cli.main import build


def run(arguments: list[str]) -> dict[str, object]:
    """Run one command line as a process of its own would, with nothing on its standard input."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            build(arguments)(args=arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception:
            traceback.print_exc()
            code = 1
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    lines, sys.stdin = sys.stdin, io.StringIO()
    for line in lines:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
