// A closed-loop load generator for servers that speak etcd's v3 API over cleartext HTTP/2.
//
// N connections x M streams: each stream is one client that waits for its answer before it asks again. Every answer is
// checked (HTTP status, grpc-status, and what is in the message), so that a server cannot look fast by failing. The
// result is one line of JSON. `loadgen --help` lists the options; Benchmarks/README.md says what the figures mean.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "histogram.h"
#include "http2.h"
#include "protobuf.h"

// MARK: options

enum operation { opPut, opRange, opScan, opMix, opTxnPut, opTxnRead, opLease, opKeepAlive, opWatch };
static const char *const operationNames[] = {
    "put", "range", "scan", "mix", "txn-put", "txn-read", "lease", "keepalive", "watch"};

enum method { methodPut, methodRange, methodTxn, methodGrant, methodRevoke, methodKeepAlive, methodWatch };
static const char *const paths[] = {
    [methodPut] = "/etcdserverpb.KV/Put",
    [methodRange] = "/etcdserverpb.KV/Range",
    [methodTxn] = "/etcdserverpb.KV/Txn",
    [methodGrant] = "/etcdserverpb.Lease/LeaseGrant",
    [methodRevoke] = "/etcdserverpb.Lease/LeaseRevoke",
    [methodKeepAlive] = "/etcdserverpb.Lease/LeaseKeepAlive",
    [methodWatch] = "/etcdserverpb.Watch/Watch",
};

enum { endpointsMax = 64, prefixMax = 64, valueMax = 1 << 20, threadsMax = 64, connectionsMax = 10000,
       streamsMax = 10000, perStreamMax = 100000, rateMax = 100000, serversMax = 16, keyDigits = 12 };
/// Keys that one client of txn-put has for itself: nobody else writes them, so that every comparison must hold.
enum { txnKeysEach = 8 };
/// Leases of keepalive have names of their own and are never given back, so that the next run finds them; those of
/// lease are revoked at once.
enum { keptLeaseSeconds = 3600, shortLeaseSeconds = 600 };
static const int64_t firstLease = 0x6d61000000;
/// Between the set-up of watchers or leases and the load, and between the load and its end, so that work that a server
/// put off is counted where it was caused.
static const uint64_t settleTime = 300000000;

struct endpoint {
    char name[64];
    struct sockaddr_in address;
};

static struct {
    enum operation operation;
    struct endpoint endpoints[endpointsMax];
    int endpointCount;
    int connections, streams, threads, writers, watchers, leases;
    uint64_t watchedKeys, rate;
    int servers[serversMax], serverCount;
    const char *prefix;
    size_t prefixSize;
    uint64_t keys, span, limit, count;
    bool sequential, serializable;
    size_t valueSize;
    int writePercent;
    double duration, warmup, timeout;
    int deadlineMilliseconds;
    uint64_t seed;
} options = {
    .operation = opPut, .connections = 1, .streams = 1, .threads = 1, .writers = 8, .watchers = 1, .leases = 1,
    .prefix = "bench/", .keys = 100000, .span = 1000, .valueSize = 256, .writePercent = 10, .duration = 5,
    .timeout = 60, .seed = 1,
};

static const char usage[] =
    "usage: loadgen --endpoints HOST:PORT[,HOST:PORT...] [options]\n"
    "  --op OPERATION    what every stream does (put):\n"
    "        put; range: one key; scan: --span neighbouring keys; mix: range, and --write-percent puts;\n"
    "        txn-put: a put if the key's mod revision is what it was; txn-read: two keys, if the first exists;\n"
    "        lease: grants a lease, revokes it, and so on; keepalive: --leases leases a stream, each renewed without\n"
    "        pause; watch: --watchers watchers a stream, fed by --writers puts in flight, where each event delivered\n"
    "        to one watcher is one operation and latency is from the put's departure to the event's arrival\n"
    "  --connections N   spread over the endpoints in turn (1)\n"
    "  --streams M       in flight on each connection (1)\n"
    "  --threads T       threads of the generator (1)\n"
    "  --keys K          key space, PREFIX000000000000 upwards (100000)\n"
    "  --prefix P        (bench/)\n"
    "  --order random|sequential                 of the keys (random)\n"
    "  --value-size B    (256)\n"
    "  --span S          keys of one scan (1000)\n"
    "  --limit L         scan to the prefix's end with this limit, instead of a span\n"
    "  --serializable    local reads instead of linearizable ones\n"
    "  --write-percent P for mix (10)\n"
    "  --writers W       for watch (8)\n"
    "  --watchers N      watchers of one stream, for watch (1)\n"
    "  --watched-keys K  watcher i watches key i modulo K, and only these keys are put (0: all watch all keys)\n"
    "  --leases N        leases of one stream, for keepalive (1)\n"
    "  --rate R          operations begun a second, at even intervals whatever comes back: puts of watch, renewals\n"
    "                    of keepalive (as fast as they go)\n"
    "  --server-pids P,P...   their CPU time, without the set-up of watch and keepalive (server_cpu_seconds)\n"
    "  --duration S      measured seconds (5), after --warmup S (0)\n"
    "  --count N         stop after N successes instead; failed operations are repeated\n"
    "  --deadline MS     grpc-timeout of each request, kept on this side too (none)\n"
    "  --timeout S       give up altogether after this long (60)\n"
    "  --preload N       put keys 0..<N once, with 1000 in flight: short for --op put --order sequential --count N\n"
    "  --seed S          of the random keys (1)\n";

// MARK: state

enum slotState { slotIdle, slotBusy, slotPaused };
enum slotRole { roleUnary, roleKeepAlive, roleWatcher };

/// What one watcher has been told.
struct watcher {
    bool created;
    uint64_t key;  // its place in `written`
    uint64_t events, revisionSum;
    int64_t revisionLast;
};

struct slot {
    struct stream stream;  // first: the HTTP/2 layer hands streams back
    struct link *link;
    enum slotState state;
    enum slotRole role;
    enum operation operation;  // of this request: put, range, scan, txn-put, txn-read or lease
    bool mustRepeat, ready, malformed;
    uint64_t number;  // among all slots of its role
    uint64_t key, startedAt, resumeAt;

    struct watcher *watchers;

    int64_t lease;  // of lease: what was granted and is to be revoked; of keepalive: its first
    bool granting;
    int granted;
    /// Renewals, in turn over the leases, and the time of each that is open.
    uint64_t asked, answered, *askedAt;

    // The gRPC message that is arriving: its prefix, its bytes (only when it is split over DATA frames).
    uint8_t prefix[5];
    unsigned prefixCount;
    uint32_t messageSize, messageSeen;
    int messages;
    struct buffer message;

    // A scan's answer is walked as it arrives: field heads are read, field bodies are skipped.
    uint64_t found, skip, varint;
    int varintShift;
    enum { atTag, atLength, atInteger } walk;
    uint32_t walkField;
};

struct link {
    struct connection connection;  // first: the HTTP/2 layer hands connections back
    struct worker *worker;
    const struct endpoint *endpoint;
    struct slot *slots;
    uint64_t **stamped;  // times of what is in the next flush
    int slotCount, stampedCount, stampedMax, paused;
    bool up, wantsWrite, isWriter, everReady;
    uint64_t retryAt;
    uint32_t interest;
};

enum { grpcFailedPrecondition = 9, grpcCodes = 18 };

struct tally {
    uint64_t operations, all, puts, events;
    uint64_t grpc[grpcCodes], http, reset, empty, wrong, timeout, connection;
    int64_t revisionLow, revisionHigh;
    char text[160];
    struct histogram latency, putLatency;
};

struct worker {
    pthread_t thread;
    int epoll;
    struct link *links;
    int linkCount, dead, paused, busy;
    bool isFirst;
    uint64_t openRenewals;
    uint64_t now, random, value;
    uint8_t *scratch, *part, *valueBytes;
    struct tally tally;
    uint64_t bytesIn, bytesOut;
};

// One run: shared by the workers.
static _Atomic uint64_t issued, succeeded, nextKey;
static _Atomic uint64_t readyCount, startedAtTime;  // 0 until every stream is ready
static _Atomic bool stopping;
static uint64_t readyTarget, measureFrom, measureTo, launchedAt;
// Watch (one worker). What was put of each watched key; all in the first place when everybody watches all keys.
static struct written { uint64_t puts, revisionSum, watchers; } *written;
static uint64_t openPuts, expectedEvents, deliveredEvents;
/// When the puts left, by the number in their values: the event may be there before the answer.
enum { putTimesCount = 1 << 16 };
static uint64_t putTimes[putTimesCount];
// Operations at a rate (one worker): when the next is due.
static uint64_t paceNext, paceInterval, paceSlot, late;
static bool isPacing, isLate;
// txn-put: the mod revision of each key, 0 while it is not known.
static int64_t *modRevisions;
// The servers' CPU time when the load began, and at its end.
static double serverSecondsBefore, serverSecondsAfter;

static uint64_t random_below(struct worker *w, uint64_t bound) {
    uint64_t z = (w->random += 0x9e3779b97f4a7c15u);  // splitmix64
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (uint64_t)((unsigned __int128)z * bound >> 64);
}

static size_t write_key(char *out, uint64_t key) {
    memcpy(out, options.prefix, options.prefixSize);
    char *p = out + options.prefixSize + keyDigits;
    for (int i = 0; i < keyDigits; i++, key /= 10) *--p = (char)('0' + key % 10);
    return options.prefixSize + keyDigits;
}

static size_t write_prefix_end(char *out) {
    memcpy(out, options.prefix, options.prefixSize);
    out[options.prefixSize - 1]++;
    return options.prefixSize;
}

// MARK: requests

static bool needs_setup(void) { return options.operation == opWatch || options.operation == opKeepAlive; }

static void ready_once(bool *ready) {
    if (*ready) return;
    *ready = true;
    if (atomic_fetch_add(&readyCount, 1) + 1 == readyTarget)
        atomic_store(&startedAtTime, now_ns() + (needs_setup() ? settleTime : 0));
}

static bool has_begun(const struct worker *w) {
    uint64_t began = atomic_load_explicit(&startedAtTime, memory_order_relaxed);
    return began != 0 && w->now >= began;
}

static void send_message(struct slot *s, const uint8_t *message, size_t count, bool ends) {
    // One buffer with room for the prefix: the callers leave five bytes in front.
    uint8_t *framed = (uint8_t *)message - 5;
    framed[0] = 0;
    framed[1] = (uint8_t)(count >> 24), framed[2] = (uint8_t)(count >> 16);
    framed[3] = (uint8_t)(count >> 8), framed[4] = (uint8_t)count;
    connection_send(&s->link->connection, &s->stream, framed, count + 5, ends);
}

static void open_stream(struct slot *s, enum method method) {
    s->prefixCount = 0;
    s->messages = 0;
    s->malformed = false;
    s->message.start = s->message.end = 0;
    s->found = s->skip = 0;
    s->walk = atTag;
    s->varint = 0;
    s->varintShift = 0;
    connection_request(&s->link->connection, &s->stream, method);
}

/// The time is filled in when the request is handed to the kernel. What begins late by its rate began when it was due.
static void stamp(struct link *l, uint64_t *time) {
    if (isPacing && isLate) {
        *time = paceNext;
        return;
    }
    if (l->stampedCount == l->stampedMax) abort();
    l->stamped[l->stampedCount++] = time;
}

static void mark(struct slot *s, enum slotState state) {
    struct worker *w = s->link->worker;
    int paused = (state == slotPaused) - (s->state == slotPaused);
    w->busy += (state == slotBusy) - (s->state == slotBusy);
    w->paused += paused;
    s->link->paused += paused;
    s->state = state;
}

static void pause_until(struct slot *s, uint64_t time) {
    mark(s, slotPaused);
    s->resumeAt = time;
}

/// All watchers of a stream are created at once.
static void create_watchers(struct slot *s) {
    open_stream(s, methodWatch);
    for (int i = 0; i < options.watchers; i++) {
        char key[prefixMax + keyDigits];
        uint8_t create[2 * prefixMax + keyDigits], *message = s->link->worker->scratch + 5;
        size_t size;
        if (options.watchedKeys) {
            size = put_bytes(create, 1, key, write_key(key, s->watchers[i].key));
        } else {
            size = put_bytes(create, 1, options.prefix, options.prefixSize);
            size += put_bytes(create + size, 2, key, write_prefix_end(key));
        }
        size += put_integer(create + size, 7, (uint64_t)i + 1);  // its id
        send_message(s, message, put_bytes(message, 1, create, size), false);
    }
}

static void grant_next(struct slot *s) {
    uint8_t *message = s->link->worker->scratch + 5;
    s->granting = true;
    open_stream(s, methodGrant);
    size_t size = put_integer(message, 1, keptLeaseSeconds);
    size += put_integer(message + size, 2, (uint64_t)(s->lease + s->granted));
    send_message(s, message, size, true);
}

/// Renews the stream's next lease. False if all of them wait for their answers.
static bool renew_next(struct slot *s) {
    uint64_t count = (uint64_t)options.leases;
    if (s->asked - s->answered == count) return false;
    uint8_t *message = s->link->worker->scratch + 5;
    uint64_t number = s->asked++ % count;
    send_message(s, message, put_integer(message, 1, (uint64_t)s->lease + number), false);
    stamp(s->link, &s->askedAt[number]);
    s->link->worker->openRenewals++;
    return true;
}

static size_t put_put_request(struct worker *w, uint8_t *message, const char *key, size_t keySize) {
    // Every value differs, as values do: the first bytes count up.
    uint64_t n = ++w->value;
    for (size_t i = 0; i < 8 && i < options.valueSize; i++, n >>= 8) w->valueBytes[i] = (uint8_t)n;
    size_t size = put_bytes(message, 1, key, keySize);
    return size + put_bytes(message + size, 2, w->valueBytes, options.valueSize);
}

/// A branch's operation: RequestOp with a request inside.
static size_t put_operation(uint8_t *message, int branch, int kind, const uint8_t *request, size_t count) {
    uint8_t head[16];
    size_t size = put_varint(head, (uint64_t)kind << 3 | 2);
    size += put_varint(head + size, count);
    size_t at = put_varint(message, (uint64_t)branch << 3 | 2);
    at += put_varint(message + at, size + count);
    memcpy(message + at, head, size);
    memcpy(message + at + size, request, count);
    return at + size + count;
}

static size_t put_range_operation(uint8_t *message, int branch, const char *key, size_t keySize) {
    uint8_t request[2 * prefixMax];
    size_t size = put_bytes(request, 1, key, keySize);
    if (options.serializable) size += put_integer(request + size, 7, 1);
    return put_operation(message, branch, 1, request, size);
}

static size_t put_txn(struct slot *s, uint8_t *message, const char *key, size_t keySize) {
    enum { compares = 1, success = 2, failure = 3 };  // TxnRequest's fields
    struct worker *w = s->link->worker;
    uint8_t compare[2 * prefixMax];
    size_t size = 0;
    if (s->operation == opTxnPut) {
        size += put_integer(compare, 2, 2);  // the mod revision is equal
        size += put_bytes(compare + size, 3, key, keySize);
        size += put_integer(compare + size, 6, (uint64_t)modRevisions[s->key]);
    } else {
        size += put_integer(compare, 1, 1);  // the version is greater than 0
        size += put_bytes(compare + size, 3, key, keySize);
        size += put_integer(compare + size, 4, 0);
    }
    size = put_bytes(message, compares, compare, size);
    if (s->operation == opTxnPut) {
        size += put_operation(message + size, success, 2, w->part, put_put_request(w, w->part, key, keySize));
    } else {
        char next[prefixMax + keyDigits];
        size += put_range_operation(message + size, success, key, keySize);
        size += put_range_operation(message + size, success, next, write_key(next, s->key + 1));
    }
    return size + put_range_operation(message + size, failure, key, keySize);
}

static uint64_t choose_key(struct slot *s) {
    struct worker *w = s->link->worker;
    if (s->operation == opTxnPut) {
        uint64_t clients = (uint64_t)options.connections * (uint64_t)options.streams;
        return s->number + clients * random_below(w, txnKeysEach);
    }
    uint64_t space = options.keys;
    if (options.operation == opWatch && options.watchedKeys) space = options.watchedKeys;
    if (s->operation == opScan) space -= (options.limit ? options.limit : options.span) - 1;
    if (s->operation == opTxnRead) space--;
    return options.sequential ? atomic_fetch_add_explicit(&nextKey, 1, memory_order_relaxed) % space
                              : random_below(w, space);
}

/// Starts the slot's next request, or leaves it idle when there is none to start.
static void start(struct slot *s) {
    struct link *l = s->link;
    struct worker *w = l->worker;
    uint8_t *message = w->scratch + 5;
    mark(s, slotIdle);
    if (!l->up || !l->connection.settled || atomic_load_explicit(&stopping, memory_order_relaxed)) return;

    if (s->role == roleWatcher) {
        create_watchers(s);
        mark(s, slotBusy);
        return;
    }
    if (s->role == roleKeepAlive && s->granted < options.leases) {
        grant_next(s);
        mark(s, slotBusy);
        return;
    }
    if (s->role == roleKeepAlive) {
        ready_once(&s->ready);
        if (!has_begun(w) && options.rate == 0) return pause_until(s, 0);
        s->granting = false;
        w->openRenewals -= s->asked - s->answered;  // lost with a stream that failed
        s->asked = s->answered = 0;
        open_stream(s, methodKeepAlive);
        while (options.rate == 0 && renew_next(s)) {}
        mark(s, slotBusy);
        return;
    }

    if (options.operation == opWatch) {
        if (options.rate > 0 && !isPacing) return;
        if (!has_begun(w)) return pause_until(s, 0);
        // A lock step, lest a server that takes puts faster than it tells watchers builds a backlog: a put starts only
        // when the watchers have all but the last few.
        uint64_t perPut = (readyTarget - (uint64_t)options.writers) / (options.watchedKeys ? options.watchedKeys : 1);
        if (options.rate == 0 &&
            expectedEvents + openPuts * perPut >= deliveredEvents + 2 * perPut * (uint64_t)options.writers)
            return pause_until(s, 0);
    }
    if (!s->mustRepeat) {
        if (options.count && atomic_fetch_add(&issued, 1) >= options.count) return;
        s->operation = options.operation == opWatch ? opPut : options.operation;
        if (s->operation == opMix)
            s->operation = random_below(w, 100) < (uint64_t)options.writePercent ? opPut : opRange;
        if (s->operation != opLease) s->key = choose_key(s);
    }
    s->mustRepeat = false;
    char key[prefixMax + keyDigits], end[prefixMax + keyDigits];
    size_t keySize = write_key(key, s->key), size;
    enum method method;
    switch (s->operation) {
    case opPut:
        method = methodPut;
        size = put_put_request(w, message, key, keySize);
        break;
    case opTxnPut:
    case opTxnRead:
        method = methodTxn;
        size = put_txn(s, message, key, keySize);
        break;
    case opLease:
        method = s->lease ? methodRevoke : methodGrant;
        size = put_integer(message, 1, s->lease ? (uint64_t)s->lease : shortLeaseSeconds);
        break;
    default:
        method = methodRange;
        size = put_bytes(message, 1, key, keySize);
        if (s->operation == opScan) {
            size_t endSize = options.limit ? write_prefix_end(end) : write_key(end, s->key + options.span);
            size += put_bytes(message + size, 2, end, endSize);
            if (options.limit) size += put_integer(message + size, 3, options.limit);
        }
        if (options.serializable) size += put_integer(message + size, 7, 1);
    }
    open_stream(s, method);
    send_message(s, message, size, true);
    mark(s, slotBusy);
    if (options.operation == opWatch) {
        openPuts++;
        stamp(l, &putTimes[w->value % putTimesCount]);
    }
    stamp(l, &s->startedAt);
}

// MARK: answers

static void success(struct slot *s) {
    struct worker *w = s->link->worker;
    w->tally.all++;
    if (options.count) atomic_fetch_add(&succeeded, 1);
    if (w->now >= measureFrom && w->now < measureTo) {
        w->tally.operations++;
        histogram_add(&w->tally.latency, w->now - s->startedAt);
    }
}

static void failure(struct slot *s, uint64_t *counter) {
    struct worker *w = s->link->worker;
    ++*counter;
    s->mustRepeat = options.count > 0;
    mark(s, slotPaused);  // an error that comes back at once must not become a busy loop
    s->resumeAt = w->now + 5000000;
}

static void saw_revision(struct tally *t, int64_t revision) {
    if (t->revisionLow == 0 || revision < t->revisionLow) t->revisionLow = revision;
    if (revision > t->revisionHigh) t->revisionHigh = revision;
}

static int64_t header_revision(struct reader header) {
    struct field f;
    while (get_field(&header, &f))
        if (f.number == 3) return (int64_t)f.integer;
    return 0;
}

/// The revision in the header of an answer that has no other use; 0 if it is malformed.
static int64_t answer_revision(struct reader r) {
    struct field f;
    int64_t revision = 0;
    while (get_field(&r, &f))
        if (f.number == 1) revision = header_revision(f.bytes);
    return r.bad ? 0 : revision;
}

static bool check_put(struct slot *s, struct reader r) {
    int64_t revision = answer_revision(r);
    if (revision <= 0) return false;
    saw_revision(&s->link->worker->tally, revision);
    if (options.operation == opWatch) {
        struct written *of = &written[options.watchedKeys ? s->key : 0];
        of->puts++;
        of->revisionSum += (uint64_t)revision;
        expectedEvents += of->watchers;
    }
    return true;
}

/// One pair with the given key; its mod revision, or 0. (A transaction's answers inside may do without a header.)
static int64_t check_range(struct reader r, uint64_t number, bool isInside) {
    struct field f, in;
    char key[prefixMax + keyDigits];
    size_t keySize = write_key(key, number);
    int headers = 0, found = 0;
    int64_t revision = 0;
    while (get_field(&r, &f)) {
        if (f.number == 1) headers++;
        if (f.number != 2) continue;
        bool right = false, valued = options.valueSize == 0;
        struct reader kv = f.bytes;
        while (get_field(&kv, &in)) {
            size_t count = (size_t)(in.bytes.end - in.bytes.at);
            if (in.number == 1) right = count == keySize && memcmp(in.bytes.at, key, keySize) == 0;
            if (in.number == 3) revision = (int64_t)in.integer;
            if (in.number == 5) valued = count > 0;
        }
        if (!right || !valued || kv.bad) return 0;
        found++;
    }
    return !r.bad && (isInside || headers == 1) && found == 1 ? revision : 0;
}

static bool check_txn(struct slot *s, struct reader r) {
    struct field f, in;
    int64_t revision = 0, found[2] = {0, 0};
    bool succeeded = false;
    int puts = 0, ranges = 0;
    while (get_field(&r, &f)) {
        if (f.number == 1) revision = header_revision(f.bytes);
        if (f.number == 2) succeeded = f.integer == 1;
        if (f.number != 3) continue;
        struct reader answer = f.bytes;
        while (get_field(&answer, &in)) {
            if (in.number == 2) puts++;
            if (in.number == 1 && ranges < 2) {
                found[ranges] = check_range(in.bytes, s->key + (uint64_t)ranges, true);
                ranges++;
            }
        }
        if (answer.bad) return false;
    }
    if (r.bad || revision <= 0) return false;
    if (s->operation == opTxnRead) return succeeded && puts == 0 && found[0] && found[1];
    if (succeeded) {
        if (modRevisions[s->key] == 0 || puts != 1 || ranges != 0) return false;
        saw_revision(&s->link->worker->tally, revision);
        s->link->worker->tally.puts++;
        modRevisions[s->key] = revision;
        return true;
    }
    // The first time only: what is there is not known before.
    if (modRevisions[s->key] != 0 || puts != 0 || ranges != 1) return false;
    modRevisions[s->key] = found[0];
    return found[0] != 0;
}

static bool check_lease(struct slot *s, struct reader r) {
    struct field f;
    int64_t revision = answer_revision(r), id = 0, ttl = 0;
    while (get_field(&r, &f)) {
        if (f.number == 2) id = (int64_t)f.integer;
        if (f.number == 3) ttl = (int64_t)f.integer;
    }
    bool granted = s->lease == 0;
    s->lease = granted ? id : 0;
    return revision > 0 && (!granted || (id != 0 && ttl >= shortLeaseSeconds));
}

static bool check_event(struct worker *w, struct watcher *watcher, struct reader event) {
    struct field in, deep;
    int64_t revision = 0;
    uint64_t value = 0;
    char key[prefixMax + keyDigits];
    size_t keySize = write_key(key, watcher->key), compared = options.watchedKeys ? keySize : options.prefixSize;
    bool right = false;
    while (get_field(&event, &in)) {
        if (in.number != 2) continue;
        struct reader kv = in.bytes;
        while (get_field(&kv, &deep)) {
            size_t count = (size_t)(deep.bytes.end - deep.bytes.at);
            if (deep.number == 1) right = count == keySize && memcmp(deep.bytes.at, key, compared) == 0;
            if (deep.number == 3) revision = (int64_t)deep.integer;
            if (deep.number == 5 && count == options.valueSize)
                for (size_t i = 8; i-- > 0;) value = value << 8 | deep.bytes.at[i];
        }
    }
    // One key a transaction here: strictly ascending.
    if (!right || revision <= watcher->revisionLast || value == 0 || value > w->value) return false;
    watcher->revisionLast = revision;
    watcher->revisionSum += (uint64_t)revision;
    watcher->events++;
    deliveredEvents++;
    w->tally.all++;
    if (w->now >= measureFrom && w->now < measureTo) {
        uint64_t sent = putTimes[value % putTimesCount];
        w->tally.operations++;
        histogram_add(&w->tally.latency, w->now > sent ? w->now - sent : 0);
    }
    return true;
}

static bool check_watch(struct slot *s, struct reader r) {
    struct watcher *watcher = NULL;
    struct field f;
    while (get_field(&r, &f)) {  // in the fields' order
        if (f.number == 2 && f.integer >= 1 && f.integer <= (uint64_t)options.watchers)
            watcher = &s->watchers[f.integer - 1];
        if (f.number == 4 || (f.number != 1 && !watcher)) return false;  // cancelled, or nobody's
        if (f.number == 3) ready_once(&watcher->created);
        if (f.number == 11 && !check_event(s->link->worker, watcher, f.bytes)) return false;
    }
    return !r.bad;
}

static void on_renewed(struct slot *s, struct reader r) {
    struct worker *w = s->link->worker;
    struct field f;
    int64_t lease = 0, ttl = 0;
    while (get_field(&r, &f)) {
        if (f.number == 2) lease = (int64_t)f.integer;
        if (f.number == 3) ttl = (int64_t)f.integer;
    }
    if (s->granting) {
        s->malformed = lease != s->lease + s->granted;
        return;
    }
    // One stream's answers come in the order of its requests.
    uint64_t number = s->answered % (uint64_t)options.leases;
    s->startedAt = s->askedAt[number];
    if (s->answered == s->asked || lease != s->lease + (int64_t)number || ttl <= 0) w->tally.wrong++;
    else success(s);
    s->answered++;
    w->openRenewals--;
    if (options.rate == 0 && !atomic_load_explicit(&stopping, memory_order_relaxed)) renew_next(s);
}

/// One whole message has arrived.
static void on_message(struct slot *s, const uint8_t *bytes, size_t count) {
    struct worker *w = s->link->worker;
    struct reader r = {bytes, bytes + count, false};
    s->messages++;
    if (s->role == roleWatcher) {
        if (!check_watch(s, r)) w->tally.wrong++;
        return;
    }
    if (s->role == roleKeepAlive) return on_renewed(s, r);
    bool good = true;
    switch (s->operation) {
    case opPut: good = check_put(s, r); break;
    case opRange: good = check_range(r, s->key, false) != 0; break;
    case opTxnPut:
    case opTxnRead: good = check_txn(s, r); break;
    case opLease: good = check_lease(s, r); break;
    default: break;
    }
    if (!good) s->malformed = true;
}

/// Reads field heads of a RangeResponse and skips bodies, however its bytes are cut.
static void walk_scan(struct slot *s, const uint8_t *p, size_t count) {
    const uint8_t *end = p + count;
    while (p < end) {
        if (s->skip > 0) {
            size_t step = s->skip < (uint64_t)(end - p) ? (size_t)s->skip : (size_t)(end - p);
            s->skip -= step;
            p += step;
            continue;
        }
        uint8_t byte = *p++;
        s->varint |= (uint64_t)(byte & 0x7f) << s->varintShift;
        s->varintShift += 7;
        if (byte & 0x80) {
            if (s->varintShift > 63) s->malformed = true, s->varintShift = 0;
            continue;
        }
        uint64_t value = s->varint;
        s->varint = 0;
        s->varintShift = 0;
        switch (s->walk) {
        case atTag:
            s->walkField = (uint32_t)(value >> 3);
            s->walk = (value & 7) == 2 ? atLength : atInteger;
            if ((value & 7) != 2 && (value & 7) != 0) s->malformed = true;
            break;
        case atLength:
            if (s->walkField == 2 && value > options.valueSize) s->found++;
            s->skip = value;
            s->walk = atTag;
            break;
        case atInteger: s->walk = atTag; break;
        }
    }
}

static void on_data(struct connection *c, struct stream *stream, const uint8_t *p, size_t count) {
    (void)c;
    struct slot *s = (struct slot *)stream;
    while (count > 0 && s->stream.id != 0) {
        if (s->prefixCount < 5) {
            s->prefix[s->prefixCount++] = *p++;
            count--;
            if (s->prefixCount < 5) continue;
            s->messageSize = (uint32_t)s->prefix[1] << 24 | (uint32_t)s->prefix[2] << 16 |
                             (uint32_t)s->prefix[3] << 8 | s->prefix[4];
            s->messageSeen = 0;
            s->message.start = s->message.end = 0;
            if (s->prefix[0] != 0) s->malformed = true;  // nobody asked for compression
            if (s->messageSize > 0) continue;
        }
        size_t piece = s->messageSize - s->messageSeen;
        if (piece > count) piece = count;
        bool whole = piece == s->messageSize, scan = s->role == roleUnary && s->operation == opScan;
        if (scan) walk_scan(s, p, piece);
        else if (!whole) buffer_append(&s->message, p, piece);
        s->messageSeen += (uint32_t)piece;
        const uint8_t *from = p;
        p += piece;
        count -= piece;
        if (s->messageSeen < s->messageSize) continue;
        s->prefixCount = 0;
        if (scan) s->messages++;
        else on_message(s, whole ? from : s->message.bytes, s->messageSize);
    }
}

static void on_end(struct connection *c, struct stream *stream, uint32_t resetCode) {
    struct slot *s = (struct slot *)stream;
    struct worker *w = s->link->worker;
    struct tally *t = &w->tally;
    (void)c;
    bool late = atomic_load_explicit(&stopping, memory_order_relaxed) && s->role != roleUnary;
    if (late) {
        mark(s, slotIdle);
        return;
    }
    if (options.operation == opWatch && s->role == roleUnary) openPuts--;
    if (resetCode) return failure(s, &t->reset);
    if (s->stream.httpStatus != 200) return failure(s, &t->http);
    int code = s->stream.grpcStatus;
    if (code == grpcFailedPrecondition && s->role == roleKeepAlive && s->granting) {
        s->granted++;  // it is there already, of a run before
        return start(s);
    }
    if (code != 0) {
        return failure(s, &t->grpc[code > 0 && code < grpcCodes ? code : grpcCodes - 1]);
    }
    if (s->role == roleWatcher) return failure(s, &t->reset);  // a watch does not end by itself
    if (s->role == roleKeepAlive) {
        if (!s->granting || s->messages != 1 || s->malformed) return failure(s, &t->empty);
        s->granted++;
        return start(s);
    }
    if (s->messages != 1) return failure(s, &t->empty);
    if (s->operation == opScan && s->found != (options.limit ? options.limit : options.span)) s->malformed = true;
    if (s->malformed) return failure(s, &t->wrong);
    if (s->operation == opPut) t->puts++;
    if (options.operation != opWatch) success(s);
    else if (w->now >= measureFrom && w->now < measureTo) histogram_add(&t->putLatency, w->now - s->startedAt);
    start(s);
}

static void on_error_text(struct connection *c, const uint8_t *text, size_t count) {
    struct tally *t = &((struct link *)c)->worker->tally;
    if (t->text[0]) return;
    if (count > sizeof t->text - 1) count = sizeof t->text - 1;
    for (size_t i = 0; i < count; i++)
        t->text[i] = text[i] < 32 || text[i] == '"' || text[i] == '\\' ? ' ' : (char)text[i];
}

static void on_ready(struct connection *c) {
    struct link *l = (struct link *)c;
    bool first = !l->everReady;
    l->everReady = true;
    if (c->peerStreamsMax < (uint32_t)l->slotCount) {
        fprintf(stderr, "loadgen: the server allows %" PRIu32 " streams a connection, %d are asked for\n",
                c->peerStreamsMax, l->slotCount);
        exit(2);
    }
    for (int i = 0; i < l->slotCount; i++) {
        if (first && l->slots[i].role == roleUnary) ready_once(&l->slots[i].ready);
        start(&l->slots[i]);
    }
}

static const struct handler handler = {on_ready, on_data, on_end, on_error_text};

// MARK: connections

static void watch_events(struct link *l, uint32_t interest, int how) {
    struct epoll_event event = {.events = interest, .data.ptr = l};
    if (epoll_ctl(l->worker->epoll, how, l->connection.descriptor, &event) != 0) abort();
    l->interest = interest;
}

static void connect_link(struct link *l) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        perror("loadgen: socket");
        exit(2);
    }
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    l->connection.handler = &handler;
    l->connection.owner = l;
    l->connection.paths = paths;
    l->connection.authority = l->endpoint->name;
    static char timeout[24];
    if (options.deadlineMilliseconds) {
        snprintf(timeout, sizeof timeout, "%dm", options.deadlineMilliseconds);
        l->connection.timeout = timeout;
    }
    connection_open(&l->connection, descriptor, (uint32_t)l->slotCount);
    (void)connect(descriptor, (const struct sockaddr *)&l->endpoint->address, sizeof l->endpoint->address);
    l->up = true;
    l->stampedCount = 0;
    watch_events(l, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void disconnect_link(struct link *l) {
    struct worker *w = l->worker;
    w->bytesIn += l->connection.bytesIn;
    w->bytesOut += l->connection.bytesOut;
    l->connection.bytesIn = l->connection.bytesOut = 0;
    connection_close(&l->connection);
    l->up = false;
    l->stampedCount = 0;
    l->retryAt = w->now + 2000000;
    w->dead++;
    // A server that is not up yet is waited for; only what was asked and lost counts as an error.
    for (int i = 0; i < l->slotCount; i++) {
        if (l->slots[i].state != slotBusy) continue;
        w->tally.connection++;
        if (options.operation == opWatch && l->slots[i].role == roleUnary) openPuts--;
        l->slots[i].mustRepeat = options.count > 0 && l->slots[i].role == roleUnary;
        mark(&l->slots[i], slotIdle);
    }
    if (!w->tally.text[0] && l->everReady && l->connection.failure)
        snprintf(w->tally.text, sizeof w->tally.text, "%s", l->connection.failure);
}

static void flush_link(struct link *l) {
    if (!l->up) return;
    if (l->stampedCount) {
        uint64_t now = now_ns();
        for (int i = 0; i < l->stampedCount; i++) *l->stamped[i] = now;
        l->stampedCount = 0;
    }
    if (!connection_flush(&l->connection)) return disconnect_link(l);
    uint32_t interest = EPOLLIN | (connection_wants_write(&l->connection) ? EPOLLOUT : 0);
    if (interest != l->interest) watch_events(l, interest, EPOLL_CTL_MOD);
}

// MARK: the loop

/// What is due by time: reconnecting, resuming after an error, deadlines.
static void on_tick(struct worker *w, bool checkDeadlines) {
    bool stop = atomic_load(&stopping);
    for (int i = 0; i < w->linkCount; i++) {
        struct link *l = &w->links[i];
        if (!l->up) {
            if (w->now < l->retryAt || stop) continue;
            w->dead--;
            connect_link(l);
        }
        for (int j = 0; (l->paused > 0 || checkDeadlines) && j < l->slotCount; j++) {
            struct slot *s = &l->slots[j];
            if (s->state == slotPaused && (s->resumeAt <= w->now || stop)) start(s);
            if (checkDeadlines && s->state == slotBusy && s->role == roleUnary && s->startedAt &&
                w->now > s->startedAt + (uint64_t)options.deadlineMilliseconds * 1000000 + 10000000) {
                connection_cancel(&l->connection, &s->stream);
                if (options.operation == opWatch) openPuts--;
                failure(s, &w->tally.timeout);
            }
        }
        flush_link(l);
    }
}

/// Starts what is due by the rate. What could not be started in time, because too much was open, is begun as soon as
/// possible and counts as late.
static void on_pace(struct worker *w) {
    if (!has_begun(w) || atomic_load(&stopping)) return;
    if (paceNext == 0) paceNext = w->now;
    bool watches = options.operation == opWatch;
    struct link *writer = &w->links[w->linkCount - 1];
    uint64_t slots = watches ? (uint64_t)writer->slotCount : (uint64_t)options.connections * (uint64_t)options.streams;
    isPacing = true;
    for (; paceNext <= w->now; paceNext += paceInterval) {
        bool started = false;
        for (uint64_t tries = 0; tries < slots && !started; tries++) {
            uint64_t i = paceSlot++ % slots;
            struct slot *s = watches ? &writer->slots[i]
                                     : &w->links[i / (uint64_t)options.streams].slots[i % (uint64_t)options.streams];
            if (watches && s->state == slotIdle) {
                start(s);
                started = s->state == slotBusy;
            } else if (!watches && s->state == slotBusy && !s->granting) {
                started = renew_next(s);
            }
            if (started) flush_link(s->link);
        }
        if (!started) isLate = true;
        if (!started) break;
        late += isLate;
    }
    if (paceNext > w->now) isLate = false;
    isPacing = false;
}

/// User and system time of the servers, in seconds.
static double server_seconds(void) {
    double ticks = 0;
    for (int i = 0; i < options.serverCount; i++) {
        char path[64], text[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", options.servers[i]);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        size_t count = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        text[count] = 0;
        unsigned long user, system;
        char *rest = strrchr(text, ')');  // a name may hold anything
        if (rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
            ticks += (double)(user + system);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static bool finished(struct worker *w) {
    bool stop = atomic_load(&stopping);
    if (!stop && options.count && atomic_load(&succeeded) >= options.count) stop = true;
    uint64_t began = atomic_load(&startedAtTime);
    if (began && measureTo == 0) {
        measureFrom = began + (uint64_t)(options.warmup * 1e9);
        measureTo = options.count ? UINT64_MAX : measureFrom + (uint64_t)(options.duration * 1e9);
    }
    if (!stop && measureTo && w->now >= measureTo) stop = true;
    if (stop) atomic_store(&stopping, true);
    return stop;
}

static void *run(void *argument) {
    struct worker *w = argument;
    struct epoll_event events[256];
    int timer = -1;
    uint64_t hardEnd = launchedAt + (uint64_t)(options.timeout * 1e9), drainEnd = 0, lastTick = 0, lastDeadlines = 0;
    w->now = now_ns();
    for (int i = 0; i < w->linkCount; i++) connect_link(&w->links[i]);
    if (options.rate) {
        struct timespec period = {.tv_sec = (time_t)(paceInterval / 1000000000u),
                                  .tv_nsec = (long)(paceInterval % 1000000000u)};
        struct itimerspec times = {period, period};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer < 0 || timerfd_settime(timer, 0, &times, NULL) != 0 ||
            epoll_ctl(w->epoll, EPOLL_CTL_ADD, timer, &event) != 0)
            abort();
    }
    for (;;) {
        int wait = w->dead || w->paused ? 1 : 10;
        int count = epoll_wait(w->epoll, events, 256, wait);
        w->now = now_ns();
        for (int i = 0; i < count; i++) {
            struct link *l = events[i].data.ptr;
            if (!l) {
                uint64_t expirations;
                if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) abort();
                continue;
            }
            if (!l->up) continue;
            bool good = true;
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
                good = connection_read(&l->connection);
            }
            if (!good) disconnect_link(l);
            else flush_link(l);
            w->now = now_ns();
        }
        if (w->now - lastTick >= 1000000 || (options.operation == opWatch && w->paused)) {
            bool deadlines = options.deadlineMilliseconds && w->now - lastDeadlines >= 5000000;
            if (deadlines) lastDeadlines = w->now;
            lastTick = w->now;
            if (w->dead || w->paused || deadlines) on_tick(w, deadlines);
        }
        if (options.serverCount && serverSecondsBefore == 0 && w->isFirst && has_begun(w))
            serverSecondsBefore = server_seconds();
        if (options.rate) on_pace(w);
        if (w->now > hardEnd) {
            atomic_store(&stopping, true);
            break;
        }
        if (!finished(w)) continue;
        if (drainEnd == 0) drainEnd = w->now + 5000000000u;
        if (w->busy == 0 || w->now > drainEnd) break;
        if (options.operation == opWatch && openPuts == 0 && deliveredEvents >= expectedEvents) break;
        if (options.operation == opKeepAlive && w->openRenewals == 0) break;
    }
    if (options.serverCount && w->isFirst) {
        nanosleep(&(struct timespec){.tv_nsec = (long)settleTime}, NULL);
        serverSecondsAfter = server_seconds();
    }
    for (int i = 0; i < w->linkCount; i++) {
        struct link *l = &w->links[i];
        for (int j = 0; j < l->slotCount; j++) {
            struct slot *s = &l->slots[j];
            if (s->state == slotBusy && s->role == roleUnary) w->tally.timeout++;
            if (s->role == roleKeepAlive) w->tally.timeout += s->asked - s->answered;
            for (int k = 0; s->watchers && k < options.watchers; k++) {
                const struct watcher *watcher = &s->watchers[k];
                const struct written *of = &written[watcher->key];
                if (watcher->events != of->puts || watcher->revisionSum != of->revisionSum) w->tally.wrong++;
            }
        }
        w->bytesIn += l->connection.bytesIn;
        w->bytesOut += l->connection.bytesOut;
        if (l->up) connection_close(&l->connection);
    }
    if (timer >= 0) close(timer);
    return NULL;
}

// MARK: set-up and result

static void *zeroed(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size);
    if (!p) abort();
    return p;
}

static void add_slots(struct link *l, int count, enum slotRole role, uint64_t first) {
    l->slots = zeroed((size_t)count, sizeof *l->slots);
    // Two times for each request that is open at once.
    l->stampedMax = 2 * count * (role == roleKeepAlive ? options.leases : 1);
    l->stamped = zeroed((size_t)l->stampedMax, sizeof *l->stamped);
    l->slotCount = count;
    for (int i = 0; i < count; i++) {
        struct slot *s = &l->slots[i];
        s->link = l;
        s->role = role;
        s->number = first + (uint64_t)i;
        if (role == roleKeepAlive) {
            s->lease = firstLease + (int64_t)s->number * options.leases;
            s->askedAt = zeroed((size_t)options.leases, sizeof *s->askedAt);
        }
        if (role != roleWatcher) continue;
        s->watchers = zeroed((size_t)options.watchers, sizeof *s->watchers);
        for (int k = 0; k < options.watchers; k++) {
            uint64_t number = s->number * (uint64_t)options.watchers + (uint64_t)k;
            s->watchers[k].key = options.watchedKeys ? number % options.watchedKeys : 0;
            written[s->watchers[k].key].watchers++;
        }
    }
}

static void die(const char *what, const char *value) {
    fprintf(stderr, "loadgen: %s: %s\n", what, value);
    exit(2);
}

static void parse_endpoints(char *list) {
    for (char *save, *item = strtok_r(list, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        if (strncmp(item, "http://", 7) == 0) item += 7;
        struct endpoint *e = &options.endpoints[options.endpointCount];
        char host[64];
        char *colon = strrchr(item, ':');
        if (options.endpointCount == endpointsMax || !colon || strlen(item) >= sizeof host) die("bad endpoint", item);
        snprintf(e->name, sizeof e->name, "%s", item);
        snprintf(host, sizeof host, "%.*s", (int)(colon - item), item);
        if (strcmp(host, "localhost") == 0) strcpy(host, "127.0.0.1");
        e->address.sin_family = AF_INET;
        e->address.sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, host, &e->address.sin_addr) != 1) die("not an IPv4 address", item);
        options.endpointCount++;
    }
}

static uint64_t whole(const char *name, const char *text, uint64_t low, uint64_t high) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || v < low || v > high) die(name, text);
    return v;
}

static double seconds(const char *name, const char *text) {
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text || !(v >= 0 && v <= 86400)) die(name, text);
    return v;
}

static void parse_options(int count, char **arguments) {
    enum { oHelp = 1, oEndpoints, oOp, oConnections, oStreams, oThreads, oKeys, oPrefix, oOrder, oValue, oSpan, oLimit,
           oSerializable, oPercent, oWriters, oWatchers, oWatchedKeys, oLeases, oRate, oServers,
           oDuration, oWarmup, oCount, oDeadline, oTimeout, oPreload, oSeed };
    static const struct option known[] = {
        {"help", 0, 0, oHelp}, {"endpoints", 1, 0, oEndpoints}, {"op", 1, 0, oOp},
        {"connections", 1, 0, oConnections}, {"streams", 1, 0, oStreams}, {"threads", 1, 0, oThreads},
        {"keys", 1, 0, oKeys}, {"prefix", 1, 0, oPrefix}, {"order", 1, 0, oOrder}, {"value-size", 1, 0, oValue},
        {"span", 1, 0, oSpan}, {"limit", 1, 0, oLimit}, {"serializable", 0, 0, oSerializable},
        {"write-percent", 1, 0, oPercent}, {"writers", 1, 0, oWriters},
        {"watchers", 1, 0, oWatchers}, {"watched-keys", 1, 0, oWatchedKeys}, {"leases", 1, 0, oLeases},
        {"rate", 1, 0, oRate}, {"server-pids", 1, 0, oServers}, {"duration", 1, 0, oDuration},
        {"warmup", 1, 0, oWarmup}, {"count", 1, 0, oCount}, {"deadline", 1, 0, oDeadline},
        {"timeout", 1, 0, oTimeout}, {"preload", 1, 0, oPreload}, {"seed", 1, 0, oSeed}, {0}};
    for (int o; (o = getopt_long(count, arguments, "h", known, NULL)) != -1;) {
        switch (o) {
        case 'h':
        case oHelp: fputs(usage, stdout); exit(0);
        case oEndpoints: parse_endpoints(optarg); break;
        case oOp: {
            int found = -1;
            for (size_t i = 0; i < sizeof operationNames / sizeof *operationNames; i++)
                if (strcmp(optarg, operationNames[i]) == 0) found = (int)i;
            if (found < 0) die("unknown --op", optarg);
            options.operation = (enum operation)found;
            break;
        }
        case oConnections: options.connections = (int)whole("--connections", optarg, 1, connectionsMax); break;
        case oStreams: options.streams = (int)whole("--streams", optarg, 1, streamsMax); break;
        case oThreads: options.threads = (int)whole("--threads", optarg, 1, threadsMax); break;
        case oKeys: options.keys = whole("--keys", optarg, 1, 999999999999u); break;
        case oPrefix: options.prefix = optarg; break;
        case oOrder:
            options.sequential = strcmp(optarg, "sequential") == 0;
            if (!options.sequential && strcmp(optarg, "random") != 0) die("unknown --order", optarg);
            break;
        case oValue: options.valueSize = whole("--value-size", optarg, 0, valueMax); break;
        case oSpan: options.span = whole("--span", optarg, 1, 1000000); break;
        case oLimit: options.limit = whole("--limit", optarg, 1, 1000000); break;
        case oSerializable: options.serializable = true; break;
        case oPercent: options.writePercent = (int)whole("--write-percent", optarg, 0, 100); break;
        case oWriters: options.writers = (int)whole("--writers", optarg, 1, streamsMax); break;
        case oWatchers: options.watchers = (int)whole("--watchers", optarg, 1, perStreamMax); break;
        case oWatchedKeys: options.watchedKeys = whole("--watched-keys", optarg, 1, 10000000); break;
        case oLeases: options.leases = (int)whole("--leases", optarg, 1, perStreamMax); break;
        case oRate: options.rate = whole("--rate", optarg, 1, rateMax); break;
        case oServers:
            for (char *save, *item = strtok_r(optarg, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
                if (options.serverCount == serversMax) die("too many", "--server-pids");
                options.servers[options.serverCount++] = (int)whole("--server-pids", item, 1, INT32_MAX);
            }
            break;
        case oDuration: options.duration = seconds("--duration", optarg); break;
        case oWarmup: options.warmup = seconds("--warmup", optarg); break;
        case oCount: options.count = whole("--count", optarg, 1, UINT32_MAX); break;
        case oDeadline: options.deadlineMilliseconds = (int)whole("--deadline", optarg, 1, 3600000); break;
        case oTimeout: options.timeout = seconds("--timeout", optarg); break;
        case oPreload:
            options.operation = opPut;
            options.sequential = true;
            options.keys = options.count = whole("--preload", optarg, 1, UINT32_MAX);
            options.connections = 10;
            options.streams = 100;
            break;
        case oSeed: options.seed = whole("--seed", optarg, 0, UINT64_MAX); break;
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < count) die("unexpected argument", arguments[optind]);
    if (options.endpointCount == 0) die("missing", "--endpoints");
    options.prefixSize = strlen(options.prefix);
    if (options.prefixSize == 0 || options.prefixSize > prefixMax - 1) die("bad --prefix", options.prefix);
    if (options.operation == opScan && options.keys < (options.limit ? options.limit : options.span))
        die("--keys is less than one scan", "");
    uint64_t clients = (uint64_t)options.connections * (uint64_t)options.streams;
    if (options.operation == opTxnRead && options.keys < 2) die("--keys is less than one transaction", "");
    if (options.operation == opTxnPut && options.keys < clients * txnKeysEach)
        die("--keys is less than", "8 a client of txn-put");
    if ((options.operation == opWatch || options.rate) && options.threads != 1)
        die("--op watch and --rate take", "--threads 1");
    if (options.rate && !needs_setup()) die("--rate does not go with --op", operationNames[options.operation]);
    if (options.operation == opWatch && options.valueSize < 8) die("--op watch takes", "--value-size 8 or more");
    if (options.watchedKeys > clients * (uint64_t)options.watchers) die("--watched-keys", "more than watchers");
    if (needs_setup() && options.count)
        die("--count does not go with --op", operationNames[options.operation]);
    if (options.threads > options.connections) options.threads = options.connections;
}

static double processor_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **arguments) {
    parse_options(count, arguments);
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }

    bool watches = options.operation == opWatch;
    written = zeroed(options.watchedKeys ? options.watchedKeys : 1, sizeof *written);
    if (options.operation == opTxnPut) modRevisions = zeroed(options.keys, sizeof *modRevisions);
    if (options.rate) paceInterval = 1000000000u / options.rate;
    struct worker *workers = zeroed((size_t)options.threads, sizeof *workers);
    int linkTotal = options.connections + (watches ? 1 : 0);
    for (int i = 0; i < options.threads; i++) {
        struct worker *w = &workers[i];
        w->epoll = epoll_create1(EPOLL_CLOEXEC);
        w->links = zeroed((size_t)linkTotal, sizeof *w->links);
        w->random = options.seed + (uint64_t)i * 0x632be59bd9b4e019u;
        w->isFirst = i == 0;
        w->scratch = zeroed(1, options.valueSize + 1024);
        w->part = zeroed(1, options.valueSize + 1024);
        w->valueBytes = zeroed(1, options.valueSize + 8);
        for (size_t j = 0; j < options.valueSize; j++) w->valueBytes[j] = (uint8_t)random_below(w, 256);
    }
    enum slotRole role = watches ? roleWatcher : options.operation == opKeepAlive ? roleKeepAlive : roleUnary;
    for (int i = 0; i < linkTotal; i++) {
        struct worker *w = &workers[i % options.threads];
        struct link *l = &w->links[w->linkCount++];
        l->worker = w;
        l->endpoint = &options.endpoints[i % options.endpointCount];
        bool writer = i == options.connections;
        add_slots(l, writer ? options.writers : options.streams, writer ? roleUnary : role,
                  (uint64_t)i * (uint64_t)options.streams);
        readyTarget += (uint64_t)l->slotCount * (watches && !writer ? (uint64_t)options.watchers : 1);
    }

    launchedAt = now_ns();
    for (int i = 1; i < options.threads; i++)
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) abort();
    run(&workers[0]);
    struct tally *t = &workers[0].tally;
    uint64_t bytesIn = workers[0].bytesIn, bytesOut = workers[0].bytesOut;
    for (int i = 1; i < options.threads; i++) {
        pthread_join(workers[i].thread, NULL);
        struct tally *o = &workers[i].tally;
        histogram_merge(&t->latency, &o->latency);
        histogram_merge(&t->putLatency, &o->putLatency);
        t->operations += o->operations, t->all += o->all, t->puts += o->puts;
        for (int j = 0; j < grpcCodes; j++) t->grpc[j] += o->grpc[j];
        t->http += o->http, t->reset += o->reset, t->empty += o->empty, t->wrong += o->wrong;
        t->timeout += o->timeout, t->connection += o->connection;
        if (o->revisionLow) saw_revision(t, o->revisionLow), saw_revision(t, o->revisionHigh);
        if (!t->text[0]) memcpy(t->text, o->text, sizeof t->text);
        bytesIn += workers[i].bytesIn, bytesOut += workers[i].bytesOut;
    }

    uint64_t ended = now_ns(), began = atomic_load(&startedAtTime);
    double elapsed = began == 0 || measureFrom == 0 ? 0
                     : ended < measureTo || options.count ? (double)(ended - measureFrom) / 1e9 : options.duration;
    if (elapsed < 0) elapsed = 0;
    uint64_t errors = t->http + t->reset + t->empty + t->wrong + t->timeout + t->connection;
    for (int i = 0; i < grpcCodes; i++) errors += t->grpc[i];
    if (began == 0) errors++;

    printf("{\"op\":\"%s\",\"endpoints\":%d,\"connections\":%d,\"streams\":%d,\"serializable\":%s,\"seconds\":%.4f,"
           "\"wall_seconds\":%.4f,\"ops\":%" PRIu64 ",\"ops_all\":%" PRIu64 ",\"throughput\":%.1f,",
           operationNames[options.operation], options.endpointCount, options.connections, options.streams,
           options.serializable ? "true" : "false", elapsed, (double)(ended - launchedAt) / 1e9, t->operations, t->all,
           elapsed > 0 ? (double)t->operations / elapsed : 0);
    printf("\"latency_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",
           histogram_mean(&t->latency) / 1e3, histogram_quantile(&t->latency, 0.5) / 1e3,
           histogram_quantile(&t->latency, 0.9) / 1e3, histogram_quantile(&t->latency, 0.99) / 1e3,
           histogram_quantile(&t->latency, 0.999) / 1e3, (double)t->latency.max / 1e3);
    if (watches)
        printf("\"put_latency_us\":{\"p50\":%.1f,\"p99\":%.1f},", histogram_quantile(&t->putLatency, 0.5) / 1e3,
               histogram_quantile(&t->putLatency, 0.99) / 1e3);
    if (options.serverCount) printf("\"server_cpu_seconds\":%.2f,", serverSecondsAfter - serverSecondsBefore);
    if (options.rate) printf("\"late\":%" PRIu64 ",", late);
    printf("\"puts\":%" PRIu64 ",\"revision_first\":%" PRId64 ",\"revision_last\":%" PRId64
           ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"client_cpu_us_per_op\":%.2f,\"errors\":%" PRIu64
           ",\"error_kinds\":{", t->puts, t->revisionLow, t->revisionHigh, bytesIn, bytesOut,
           t->all ? processor_seconds() * 1e6 / (double)t->all : 0, errors);
    const char *comma = "";
    for (int i = 0; i < grpcCodes; i++)
        if (t->grpc[i]) printf("%s\"grpc-%d\":%" PRIu64, comma, i, t->grpc[i]), comma = ",";
    const struct { const char *name; uint64_t count; } kinds[] = {
        {"http", t->http}, {"reset", t->reset}, {"empty", t->empty}, {"wrong", t->wrong}, {"timeout", t->timeout},
        {"connection", t->connection}, {"never-ready", began == 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].count) printf("%s\"%s\":%" PRIu64, comma, kinds[i].name, kinds[i].count), comma = ",";
    printf("},\"error_text\":\"%s\"}\n", t->text);
    return began == 0 || (options.count && atomic_load(&succeeded) < options.count) ? 1 : 0;
}
