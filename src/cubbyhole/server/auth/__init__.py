"""Who is at the other end: owner's link, sessions, bearer tokens, and what each of them may do.

`roles` says who may do what, in one place; `access.Auth` finds the caller; `dependencies` brings both to routes;
`pages` is the router for signing in and out.
"""
