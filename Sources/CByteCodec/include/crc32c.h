#ifndef MARTLET_CRC32C_H
#define MARTLET_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli) of `length` bytes, continuing from `crc` (0 to start). The processor's instruction is used
/// where it has one.
uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same, always from tables: for tests that compare the two.
uint32_t martlet_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

#endif
