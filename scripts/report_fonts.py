#!/usr/bin/env python3
"""report_fonts.py REGULAR.ttf BOLD.ttf FOLDER: the two fonts of the PDF report, made of Nanum Gothic (Debian's package fonts-nanum).

Run once by hand; what it makes is in the repository (src/document/pdf/fonts). Needs fonttools. What the report may need stays: Latin, Greek, signs and
all 11,172 Hangul syllables; Hanja, hinting and layout tables go. The Open Font License reserves the original's names: the subset has others.
"""

import gzip
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

UNICODES = (
    "20-7E,A0-17F,2B0-2FF,370-3FF,2010-2027,2030-203B,2070-2094,20AC,2103,2109,2113,2122,2126,2190-2199,2200-2265,"
    "25A0-25CF,2713,3000-3015,3131-318E,3380-33DF,AC00-D7A3,FF01-FF5E"
)
FAMILY = "Orthanc AI Report"


def make(source: str, style: str) -> bytes:
    options = subset.Options(hinting=False, layout_features=[], name_IDs=[0, 1, 2, 4, 6, 13, 14], notdef_outline=True)
    options.drop_tables += ["TSI0", "TSI1", "TSI2", "TSI3", "TSI5", "FFTM", "GSUB", "GPOS", "GDEF", "vhea", "vmtx"]
    font = TTFont(source, recalcTimestamp=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=subset.parse_unicodes(UNICODES))
    subsetter.subset(font)
    for record in list(font["name"].names):
        if record.nameID in (1, 2, 4, 6) or not record.isUnicode() and record.platformID != 1:
            font["name"].removeNames(nameID=record.nameID, platformID=record.platformID)
    for number, text in {1: FAMILY, 2: style, 4: f"{FAMILY} {style}", 6: f"{FAMILY.replace(' ', '')}-{style}"}.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    path = Path(f"/tmp/report-{style}.ttf")
    font.save(path)
    data = path.read_bytes()
    path.unlink()
    return gzip.compress(data, 9, mtime=0)


def main() -> None:
    regular, bold, folder = sys.argv[1:]
    for source, style in ((regular, "Regular"), (bold, "Bold")):
        data = make(source, style)
        (Path(folder) / f"{style.lower()}.ttf.gz").write_bytes(data)
        print(style, len(data))


main()
