"""Rules: kept here, told to every bank through the directory, and tried out before they are saved."""
