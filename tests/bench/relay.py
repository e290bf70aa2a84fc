#!/usr/bin/python3
"""A TCP relay that delivers every byte late: relay.py PORT TO_PORT ONE_WAY_MS.

Half of the round trip goes on each way. What comes in while other bytes are on their way is not held up
by them: the delay is one of distance, not of bandwidth. As a process of its own it ends with its parent."""

import asyncio
import ctypes
import signal
import sys

LIMIT = 64 << 20  # bytes on their way in one direction


async def carry(loop, reader, writer, delay):
    queue, room, on_way = asyncio.Queue(), asyncio.Event(), [0]
    room.set()

    async def deliver():
        while True:
            at, data = await queue.get()
            wait = at - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            writer.write(data)
            await writer.drain()
            on_way[0] -= len(data)
            if on_way[0] < LIMIT:
                room.set()
        if writer.can_write_eof():
            writer.write_eof()

    task = loop.create_task(deliver())
    try:
        while data := await reader.read(1 << 18):
            on_way[0] += len(data)
            queue.put_nowait((loop.time() + delay, data))
            if on_way[0] >= LIMIT:
                room.clear()
                await room.wait()
    except ConnectionError:
        pass
    queue.put_nowait((loop.time() + delay, b""))
    try:
        await task
    except (ConnectionError, OSError):
        pass


async def main(port, to_port, delay):
    loop = asyncio.get_running_loop()

    async def accept(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port, limit=1 << 20)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(loop, reader, far_writer, delay), carry(loop, far_reader, writer, delay))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port, limit=1 << 20)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
