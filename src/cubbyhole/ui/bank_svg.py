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
TOP_MM = 130  # room for the tag over a selected door

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


def draw(bank: BankShape, words: Words, *, quiet: bool = False, selected: str | None = None) -> Markup:
    """The picture of one bank. ``quiet``: nothing in it can be chosen. ``selected`` is a locker number."""
    columns = [column.split() for column in bank["columns"]]
    by_number = {locker["number"]: locker for locker in bank["lockers"]}
    height = max((sum(HEIGHT_MM[_size(t)] for t in column) for column in columns), default=300)
    width = len(columns) * COLUMN_MM + SIDE_MM * 2
    total_w, total_h = width + MARGIN_MM * 2, TOP_MM + height + SIDE_MM * 2 + PLINTH_MM + 46
    parts = [_carcass(str(escape(bank["id"])), width, height)]
    swings: list[str] = []
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
            first = False
    label = escape(words.t("bank.picture", bank=bank["id"], label=bank["label"]))
    mode = " data-quiet" if quiet else ""
    return Markup(
        f'<svg class="bank" viewBox="0 0 {_n(total_w)} {_n(total_h)}" data-width="{_n(total_w)}" data-lod="full" '
        f'role="group" aria-label="{label}"{mode}>{"".join(parts)}<g class="swings" aria-hidden="true">{"".join(swings)}</g></svg>'
    )


def locker_label(locker: LockerShape, words: Words) -> str:
    """What a screen reader says of a door: number, size, state, door, lock, features."""
    said = [locker["id"], words.t(f"size.{locker['size']}"), words.t(f"state.{locker['state']}")]
    if locker["door"] != "closed":
        said.append(words.t(f"door.{locker['door']}"))
    if locker["lock"] in ("jammed", "released"):
        said.append(words.t(f"lock.{locker['lock']}"))
    said += [words.t(f"feature.{name}") for name in locker["features"]]
    return ", ".join(said)


def _size(token: str) -> str:
    return token.rstrip("+_")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _carcass(bank: str, width: float, height: float) -> str:
    x, y, h = MARGIN_MM, TOP_MM, height + SIDE_MM * 2
    left = "".join(f"M{x + d} {y + 6}v{h - 10}" for d in (8, 15))
    right = "".join(f"M{x + width - d} {y + 6}v{h - 10}" for d in (8, 15))
    return (
        f'<ellipse class="floor" cx="{_n(x + width / 2)}" cy="{y + h + PLINTH_MM}" rx="{_n(width / 2 + 50)}" ry="40"/>'
        f'<rect class="plinth" x="{x + 26}" y="{y + h}" width="{width - 52}" height="{PLINTH_MM}"/>'
        f'<rect class="carcass" x="{x}" y="{y}" width="{width}" height="{h}" rx="6"/>'
        f'<rect class="ply-hi" x="{x}" y="{y}" width="{width}" height="5" rx="3"/>'
        f'<path class="ply" d="{left}{right}M{x + 20} {y + h - 10}h{width - 40}M{x + 20} {y + 13}h{width - 40}"/>'
        f'<rect class="recess" x="{x + SIDE_MM - 3}" y="{y + SIDE_MM - 3}" width="{width - SIDE_MM * 2 + 6}" height="{height + 6}"/>'
        f'<text class="mark" x="{_n(x + width / 2)}" y="{y + h + 60}">{bank}</text>'
    )


def _terminal(box: _Box) -> str:
    glass_h, cx = box.h * 0.52, box.x + box.w / 2
    reader_y = box.y + glass_h + 78
    return (
        f'<g class="terminal" aria-hidden="true"><rect class="t-body" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.w)}" '
        f'height="{_n(box.h)}" rx="6"/><rect class="t-glass" x="{_n(box.x + 34)}" y="{_n(box.y + 40)}" '
        f'width="{_n(box.w - 68)}" height="{_n(glass_h)}" rx="10"/><path class="t-line" d="M{_n(box.x + 66)} {_n(box.y + 96)}h96"/>'
        f'<rect class="t-soft" x="{_n(box.x + 62)}" y="{_n(box.y + 122)}" width="128" height="7" rx="3.5"/>'
        f'<rect class="t-reader" x="{_n(cx - 44)}" y="{_n(reader_y)}" width="88" height="62" rx="12"/>'
        f'<path class="t-reader" d="M{_n(cx - 12)} {_n(reader_y + 18)}q14 13 0 26M{_n(cx + 4)} {_n(reader_y + 12)}q22 19 0 38"/>'
        f'<circle class="t-led" cx="{_n(box.x + box.w - 30)}" cy="{_n(box.y + 22)}" r="4"/></g>'
    )


def _inside(box: _Box, number: str) -> str:
    x, y, w, h = box.x, box.y, box.w, box.h
    return (
        f'<g class="inside"><rect class="inside-back" x="{_n(x + 34)}" y="{_n(y + 22)}" width="{_n(w - 68)}" height="{_n(h - 54)}"/>'
        f'<path class="inside-top" d="M{_n(x)} {_n(y)}h{_n(w)}l-34 22h{_n(68 - w)}z"/>'
        f'<path class="inside-side" d="M{_n(x)} {_n(y)}l34 22v{_n(h - 54)}l-34 32z"/>'
        f'<path class="inside-floor" d="M{_n(x)} {_n(y + h)}l34-32h{_n(w - 68)}l34 32z"/>'
        f'<text class="num within" x="{_n(x + w - 128)}" y="{_n(y + 88)}">{number}</text></g>'
    )


def _features(locker: LockerShape, box: _Box) -> str:
    drawn, flat = "", box.h < 200
    for place, (name, shape) in enumerate((f, s) for f, s in (("charging", "bolt"), ("low", "low")) if f in locker["features"]):
        x = box.x + (110 if flat else 26) + place * 48
        y = box.y + 36 if flat else box.y + box.h - 62
        drawn += f'<use class="extra {name}" href="#i-{shape}" x="{_n(x)}" y="{_n(y)}" width="42" height="42"/>'
    return drawn


def _door(locker: LockerShape, box: _Box, words: Words, quiet: bool, *, focus: bool, selected: bool) -> str:
    x, y, w, h = _n(box.x), _n(box.y), _n(box.w), _n(box.h)
    hx, hy = box.hole
    number, label = str(escape(locker["number"])), str(escape(locker_label(locker, words)))
    role = 'role="img"' if quiet else f'role="button" tabindex="{0 if focus else -1}"'
    inset = f'x="{_n(box.x + 12)}" y="{_n(box.y + 12)}" width="{_n(box.w - 24)}" height="{_n(box.h - 24)}" rx="3"'
    return (
        f'<g class="door" {role} data-locker="{escape(locker["id"])}" data-number="{number}" data-cx="{_n(box.x + box.w / 2)}" '
        f'data-cy="{_n(box.y + box.h / 2)}" data-state="{escape(locker["state"])}" data-door="{escape(locker["door"])}" '
        f'data-lock="{escape(locker["lock"])}"{" data-selected" if selected else ""} aria-label="{label}"><title>{label}</title>'
        f'<rect class="cavity" x="{x}" y="{y}" width="{w}" height="{h}" rx="4"/>{_inside(box, number)}'
        f'<g class="leaf"><rect class="front" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>'
        f'<rect class="pat" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/><rect class="inset" {inset}/>'
        f'<rect class="sheen" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>'
        f'<path class="lip" d="M{_n(box.x + 4)} {_n(box.y + 2)}h{_n(box.w - 8)}"/>'
        f'<rect class="plate" x="{_n(box.x + 18)}" y="{_n(box.y + 18)}" width="98" height="78" rx="8"/>'
        f'<text class="num" x="{_n(box.x + 34)}" y="{_n(box.y + 78)}">{number}</text>{_features(locker, box)}'
        f'<circle class="hole" cx="{_n(hx)}" cy="{_n(hy)}" r="31"/><circle class="led" cx="{_n(hx)}" cy="{_n(hy)}" r="37"/>'
        f'<use class="glyph" href="#i-{escape(locker["state"])}" x="{_n(hx - 20)}" y="{_n(hy - 20)}" width="40" height="40"/></g>'
        f'<rect class="ring ring-in" x="{_n(box.x - 6)}" y="{_n(box.y - 6)}" width="{_n(box.w + 12)}" height="{_n(box.h + 12)}" rx="10"/>'
        f'<rect class="ring" x="{_n(box.x - 12)}" y="{_n(box.y - 12)}" width="{_n(box.w + 24)}" height="{_n(box.h + 24)}" rx="14"/></g>'
    )


def _swing(locker: LockerShape, box: _Box) -> str:
    out, rise = box.w * 0.30, min(22.0, box.h * 0.1)
    x, leaf = box.x - 2, f"l{_n(box.w * 0.30)} {_n(-min(22.0, box.h * 0.1))}v{_n(box.h + 2 * rise)}l{_n(-out)} {_n(-rise)}z"
    return (
        f'<g class="swing" data-for="{escape(locker["id"])}" data-state="{escape(locker["state"])}" data-door="{escape(locker["door"])}">'
        f'<path class="swing-cast" d="M{_n(box.x + out)} {_n(box.y + 8)}l54 20v{_n(box.h - 44)}l-54 30z"/>'
        f'<path class="swing-face" d="M{_n(x)} {_n(box.y)}{leaf}"/><path class="swing-shade" d="M{_n(x)} {_n(box.y)}{leaf}"/>'
        f'<path class="swing-edge" d="M{_n(x + out)} {_n(box.y - rise)}h9v{_n(box.h + 2 * rise)}h-9z"/>'
        f'<ellipse class="swing-led" cx="{_n(x + out * 0.76)}" cy="{_n(box.hole[1])}" rx="10" ry="36"/></g>'
    )
