// What Swift's Glibc module lacks.
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>

// Removes a file, or a directory with all that is in it. 0, or errno; that there is nothing is no error.
int remove_tree(const char *path);

// Whether files at `path` are in memory (tmpfs, ramfs).
bool is_in_memory(const char *path);

// A line at a time, also into a pipe: whoever waits sees how far it is.
void flush_output_by_line(void);

#endif
