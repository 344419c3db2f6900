"""People for screens and lists; a badge number is opened only where its caller may see it."""

from __future__ import annotations
