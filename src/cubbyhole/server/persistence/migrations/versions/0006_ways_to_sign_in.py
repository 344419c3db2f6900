"""Roles at places, accounts of people, one-time codes, passkeys; what is known of a session"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Sessions last two weeks at most: whoever has one signs in once more.
    op.execute("DELETE FROM sessions")
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("person", sa.String(length=24), nullable=True))
        batch_op.add_column(sa.Column("language", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("role_address", sa.String(length=254), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_accounts_person"), ["person"])
    op.execute("UPDATE accounts SET role = 'manager' WHERE role = 'admin'")
    op.create_table(
        "account_places",
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("area", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.account"], name=op.f("fk_account_places_account")),
        sa.PrimaryKeyConstraint("account", "site", "area", name=op.f("pk_account_places")),
    )
    # The desk was everywhere; reception is where the banks are.
    op.execute("UPDATE accounts SET role = 'reception' WHERE role = 'desk'")
    op.execute(
        "INSERT INTO account_places (account, site, area) SELECT DISTINCT accounts.account, banks.site, ''"
        " FROM accounts, banks WHERE accounts.role = 'reception'"
    )
    with op.batch_alter_table("sessions", schema=None, recreate="always") as batch_op:
        batch_op.add_column(sa.Column("way", sa.String(length=12), nullable=False))
        batch_op.add_column(sa.Column("proved_ms", sa.BigInteger(), nullable=False))
        batch_op.add_column(sa.Column("device", sa.String(length=60), nullable=False))
        batch_op.add_column(sa.Column("network", sa.String(length=8), nullable=False))
    op.create_table(
        "sign_in_codes",
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("browser", name=op.f("pk_sign_in_codes")),
    )
    op.create_index(op.f("ix_sign_in_codes_expires_ms"), "sign_in_codes", ["expires_ms"])
    op.create_table(
        "passkeys",
        sa.Column("credential", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(length=80), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.account"], name=op.f("fk_passkeys_account")),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_passkeys")),
    )
    op.create_index(op.f("ix_passkeys_account"), "passkeys", ["account"])
    op.create_table(
        "passkey_challenges",
        sa.Column("challenge", sa.String(length=64), nullable=False),
        sa.Column("bound", sa.String(length=64), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_passkey_challenges")),
    )
    op.create_index(op.f("ix_passkey_challenges_expires_ms"), "passkey_challenges", ["expires_ms"])


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
