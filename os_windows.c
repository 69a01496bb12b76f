#ifdef _WIN32

#define PSAPI_VERSION 2

#include "os_system.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <sys/stat.h>
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

int sys_open(const char *path, OpenMode mode) {
    static const int flags[] = {_O_RDONLY, _O_WRONLY | _O_CREAT | _O_TRUNC, _O_WRONLY | _O_CREAT | _O_APPEND, _O_WRONLY};
    wchar_t *w = wide(path);
    int fd = _wopen(w, flags[mode] | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    mem_free(w);
    return fd;
}

int64_t sys_read(int fd, void *bytes, size_t n) { return _read(fd, bytes, (unsigned)n); }
int64_t sys_write(int fd, const void *bytes, size_t n) { return _write(fd, bytes, (unsigned)n); }
int sys_close(int fd) { return _close(fd); }
int sys_sync(int fd) { return _commit(fd); }
int sys_resize(int fd, size_t size) { return (errno = _chsize_s(fd, (int64_t)size)) ? -1 : 0; }

PathKind sys_kind(const char *path, bool follow, uint64_t *size) {
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

int sys_rename(const char *from, const char *to) {
    wchar_t *a = wide(from), *b = wide(to);
    int result = done(MoveFileExW(a, b, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
    mem_free(b), mem_free(a);
    return result;
}

int sys_make_dir(const char *path) {
    wchar_t *w = wide(path);
    int result = done(CreateDirectoryW(w, NULL));
    mem_free(w);
    return result;
}

int sys_remove(const char *path) {
    wchar_t *w = wide(path);
    DWORD attributes = GetFileAttributesW(w);
    bool folder = attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY;
    int result = done(folder ? RemoveDirectoryW(w) : DeleteFileW(w));
    mem_free(w);
    return result;
}

/* MoveFileEx with write-through has made the name durable; a folder cannot be synced here. */
int sys_sync_dir(const char *path) {
    (void)path;
    return 0;
}

int sys_each(const char *dir, void (*each)(void *context, const char *name), void *context) {
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

const void *sys_map(const char *path, uint64_t size) {
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

void sys_unmap(const void *at, size_t size) {
    (void)size;
    UnmapViewOfFile(at);
}

/* Unlocking what was never locked takes it out of the working set. */
void sys_forget(const void *at, size_t size) { VirtualUnlock((void *)(uintptr_t)at, size); }

/* Deleted when closed, and closed when the process ends. */
intptr_t sys_lock(const char *path) {
    wchar_t *w = wide(path);
    DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE h = CreateFileW(w, GENERIC_READ | GENERIC_WRITE | DELETE, share, NULL, OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    mem_free(w);
    if (h == INVALID_HANDLE_VALUE) return done(FALSE);
    OVERLAPPED from = {0};
    if (LockFileEx(h, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &from)) return (intptr_t)h;
    CloseHandle(h);
    return -2;
}

void sys_unlock(const char *path, intptr_t handle) {
    (void)path;
    CloseHandle((HANDLE)handle);
}

char *sys_program(void) {
    char path[4096];
    DWORD n = GetModuleFileNameA(NULL, path, sizeof path);
    for (DWORD i = 0; i < n; i++)
        if (path[i] == '\\') path[i] = '/';
    return n > 0 && n < sizeof path ? str_copy_n(path, n) : NULL;
}

int sys_run(const char *path, char *const *argv, const char *to) {
    int out = to ? _dup(1) : -1, err = to ? _dup(2) : -1, log = to && *to ? _open(to, _O_WRONLY | _O_CREAT | _O_APPEND, _S_IREAD | _S_IWRITE) : -1;
    if (log >= 0) _dup2(log, 2), _close(log);
    if (out >= 0) _dup2(2, 1);
    int code = (int)_spawnv(_P_WAIT, path, (const char *const *)argv);
    if (out >= 0) _dup2(out, 1), _close(out), _dup2(err, 2), _close(err);
    return code;
}

int sys_pid(void) { return _getpid(); }
void sys_exit_now(int code) { _exit(code); }

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

int os_terminal_rows(void) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &info)) return 24;
    return info.srWindow.Bottom - info.srWindow.Top + 1;
}

/* The console edits lines itself: arrows, history, pasting. */
bool os_keys_begin(void) { return false; }
void os_keys_end(void) {}
void os_keys_suspend(void) {}
size_t os_keys_read(void *bytes, size_t n) {
    (void)bytes, (void)n;
    return 0;
}

size_t os_peak_memory(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.PeakWorkingSetSize : 0;
}

uint64_t os_memory(void) {
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

uint64_t sys_disk_free(const char *dir) {
    wchar_t *w = wide(dir);
    ULARGE_INTEGER bytes;
    BOOL known = GetDiskFreeSpaceExW(w, &bytes, NULL, NULL);
    mem_free(w);
    return known ? bytes.QuadPart : UINT64_MAX;
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
typedef int os_windows_is_not_needed_here;
#endif
