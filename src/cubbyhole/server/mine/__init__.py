"""One's own lockers: what somebody has, gets, keeps, shares and gives back, by themselves."""
