"""The wire of the mock: requests, replies, and a threading HTTP server on which faults show."""

import contextlib
import json
import socket
import time
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .faults import Fault

if TYPE_CHECKING:
    from .server import MockIBM

API = "/api/v1"


@dataclass
class Request:
    """One request as the service saw it; `status` is what was answered, 0 for none."""

    method: str
    path: str
    query: dict[str, list[str]]
    at: float
    authorization: str | None
    body: bytes = field(default=b"", repr=False)
    status: int = 0
    fault: Fault | None = None


@dataclass
class Reply:
    """An answer: status, body and further headers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(content: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def error(status: int, message: str, code: int = 0) -> Reply:
    return as_json({"errors": [{"code": code or 1200 + status, "message": message, "solution": "", "more_info": ""}], "trace": "mock"}, status)


class Server(ThreadingHTTPServer):
    """A server that can drop all its connections, so that it closes at once and leaves no thread behind."""

    daemon_threads = False
    request_queue_size = 64
    mock: "MockIBM"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: set[socket.socket] = set()

    def drop_all(self) -> None:
        for connection in list(self.connections):
            drop_connection(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the service."""


def drop_connection(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets faults show, and writes the mock's answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def answer(self, request: Request) -> Reply:
        try:
            return self.server.mock.answer(request)
        except Exception:  # a mistake of the mock or a request that it cannot read: seen in the client's error, not a dropped connection
            return error(500, traceback.format_exc())

    def serve(self) -> None:
        mock = self.server.mock
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = url.path.removeprefix(API)
        request = Request(self.command, path, parse_qs(url.query), time.time(), self.headers.get("Authorization"), body)
        with mock._lock:
            mock.requests.append(request)
        request.fault = fault = mock.faults.take(self.command, path)
        reply = self.answer(request) if fault is None or fault.accepted else None
        if fault is not None:
            if fault.kind == "stall":
                mock.closing.wait(fault.seconds)
                reply = reply or self.answer(request)
            if fault.kind == "drop" or mock.closing.is_set():
                self.close_connection = True
                drop_connection(self.connection)
                return
            if fault.kind == "status":
                reply = error(fault.code, "Injected")
                if fault.retry_after is not None:
                    reply.headers["Retry-After"] = str(fault.retry_after)
            elif fault.kind == "truncate":
                reply.body = reply.body[: len(reply.body) // 2]
            elif fault.kind == "empty":
                reply.body = b""
            elif fault.kind == "lagging list":
                reply.body = b'{"jobs": [], "count": 0}'
        request.status = reply.status
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """The ledger keeps the requests; nothing is printed."""
