"""The bank picture: furniture drawn in millimetres, as SVG, by the server alone.

The page's script never draws a door: it only changes ``data-state``, ``data-door``, ``data-lock`` and the label of
what stands here, and the style sheet does the rest. Both an open door's inside and its swung leaf are always in the
picture, shown by style.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from cubbyhole.domain.layout import COLUMN_MM, HEIGHT_MM
from cubbyhole.ui.shapes import BankShape, LockerShape
from cubbyhole.ui.words import Words

GAP_MM = 9
SIDE_MM = 24
PLINTH_MM = 86
MARGIN_MM = 60
TOP_MM = 40
_MARKS = (("charging", "bolt"), ("low", "low"))

_DEFS = """<defs>
<linearGradient id="cb-sheen" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#fff" stop-opacity=".2"/><stop offset=".3" stop-color="#fff" stop-opacity=".04"/><stop offset="1" stop-color="#000" stop-opacity=".09"/></linearGradient>
<linearGradient id="cb-swing" x1="0" y1="0" x2="1" y2="0"><stop offset="0" stop-color="#000" stop-opacity=".42"/><stop offset="1" stop-color="#000" stop-opacity=".1"/></linearGradient>
<radialGradient id="cb-floor"><stop offset="0" stop-color="#2a2010" stop-opacity=".55"/><stop offset=".55" stop-color="#2a2010" stop-opacity=".22"/><stop offset="1" stop-color="#2a2010" stop-opacity="0"/></radialGradient>
<pattern id="cb-reed" width="18" height="18" patternUnits="userSpaceOnUse"><path class="pt reed" stroke-width="3" d="M4 0v18"/><path class="pt reed2" stroke-width="2" d="M8 0v18"/></pattern>
<pattern id="cb-dots" width="26" height="26" patternUnits="userSpaceOnUse"><circle class="pt dots" cx="7" cy="7" r="4.5"/><circle class="pt dots" cx="20" cy="20" r="4.5"/></pattern>
<pattern id="cb-bands" width="26" height="26" patternUnits="userSpaceOnUse"><path class="pt bands" stroke-width="6" d="M0 13h26"/></pattern>
<pattern id="cb-hatch" width="34" height="34" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="pt hatch" stroke-width="9" d="M0 0v34"/></pattern>
<pattern id="cb-chev" width="60" height="60" patternUnits="userSpaceOnUse"><path class="pt chev" stroke-width="18" d="M-10 10 30 50 70 10M-10 70 30 110M30-10-10-50M-10-50 30-10 70-50"/></pattern>
</defs>"""  # noqa: E501


def defs() -> Markup:
    """Gradients and patterns that all pictures of a page share."""
    return Markup(f'<svg width="0" height="0" class="sprite" aria-hidden="true">{_DEFS}</svg>')


@dataclass(frozen=True, slots=True)
class _Box:
    """A door's front in the drawing, mm."""

    x: float
    y: float
    w: float
    h: float

    @property
    def hole(self) -> tuple[float, float]:
        return self.x + self.w - 62, self.y + self.h / 2


def draw(
    bank: BankShape, words: Words, *, quiet: bool = False, bench: bool = False, selected: str | None = None
) -> Markup:
    """The picture of one bank. ``quiet``: nothing in it can be chosen. ``selected`` is a locker number.

    ``bench``: the furniture alone, as somebody who stands before it sees it; the workbench's script fills it in.
    """
    columns = [column.split() for column in bank["columns"]]
    by_number = {locker["number"]: _bare(locker) if bench else locker for locker in bank["lockers"]}
    height = max((sum(HEIGHT_MM[_size(t)] for t in column) for column in columns), default=300)
    width = len(columns) * COLUMN_MM + SIDE_MM * 2
    total_w, total_h = width + MARGIN_MM * 2, TOP_MM + height + SIDE_MM * 2 + PLINTH_MM + 46
    parts = [_carcass(bank["id"], width, height)]
    swings: list[str] = []
    halos: list[str] = []
    numbers = iter(locker["number"] for locker in bank["lockers"])
    first = True
    for index, column in enumerate(columns):
        x, y = MARGIN_MM + SIDE_MM + index * COLUMN_MM, TOP_MM + SIDE_MM
        for token in column:
            size = _size(token)
            box = _Box(x + GAP_MM / 2, y + GAP_MM / 2, COLUMN_MM - GAP_MM, HEIGHT_MM[size] - GAP_MM)
            y += HEIGHT_MM[size]
            if size[0] == "T":
                parts.append(_terminal(box))
                continue
            number = next(numbers, None)
            if number is None:
                continue
            locker = by_number[number]
            parts.append(_door(locker, box, words, quiet, focus=first, selected=selected == number))
            swings.append(_swing(locker, box))
            if not quiet:
                halos.append(_halo(locker, box, selected=selected == number))
            first = False
    attributes: dict[str, object] = {
        "viewBox": f"0 0 {_n(total_w)} {_n(total_h)}", "data-width": total_w, "data-lod": "full",
        "role": "img" if quiet else "group",
        "aria-label": words.t("bench.picture" if bench else "bank.picture", bank=bank["id"], label=bank["label"]),
        "data-quiet": "" if quiet else None,
    }  # fmt: skip
    over = _tag("g", "swings", *swings, *halos, **{"aria-hidden": "true"})
    return Markup(_tag("svg", "bank", *parts, over, **attributes))


def look_of(locker: LockerShape) -> str:
    """The word and icon that stand for a locker: its state, but ``check`` where somebody must look inside first."""
    first = locker["state"] == "oos" and locker["check"] is not None and locker["out_of_service"] is None
    return "check" if first else locker["state"]


def locker_label(locker: LockerShape, words: Words) -> str:
    """What a screen reader says of a door: number, size, state, door, lock, features.

    The page's script says the same of a door that has changed (`label` in frontend/src/words.ts).
    """
    said = [locker["id"], words.t(f"size.{locker['size']}")]
    if locker["state"] != "bench":
        said.append(words.t(f"state.{look_of(locker)}"))
    if locker["door"] != "closed":
        said.append(words.t(f"door.{locker['door']}"))
    if locker["lock"] in ("jammed", "released"):
        said.append(words.t(f"lock.{locker['lock']}"))
    said += [words.t(f"feature.{name}") for name in locker["features"]]
    return ", ".join(said)


def _bare(locker: LockerShape) -> LockerShape:
    """The door without anything that the system knows of it."""
    return {**locker, "state": "bench", "door": "unknown", "lock": "unknown", "check": None, "out_of_service": None}


def _size(token: str) -> str:
    return token.rstrip("+_")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _tag(name: str, css_class: str, *inside: str, **attributes: object) -> str:
    """One SVG element. ``inside`` is markup; attributes are escaped, numbers rounded, None left out."""
    said = f' class="{css_class}"' if css_class else ""
    for key, value in attributes.items():
        if value is not None:
            text = _n(value) if isinstance(value, int | float) else escape(str(value))
            said += f' {key}="{text}"'
    return f"<{name}{said}>{''.join(inside)}</{name}>" if inside else f"<{name}{said}/>"


def _rect(css_class: str, x: float, y: float, w: float, h: float, radius: float | None = None) -> str:
    return _tag("rect", css_class, x=x, y=y, width=w, height=h, rx=radius)


def _path(css_class: str, *steps: str | float) -> str:
    """A path from letters and numbers, as in SVG."""
    return _tag("path", css_class, d=" ".join(s if isinstance(s, str) else _n(s) for s in steps))


def _text(css_class: str, x: float, y: float, words: str) -> str:
    return _tag("text", css_class, str(escape(words)), x=x, y=y)


def _icon(css_class: str, name: str, x: float, y: float, size: float) -> str:
    return _tag("use", css_class, href=f"#i-{name}", x=x, y=y, width=size, height=size)


def _carcass(bank: str, width: float, height: float) -> str:
    x, y, h = MARGIN_MM, TOP_MM, height + SIDE_MM * 2
    foot, middle = y + h, x + width / 2
    edges: list[str | float] = []
    for offset in (8, 15, width - 8, width - 15):
        edges += ["M", x + offset, y + 6, "v", h - 10]
    edges += ["M", x + 20, foot - 10, "h", width - 40, "M", x + 20, y + 13, "h", width - 40]
    return "".join(
        (
            _tag("ellipse", "floor", cx=middle, cy=foot + PLINTH_MM, rx=width / 2 + 50, ry=40),
            _rect("plinth", x + 26, foot, width - 52, PLINTH_MM),
            _rect("carcass", x, y, width, h, 6),
            _rect("ply-hi", x, y, width, 5, 3),
            _path("ply", *edges),
            _rect("recess", x + SIDE_MM - 3, y + SIDE_MM - 3, width - SIDE_MM * 2 + 6, height + 6),
            _text("mark", middle, foot + 60, bank),
        )
    )


def _terminal(box: _Box) -> str:
    glass_h, middle = box.h * 0.52, box.x + box.w / 2
    reader_y = box.y + glass_h + 78
    return _tag(
        "g",
        "terminal",
        _rect("t-body", box.x, box.y, box.w, box.h, 6),
        _rect("t-glass", box.x + 34, box.y + 40, box.w - 68, glass_h, 10),
        _path("t-line", "M", box.x + 66, box.y + 96, "h", 96),
        _rect("t-soft", box.x + 62, box.y + 122, 128, 7, 3.5),
        _rect("t-reader", middle - 44, reader_y, 88, 62, 12),
        _path("t-reader", "M", middle - 12, reader_y + 18, "q 14 13 0 26 M", middle + 4, reader_y + 12, "q 22 19 0 38"),
        _tag("circle", "t-led", cx=box.x + box.w - 30, cy=box.y + 22, r=4),
        **{"aria-hidden": "true"},
    )


def _inside(box: _Box, number: str) -> str:
    x, y, w, h = box.x, box.y, box.w, box.h
    return _tag(
        "g",
        "inside",
        _rect("inside-back", x + 34, y + 22, w - 68, h - 54),
        _path("inside-top", "M", x, y, "h", w, "l -34 22 h", 68 - w, "z"),
        _path("inside-side", "M", x, y, "l 34 22 v", h - 54, "l -34 32 z"),
        _path("inside-floor", "M", x, y + h, "l 34 -32 h", w - 68, "l 34 32 z"),
        _rect("thing", x + 62, y + h - 32 - min(70, h / 3), 84, min(70, h / 3), 10),
        _text("num within", x + w - 128, y + 88, number),
    )


def _features(locker: LockerShape, box: _Box) -> str:
    marks = [(name, shape) for name, shape in _MARKS if name in locker["features"]]
    if box.h < 200:  # a small door has room beside its number only
        places = [(box.x + 110 + at * 48, box.y + 36) for at in range(len(marks))]
    else:
        places = [(box.x + 26 + at * 48, box.y + box.h - 62) for at in range(len(marks))]
    return "".join(_icon(f"extra {name}", shape, *at, 42) for (name, shape), at in zip(marks, places, strict=True))


def _leaf(locker: LockerShape, box: _Box) -> str:
    hole_x, hole_y = box.hole
    whole = (box.x, box.y, box.w, box.h)
    return _tag(
        "g",
        "leaf",
        _rect("front", *whole, 5),
        _rect("pat", *whole, 5),
        _rect("inset", box.x + 12, box.y + 12, box.w - 24, box.h - 24, 3),
        _rect("sheen", *whole, 5),
        _path("lip", "M", box.x + 4, box.y + 2, "h", box.w - 8),
        _rect("plate", box.x + 18, box.y + 18, 98, 78, 8),
        _text("num", box.x + 34, box.y + 78, locker["number"]),
        _features(locker, box),
        _tag("circle", "hole", cx=hole_x, cy=hole_y, r=31),
        _tag("circle", "led", cx=hole_x, cy=hole_y, r=37),
        _icon("glyph", look_of(locker), hole_x - 20, hole_y - 20, 40),
    )


def _door(locker: LockerShape, box: _Box, words: Words, quiet: bool, *, focus: bool, selected: bool) -> str:
    label = locker_label(locker, words)
    attributes: dict[str, object] = {
        "role": None if quiet else "button", "tabindex": None if quiet else "0" if focus else "-1",
        "data-locker": locker["id"], "data-number": locker["number"], "data-cx": box.x + box.w / 2,
        "data-cy": box.y + box.h / 2, "data-state": locker["state"], "data-door": locker["door"],
        "data-lock": locker["lock"], "data-size": locker["size"], "data-features": " ".join(locker["features"]),
        "data-selected": "" if selected else None, "aria-label": None if quiet else label,
    }  # fmt: skip
    return _tag(
        "g",
        "door",
        f"<title>{escape(label)}</title>",
        _rect("cavity", box.x, box.y, box.w, box.h, 4),
        _inside(box, locker["number"]),
        _leaf(locker, box),
        **attributes,
    )


def _halo(locker: LockerShape, box: _Box, *, selected: bool) -> str:
    """The frame around a door that is chosen or has the focus; above all doors, so that no neighbour covers it."""
    return _tag(
        "g",
        "halo",
        _rect("ring ring-in", box.x - 6, box.y - 6, box.w + 12, box.h + 12, 10),
        _rect("ring", box.x - 12, box.y - 12, box.w + 24, box.h + 24, 14),
        **{"data-for": locker["id"], "data-selected": "" if selected else None},
    )


def _swing(locker: LockerShape, box: _Box) -> str:
    out, rise, x = box.w * 0.30, min(22.0, box.h * 0.1), box.x - 2
    face: list[str | float] = ["M", x, box.y, "l", out, -rise, "v", box.h + 2 * rise, "l", -out, -rise, "z"]
    return _tag(
        "g",
        "swing",
        _path("swing-cast", "M", box.x + out, box.y + 8, "l 54 20 v", box.h - 44, "l -54 30 z"),
        _path("swing-face", *face),
        _path("swing-shade", *face),
        _path("swing-edge", "M", x + out, box.y - rise, "h 9 v", box.h + 2 * rise, "h -9 z"),
        _tag("ellipse", "swing-led", cx=x + out * 0.76, cy=box.hole[1], rx=10, ry=36),
        **{"data-for": locker["id"], "data-state": locker["state"], "data-door": locker["door"]},
    )
