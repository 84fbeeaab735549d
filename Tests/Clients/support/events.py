"""Events as servers send them (WHATWG HTML, section 9.2)."""

import http.client
import json
import time


class EventStream:
    """A client of text/event-stream, on a socket."""

    def __init__(self, port, path, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", path, headers={"accept": "text/event-stream", **names})
        self.answer = self.connection.getresponse()
        self.id = None
        self.retry = None

    def close(self):
        self.connection.close()
        self.answer.close()

    def next(self):
        """The next event as (type, id as of it, data); what has no data is no event. Heartbeats keep nobody waiting."""
        kind, data = "message", []
        deadline = time.monotonic() + 20
        while True:
            line = self.answer.readline().decode()
            if time.monotonic() > deadline:
                raise TimeoutError("nothing was told")
            if not line:
                raise EOFError
            line = line.rstrip("\n")
            if not line:
                if data:
                    return kind, self.id, json.loads("\n".join(data))
                kind, data = "message", []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.id = int(value)
            elif name == "retry":
                self.retry = int(value)
