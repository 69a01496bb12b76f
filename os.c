#include "os_system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t os_interrupted;

/* ---- faults on demand ---- */

bool os_fault(const char *kind) {
    static bool asked;
    static char wanted[8];
    static uint64_t at, seen;
    if (!asked) {
        asked = true;
        const char *s = getenv("FINETUNE_FAIL"), *colon = s ? strchr(s, ':') : NULL;
        if (colon && (size_t)(colon - s) < sizeof wanted) {
            memcpy(wanted, s, (size_t)(colon - s));
            at = strtoull(colon + 1, NULL, 10);
        }
    }
    return at && !strcmp(kind, wanted) && ++seen == at;
}

enum { KILLED = 137 };

/* Every byte that leaves passes here. False: errno says why. */
static bool write_all(int fd, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    if (n && os_fault("kill")) {
        if (sys_write(fd, p, n / 2)) {} /* a power cut leaves a part */
        sys_exit_now(KILLED);
    }
    if (n && os_fault("write")) return errno = ENOSPC, false;
    while (n) {
        size_t step = n < (size_t)1 << 26 ? n : (size_t)1 << 26;
        int64_t wrote = sys_write(fd, p, step);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        p += wrote, n -= (size_t)wrote;
    }
    return true;
}

static bool sync_file(int fd) {
    if (os_fault("kill")) sys_exit_now(KILLED);
    if (os_fault("sync")) return errno = EIO, false;
    return sys_sync(fd) == 0;
}

static bool sync_folder(const char *path) {
    if (os_fault("kill")) sys_exit_now(KILLED);
    if (os_fault("sync")) return errno = EIO, false;
    return sys_sync_dir(path) == 0;
}

static bool rename_file(const char *from, const char *to) {
    if (os_fault("kill")) sys_exit_now(KILLED);
    if (os_fault("rename")) return errno = EIO, false;
    return sys_rename(from, to) == 0;
}

/* ---- paths ---- */

static _Noreturn void fail_reading(const char *path, int reason) {
    if (reason == ENOENT) bad_input("%s: no such file or folder (is the path right?)", path);
    if (reason == EISDIR) bad_input("%s: this is a folder, a file was expected (name a file in it)", path);
    if (reason == ENOTDIR) bad_input("%s: this is not a folder, or a part of the path is a file (is the path right?)", path);
    if (reason == EACCES) bad_input("%s: cannot be read: %s (does its owner let you read it?)", path, strerror(reason));
    bad_input("%s: cannot be read: %s", path, strerror(reason));
}

/* A place that cannot be written to is the caller's mistake; a disk that fails is not. */
static _Noreturn void fail_making(const char *path, int reason) {
    if (reason == ENOENT) bad_input("%s: cannot be written: its folder does not exist (make it first)", path);
    if (reason == EISDIR) bad_input("%s: cannot be written: this is a folder, a file was expected", path);
    if (reason == ENOTDIR || reason == EEXIST) bad_input("%s: cannot be made: a part of the path is a file (choose another place)", path);
    if (reason == EACCES || reason == EPERM || reason == EROFS)
        bad_input("%s: cannot be written: %s (choose another place)", path, strerror(reason));
    if (reason == ENAMETOOLONG) bad_input("%s: cannot be written: %s (choose a shorter one)", path, strerror(reason));
    work_failed("%s: cannot be written: %s", path, strerror(reason));
}

bool os_exists(const char *path) { return sys_kind(path, true, NULL) != PATH_NONE; }
bool os_is_dir(const char *path) { return sys_kind(path, true, NULL) == PATH_FOLDER; }

char *os_join(const char *dir, const char *name) {
    size_t n = strlen(dir);
    while (*name == '/') name++;
    return str_format("%s%s%s", dir, n && dir[n - 1] != '/' ? "/" : "", name);
}

/* The folder that holds the path's last part: "." for a bare name. */
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return str_copy(".");
    return slash == path ? str_copy("/") : str_copy_n(path, (size_t)(slash - path));
}

/* ---- reading ---- */

Buf os_read(const char *path) {
    Buf text = {0};
    uint64_t size = 0;
    bool standard = !strcmp(path, "-");
    int fd = 0;
    if (!standard) {
        if (sys_kind(path, true, &size) == PATH_FOLDER) fail_reading(path, EISDIR);
        fd = sys_open(path, OPEN_READ);
        if (fd < 0) fail_reading(path, errno);
    }
    /* The size is only a guess (a pipe has none, a log grows): what counts is the end of file. */
    size_t room = size < SIZE_MAX / 2 ? (size_t)size + 2 : 0;
    for (;;) {
        if (text.len + 1 >= room) room = room < 1 << 15 ? 1 << 16 : 2 * room;
        if (room > text.cap) text.data = mem_resize(text.data, room, 1), text.cap = room;
        size_t step = text.cap - 1 - text.len;
        int64_t got = sys_read(fd, text.data + text.len, step < (size_t)1 << 26 ? step : (size_t)1 << 26);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int reason = errno;
            if (!standard) sys_close(fd);
            fail_reading(standard ? "standard input" : path, reason);
        }
        if (got == 0) break;
        text.len += (size_t)got;
    }
    text.data[text.len] = 0;
    if (!standard) sys_close(fd);
    return text;
}

enum { SMALL_FILE = 1 << 16 };

OsMap os_map(const char *path) {
    uint64_t size = 0;
    PathKind kind = strcmp(path, "-") ? sys_kind(path, true, &size) : PATH_SPECIAL;
    if (kind == PATH_FILE && size > SMALL_FILE && size <= SIZE_MAX) {
        const void *at = sys_map(path, size);
        if (!at) fail_reading(path, errno);
        return (OsMap){.data = at, .size = (size_t)size};
    }
    /* What cannot be mapped (a pipe, an empty file) is read; so is what is small, because memory is given back after a failure and a map is not;
     * and what is not there, for its message. */
    Buf text = os_read(path);
    return (OsMap){.data = (const unsigned char *)text.data, .size = text.len, .handle = text.data};
}

void os_unmap(OsMap *map) {
    if (map->handle) mem_free(map->handle);
    else if (map->data) sys_unmap(map->data, map->size);
    *map = (OsMap){0};
}

void os_map_forget(const OsMap *map) {
    if (!map->handle && map->data) sys_forget(map->data, map->size);
}

typedef struct {
    char **names;
    size_t count, cap;
} Names;

static void add_name(void *context, const char *name) {
    Names *n = context;
    if (!strcmp(name, ".") || !strcmp(name, "..")) return;
    if (n->count == n->cap) n->names = mem_resize(n->names, n->cap = n->cap ? 2 * n->cap : 16, sizeof *n->names);
    n->names[n->count++] = str_copy(name);
}

static int compare_names(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **os_list(const char *dir, size_t *count) {
    Names n = {.names = mem_new(16, sizeof(char *)), .cap = 16};
    if (sys_each(dir, add_name, &n) != 0) fail_reading(dir, errno);
    sort_stable(n.names, n.count, sizeof *n.names, compare_names, NULL);
    *count = n.count;
    return n.names;
}

/* ---- writing ---- */

/* Not from mem_new: a failure between create and commit frees all of that memory, and the list of open files
 * must outlive it, so that the end of the process can remove what was never committed. */
struct OsFile {
    OsFile *next;
    int fd;
    bool direct; /* a device or a pipe: written in place, nothing to rename */
    size_t used;
    char *path, *temporary;
    unsigned char buffer[1 << 20];
};

static OsFile *open_files;

static void drop_file(OsFile *f) {
    for (OsFile **at = &open_files; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    if (f->fd >= 0) sys_close(f->fd);
    if (!f->direct && f->temporary) sys_remove(f->temporary);
    free(f->path), free(f->temporary), free(f);
}

static void drop_all(void) {
    while (open_files) drop_file(open_files);
}

static _Noreturn void write_failed(OsFile *f, int reason) {
    char *path = str_copy(f->path);
    drop_file(f);
    work_failed("%s: cannot be written: %s", path, strerror(reason));
}

OsFile *os_create(const char *path) {
    static bool registered;
    if (!registered) registered = true, atexit(drop_all);
    PathKind kind = sys_kind(path, true, NULL);
    if (kind == PATH_FOLDER) fail_making(path, EISDIR);
    size_t room = strlen(path) + 32;
    OsFile *f = calloc(1, sizeof *f);
    if (f) f->fd = -1, f->path = malloc(room), f->temporary = malloc(room);
    if (!f || !f->path || !f->temporary) work_failed("%s: no memory for its buffer", path);
    /* A stream is never replaced by a file, even where it leads to one. (/dev/shm is a folder like any other.) */
    f->direct = kind == PATH_SPECIAL || str_starts(path, "/dev/std") || str_starts(path, "/dev/fd/") || str_starts(path, "/proc/");
    snprintf(f->path, room, "%s", path);
    snprintf(f->temporary, room, "%s.tmp-%d", path, sys_pid());
    f->fd = sys_open(f->direct ? f->path : f->temporary, f->direct ? OPEN_UPDATE : OPEN_NEW);
    if (f->fd < 0) {
        int reason = errno;
        f->direct = true; /* nothing to remove */
        drop_file(f);
        fail_making(path, reason);
    }
    f->next = open_files, open_files = f;
    return f;
}

static void flush_file(OsFile *f) {
    if (!write_all(f->fd, f->buffer, f->used)) write_failed(f, errno);
    f->used = 0;
}

void os_write(OsFile *f, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    while (n) {
        size_t room = sizeof f->buffer - f->used, step = n < room ? n : room;
        memcpy(f->buffer + f->used, p, step);
        f->used += step, p += step, n -= step;
        if (f->used == sizeof f->buffer) flush_file(f);
    }
}

void os_commit(OsFile *f) {
    flush_file(f);
    if (!f->direct && !sync_file(f->fd)) write_failed(f, errno);
    int fd = f->fd;
    f->fd = -1;
    if (sys_close(fd) != 0) write_failed(f, errno);
    if (!f->direct) {
        if (!rename_file(f->temporary, f->path)) write_failed(f, errno);
        free(f->temporary), f->temporary = NULL;
        char *parent = parent_of(f->path);
        if (!sync_folder(parent)) write_failed(f, errno);
        mem_free(parent);
    }
    drop_file(f);
}

void os_write_file(const char *path, const void *bytes, size_t n) {
    OsFile *f = os_create(path);
    os_write(f, bytes, n);
    os_commit(f);
}

void os_write_in(const char *dir, const char *name, Buf text) {
    char *path = os_join(dir, name);
    os_write_file(path, text.data ? text.data : "", text.len);
    mem_free(path), buf_free(&text);
}

void os_copy_file(const char *from_dir, const char *to_dir, const char *name) {
    char *from = os_join(from_dir, name), *to = os_join(to_dir, name);
    OsMap map = os_map(from);
    os_write_file(to, map.data, map.size);
    os_unmap(&map);
    mem_free(from), mem_free(to);
}

struct OsLog {
    int fd;
    char *path;
};

OsLog *os_log_open(const char *path) {
    OsLog *log = mem_new(1, sizeof *log);
    log->path = str_copy(path);
    log->fd = sys_open(path, OPEN_APPEND);
    if (log->fd < 0) fail_making(path, errno);
    return log;
}

void os_log_line(OsLog *log, const char *line, size_t n) {
    char *whole = mem_new(n + 1, 1); /* one write: a line is there or it is not */
    memcpy(whole, line, n);
    whole[n] = '\n';
    if (!write_all(log->fd, whole, n + 1)) work_failed("%s: cannot be written: %s", log->path, strerror(errno));
    mem_free(whole);
}

void os_log_sync(OsLog *log) {
    if (!sync_file(log->fd)) work_failed("%s: cannot be made durable: %s", log->path, strerror(errno));
}

void os_log_close(OsLog *log) {
    if (sys_close(log->fd) != 0) work_failed("%s: cannot be written: %s", log->path, strerror(errno));
    mem_free(log->path), mem_free(log);
}

void os_truncate(const char *path, size_t size) {
    int fd = sys_open(path, OPEN_UPDATE);
    if (fd < 0) fail_making(path, errno);
    bool ok = sys_resize(fd, size) == 0 && sync_file(fd);
    int reason = errno;
    sys_close(fd);
    if (!ok) work_failed("%s: cannot be cut to %zu bytes: %s", path, size, strerror(reason));
}

/* ---- standard output ---- */

static struct {
    size_t used;
    char bytes[1 << 16];
} out;

bool os_read_line(Buf *line) {
    int c;
    line->len = 0;
    buf_str(line, "");
    while ((c = getchar()) != EOF && c != '\n') buf_char(line, (char)c);
    if (line->len && line->data[line->len - 1] == '\r') line->data[--line->len] = 0;
    return c != EOF || line->len;
}

void out_flush(void) {
    size_t n = out.used;
    out.used = 0; /* also after a failure: the same bytes are not tried again on the way out */
    if (!write_all(1, out.bytes, n)) work_failed("standard output: %s", strerror(errno));
}

void out_bytes(const void *bytes, size_t n) {
    const char *p = bytes;
    while (n) {
        size_t room = sizeof out.bytes - out.used, step = n < room ? n : room;
        memcpy(out.bytes + out.used, p, step);
        out.used += step, p += step, n -= step;
        if (out.used == sizeof out.bytes) out_flush();
    }
}

void out_text(const char *format, ...) {
    Buf text = {0};
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    text.data = mem_new((size_t)n + 1, 1);
    vsnprintf(text.data, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    out_bytes(text.data, (size_t)n);
    mem_free(text.data);
    if (os_is_terminal(1)) out_flush();
}

/* ---- folders and locks ---- */

void os_make_dir(const char *path) {
    if (os_is_dir(path)) return;
    char *parent = parent_of(path);
    if (strcmp(parent, path) && !os_is_dir(parent)) os_make_dir(parent);
    if (sys_make_dir(path) != 0 && !os_is_dir(path)) fail_making(path, errno);
    mem_free(parent);
}

void os_sync_dir(const char *path) {
    if (!sync_folder(path)) work_failed("%s: cannot be made durable: %s", path, strerror(errno));
}

void os_rename(const char *from, const char *to) {
    if (!rename_file(from, to)) work_failed("%s: cannot be renamed to %s: %s", from, to, strerror(errno));
    char *parent = parent_of(to);
    os_sync_dir(parent);
    mem_free(parent);
}

void os_remove_tree(const char *path) {
    PathKind kind = sys_kind(path, false, NULL); /* a link is removed, not what it leads to */
    if (kind == PATH_NONE) return;
    if (kind == PATH_FOLDER) {
        size_t count;
        char **names = os_list(path, &count);
        for (size_t i = 0; i < count; i++) {
            char *child = os_join(path, names[i]);
            os_remove_tree(child);
            mem_free(child), mem_free(names[i]);
        }
        mem_free(names);
    }
    if (sys_remove(path) != 0) work_failed("%s: cannot be removed: %s", path, strerror(errno));
}

uint64_t os_tree_bytes(const char *path) {
    uint64_t bytes = 0;
    PathKind kind = sys_kind(path, false, &bytes);
    if (kind != PATH_FOLDER) return kind == PATH_FILE ? bytes : 0;
    size_t count;
    char **names = os_list(path, &count);
    bytes = 0;
    for (size_t i = 0; i < count; i++) {
        char *child = os_join(path, names[i]);
        bytes += os_tree_bytes(child);
        mem_free(child), mem_free(names[i]);
    }
    mem_free(names);
    return bytes;
}

void os_need_space(const char *path, uint64_t bytes, const char *what, const char *remedy) {
    char *dir = str_copy(path);
    while (!os_is_dir(dir)) { /* it, or the nearest folder above that is there */
        char *parent = parent_of(dir);
        bool top = !strcmp(parent, dir);
        mem_free(dir);
        dir = parent;
        if (top) break;
    }
    uint64_t left = os_fault("space") ? 0 : sys_disk_free(dir);
    mem_free(dir);
    if (left < bytes)
        bad_input("%s: %s takes %.1f MB, and %.1f MB are free on that disk: %s", path, what, (double)bytes / 1e6, (double)left / 1e6, remedy);
}

struct OsLock {
    intptr_t handle;
    char *path;
};

OsLock *os_lock(const char *path, const char *refusal) {
    OsLock *lock = mem_new(1, sizeof *lock);
    lock->path = str_copy(path);
    lock->handle = sys_lock(path);
    if (lock->handle == -2) bad_input("%s: %s", path, refusal);
    if (lock->handle == -1) fail_making(path, errno);
    return lock;
}

void os_unlock(OsLock *lock) {
    sys_unlock(lock->path, lock->handle);
    mem_free(lock->path), mem_free(lock);
}

/* ---- programs ---- */

int os_run_beside(const char *name, const char *first, const char *second, int argc, char **argv, const char *to) {
    char *self = sys_program(), *cut = self ? strrchr(self, '/') : NULL;
    char *path = cut ? str_format("%.*s/%s", (int)(cut - self), self, name) : str_copy(name);
    if (!os_exists(path) && str_ends(self ? self : "", ".exe")) path = str_format("%s.exe", path);
    if (!os_exists(path)) bad_input("%s is not there: make %s", path, name);
    char **words = mem_new((size_t)argc + 4, sizeof *words);
    words[0] = path, words[1] = str_copy(first), words[2] = str_copy(second);
    for (int i = 0; i < argc; i++) words[3 + i] = argv[i];
    out_flush();
    int code = sys_run(path, words, to);
    if (code < 0 || code == 127) work_failed("%s could not be started", path);
    return code;
}
