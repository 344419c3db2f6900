"""Idempotency keys of commands"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.add_column(sa.Column("once_key", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("once_body", sa.String(length=64), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_commands_once_key"), ["once_key"])


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
