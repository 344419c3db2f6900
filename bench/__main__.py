"""`python -m bench [NAME …]`: run the benches and print one JSON object a line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bench import decisions
from bench.figure import Figure, NoRealDisk, bench_folder

BENCHES: dict[str, Callable[[Path], list[Figure]]] = {"decisions": decisions.run}


def main(names: list[str]) -> int:
    """Run the named benches, or all. 0 unless a figure misses its goal or there is no real disk."""
    unknown = set(names) - BENCHES.keys()
    if unknown:
        print(f"no bench {sorted(unknown)[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    missed = False
    try:
        folder = bench_folder()
        for name in names or list(BENCHES):
            for figure in BENCHES[name](folder):
                print(figure.as_json(), flush=True)
                missed = missed or figure.holds is False
    except NoRealDisk as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
