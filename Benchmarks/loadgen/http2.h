// The client half of HTTP/2 that a load generator needs, and no more: cleartext with prior knowledge, many streams a
// connection, flow control both ways. Requests cost a few dozen instructions, because every request to a method has
// the same header block; answers are decoded in full (nghttp2's HPACK inflater), because the status is what counts.
//
// The whole of nghttp2 would be three to four times the work a request, taken from the server under test when both
// share a machine. h2load, which is nghttp2, is run beside this by scripts/bench as the cross-check.
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { methodsMax = 8 };

struct buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

struct stream {
    uint32_t id;  // 0: not open
    int64_t sendWindow;
    uint64_t received;      // bytes of DATA, to refresh a long-lived stream's window
    struct buffer pending;  // request bytes that wait for window
    bool pendingEnds;
    struct stream *nextBlocked;
    bool blocked;
    int httpStatus;
    int grpcStatus;  // -1: none seen
};

struct connection;

struct handler {
    void (*ready)(struct connection *);
    void (*data)(struct connection *, struct stream *, const uint8_t *, size_t);
    /// The stream is over. `resetCode` is 0 when it ended by END_STREAM.
    void (*end)(struct connection *, struct stream *, uint32_t resetCode);
    /// grpc-message of a failed request, not terminated.
    void (*message)(struct connection *, const uint8_t *, size_t);
};

struct connection {
    const struct handler *handler;
    void *owner;
    int descriptor;
    bool settled;  // the peer's SETTINGS arrived
    bool goingAway;
    const char *failure;

    struct buffer in, out;
    uint64_t bytesIn, bytesOut;

    struct stream **streams;  // by (id / 2) & mask: a free place is found by leaving ids out
    uint32_t mask, nextID;

    int64_t sendWindow;
    uint64_t received;  // since the last WINDOW_UPDATE
    int64_t peerInitialWindow;
    uint32_t peerFrameMax, peerStreamsMax;
    bool mayIndex;
    struct stream *blockedHead, *blockedTail;

    const char *authority;
    const char *const *paths;
    const char *timeout;  // grpc-timeout, or NULL
    int inserts, authorityAt, typeAt, teAt, pathAt[methodsMax];

    nghttp2_hd_inflater *inflater;
    struct buffer block;  // a header block split over CONTINUATION frames
    bool blockEnds;
    uint32_t blockID;
    // Blocks of index bytes only leave the HPACK table alone: the same bytes mean the same until another block comes.
    struct {
        uint8_t bytes[16];
        size_t length;
        int httpStatus, grpcStatus;
    } memo[2];
    int memoNext;
};

void buffer_append(struct buffer *, const void *, size_t);
void buffer_free(struct buffer *);

/// Takes a connected (or connecting), non-blocking socket and queues the preface.
void connection_open(struct connection *, int descriptor, uint32_t streamsMax);
void connection_close(struct connection *);

/// Opens a stream with the method's headers; its body follows by `connection_send`.
void connection_request(struct connection *, struct stream *, int method);
/// Sends request bytes, now or when the windows allow.
void connection_send(struct connection *, struct stream *, const void *, size_t, bool ends);
/// Cancels a stream; its handler is not told.
void connection_cancel(struct connection *, struct stream *);

/// Reads what there is and calls the handler. False when the connection is over (`failure` says why).
bool connection_read(struct connection *);
/// Writes what is queued. False when the connection is over; `connection_wants_write` when the socket is full.
bool connection_flush(struct connection *);
static inline bool connection_wants_write(const struct connection *c) { return c->out.end > c->out.start; }
