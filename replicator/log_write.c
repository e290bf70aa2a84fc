/* Standard error, to which the log's lines go, without waiting for whoever reads them.
 *
 * He may stop reading: a log driver whose network is gone, journald that is restarted, a terminal
 * with Ctrl-S. Who writes to him then waits, and with the daemon would wait its loop, its pulse,
 * and whatever its transactions hold at both servers. So what he does not take is kept, and goes
 * out with the next line or within a second or so (log_settle). Beyond KEPT_MAX a line is lost; so
 * is one for which there is no disk.
 *
 * What is always true: lines come out whole and in their order, unless the disk is full. */
#include "log_write.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"

enum { KEPT_MAX = 256 * 1024 };

static struct {
    bool never_waits;
    struct buf kept; /* lines, the first perhaps without its beginning */
} out;

/* A pipe that says so takes PIPE_BUF bytes at once. */
static bool has_room(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&p, 1, 0) == 1;
}

/* As write(), but never waits at a socket. */
static ssize_t write_some(const char *bytes, size_t len)
{
    ssize_t n = -1;

    errno = ENOTSOCK;
    if (out.never_waits)
        n = send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK)
        n = write(STDERR_FILENO, bytes, out.never_waits && len > PIPE_BUF ? PIPE_BUF : len);
    return n;
}

/* How many bytes of a line were written, all of them unless nobody takes the rest now; -1: it
 * cannot be written. */
static ssize_t write_line(const char *line, size_t len)
{
    size_t done = 0;

    while (done < len && (!out.never_waits || has_room())) {
        ssize_t n = write_some(line + done, len - done);

        if (n < 0 && errno == EAGAIN && out.never_waits)
            break;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

bool log_write(const char *line, size_t len)
{
    ssize_t n = 0;
    size_t rest;

    log_write_again();
    if (out.kept.len == 0)
        n = write_line(line, len);
    if (n < 0)
        return false;
    rest = len - (size_t)n;
    if (out.kept.len + rest > KEPT_MAX)
        return false;
    buf_append(&out.kept, line + n, rest);
    return true;
}

void log_write_again(void)
{
    ssize_t n = out.kept.len > 0 ? write_line(out.kept.data, out.kept.len) : 0;
    size_t done = n < 0 ? out.kept.len : (size_t)n; /* who has read until now is gone */

    if (done == 0)
        return;
    out.kept.len -= done;
    memmove(out.kept.data, out.kept.data + done, out.kept.len);
}

void log_write_waits(bool waits)
{
    log_write_again();
    out.never_waits = !waits;
    buf_clear(&out.kept, 0);
}
