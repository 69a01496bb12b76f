#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock, sched_getaffinity, sigaction under -std=c11 */
#endif
#define _DARWIN_C_SOURCE
#define PSAPI_VERSION 2

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum { PATH_NONE, PATH_FILE, PATH_FOLDER, PATH_LINK, PATH_SPECIAL } PathKind;
typedef enum { OPEN_READ, OPEN_NEW, OPEN_APPEND, OPEN_UPDATE } OpenMode;

volatile sig_atomic_t os_interrupted;

/* ---- the two systems: the same few calls, -1 and errno on failure ---- */

#ifdef _WIN32

#include <io.h>
#include <process.h>
#include <windows.h>
#include <psapi.h>

static wchar_t *wide(const char *path) {
    int n = MultiByteToWideChar(CP_UTF8, 0, path, -1, NULL, 0);
    wchar_t *w = mem_new((size_t)n + 1, sizeof *w);
    MultiByteToWideChar(CP_UTF8, 0, path, -1, w, n);
    return w;
}

static int windows_errno(void) {
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION: return EACCES;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return EEXIST;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return ENOSPC;
    case ERROR_DIR_NOT_EMPTY: return ENOTEMPTY;
    default: return EIO;
    }
}

/* A Windows call that says yes or no, as a POSIX one. */
static int done(BOOL ok) {
    if (ok) return 0;
    errno = windows_errno();
    return -1;
}

static int sys_open(const char *path, OpenMode mode) {
    static const int flags[] = {_O_RDONLY, _O_WRONLY | _O_CREAT | _O_TRUNC, _O_WRONLY | _O_CREAT | _O_APPEND, _O_WRONLY};
    wchar_t *w = wide(path);
    int fd = _wopen(w, flags[mode] | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    mem_free(w);
    return fd;
}

static int64_t sys_read(int fd, void *bytes, size_t n) { return _read(fd, bytes, (unsigned)n); }
static int64_t sys_write(int fd, const void *bytes, size_t n) { return _write(fd, bytes, (unsigned)n); }
static int sys_close(int fd) { return _close(fd); }
static int sys_sync(int fd) { return _commit(fd); }
static int sys_resize(int fd, size_t size) { return (errno = _chsize_s(fd, (int64_t)size)) ? -1 : 0; }

static PathKind sys_kind(const char *path, bool follow, uint64_t *size) {
    wchar_t *w = wide(path);
    WIN32_FILE_ATTRIBUTE_DATA data;
    BOOL found = GetFileAttributesExW(w, GetFileExInfoStandard, &data);
    mem_free(w);
    if (!found) return PATH_NONE;
    if (size) *size = (uint64_t)data.nFileSizeHigh << 32 | data.nFileSizeLow;
    if (!follow && data.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) return PATH_LINK;
    if (data.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) return PATH_FOLDER;
    return data.dwFileAttributes & FILE_ATTRIBUTE_DEVICE ? PATH_SPECIAL : PATH_FILE;
}

static int sys_rename(const char *from, const char *to) {
    wchar_t *a = wide(from), *b = wide(to);
    int result = done(MoveFileExW(a, b, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
    mem_free(b), mem_free(a);
    return result;
}

static int sys_make_dir(const char *path) {
    wchar_t *w = wide(path);
    int result = done(CreateDirectoryW(w, NULL));
    mem_free(w);
    return result;
}

static int sys_remove(const char *path) {
    wchar_t *w = wide(path);
    DWORD attributes = GetFileAttributesW(w);
    bool folder = attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY;
    int result = done(folder ? RemoveDirectoryW(w) : DeleteFileW(w));
    mem_free(w);
    return result;
}

/* MoveFileEx with write-through has made the name durable; a folder cannot be synced here. */
static int sys_sync_dir(const char *path) {
    (void)path;
    return 0;
}

/* Calls each(name) for every entry; -1 when the folder cannot be read. */
static int sys_each(const char *dir, void (*each)(void *context, const char *name), void *context) {
    char *pattern = os_join(dir, "*");
    wchar_t *w = wide(pattern);
    WIN32_FIND_DATAW found;
    HANDLE h = FindFirstFileW(w, &found);
    mem_free(w), mem_free(pattern);
    if (h == INVALID_HANDLE_VALUE) return done(FALSE);
    do {
        char name[3 * MAX_PATH + 1];
        if (WideCharToMultiByte(CP_UTF8, 0, found.cFileName, -1, name, sizeof name, NULL, NULL) > 0) each(context, name);
    } while (FindNextFileW(h, &found));
    FindClose(h);
    return 0;
}

static const void *sys_map(const char *path, uint64_t size) {
    wchar_t *w = wide(path);
    HANDLE file = CreateFileW(w, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    mem_free(w);
    if (file == INVALID_HANDLE_VALUE) return done(FALSE), NULL;
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, (DWORD)(size >> 32), (DWORD)size, NULL);
    const void *at = mapping ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, (SIZE_T)size) : NULL;
    if (!at) done(FALSE);
    if (mapping) CloseHandle(mapping);
    CloseHandle(file);
    return at;
}

static void sys_unmap(const void *at, size_t size) {
    (void)size;
    UnmapViewOfFile(at);
}

/* Deleted when closed, and closed when the process ends. -2: somebody else holds it. */
static intptr_t sys_lock(const char *path) {
    wchar_t *w = wide(path);
    HANDLE h = CreateFileW(w, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS,
                           FILE_FLAG_DELETE_ON_CLOSE, NULL);
    mem_free(w);
    if (h == INVALID_HANDLE_VALUE) return done(FALSE);
    OVERLAPPED from = {0};
    if (LockFileEx(h, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &from)) return (intptr_t)h;
    CloseHandle(h);
    return -2;
}

static void sys_unlock(const char *path, intptr_t handle) {
    (void)path;
    CloseHandle((HANDLE)handle);
}

static int sys_pid(void) { return _getpid(); }

void os_begin(void) {
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    SetConsoleOutputCP(CP_UTF8);
}

double os_seconds(void) {
    LARGE_INTEGER now, rate;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&rate);
    return (double)now.QuadPart / (double)rate.QuadPart;
}

bool os_is_terminal(int fd) { return _isatty(fd) != 0; }

int os_terminal_columns(void) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &info)) return 80;
    return info.srWindow.Right - info.srWindow.Left + 1;
}

size_t os_peak_memory(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.PeakWorkingSetSize : 0;
}

int os_cpu_count(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}

static void on_interrupt(int number) {
    if (os_interrupted) _exit(EXIT_INTERRUPTED);
    os_interrupted = 1;
    signal(number, on_interrupt);
}

void os_catch_interrupts(void) {
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
}

#else

#include <dirent.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

static int sys_open(const char *path, OpenMode mode) {
    static const int flags[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND, O_WRONLY};
    return open(path, flags[mode] | O_CLOEXEC, 0666);
}

static int64_t sys_read(int fd, void *bytes, size_t n) { return read(fd, bytes, n); }
static int64_t sys_write(int fd, const void *bytes, size_t n) { return write(fd, bytes, n); }
static int sys_close(int fd) { return close(fd); }
static int sys_resize(int fd, size_t size) { return ftruncate(fd, (off_t)size); }

static int sys_sync(int fd) {
#ifdef F_FULLFSYNC
    if (fcntl(fd, F_FULLFSYNC) == 0) return 0; /* macOS: fsync alone stops at the drive's cache */
#endif
    if (fsync(fd) == 0) return 0;
    return errno == EINVAL || errno == ENOTSUP ? 0 : -1; /* a file system that knows no sync */
}

static PathKind sys_kind(const char *path, bool follow, uint64_t *size) {
    struct stat s;
    if ((follow ? stat(path, &s) : lstat(path, &s)) != 0) return PATH_NONE;
    if (size) *size = (uint64_t)s.st_size;
    return S_ISREG(s.st_mode) ? PATH_FILE : S_ISDIR(s.st_mode) ? PATH_FOLDER : S_ISLNK(s.st_mode) ? PATH_LINK : PATH_SPECIAL;
}

static int sys_rename(const char *from, const char *to) { return rename(from, to); }
static int sys_make_dir(const char *path) { return mkdir(path, 0777); }
static int sys_remove(const char *path) { return remove(path); }

static int sys_sync_dir(const char *path) {
    int fd = sys_open(path, OPEN_READ);
    if (fd < 0) return -1;
    int result = sys_sync(fd), reason = errno;
    close(fd);
    errno = reason;
    return result;
}

/* Calls each(name) for every entry; -1 when the folder cannot be read. */
static int sys_each(const char *dir, void (*each)(void *context, const char *name), void *context) {
    DIR *d = opendir(dir);
    if (!d) return -1;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(d)) != NULL) each(context, entry->d_name);
    int reason = errno;
    closedir(d);
    errno = reason;
    return reason ? -1 : 0;
}

static const void *sys_map(const char *path, uint64_t size) {
    int fd = sys_open(path, OPEN_READ);
    if (fd < 0) return NULL;
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    int reason = errno;
    close(fd);
    errno = reason;
    return at == MAP_FAILED ? NULL : at;
}

static void sys_unmap(const void *at, size_t size) { munmap((void *)(uintptr_t)at, size); }

/* flock, because it belongs to the open file and not to the process: a second try of the same process is
 * refused too. -2: somebody else holds it. */
static intptr_t sys_lock(const char *path) {
    for (;;) {
        struct stat s;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return -1;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int reason = errno;
            close(fd);
            errno = reason;
            return reason == EWOULDBLOCK ? -2 : -1;
        }
        if (fstat(fd, &s) == 0 && s.st_nlink > 0) return fd;
        close(fd); /* its holder removed the file between our open and our flock: ours is not the one others see */
    }
}

static void sys_unlock(const char *path, intptr_t handle) {
    unlink(path); /* while it is still held */
    close((int)handle);
}

static int sys_pid(void) { return (int)getpid(); }

/* A reader that has gone away shows as a failed write and not as a silent end. */
void os_begin(void) { signal(SIGPIPE, SIG_IGN); }

double os_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool os_is_terminal(int fd) { return isatty(fd) != 0; }

int os_terminal_columns(void) {
    struct winsize size;
    if (ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col) return size.ws_col;
    return 80;
}

size_t os_peak_memory(void) {
    size_t peak = 0;
    FILE *f = fopen("/proc/self/status", "r"); /* ru_maxrss would begin with the size of the process that started us */
    char line[256];
    while (f && !peak && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) peak = (size_t)strtoull(line + 6, NULL, 10) * 1024;
    if (f) fclose(f);
    struct rusage usage;
    if (peak || getrusage(RUSAGE_SELF, &usage) != 0) return peak;
#ifdef __APPLE__
    return (size_t)usage.ru_maxrss;
#else
    return (size_t)usage.ru_maxrss * 1024;
#endif
}

int os_cpu_count(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

static void on_interrupt(int number) {
    (void)number;
    if (os_interrupted) _exit(EXIT_INTERRUPTED);
    os_interrupted = 1;
}

void os_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

#endif

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
        _exit(KILLED);
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
    if (os_fault("kill")) _exit(KILLED);
    if (os_fault("sync")) return errno = EIO, false;
    return sys_sync(fd) == 0;
}

static bool sync_folder(const char *path) {
    if (os_fault("kill")) _exit(KILLED);
    if (os_fault("sync")) return errno = EIO, false;
    return sys_sync_dir(path) == 0;
}

static bool rename_file(const char *from, const char *to) {
    if (os_fault("kill")) _exit(KILLED);
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

OsMap os_map(const char *path) {
    uint64_t size = 0;
    PathKind kind = strcmp(path, "-") ? sys_kind(path, true, &size) : PATH_SPECIAL;
    if (kind == PATH_FILE && size > 0 && size <= SIZE_MAX) {
        const void *at = sys_map(path, size);
        if (!at) fail_reading(path, errno);
        return (OsMap){.data = at, .size = (size_t)size};
    }
    /* What cannot be mapped (a pipe, an empty file) is read; so is what is not there, for its message. */
    Buf text = os_read(path);
    return (OsMap){.data = (const unsigned char *)text.data, .size = text.len, .handle = text.data};
}

void os_unmap(OsMap *map) {
    if (map->handle) mem_free(map->handle);
    else if (map->data) sys_unmap(map->data, map->size);
    *map = (OsMap){0};
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
    /* What stands under /dev is never replaced by a file, wherever it leads (/dev/stdout may lead to one). */
    f->direct = kind == PATH_SPECIAL || str_starts(path, "/dev/") || str_starts(path, "/proc/");
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
