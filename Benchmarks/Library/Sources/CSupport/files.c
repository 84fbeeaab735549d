#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)facts, (void)kind, (void)place;
    return remove(path);
}

int remove_tree(const char *path) {
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) {
        return 0;
    }
    return errno;
}

bool is_in_memory(const char *path) {
    struct statfs facts;
    return statfs(path, &facts) == 0 && (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC);
}

void flush_output_by_line(void) { setvbuf(stdout, NULL, _IOLBF, 0); }
