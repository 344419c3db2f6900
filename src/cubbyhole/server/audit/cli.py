"""`cubbyhole audit`: export, verify, receipts, key."""

from __future__ import annotations

import typer

audit = typer.Typer(no_args_is_help=True, help="A bank's journal for auditors: export it, verify it.")
