/* Faults for a running Palisade, let in between it and the kernel.
 *
 * Loaded by LD_PRELOAD into the real binary, so that the product needs no hooks. It stands in
 * for the few calls by which a takeover touches the world: the ledger's writes and fsyncs, the
 * bytes to and the end of a connection to the store, the bytes from and to a client. What it is
 * to do is in a file that is mapped shared; the words of it are named below and in shim.rs.
 *
 * All calls go to the kernel by syscall(2), so nothing of libc is looked up at run time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The words of the control file. */
enum {
    FIRST_SITE,   /* what counts down now; 0 is nothing */
    FIRST_COUNT,  /* how many calls of it, this one included, until it is reached */
    SECOND_SITE,  /* what counts down when the first is reached; 0: die at the first */
    SECOND_COUNT,
    MOMENT,       /* die before the call, in the middle of it, or after it */
    IS_POWER_CUT, /* what was not synced may be lost, too */
    SEED,         /* which of it */
    IS_SECOND,    /* the first was reached */
    DISK,         /* how the ledger's disk is */
    LISTEN_PORT,
    STORE_PORT,
    DEATHS,       /* counted: times that it has killed its process */
    DISK_FAULTS,  /* counted: calls that a bad disk has answered */
    LOST_BYTES,   /* counted: bytes that power cuts have taken back */
    WORDS = 512
};
enum { SITE_WRITE = 1, SITE_SYNC, SITE_SEND, SITE_CLOSE, SITE_RECEIVE, SITE_REPLY };
enum { BEFORE, TORN, AFTER };
enum { DISK_GOOD, DISK_SYNC_FAILS, DISK_SYNC_HANGS, DISK_FULL };

#define FDS_MAX 65536
#define UNSYNCED_MAX 4096
#define SECTOR_BYTES 512
enum { OTHER, TO_STORE, FROM_CLIENT };

static _Atomic uint64_t *control;
static const char *ledger;
static _Atomic unsigned char kinds[FDS_MAX];

/* What was in the ledger before each write since its last fsync. */
static struct { off_t offset; size_t length; char *before; } unsynced[UNSYNCED_MAX];
static int unsynced_count;
static int ledger_fd = -1;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PALISADE_TORTURE_CONTROL");
    ledger = getenv("PALISADE_TORTURE_LEDGER");
    if (!path || !ledger)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *map = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map != MAP_FAILED)
        control = map;
}

static int is_ledger(int fd)
{
    if (!control)
        return 0;
    char link[64] = "/proc/self/fd/", path[4096], digits[16];
    int at = 14, count = 0;
    do { digits[count++] = (char)('0' + fd % 10); } while (fd /= 10);
    while (count) link[at++] = digits[--count];
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return strcmp(path, ledger) == 0;
}

static int is_kind(int fd, int kind)
{
    return control && fd >= 0 && fd < FDS_MAX && kinds[fd] == kind;
}

/* Writes that were not synced may be on the disk or not, each sector for itself. */
static void lose_unsynced(void)
{
    uint64_t chance = control[SEED] | 1;
    while (unsynced_count > 0) {
        int last = --unsynced_count;
        for (size_t done = 0; done < unsynced[last].length;) {
            off_t offset = unsynced[last].offset + (off_t)done;
            size_t step = SECTOR_BYTES - (size_t)(offset % SECTOR_BYTES);
            if (step > unsynced[last].length - done)
                step = unsynced[last].length - done;
            chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
            if (chance >> 63) {
                syscall(SYS_pwrite64, ledger_fd, unsynced[last].before + done, step, offset);
                control[LOST_BYTES] += step;
            }
            done += step;
        }
    }
}

static void die(int has_lock)
{
    if (control[IS_POWER_CUT]) {
        if (!has_lock)
            pthread_mutex_lock(&writing);
        lose_unsynced();
    }
    control[DEATHS]++;
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Whether this call is the one at which the process is to die. */
static int is_reached(int site)
{
    if (control[IS_SECOND])
        return control[SECOND_SITE] == (uint64_t)site
            && atomic_fetch_sub(&control[SECOND_COUNT], 1) == 1;
    if (control[FIRST_SITE] != (uint64_t)site || atomic_fetch_sub(&control[FIRST_COUNT], 1) != 1)
        return 0;
    if (!control[SECOND_SITE])
        return 1;
    control[IS_SECOND] = 1;
    return 0;
}

/* A call that moves bytes: `half` does the first half of it. */
#define AT(site, has_lock, half, whole)                     \
    ({                                                      \
        int reached = is_reached(site);                     \
        if (reached && control[MOMENT] == BEFORE)           \
            die(has_lock);                                  \
        if (reached && control[MOMENT] == TORN) {           \
            half;                                           \
            die(has_lock);                                  \
        }                                                   \
        long done = (whole);                                \
        int error = errno;                                  \
        if (reached)                                        \
            die(has_lock);                                  \
        errno = error;                                      \
        done;                                               \
    })

static int is_full(void)
{
    if (control[DISK] != DISK_FULL)
        return 0;
    control[DISK_FAULTS]++;
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
    if (!is_ledger(fd))
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (is_full())
        return -1;
    pthread_mutex_lock(&writing);
    ledger_fd = fd;
    if (unsynced_count < UNSYNCED_MAX) {
        /* Beyond the end there were zeros. */
        char *before = calloc(1, length);
        if (before) {
            syscall(SYS_pread64, fd, before, length, offset);
            unsynced[unsynced_count].offset = offset;
            unsynced[unsynced_count].length = length;
            unsynced[unsynced_count++].before = before;
        }
    }
    ssize_t done = AT(SITE_WRITE, 1, syscall(SYS_pwrite64, fd, bytes, length / 2, offset),
                      syscall(SYS_pwrite64, fd, bytes, length, offset));
    int error = errno;
    pthread_mutex_unlock(&writing);
    errno = error;
    return done;
}

int ftruncate64(int fd, off_t length)
{
    if (is_ledger(fd) && is_full())
        return -1;
    return (int)syscall(SYS_ftruncate, fd, length);
}

static int sync_ledger(long call, int fd)
{
    while (control[DISK] == DISK_SYNC_HANGS) {
        struct timespec nap = {0, 100000};
        control[DISK_FAULTS]++;
        nanosleep(&nap, NULL);
    }
    if (control[DISK] == DISK_SYNC_FAILS) {
        control[DISK_FAULTS]++;
        errno = EIO;
        return -1;
    }
    long done = AT(SITE_SYNC, 0, (void)0, ({
        pthread_mutex_lock(&writing);
        long synced = syscall(call, fd);
        while (synced == 0 && unsynced_count > 0)
            free(unsynced[--unsynced_count].before);
        pthread_mutex_unlock(&writing);
        synced;
    }));
    return (int)done;
}

int fdatasync(int fd)
{
    return is_ledger(fd) ? sync_ledger(SYS_fdatasync, fd) : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return is_ledger(fd) ? sync_ledger(SYS_fsync, fd) : (int)syscall(SYS_fsync, fd);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (control && fd >= 0 && fd < FDS_MAX && address->sa_family == AF_INET) {
        uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port);
        kinds[fd] = port == control[STORE_PORT] ? TO_STORE : OTHER;
    }
    return (int)syscall(SYS_connect, fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);
    if (control && accepted >= 0 && accepted < FDS_MAX) {
        struct sockaddr_in own;
        socklen_t own_length = sizeof own;
        int is_own = getsockname(fd, (struct sockaddr *)&own, &own_length) == 0
            && own.sin_family == AF_INET && ntohs(own.sin_port) == control[LISTEN_PORT];
        kinds[accepted] = is_own ? FROM_CLIENT : OTHER;
    }
    return accepted;
}

int close(int fd)
{
    if (is_kind(fd, TO_STORE)) {
        kinds[fd] = OTHER;
        return (int)AT(SITE_CLOSE, 0, (void)0, syscall(SYS_close, fd));
    }
    if (fd >= 0 && fd < FDS_MAX)
        kinds[fd] = OTHER;
    return (int)syscall(SYS_close, fd);
}

static ssize_t send_some(int fd, const void *bytes, size_t length, int flags)
{
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    int site = is_kind(fd, TO_STORE) ? SITE_SEND : is_kind(fd, FROM_CLIENT) ? SITE_REPLY : 0;
    if (!site)
        return send_some(fd, bytes, length, flags);
    return AT(site, 0, send_some(fd, bytes, length / 2, flags),
              send_some(fd, bytes, length, flags));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    int site = is_kind(fd, TO_STORE) ? SITE_SEND : is_kind(fd, FROM_CLIENT) ? SITE_REPLY : 0;
    if (!site || count < 1)
        return syscall(SYS_writev, fd, parts, count);
    return AT(site, 0, send_some(fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2, MSG_NOSIGNAL),
              syscall(SYS_writev, fd, parts, count));
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    if (!is_kind(fd, FROM_CLIENT))
        return syscall(SYS_recvfrom, fd, bytes, length, flags, NULL, NULL);
    return AT(SITE_RECEIVE, 0, (void)0,
              syscall(SYS_recvfrom, fd, bytes, length, flags, NULL, NULL));
}
