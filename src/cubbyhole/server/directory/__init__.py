"""People, credentials and rules as the banks get them: versions, deltas, content hashes, calendars."""
