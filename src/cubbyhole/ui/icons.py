"""Icons as outlines on a 20 by 20 grid, drawn with a 1.6 stroke in the colour of the text."""

from __future__ import annotations

from markupsafe import Markup

# The states of a locker come first: each has an icon of its own, so that no state is told by colour alone.
OUTLINES: dict[str, str] = {
    "free": '<circle cx="10" cy="10" r="6.2"/>',
    "yours": '<circle cx="6.6" cy="10" r="3.4"/><path d="M10 10h7.4v3M14.4 10v2.4"/>',
    "inuse": '<circle cx="10" cy="6.6" r="3"/><path d="M4.2 16.6c.5-3.6 2.8-5.2 5.8-5.2s5.3 1.6 5.8 5.2"/>',
    "waiting": '<path d="M3.2 6.4 10 3l6.8 3.4v7.3L10 17l-6.8-3.3zM3.2 6.4 10 9.7l6.8-3.3M10 9.7V17"/>',
    "expiring": (
        '<path d="M5 2.8h10M5 17.2h10M6.2 2.8c0 4.4 3.8 4.8 3.8 7.2s-3.8 2.8-3.8 7.2'
        'M13.8 2.8c0 4.4-3.8 4.8-3.8 7.2s3.8 2.8 3.8 7.2"/>'
    ),
    "open": '<path d="M4 3.2h12v13.6H4zM4 3.2l6.2 2.4v13l-6.2-1.8M8.2 11v1.2"/>',
    "oos": '<circle cx="10" cy="10" r="6.8"/><path d="m5.3 14.7 9.4-9.4"/>',
    "alarm": '<path d="M10 3 2.6 16.4h14.8zM10 8v4M10 14.2v.1"/>',
    "offline": (
        '<path d="M8 12 6.3 13.7a2.8 2.8 0 0 1-4-4L5 7M12 8l1.7-1.7a2.8 2.8 0 0 1 4 4L15 13'
        'M6.5 3v2M3 6.5h2M13.5 17v-2M17 13.5h-2"/>'
    ),
    "check": '<path d="M2.4 10S5 5 10 5s7.6 5 7.6 5-2.6 5-7.6 5-7.6-5-7.6-5z"/><circle cx="10" cy="10" r="2.3"/>',
    "bench": '<circle cx="10" cy="10" r="3"/>',
    "bolt": '<path fill="currentColor" stroke="none" d="M11.6 2 4.4 11.4h4.4L8 18l7.6-9.8h-4.6z"/>',
    "low": (
        '<circle cx="8.6" cy="3.6" r="1.5" fill="currentColor"/>'
        '<path d="M8.6 6.6v4.6h4.8l2.2 4.6M8.6 8.6h4M6.4 9.8a4.3 4.3 0 1 0 6 5.6"/>'
    ),
    "badge": (
        '<rect x="4" y="2.8" width="12" height="14.4" rx="2.2"/><path d="M8.4 5.4h3.2"/>'
        '<circle cx="10" cy="9.8" r="1.9"/><path d="M6.8 14.6c.4-1.6 1.7-2.3 3.2-2.3s2.8.7 3.2 2.3"/>'
    ),
    "home": '<rect x="3" y="3" width="14" height="14" rx="2"/><path d="M10 3v14M3 10h7"/>',
    "list": '<path d="M4 5.5h12M4 10h12M4 14.5h8"/>',
    "log": '<path d="M5 2.8h10v14.4l-2.5-1.6-2.5 1.6-2.5-1.6L5 17.2zM8 7h4M8 10.4h4"/>',
    "people": (
        '<circle cx="7.4" cy="7" r="2.8"/><path d="M2.4 16c.4-3 2.3-4.4 5-4.4s4.6 1.4 5 4.4'
        'M12.4 4.6a2.7 2.7 0 0 1 0 5M14.6 11.8c1.8.5 2.8 1.9 3 4.2"/>'
    ),
    "sliders": (
        '<path d="M3 6h7.4M14.6 6H17M3 14h2.4M9.6 14H17"/><circle cx="12.5" cy="6" r="2.1"/>'
        '<circle cx="7.5" cy="14" r="2.1"/>'
    ),
    "table": '<path d="M2.5 8h15M4 8v8M16 8v8M6.5 8V4h7v4"/>',
    "close": '<path d="m5 5 10 10M15 5 5 15"/>',
    "done": '<path d="m4 10.6 4 4 8-9"/>',
    "search": '<circle cx="9" cy="9" r="5.4"/><path d="m13 13 4 4"/>',
    "wifi": '<path d="M2.5 8a10.8 10.8 0 0 1 15 0M5.2 11a7 7 0 0 1 9.6 0M8 13.8a3 3 0 0 1 4 0"/>',
    "shield": '<path d="M10 2.6 4 4.8v4.6c0 3.9 2.5 6.6 6 8 3.5-1.4 6-4.1 6-8V4.8zM7.2 9.8l2 2 3.6-4"/>',
    "clock": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4.3l2.8 1.7"/>',
    "back": '<path d="M12.5 4.5 7 10l5.5 5.5"/>',
    "power": '<path d="M10 3v7M6 5.4a6.4 6.4 0 1 0 8 0"/>',
    "cable": '<path d="M7 2.8v4M13 2.8v4M5 6.8h10v3a5 5 0 0 1-10 0zM10 14.8v3"/>',
}


def sprite() -> Markup:
    """All icons as symbols, once a page."""
    symbols = "".join(
        f'<symbol id="i-{name}" viewBox="0 0 20 20"><g fill="none" stroke="currentColor" stroke-width="1.6" '
        f'stroke-linecap="round" stroke-linejoin="round">{outline}</g></symbol>'
        for name, outline in OUTLINES.items()
    )
    return Markup(f'<svg width="0" height="0" class="sprite" aria-hidden="true"><defs>{symbols}</defs></svg>')


def icon(name: str, size: int = 20) -> Markup:
    """One icon; decoration, so words must stand beside it."""
    return Markup(f'<svg class="icon" width="{size}" height="{size}" aria-hidden="true"><use href="#i-{name}"/></svg>')
