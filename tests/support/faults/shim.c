/* Stands between a program and the C library: counts the calls that change (or read) files below some folders, and
   at one of them kills the process, lets it fail, or writes it down so that a power cut can be played back.

   LD_PRELOAD=shim.so, then mb_fault_open(control, roots, journal) in the process that is meant; until then it only
   passes on.  The control file is shared memory (tests/support/faults/control.py writes it), so a test arms and
   disarms a running process.  Only files: sockets and what lies elsewhere are never touched. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN_READ = 1, OPEN_WRITE = 2, READ = 4, WRITE = 8, SYNC = 16, RENAME = 32, REMOVE = 64, MAKE = 128, ATTR = 256, CUT = 512 };
enum { NOTHING = 0, KILL = 1, FAIL = 2 };

struct control {            /* control.py: the same, "=QQQIIIIIi64s512s128s" */
    _Atomic uint64_t count; /* calls of the wanted classes so far */
    uint64_t at;            /* the call at which it happens, from 1; 0: never */
    _Atomic uint64_t sequence; /* of the journal */
    uint32_t action, error, sticky, classes;
    _Atomic uint32_t hits;
    int32_t unused;
    char name[64], path[512]; /* of the first hit */
    char only[128];           /* of the wanted calls: those whose name or path contains this */
};

static struct control *shared;
static char *roots[8];
static int journal = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;

int mb_fault_open(const char *control, const char *where, const char *journal_path) {
    int handle = open(control, O_RDWR | O_CLOEXEC);
    if (handle < 0) return -1;
    struct control *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (mapped == MAP_FAILED) return -1;
    char *rest = strdup(where), *one;
    for (int at = 0; at < 7 && (one = strsep(&rest, ":")); at++) roots[at] = one;
    if (*journal_path) {
        int opened = open(journal_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        journal = fcntl(opened, F_DUPFD_CLOEXEC, 900); /* out of the way of the program's own numbers */
        close(opened);
    }
    shared = mapped;
    return 0;
}

static int wanted(const char *path) {
    for (int at = 0; roots[at]; at++) {
        size_t length = strlen(roots[at]);
        if (!strncmp(path, roots[at], length) && (path[length] == '/' || path[length] == 0 || path[length] == ' ')) return 1;
    }
    return 0;
}

/* Is it the folder in which a root has its name?  Its sync makes that name safe. */
static int holds_a_root(const char *path) {
    size_t length = strlen(path);
    for (int at = 0; roots[at]; at++) {
        const char *name = roots[at] + length;
        if (!strncmp(path, roots[at], length) && *name == '/' && !strchr(name + 1, '/')) return 1;
    }
    return 0;
}

/* Does the path (or descriptor) belong to us?  out: PATH_MAX bytes, the whole path. */
static int known_handle(int handle, char *out) {
    if (!shared || inside || handle < 0) return 0;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    int before = errno;
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    errno = before;
    if (length <= 0 || *out != '/') return 0;
    out[length] = 0;
    return wanted(out);
}

static int known_path(int folder, const char *path, char *out) {
    if (!shared || inside || !path) return 0;
    if (*path == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return wanted(out);
    }
    char base[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[40];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    return wanted(out);
}

/* Whether this call is to fail (errno is set then).  A kill does not return. */
static int hit(int class, const char *name, const char *path) {
    if (!(shared->classes & class)) return 0;
    if (*shared->only && !strstr(path, shared->only) && !strstr(name, shared->only)) return 0;
    uint64_t number = atomic_fetch_add(&shared->count, 1) + 1;
    if (!shared->at || number < shared->at || (number > shared->at && !shared->sticky)) return 0;
    if (atomic_fetch_add(&shared->hits, 1) == 0) {
        strncpy(shared->name, name, sizeof shared->name - 1);
        strncpy(shared->path, path, sizeof shared->path - 1);
    }
    if (shared->action == KILL) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    if (shared->action != FAIL) return 0;
    errno = shared->error;
    return 1;
}

/* ---- the journal: what really happened, in order ---- */

static void begin(void) { if (journal >= 0) pthread_mutex_lock(&order); }

static void end(void) {
    if (journal >= 0) { int before = errno; pthread_mutex_unlock(&order); errno = before; }
}

static ssize_t (*plain_write)(int, const void *, size_t);

static void note(char type, const char *one, const char *other, int64_t offset, const void *data, uint32_t length) {
    if (journal < 0) return;
    int before = errno;
    uint32_t head[4] = {0, strlen(one), strlen(other), length};
    head[0] = 16 + 1 + 8 + head[1] + head[2] + head[3];
    char *record = malloc(head[0]), *at = record;
    memcpy(at, head, 16); at += 16;
    *at++ = type;
    memcpy(at, &offset, 8); at += 8;
    memcpy(at, one, head[1]); at += head[1];
    memcpy(at, other, head[2]); at += head[2];
    if (length) memcpy(at, data, length);
    if (plain_write(journal, record, head[0]) != (ssize_t)head[0]) abort();
    free(record);
    atomic_fetch_add(&shared->sequence, 1);
    errno = before;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void find_write(void) { plain_write = dlsym(RTLD_NEXT, "write"); }

/* ---- opening ---- */

#define OPENING(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)) ? OPEN_WRITE : OPEN_READ)

static int opened(int (*real)(int, const char *, int, ...), int folder, const char *path, int flags, mode_t mode, const char *name) {
    char whole[PATH_MAX];
    if (!known_path(folder, path, whole)) return real(folder, path, flags, mode);
    if (hit(OPENING(flags), name, whole)) return -1;
    if (journal < 0 || OPENING(flags) == OPEN_READ) return real(folder, path, flags, mode);
    begin();
    inside = 1;
    int was_there = !faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW);
    int handle = real(folder, path, flags, mode);
    inside = 0;
    if (handle >= 0 && !was_there) note('c', whole, "", 0, NULL, 0);
    if (handle >= 0 && was_there && (flags & O_TRUNC)) note('t', whole, "", 0, NULL, 0);
    end();
    return handle;
}

#define OPENER(name, real_name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
        static int (*real)(int, const char *, int, ...); \
        if (!real) real = dlsym(RTLD_NEXT, real_name); \
        return opened(real, AT_FDCWD, path, flags, mode, "open"); \
    }
#define OPENER_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
        static int (*real)(int, const char *, int, ...); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        return opened(real, folder, path, flags, mode, "open"); \
    }
OPENER(open, "openat")
OPENER(open64, "openat64")
OPENER_AT(openat)
OPENER_AT(openat64)

/* ---- reading ---- */

ssize_t read(int handle, void *data, size_t size) {
    REAL(ssize_t, "read", int, void *, size_t);
    char path[PATH_MAX];
    if (shared && (shared->classes & READ) && known_handle(handle, path) && hit(READ, "read", path)) return -1;
    return real(handle, data, size);
}

#define PREAD(name) \
    ssize_t name(int handle, void *data, size_t size, off_t offset) { \
        REAL(ssize_t, #name, int, void *, size_t, off_t); \
        char path[PATH_MAX]; \
        if (shared && (shared->classes & READ) && known_handle(handle, path) && hit(READ, "read", path)) return -1; \
        return real(handle, data, size, offset); \
    }
PREAD(pread)
PREAD(pread64)

/* ---- writing ---- */

ssize_t write(int handle, const void *data, size_t size) {
    char path[PATH_MAX];
    if (!plain_write) find_write();
    if (!known_handle(handle, path)) return plain_write(handle, data, size);
    if (hit(WRITE, "write", path)) return -1;
    begin();
    int appends = journal >= 0 && (fcntl(handle, F_GETFL) & O_APPEND);
    off_t at = journal < 0 ? 0 : lseek(handle, 0, appends ? SEEK_END : SEEK_CUR);
    ssize_t done = plain_write(handle, data, size);
    if (done > 0) note('w', path, "", at, data, done);
    end();
    return done;
}

#define PWRITE(name) \
    ssize_t name(int handle, const void *data, size_t size, off_t offset) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        char path[PATH_MAX]; \
        if (!known_handle(handle, path)) return real(handle, data, size, offset); \
        if (hit(WRITE, "write", path)) return -1; \
        begin(); \
        ssize_t done = real(handle, data, size, offset); \
        if (done > 0) note('w', path, "", offset, data, done); \
        end(); \
        return done; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define CUTTING(name) \
    int name(int handle, off_t length) { \
        REAL(int, #name, int, off_t); \
        char path[PATH_MAX]; \
        if (!known_handle(handle, path)) return real(handle, length); \
        if (hit(CUT, "ftruncate", path)) return -1; \
        begin(); \
        int result = real(handle, length); \
        if (!result) note('t', path, "", length, NULL, 0); \
        end(); \
        return result; \
    }
CUTTING(ftruncate)
CUTTING(ftruncate64)

/* ---- syncing ---- */

#define SYNCING(name, type) \
    int name(int handle) { \
        REAL(int, #name, int); \
        char path[PATH_MAX] = ""; \
        if (!known_handle(handle, path)) { \
            int synced = real(handle); \
            if (!synced && *path && holds_a_root(path)) { begin(); note(type, path, "", 0, NULL, 0); end(); } \
            return synced; \
        } \
        begin(); \
        if (hit(SYNC, #name, path)) { note('f', path, "", 0, NULL, 0); end(); return -1; } \
        int result = journal < 0 ? real(handle) : 0; \
        if (!result) note(type, path, "", 0, NULL, 0); \
        end(); \
        return result; \
    }
SYNCING(fsync, 's')
SYNCING(fdatasync, 's')
SYNCING(syncfs, 'S')

/* ---- names ---- */

#define TWO_NAMES(type, class, label, call) \
    char one[PATH_MAX], other[PATH_MAX]; \
    if (!(known_path(from, old, one) | known_path(to, new, other))) return call; \
    if (hit(class, label, other)) return -1; \
    begin(); \
    int result = call; \
    if (!result) note(type, one, other, 0, NULL, 0); \
    end(); \
    return result;

int renameat2(int from, const char *old, int to, const char *new, unsigned int flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned int);
    TWO_NAMES(flags & 2 ? 'x' : 'r', RENAME, flags & 2 ? "exchange" : "rename", real(from, old, to, new, flags))
}
int renameat(int from, const char *old, int to, const char *new) {
    REAL(int, "renameat", int, const char *, int, const char *);
    TWO_NAMES('r', RENAME, "rename", real(from, old, to, new))
}
int rename(const char *old, const char *new) {
    REAL(int, "rename", const char *, const char *);
    int from = AT_FDCWD, to = AT_FDCWD;
    TWO_NAMES('r', RENAME, "rename", real(old, new))
}
int linkat(int from, const char *old, int to, const char *new, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    TWO_NAMES('l', RENAME, "link", real(from, old, to, new, flags))
}
int link(const char *old, const char *new) {
    REAL(int, "link", const char *, const char *);
    int from = AT_FDCWD, to = AT_FDCWD;
    TWO_NAMES('l', RENAME, "link", real(old, new))
}

#define ONE_NAME(type, class, label, text, call) \
    char whole[PATH_MAX]; \
    if (!known_path(folder, path, whole)) return call; \
    if (hit(class, label, whole)) return -1; \
    begin(); \
    int result = call; \
    if (!result) note(type, whole, text, 0, NULL, 0); \
    end(); \
    return result;

int symlinkat(const char *target, int folder, const char *path) {
    REAL(int, "symlinkat", const char *, int, const char *);
    ONE_NAME('y', MAKE, "symlink", target, real(target, folder, path))
}
int symlink(const char *target, const char *path) {
    REAL(int, "symlink", const char *, const char *);
    int folder = AT_FDCWD;
    ONE_NAME('y', MAKE, "symlink", target, real(target, path))
}
int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    ONE_NAME('m', MAKE, "mkdir", "", real(folder, path, mode))
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    int folder = AT_FDCWD;
    ONE_NAME('m', MAKE, "mkdir", "", real(path, mode))
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    ONE_NAME('u', REMOVE, "unlink", "", real(folder, path, flags))
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    int folder = AT_FDCWD;
    ONE_NAME('u', REMOVE, "unlink", "", real(path))
}
int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    int folder = AT_FDCWD;
    ONE_NAME('u', REMOVE, "rmdir", "", real(path))
}

/* ---- rights and times: they change the disk, and are played back as they are ---- */

int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    REAL(int, "fchmodat", int, const char *, mode_t, int);
    char whole[PATH_MAX];
    if (known_path(folder, path, whole) && hit(ATTR, "chmod", whole)) return -1;
    return real(folder, path, mode, flags);
}
int fchmod(int handle, mode_t mode) {
    REAL(int, "fchmod", int, mode_t);
    char whole[PATH_MAX];
    if (known_handle(handle, whole) && hit(ATTR, "chmod", whole)) return -1;
    return real(handle, mode);
}
static void note_mtime(const char *whole, const struct timespec times[2]) {
    struct timespec now;
    if (times && times[1].tv_nsec == UTIME_OMIT) return;
    const struct timespec *mtime = times ? &times[1] : &now;
    if (!times || times[1].tv_nsec == UTIME_NOW) {
        clock_gettime(CLOCK_REALTIME, &now);
        mtime = &now;
    }
    note('a', whole, "", mtime->tv_sec * 1000000000LL + mtime->tv_nsec, NULL, 0);
}
int futimens(int handle, const struct timespec times[2]) {
    REAL(int, "futimens", int, const struct timespec *);
    char whole[PATH_MAX];
    if (known_handle(handle, whole) && hit(ATTR, "utimens", whole)) return -1;
    begin();
    int result = real(handle, times);
    if (!result && known_handle(handle, whole)) note_mtime(whole, times);
    end();
    return result;
}
int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    REAL(int, "utimensat", int, const char *, const struct timespec *, int);
    char whole[PATH_MAX];
    if (known_path(folder, path, whole) && hit(ATTR, "utimens", whole)) return -1;
    begin();
    int result = real(folder, path, times, flags);
    if (!result && known_path(folder, path, whole)) note_mtime(whole, times);
    end();
    return result;
}
