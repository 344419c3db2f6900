"""`python -m cubbyhole.cli`, where the console script is not on the path."""

from __future__ import annotations

from cubbyhole.cli.main import main

main()
