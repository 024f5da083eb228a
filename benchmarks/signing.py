"""Sign and verify: the cost of a published message's signature, compared with the bare call of the hash's library.

Each figure is the least processor time of a call in many short series: other load on the machine only adds to it.
"""

import hmac
import time
from collections.abc import Callable
from functools import partial

from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.results import Ratio, Sample, StageResult
from benchmarks.frame.servers import BROADCAST_KEY
from broadcast.envelope import Message, MessageSigner

KILOBYTE = 1_000
SIZES_KB = (1, 10)
"""A message of one change has about 0.9 kB; one of two hundred changes 180 kB."""
ALLOWED_MICROSECONDS, ALLOWED_MICROSECONDS_PER_KB = 3.0, 1.0
CALLS, SERIES = 200, 150
UNIT = "µs/message"
CHANNEL = b"fillwire:changes:7"
SIGN, VERIFY, BARE = "signed", "verified", "hmac.digest alone"


async def measure_signing(bench: Bench, result: StageResult) -> None:
    """Sign and verify messages of two sizes."""
    key = BROADCAST_KEY.encode()
    signer = MessageSigner([key])
    for size in SIZES_KB:
        signed = bytes(size * KILOBYTE)
        message = Message(channel=CHANNEL, raw=signer.sign(CHANNEL, signed))
        calls: dict[str, Callable[[], object]] = {
            SIGN: partial(signer.sign, CHANNEL, signed),
            VERIFY: partial(signer.verify, message),
            BARE: partial(hmac.digest, key, signed, "sha256"),
        }
        rounds = await bench.take_turns({f"{name}, {size} kB": _contender(call) for name, call in calls.items()})
        result.add(rounds)
        for name in (SIGN, VERIFY):
            ours = f"{name}, {size} kB"
            result.compare(f"times {BARE}, {ours}", (rounds, ours), (rounds, f"{BARE}, {size} kB"), UNIT)
            result.ratios.append(
                Ratio(
                    name=f"µs a message {name}, {size} kB",
                    samples=rounds.samples(ours, UNIT),
                    target=ALLOWED_MICROSECONDS + ALLOWED_MICROSECONDS_PER_KB * size,
                    is_at_most=True,
                    is_absolute=True,
                )
            )


def _contender(call: Callable[[], object]) -> Contender:
    async def work() -> Sample:
        return {UNIT: min(_series(call) for _ in range(SERIES))}

    return work


def _series(call: Callable[[], object]) -> float:
    """Return the microseconds of processor time of a call, in a series of them."""
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - began) / CALLS * 1_000_000
