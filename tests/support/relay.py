# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections between network namespaces of one machine, by sockets in its file system.

``python relay.py FROM TO [FROM TO ...]``: whoever connects to FROM is connected to TO. Each is the path of a socket, or
a port of 127.0.0.1. Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(place: str) -> Connection:
    if place.isdigit():
        return await asyncio.open_connection("127.0.0.1", int(place))
    return await asyncio.open_unix_connection(place)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one of both ends it; then the other end learns of it."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def relay(source: str, target: str) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await connect(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    if source.isdigit():
        return await asyncio.start_server(serve, "127.0.0.1", int(source))
    return await asyncio.start_unix_server(serve, source)


async def main(places: list[str]) -> None:
    servers = [await relay(*pair) for pair in zip(places[::2], places[1::2], strict=True)]
    await asyncio.gather(*(each.serve_forever() for each in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
