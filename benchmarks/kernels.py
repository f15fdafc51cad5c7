"""Kernels alone, on a buffer that stays in the processor's cache where it fits."""

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyzstd
import xxhash

from benchmarks.material import incompressible, pages_like, text_like
from benchmarks.options import MIB, SEED
from formats.core import checksums
from formats.core.codecs import Decoder
from formats.core.model import Codec
from formats.sqlserver_bak.pages import examine_pages

Kernel: TypeAlias = Callable[[], object]

WARM_UP_CALLS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel; ``bound`` gives it a buffer of its own for each thread."""

    name: str
    bound: Callable[[int], Kernel]


def cases() -> Iterator[Case]:
    """Yield every kernel, each on the content that its work is usually done on."""
    on_noise: Sequence[tuple[str, Callable[[memoryview], object]]] = (
        ("xxh3_128", xxhash.xxh3_128_digest),
        ("crc32", checksums.crc32),
        ("crc32c", checksums.crc32c),
        ("md5", lambda buffer: hashlib.md5(buffer, usedforsecurity=False).digest()),
        ("sha1", lambda buffer: hashlib.sha1(buffer, usedforsecurity=False).digest()),
        ("sha256", lambda buffer: hashlib.sha256(buffer).digest()),
        ("sector_xors", lambda buffer: checksums.sector_xors(np.frombuffer(buffer, np.uint8))),
    )
    for name, kernel in on_noise:
        yield Case(name, bound_to(kernel, incompressible))
    yield Case("sqlserver_bak pages", bound_to(page_kernel, pages_like))
    yield Case("zero test", bound_to(zero_test, lambda length, _seed: bytes(length)))
    yield Case("deflate decode", decoding(Codec.DEFLATE))
    yield Case("zstd decode", decoding(Codec.ZSTD))


def bound_to(
    kernel: Callable[[memoryview], object], content: Callable[[int, int], bytes]
) -> Callable[[int], Kernel]:
    """Return what makes a kernel with a buffer of a given length."""

    def bound(length: int) -> Kernel:
        buffer = memoryview(bytearray(content(length, SEED)))
        return lambda: kernel(buffer)

    return bound


def zero_test(buffer: memoryview) -> object:
    """Look for a byte that is not zero, as the engine does."""
    return np.frombuffer(buffer, np.uint8).any()


def page_kernel(buffer: memoryview) -> object:
    """Look at pages as the engine lets it be done for SQL Server backups."""
    return examine_pages(1, np.frombuffer(buffer, np.uint8), 0, 0)


def decoding(codec: Codec) -> Callable[[int], Kernel]:
    """Return what makes a decoder of text; the length is that of the decoded text."""

    def bound(length: int) -> Kernel:
        plain = text_like(length, SEED)
        if codec is Codec.ZSTD:
            stored = pyzstd.compress(plain)
        else:
            deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            stored = deflater.compress(plain) + deflater.flush()

        def decode() -> None:
            decoder = Decoder(codec, length, slack=False)
            for _piece in decoder.feed(stored):
                pass
            decoder.finish()

        return decode

    return bound


def measure(seconds: str, rounds: str, *buffers: str) -> list[dict[str, object]]:
    """Return MiB/s of every kernel, buffer size and thread count, one per round."""
    rows = []
    for case in cases():
        for length in map(int, buffers):
            for threads in (1, 2):
                kernels = [case.bound(length) for _ in range(threads)]
                count = calls_in(kernels[0], float(seconds))
                rows.append((case.name, length, threads, kernels, count))
    rates: list[list[float]] = [[] for _ in rows]
    for _ in range(int(rounds)):
        for (_name, length, threads, kernels, count), found in zip(rows, rates, strict=True):
            found.append(threads * count * length / MIB / seconds_of(kernels, count))
    return [
        {"name": name, "buffer": length, "threads": threads, "rates": found}
        for (name, length, threads, _kernels, _count), found in zip(rows, rates, strict=True)
    ]


def calls_in(kernel: Kernel, seconds: float) -> int:
    """Return how many calls take about so long."""
    for _ in range(WARM_UP_CALLS):
        kernel()
    before = time.perf_counter()
    kernel()
    return max(1, int(seconds / (time.perf_counter() - before)))


def seconds_of(kernels: Sequence[Kernel], count: int) -> float:
    """Return how long every kernel takes for ``count`` calls, each in a thread of its own."""
    start = threading.Barrier(len(kernels) + 1)

    def work(kernel: Kernel) -> None:
        start.wait()
        for _ in range(count):
            kernel()

    workers = [threading.Thread(target=work, args=(kernel,)) for kernel in kernels]
    for worker in workers:
        worker.start()
    start.wait()
    before = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - before
