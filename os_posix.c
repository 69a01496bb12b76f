#ifndef _WIN32

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock, sched_getaffinity, sigaction under -std=c11 */
#endif
#define _DARWIN_C_SOURCE

#include "os_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

int sys_open(const char *path, OpenMode mode) {
    static const int flags[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND, O_WRONLY};
    return open(path, flags[mode] | O_CLOEXEC, 0666);
}

int64_t sys_read(int fd, void *bytes, size_t n) { return read(fd, bytes, n); }
int64_t sys_write(int fd, const void *bytes, size_t n) { return write(fd, bytes, n); }
int sys_close(int fd) { return close(fd); }
int sys_resize(int fd, size_t size) { return ftruncate(fd, (off_t)size); }

int sys_sync(int fd) {
#ifdef F_FULLFSYNC
    if (fcntl(fd, F_FULLFSYNC) == 0) return 0; /* macOS: fsync alone stops at the drive's cache */
#endif
    if (fsync(fd) == 0) return 0;
    return errno == EINVAL || errno == ENOTSUP ? 0 : -1; /* a file system that knows no sync */
}

PathKind sys_kind(const char *path, bool follow, uint64_t *size) {
    struct stat s;
    if ((follow ? stat(path, &s) : lstat(path, &s)) != 0) return PATH_NONE;
    if (size) *size = (uint64_t)s.st_size;
    return S_ISREG(s.st_mode) ? PATH_FILE : S_ISDIR(s.st_mode) ? PATH_FOLDER : S_ISLNK(s.st_mode) ? PATH_LINK : PATH_SPECIAL;
}

int sys_rename(const char *from, const char *to) { return rename(from, to); }
int sys_make_dir(const char *path) { return mkdir(path, 0777); }
int sys_remove(const char *path) { return remove(path); }

int sys_sync_dir(const char *path) {
    int fd = sys_open(path, OPEN_READ);
    if (fd < 0) return -1;
    int result = sys_sync(fd), reason = errno;
    close(fd);
    errno = reason;
    return result;
}

int sys_each(const char *dir, void (*each)(void *context, const char *name), void *context) {
    DIR *d = opendir(dir);
    if (!d) return -1;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(d)) != NULL) each(context, entry->d_name);
    int reason = errno;
    closedir(d);
    errno = reason;
    return reason ? -1 : 0;
}

uint64_t sys_disk_free(const char *dir) {
    struct statvfs s;
    return statvfs(dir, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize : UINT64_MAX;
}

const void *sys_map(const char *path, uint64_t size) {
    int fd = sys_open(path, OPEN_READ);
    if (fd < 0) return NULL;
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    int reason = errno;
    close(fd);
    errno = reason;
    return at == MAP_FAILED ? NULL : at;
}

void sys_unmap(const void *at, size_t size) { munmap((void *)(uintptr_t)at, size); }
void sys_forget(const void *at, size_t size) { madvise((void *)(uintptr_t)at, size, MADV_DONTNEED); }

/* flock, because it belongs to the open file and not to the process: a second try of the same process is
 * refused too. */
intptr_t sys_lock(const char *path) {
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

void sys_unlock(const char *path, intptr_t handle) {
    unlink(path); /* while it is still held */
    close((int)handle);
}

char *sys_program(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    return n > 0 && n < (ssize_t)sizeof path ? str_copy_n(path, (size_t)n) : NULL;
}

int sys_run(const char *path, char *const *argv, const char *to) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        int log = to && *to ? open(to, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
        if (log >= 0) dup2(log, 2);
        if (to) dup2(2, 1);
        execv(path, argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_WORK_FAILED;
}

int sys_pid(void) { return (int)getpid(); }
void sys_exit_now(int code) { _exit(code); }

/* A reader that has gone away shows as a failed write and not as a silent end. What is freed goes back to the system: left to itself glibc keeps
 * ever larger blocks, and a run's peak would depend on what was read before it. */
void os_begin(void) {
    signal(SIGPIPE, SIG_IGN);
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 18);
#endif
}

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

int os_terminal_rows(void) {
    struct winsize size;
    if (ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_row) return size.ws_row;
    return 24;
}

/* ---- keys ---- */

static struct termios usual_mode;
static volatile sig_atomic_t has_keys; /* usual_mode is to be restored */

bool os_keys_begin(void) {
    static bool registered;
    const char *terminal = getenv("TERM");
    if (!terminal || !*terminal || !strcmp(terminal, "dumb") || !isatty(2) || tcgetattr(0, &usual_mode) != 0) return false;
    if (!registered) registered = atexit(os_keys_end) == 0; /* also after a failure */
    struct termios mode = usual_mode;
    mode.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | IGNCR | INLCR | ISTRIP | IXON);
    mode.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    mode.c_cc[VMIN] = 1, mode.c_cc[VTIME] = 0;
    has_keys = 1;
    if (tcsetattr(0, TCSANOW, &mode) != 0) return has_keys = 0, false;
    if (write(2, "\033[?2004h", 8)) {} /* bracketed paste */
    return true;
}

/* Of calls that a signal's handler may make. */
void os_keys_end(void) {
    if (!has_keys) return;
    if (write(2, "\033[?2004l", 8)) {}
    tcsetattr(0, TCSANOW, &usual_mode);
    has_keys = 0;
}

size_t os_keys_read(void *bytes, size_t n) {
    ssize_t got;
    do got = read(0, bytes, n);
    while (got < 0 && errno == EINTR);
    return got > 0 ? (size_t)got : 0;
}

void os_keys_suspend(void) {
    os_keys_end();
    kill(0, SIGTSTP); /* the whole group, as the terminal would */
    os_keys_begin();
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

/* The number in a file of one line; `most` when there is none ("max"), or no file. */
static uint64_t limit_in(const char *path, uint64_t most) {
    char line[64];
    FILE *f = fopen(path, "r");
    bool read = f && fgets(line, sizeof line, f) && *line >= '0' && *line <= '9';
    if (f) fclose(f);
    uint64_t limit = read ? strtoull(line, NULL, 10) : most;
    return limit < most ? limit : most;
}

uint64_t os_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    static const int limits[] = {
#ifdef RLIMIT_AS
        RLIMIT_AS, /* not everywhere */
#endif
        RLIMIT_DATA};
    struct rlimit limit;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (getrlimit(limits[i], &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes) bytes = limit.rlim_cur;
    bytes = limit_in("/sys/fs/cgroup/memory.max", bytes); /* a container's, of either kind */
    bytes = limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes);
    return bytes == UINT64_MAX ? 0 : bytes;
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
    if (os_interrupted) {
        os_keys_end();
        _exit(EXIT_INTERRUPTED);
    }
    os_interrupted = 1;
}

void os_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

#else
typedef int os_posix_is_not_needed_here;
#endif
