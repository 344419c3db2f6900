"""Work that belongs to a commit and is done after it: the outbox and its runner."""
