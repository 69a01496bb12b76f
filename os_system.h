/* os_system: the few calls in which the two systems differ, for os.c alone. os_posix.c and os_windows.c have them,
 * together with what os.h promises of clock, terminal, machine and interrupts.
 *
 * Every int is 0 or -1 with the reason in errno.
 */
#ifndef OS_SYSTEM_H
#define OS_SYSTEM_H

#include "os.h"

typedef enum { PATH_NONE, PATH_FILE, PATH_FOLDER, PATH_LINK, PATH_SPECIAL } PathKind;
typedef enum { OPEN_READ, OPEN_NEW, OPEN_APPEND, OPEN_UPDATE } OpenMode;

int sys_open(const char *path, OpenMode mode);             /* a descriptor, or -1 */
int64_t sys_read(int fd, void *bytes, size_t n);           /* bytes read, 0 at the end, or -1 */
int64_t sys_write(int fd, const void *bytes, size_t n);    /* bytes written, or -1 */
int sys_close(int fd);
int sys_sync(int fd);
int sys_resize(int fd, size_t size);

/* size may be NULL. follow false: a link is PATH_LINK and not what it leads to. */
PathKind sys_kind(const char *path, bool follow, uint64_t *size);
int sys_rename(const char *from, const char *to);
int sys_make_dir(const char *path);
int sys_remove(const char *path);                          /* a file, or an empty folder */
int sys_sync_dir(const char *path);
uint64_t sys_disk_free(const char *dir);                   /* bytes free to this user; UINT64_MAX when unknown */
/* Calls each(context, name) for every entry of a folder. */
int sys_each(const char *dir, void (*each)(void *context, const char *name), void *context);

const void *sys_map(const char *path, uint64_t size);      /* NULL on failure */
void sys_unmap(const void *at, size_t size);
void sys_forget(const void *at, size_t size);              /* a hint */

intptr_t sys_lock(const char *path);                       /* a handle; -1 on failure; -2 when another holds it */
void sys_unlock(const char *path, intptr_t handle);
int sys_pid(void);
char *sys_program(void);                                   /* path of this program; NULL when unknown */
/* Its exit code; -1 when it cannot be started. to: see os_run_beside. */
int sys_run(const char *path, char *const *argv, const char *to);
_Noreturn void sys_exit_now(int code);                     /* no atexit, no flush */

#endif
