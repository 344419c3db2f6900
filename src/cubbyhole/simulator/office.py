"""A small office on one machine: what its banks are built of, who works there, and the files that say so.

The demo, the whole-system tests and the bench move into the same office; only `house` starts its processes.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass
from pathlib import Path

from cubbyhole.domain.layout import parse_columns

SITE = "Kestrel House"

_FIRST = (
    "Ada", "Mei", "Samir", "Priya", "Jonas", "Nora", "Tomasz", "Elif", "Hugo", "Ines", "Grace", "Rui", "Kofi",
    "Lena", "Yuki", "Marta", "Omar", "Freya", "Luca", "Aisha", "Pavel", "Chloe", "Diego", "Hana", "Ivan", "Zoe",
    "Malik", "Sofia", "Bjorn", "Noor", "Felix", "Leila", "Arun", "Maja", "Peter", "Wanjiru", "Emil", "Rosa", "Theo",
    "Anouk", "Kenji", "Olga", "Sean", "Amara", "Viktor", "Clara", "Bilal", "Signe", "Mateo", "Ingrid", "Dario",
    "Fatou", "Oskar", "Linh", "Paula", "Ravi", "Greta", "Tariq", "Eva", "Jakob",
)  # fmt: skip
_LAST = (
    "Okafor", "Tanaka", "Boukhari", "Raman", "Eder", "Visser", "Kowal", "Yıldız", "Blanc", "Novak", "Owusu",
    "Lopes", "Asante", "Fischer", "Sato", "Nowak", "Haddad", "Lindqvist", "Ricci", "Bello", "Horák", "Martin",
    "Ortega", "Kim", "Petrov", "Meyer", "Diallo", "Costa", "Hansen", "Rahman", "Weber", "Karimi", "Nair",
    "Zielinska", "Schmidt", "Kamau", "Larsen", "Moreno", "Papadakis", "Janssen", "Mori", "Ivanova", "Byrne", "Eze",
    "Kraus", "Silva", "Aziz", "Berg", "Vargas", "Solberg", "Conti", "Sarr", "Brandt", "Nguyen", "Wagner", "Patel",
    "Lange", "Khan", "Molnar", "Frank",
)  # fmt: skip
_GROUPS = ("Design", "Engineering", "Finance", "Facilities", "Sales")


@dataclass(frozen=True, slots=True)
class BankPlan:
    """One bank of the office: its furniture, its boards and its readers."""

    id: str
    label: str
    area: str
    columns: tuple[str, ...]
    driver: str
    baudrate: int
    door_readers: bool
    lights: bool
    pulse_ms: int = 500

    @property
    def numbers(self) -> list[str]:
        return [spec.number for spec in parse_columns(self.columns)]


LOBBY = BankPlan(
    "A",
    "Lobby",
    "Ground floor",
    ("M M M M M M", "S S S S M M M_ M", "L L+ L_ L", "XL L+ L", "XL L L"),
    "modbus",
    9600,
    door_readers=True,
    lights=True,
)
STUDIO = BankPlan(
    "B",
    "Studio",
    "Floor 2",
    ("L+ L+ M+ M+ M+", "TL M+ M+ M+ M+", "XL+ L+ L+"),
    "cu16",
    19200,
    door_readers=False,
    lights=False,
)


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody who works here. ``badge`` is the UID in hex; ``spelling`` is how the file writes it."""

    name: str
    email: str
    number: str
    group: str
    badge: str
    spelling: str
    locker: str = ""


def workers(count: int = 60, seed: int = 7) -> list[Worker]:
    """The same people every time; their badges are spelled in all the ways that offices do."""
    dice = random.Random(seed)
    made = []
    for index in range(count):
        first, last = _FIRST[index % len(_FIRST)], _LAST[index % len(_LAST)]
        badge = f"04{dice.getrandbits(24):06x}"
        pairs = ":".join(badge[i : i + 2] for i in range(0, 8, 2)).upper()
        spelling = (pairs, str(int(badge, 16)), f"uid:{badge}")[index % 3]
        mail = f"{first}.{last}@kestrel.example".lower().replace("ı", "i").replace("á", "a")
        made.append(Worker(f"{first} {last}", mail, f"E{1000 + index}", _GROUPS[index % len(_GROUPS)], badge, spelling))
    return made


def people_csv(staff: list[Worker]) -> str:
    """The file that `cubbyhole import` takes."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["name", "email", "number", "groups", "badges", "locker"])
    for w in staff:
        writer.writerow([w.name, w.email, w.number, w.group, w.spelling, w.locker])
    return text.getvalue()


def _quoted(*values: str) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _board(plan: BankPlan) -> str:
    channels = len(plan.numbers)
    options = ""
    if plan.driver == "modbus":
        lights = ", light_coils = 32" if plan.lights else ""
        options = f"options = {{ lock_inputs = {channels}{lights} }}\n"
    address = 1 if plan.driver == "modbus" else 0
    return f'[[bank.bus.board]]\naddress = {address}\nchannels = {channels}\nfirst = "01"\n{options}'


def wiring_toml(plan: BankPlan, ports: Path) -> str:
    """The bus and reader tables, which the controller's file and the rig's file share."""
    text = f'[[bank.bus]]\nname = "locks"\ndriver = "{plan.driver}"\nport = "{ports / (plan.id + "-locks")}"\n'
    text += f"baudrate = {plan.baudrate}\n{_board(plan)}"
    if not plan.door_readers:
        return text + f'[[bank.reader]]\nport = "{ports / (plan.id + "-reader")}"\n'
    for number in plan.numbers:
        text += f'[[bank.reader]]\nport = "{ports / f"{plan.id}-reader-{number}"}"\nlocker = "{number}"\n'
    return text


def controller_toml(plan: BankPlan, ports: Path, *, held_open_ms: int = 120_000) -> str:
    """The controller's configuration of one bank."""
    return (
        f'[[bank]]\nid = "{plan.id}"\nlabel = "{plan.label}"\narea = "{plan.area}"\nsite = "{SITE}"\n'
        f"columns = [{_quoted(*plan.columns)}]\nsenses_lock = {str(plan.driver == 'modbus').lower()}\n"
        f"senses_occupancy = {str(plan.driver == 'cu16').lower()}\ndrives_lights = {str(plan.lights).lower()}\n"
        "springs = true\n"
        f"held_open_ms = {held_open_ms}\npulse_ms = {plan.pulse_ms}\n{wiring_toml(plan, ports)}"
    )


def rig_toml(
    plan: BankPlan,
    ports: Path,
    *,
    cable: tuple[int, int] | None,
    controller: list[str] | None,
    log: Path | None,
    environment: dict[str, str] | None = None,
    auto_close_s: float = 0.0,
) -> str:
    """The rig's table of one bank. ``cable`` is (port to listen on, the server's NATS port)."""
    text = f'[[bank]]\nid = "{plan.id}"\n'
    if auto_close_s:
        text += f"auto_close_s = {auto_close_s}\n"
    if controller is not None:
        text += f"controller = [{_quoted(*controller)}]\n"
        if log is not None:
            text += f'controller_log = "{log}"\n'
    if cable is not None:
        text += f'[[bank.cable]]\nlisten = "127.0.0.1:{cable[0]}"\nto = "127.0.0.1:{cable[1]}"\n'
    text += wiring_toml(plan, ports)
    if environment:
        values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in environment.items())
        text = text.replace(f'id = "{plan.id}"\n', f'id = "{plan.id}"\ncontroller_env = {{ {values} }}\n', 1)
    return text
