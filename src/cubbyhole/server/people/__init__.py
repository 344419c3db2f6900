"""People, their groups and their credentials: kept here, known to the banks by pseudonym and digest."""
