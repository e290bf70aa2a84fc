"""Hostile HTTP clients, in a process of their own and, where there is more than one, on a processor of their own:
they would come from other machines, and must not take the time of what is measured.

Told on standard input, line by line; answers each with a line of JSON:

    attack PORT COUNT    keeps COUNT connections with half a request each, and asks for /metrics without pause;
                         answers when all of them were opened once
    rest                 closes them all; says how many were opened and how many requests were answered
    storm PORT COUNT     opens COUNT connections, hundreds at a time, with half a request each, and waits until all are
                         closed; says how many got an answer, and how many none
"""

import collections
import contextlib
import json
import os
import resource
import selectors
import socket
import struct
import sys
import threading
import time

HALF = b"GET /status HTTP/1.1\r\nHost: local"
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
STORM_S = 90
AT_ONCE = 400  # what the kernel keeps for a daemon that is busy; beyond that it lets clients wait for minutes


def new_socket():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave nothing in TIME_WAIT
    return s


class Attack:
    def __init__(self, port, count):
        self.port, self.count = port, count
        self.opened = self.answered = 0
        self._over, self._all_open = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._flood, self._flood, self._half_open)]
        for t in self._threads:
            t.start()

    def wait_open(self):
        self._all_open.wait()
        return {"opened": self.opened}

    def _half_open(self):
        """New ones come for those that are closed."""
        sockets = collections.deque()
        while not self._over.is_set():
            while len(sockets) < self.count and not self._over.is_set():
                s = new_socket()
                s.settimeout(0.2)
                with contextlib.suppress(OSError):
                    s.connect(("127.0.0.1", self.port))
                    s.sendall(HALF)
                sockets.append(s)
                self.opened += 1
            self._all_open.set()
            self._over.wait(0.2)
            for _ in range(100):
                sockets.popleft().close()
        self._all_open.set()
        for s in sockets:
            s.close()

    def _flood(self):
        while not self._over.is_set():
            with new_socket() as s, contextlib.suppress(OSError):
                s.settimeout(2)
                s.connect(("127.0.0.1", self.port))
                s.sendall(WHOLE)
                head = s.recv(65536)
                while s.recv(65536):
                    pass
                self.answered += b" 200 " in head[:16]

    def stop(self):
        self._over.set()
        for t in self._threads:
            t.join()
        return {"opened": self.opened, "answered": self.answered}


def storm(port, count):
    said = collections.Counter()
    got = {}
    waiting = selectors.DefaultSelector()
    end = time.monotonic() + STORM_S
    opened = 0
    while (got or opened < count) and time.monotonic() < end:
        while len(got) < AT_ONCE and opened < count:
            s = new_socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            waiting.register(s, selectors.EVENT_WRITE)
            got[s] = b""
            opened += 1
        for key, events in waiting.select(1):
            s = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    s.sendall(HALF)
                    waiting.modify(s, selectors.EVENT_READ)
                    continue
                data = s.recv(65536)
            except OSError:
                data = b""
            got[s] += data
            if data:
                continue
            said[got[s][9:12].decode() or "nothing"] += 1
            waiting.unregister(s)
            s.close()
            del got[s]
    said["left"] = len(got) + count - opened
    for s in got:
        s.close()
    return said


def main():
    os.nice(19)
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[-1:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attack = None
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "attack":
            attack = Attack(*map(int, numbers))
            answer = attack.wait_open()
        elif word == "rest":
            answer = attack.stop()
            attack = None
        else:
            answer = storm(*map(int, numbers))
        print(json.dumps(answer), flush=True)
    if attack:
        attack.stop()


if __name__ == "__main__":
    main()
