"""What is measured on: files made fast and always the same, from a seed."""

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.options import KIB, MIB, SEED
from tests.builders import sqlserver_bak, sqlserver_packed
from tests.builders.sqlserver_bak import EXTENT, Recipe

BLOCKS_PER_ROUND = 8
"""In eight blocks of 1 MiB of a raw file: four noise, three text, one zeros."""

FILES_PER_FOLDER = 100
SMALL_SIZE_MAX = 8 * KIB
ISLANDS = 64
"""Pieces of 1 MiB with something in them, in an otherwise empty file."""


def make_raw(path: Path, size: int) -> Callable[[], int]:
    """Return the work of making a file like the image of a disk that no format knows."""
    return partial(write_raw, path, size)


def make_bak(path: Path, size: int) -> Callable[[], int]:
    """Return the work of making a full backup of so large a database as SQL Server writes it."""
    return partial(write_bak, path, size)


def make_packed(path: Path, size: int) -> Callable[[], int]:
    """Return the work of making a compressed backup of about ``size`` bytes."""
    return partial(write_packed, path, size)


def make_small(folder: Path, count: int) -> Callable[[], int]:
    """Return the work of making a tree of so many small files."""
    return partial(write_small, folder, count)


def make_sparse(path: Path, size: int) -> Callable[[], int]:
    """Return the work of making a file of holes with a few islands in it."""
    return partial(write_sparse, path, size)


def write_raw(path: Path, size: int) -> int:
    """Write noise, text and zeros by turns."""
    generator = np.random.Generator(np.random.SFC64(SEED))
    text = text_like(2 * MIB, SEED)
    with path.open("wb") as file:
        for index in range(-(-size // MIB)):
            length = min(MIB, size - index * MIB)
            match index % BLOCKS_PER_ROUND:
                case 0 | 2 | 4 | 6:
                    block = generator.bytes(length)
                case 7:
                    block = bytes(length)
                case _:
                    start = index * 977 % MIB
                    block = text[start : start + length]
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return size


def write_small(folder: Path, count: int) -> int:
    """Write files of up to 8 KiB, noise and text by turns."""
    chance = random.Random(SEED)  # noqa: S311 - sizes, not secrets
    noise, text = incompressible(MIB, SEED), text_like(MIB, SEED)
    for index in range(count):
        below = folder / f"{index // FILES_PER_FOLDER:05d}"
        if index % FILES_PER_FOLDER == 0:
            below.mkdir(parents=True)
        size, start = chance.randint(1, SMALL_SIZE_MAX), chance.randrange(MIB - SMALL_SIZE_MAX)
        content = (noise if index % 2 else text)[start : start + size]
        (below / f"{index:06d}.bin").write_bytes(content)
    return count


def write_sparse(path: Path, size: int) -> int:
    """Write islands at places that follow from the seed."""
    chance = random.Random(SEED)  # noqa: S311 - places, not secrets
    noise = incompressible(MIB, SEED)
    with path.open("wb") as file:
        file.truncate(size)
        for _ in range(ISLANDS):
            file.seek(chance.randrange(max(size // MIB, 1)) * MIB)
            file.write(noise[: min(MIB, size)])
        file.truncate(size)
    return size


def write_bak(path: Path, size: int) -> int:
    """Write a backup by the builder of the tests, with page checksums and backup checksum."""
    with path.open("wb") as file:
        sqlserver_bak.write_backup(file, database_bytes=size, checksum=True)
        file.flush()
        os.fsync(file.fileno())
    return size


def write_packed(path: Path, size: int) -> int:
    """Write a compressed backup by the builder of the tests, of a database larger by two thirds."""
    with path.open("wb") as file:
        sqlserver_packed.write_packed(
            file, database_bytes=size * 5 // 3 // EXTENT * EXTENT, checksum=True, fast=True
        )
        file.flush()
        os.fsync(file.fileno())
    return path.stat().st_size


def pages_like(length: int, _seed: int) -> bytes:
    """Return pages of a database in order, every one with its checksum."""
    recipe = Recipe(database_bytes=max(length, EXTENT))
    return b"".join(map(bytes, sqlserver_bak.pages(recipe, recipe.extents())))[:length]


def incompressible(length: int, seed: int) -> bytes:
    """Return noise."""
    return np.random.Generator(np.random.SFC64(seed)).bytes(length)


def text_like(length: int, seed: int) -> bytes:
    """Return lines of a log: numbers and words, to about a fifth by a usual compressor."""
    chance = random.Random(seed)  # noqa: S311 - words, not secrets
    words = [
        "".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(2, 11)))
        for _ in range(400)
    ]
    lines = [
        f"2024-02-29 {number % 24:02d}:{number % 60:02d} {' '.join(chance.choices(words, k=9))}\n"
        for number in range(min(length, MIB) // 40 + 1)
    ]
    text = "".join(lines).encode()
    return (text * (length // len(text) + 1))[:length]
