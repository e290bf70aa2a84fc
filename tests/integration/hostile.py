"""Hostile HTTP clients, in a process of their own: they must not take the time of the test that measures.

    hostile.py PORT COUNT    keeps COUNT connections with half a request each, and asks for /metrics without pause,
                             until its standard input ends; then prints how many connections it opened.
"""

import contextlib
import http.client
import os
import socket
import struct
import sys
import threading


def half_open(port, count, until):
    """Keeps `count` connections with half a request each, and opens new ones for those that are closed."""
    sockets = []

    def new():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave nothing in TIME_WAIT
        s.settimeout(0.2)
        with contextlib.suppress(OSError):
            s.connect(("127.0.0.1", port))
            s.sendall(b"GET /status HTTP/1.1\r\nHost: local")
        return s

    opened = 0
    while not until.is_set():
        while len(sockets) < count and not until.is_set():
            sockets.append(new())
            opened += 1
        until.wait(0.2)
        for s in sockets[:100]:
            s.close()
        del sockets[:100]
    for s in sockets:
        s.close()
    return opened


def flood(port, until):
    while not until.is_set():
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException):
            c.request("GET", "/metrics")
            c.getresponse().read()
        c.close()


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    os.nice(19)  # what is measured is the daemon's work, not a fight for the machine's cores
    until = threading.Event()
    threads = [threading.Thread(target=flood, args=(port, until)) for _ in range(2)]
    opened = []
    threads.append(threading.Thread(target=lambda: opened.append(half_open(port, count, until))))
    for t in threads:
        t.start()
    sys.stdin.read()
    until.set()
    for t in threads:
        t.join()
    print(opened[0])


if __name__ == "__main__":
    main()
