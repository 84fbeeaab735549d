"""One call, through either of a member's doors: gRPC, and the JSON gateway."""

import http.client
import json

from . import http2, messages
from .messages import METHODS

# grpc-gateway's, by gRPC's code.
HTTP_STATUS = {
    0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 14: 503, 15: 500, 16: 401,
}


def over_grpc(member, method, request={}, metadata=(), seconds=20):
    """(code, text) of a call with one request, or a list of them; of a stream, when the member has ended it."""
    _, kind, _, streams = METHODS[method]
    requests = request if isinstance(request, list) else [request]
    with http2.Connection(member.client_port, timeout=seconds) as connection:
        stream = connection.open("/" + method, metadata)
        data = b"".join(http2.grpc_frame(messages.encode(kind, one)) for one in requests)
        connection.send(stream, data, end=streams != "both")
        reply = connection.wait(stream, seconds)
        return reply.status, reply.text


def over_gateway(member, method, request={}, metadata=(), seconds=20):
    """(HTTP status, what the body says of the error); an error of a stream is the last of its lines."""
    path, kind, _, streams = METHODS[method]
    requests = request if isinstance(request, list) else [request]
    body = "".join(json.dumps(messages.to_json(kind, one)) for one in requests)
    connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=seconds)
    try:
        fields = {name if name.startswith("grpc-") else f"Grpc-Metadata-{name}": value for name, value in metadata}
        connection.request("POST", path, body, fields)
        answer = connection.getresponse()
        lines = answer.read().decode().splitlines()
    finally:
        connection.close()
    said = json.loads(lines[-1]) if lines else {}
    if streams:
        said = said.get("error", {})
        # Each version has the names of its own for these; ours has both.
        return answer.status, {name: said.get(name) for name in ("grpc_code", "http_code", "message")}
    return answer.status, {name: said.get(name) for name in ("error", "code", "message")}


def said_by_gateway(method, code, text):
    """What `over_gateway` is to come back with where `over_grpc` comes back with (code, text)."""
    status = HTTP_STATUS[code]
    if METHODS[method][3]:
        return status, {"grpc_code": code, "http_code": status, "message": text}
    return status, {"error": text, "code": code, "message": text}
