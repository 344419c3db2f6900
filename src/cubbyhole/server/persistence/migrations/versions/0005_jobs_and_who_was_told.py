"""Jobs that are claimed, tried again and given up; who was told what; the language that people read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WAITING = "done_ms IS NULL AND given_up_ms IS NULL"


def upgrade() -> None:
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_after_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("claim", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("given_up_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("note", sa.String(length=300), nullable=True))
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["not_before_ms", "id"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    # Alarms of earlier releases: nobody took them then, and they are no news now.
    op.execute("UPDATE outbox SET done_ms = made_ms, payload = '{}', note = 'before there was mail'")
    op.create_table(
        "told",
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("about", sa.String(length=60), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("what", "about", name=op.f("pk_told")),
    )
    op.create_index(op.f("ix_told_at_ms"), "told", ["at_ms"])
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.add_column(sa.Column("language", sa.String(length=8), nullable=True))


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
