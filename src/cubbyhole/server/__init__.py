"""The central server: people, credentials, rules and intents."""
