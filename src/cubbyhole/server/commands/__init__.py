"""What people want done at a bank: live commands (now or never) and standing commands (in order, until late)."""
