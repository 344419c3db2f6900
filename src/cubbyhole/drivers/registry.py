"""Find a device family by its name: the entry points of the group ``cubbyhole.drivers``.

An entry point names a module that has ``MANIFEST`` and ``create``, so anyone can ship a family of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from cubbyhole.drivers.port import BoardBus, BusSettings, DriverError, Manifest

GROUP = "cubbyhole.drivers"


@dataclass(frozen=True, slots=True)
class Family:
    """One device family: what it can do, and how to make a bus of it."""

    manifest: Manifest
    create: Callable[[BusSettings], BoardBus]


def families() -> tuple[str, ...]:
    """The names that ``family`` knows, sorted."""
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def family(name: str) -> Family:
    """The family of that name. Raises ``DriverError`` that lists the known ones, or says why it cannot be loaded."""
    points = entry_points(group=GROUP, name=name)
    if not points:
        known = ", ".join(families()) or "none (is Cubbyhole installed, not only copied?)"
        raise DriverError(f"There is no driver {name!r}. Known drivers: {known}.")
    point = next(iter(points))
    try:
        module = point.load()
        return Family(manifest=module.MANIFEST, create=module.create)
    except (ImportError, AttributeError) as error:
        raise DriverError(f"The driver {name!r} ({point.value}) cannot be loaded: {error}.") from error
