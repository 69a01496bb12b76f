/* scratch.h: a folder of its own for each run of a test program, removed at the end. In build/, or where SCRATCH says: tests/run.sh
 * names a file system in memory, because hundreds of checkpoints that are made durable one by one would wait for the disk. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "../os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char scratch_dir[64];

static void scratch_remove(void) { os_remove_tree(scratch_dir); }

/* The path of a file or folder in there; it stays valid. */
static inline const char *scratch(const char *name) {
    static char paths[256][128];
    static int count;
    if (!*scratch_dir) {
        const char *place = getenv("SCRATCH");
        snprintf(scratch_dir, sizeof scratch_dir, "%.40s/%lld", place ? place : "build/scratch", (long long)(os_seconds() * 1e9));
        os_make_dir(scratch_dir);
        atexit(scratch_remove);
    }
    char path[128];
    if (snprintf(path, sizeof path, "%s/%s", scratch_dir, name) >= (int)sizeof path || count == 256) abort();
    for (int i = 0; i < count; i++)
        if (!strcmp(paths[i], path)) return paths[i];
    return strcpy(paths[count++], path);
}

/* Not os_write_file: thousands of small files need not survive a power cut. */
static inline const char *scratch_file(const char *name, const void *bytes, size_t n) {
    const char *path = scratch(name);
    remove(path); /* truncating an old one would wait for the disk */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) work_failed("%s: cannot be written", path);
    return path;
}

static inline const char *scratch_text(const char *name, const char *text) { return scratch_file(name, text, strlen(text)); }

#endif
