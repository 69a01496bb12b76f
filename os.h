/* os: the only room that talks to the operating system: os.c, and below it os_posix.c or os_windows.c.
 *
 * Paths are UTF-8 with '/' between the parts. A failed write or a full disk is work_failed; a file that
 * is missing or unreadable is bad_input, both naming the path and the system's own reason.
 */
#ifndef OS_H
#define OS_H

#include "base.h"

#include <signal.h>

/* ---- start, clock, terminal, machine ---- */
/* First of all in main: a reader of our output that goes away becomes a failed write; binary streams on Windows. */
void os_begin(void);
double os_seconds(void);                  /* monotonic */
bool os_is_terminal(int fd);
int os_terminal_columns(void);            /* 80 when unknown */
int os_terminal_rows(void);               /* 24 when unknown */
size_t os_peak_memory(void);              /* peak resident bytes of this process; 0 when unknown */
int os_cpu_count(void);
/* Bytes of memory that this process may have: the machine's, or less where a container or ulimit sets a limit; 0 when unknown. */
uint64_t os_memory(void);

/* ---- reading ---- */
typedef struct {
    const unsigned char *data;
    size_t size;
    void *handle;                         /* private */
} OsMap;
bool os_exists(const char *path);
bool os_is_dir(const char *path);
OsMap os_map(const char *path);           /* the whole file, read-only */
void os_unmap(OsMap *map);
/* What was read of it need not stay in memory; it comes back from the file when it is read again. */
void os_map_forget(const OsMap *map);
Buf os_read(const char *path);            /* "-" is standard input */
/* The next line of standard input, without its end; false: there is none. Replaces what is in line. */
bool os_read_line(Buf *line);
/* The keyboard key by key: until os_keys_end, or the end of the program however it comes, the terminal shows nothing of itself, no key sends a signal, and
 * what is pasted stands between ESC[200~ and ESC[201~. false: it cannot (no terminal, TERM=dumb; Windows, whose console lets lines be edited itself). */
bool os_keys_begin(void);
void os_keys_end(void);
size_t os_keys_read(void *bytes, size_t n);   /* waits for the first; 0: the terminal is gone */
void os_keys_suspend(void);                   /* what Ctrl-Z does; returns when the program is continued */
/* Names in a folder, sorted by bytes, without . and ..; free each and the list. */
char **os_list(const char *dir, size_t *count);
/* "a/b": never doubles a slash. */
char *os_join(const char *dir, const char *name);

/* ---- writing ---- */
/* A file being written under a temporary name beside its place; os_commit makes it durable (flush, fsync,
 * rename, fsync of the folder). Every step is checked. A file never committed leaves the old one whole. */
typedef struct OsFile OsFile;
OsFile *os_create(const char *path);
void os_write(OsFile *f, const void *bytes, size_t n);
void os_commit(OsFile *f);
void os_write_file(const char *path, const void *bytes, size_t n);   /* create, write, commit */
void os_write_in(const char *dir, const char *name, Buf text);         /* the same, a file of a folder; frees the text */
void os_copy_file(const char *from_dir, const char *to_dir, const char *name);

/* An append-only log: opened at its end, flushed at each line. */
typedef struct OsLog OsLog;
OsLog *os_log_open(const char *path);
void os_log_line(OsLog *log, const char *line, size_t n);            /* adds the '\n' */
void os_log_sync(OsLog *log);                                        /* durable up to here */
void os_log_close(OsLog *log);
void os_truncate(const char *path, size_t size);

/* Standard output, checked: a full disk or a closed pipe is work_failed. Buffered unless it is a terminal: main
 * ends with out_flush, and what is streamed is flushed as it comes. */
void out_text(const char *format, ...) PRINTF_LIKE(1, 2);
void out_bytes(const void *bytes, size_t n);
void out_flush(void);

void os_make_dir(const char *path);       /* with its parents; an existing one is fine */
void os_rename(const char *from, const char *to);   /* replaces; then fsyncs the folder */
void os_sync_dir(const char *path);
/* Bytes of the files in a folder and below, or of one file; 0 when nothing is there. */
uint64_t os_tree_bytes(const char *path);
/* bad_input when the disk that holds path, or will, has not so many bytes free; `what` begins the message ("a checkpoint of step 7"),
 * `remedy` ends it. */
void os_need_space(const char *path, uint64_t bytes, const char *what, const char *remedy);
void os_remove_tree(const char *path);    /* missing is fine */

/* Refuses with bad_input when another process holds it; released when the process ends, however it ends. */
typedef struct OsLock OsLock;
OsLock *os_lock(const char *path, const char *refusal);
void os_unlock(OsLock *lock);

/* Runs the program `name` that stands in this program's folder with the words first, second and argv, and returns its exit code.
 * Not there: bad_input "make NAME". to: NULL: its results are
 * ours; "": they are progress here, and go to standard error; else a file that all it prints is appended to. */
int os_run_beside(const char *name, const char *first, const char *second, int argc, char **argv, const char *to);

/* ---- interrupts ---- */
/* The first Ctrl-C (or SIGTERM) sets this; the second ends the process at once. */
extern volatile sig_atomic_t os_interrupted;
void os_catch_interrupts(void);

/* For the tests of failing disks and memory: the environment variable FINETUNE_FAIL=write:N (or alloc:N,
 * sync:N, rename:N, space:N) lets the N-th such call fail, counting from 1; and kill:N ends the process at the N-th
 * write, sync or rename as a power cut would. */
bool os_fault(const char *kind);

#endif
