"""Requests to the API of ``mxdrill up --control``, with the standard library alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

#: Seconds that a request may take beyond what it is asked to wait for.
PATIENCE = 30.0


class ApiError(Exception):
    """The API refused a request: what it found, and what it expected."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Api:
    """The API at an address such as ``http://127.0.0.1:8025``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # A proxy of the environment leads elsewhere; the API is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, wait: float = 0.0, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        if given:
            path += "?" + urllib.parse.urlencode(given)
        return self._json("GET", path, wait=wait)

    def octets(self, path: str) -> bytes:
        return self._send("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._json("POST", path, json.dumps(body).encode(), "application/json")

    def patch(self, path: str, body: Any) -> Any:
        return self._json("PATCH", path, json.dumps(body).encode(), "application/json")

    def put(self, path: str, text: str, media: str) -> Any:
        return self._json("PUT", path, text.encode(), media)

    def delete(self, path: str) -> Any:
        return self._json("DELETE", path)

    def _json(self, method: str, path: str, body: bytes | None = None, media: str = "", wait: float = 0.0) -> Any:
        answer = self._send(method, path, body, media, wait)
        return json.loads(answer) if answer else None

    def _send(self, method: str, path: str, body: bytes | None = None, media: str = "", wait: float = 0.0) -> bytes:
        headers = {"Content-Type": media} if media else {}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE + wait) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, _detail(error)) from None


def _detail(error: urllib.error.HTTPError) -> str:
    """The reason that the API gives (RFC 9457), or the status if it gives none."""
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
