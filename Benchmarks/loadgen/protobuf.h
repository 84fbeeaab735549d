// Protobuf, just enough: etcd's requests are written with it and the answers are read.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t put_varint(uint8_t *p, uint64_t v) {
    size_t n = 0;
    while (v >= 0x80) p[n++] = (uint8_t)(v | 0x80), v >>= 7;
    p[n++] = (uint8_t)v;
    return n;
}

static inline size_t put_bytes(uint8_t *p, int number, const void *bytes, size_t count) {
    size_t n = put_varint(p, (uint64_t)number << 3 | 2);
    n += put_varint(p + n, count);
    memcpy(p + n, bytes, count);
    return n + count;
}

static inline size_t put_integer(uint8_t *p, int number, uint64_t value) {
    size_t n = put_varint(p, (uint64_t)number << 3);
    return n + put_varint(p + n, value);
}

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static inline uint64_t get_varint(struct reader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
    r->bad = true;
    return 0;
}

struct field {
    uint32_t number;
    uint64_t integer;
    struct reader bytes;
};

/// The next field of a message; false at its end or when it is malformed (`bad` tells which).
static inline bool get_field(struct reader *r, struct field *f) {
    if (r->at >= r->end || r->bad) return false;
    uint64_t tag = get_varint(r);
    f->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case 0: f->integer = get_varint(r); break;
    case 1: r->at += 8; break;
    case 5: r->at += 4; break;
    case 2: {
        uint64_t count = get_varint(r);
        if (r->bad || count > (uint64_t)(r->end - r->at)) {
            r->bad = true;
            return false;
        }
        f->bytes = (struct reader){r->at, r->at + count, false};
        r->at += count;
        break;
    }
    default: r->bad = true;
    }
    if (r->at > r->end) r->bad = true;
    return !r->bad;
}
