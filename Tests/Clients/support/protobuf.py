"""Just enough of protobuf's wire format to write requests by hand, wrong ones too, and to read answers."""


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """One field: bytes and text with a length, whole numbers and booleans as a varint, lists as repeated fields."""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, element) for element in value)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, bytearray)):
        return varint(number << 3 | 2) + varint(len(value)) + bytes(value)
    return varint(number << 3) + varint(int(value))


def message(fields):
    """A message from {number: value}; a None is left out."""
    return b"".join(field(number, value) for number, value in fields.items() if value is not None)


def signed(number):
    """An int64, of which a varint shows the bits."""
    return number - (1 << 64) if number >> 63 else number


class Malformed(Exception):
    pass


def _read_varint(data, at):
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a varint that does not end")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return number & (1 << 64) - 1, at


def parse(data):
    """{number: [value, ...]} of a message; what has a length stays bytes."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _read_varint(data, at)
        elif kind == 2:
            length, at = _read_varint(data, at)
            if at + length > len(data):
                raise Malformed("a length beyond the end")
            value, at = data[at : at + length], at + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, at = data[at : at + length], at + length
        else:
            raise Malformed(f"wire type {kind}")
        fields.setdefault(number, []).append(value)
    return fields


def get(fields, number, default=0):
    return fields.get(number, [default])[-1]


# MARK: etcd's messages


def range_request(key, end=None, **options):
    numbers = {
        "limit": 3,
        "revision": 4,
        "sort_order": 5,
        "sort_target": 6,
        "serializable": 7,
        "keys_only": 8,
        "count_only": 9,
        "min_mod": 10,
        "max_mod": 11,
        "min_create": 12,
        "max_create": 13,
    }
    return message({1: key, 2: end, **{numbers[name]: value for name, value in options.items()}})


def put_request(key, value=None, **options):
    numbers = {"lease": 3, "prev_kv": 4, "ignore_value": 5, "ignore_lease": 6}
    return message({1: key, 2: value, **{numbers[name]: value for name, value in options.items()}})


def delete_request(key, end=None, prev_kv=None):
    return message({1: key, 2: end, 3: prev_kv})


def op_range(*arguments, **options):
    return message({1: range_request(*arguments, **options)})


def op_put(*arguments, **options):
    return message({2: put_request(*arguments, **options)})


def op_delete(*arguments, **options):
    return message({3: delete_request(*arguments, **options)})


def op_txn(*arguments, **options):
    return message({4: txn_request(*arguments, **options)})


EQUAL, GREATER, LESS, NOT_EQUAL = range(4)


def compare(key, target, result, operand, end=None):
    """target: version, create, mod, value or lease."""
    kinds = ["version", "create", "mod", "value", "lease"]
    return message({1: result, 2: kinds.index(target), 3: key, kinds.index(target) + 4: operand, 64: end})


def txn_request(compares=(), success=(), failure=()):
    return message({1: list(compares), 2: list(success), 3: list(failure)})


def compaction_request(revision, physical=None):
    return message({1: revision, 2: physical})
