"""Whether an unsafe request comes from our own pages: the cookie goes with every request, whoever caused it.

Browsers name the origin of a request and its relation to us (`Fetch Metadata`_); pages cannot forge either. A request
without both is from no browser that we know; programs use a bearer token, which no other page can send.

.. _Fetch Metadata: https://www.w3.org/TR/fetch-metadata/
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def is_ours(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a cookie may be believed for this request. ``headers`` by lower-case name."""
    if method.upper() in SAFE_METHODS:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers leave that header out over plain http. Of the origin, the scheme does not count: behind a proxy that
    # ends TLS, the browser's is another than ours.
    try:
        theirs = urlsplit(headers.get("origin", ""))
        return (
            theirs.scheme in ("http", "https") and theirs.netloc != "" and _same(theirs.netloc, headers.get("host", ""))
        )
    except ValueError:
        return False


def _same(theirs: str, ours: str) -> bool:
    return _without_default_port(theirs) == _without_default_port(ours)


def _without_default_port(netloc: str) -> str:
    for port in (":80", ":443"):
        netloc = netloc.removesuffix(port)
    return netloc.lower()
