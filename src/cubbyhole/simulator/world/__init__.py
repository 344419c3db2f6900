"""The seeded world: the unchanged domain, bank core and ingest under a virtual clock."""
