// Where allocations come from: every so many-th of them has its stack looked at.
#ifndef ALLOCATION_SITES_H
#define ALLOCATION_SITES_H

#include <stddef.h>
#include <stdio.h>

// Begins to look at one allocation of `every`; 0 ends it.
void allocation_sites_sample(unsigned every);

// Writes a line for each stack seen: how often, how many bytes, and its calls, innermost first, as file+offset with
// commas between. scripts/bench-library --sites puts names to them.
void allocation_sites_write(FILE *output);

// For the allocator's own use: an allocation of `size` bytes has happened.
void allocation_sites_saw(size_t size);

#endif
