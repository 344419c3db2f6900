"""The server's store: tables, engines, migrations, the unit of work and the thread pool that services run in."""
