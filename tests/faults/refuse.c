/* Preloaded into the engine and the tools it starts: counts what they change below one folder, and refuses it on demand.
 *
 * STILLFRAME_REFUSE names a file with a struct control, shared by all processes and written by refusing.py. QEMU's guests
 * are left alone: their disks have faults of their own (blkdebug).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    int armed;   /* 0: look away */
    int number;  /* the call to refuse, counted from 1; 0: only count */
    int error;   /* with this errno */
    int forever; /* and all that follow */
    int count;   /* calls so far */
    int hits;    /* calls refused */
    char folder[512];
    char last[512]; /* the first call refused, in words */
};

static struct control *control;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

/* Looked for at each call: a process may get the variable after it has started. */
static int watched(void) {
    if (control != NULL) return control->armed;
    const char *path = getenv("STILLFRAME_REFUSE");
    if (path == NULL || strncmp(program_invocation_short_name, "qemu-system", 11) == 0) return 0;
    int saved = errno, file = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (file >= 0) {
        void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
        if (found != MAP_FAILED) control = found;
    }
    errno = saved;
    return control != NULL && control->armed;
}

/* Whether this call is to fail; errno is set then. `gives` calls free space or change none: a full disk allows them. */
static int refused(const char *name, const char *path, int gives) {
    if (strncmp(path, control->folder, strlen(control->folder)) != 0) return 0;
    if (gives && control->error == ENOSPC) return 0;
    int now = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (control->number == 0 || now < control->number || (now > control->number && !control->forever)) return 0;
    if (__atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST) == 1)
        snprintf(control->last, sizeof control->last, "%s %s", name, path + strlen(control->folder));
    errno = control->error;
    return 1;
}

static int refused_file(const char *name, int file, int gives) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length < 0) return 0;
    path[length] = 0;
    return refused(name, path, gives);
}

#define BY_FILE(type, name, gives, parameters, ...) \
    type name parameters { \
        if (watched() && refused_file(#name, file, gives)) return -1; \
        return REAL(name)(__VA_ARGS__); \
    }
#define BY_PATH(name, which, gives, parameters, ...) \
    int name parameters { \
        if (watched() && refused(#name, which, gives)) return -1; \
        return REAL(name)(__VA_ARGS__); \
    }

BY_FILE(ssize_t, write, 0, (int file, const void *data, size_t size), file, data, size)
BY_FILE(ssize_t, pwrite, 0, (int file, const void *data, size_t size, off_t at), file, data, size, at)
BY_FILE(ssize_t, pwrite64, 0, (int file, const void *data, size_t size, off64_t at), file, data, size, at)
BY_FILE(ssize_t, writev, 0, (int file, const struct iovec *data, int count), file, data, count)
BY_FILE(ssize_t, pwritev, 0, (int file, const struct iovec *data, int count, off_t at), file, data, count, at)
BY_FILE(ssize_t, pwritev64, 0, (int file, const struct iovec *data, int count, off64_t at), file, data, count, at)
BY_FILE(int, fsync, 0, (int file), file)
BY_FILE(int, fdatasync, 0, (int file), file)
BY_FILE(int, ftruncate, 0, (int file, off_t size), file, size)
BY_FILE(int, ftruncate64, 0, (int file, off64_t size), file, size)
BY_FILE(int, fallocate, 0, (int file, int mode, off_t at, off_t size), file, mode, at, size)
BY_FILE(int, fallocate64, 0, (int file, int mode, off64_t at, off64_t size), file, mode, at, size)
BY_FILE(int, fchmod, 1, (int file, mode_t mode), file, mode)
BY_PATH(link, to, 0, (const char *from, const char *to), from, to)
BY_PATH(linkat, to, 0, (int a, const char *from, int b, const char *to, int flags), a, from, b, to, flags)
BY_PATH(rename, to, 0, (const char *from, const char *to), from, to)
BY_PATH(renameat, to, 0, (int a, const char *from, int b, const char *to), a, from, b, to)
BY_PATH(mkdir, path, 0, (const char *path, mode_t mode), path, mode)
BY_PATH(chmod, path, 1, (const char *path, mode_t mode), path, mode)
BY_PATH(fchmodat, path, 1, (int at, const char *path, mode_t mode, int flags), at, path, mode, flags)
BY_PATH(unlink, path, 1, (const char *path), path)
BY_PATH(unlinkat, path, 1, (int at, const char *path, int flags), at, path, flags)
BY_PATH(truncate, path, 0, (const char *path, off_t size), path, size)

int posix_fallocate(int file, off_t at, off_t size) {
    if (watched() && refused_file("posix_fallocate", file, 0)) return errno;
    return REAL(posix_fallocate)(file, at, size);
}

int posix_fallocate64(int file, off64_t at, off64_t size) {
    if (watched() && refused_file("posix_fallocate64", file, 0)) return errno;
    return REAL(posix_fallocate64)(file, at, size);
}

#define OPENS(name, parameters, ...) \
    int name parameters { \
        mode_t mode = 0; \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        if (watched() && (flags & O_CREAT) && refused(#name, path, 0)) return -1; \
        return REAL(name)(__VA_ARGS__, mode); \
    }

OPENS(open, (const char *path, int flags, ...), path, flags)
OPENS(open64, (const char *path, int flags, ...), path, flags)
OPENS(openat, (int at, const char *path, int flags, ...), at, path, flags)
OPENS(openat64, (int at, const char *path, int flags, ...), at, path, flags)
