"""A bank's journal for auditors: the exported file and the receipts that they keep. `cli.audit` has the commands."""
