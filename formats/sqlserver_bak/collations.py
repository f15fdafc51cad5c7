"""The name of a database's collation, from the five bytes in which SQL Server keeps it.

[MS-TDS] 2.2.5.1.2: 20 bits of locale, eight flags, four bits of version, one byte of sort order. A
sort order names one of the old SQL collations. Otherwise locale and flags make up the name of a
Windows collation. Since version 1 ("_90_") a collation may know supplementary characters as well,
which none of the flags is known to tell: such names are left unknown rather than guessed.
"""

from collections.abc import Mapping

LOCALE_BITS = 20
VERSION_SHIFT = 28
SORT_ORDER_OFFSET = 4
IGNORE_CASE = 1 << 20
IGNORE_ACCENT = 1 << 21
BINARY = 1 << 24
BINARY_BY_CODE_POINT = 1 << 25

# Windows NLS, CompareString: UnicodeComparisonStyle has these bits. [MS-TDS] gives the two flags of
# the collation for them in two orders.
NORM_IGNORE_KANA_TYPE = 0x10000
NORM_IGNORE_WIDTH = 0x20000

# sys.fn_helpcollations and mssql-jdbc 12 (SQLCollation.java) by sort order.
SQL_COLLATIONS: Mapping[int, str] = {
    30: "SQL_Latin1_General_CP437_BIN",
    31: "SQL_Latin1_General_CP437_CS_AS",
    32: "SQL_Latin1_General_CP437_CI_AS",
    33: "SQL_Latin1_General_Pref_CP437_CI_AS",
    34: "SQL_Latin1_General_CP437_CI_AI",
    35: "SQL_Latin1_General_CP437_BIN2",
    40: "SQL_Latin1_General_CP850_BIN",
    41: "SQL_Latin1_General_CP850_CS_AS",
    42: "SQL_Latin1_General_CP850_CI_AS",
    43: "SQL_Latin1_General_Pref_CP850_CI_AS",
    44: "SQL_Latin1_General_CP850_CI_AI",
    45: "SQL_Latin1_General_CP850_BIN2",
    49: "SQL_1xCompat_CP850_CI_AS",
    51: "SQL_Latin1_General_CP1_CS_AS",
    52: "SQL_Latin1_General_CP1_CI_AS",
    53: "SQL_Latin1_General_Pref_CP1_CI_AS",
    54: "SQL_Latin1_General_CP1_CI_AI",
    55: "SQL_AltDiction_CP850_CS_AS",
    56: "SQL_AltDiction_Pref_CP850_CI_AS",
    57: "SQL_AltDiction_CP850_CI_AI",
    58: "SQL_Scandinavian_Pref_CP850_CI_AS",
    59: "SQL_Scandinavian_CP850_CS_AS",
    60: "SQL_Scandinavian_CP850_CI_AS",
    61: "SQL_AltDiction_CP850_CI_AS",
    81: "SQL_Latin1_General_CP1250_CS_AS",
    82: "SQL_Latin1_General_CP1250_CI_AS",
    83: "SQL_Czech_CP1250_CS_AS",
    84: "SQL_Czech_CP1250_CI_AS",
    85: "SQL_Hungarian_CP1250_CS_AS",
    86: "SQL_Hungarian_CP1250_CI_AS",
    87: "SQL_Polish_CP1250_CS_AS",
    88: "SQL_Polish_CP1250_CI_AS",
    89: "SQL_Romanian_CP1250_CS_AS",
    90: "SQL_Romanian_CP1250_CI_AS",
    91: "SQL_Croatian_CP1250_CS_AS",
    92: "SQL_Croatian_CP1250_CI_AS",
    93: "SQL_Slovak_CP1250_CS_AS",
    94: "SQL_Slovak_CP1250_CI_AS",
    95: "SQL_Slovenian_CP1250_CS_AS",
    96: "SQL_Slovenian_CP1250_CI_AS",
    105: "SQL_Latin1_General_CP1251_CS_AS",
    106: "SQL_Latin1_General_CP1251_CI_AS",
    107: "SQL_Ukrainian_CP1251_CS_AS",
    108: "SQL_Ukrainian_CP1251_CI_AS",
    113: "SQL_Latin1_General_CP1253_CS_AS",
    114: "SQL_Latin1_General_CP1253_CI_AS",
    124: "SQL_Latin1_General_CP1253_CI_AI",
    129: "SQL_Latin1_General_CP1254_CS_AS",
    130: "SQL_Latin1_General_CP1254_CI_AS",
    137: "SQL_Latin1_General_CP1255_CS_AS",
    138: "SQL_Latin1_General_CP1255_CI_AS",
    145: "SQL_Latin1_General_CP1256_CS_AS",
    146: "SQL_Latin1_General_CP1256_CI_AS",
    153: "SQL_Latin1_General_CP1257_CS_AS",
    154: "SQL_Latin1_General_CP1257_CI_AS",
    155: "SQL_Estonian_CP1257_CS_AS",
    156: "SQL_Estonian_CP1257_CI_AS",
    157: "SQL_Latvian_CP1257_CS_AS",
    158: "SQL_Latvian_CP1257_CI_AS",
    159: "SQL_Lithuanian_CP1257_CS_AS",
    160: "SQL_Lithuanian_CP1257_CI_AS",
    183: "SQL_Danish_Pref_CP1_CI_AS",
    184: "SQL_SwedishPhone_Pref_CP1_CI_AS",
    185: "SQL_SwedishStd_Pref_CP1_CI_AS",
    186: "SQL_Icelandic_Pref_CP1_CI_AS",
}

# Microsoft Learn, "Windows Collation Name", collations of version 0, by locale ([MS-LCID]).
DESIGNATORS: Mapping[int, str] = {
    0x0401: "Arabic",
    0x0404: "Chinese_Taiwan_Stroke",
    0x0405: "Czech",
    0x0406: "Danish_Norwegian",
    0x0408: "Greek",
    0x0409: "Latin1_General",
    0x040A: "Traditional_Spanish",
    0x040B: "Finnish_Swedish",
    0x040C: "French",
    0x040D: "Hebrew",
    0x040E: "Hungarian",
    0x040F: "Icelandic",
    0x0411: "Japanese",
    0x0412: "Korean_Wansung",
    0x0415: "Polish",
    0x0418: "Romanian",
    0x0419: "Cyrillic_General",
    0x041A: "Croatian",
    0x041B: "Slovak",
    0x041C: "Albanian",
    0x041E: "Thai",
    0x041F: "Turkish",
    0x0422: "Ukrainian",
    0x0424: "Slovenian",
    0x0425: "Estonian",
    0x0426: "Latvian",
    0x0427: "Lithuanian",
    0x042A: "Vietnamese",
    0x0804: "Chinese_PRC",
    0x0C0A: "Modern_Spanish",
}


def collation_name(stored: bytes, comparison_style: int) -> str | None:
    """Return the name of a collation; None where it is not known."""
    number, sort_order = int.from_bytes(stored[:SORT_ORDER_OFFSET], "little"), stored[-1]
    if sort_order:
        return SQL_COLLATIONS.get(sort_order)
    designator = DESIGNATORS.get(number & ((1 << LOCALE_BITS) - 1))
    if designator is None or number >> VERSION_SHIFT:
        return None
    return f"{designator}_{sensitivity(number, comparison_style)}"


def sensitivity(flags: int, comparison_style: int) -> str:
    """Return the end of a Windows collation's name: what it tells apart."""
    if flags & BINARY_BY_CODE_POINT:
        return "BIN2"
    if flags & BINARY:
        return "BIN"
    parts = [
        "CI" if flags & IGNORE_CASE else "CS",
        "AI" if flags & IGNORE_ACCENT else "AS",
        "" if comparison_style & NORM_IGNORE_KANA_TYPE else "KS",
        "" if comparison_style & NORM_IGNORE_WIDTH else "WS",
    ]
    return "_".join(part for part in parts if part)
