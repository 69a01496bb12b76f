#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "test.h"

#include "../os.h"

#ifndef _WIN32
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#else
#include <process.h>
#define getpid _getpid
#endif

/* A folder of this test program's own, empty, gone when the tests that use it are through. */
static char *scratch(const char *name) {
    const char *base = getenv("TMPDIR");
    char *dir = str_format("%s/test_os-%d/%s", base && *base ? base : "/tmp", (int)getpid(), name);
    os_remove_tree(dir);
    os_make_dir(dir);
    return dir;
}

static void clean(char *dir) {
    os_remove_tree(dir);
    *strrchr(dir, '/') = 0;
    os_remove_tree(dir);
    mem_free(dir);
}

static bool holds(const char *path, const char *want) {
    Buf text = os_read(path);
    bool same = text.len == strlen(want) && !memcmp(text.data, want, text.len);
    buf_free(&text);
    return same;
}

static size_t entries(const char *dir) {
    size_t count;
    char **names = os_list(dir, &count);
    for (size_t i = 0; i < count; i++) mem_free(names[i]);
    mem_free(names);
    return count;
}

static void test_files(void) {
    char *dir = scratch("files"), *file = os_join(dir, "f"), *under = os_join(file, "x");
    char *none = os_join(dir, "none"), *lost = os_join(dir, "no/f");
    CHECK(!os_exists(file) && os_exists(dir) && os_is_dir(dir), "at first");
    os_write_file(file, "one", 3);
    CHECK(os_exists(file) && !os_is_dir(file) && holds(file, "one"), "written");
    os_write_file(file, "", 0);
    CHECK(holds(file, ""), "emptied");
    OsMap map = os_map(file);
    CHECK(map.size == 0 && map.data, "an empty file has an empty map");
    os_unmap(&map);

    /* Larger than every buffer, in pieces of odd sizes. */
    size_t n = 3456789;
    unsigned char *bytes = mem_new(n, 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    OsFile *f = os_create(file);
    for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 1000003 + 1)
        os_write(f, bytes + at, step = step < n - at ? step : n - at);
    CHECK(holds(file, "") && entries(dir) == 2, "the old file stays until the commit");
    os_commit(f);
    CHECK(entries(dir) == 1, "nothing but the file is left");
    Buf text = os_read(file);
    CHECK(text.len == n && !memcmp(text.data, bytes, n) && text.data[n] == 0, "read back");
    map = os_map(file);
    CHECK(map.size == n && !memcmp(map.data, bytes, n), "mapped");
    os_unmap(&map);
    CHECK(!map.data && !map.size, "unmapped");
    os_truncate(file, 1000);
    buf_free(&text);
    text = os_read(file);
    CHECK(text.len == 1000 && !memcmp(text.data, bytes, 1000), "cut");
    buf_free(&text), mem_free(bytes);

    CHECK_FAILS(EXIT_BAD_INPUT, "none: no such file", os_read(none));
    CHECK_FAILS(EXIT_BAD_INPUT, "none: no such file", os_map(none));
    CHECK_FAILS(EXIT_BAD_INPUT, "none: no such file", os_list(none, &n));
    CHECK_FAILS(EXIT_BAD_INPUT, "this is a folder, a file was expected", os_read(dir));
    CHECK_FAILS(EXIT_BAD_INPUT, "this is a folder, a file was expected", os_map(dir));
    CHECK_FAILS(EXIT_BAD_INPUT, "this is a folder, a file was expected", os_create(dir));
    CHECK_FAILS(EXIT_BAD_INPUT, "its folder does not exist", os_create(lost));
    CHECK_FAILS(EXIT_BAD_INPUT, "a part of the path is a file", os_create(under));
    CHECK_FAILS(EXIT_BAD_INPUT, "a part of the path is a file", os_make_dir(under));
    CHECK_FAILS(EXIT_BAD_INPUT, "a part of the path is a file", os_make_dir(file));
    CHECK_FAILS(EXIT_BAD_INPUT, "its folder does not exist", os_log_open(lost));
    CHECK_FAILS(EXIT_BAD_INPUT, "none: cannot be written", os_truncate(none, 0));
    CHECK_FAILS(EXIT_WORK_FAILED, "none: cannot be renamed", os_rename(none, file));
    CHECK_FAILS(EXIT_WORK_FAILED, "none: cannot be made durable", os_sync_dir(none));
    CHECK(entries(dir) == 1, "failures leave nothing behind");
    mem_free(file), mem_free(none), mem_free(lost), mem_free(under), clean(dir);
}

static void test_folders(void) {
    char *dir = scratch("folders"), *deep = os_join(dir, "a/b/c"), *slash = str_format("%s/d/", dir);
    os_make_dir(deep), os_make_dir(deep), os_make_dir(slash);
    CHECK(os_is_dir(deep) && os_is_dir(slash), "with parents, twice");
    static const char *const names[] = {"b", "a10", "a2", "\xC3\xA9", "Z", "z", ".hidden", "a"};
    static const char *const sorted[] = {".hidden", "Z", "a", "a10", "a2", "b", "z", "\xC3\xA9"};
    for (int i = 0; i < 8; i++) {
        char *path = os_join(deep, names[i]);
        os_write_file(path, names[i], 1);
        mem_free(path);
    }
    size_t count;
    char **list = os_list(deep, &count);
    CHECK(count == 8, "%zu names", count);
    for (size_t i = 0; i < count && i < 8; i++) CHECK(!strcmp(list[i], sorted[i]), "name %zu is %s", i, list[i]);
    for (size_t i = 0; i < count; i++) mem_free(list[i]);
    mem_free(list);
    static const char *const joined[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {"a/", "/b", "a/b"}};
    for (int i = 0; i < 5; i++) {
        char *path = os_join(joined[i][0], joined[i][1]);
        CHECK(!strcmp(path, joined[i][2]), "%s + %s = %s", joined[i][0], joined[i][1], path);
        mem_free(path);
    }
    char *from = os_join(deep, "a"), *to = os_join(deep, "b"), *other = os_join(dir, "moved");
    os_rename(from, to);
    CHECK(!os_exists(from) && holds(to, "a"), "a rename replaces");
    os_rename(deep, other);
    CHECK(!os_exists(deep) && os_is_dir(other) && entries(other) == 7, "folders move too");
    os_sync_dir(other);
    os_remove_tree(other), os_remove_tree(other);
    CHECK(!os_exists(other), "removed, and missing is fine");
    mem_free(from), mem_free(to), mem_free(other), mem_free(deep), mem_free(slash), clean(dir);
}

static void test_log(void) {
    char *dir = scratch("log"), *path = os_join(dir, "log.jsonl");
    OsLog *log = os_log_open(path);
    os_log_line(log, "{\"step\":1}", 10);
    CHECK(holds(path, "{\"step\":1}\n"), "a line is there at once");
    os_log_line(log, "", 0);
    os_log_close(log);
    os_truncate(path, 11);
    log = os_log_open(path);
    os_log_line(log, "two", 3);
    os_log_close(log);
    CHECK(holds(path, "{\"step\":1}\ntwo\n"), "opened at its end");
    mem_free(path), clean(dir);
}

static void test_machine(void) {
    double start = os_seconds();
    CHECK(os_cpu_count() >= 1 && os_cpu_count() < 10000, "%d CPUs", os_cpu_count());
    CHECK(os_terminal_columns() > 0 && os_terminal_rows() > 0, "%d columns, %d rows", os_terminal_columns(), os_terminal_rows());
    size_t before = os_peak_memory(), n = (size_t)96 << 20;
    unsigned char *p = mem_new(n, 1);
    for (size_t i = 0; i < n; i += 512) p[i] = 1;
    size_t after = os_peak_memory();
    mem_free(p);
    CHECK(before > 0 && after >= before && after > n && after < before + 2 * n, "peak %zu, then %zu", before, after);
    double end = os_seconds();
    CHECK(end > start && end < start + 60, "%g seconds", end - start);
}

#ifndef _WIN32

/* ---- with other processes ---- */

/* Runs work() in a process of its own; its exit code, or 1000 + the signal that ended it. */
static int in_child(void (*work)(const char *), const char *argument) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        Catch c;
        if (!setjmp(catch_begin(&c)->jump)) {
            work(argument);
            catch_end(&c);
        } else {
            fprintf(stderr, "%s\n", c.text);
            exit(c.code);
        }
        exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void take_lock(const char *path) { os_lock(path, "another run uses this folder"); }
static void lock_twice(const char *path) {
    OsLock *lock = os_lock(path, "first");
    os_unlock(lock);
    os_lock(path, "second");
    os_lock(path, "third"); /* refused */
}
static void lock_and_die(const char *path) {
    os_lock(path, "x");
    kill(getpid(), SIGKILL);
}

/* stderr away while a refusal is expected there */
static int quietly(int (*run)(void (*)(const char *), const char *), void (*work)(const char *), const char *argument) {
    fflush(stderr);
    int saved = dup(2), null = open("/dev/null", O_WRONLY);
    dup2(null, 2), close(null);
    int code = run(work, argument);
    dup2(saved, 2), close(saved);
    return code;
}

static void test_lock(void) {
    char *dir = scratch("lock"), *path = os_join(dir, "lock");
    OsLock *lock = os_lock(path, "busy");
    CHECK_FAILS(EXIT_BAD_INPUT, "lock: another trainer", os_lock(path, "another trainer"));
    CHECK(quietly(in_child, take_lock, path) == EXIT_BAD_INPUT, "another process is refused");
    os_unlock(lock);
    CHECK(!os_exists(path), "nothing is left of it");
    CHECK(in_child(take_lock, path) == 0, "it is free again");
    CHECK(in_child(take_lock, path) == 0, "and again after a process that did not unlock");
    CHECK(quietly(in_child, lock_twice, path) == EXIT_BAD_INPUT, "the same process is refused too");
    CHECK(in_child(lock_and_die, path) == 1000 + SIGKILL && in_child(take_lock, path) == 0, "a killed holder holds nothing");
    mem_free(path), clean(dir);
}

static void write_on_full(const char *path) { os_write_file(path, "x", 1); }

static void test_special_files(void) {
    if (!os_exists("/dev/full")) {
        SKIP("there is no /dev/full");
        return;
    }
    CHECK_FAILS(EXIT_WORK_FAILED, "/dev/full: cannot be written: No space left on device", write_on_full("/dev/full"));
    CHECK_FAILS(EXIT_WORK_FAILED, "/dev/full: cannot be written: No space left on device", {
        OsLog *log = os_log_open("/dev/full");
        os_log_line(log, "x", 1);
    });
    os_write_file("/dev/null", "x", 1);
    struct stat s;
    CHECK(stat("/dev/null", &s) == 0 && S_ISCHR(s.st_mode) && stat("/dev/full", &s) == 0 && S_ISCHR(s.st_mode), "devices are not replaced");

    char *dir = scratch("special"), *pipe_path = os_join(dir, "pipe"), *file = os_join(dir, "file"), *link = os_join(dir, "link");
    CHECK(mkfifo(pipe_path, 0600) == 0, "a pipe");
    fflush(NULL);
    for (int mapped = 0; mapped < 2; mapped++) {
        pid_t child = fork();
        if (child == 0) {
            os_write_file(pipe_path, "through a pipe", 14);
            _exit(0);
        }
        if (mapped) {
            OsMap map = os_map(pipe_path);
            CHECK(map.size == 14 && !memcmp(map.data, "through a pipe", 14), "what cannot be mapped is read");
            os_unmap(&map);
        } else CHECK(holds(pipe_path, "through a pipe"), "a pipe is read to its end");
        waitpid(child, NULL, 0);
    }
    /* A tree is removed without following links out of it. */
    os_write_file(file, "keep", 4);
    char *tree = os_join(dir, "tree"), *inside = os_join(tree, "link");
    os_make_dir(tree);
    CHECK(symlink(dir, inside) == 0 && symlink("nowhere", link) == 0, "links");
    char *through = os_join(inside, "file");
    OsMap map = os_map(through);
    CHECK(map.size == 4 && !memcmp(map.data, "keep", 4), "mapped through a link");
    os_unmap(&map), mem_free(through);
    os_remove_tree(tree), os_remove_tree(link);
    CHECK(!os_exists(tree) && holds(file, "keep"), "what the link led to stays");
    if (getuid() != 0) {
        chmod(file, 0);
        CHECK_FAILS(EXIT_BAD_INPUT, "file: cannot be read: Permission denied", os_read(file));
        chmod(file, 0600);
    }
    mem_free(pipe_path), mem_free(file), mem_free(link), mem_free(tree), mem_free(inside), clean(dir);
}

/* ---- standard streams ---- */

static void print_much(const char *path) {
    dup2(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666), 1);
    for (int i = 0; i < 30000; i++) out_text("line %d of %s\n", i, "much");
    out_bytes("\0end", 4);
    out_flush();
}

static void print_little(const char *path) {
    dup2(open(path, O_WRONLY), 1);
    out_text("loss %d\n", 1);
    out_flush();
}

static void print_into_closed_pipe(const char *unused) {
    int ends[2];
    (void)unused;
    os_begin();
    if (pipe(ends)) exit(99);
    close(ends[0]);
    dup2(ends[1], 1);
    out_text("nobody reads this\n");
    Catch c;
    if (!setjmp(catch_begin(&c)->jump)) {
        out_flush();
        exit(98);
    }
    if (c.code != EXIT_WORK_FAILED || strcmp(c.text, "standard output: Broken pipe")) exit(97);
    out_flush(); /* what failed is not tried again on the way out */
}

static void write_dev_stdout(const char *path) {
    dup2(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666), 1);
    os_write_file("/dev/stdout", "to standard output\n", 19);
}

static void read_standard_input(const char *path) {
    dup2(open(path, O_RDONLY), 0);
    Buf text = os_read("-");
    exit(text.len == 100000 && text.data[99999] == 'x' ? 0 : 99);
}

static void read_from_folder(const char *path) {
    dup2(open(path, O_RDONLY), 0);
    os_read("-");
}

static void test_streams(void) {
    char *dir = scratch("streams"), *path = os_join(dir, "out");
    CHECK(in_child(print_much, path) == 0, "printing");
    Buf text = os_read(path), want = {0};
    for (int i = 0; i < 30000; i++) buf_format(&want, "line %d of much\n", i);
    buf_put(&want, "\0end", 4);
    CHECK(text.len == want.len && !memcmp(text.data, want.data, want.len), "%zu bytes, not %zu", text.len, want.len);
    buf_free(&text), buf_free(&want);
    if (os_exists("/dev/full"))
        CHECK(quietly(in_child, print_little, "/dev/full") == EXIT_WORK_FAILED, "a full disk behind standard output");
    CHECK(in_child(print_into_closed_pipe, "") == 0, "a closed pipe");
    if (os_exists("/dev/stdout")) {
        CHECK(in_child(write_dev_stdout, path) == 0 && holds(path, "to standard output\n"), "/dev/stdout leads to a file");
        CHECK(entries(dir) == 1, "and stays what it is");
    }
    char *many = mem_new(100000, 1);
    memset(many, 'x', 100000);
    os_write_file(path, many, 100000);
    CHECK(in_child(read_standard_input, path) == 0, "standard input");
    CHECK(quietly(in_child, read_from_folder, dir) == EXIT_BAD_INPUT, "standard input is a folder");
    mem_free(many), mem_free(path), clean(dir);
}

/* ---- interrupts ---- */

static void interrupt_once(const char *unused) {
    (void)unused;
    os_catch_interrupts();
    if (os_interrupted) exit(99);
    raise(SIGTERM);
    if (!os_interrupted) exit(98);
}
static void interrupt_twice(const char *unused) {
    interrupt_once(unused);
    raise(SIGINT);
    exit(97);
}

/* ---- keys, on a terminal whose other side is here ---- */

static int terminal = -1;

static bool by_keys(int fd) {
    struct termios mode;
    return tcgetattr(fd, &mode) == 0 && !(mode.c_lflag & (ICANON | ECHO | ISIG));
}

static void sit_at(const char *path) {
    int fd = open(path, O_RDWR | O_NOCTTY);
    dup2(fd, 0), dup2(fd, 2);
    setenv("TERM", "xterm", 1);
}

static void begin_keys(const char *path) {
    sit_at(path);
    if (by_keys(0) || !os_keys_begin() || !by_keys(0)) exit(99);
}
static void use_keys(const char *path) {
    char keys[4];
    begin_keys(path);
    if (write(terminal, "\003\r", 2) != 2 || os_keys_read(keys, 4) != 2 || keys[0] != 3 || keys[1] != '\r') exit(98);
    os_keys_end();
    if (by_keys(0)) exit(97);
    setenv("TERM", "dumb", 1);
    if (os_keys_begin()) exit(96);
    unsetenv("TERM");
    if (os_keys_begin()) exit(95);
    sit_at("/dev/null");
    if (os_keys_begin()) exit(94);
}
static void fail_at_keys(const char *path) {
    begin_keys(path);
    work_failed("while a line is typed");
}
static void interrupt_at_keys(const char *path) {
    begin_keys(path);
    interrupt_twice("");
}
static void suspend_at_keys(const char *path) {
    setpgid(0, 0); /* the group is what stops */
    begin_keys(path);
    os_keys_suspend();
    if (!by_keys(0)) exit(98);
}

static void test_keys(void) {
    terminal = posix_openpt(O_RDWR | O_NOCTTY);
    const char *path = terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0 ? ptsname(terminal) : NULL;
    int other = path ? open(path, O_RDWR | O_NOCTTY) : -1; /* as long as it is open the mode stays */
    if (other < 0) {
        SKIP("no terminals are made here");
        return;
    }
    CHECK(in_child(use_keys, path) == 0, "keys");
    CHECK(in_child(fail_at_keys, path) == EXIT_WORK_FAILED && !by_keys(other), "the usual mode after a failure");
    CHECK(in_child(interrupt_at_keys, path) == EXIT_INTERRUPTED && !by_keys(other), "and after signals");
    int status = 0;
    pid_t child = fork();
    if (child == 0) suspend_at_keys(path), exit(0);
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && !by_keys(other), "suspended in the usual mode: %d", status);
    kill(child, SIGCONT);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && !by_keys(other), "continued: %d", status);
    close(other), close(terminal);
}

static void test_interrupts(void) {
    CHECK(in_child(interrupt_once, "") == 0, "the first is noted");
    CHECK(in_child(interrupt_twice, "") == EXIT_INTERRUPTED, "the second ends the process");
}

/* ---- failing disks ---- */

enum { OLD = 5, NEW = (1 << 20) + 1000 };

static unsigned char content(size_t i) { return (unsigned char)(i * 7919 >> 5); }

/* What a save does: a large file that replaces an old one, a folder renamed to its place, a line of log. */
static void save(const char *dir) {
    char *file = os_join(dir, "state"), *making = os_join(dir, ".tmp-step"), *made = os_join(dir, "step"), *part = os_join(making, "part"),
         *log = os_join(dir, "log");
    unsigned char *bytes = mem_new(NEW, 1);
    for (size_t i = 0; i < NEW; i++) bytes[i] = content(i);
    os_write_file(file, bytes, NEW);
    os_make_dir(making);
    os_write_file(part, "part", 4);
    os_sync_dir(making);
    os_rename(making, made);
    OsLog *l = os_log_open(log);
    os_log_line(l, "saved", 5);
    os_log_close(l);
}

static const char *fault;

/* FINETUNE_FAIL is read once, so each try is this program anew, told by another variable what to do. */
static void save_with_fault(const char *dir) {
    setenv("FINETUNE_FAIL", fault, 1);
    setenv("TEST_OS_SAVE", dir, 1);
    execl("/proc/self/exe", "test_os", "faults", (char *)NULL);
    exit(99);
}

static void check_after_fault(const char *dir, int code) {
    char *file = os_join(dir, "state"), *made = os_join(dir, "step"), *part = os_join(made, "part");
    bool killed = str_starts(fault, "kill");
    CHECK(code == 0 || code == (killed ? 137 : EXIT_WORK_FAILED), "%s: exit %d", fault, code);
    Buf text = os_read(file);
    bool old = text.len == OLD && !memcmp(text.data, "old\n\n", OLD), new = text.len == NEW;
    for (size_t i = 0; i < NEW && new; i++) new = (unsigned char)text.data[i] == content(i);
    CHECK(old || new, "%s: the file is neither the old nor the new one (%zu bytes)", fault, text.len);
    CHECK(new || code, "%s: success, but the file is the old one", fault);
    CHECK(!os_exists(made) || (new && holds(part, "part")), "%s: the folder came before its parts", fault);
    size_t count;
    char **names = os_list(dir, &count);
    for (size_t i = 0; i < count; i++) CHECK(killed || !strstr(names[i], "state.tmp-"), "%s: %s is left", fault, names[i]);
    buf_free(&text), mem_free(file), mem_free(made), mem_free(part);
}

static void test_faults(void) {
    const char *told = getenv("TEST_OS_SAVE");
    if (told) { /* the child of save_with_fault */
        Catch c;
        if (!setjmp(catch_begin(&c)->jump)) {
            save(told);
            exit(0);
        }
        exit(strstr(c.text, strerror(ENOSPC)) || strstr(c.text, strerror(EIO)) || strstr(c.text, "memory") ? c.code : 98);
    }
    char *dir = scratch("faults");
    fault = "none:1";
    if (in_child(save_with_fault, dir) == 99) {
        SKIP("faults need this program to start itself by /proc/self/exe");
        clean(dir);
        return;
    }
    /* how many of each there are: two writes for the state, one for the part, one for the line; a sync for each file and its
     * folder, one for the folder made, one after its rename; three renames */
    static const struct {
        const char *kind;
        int least, most;
    } kinds[] = {{"write", 4, 4}, {"sync", 6, 6}, {"rename", 3, 3}, {"kill", 13, 13}, {"alloc", 5, 100}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int n = 1, code = 1;
        for (; code && n < 200; n++) {
            char *tried = os_join(dir, "n"), *file = os_join(tried, "state");
            os_remove_tree(tried), os_make_dir(tried);
            os_write_file(file, "old\n\n", OLD);
            fault = str_format("%s:%d", kinds[k].kind, n);
            code = quietly(in_child, save_with_fault, tried);
            check_after_fault(tried, code);
            mem_free(tried), mem_free(file);
        }
        CHECK(n - 2 >= kinds[k].least && n - 2 <= kinds[k].most, "%d faults of kind %s", n - 2, kinds[k].kind);
    }
    clean(dir);
}

/* The size limit of a process as a disk that is full half way: a real failure of a real write. */
static void write_beyond_limit(const char *path) {
    struct rlimit limit = {700000, 700000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit)) exit(99);
    unsigned char *bytes = mem_new(NEW, 1);
    os_write_file(path, bytes, NEW);
}

/* Left between create and commit, by a failure elsewhere. */
static void fail_half_way(const char *path) {
    OsFile *f = os_create(path);
    os_write(f, "half", 4);
    bad_input("something else");
}

static void test_half_way(void) {
    char *dir = scratch("half"), *path = os_join(dir, "state");
    os_write_file(path, "old", 3);
    CHECK(quietly(in_child, write_beyond_limit, path) == EXIT_WORK_FAILED && holds(path, "old") && entries(dir) == 1, "a full disk");
    CHECK(quietly(in_child, fail_half_way, path) == EXIT_BAD_INPUT && holds(path, "old") && entries(dir) == 1, "never committed");
    mem_free(path), clean(dir);
}

TESTS({"files", test_files}, {"folders", test_folders}, {"log", test_log}, {"machine", test_machine}, {"lock", test_lock},
      {"special files", test_special_files}, {"streams", test_streams}, {"interrupts", test_interrupts}, {"keys", test_keys}, {"faults", test_faults},
      {"half way", test_half_way})
#else
TESTS({"files", test_files}, {"folders", test_folders}, {"log", test_log}, {"machine", test_machine})
#endif
