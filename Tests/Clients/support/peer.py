"""The beginning of the peer protocol (Documentation/formats/peer-protocol.md)."""

import struct


def _crc_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


_CRC = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def peer_hello(**replacing):
    values = {"kind": 1, "lowest": 1, "highest": 1, "purpose": 1, "features": 0, "cluster": 1, "own": 2, "other": 3,
              "directory": 7}
    values.update(replacing)
    return struct.pack("<BBBBQQQQQ", *values.values())


def peer_frame(body, length=None, checksum=None):
    """`length` and `checksum` let it lie."""
    return (
        struct.pack("<II", len(body) if length is None else length, crc32c(body) if checksum is None else checksum)
        + body
    )
