"""A bank's journal for auditors: the exported file, the receipts that they keep, and `cubbyhole audit`."""
