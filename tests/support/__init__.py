"""The real parts that tests stand on: PostgreSQL, nats-server, Chromium. Fakes are for the clock and nothing here."""
