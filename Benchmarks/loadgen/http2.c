// See http2.h. Section numbers are RFC 9113's, and RFC 7541's where HPACK is named.
#define _GNU_SOURCE
#include "http2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { frameData, frameHeaders, framePriority, frameReset, frameSettings, framePush, framePing, frameGoAway,
       frameWindow, frameContinuation };
enum { flagEndStream = 1, flagAck = 1, flagEndHeaders = 4, flagPadded = 8, flagPriority = 32 };
enum { frameHeaderSize = 9, ourFrameMax = 16384, readSize = 256 << 10, blockMax = 1 << 20 };
static const uint32_t ourWindow = 1u << 30;

void buffer_append(struct buffer *b, const void *bytes, size_t count) {
    if (b->end + count > b->capacity) {
        if (b->start > 0) {
            memmove(b->bytes, b->bytes + b->start, b->end - b->start);
            b->end -= b->start;
            b->start = 0;
        }
        if (b->end + count > b->capacity) {
            while (b->end + count > b->capacity) b->capacity = b->capacity ? b->capacity * 2 : 4096;
            b->bytes = realloc(b->bytes, b->capacity);
            if (!b->bytes) abort();
        }
    }
    memcpy(b->bytes + b->end, bytes, count);
    b->end += count;
}

void buffer_free(struct buffer *b) {
    free(b->bytes);
    *b = (struct buffer){0};
}

static uint32_t read32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}

static void frame_header(struct connection *c, size_t length, int type, int flags, uint32_t id) {
    uint8_t h[frameHeaderSize] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, (uint8_t)type,
                                  (uint8_t)flags};
    write32(h + 5, id);
    buffer_append(&c->out, h, sizeof h);
}

static void frame32(struct connection *c, int type, uint32_t id, uint32_t value) {
    uint8_t payload[4];
    write32(payload, value);
    frame_header(c, 4, type, 0, id);
    buffer_append(&c->out, payload, 4);
}

void connection_open(struct connection *c, int descriptor, uint32_t streamsMax) {
    const struct handler *handler = c->handler;
    void *owner = c->owner;
    const char *authority = c->authority, *timeout = c->timeout;
    const char *const *paths = c->paths;
    struct buffer in = c->in, out = c->out, block = c->block;
    uint64_t bytesIn = c->bytesIn, bytesOut = c->bytesOut;
    *c = (struct connection){.handler = handler, .owner = owner, .authority = authority, .timeout = timeout,
                             .paths = paths, .in = in, .out = out, .block = block, .bytesIn = bytesIn,
                             .bytesOut = bytesOut};
    c->in.start = c->in.end = c->out.start = c->out.end = c->block.start = c->block.end = 0;
    c->descriptor = descriptor;
    c->sendWindow = c->peerInitialWindow = 65535;
    c->peerFrameMax = 16384;
    c->peerStreamsMax = UINT32_MAX;
    c->mayIndex = true;
    c->nextID = 1;
    uint32_t places = 16;
    while (places < 4 * streamsMax) places *= 2;
    c->mask = places - 1;
    c->streams = calloc(places, sizeof *c->streams);
    c->authorityAt = c->typeAt = c->teAt = -1;
    for (int i = 0; i < methodsMax; i++) c->pathAt[i] = -1;
    if (!c->streams || nghttp2_hd_inflate_new(&c->inflater) != 0) abort();

    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    buffer_append(&c->out, preface, sizeof preface - 1);
    uint8_t settings[12] = {0, 2, 0, 0, 0, 0, 0, 4};  // no push, a wide window
    write32(settings + 8, ourWindow);
    frame_header(c, sizeof settings, frameSettings, 0, 0);
    buffer_append(&c->out, settings, sizeof settings);
    frame32(c, frameWindow, 0, ourWindow - 65535);
}

void connection_close(struct connection *c) {
    if (!c->streams) return;
    close(c->descriptor);
    c->descriptor = -1;
    for (uint32_t i = 0; i <= c->mask; i++) {
        if (!c->streams[i]) continue;
        c->streams[i]->id = 0;
        c->streams[i]->blocked = false;
        c->streams[i]->pending.start = c->streams[i]->pending.end = 0;
    }
    free(c->streams);
    c->streams = NULL;
    nghttp2_hd_inflate_del(c->inflater);
    c->inflater = NULL;
}

static struct stream *find(struct connection *c, uint32_t id) {
    struct stream *s = c->streams[(id >> 1) & c->mask];
    return s && s->id == id ? s : NULL;
}

static void unblock(struct connection *c, struct stream *s) {
    if (!s->blocked) return;
    struct stream *before = NULL;
    for (struct stream *i = c->blockedHead; i != s; i = i->nextBlocked) before = i;
    if (before) before->nextBlocked = s->nextBlocked;
    else c->blockedHead = s->nextBlocked;
    if (c->blockedTail == s) c->blockedTail = before;
    s->blocked = false;
    s->pending.start = s->pending.end = 0;
}

static void forget(struct connection *c, struct stream *s) {
    unblock(c, s);
    c->streams[(s->id >> 1) & c->mask] = NULL;
    s->id = 0;
}

// MARK: requests

/// One field: by its place in the dynamic table when it was sent before, else as a literal that enters the table
/// (RFC 7541, 6.1 and 6.2). Lengths stay below 127, so that every length is one byte.
static void field(struct connection *c, int staticName, const char *name, const char *value, int *at) {
    if (c->mayIndex && *at >= 0) {
        uint8_t index = (uint8_t)(0x80 | (62 + c->inserts - 1 - *at));
        buffer_append(&c->out, &index, 1);
        return;
    }
    uint8_t head[2] = {0, 0};
    size_t headSize = 1;
    if (c->mayIndex) {
        head[0] = (uint8_t)(0x40 | staticName);
        *at = c->inserts++;
    } else if (staticName < 15) {
        head[0] = (uint8_t)staticName;
    } else {
        head[0] = 15, head[1] = (uint8_t)(staticName - 15), headSize = 2;
    }
    buffer_append(&c->out, head, headSize);
    if (staticName == 0) {
        uint8_t length = (uint8_t)strlen(name);
        buffer_append(&c->out, &length, 1);
        buffer_append(&c->out, name, length);
    }
    uint8_t length = (uint8_t)strlen(value);
    buffer_append(&c->out, &length, 1);
    buffer_append(&c->out, value, length);
}

void connection_request(struct connection *c, struct stream *s, int method) {
    while (c->streams[(c->nextID >> 1) & c->mask]) c->nextID += 2;
    s->id = c->nextID;
    c->nextID += 2;
    c->streams[(s->id >> 1) & c->mask] = s;
    s->sendWindow = c->peerInitialWindow;
    s->received = 0;
    s->pending.start = s->pending.end = 0;
    s->blocked = false;
    s->httpStatus = 0;
    s->grpcStatus = -1;

    frame_header(c, 0, frameHeaders, flagEndHeaders, s->id);
    size_t body = c->out.end - c->out.start;
    uint8_t fixed[2] = {0x83, 0x86};  // :method POST, :scheme http
    buffer_append(&c->out, fixed, 2);
    field(c, 4, ":path", c->paths[method], &c->pathAt[method]);
    field(c, 1, ":authority", c->authority, &c->authorityAt);
    field(c, 31, "content-type", "application/grpc", &c->typeAt);
    field(c, 0, "te", "trailers", &c->teAt);
    if (c->timeout) {
        bool may = c->mayIndex;
        int nowhere = -1;
        c->mayIndex = false;
        field(c, 0, "grpc-timeout", c->timeout, &nowhere);
        c->mayIndex = may;
    }
    size_t length = c->out.end - c->out.start - body;
    c->out.bytes[c->out.start + body - frameHeaderSize + 1] = (uint8_t)(length >> 8);
    c->out.bytes[c->out.start + body - frameHeaderSize + 2] = (uint8_t)length;
}

/// Sends as much as the windows and the frame size allow, and says how much that was.
static size_t send_some(struct connection *c, struct stream *s, const uint8_t *bytes, size_t count, bool ends) {
    size_t sent = 0;
    while (sent < count) {
        int64_t window = c->sendWindow < s->sendWindow ? c->sendWindow : s->sendWindow;
        if (window <= 0) break;
        size_t piece = count - sent;
        if (piece > (uint64_t)window) piece = (size_t)window;
        if (piece > c->peerFrameMax) piece = c->peerFrameMax;
        frame_header(c, piece, frameData, ends && sent + piece == count ? flagEndStream : 0, s->id);
        buffer_append(&c->out, bytes + sent, piece);
        c->sendWindow -= (int64_t)piece;
        s->sendWindow -= (int64_t)piece;
        sent += piece;
    }
    return sent;
}

void connection_send(struct connection *c, struct stream *s, const void *bytes, size_t count, bool ends) {
    size_t sent = s->blocked ? 0 : send_some(c, s, bytes, count, ends);
    if (sent == count) return;
    buffer_append(&s->pending, (const uint8_t *)bytes + sent, count - sent);
    s->pendingEnds = ends;
    if (s->blocked) return;
    s->blocked = true;
    s->nextBlocked = NULL;
    if (c->blockedTail) c->blockedTail->nextBlocked = s;
    else c->blockedHead = s;
    c->blockedTail = s;
}

static void retry_blocked(struct connection *c) {
    for (struct stream *s = c->blockedHead, *next; s && c->sendWindow > 0; s = next) {
        next = s->nextBlocked;
        s->pending.start += send_some(c, s, s->pending.bytes + s->pending.start, s->pending.end - s->pending.start,
                                      s->pendingEnds);
        if (s->pending.start == s->pending.end) unblock(c, s);
    }
}

void connection_cancel(struct connection *c, struct stream *s) {
    if (s->id == 0) return;
    frame32(c, frameReset, s->id, NGHTTP2_CANCEL);
    forget(c, s);
}

// MARK: answers

static bool fail(struct connection *c, const char *why) {
    c->failure = why;
    return false;
}

static int number(const uint8_t *p, size_t count) {
    int value = 0;
    for (size_t i = 0; i < count && i < 6; i++) {
        if (p[i] < '0' || p[i] > '9') return 99;
        value = value * 10 + p[i] - '0';
    }
    return count ? value : 99;
}

static bool inflate(struct connection *c, const uint8_t *block, size_t count, struct stream *s) {
    bool indexOnly = count <= sizeof c->memo[0].bytes;
    for (size_t i = 0; i < count && indexOnly; i++) indexOnly = block[i] > 0x80 && block[i] < 0xff;
    if (indexOnly) {
        for (int i = 0; i < 2; i++) {
            if (c->memo[i].length != count || memcmp(c->memo[i].bytes, block, count) != 0) continue;
            if (!s) return true;
            if (c->memo[i].httpStatus) s->httpStatus = c->memo[i].httpStatus;
            if (c->memo[i].grpcStatus >= 0) s->grpcStatus = c->memo[i].grpcStatus;
            return true;
        }
    } else {
        c->memo[0].length = c->memo[1].length = 0;
    }
    int httpStatus = 0, grpcStatus = -1;
    const uint8_t *p = block;
    size_t left = count;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(c->inflater, &nv, &flags, p, left, 1);
        if (used < 0) return fail(c, "a header block does not decode");
        p += used;
        left -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            if (nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0) httpStatus = number(nv.value, nv.valuelen);
            if (nv.namelen == 11 && memcmp(nv.name, "grpc-status", 11) == 0) grpcStatus = number(nv.value, nv.valuelen);
            if (nv.namelen == 12 && memcmp(nv.name, "grpc-message", 12) == 0 && nv.valuelen > 0)
                c->handler->message(c, nv.value, nv.valuelen);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && left == 0) break;
    }
    nghttp2_hd_inflate_end_headers(c->inflater);
    if (indexOnly) {
        int i = c->memoNext++ & 1;
        memcpy(c->memo[i].bytes, block, count);
        c->memo[i].length = count;
        c->memo[i].httpStatus = httpStatus;
        c->memo[i].grpcStatus = grpcStatus;
    }
    if (s) {
        if (httpStatus) s->httpStatus = httpStatus;
        if (grpcStatus >= 0) s->grpcStatus = grpcStatus;
    }
    return true;
}

static bool end_block(struct connection *c, const uint8_t *block, size_t count, uint32_t id, bool ends) {
    struct stream *s = find(c, id);
    if (!inflate(c, block, count, s)) return false;
    if (s && ends) {
        forget(c, s);
        c->handler->end(c, s, 0);
    }
    return true;
}

static bool on_settings(struct connection *c, const uint8_t *p, size_t count, int flags) {
    if (flags & flagAck) return true;
    for (; count >= 6; p += 6, count -= 6) {
        uint32_t value = read32(p + 2);
        switch (p[0] << 8 | p[1]) {
        case 1: c->mayIndex = c->mayIndex && value >= 4096; break;
        case 3: c->peerStreamsMax = value; break;
        case 4: {
            int64_t change = (int64_t)value - c->peerInitialWindow;
            c->peerInitialWindow = value;
            for (uint32_t i = 0; i <= c->mask; i++)
                if (c->streams[i]) c->streams[i]->sendWindow += change;
            break;
        }
        case 5: c->peerFrameMax = value; break;
        }
    }
    frame_header(c, 0, frameSettings, flagAck, 0);
    retry_blocked(c);
    if (!c->settled) {
        c->settled = true;
        c->handler->ready(c);
    }
    return true;
}

static bool on_frame(struct connection *c, int type, int flags, uint32_t id, const uint8_t *p, size_t count) {
    if (c->blockID != 0 && type != frameContinuation) return fail(c, "a header block was interrupted");
    size_t whole = count;
    if ((type == frameData || type == frameHeaders) && flags & flagPadded) {
        if (count < 1 || p[0] >= count) return fail(c, "padding is longer than its frame");
        count -= 1u + p[0];
        p += 1;
    }
    switch (type) {
    case frameData: {
        c->received += whole;
        if (c->received > ourWindow / 2) {
            frame32(c, frameWindow, 0, (uint32_t)c->received);
            c->received = 0;
        }
        struct stream *s = find(c, id);
        if (!s) return true;
        s->received += whole;
        if (s->received > ourWindow / 2 && !(flags & flagEndStream)) {
            frame32(c, frameWindow, id, (uint32_t)s->received);
            s->received = 0;
        }
        if (count > 0) c->handler->data(c, s, p, count);
        if (flags & flagEndStream && s->id == id) {
            forget(c, s);
            c->handler->end(c, s, 0);
        }
        return true;
    }
    case frameHeaders:
        if (flags & flagPriority) {
            if (count < 5) return fail(c, "a HEADERS frame is too short");
            p += 5, count -= 5;
        }
        if (flags & flagEndHeaders) return end_block(c, p, count, id, flags & flagEndStream);
        buffer_append(&c->block, p, count);
        c->blockID = id;
        c->blockEnds = flags & flagEndStream;
        return true;
    case frameContinuation: {
        if (c->blockID != id || c->block.end + count > blockMax) return fail(c, "a CONTINUATION frame is out of place");
        buffer_append(&c->block, p, count);
        if (!(flags & flagEndHeaders)) return true;
        bool good = end_block(c, c->block.bytes, c->block.end, id, c->blockEnds);
        c->block.end = 0;
        c->blockID = 0;
        return good;
    }
    case frameReset: {
        struct stream *s = find(c, id);
        if (count != 4) return fail(c, "a RST_STREAM frame has a wrong size");
        if (!s) return true;
        forget(c, s);
        c->handler->end(c, s, read32(p) ? read32(p) : UINT32_MAX);
        return true;
    }
    case frameSettings: return on_settings(c, p, count, flags);
    case framePing:
        if (count != 8) return fail(c, "a PING frame has a wrong size");
        if (flags & flagAck) return true;
        frame_header(c, 8, framePing, flagAck, 0);
        buffer_append(&c->out, p, 8);
        return true;
    case frameWindow: {
        if (count != 4) return fail(c, "a WINDOW_UPDATE frame has a wrong size");
        uint32_t by = read32(p) & 0x7fffffff;
        struct stream *s = id ? find(c, id) : NULL;
        if (id == 0) c->sendWindow += by;
        if (s) s->sendWindow += by;
        retry_blocked(c);
        return true;
    }
    case frameGoAway:
        c->goingAway = true;
        return fail(c, "the server went away (GOAWAY)");
    default: return true;  // unknown frames are ignored (5.5)
    }
}

bool connection_read(struct connection *c) {
    struct buffer *in = &c->in;
    if (in->capacity < readSize) {
        in->bytes = realloc(in->bytes, readSize);
        if (!in->bytes) abort();
        in->capacity = readSize;
    }
    ssize_t got = recv(c->descriptor, in->bytes + in->end, in->capacity - in->end, 0);
    if (got == 0) return fail(c, "the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return true;
        return fail(c, strerror(errno));
    }
    c->bytesIn += (uint64_t)got;
    in->end += (size_t)got;
    while (in->end - in->start >= frameHeaderSize) {
        const uint8_t *p = in->bytes + in->start;
        size_t length = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (length > ourFrameMax) return fail(c, "a frame is larger than announced");
        if (in->end - in->start < frameHeaderSize + length) break;
        if (!on_frame(c, p[3], p[4], read32(p + 5) & 0x7fffffff, p + frameHeaderSize, length)) return false;
        in->start += frameHeaderSize + length;
    }
    if (in->start > 0) {
        memmove(in->bytes, in->bytes + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    return true;
}

bool connection_flush(struct connection *c) {
    while (c->out.end > c->out.start) {
        ssize_t sent = send(c->descriptor, c->out.bytes + c->out.start, c->out.end - c->out.start, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN) return true;
            return fail(c, strerror(errno));
        }
        c->bytesOut += (uint64_t)sent;
        c->out.start += (size_t)sent;
    }
    c->out.start = c->out.end = 0;
    return true;
}
