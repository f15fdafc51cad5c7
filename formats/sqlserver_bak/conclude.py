"""Judge a backup set when every byte of all its parts has been seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome, Part
from formats.sqlserver_bak.inspect import size_row
from formats.sqlserver_bak.judge_csum import judge_csum
from formats.sqlserver_bak.judge_extents import judge_extents
from formats.sqlserver_bak.judge_log import judge_log
from formats.sqlserver_bak.judge_pages import judge_pages
from formats.sqlserver_bak.maps import gather_maps, rows_outside_filler
from formats.sqlserver_bak.page_rows import PageRows, gather
from formats.sqlserver_bak.state import SetState
from formats.sqlserver_bak.streams import LOG_RANGE

SET_MEMBERS = "sqlserver_bak.set.members"
BOOT_VERSION = "sqlserver_bak.boot.version"
BOOT_NAME = "sqlserver_bak.boot.name"

CHECKS: Mapping[str, str] = {
    SET_MEMBERS: "The stripes of a set were written by one backup.",
    BOOT_VERSION: "The database's boot page has the version the configuration gives.",
    BOOT_NAME: "The database's boot page has the name the configuration gives.",
}

PAGE_BYTES = 8192
BLOCK_HEADER_BYTES = 52


def conclude_set(parts: Sequence[Part]) -> tuple[Evidence, ...]:
    """Judge one backup set from the tables of its parts, in the order of the stripes."""
    known = [
        (part, part.inspection.state)
        for part in parts
        if isinstance(part.inspection.state, SetState)
    ]
    if not known:
        return ()
    here, states = [part for part, _ in known], [state for _, state in known]
    findings = Findings()
    judge_members(findings, here, states)
    held = [judge_csum(findings, part, state) for part, state in known]
    rows = gather(here, states)
    maps = gather_maps(here, rows, states[0])
    judge_pages(findings, rows, maps, vouch=not all(item.pages for item in held))
    judge_extents(findings, rows, maps, states)
    judge_boot(findings, here, rows, states[0])
    judge_log_ranges(findings, here, states)
    for (part, state), sums in zip(known, held, strict=True):
        judge_log(findings, part, state, vouch=not sums.logs)
    return findings.rows


def judge_members(findings: Findings, parts: Sequence[Part], states: Sequence[SetState]) -> None:
    """Compare what the stripes of a set say of it, and their sizes together."""
    piece = parts[0].inspection.piece
    if piece is None:
        return
    strange = [
        part
        for part, state in zip(parts, states, strict=True)
        if (state.set_guid, state.family_count) != (states[0].set_guid, states[0].family_count)
    ]
    for part in strange:
        findings.add(
            Evidence(
                SET_MEMBERS,
                Outcome.MISMATCHED,
                expected=f"backup set {states[0].set_guid}",
                actual="another backup set",
                member=part.member,
            )
        )
    if strange or len(parts) != piece.count:
        return
    findings.matched(SET_MEMBERS, None, 0, count=len(parts))
    spans = [state.spanned_bytes for state in states]
    if None not in spans:
        # Seen in eight pairs of stripes: the size of the backup is that of all stripes together.
        total = sum(item or 0 for item in spans)
        row = size_row(states[0].backup_size, total, states[0].backup_size_offset)
        findings.add(replace(row, member=parts[0].member))


def judge_log_ranges(findings: Findings, parts: Sequence[Part], states: Sequence[SetState]) -> None:
    """Look for the stream of every saved range of the log; on stripes any of them may hold it."""
    piece = parts[0].inspection.piece
    if any(state.cut for state in states) or (piece is not None and len(parts) != piece.count):
        return
    held = {log.sequence for state in states for log in state.logs}
    for sequence, offset in states[0].log_ranges:
        if sequence not in held:
            findings.add(
                Evidence(
                    LOG_RANGE,
                    Outcome.MISMATCHED,
                    offset,
                    BLOCK_HEADER_BYTES,
                    "a stream with the saved log",
                    "none",
                    Bearing.DOUBTFUL,
                    parts[0].member,
                )
            )


def judge_boot(findings: Findings, parts: Sequence[Part], rows: PageRows, state: SetState) -> None:
    """Compare the last copy of the boot page with the configuration.

    A restore gives the database a new name, so the name is not needed.
    """
    found = rows_outside_filler(parts, rows, "boot")
    if not found or state.database_version is None:
        return
    boot, part, _copy = found[-1]
    version = int(boot["version"])
    name = boot["name"].tobytes().decode("utf-16-le", "replace").rstrip(" \0").casefold()
    wanted = (state.database_name or name).casefold()
    same_name = name.startswith(wanted) or wanted.startswith(name or " ")
    judged = (
        (BOOT_VERSION, version == state.database_version, Bearing.DOUBTFUL),
        (BOOT_NAME, same_name, Bearing.REDUNDANT),
    )
    for check, holds, bearing in judged:
        findings.add(
            Evidence(
                check,
                Outcome.MATCHED if holds else Outcome.MISMATCHED,
                int(boot["offset"]),
                PAGE_BYTES,
                f"{state.database_version}" if check == BOOT_VERSION else "the set's name for it",
                f"{version}" if check == BOOT_VERSION else None,
                bearing,
                part.member,
            )
        )
