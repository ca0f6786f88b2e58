"""An SMTP receiver in a process of its own: prints its address, ends when stdin closes."""

import asyncio
import sys

from gateways.debug_smtp import DebugSmtp


async def main() -> None:
    """Receive until told to stop; what came in is not kept."""
    async with DebugSmtp() as server:
        print(server.url, flush=True)
        waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not waiting.done():
            server.messages.clear()
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(main())
