"""Damage, put in where storage is read, so that the code under test is the shipped code.

Every function returns the damaged copy and asserts that bytes really changed: a fixed value may
already stand where it is written.
"""


def flip(content: bytes, offset: int, bit: int = 0) -> bytes:
    """Flip one bit."""
    changed = bytearray(content)
    changed[offset] ^= 1 << bit
    assert changed != content
    return bytes(changed)


def cut(content: bytes, size: int) -> bytes:
    """Cut the end off."""
    assert size < len(content)
    return content[:size]


def zero(content: bytes, offset: int, length: int) -> bytes:
    """Overwrite a range with zeros."""
    changed = content[:offset] + bytes(length) + content[offset + length :]
    assert changed != content
    assert len(changed) == len(content)
    return changed


def swap(content: bytes, first: int, second: int, length: int) -> bytes:
    """Exchange two ranges that do not overlap."""
    assert first + length <= second
    head, one = content[:first], content[first : first + length]
    middle, two = content[first + length : second], content[second : second + length]
    changed = head + two + middle + one + content[second + length :]
    assert changed != content
    assert len(changed) == len(content)
    return changed
