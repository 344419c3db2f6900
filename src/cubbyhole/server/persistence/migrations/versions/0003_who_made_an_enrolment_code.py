"""Who made an enrolment code"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("enrolments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("made_by", sa.String(length=120), nullable=True))
    # Codes of earlier releases: who made them is in the audit log.
    op.execute(
        "UPDATE enrolments SET made_by = (SELECT max(actor) FROM server_audit"
        " WHERE act = 'enrolment.code' AND subject = enrolments.code_id)"
    )


def downgrade() -> None:
    raise RuntimeError("a newer database is not taken back: restore the backup that was made before")
