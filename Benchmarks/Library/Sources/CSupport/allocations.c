// glibc lets a program bring its own malloc: a definition in the executable comes before the C library's, for every
// library that was linked dynamically, Swift's runtime among them. Ours counts, and lets glibc's do the work.
//
// realloc counts as an allocation and, where something was there before, a free.
#include "allocations.h"

#include "allocation_sites.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

#if !defined(__GLIBC__)
#error "the allocations are counted on glibc alone"
#endif

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

// Threads count in slots of their own, mostly: one cache line that all of them write to would be what is measured.
#define SLOTS 64

typedef struct {
    _Alignas(64) atomic_uint_fast64_t allocations;
    atomic_uint_fast64_t frees;
    atomic_uint_fast64_t bytes;
} Slot;

static Slot slots[SLOTS];
static atomic_uint next_slot;
// 0: none yet. In the executable, so that reading it allocates nothing.
static _Thread_local unsigned own_slot __attribute__((tls_model("initial-exec")));

static Slot *slot(void) {
    if (own_slot == 0) {
        own_slot = 1 + atomic_fetch_add_explicit(&next_slot, 1, memory_order_relaxed) % SLOTS;
    }
    return &slots[own_slot - 1];
}

static void *counted(void *memory, size_t size) {
    if (memory != NULL) {
        Slot *mine = slot();
        atomic_fetch_add_explicit(&mine->allocations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&mine->bytes, size, memory_order_relaxed);
        allocation_sites_saw(size);
    }
    return memory;
}

static void count_free(void) { atomic_fetch_add_explicit(&slot()->frees, 1, memory_order_relaxed); }

void *malloc(size_t size) { return counted(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size), count * size); }

void *realloc(void *old, size_t size) {
    void *memory = __libc_realloc(old, size);
    // What failed changed nothing; a size of 0 with something there frees it.
    if (old != NULL && (memory != NULL || size == 0)) {
        count_free();
    }
    return counted(memory, size);
}

void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size), size); }

void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size), size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) {
        return EINVAL;
    }
    void *result = counted(__libc_memalign(alignment, size), size);
    if (result == NULL) {
        return ENOMEM;
    }
    *memory = result;
    return 0;
}

void free(void *memory) {
    if (memory != NULL) {
        count_free();
    }
    __libc_free(memory);
}

AllocationCounts allocation_counts(void) {
    AllocationCounts sums = {0, 0, 0};
    for (int i = 0; i < SLOTS; i++) {
        sums.allocations += atomic_load_explicit(&slots[i].allocations, memory_order_relaxed);
        sums.frees += atomic_load_explicit(&slots[i].frees, memory_order_relaxed);
        sums.bytes += atomic_load_explicit(&slots[i].bytes, memory_order_relaxed);
    }
    return sums;
}

uint64_t allocation_bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}
