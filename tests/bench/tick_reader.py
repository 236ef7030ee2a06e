"""`python -m tests.bench.tick_reader SOCKET`: note when each byte comes down a guest's serial line.

A process of its own, so that the engine it helps to measure cannot delay it. It tells what it noted, as JSON, when its
standard input ends.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time


def main(path: str) -> None:
    """Listen until standard input ends, then print {"times": [seconds of the monotonic clock], "errors": number}."""
    times: list[float] = []
    errors = 0
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        print("listening", flush=True)
        while sys.stdin.fileno() not in (ready := select.select([line, sys.stdin.fileno()], [], [])[0]):
            if line in ready:
                data = line.recv(4096)
                now = time.monotonic()
                if not data:
                    break
                times += [now] * len(data)
                errors += data.count(b"!")
    print(json.dumps({"times": times, "errors": errors}))


if __name__ == "__main__":
    main(sys.argv[1])
