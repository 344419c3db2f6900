"""Lockers that are shared, held and renewed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("lockers") as batch_op:
        batch_op.add_column(sa.Column("hold_until_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("renewed", sa.Integer(), nullable=True))
        batch_op.create_index(op.f("ix_lockers_person"), ["person"])
    op.create_table(
        "shares",
        sa.Column("share", sa.String(length=24), nullable=False),
        sa.Column("bank", sa.String(length=24), nullable=False),
        sa.Column("number", sa.String(length=4), nullable=False),
        sa.Column("assignment", sa.String(length=24), nullable=False),
        sa.Column("person", sa.String(length=24), nullable=True),
        sa.Column("group", sa.String(length=80), nullable=True),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("once", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("share", name=op.f("pk_shares")),
    )
    op.create_index(op.f("ix_shares_bank"), "shares", ["bank", "number"])
    op.create_index(op.f("ix_shares_group"), "shares", ["group"])
    op.create_index(op.f("ix_shares_person"), "shares", ["person"])


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
