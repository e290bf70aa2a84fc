/* A datagram to a unix socket; that is the whole protocol. Nothing waits for it, and a message that
 * cannot be sent is lost. */
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "sync.h"

static void say(const struct notify *n, const char *text)
{
    if (n->fd >= 0 && send(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return; /* the next one may arrive */
}

/* A name that begins with @ is one of the abstract kind. */
static int open_socket(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int fd;

    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return -1;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to,
                           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void on_watchdog(struct ev_loop *loop, struct ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    say(container_of(w, struct notify, watchdog), "WATCHDOG=1");
}

void notify_init(struct notify *n, struct daemon *d)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    double every_s = usec ? strtod(usec, NULL) / 1e6 / 2 : 0;

    memset(n, 0, sizeof *n);
    n->daemon = d;
    n->fd = path ? open_socket(path) : -1;
    ev_init(&n->watchdog, on_watchdog);
    if (n->fd >= 0 && every_s > 0 && (pid == NULL || atol(pid) == (long)getpid())) {
        ev_timer_set(&n->watchdog, every_s, every_s);
        ev_timer_start(d->loop, &n->watchdog);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_fini(struct notify *n)
{
    ev_timer_stop(n->daemon->loop, &n->watchdog);
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

void notify_ready(struct notify *n)
{
    say(n, "READY=1");
    notify_look(n);
}

static const char *state_of(const struct sync *s)
{
    if (s->is_held)
        return "another daemon holds it";
    if (error_is_set(&s->stopped))
        return s->stopped.what;
    return s->is_paused ? "paused" : sync_phase_name(s->phase);
}

void notify_look(struct notify *n)
{
    char text[sizeof n->said] = "STATUS=";
    size_t len = strlen(text);

    if (n->fd < 0)
        return;
    for (const struct list *l = n->daemon->syncs.next; l != &n->daemon->syncs; l = l->next) {
        const struct sync *s = container_of(l, struct sync, in_daemon);

        snprintf(text + len, sizeof text - len, "%s%s: %s", len > 7 ? "; " : "", s->name,
                 state_of(s));
        len = strlen(text);
    }
    if (strcmp(text, n->said) == 0)
        return;
    memcpy(n->said, text, sizeof text);
    say(n, text);
}

void notify_stopping(struct notify *n)
{
    say(n, "STOPPING=1");
}
