"""The parent locator of a differencing disk."""

import uuid
from collections.abc import Mapping

from formats.core.errors import Unsupported
from formats.core.findings import Findings, demand
from formats.core.model import Bearing, Evidence, Identity, Outcome, ParentRef
from formats.vhdx.metadata import FILE_PARAMETERS, PARENT_LOCATOR, Disk, Item
from formats.vhdx.structures import ParentLocatorEntry, ParentLocatorHeader, binary, guid_text

# [MS-VHDX] 2.6.2.6.3: the only type there is.
VHDX_LOCATOR = binary("B04AEFB7-D19E-4A81-B789-25B8E9445913")

KEY_VALUES_MAX = 256
"""Five keys are known ([MS-VHDX] 2.6.2.6.3)."""

LINKAGES = ("parent_linkage", "parent_linkage2")

# [MS-VHDX] 2.6.2.6.3 gives this order.
PATHS = ("relative_path", "volume_path", "absolute_win32_path")


def read_parent(
    items: Mapping[bytes, Item], disk: Disk, findings: Findings
) -> tuple[tuple[ParentRef, ...], dict[str, object]]:
    """Return the parent and what the locator says, both empty for a disk without one."""
    locator = items.get(PARENT_LOCATOR)
    if locator is None or not disk.has_parent:
        check_contradiction(items, disk, findings)
        return (ParentRef(),) if disk.has_parent else (), {}
    values: dict[str, str] = {}
    with findings.catching():
        values = read_values(locator)
        identities = linkages(values, locator)
        findings.matched("vhdx.parent_locator.linkage", locator.offset, len(locator.content))
        names = tuple(values[key] for key in PATHS if values.get(key))
        return (ParentRef(identities, names),), {"parent_locator": values}
    names = tuple(values[key] for key in PATHS if values.get(key))
    return (ParentRef((), names),), {"parent_locator": values}


def check_contradiction(items: Mapping[bytes, Item], disk: Disk, findings: Findings) -> None:
    """Report a disk with a parent and no locator, or a locator and no parent."""
    locator = items.get(PARENT_LOCATOR)
    parameters = items[FILE_PARAMETERS]
    if locator is None and not disk.has_parent:
        return
    findings.add(
        Evidence(
            "vhdx.parent_locator.present",
            Outcome.MISMATCHED,
            parameters.offset,
            len(parameters.content),
            "a parent locator" if disk.has_parent else "a parent, as there is a locator",
            "none",
            Bearing.NEEDED if disk.has_parent else Bearing.DOUBTFUL,
        )
    )


def read_values(locator: Item) -> dict[str, str]:
    """Return keys and values; raise `FormatError` unless all of them lie inside the item."""
    content, offset = locator.content, locator.offset
    demand(
        "vhdx.parent_locator.range",
        offset,
        len(content),
        holds=len(content) >= ParentLocatorHeader.size,
        expected=f"at least {ParentLocatorHeader.size} bytes",
        actual=f"{len(content)} bytes",
    )
    header = ParentLocatorHeader.parse(content)
    if header.locator_type != VHDX_LOCATOR:
        raise Unsupported(
            "vhdx.parent_locator.type",
            offset=offset,
            length=16,
            expected=guid_text(VHDX_LOCATOR),
            actual=guid_text(header.locator_type) or "zeros",
        )
    count = header.key_value_count
    table_end = ParentLocatorHeader.size + count * ParentLocatorEntry.size
    demand(
        "vhdx.parent_locator.range",
        offset + ParentLocatorHeader.key_value_count.offset,
        2,
        holds=count <= KEY_VALUES_MAX and table_end <= len(content),
        expected=f"at most {KEY_VALUES_MAX} entries, inside the item",
        actual=f"{count} entries",
    )
    values: dict[str, str] = {}
    for index in range(count):
        place = ParentLocatorHeader.size + index * ParentLocatorEntry.size
        entry = ParentLocatorEntry.parse(content, place)
        key = text_of(content, entry.key_offset, entry.key_length, offset + place)
        demand(
            "vhdx.parent_locator.unique",
            offset + place,
            ParentLocatorEntry.size,
            holds=key not in values,
            expected="each key once",
            actual="a key again",
        )
        values[key] = text_of(content, entry.value_offset, entry.value_length, offset + place)
    return values


def text_of(content: bytes, start: int, length: int, place: int) -> str:
    """Return one string of the item."""
    demand(
        "vhdx.parent_locator.range",
        place,
        ParentLocatorEntry.size,
        holds=start > 0 and 0 < length <= len(content) - start,
        expected=f"strings inside {len(content)} bytes",
        actual=f"{length} bytes at 0x{start:x}",
    )
    return content[start : start + length].decode("utf-16-le", "replace")


def linkages(values: Mapping[str, str], locator: Item) -> tuple[Identity, ...]:
    """Return the data write GUIDs that the parent may have.

    Both linkages count ([MS-VHDX] 2.6.2.6.3); Hyper-V 10.0.17763 writes zeros for the second.
    """
    found: list[str] = []
    for key in LINKAGES:
        text = values.get(key)
        if text is None:
            continue
        try:
            guid = uuid.UUID(text)
        except ValueError:
            continue
        if guid.int and str(guid) not in found:
            found.append(str(guid))
    demand(
        "vhdx.parent_locator.linkage",
        locator.offset,
        len(locator.content),
        holds=bool(found),
        expected="a GUID of the parent",
        actual="none",
    )
    return tuple(Identity("vhdx.data_write_guid", value) for value in found)
