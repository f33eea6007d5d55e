"""A WebSocket client for tests (RFC 6455): text messages from a server, nothing else."""
import base64
import json
import os
import socket


class Refused(Exception):
    def __init__(self, status, head, body):
        super().__init__(f"{status} {body!r}")
        self.status, self.head, self.body = status, head, body


class WebSocket:
    def __init__(self, port, target, headers=None, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._receive()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        status = int(self.head.split(" ", 2)[1])
        if status != 101:
            length = next((int(line.split(":")[1]) for line in self.head.splitlines() if line.lower().startswith("content-length")), 0)
            while len(self.rest) < length:
                self.rest += self._receive()
            self.socket.close()
            raise Refused(status, self.head, self.rest)

    def _receive(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server has closed")
        return got

    def _take(self, count):
        while len(self.rest) < count:
            self.rest += self._receive()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def message(self):
        """The next text message, as JSON; None: the server closes."""
        first, length = self._take(2)
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        payload = self._take(length)
        if first & 15 == 8:
            return None
        assert first == 0x81, f"no whole text message: {first:#x}"
        return json.loads(payload)

    def say(self, opcode, payload):
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
        self.socket.sendall(bytes([0x80 | opcode]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def close(self):
        self.socket.close()
