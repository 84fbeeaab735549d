// Counts what the whole process asks the allocator for.
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdint.h>

typedef struct {
    uint64_t allocations;
    uint64_t frees;
    uint64_t bytes;
} AllocationCounts;

// The sums since the process began. While others allocate, the three may be from slightly different moments.
AllocationCounts allocation_counts(void);

// Bytes that are in use now, as glibc says.
uint64_t allocation_bytes_in_use(void);

#endif
