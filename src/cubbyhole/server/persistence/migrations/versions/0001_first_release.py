"""First release"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_accounts")),
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("locker", sa.String(length=4), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarms_bank"), ["bank"], unique=False)

    op.create_table(
        "api_tokens",
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_api_tokens")),
    )
    op.create_table(
        "assignments",
        sa.Column("assignment", sa.String(length=24), nullable=False),
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("locker", sa.String(length=4), nullable=False),
        sa.Column("person", sa.String(length=24), nullable=False),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("assignment", name=op.f("pk_assignments")),
    )
    with op.batch_alter_table("assignments", schema=None) as batch_op:
        batch_op.create_index("ix_assignments_active", ["ended_ms", "bank", "locker"], unique=False)
        batch_op.create_index(batch_op.f("ix_assignments_person"), ["person"], unique=False)

    op.create_table(
        "commands",
        sa.Column("command", sa.String(length=24), nullable=False),
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("locker", sa.String(length=4), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=True),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=True),
        sa.Column("note_salt", sa.LargeBinary(), nullable=True),
        sa.Column("note_commitment", sa.String(length=64), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("command", name=op.f("pk_commands")),
        sa.UniqueConstraint("bank", "ordinal", name=op.f("uq_commands_bank_ordinal")),
    )
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_commands_note_commitment"), ["note_commitment"], unique=False)

    op.create_table(
        "controllers",
        sa.Column("controller", sa.String(length=24), nullable=False),
        sa.Column("nkey", sa.String(length=64), nullable=False),
        sa.Column("journal_key", sa.String(length=64), nullable=False),
        sa.Column("enrolled_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=True),
        sa.Column("removed_by", sa.String(length=120), nullable=True),
        sa.Column("kicked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("controller", name=op.f("pk_controllers")),
        sa.UniqueConstraint("nkey", name=op.f("uq_controllers_nkey")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "directory_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("after", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_changes")),
    )
    with op.batch_alter_table("directory_changes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directory_changes_version"), ["version"], unique=False)

    op.create_table(
        "enrolments",
        sa.Column("code_id", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("banks", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("controller", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("code_id", name=op.f("pk_enrolments")),
    )
    op.create_table(
        "epochs",
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("controller", sa.String(length=24), nullable=False),
        sa.Column("journal_key", sa.String(length=64), nullable=False),
        sa.Column("previous_epoch", sa.String(length=32), nullable=True),
        sa.Column("previous_seq", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=True),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bank", "epoch", name=op.f("pk_epochs")),
    )
    op.create_table(
        "events",
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("locker", sa.String(length=4), nullable=True),
        sa.Column("person", sa.String(length=24), nullable=True),
        sa.Column("actor", sa.String(length=120), nullable=True),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bank", "epoch", "seq", name=op.f("pk_events")),
        sa.UniqueConstraint("ordinal", name=op.f("uq_events_ordinal")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("ix_events_bank_locker", ["bank", "locker", "ordinal"], unique=False)
        batch_op.create_index("ix_events_type", ["type", "ordinal"], unique=False)

    op.create_table(
        "groups",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_groups")),
    )
    op.create_table(
        "heads",
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=100), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("receipt", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("bank", "epoch", "seq", name=op.f("pk_heads")),
    )
    op.create_table(
        "lockers",
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("number", sa.String(length=4), nullable=False),
        sa.Column("size", sa.String(length=2), nullable=False),
        sa.Column("features", sa.String(length=80), nullable=False),
        sa.Column("door", sa.String(length=8), nullable=False),
        sa.Column("lock", sa.String(length=8), nullable=False),
        sa.Column("occupancy", sa.String(length=8), nullable=False),
        sa.Column("alarm", sa.String(length=16), nullable=True),
        sa.Column("check_why", sa.String(length=40), nullable=True),
        sa.Column("out_of_service", sa.String(length=40), nullable=True),
        sa.Column("unverified", sa.Boolean(), nullable=False),
        sa.Column("link_lost", sa.Boolean(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("assignment", sa.String(length=24), nullable=True),
        sa.Column("person", sa.String(length=24), nullable=True),
        sa.Column("mode", sa.String(length=12), nullable=True),
        sa.Column("since_ms", sa.BigInteger(), nullable=True),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.Column("former", sa.String(length=24), nullable=True),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bank", "number", name=op.f("pk_lockers")),
    )
    with op.batch_alter_table("lockers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lockers_ordinal"), ["ordinal"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "owner_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_owner_links")),
    )
    op.create_table(
        "people",
        sa.Column("person", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
        sa.UniqueConstraint("number", name=op.f("uq_people_number")),
    )
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_people_version"), ["version"], unique=False)

    op.create_table(
        "quarantined",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined")),
    )
    with op.batch_alter_table("quarantined", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarantined_bank"), ["bank"], unique=False)

    op.create_table(
        "rules",
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_rules")),
    )
    with op.batch_alter_table("rules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rules_version"), ["version"], unique=False)

    op.create_table(
        "server_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_audit")),
    )
    op.create_table(
        "sign_in_waits",
        sa.Column("key", sa.String(length=140), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_waits")),
    )
    op.create_table(
        "sites",
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_sites")),
    )
    op.create_table(
        "banks",
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("controller", sa.String(length=24), nullable=True),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("area", sa.String(length=120), nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("reader", sa.String(length=8), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("changed_ordinal", sa.BigInteger(), nullable=False),
        sa.Column("clock_doubt", sa.Boolean(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("quarantine", sa.String(length=200), nullable=True),
        sa.Column("quarantined_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("standing_last", sa.BigInteger(), nullable=False),
        sa.Column("key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("directory_version", sa.BigInteger(), nullable=False),
        sa.Column("directory_sum", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["controller"], ["controllers.controller"], name=op.f("fk_banks_controller")),
        sa.PrimaryKeyConstraint("bank", name=op.f("pk_banks")),
    )
    op.create_table(
        "credentials",
        sa.Column("credential", sa.String(length=24), nullable=False),
        sa.Column("person", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("form", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("lookup", sa.String(length=64), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.person"], name=op.f("fk_credentials_person")),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_credentials")),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index("ix_credentials_lookup", ["lookup"], unique=False)
        batch_op.create_index(batch_op.f("ix_credentials_person"), ["person"], unique=False)
        batch_op.create_index(batch_op.f("ix_credentials_version"), ["version"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("person", sa.String(length=24), nullable=False),
        sa.Column("group", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["groups.name"], name=op.f("fk_memberships_group")),
        sa.ForeignKeyConstraint(["person"], ["people.person"], name=op.f("fk_memberships_person")),
        sa.PrimaryKeyConstraint("person", "group", name=op.f("pk_memberships")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.account"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_account"), ["account"], unique=False)


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
