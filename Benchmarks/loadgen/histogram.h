// A log-linear histogram of nanoseconds: 128 steps a power of two, so that every figure is within 0.8 % of the truth.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { histogramStepBits = 7, histogramSteps = 1 << histogramStepBits, histogramBuckets = 58 * histogramSteps };

struct histogram {
    uint64_t counts[histogramBuckets];
    uint64_t total, sum, max;
};

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void histogram_add(struct histogram *h, uint64_t value) {
    unsigned index;
    if (value < histogramSteps) {
        index = (unsigned)value;
    } else {
        unsigned shift = 63 - (unsigned)__builtin_clzll(value) - histogramStepBits;
        index = (shift + 1) * histogramSteps + (unsigned)((value >> shift) - histogramSteps);
    }
    h->counts[index]++;
    h->total++;
    h->sum += value;
    if (value > h->max) h->max = value;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (unsigned i = 0; i < histogramBuckets; i++) into->counts[i] += from->counts[i];
    into->total += from->total;
    into->sum += from->sum;
    if (from->max > into->max) into->max = from->max;
}

/// The middle of the bucket in which the given share (0...1) of all values is reached.
static inline double histogram_quantile(const struct histogram *h, double share) {
    if (h->total == 0) return 0;
    uint64_t rank = (uint64_t)(share * (double)h->total), seen = 0;
    if (rank >= h->total) rank = h->total - 1;
    for (unsigned i = 0; i < histogramBuckets; i++) {
        seen += h->counts[i];
        if (seen <= rank) continue;
        if (i < histogramSteps) return i;
        unsigned shift = i / histogramSteps - 1;
        double low = (double)((uint64_t)(i % histogramSteps + histogramSteps) << shift);
        double middle = low + (double)((uint64_t)1 << shift) / 2;
        return middle < (double)h->max ? middle : (double)h->max;
    }
    return (double)h->max;
}

static inline double histogram_mean(const struct histogram *h) {
    return h->total ? (double)h->sum / (double)h->total : 0;
}
