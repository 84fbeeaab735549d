"""Changes what a stopped member has in its engine, so that nothing on the member itself can tell: the checksums are
right (Documentation/formats/state.md)."""

import pathlib
import struct

from support.peer import crc32c


def change_value(directory, key, old, new):
    """Puts `new`, as long as `old`, in the place of a short value in LMDB's file; how many versions were changed."""
    assert len(old) == len(new) and b"\0" not in key
    changed = 0
    for path in pathlib.Path(directory).rglob("data.mdb"):
        content = bytearray(path.read_bytes())
        at = 0
        while True:
            # A row of `versions` begins with the key; in a page its value follows.
            at = content.find(key + b"\0\1", at)
            if at < 0:
                break
            row = bytes(content[at : at + len(key) + 2 + 12])
            record = at + len(row)
            at += 1
            if content[record + 4] != 0x3C:
                continue
            value = content.find(old, record, record + 40)
            if value < 0:
                continue
            content[value : value + len(new)] = new
            body = bytes(content[record + 4 : value + len(new)])
            content[record : record + 4] = struct.pack("<I", crc32c(row + body))
            changed += 1
        path.write_bytes(content)
    return changed
