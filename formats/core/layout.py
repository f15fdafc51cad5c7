"""Declare an on-disk structure by explicit offsets; overlap or overrun fails at import.

    class Footer(Layout, size=512, order=">"):
        cookie = raw(0, 8)
        features = u32(8)

    footer = Footer.parse(buffer)        # footer.features is an int
    Footer.features.offset               # 8

The offset stands beside the name, as in a specification's table, so the two can be compared line
by line. Bytes that no field names are skipped.
"""

import struct
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

T = TypeVar("T")


class Field(Generic[T]):
    """One field of a `Layout`: its place and its type."""

    __slots__ = ("code", "index", "length", "name", "offset")

    def __init__(self, offset: int, code: str) -> None:
        self.offset = offset
        self.code = code
        self.length = struct.calcsize("<" + code)
        self.name = ""
        self.index = -1

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: "Layout", owner: type) -> T: ...
    def __get__(self, instance: "Layout | None", owner: type) -> Self | T:
        """Return the field itself on the class, its value on an instance."""
        if instance is None:
            return self
        # The struct's codes fix the type of each value; struct itself is untyped.
        value: T = instance.values[self.index]
        return value


class Layout:
    """Base of declared structures; an instance is one parsed structure."""

    __slots__ = ("values",)

    size: ClassVar[int]
    fields: ClassVar[tuple[Field[Any], ...]]
    _struct: ClassVar[struct.Struct]

    def __init_subclass__(cls, *, size: int, order: str) -> None:
        super().__init_subclass__()
        fields = sorted(
            (value for value in vars(cls).values() if isinstance(value, Field)),
            key=lambda field: field.offset,
        )
        codes = [order]
        end = 0
        for index, item in enumerate(fields):
            if item.offset < end:
                message = f"{cls.__name__}.{item.name} at {item.offset} overlaps its neighbour"
                raise TypeError(message)
            codes.append(f"{item.offset - end}x" + item.code)
            item.index = index
            end = item.offset + item.length
        if end > size:
            message = f"{cls.__name__} ends at {end}, past its size {size}"
            raise TypeError(message)
        codes.append(f"{size - end}x")
        cls.size = size
        cls.fields = tuple(fields)
        cls._struct = struct.Struct("".join(codes))

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values

    @classmethod
    def parse(cls, buffer: bytes | memoryview, offset: int = 0) -> Self:
        """Parse the structure at ``offset``; the caller has made sure the bytes are there."""
        return cls(cls._struct.unpack_from(buffer, offset))


def u8(offset: int) -> Field[int]:
    """Declare an unsigned byte."""
    return Field(offset, "B")


def u16(offset: int) -> Field[int]:
    """Declare an unsigned 16-bit number."""
    return Field(offset, "H")


def u32(offset: int) -> Field[int]:
    """Declare an unsigned 32-bit number."""
    return Field(offset, "I")


def u64(offset: int) -> Field[int]:
    """Declare an unsigned 64-bit number."""
    return Field(offset, "Q")


def raw(offset: int, length: int) -> Field[bytes]:
    """Declare ``length`` bytes."""
    return Field(offset, f"{length}s")
