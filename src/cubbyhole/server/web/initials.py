"""A person in two letters, for round pictures."""

from __future__ import annotations


def initials_of(name: str) -> str:
    """First letters of the first and the last name; ``?`` where there is no letter."""
    parts = [part for part in name.replace("-", " ").split() if part[0].isalpha()]
    picked = parts[:1] + parts[-1:] if len(parts) > 1 else parts
    return "".join(part[0].upper() for part in picked) or "?"
