"""What stands between members: connections that go through it, until it swallows what comes and then cuts them."""

import socket
import threading


class Crossing:
    """Takes connections on one port and passes them on to another one."""

    def __init__(self, port, behind):
        self.behind = behind
        self.swallows = False
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.behind))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                if not self.swallows:
                    sink.sendall(data)
        except OSError:
            pass
        self._end(source, sink)

    def _end(self, *ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends all connections; new ones go through again."""
        pairs, self.pairs = self.pairs, []
        self.swallows = False
        for pair in pairs:
            self._end(*pair)

    def close(self):
        self.listener.close()
        self.cut()
