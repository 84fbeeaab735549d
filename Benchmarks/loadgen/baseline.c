// What the machine allows: the latency of fdatasync on the data directory's disk, and of one loopback round trip.
// A put by one client cannot be quicker than the sum of the two. Prints one line of JSON.
//
// On a busy machine a thread that wakes from fdatasync waits for its turn on a core, often for milliseconds. That is
// the scheduler's latency, not the disk's, so the syncs are measured with a real-time priority where that is allowed
// ("realtime" in the result says whether it was).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "histogram.h"

enum { recordSize = 320, syncs = 1000, syncSecondsMax = 2, zeroFilled = 4 << 20, trips = 20000 };

static void check(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "baseline: %s: %s\n", what, strerror(errno));
    exit(1);
}

/// Writes a record's worth of bytes and syncs, over and over: into blocks that exist, or growing the file.
static void measure_sync(const char *directory, int fill, struct histogram *into) {
    char path[4096];
    snprintf(path, sizeof path, "%s/baseline-XXXXXX", directory);
    int file = mkstemp(path);
    check(file >= 0, path);
    unlink(path);
    static char zeros[1 << 16], record[recordSize];
    memset(record, 0x5a, sizeof record);
    if (fill) {
        for (int i = 0; i < zeroFilled; i += (int)sizeof zeros)
            check(pwrite(file, zeros, sizeof zeros, i) == sizeof zeros, "pwrite");
        check(fsync(file) == 0, "fsync");
    }
    uint64_t end = now_ns() + syncSecondsMax * 1000000000ull;
    for (int i = 0; i < syncs && now_ns() < end; i++) {
        uint64_t start = now_ns();
        check(pwrite(file, record, sizeof record, (off_t)i * recordSize) == recordSize, "pwrite");
        check(fdatasync(file) == 0, "fdatasync");
        histogram_add(into, now_ns() - start);
    }
    close(file);
}

static void measure_loopback(struct histogram *into) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    check(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    char byte[300] = {0};
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        int peer = accept(listener, NULL, NULL);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (ssize_t got; (got = recv(peer, byte, sizeof byte, 0)) > 0;)
            if (send(peer, byte, (size_t)got, MSG_NOSIGNAL) != got) break;
        _exit(0);
    }
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    check(connect(peer, (struct sockaddr *)&address, size) == 0, "connect");
    for (int i = 0; i < trips; i++) {
        uint64_t start = now_ns();
        check(send(peer, byte, sizeof byte, MSG_NOSIGNAL) == (ssize_t)sizeof byte, "send");
        check(recv(peer, byte, sizeof byte, MSG_WAITALL) == (ssize_t)sizeof byte, "recv");
        histogram_add(into, now_ns() - start);
    }
    close(peer);
    close(listener);
    waitpid(child, NULL, 0);
}

static void print(const char *name, const struct histogram *h, const char *after) {
    printf("\"%s\":{\"p50\":%.1f,\"p99\":%.1f}%s", name, histogram_quantile(h, 0.5) / 1e3,
           histogram_quantile(h, 0.99) / 1e3, after);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: baseline DIRECTORY\n", stderr);
        return 2;
    }
    static struct histogram overwrite, append, loopback;
    struct sched_param first = {.sched_priority = 10}, normal = {0};
    int realtime = sched_setscheduler(0, SCHED_FIFO, &first) == 0;
    measure_sync(arguments[1], 1, &overwrite);
    measure_sync(arguments[1], 0, &append);
    if (realtime) check(sched_setscheduler(0, SCHED_OTHER, &normal) == 0, "sched_setscheduler");
    measure_loopback(&loopback);
    printf("{\"realtime\":%s,", realtime ? "true" : "false");
    print("fdatasync_overwrite_us", &overwrite, ",");
    print("fdatasync_append_us", &append, ",");
    print("loopback_us", &loopback, "}\n");
    return 0;
}
