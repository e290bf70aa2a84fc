/* The sockets and their watchers. Connections are accepted here and handed to libmicrohttpd, which
 * reads requests and writes answers on an epoll of its own, watched by the loop.
 *
 * Always true: all work is done in turn(), and every turn is followed by a rest. */
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "batch.h"
#include "history.h"
#include "log.h"
#include "mem.h"
#include "status.h"
#include "steady.h"

enum {
    CLIENTS_MAX = 128,
    CLIENTS_LEAST = 4,
    ACCEPTS_MAX = 4,
    MEMORY_MAX = 16 * 1024,
    BACKLOG = 512
};

#define REST_TIMES 19. /* what a turn took */
#define REST_LEAST_S 0.0005
#define REST_MOST_S 0.2
#define HOLD_S 0.002     /* between two looks whether a batch is over */
#define HOLD_MOST_S 0.03 /* while one follows the other, from turn to turn */
#define IDLE_S 10        /* nothing came, nothing could be sent */
#define CLIENT_MAX_S 30. /* from connecting to the last byte of the answer */
#define WATCH_S 1.
#define LISTEN_AGAIN_S 10.
#define LOWEST_PRIORITY (-2) /* libev's EV_MINPRI: what else is due goes first */

/* ------------------------------------------------------------------ clients */

static void on_client(void *cls, struct MHD_Connection *c, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct http *h = cls;
    struct http_client *client = *context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (client == NULL)
            return;
        list_remove(&client->in_http);
        h->client_count--;
        free(client);
        *context = NULL;
        return;
    }
    client = mem_alloc(sizeof *client);
    client->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    client->since = steady_now();
    list_append(&h->clients, &client->in_http);
    h->client_count++;
    *context = client;
}

static const char too_many[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Connection: close\r\nRetry-After: 5\r\n\r\n"
                               "Too many connections: wait 5 s.\n";
static const char too_late[] = "HTTP/1.1 408 Request Timeout\r\n"
                               "Connection: close\r\n\r\n"
                               "The request took too long.\n";

/* Says why, unless an answer is on its way. libmicrohttpd notices at its next turn, and closes it.
 */
static void drop(struct http *h, struct http_client *c, const char *why)
{
    if (c->is_shut)
        return;
    c->is_shut = true;
    h->dropped++;
    if (!c->is_answered)
        (void)!send(c->fd, why, strlen(why), MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(c->fd, SHUT_RDWR);
}

/* One has come too many: the oldest goes that has not asked yet, else that is being answered. */
static void drop_longest_waiting(struct http *h)
{
    struct http_client *oldest = NULL;

    for (struct list *l = h->clients.next; l != &h->clients; l = l->next) {
        struct http_client *c = container_of(l, struct http_client, in_http);

        if (c->is_shut)
            continue;
        if (oldest == NULL || (oldest->is_answered && !c->is_answered))
            oldest = c;
        if (!oldest->is_answered)
            break;
    }
    if (oldest)
        drop(h, oldest, too_many);
}

static void drop_late_clients(struct http *h)
{
    double limit = steady_now() - CLIENT_MAX_S;

    for (struct list *l = h->clients.next; l != &h->clients; l = l->next) {
        struct http_client *c = container_of(l, struct http_client, in_http);

        if (c->since > limit)
            return;
        drop(h, c, too_late);
    }
}

/* Of the descriptors that the process may have, most are for connections to the databases: a sync
 * must be able to connect again whoever holds connections here. */
static int clients_max(void)
{
    struct rlimit l;
    rlim_t n = getrlimit(RLIMIT_NOFILE, &l) == 0 ? l.rlim_cur / 4 : CLIENTS_LEAST;

    return n > CLIENTS_MAX ? CLIENTS_MAX : n < CLIENTS_LEAST ? CLIENTS_LEAST : (int)n;
}

/* Takes in a few; answers whether the descriptors are used up. */
static bool accept_some(struct http *h)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(h->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return errno == EMFILE || errno == ENFILE;
        if (MHD_add_connection(h->mhd, fd, (struct sockaddr *)&from, len) != MHD_YES)
            continue; /* it is closed */
        if (h->client_count > h->clients_max)
            drop_longest_waiting(h);
    }
    return false;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct http *h = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_client *client = info ? info->socket_context : NULL;

    (void)version;
    (void)data;
    (void)size;
    (void)context;
    if (client)
        client->is_answered = true;
    return http_answer(h, c, method, path) ? MHD_YES : MHD_NO;
}

/* ------------------------------------------------------------------ turns */

static void rest(struct http *h, double seconds)
{
    ev_io_stop(h->daemon->loop, &h->incoming);
    ev_io_stop(h->daemon->loop, &h->active);
    h->is_resting = true;
    h->rest.repeat = seconds;
    ev_timer_again(h->daemon->loop, &h->rest);
}

/* A change is on its way: that it arrives comes first, but not for ever. */
static bool holds_back(const struct http *h, double now)
{
    if (now >= h->turned_at + HOLD_MOST_S)
        return false;
    for (const struct list *l = h->daemon->syncs.next; l != &h->daemon->syncs; l = l->next)
        if (batch_is_at_work(container_of(l, struct sync, in_daemon)->batch))
            return true;
    return false;
}

static void turn(struct http *h)
{
    double began = steady_now(), rest_s;
    bool is_full;

    if (holds_back(h, began)) {
        rest(h, HOLD_S);
        return;
    }
    is_full = h->fd >= 0 && accept_some(h);
    MHD_run(h->mhd);
    h->turned_at = steady_now();
    rest_s = is_full ? REST_MOST_S : REST_TIMES * (h->turned_at - began);
    rest(h, rest_s < REST_LEAST_S ? REST_LEAST_S : rest_s < REST_MOST_S ? rest_s : REST_MOST_S);
}

/* Rested: listens again, and takes the next turn when libmicrohttpd has something in hand. */
static void on_rested(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct http *h = w->data;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool waits = MHD_get_timeout(h->mhd, &wait_ms) == MHD_YES;

    (void)events;
    if (!h->is_resting || (waits && wait_ms == 0)) {
        turn(h);
        return;
    }
    h->is_resting = false;
    ev_io_start(loop, &h->incoming);
    ev_io_start(loop, &h->active);
    w->repeat = waits ? (double)wait_ms / 1000 : 0; /* 0 stops it */
    ev_timer_again(loop, w);
}

static void on_ready(struct ev_loop *loop, struct ev_io *w, int events)
{
    (void)loop;
    (void)events;
    turn(w->data);
}

/* ------------------------------------------------------------------ listening */

static bool fail_listen(struct http *h, const char *why)
{
    if (!h->has_complained)
        log_event(LOG_WARNING, "http: cannot listen; replication goes on without it", "address",
                  h->daemon->config->http_listen, "detail", why, "hint",
                  "It is tried again every 10 s. http.listen names another address; none turns it "
                  "off.",
                  NULL);
    h->has_complained = true;
    return false;
}

static bool listen_at(struct http *h)
{
    int yes = 1, v6_only = 0;
    int fd = socket(h->address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return fail_listen(h, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (h->address.socket.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    if (bind(fd, (struct sockaddr *)&h->address.socket, h->address.len) != 0 ||
        listen(fd, BACKLOG) != 0) {
        fail_listen(h, strerror(errno));
        close(fd);
        return false;
    }
    h->fd = fd;
    h->has_complained = false;
    ev_io_set(&h->incoming, fd, EV_READ);
    log_event(LOG_NOTICE, "http: listening", "address", h->daemon->config->http_listen, NULL);
    rest(h, REST_LEAST_S);
    return true;
}

/* ------------------------------------------------------------------ histories */

static struct history *history_of(struct http *h, const struct sync *s)
{
    struct history *fresh;

    for (struct list *l = h->histories.next; l != &h->histories; l = l->next) {
        struct history *y = container_of(l, struct history, in_http);

        if (strcmp(y->sync, s->name) == 0)
            return y;
    }
    fresh = history_new(s->name);
    list_append(&h->histories, &fresh->in_http);
    return fresh;
}

static void on_note(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct http *h = w->data;
    double now = steady_now();

    (void)loop;
    (void)events;
    for (struct list *l = h->daemon->syncs.next; l != &h->daemon->syncs; l = l->next) {
        const struct sync *s = container_of(l, struct sync, in_daemon);

        history_add(history_of(h, s), (struct history_point){.at = ev_time(),
                                                             .lag_s = status_lag_s(s, now),
                                                             .rows = status_add_up(s).pending});
    }
}

static void forget_histories(struct http *h)
{
    while (!list_is_empty(&h->histories))
        history_free(container_of(h->histories.next, struct history, in_http));
}

/* ------------------------------------------------------------------ life */

static void stop(struct http *h)
{
    struct ev_loop *loop = h->daemon->loop;

    ev_io_stop(loop, &h->incoming);
    ev_io_stop(loop, &h->active);
    ev_timer_stop(loop, &h->rest);
    ev_timer_stop(loop, &h->watch);
    ev_timer_stop(loop, &h->note);
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
    if (h->mhd)
        MHD_stop_daemon(h->mhd);
    h->mhd = NULL;
    http_answer_forget(h);
}

static struct MHD_Daemon *start_mhd(struct http *h)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, h,
                            MHD_OPTION_CONNECTION_LIMIT, 2u * CLIENTS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
                            MHD_OPTION_NOTIFY_CONNECTION, on_client, h,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static void start(struct http *h)
{
    struct ev_loop *loop = h->daemon->loop;
    const union MHD_DaemonInfo *info;

    h->mhd = start_mhd(h);
    info = h->mhd ? MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        fail_listen(h, "libmicrohttpd does not start");
        stop(h);
        h->watch.repeat = LISTEN_AGAIN_S;
        ev_timer_again(loop, &h->watch);
        return;
    }
    ev_io_set(&h->active, info->epoll_fd, EV_READ);
    ev_timer_start(loop, &h->note);
    h->watch.repeat = listen_at(h) ? WATCH_S : LISTEN_AGAIN_S;
    ev_timer_again(loop, &h->watch);
}

static void on_watch(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct http *h = w->data;

    (void)events;
    if (h->mhd == NULL) {
        start(h);
        return;
    }
    if (h->fd < 0)
        listen_at(h);
    drop_late_clients(h);
    w->repeat = h->fd < 0 ? LISTEN_AGAIN_S : WATCH_S;
    ev_timer_again(loop, w);
}

void http_configure(struct http *h)
{
    struct address now;
    bool is_on = strcmp(h->daemon->config->http_listen, "none") != 0 &&
                 address_parse(h->daemon->config->http_listen, &now);

    stop(h);
    h->has_complained = false;
    if (!is_on) {
        forget_histories(h);
        return;
    }
    h->address = now;
    h->clients_max = clients_max();
    start(h);
}

struct http *http_new(struct daemon *d)
{
    struct http *h = mem_alloc(sizeof *h);

    h->daemon = d;
    h->fd = -1;
    list_init(&h->clients);
    list_init(&h->histories);
    ev_init(&h->incoming, on_ready);
    ev_init(&h->active, on_ready);
    ev_init(&h->rest, on_rested);
    ev_init(&h->watch, on_watch);
    ev_timer_init(&h->note, on_note, 0., HISTORY_EVERY_S);
    h->incoming.data = h->active.data = h->rest.data = h->watch.data = h->note.data = h;
    ev_set_priority(&h->incoming, LOWEST_PRIORITY);
    ev_set_priority(&h->active, LOWEST_PRIORITY);
    ev_set_priority(&h->rest, LOWEST_PRIORITY);
    http_configure(h);
    return h;
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    stop(h);
    forget_histories(h);
    free(h);
}
