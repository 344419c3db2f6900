"""The server's tables. Times are integer ms since the Unix epoch; hashes are hex, signatures and keys base64.

A bank's rows (`banks`, `lockers`, `assignments`, `alarms`) are a read model: the fold of its journal, written only by
ingest. Everything about people is kept here and nowhere else; journals know pseudonyms.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives rowid tables an ascending key only where the type is exactly INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

# One row per number that must rise in commit order: taking it locks the row until the transaction ends.
counters = Table(
    "counters", metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)  # fmt: skip

sites = Table(
    "sites", metadata,
    Column("site", String(80), primary_key=True),
    Column("timezone", String(64), nullable=False),
)  # fmt: skip

controllers = Table(
    "controllers", metadata,
    Column("controller", String(24), primary_key=True),
    Column("nkey", String(64), nullable=False, unique=True),
    Column("journal_key", String(64), nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),
    Column("removed_by", String(120)),
    Column("kicked_ms", BigInteger),
)  # fmt: skip

enrolments = Table(
    "enrolments", metadata,
    Column("code_id", String(16), primary_key=True),
    Column("secret_hash", String(64), nullable=False),
    Column("banks", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("controller", String(24)),
    Column("made_by", String(120)),  # who endorses the key that the code is spent for; NULL: not on record
)  # fmt: skip

banks = Table(
    "banks", metadata,
    Column("bank", String(24), primary_key=True),
    Column("controller", String(24), ForeignKey("controllers.controller")),
    Column("label", String(120), nullable=False),
    Column("area", String(120), nullable=False),
    Column("site", String(80), nullable=False),
    Column("columns", Text, nullable=False),
    Column("reader", String(8), nullable=False),
    Column("epoch", String(32), nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_hash", String(64), nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("changed_ordinal", BigInteger, nullable=False),
    Column("clock_doubt", Boolean, nullable=False),
    Column("stale", Boolean, nullable=False),
    Column("quarantine", String(200)),
    Column("quarantined_ms", BigInteger),
    Column("last_seen_ms", BigInteger),
    Column("standing_last", BigInteger, nullable=False),
    Column("key_sealed", LargeBinary, nullable=False),
    Column("directory_version", BigInteger, nullable=False),
    Column("directory_sum", String(64), nullable=False),
)  # fmt: skip

epochs = Table(
    "epochs", metadata,
    Column("bank", String(24), primary_key=True),
    Column("epoch", String(32), primary_key=True),
    Column("controller", String(24), nullable=False),
    Column("journal_key", String(64), nullable=False),
    Column("previous_epoch", String(32)),
    Column("previous_seq", BigInteger, nullable=False),
    Column("previous_hash", String(64)),
    Column("started_ms", BigInteger, nullable=False),
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("bank", String(24), primary_key=True),
    Column("epoch", String(32), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("ordinal", BigInteger, nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("type", String(40), nullable=False),
    Column("locker", String(4)),
    Column("person", String(24)),
    Column("actor", String(120)),
    Column("line", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ix_events_bank_locker", "bank", "locker", "ordinal"),
    Index("ix_events_type", "type", "ordinal"),
)  # fmt: skip

heads = Table(
    "heads", metadata,
    Column("bank", String(24), primary_key=True),
    Column("epoch", String(32), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("signature", String(100), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("receipt", String(100), nullable=False),
)  # fmt: skip

# Lines of a journal that will never come: the bank's controller has lost them and has signed that it has.
gaps = Table(
    "gaps", metadata,
    Column("bank", String(24), primary_key=True),
    Column("epoch", String(32), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),  # the line that says so, `journal.gap`
    Column("line_hash", LargeBinary, nullable=False),  # its hash
    Column("proof", LargeBinary, nullable=False),  # `messages.GapProof`
    Column("received_ms", BigInteger, nullable=False),
)  # fmt: skip

# Signed lines from a journal file that was found later and that this server does not have, or has otherwise. They are
# evidence: nothing is ever folded from here.
evidence = Table(
    "evidence", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("bank", String(24), nullable=False),
    Column("epoch", String(32), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("before", String(64), nullable=False),  # hash before line ``first``
    Column("hash", String(64), nullable=False),  # hash of line ``last``, which ``signature`` is for
    Column("signature", String(100), nullable=False),
    Column("controller", String(24), nullable=False),
    Column("journal_key", String(64), nullable=False),
    Column("file_name", String(120), nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("imported_ms", BigInteger, nullable=False),
    Column("imported_by", String(120), nullable=False),
    UniqueConstraint("bank", "epoch", "first", "hash"),
)  # fmt: skip

evidence_lines = Table(
    "evidence_lines", metadata,
    Column("evidence", BigInteger, ForeignKey("evidence.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("line", LargeBinary, nullable=False),
)  # fmt: skip

quarantined = Table(
    "quarantined", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("bank", String(24), nullable=False, index=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("why", String(200), nullable=False),
    Column("payload", LargeBinary, nullable=False),
)  # fmt: skip

lockers = Table(
    "lockers", metadata,
    Column("bank", String(24), primary_key=True),
    Column("number", String(4), primary_key=True),
    Column("size", String(2), nullable=False),
    Column("features", String(80), nullable=False),
    Column("door", String(8), nullable=False),
    Column("lock", String(8), nullable=False),
    Column("occupancy", String(8), nullable=False),
    Column("alarm", String(16)),
    Column("check_why", String(40)),
    Column("out_of_service", String(40)),
    Column("unverified", Boolean, nullable=False),
    Column("link_lost", Boolean, nullable=False),
    Column("armed", Boolean, nullable=False),
    Column("assignment", String(24)),
    Column("person", String(24)),
    Column("mode", String(12)),
    Column("since_ms", BigInteger),
    Column("ends_ms", BigInteger),
    Column("hold_until_ms", BigInteger),
    Column("renewed", Integer),
    Column("former", String(24)),
    Column("offered", Boolean, nullable=False),
    Column("ordinal", BigInteger, nullable=False, index=True),
    Index("ix_lockers_person", "person"),
)  # fmt: skip

# Who may open a locker besides its holder, while they hold it.
shares = Table(
    "shares", metadata,
    Column("share", String(24), primary_key=True),
    Column("bank", String(24), nullable=False),
    Column("number", String(4), nullable=False),
    Column("assignment", String(24), nullable=False),
    Column("person", String(24), index=True),
    Column("group", String(80), index=True),
    Column("until_ms", BigInteger),
    Column("once", Boolean, nullable=False),
    Index("ix_shares_bank", "bank", "number"),
)  # fmt: skip

assignments = Table(
    "assignments", metadata,
    Column("assignment", String(24), primary_key=True),
    Column("bank", String(24), nullable=False),
    Column("locker", String(4), nullable=False),
    Column("person", String(24), nullable=False, index=True),
    Column("mode", String(12), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("cause", String(16)),
    Index("ix_assignments_active", "ended_ms", "bank", "locker"),
)  # fmt: skip

alarms = Table(
    "alarms", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("bank", String(24), nullable=False, index=True),
    Column("locker", String(4)),
    Column("kind", String(24), nullable=False),
    Column("detail", String(300), nullable=False),
    Column("raised_ms", BigInteger, nullable=False),
    Column("cleared_ms", BigInteger),
)  # fmt: skip

people = Table(
    "people", metadata,
    Column("person", String(24), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(254), unique=True),
    Column("language", String(8)),  # NULL: the installation's
    Column("number", String(64), unique=True),
    Column("active", Boolean, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
)  # fmt: skip

groups = Table("groups", metadata, Column("name", String(80), primary_key=True))

memberships = Table(
    "memberships", metadata,
    Column("person", String(24), ForeignKey("people.person"), primary_key=True),
    Column("group", String(80), ForeignKey("groups.name"), primary_key=True),
)  # fmt: skip

credentials = Table(
    "credentials", metadata,
    Column("credential", String(24), primary_key=True),
    Column("person", String(24), ForeignKey("people.person"), nullable=False, index=True),
    Column("kind", String(12), nullable=False),
    Column("form", String(12), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # canonical number, encrypted
    Column("lookup", String(64), nullable=False),  # HMAC under the server's key
    Column("blocked", Boolean, nullable=False),
    Column("removed_ms", BigInteger),
    Column("made_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
    Index("ix_credentials_lookup", "lookup"),
)  # fmt: skip

rules = Table(
    "rules", metadata,
    Column("rule", String(64), primary_key=True),
    Column("body", Text, nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
)  # fmt: skip

# A person, credential or rule was last changed in its ``version``. What each change did to the content hash is here:
# ``before`` and ``after`` are a weight (hex) for people and rules, and a state for credentials, whose weight differs
# from bank to bank. NULL: the row was not there.
directory_changes = Table(
    "directory_changes", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("version", BigInteger, nullable=False, index=True),
    Column("kind", String(12), nullable=False),
    Column("key", String(64), nullable=False),
    Column("before", String(64)),
    Column("after", String(64)),
)  # fmt: skip

commands = Table(
    "commands", metadata,
    Column("command", String(24), primary_key=True),
    Column("bank", String(24), nullable=False),
    Column("ordinal", BigInteger),  # NULL for live commands
    Column("kind", String(20), nullable=False),
    Column("locker", String(4), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", String(12), nullable=False),  # waiting, claimed, done, refused, unknown, expired
    Column("why", String(40)),
    Column("actor", String(120), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("note", String(300)),  # journals have only its salted commitment
    Column("note_salt", LargeBinary),
    Column("note_commitment", String(64), index=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("claimed_ms", BigInteger),
    Column("settled_ms", BigInteger),
    Column("once_key", String(64), unique=True),  # of an Idempotency-Key, with whose it is
    Column("once_body", String(64)),
    UniqueConstraint("bank", "ordinal"),
)  # fmt: skip

accounts = Table(
    "accounts", metadata,
    Column("account", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("person", String(24), unique=True),  # who it is in the directory; NULL: somebody who is not in it
    Column("language", String(8)),  # of an account without a person; NULL: as the browser asks
    Column("role_address", String(254)),  # where a person with a role had their mail when it was given
)  # fmt: skip

# Where a role holds; an empty area is the whole site.
account_places = Table(
    "account_places", metadata,
    Column("account", String(80), ForeignKey("accounts.account"), primary_key=True),
    Column("site", String(80), primary_key=True),
    Column("area", String(120), primary_key=True),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account", String(80), ForeignKey("accounts.account"), nullable=False, index=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("way", String(12), nullable=False),  # link, code, passkey, password
    Column("proved_ms", BigInteger, nullable=False),  # when they last showed who they are
    Column("device", String(60), nullable=False),  # browser and system
    Column("network", String(8), nullable=False),  # IPv4, IPv6: no more is kept of an address
)  # fmt: skip

# A code that was sent, one for each browser that asked. An address that nobody has makes one like the others.
sign_in_codes = Table(
    "sign_in_codes", metadata,
    Column("browser", String(64), primary_key=True),
    Column("address", String(254), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)  # fmt: skip

passkeys = Table(
    "passkeys", metadata,
    Column("credential", String(64), primary_key=True),  # SHA-256 of its id, which may be long
    Column("account", String(80), ForeignKey("accounts.account"), nullable=False, index=True),
    Column("id", LargeBinary, nullable=False),
    Column("name", String(60), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", String(80), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)  # fmt: skip

passkey_challenges = Table(
    "passkey_challenges", metadata,
    Column("challenge", String(64), primary_key=True),  # its hash
    Column("bound", String(64), nullable=False),  # to this browser, or this session
    Column("expires_ms", BigInteger, nullable=False, index=True),
)  # fmt: skip

owner_links = Table(
    "owner_links", metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)  # fmt: skip

api_tokens = Table(
    "api_tokens", metadata,
    Column("prefix", String(16), primary_key=True),
    Column("secret_hash", String(64), nullable=False),
    Column("title", String(120), nullable=False),
    Column("scopes", String(200), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)  # fmt: skip

sign_in_waits = Table(
    "sign_in_waits", metadata,
    Column("key", String(140), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)  # fmt: skip

# Jobs that belong to a commit (`jobs.outbox`). A row is waiting until it has ``done_ms`` or ``given_up_ms``.
outbox = Table(
    "outbox", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("payload", Text, nullable=False),  # emptied once the job is done
    Column("made_ms", BigInteger, nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),  # while claimed: when the claim lapses
    Column("not_after_ms", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("claim", String(32)),
    Column("done_ms", BigInteger),
    Column("given_up_ms", BigInteger),
    Column("note", String(300)),  # what became of the last try
)  # fmt: skip
_waiting = and_(outbox.c.done_ms.is_(None), outbox.c.given_up_ms.is_(None))
Index(
    "ix_outbox_waiting", outbox.c.not_before_ms, outbox.c.id, sqlite_where=_waiting, postgresql_where=_waiting
)  # fmt: skip

# Who was told what already, where being told once is enough; and when something was last told, where less is more.
told = Table(
    "told", metadata,
    Column("what", String(24), primary_key=True),
    Column("about", String(60), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
)  # fmt: skip

server_audit = Table(
    "server_audit", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("act", String(40), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("detail", Text, nullable=False),
)  # fmt: skip
