"""`python -m cubbyhole`: the same command line, for processes that start others with their own interpreter."""

from __future__ import annotations

from cubbyhole.cli.main import main

if __name__ == "__main__":
    main()
