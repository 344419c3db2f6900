"""`cubbyhole audit`: a bank's journal for auditors. `verify` needs no server and no data folder."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.protocol.export import MAX_RECORD_BYTES, ReceiptRecord, RecordError, decode_record, encode_record
from cubbyhole.protocol.signing import UnusableKey, load_or_make, parse_public, public_text
from cubbyhole.protocol.verify import Verdict
from cubbyhole.protocol.verify import verify as verify_lines

if TYPE_CHECKING:
    from cubbyhole.server.audit.evidence import Compared
    from cubbyhole.server.persistence.unit import Store
    from cubbyhole.server.settings import ServerSettings

audit = typer.Typer(no_args_is_help=True, help="A bank's journal for auditors: export it, verify it.")

BankId = Annotated[str, typer.Argument(metavar="BANK", help="The bank's id, like A.")]
Home = Annotated[Path | None, typer.Option("--home", help="Data folder; else CUBBYHOLE_HOME, else ./.cubbyhole.")]
Database = Annotated[
    str | None, typer.Option("--database-url", help="postgresql://user@host/name; else SQLite in the data folder.")
]
Out = Annotated[Path | None, typer.Option("--out", help="File to write; else standard output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@audit.command()
def export(
    bank: BankId,
    out: Out = None,
    identities: Annotated[
        bool, typer.Option("--identities", help="Also who the pseudonyms are: the file is personal data then.")
    ] = False,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write a bank's whole journal, with signatures and receipts, to a file that anybody can verify."""
    from cubbyhole.server.audit.export import NoSuchBank, export_journal

    if as_json and out is None:
        _fail("--json says what was written; it needs --out for the journal itself")
    settings = _settings(home, database_url)
    key = _receipt_key(settings.keys)
    with _store(settings) as store:
        try:
            with store.read() as connection:
                records = export_journal(connection, key, bank, store.now_ms(), identities=identities)
                count = _write(out, records)
        except NoSuchBank as error:
            _fail(str(error))
        with store.write() as work:
            work.audit(_actor(), "journal.exported", bank, records=count, identities=identities)
    if out is not None:
        facts = {"bank": bank, "file": str(out), "records": count, "authority": public_text(key)}
        _say(as_json, facts, f"{count} records of bank {bank} are in {out}. Public key: {public_text(key)}")


@audit.command()
def receipts(
    bank: BankId,
    out: Out = None,
    every: Annotated[bool, typer.Option("--all", help="Every receipt instead of each epoch's newest.")] = False,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write receipts for auditors to keep: with them, a journal that was cut or rewritten later is found out."""
    from cubbyhole.server.audit.export import NoSuchBank
    from cubbyhole.server.audit.export import receipts as receipts_of

    if as_json and out is None:
        _fail("--json says what was written; it needs --out for the receipts themselves")
    try:
        with _store(_settings(home, database_url)) as store, store.read() as connection:
            count = _write(out, map(encode_record, receipts_of(connection, bank, every=every)))
    except NoSuchBank as error:
        _fail(str(error))
    if out is not None:
        text = (
            f"{count} receipts of bank {bank} are in {out}. Keep them where this server's operator cannot change them."
        )
        _say(as_json, {"bank": bank, "file": str(out), "receipts": count}, text)


@audit.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A dead controller's bank-*.db, or an exported journal.")
    ],
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Keep a journal that was found as evidence, and say how it compares with what the server has.

    It has no effect on any locker, assignment or page; `export` gives it to auditors, marked as evidence.
    """
    from cubbyhole.server.audit.evidence import import_evidence
    from cubbyhole.server.audit.found import NoEvidence

    settings = _settings(home, database_url)
    authority = _receipt_key(settings.keys).public_key()
    with _store(settings) as store:
        try:
            with store.write() as work:
                imported = import_evidence(work, file, authority, _actor())
        except NoEvidence as error:
            _fail(f"{error}. Nothing was imported")
    if as_json:
        typer.echo(json.dumps({"file": str(file), **asdict(imported)}))
        return
    typer.echo(f"{file} is of bank {imported.bank} (SHA-256 {imported.file_sha256}).")
    for epoch in imported.epochs:
        typer.echo("\n".join(_compared(epoch)))
    typer.echo("Nothing else was changed.")


def _compared(epoch: Compared) -> Iterator[str]:
    yield f"Epoch {epoch.epoch} of controller {epoch.controller}:"
    if not epoch.is_known:
        yield "  The server has no line of this journal."
    for title, ranges in (
        ("The server has exactly these lines", epoch.same),
        ("Behind the last line that the server has", epoch.beyond),
        ("Lines that the server lacks", epoch.missing),
        ("CONTRADICTION: the server has other lines, signed too", epoch.contradictions),
        ("Damaged in the file, or without a signature: not taken", epoch.damaged),
    ):
        if ranges:
            yield f"  {title}: {', '.join(str(a) if a == b else f'{a} to {b}' for a, b in ranges)}."
    if epoch.kept:
        yield f"  {epoch.kept} lines are kept as evidence now."
    if epoch.kept_before:
        yield f"  {epoch.kept_before} lines were kept as evidence before."


@audit.command()
def key(home: Home = None, as_json: AsJson = False) -> None:
    """Print the public key that exports are verified with. Auditors get it once, by a way that they trust."""
    text = public_text(_receipt_key(_settings(home, None).keys))
    _say(as_json, {"authority": text}, text)


@audit.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported journal.")],
    key: Annotated[str, typer.Option("--key", help="The server's public key, or a file with it.")],
    receipts: Annotated[
        list[Path] | None, typer.Option("--receipts", help="Receipts that were kept elsewhere; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an exported journal, offline. Ends with 1 and the first wrong line where something is wrong."""
    try:
        authority = parse_public(_key_text(key))
        kept = [record for path in receipts or () for record in _kept_receipts(path)]
        with file.open("rb") as lines:
            verdict = verify_lines(_bounded(lines), authority, kept)
    except (OSError, UnusableKey, RecordError) as error:
        _fail(f"{error}", code=2)
    _report(verdict, len(kept), as_json)
    raise typer.Exit(0 if verdict.ok else 1)


def _report(verdict: Verdict, receipts_given: int, as_json: bool) -> None:
    if as_json:
        epochs = [
            {
                "epoch": e.epoch, "lines": e.last, "signed_to": e.signed, "receipted_to": e.receipted,
                "endorsed_by": e.endorsed.by if e.endorsed is not None else None,
            }
            for e in verdict.epochs
        ]  # fmt: skip
        facts = {
            "ok": verdict.ok, "bank": verdict.bank, "lines": verdict.lines, "line": verdict.line or None,
            "why": verdict.why or None, "epochs": epochs, "receipts": receipts_given, "proved": verdict.proved,
            "not_proved": verdict.not_proved,
        }  # fmt: skip
        typer.echo(json.dumps(facts))
        return
    if not verdict.ok:
        where = f"line {verdict.line}" if verdict.line else "the file as a whole"
        typer.echo(f"WRONG: {where}: {verdict.why}")
        typer.echo("Nothing is proved by this file.")
        return
    typer.echo(f"Bank {verdict.bank}: the journal is intact.")
    for title, texts in (("Proved", verdict.proved), ("Not proved", verdict.not_proved)):
        for text in texts:
            typer.echo(f"{title}: {text}.")


def _bounded(lines: IO[bytes]) -> Iterator[bytes]:
    """Lines, none much longer than a record may be: a file without line breaks must not fill the memory."""
    return iter(lambda: lines.readline(MAX_RECORD_BYTES + 2), b"")


def _kept_receipts(path: Path) -> Iterator[ReceiptRecord]:
    with path.open("rb") as lines:
        for number, raw in enumerate(_bounded(lines), 1):
            if not raw.strip():
                continue
            try:
                record = decode_record(raw.rstrip(b"\r\n"))
            except RecordError as error:
                raise RecordError(f"{path}, line {number}: {error}") from None
            if not isinstance(record, ReceiptRecord):
                raise RecordError(
                    f"{path}, line {number}: not a receipt; give files made with `cubbyhole audit receipts`"
                )
            yield record


def _key_text(given: str) -> str:
    """The key as typed, or the content of the file of that name."""
    path = Path(given)
    try:
        return path.read_text(encoding="ascii", errors="replace")[:200] if path.is_file() else given
    except OSError as error:
        raise UnusableKey(f"{path} cannot be read ({error.strerror})") from None


def _write(out: Path | None, records: Iterable[bytes]) -> int:
    """Write records and count them. A file appears under its name only once it is whole."""
    count = 0
    with _opened(out) as file:
        for record in records:
            file.write(record)
            count += 1
    return count


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = out.with_name(out.name + ".part")
    try:
        # It says who opened which door when: for its maker only.
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
        draft.replace(out)
    except OSError as error:
        _fail(f"{out} cannot be written: {error.strerror or error}")
    finally:
        draft.unlink(missing_ok=True)


def _settings(home: Path | None, database_url: str | None) -> ServerSettings:
    from cubbyhole.server.settings import ServerSettings, database_address, home_folder

    folder = home_folder(home)
    return ServerSettings(home=folder, database_url=database_address(database_url, folder))


@contextmanager
def _store(settings: ServerSettings) -> Iterator[Store]:
    from cubbyhole.server.installation import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        store.engine.dispose()


def _receipt_key(folder: Path) -> Ed25519PrivateKey:
    """The key that the server countersigns with. It is never made here: a new one would verify nothing."""
    path = folder / "receipt.key"
    if not path.exists():
        _fail(f"there is no {path}: name the server's data folder with --home, or start the server once")
    try:
        return load_or_make(path)
    except UnusableKey as error:
        _fail(str(error))


def _actor() -> str:
    try:
        return f"op:shell:{getpass.getuser()}"
    except (KeyError, OSError):
        return "op:shell"


def _say(as_json: bool, facts: dict[str, object], text: str) -> None:
    typer.echo(json.dumps(facts) if as_json else text)


def _fail(text: str, code: int = 1) -> NoReturn:
    typer.echo(f"Error: {text}", err=True)
    raise typer.Exit(code)
