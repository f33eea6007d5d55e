#!/usr/bin/env python3
"""A TCP proxy on loopback that breaks the network on request: delay, reset, chunk, hold, replay, cut.

Stands between an edge's uplink and central, or between a producer and an edge. One thread for each proxy; faults are switched
while it runs, for each direction: "up" is towards the one that listens (central, the edge), "down" is back.

  proxy.py --listen PORT --to PORT [--delay-ms N] [--chunk-bytes N]      by hand, without a harness
"""
import argparse
import collections
import dataclasses
import queue
import random
import selectors
import socket
import struct
import threading
import time

RECEIVE_BYTES = 256 * 1024
QUEUED_BYTES_MAX = 1024 * 1024  # of one direction of one connection; above it the proxy stops reading
PIECES_PER_TURN_MAX = 64        # of one direction, so that one that is cut into pieces does not starve the others
REPLAYABLE_FRAMES_MAX = 8
FOREVER_S = float("inf")
FRAME_HEADER = struct.Struct("<IHBBQ")  # core/wire/FORMAT.md, 1
BATCH = 34
RECORD_HEADER = struct.Struct(">BHH")
APPLICATION_DATA = 23
HANDSHAKE_RECORDS_MAX = 4  # encrypted ones look the same from outside


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to one direction. The default is a healthy one."""
    delay_s: float = 0.0
    jitter_s: float = 0.0   # up to so much on top, drawn for each piece; order is kept
    chunk_bytes: int = 0    # 0: as it comes; else one send for each piece of so many bytes
    is_held: bool = False   # nothing is read, nothing is sent, and an end is not noticed


HEALTHY = Fault()


class Frames:
    """Cuts a stream at the ends of its frames and remembers the last whole batches, so that one can be sent again."""

    def __init__(self):
        self.held = bytearray()
        self.batches = collections.deque(maxlen=REPLAYABLE_FRAMES_MAX)

    def take(self, data):
        """The whole frames that `data` completes."""
        self.held += data
        at, whole = 0, []
        while len(self.held) - at >= FRAME_HEADER.size:
            body_bytes, _, kind, _, _ = FRAME_HEADER.unpack_from(self.held, at)
            end = at + FRAME_HEADER.size + body_bytes + (-body_bytes % 8)
            if len(self.held) < end:
                break
            whole.append(bytes(self.held[at:end]))
            if kind == BATCH:
                self.batches.append(whole[-1])
            at = end
        del self.held[:at]
        return whole


    def is_replayable(self, frame):
        return FRAME_HEADER.unpack_from(frame)[2] == BATCH


class Records(Frames):
    """The same of a TLS stream: its records of application data (RFC 8446 5.1), once a handshake's own are through. One who sends a
    record again that was captured must find the session ended."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def take(self, data):
        self.held += data
        at, whole = 0, []
        while len(self.held) - at >= RECORD_HEADER.size:
            end = at + RECORD_HEADER.size + RECORD_HEADER.unpack_from(self.held, at)[2]
            if len(self.held) < end:
                break
            whole.append(bytes(self.held[at:end]))
            at = end
        del self.held[:at]
        return whole

    def is_replayable(self, frame):
        if frame[0] != APPLICATION_DATA:
            return False
        self.passed += 1
        if self.passed > HANDSHAKE_RECORDS_MAX:
            self.batches.append(frame)
        return bool(self.batches)


FRAMINGS = {None: lambda: None, "frames": Frames, "tls": Records}


class Direction:
    def __init__(self, source, sink, framing):
        self.source, self.sink = source, sink
        self.frames = FRAMINGS[framing]()
        self.queue = collections.deque()  # (due, bytes)
        self.queued_bytes = 0
        self.last_due = 0.0
        self.is_ended = False    # the source will send no more
        self.is_finished = False  # and the sink was told

    def put(self, data, due):
        self.last_due = max(self.last_due, due)
        self.queue.append((self.last_due, memoryview(data)))
        self.queued_bytes += len(data)


class Link:
    """A connection taken in, the one made for it, and what is on its way between them."""

    def __init__(self, near, far, framing):
        self.near, self.far = near, far
        self.directions = {"up": Direction(near, far, framing), "down": Direction(far, near, None)}

    def close(self, with_reset):
        for one in (self.near, self.far):
            try:
                if with_reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            one.close()


class Proxy:
    """Start with `with`; `port` is where to connect. Methods may be called from any thread; each is done when it returns. `framing`: how
    what comes is cut into what can be sent again, "frames" of weir or records of "tls"."""

    def __init__(self, to_port, listen_port=0, framing=None, seed=0):
        self.to_port, self.framing = to_port, framing
        self.rng = random.Random(seed)
        self.faults = {"up": HEALTHY, "down": HEALTHY}
        self.links = set()
        self.replays_wanted = 0
        self.replayed = 0
        self.listener = None
        self.listener_port = listen_port
        self._listen()
        self.port = self.listener_port
        self.orders = queue.SimpleQueue()
        self.wake_near, self.wake_far = socket.socketpair()
        self.wake_far.setblocking(False)
        self.is_running = True
        self.thread = threading.Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What a harness calls.
    def set(self, up=None, down=None):
        """Switches a direction's fault; None leaves it as it is."""
        def order():
            self.faults = {"up": up or self.faults["up"], "down": down or self.faults["down"]}
        self._do(order)

    def reset(self):
        """Ends every connection with RST on both sides."""
        def order():
            for link in list(self.links):
                self._end(link, True)
        self._do(order)

    def cut(self):
        """Ends every connection and refuses new ones until heal()."""
        def order():
            for link in list(self.links):
                self._end(link, True)
            if self.listener:
                self.listener.close()
                self.listener = None
        self._do(order)

    def replay(self, count=1):
        """Sends `count` earlier batches again, each between two frames as they pass."""
        def order():
            self.replays_wanted += count
        self._do(order)

    def heal(self):
        def order():
            self.faults = {"up": HEALTHY, "down": HEALTHY}
            self.replays_wanted = 0
            if self.listener is None:
                self._listen()
        self._do(order)

    def close(self):
        if not self.is_running:
            return
        def order():
            self.is_running = False
        self._do(order)
        self.thread.join()

    # The proxy's own thread.
    def _do(self, order):
        done = threading.Event()
        self.orders.put((order, done))
        self.wake_near.send(b"x")
        if not done.wait(10):
            raise RuntimeError(f"the proxy on port {self.port} does not answer")

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.listener_port))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.listener_port = self.listener.getsockname()[1]

    def _run(self):
        while self.is_running:
            with selectors.DefaultSelector() as selector:
                timeout = self._watch(selector)
                ready = selector.select(timeout)
            for key, events in ready:
                if key.data is None:
                    self._obey()
                elif key.data is self.listener:
                    self._accept()
                else:
                    self._serve(*key.data, events)
            self._send_due()
        for link in list(self.links):
            self._end(link, True)
        if self.listener:
            self.listener.close()
        self.wake_near.close()
        self.wake_far.close()

    def _watch(self, selector):
        """Registers what is to be waited for; returns for how long at most."""
        selector.register(self.wake_far, selectors.EVENT_READ, None)
        if self.listener:
            selector.register(self.listener, selectors.EVENT_READ, self.listener)
        now, soonest = time.monotonic(), FOREVER_S
        for link in self.links:
            masks = {link.near: 0, link.far: 0}
            for way, one in link.directions.items():
                if self.faults[way].is_held:
                    continue
                if not one.is_ended and one.queued_bytes < QUEUED_BYTES_MAX:
                    masks[one.source] |= selectors.EVENT_READ
                if one.queue and one.queue[0][0] <= now:
                    masks[one.sink] |= selectors.EVENT_WRITE
                elif one.queue:
                    soonest = min(soonest, one.queue[0][0] - now)
            for end, mask in masks.items():
                if mask:
                    selector.register(end, mask, (link, end))
        return None if soonest == FOREVER_S else soonest

    def _obey(self):
        try:
            self.wake_far.recv(4096)
        except BlockingIOError:
            pass
        while not self.orders.empty():
            order, done = self.orders.get()
            order()
            done.set()

    def _accept(self):
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        far = socket.socket()
        link = Link(near, far, self.framing)
        try:
            far.connect(("127.0.0.1", self.to_port))  # loopback: taken or refused at once
        except OSError:
            link.close(True)
            return
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links.add(link)

    def _serve(self, link, end, events):
        if link not in self.links or not events & selectors.EVENT_READ:
            return
        way = "up" if end is link.near else "down"
        one = link.directions[way]
        if self.faults[way].is_held or one.is_ended:
            return
        try:
            data = end.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._end(link, True)
            return
        fault = self.faults[way]
        due = time.monotonic() + fault.delay_s + self.rng.uniform(0, fault.jitter_s)
        if not data:
            one.is_ended = True
            if one.frames and one.frames.held:
                one.put(bytes(one.frames.held), due)  # an end in the middle of a frame arrives as such
        elif one.frames:
            for frame in one.frames.take(data):
                one.put(frame, due)
                if one.frames.is_replayable(frame) and self.replays_wanted:
                    one.put(self.rng.choice(one.frames.batches), due)
                    self.replays_wanted -= 1
                    self.replayed += 1
        else:
            one.put(data, due)

    def _send_due(self):
        now = time.monotonic()
        for link in list(self.links):
            for way, one in link.directions.items():
                if link in self.links and not self.faults[way].is_held:
                    self._send(link, one, self.faults[way].chunk_bytes, now)
            if all(one.is_finished for one in link.directions.values()):
                self._end(link, False)

    def _send(self, link, one, chunk_bytes, now):
        for _ in range(PIECES_PER_TURN_MAX):
            if not one.queue or one.queue[0][0] > now:
                break
            due, data = one.queue[0]
            try:
                sent = one.sink.send(data[:chunk_bytes] if chunk_bytes else data)
            except BlockingIOError:
                return
            except OSError:
                self._end(link, True)
                return
            one.queued_bytes -= sent
            if sent == len(data):
                one.queue.popleft()
            else:
                one.queue[0] = (due, data[sent:])
        if one.is_ended and not one.queue and not one.is_finished:
            one.is_finished = True
            try:
                one.sink.shutdown(socket.SHUT_WR)
            except OSError:
                self._end(link, True)

    def _end(self, link, with_reset):
        self.links.discard(link)
        link.close(with_reset)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--listen", type=int, required=True)
    args.add_argument("--to", type=int, required=True)
    args.add_argument("--delay-ms", type=float, default=0)
    args.add_argument("--chunk-bytes", type=int, default=0)
    args = args.parse_args()
    fault = Fault(delay_s=args.delay_ms / 1000, chunk_bytes=args.chunk_bytes)
    with Proxy(args.to, args.listen) as proxy:
        proxy.set(up=fault, down=fault)
        threading.Event().wait()


if __name__ == "__main__":
    main()
