#define _GNU_SOURCE
#include "allocation_sites.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define DEPTH 20
#define STACKS 16384

typedef struct {
    atomic_uint_fast64_t hash;
    atomic_uint_fast64_t count;
    atomic_uint_fast64_t bytes;
    int depth;
    void *frames[DEPTH];
} Stack;

static Stack stacks[STACKS];
static atomic_uint every_so_many;
static _Thread_local unsigned countdown __attribute__((tls_model("initial-exec")));
// The unwinder may allocate, too.
static _Thread_local int is_looking __attribute__((tls_model("initial-exec")));

void allocation_sites_sample(unsigned every) {
    // Its first use loads a library.
    void *frames[2];
    backtrace(frames, 2);
    atomic_store_explicit(&every_so_many, every, memory_order_relaxed);
}

static void look(size_t size) {
    void *frames[DEPTH];
    int depth = backtrace(frames, DEPTH);
    uint64_t hash = 1469598103934665603u;
    for (int i = 0; i < depth; i++) {
        hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
    }
    hash |= 1;
    for (unsigned i = 0; i < STACKS; i++) {
        Stack *stack = &stacks[(hash + i) % STACKS];
        uint_fast64_t seen = atomic_load_explicit(&stack->hash, memory_order_acquire);
        if (seen == 0 && atomic_compare_exchange_strong(&stack->hash, &seen, hash)) {
            memcpy(stack->frames, frames, sizeof(frames));
            stack->depth = depth;
            seen = hash;
        }
        if (seen == hash) {
            atomic_fetch_add_explicit(&stack->count, 1, memory_order_relaxed);
            atomic_fetch_add_explicit(&stack->bytes, size, memory_order_relaxed);
            return;
        }
    }
}

void allocation_sites_saw(size_t size) {
    unsigned every = atomic_load_explicit(&every_so_many, memory_order_relaxed);
    if (every == 0 || is_looking || ++countdown < every) {
        return;
    }
    countdown = 0;
    is_looking = 1;
    look(size);
    is_looking = 0;
}

void allocation_sites_write(FILE *output) {
    for (unsigned i = 0; i < STACKS; i++) {
        Stack *stack = &stacks[i];
        if (atomic_load_explicit(&stack->count, memory_order_relaxed) == 0) {
            continue;
        }
        unsigned long count = atomic_load(&stack->count), bytes = atomic_load(&stack->bytes);
        fprintf(output, "%lu %lu ", count, bytes);
        for (int frame = 0; frame < stack->depth; frame++) {
            Dl_info info;
            // The call is before the address that it returns to.
            uintptr_t address = (uintptr_t)stack->frames[frame] - 1;
            if (dladdr((void *)address, &info) != 0 && info.dli_fname != NULL) {
                unsigned long offset = address - (uintptr_t)info.dli_fbase;
                fprintf(output, "%s%s+0x%lx", frame == 0 ? "" : ",", info.dli_fname, offset);
            }
        }
        fputc('\n', output);
    }
}
