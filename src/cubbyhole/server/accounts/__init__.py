"""Accounts as people see them: the code in their mail, their own account's page, and who has which role."""
