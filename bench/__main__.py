"""`python -m bench [NAME …]`: run the benches and print one JSON object a line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bench import decisions, node_red, remote_open, tap_to_frame
from bench.figure import Figure, NoRealDisk, NotMeasured, bench_folder

BENCHES: dict[str, Callable[[Path], list[Figure]]] = {
    "tap_to_frame": tap_to_frame.run,
    "remote_open": remote_open.run,
    "decisions": decisions.run,
    "node_red": node_red.run,
}


def main(names: list[str]) -> int:
    """Run the named benches, or all. 0 if every goal is met, 1 if one is missed or not measured, 2 for misuse."""
    unknown = set(names) - BENCHES.keys()
    if unknown:
        print(f"no bench {sorted(unknown)[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    try:
        folder = bench_folder()
    except NoRealDisk as error:
        print(error, file=sys.stderr)
        return 2
    missed = False
    for name in names or list(BENCHES):
        try:
            figures = BENCHES[name](folder)
        except NotMeasured as error:
            print(f"{name}: {error}", file=sys.stderr)
            missed = True
            continue
        for figure in figures:
            print(figure.as_json(), flush=True)
            missed = missed or figure.holds is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
