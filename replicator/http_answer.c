/* Routes and who may have them. Made answers are kept for twenty times as long as making them took,
 * and are shared by all who ask.
 *
 * Always true: what has names or words of the databases in it is given only to who has the token,
 * or, where none is configured, to who asked for this machine: a page of somebody else whose name
 * leads to 127.0.0.1 (DNS rebinding) is refused. */
#include "http_answer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "status.h"
#include "steady.h"

#define KEPT_FOR 20. /* times what it took to make */
#define KEPT_MAX_S 5.0
enum { TOKEN_MAX = 4096 };

struct route {
    const char *path;
    const char *type;
    bool is_open; /* to everybody: nothing of the databases is in it */
    /* Appends the body and answers the status. */
    unsigned (*make)(const struct http *h, struct buf *b);
};

/* ------------------------------------------------------------------ bodies */

static unsigned make_page(const struct http *h, struct buf *b)
{
    (void)h;
    buf_text(b, http_page);
    return MHD_HTTP_OK;
}

static unsigned make_alive(const struct http *h, struct buf *b)
{
    (void)h;
    buf_text(b, "ok\n");
    return MHD_HTTP_OK;
}

static bool is_ready(const struct http *h, const struct sync *s)
{
    double lag_s = status_lag_s(s, steady_now());

    if (direction_is_closed(s))
        return sync_is_in_sync(s) && !s->is_paused;
    return sync_is_in_sync(s) && !s->is_paused && lag_s >= 0 &&
           lag_s <= h->daemon->config->http_ready_lag_s;
}

static unsigned make_ready(const struct http *h, struct buf *b)
{
    bool all = true;

    for (const struct list *l = h->daemon->syncs.next; l != &h->daemon->syncs; l = l->next)
        all = all && is_ready(h, container_of(l, struct sync, in_daemon));
    buf_text(b, all ? "in sync\n" : "not in sync\n");
    return all ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned make_metrics(const struct http *h, struct buf *b)
{
    metrics_print(h->daemon, b);
    return MHD_HTTP_OK;
}

/* Appends a tree, which is taken over. */
static unsigned add_json(json_t *tree, struct buf *b)
{
    char *text = json_dumps(tree, JSON_COMPACT);

    buf_text(b, text ? text : "[]");
    buf_text(b, "\n");
    free(text);
    json_decref(tree);
    return MHD_HTTP_OK;
}

static unsigned make_status(const struct http *h, struct buf *b)
{
    json_t *all = json_array();

    for (const struct list *l = h->daemon->syncs.next; l != &h->daemon->syncs; l = l->next)
        json_array_append_new(all, status_tree(container_of(l, struct sync, in_daemon)));
    return add_json(all, b);
}

static unsigned make_history(const struct http *h, struct buf *b)
{
    json_t *all = json_array();

    for (const struct list *l = h->histories.next; l != &h->histories; l = l->next)
        json_array_append_new(all, history_tree(container_of(l, struct history, in_http)));
    return add_json(all, b);
}

static const struct route routes[] = {
    {"/", "text/html; charset=utf-8", true, make_page},
    {"/healthz", "text/plain; charset=utf-8", true, make_alive},
    {"/readyz", "text/plain; charset=utf-8", true, make_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", false, make_metrics},
    {"/status", "application/json", false, make_status},
    {"/history", "application/json", false, make_history},
};

_Static_assert(sizeof routes / sizeof routes[0] <= HTTP_ROUTES_MAX, "one kept answer each");

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

/* ------------------------------------------------------------------ who may */

/* The token in the file, without the end of its line; false when there is none. */
static bool read_token(const char *path, char *token, size_t size)
{
    struct stat st;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read(fd, token, size - 1);
    close(fd);
    while (n > 0 && strchr(" \t\r\n", token[n - 1]))
        n--;
    if (n <= 0 || memchr(token, '\0', (size_t)n)) /* what is behind would not be compared */
        return false;
    token[n] = '\0';
    return true;
}

/* Takes as long for every wrong token of the same length. */
static bool is_same(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char difference = 0;

    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static bool has_token(const char *path, struct MHD_Connection *c)
{
    static const char scheme[] = "Bearer ";
    char token[TOKEN_MAX];
    bool ok;
    const char *said =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

    if (said == NULL || strncasecmp(said, scheme, sizeof scheme - 1) != 0)
        return false;
    if (!read_token(path, token, sizeof token)) {
        log_event(LOG_WARNING, "http: nobody is let in: the token cannot be read", "file", path,
                  "hint", "http.token_file must name a file with the token in its only line.",
                  NULL);
        return false;
    }
    ok = is_same(token, said + sizeof scheme - 1);
    explicit_bzero(token, sizeof token);
    return ok;
}

/* A Host header with a number in it, or localhost: not a name that somebody else made. */
static bool asks_for_this_machine(struct MHD_Connection *c)
{
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    struct in_addr v4;
    char name[64];
    size_t n;

    if (host == NULL || host[0] == '[') /* no browser, or an IPv6 address */
        return true;
    n = strcspn(host, ":");
    if (n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &v4) == 1;
}

/* ------------------------------------------------------------------ answers */

static struct MHD_Response *new_response(const char *type, const struct buf *b)
{
    static const char *const headers[][2] = {
        {"Connection", "close"},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
         "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'"},
    };
    struct MHD_Response *r =
        MHD_create_response_from_buffer(b->len, b->data, MHD_RESPMEM_MUST_COPY);

    if (r == NULL)
        return NULL;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(r, headers[i][0], headers[i][1]);
    return r;
}

/* Answers with one line; `header` and its value may be NULL. */
static bool say(struct MHD_Connection *c, unsigned status, const char *text, const char *header,
                const char *value)
{
    struct buf b;
    struct MHD_Response *r;
    bool ok;

    buf_init(&b);
    buf_text(&b, text);
    r = new_response("text/plain; charset=utf-8", &b);
    buf_fini(&b);
    if (r == NULL)
        return false;
    if (header)
        MHD_add_response_header(r, header, value);
    ok = MHD_queue_response(c, status, r) == MHD_YES;
    MHD_destroy_response(r);
    return ok;
}

static void make_kept(struct http *h, const struct route *route, struct http_kept *k)
{
    double began = steady_now(), took;
    struct buf b;

    if (k->response)
        MHD_destroy_response(k->response);
    buf_init(&b);
    k->status = route->make(h, &b);
    k->response = new_response(route->type, &b);
    buf_fini(&b);
    took = steady_now() - began;
    k->good_until = began + (took * KEPT_FOR < KEPT_MAX_S ? took * KEPT_FOR : KEPT_MAX_S);
}

static bool answer_route(struct http *h, struct MHD_Connection *c, const struct route *route)
{
    struct http_kept *k = &h->kept[route - routes];

    if (k->response == NULL || steady_now() >= k->good_until)
        make_kept(h, route, k);
    return k->response && MHD_queue_response(c, k->status, k->response) == MHD_YES;
}

bool http_answer(struct http *h, struct MHD_Connection *c, const char *method, const char *path)
{
    const struct route *route = find_route(path);
    const char *token_file = h->daemon->config->http_token_file;

    if (route == NULL)
        return say(c, MHD_HTTP_NOT_FOUND,
                   "There is /, /status, /history, /metrics, /healthz and /readyz.\n", NULL, NULL);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD: nothing is changed here.\n",
                   MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (route->is_open)
        return answer_route(h, c, route);
    if (token_file && !has_token(token_file, c))
        return say(c, MHD_HTTP_UNAUTHORIZED,
                   "This needs the token: Authorization: Bearer TOKEN (http.token_file).\n",
                   MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"rebeco\"");
    if (token_file == NULL && !asks_for_this_machine(c))
        return say(c, MHD_HTTP_FORBIDDEN,
                   "Without http.token_file this is only for localhost, asked for by that name or "
                   "by its number.\n",
                   NULL, NULL);
    return answer_route(h, c, route);
}

void http_answer_forget(struct http *h)
{
    for (size_t i = 0; i < HTTP_ROUTES_MAX; i++) {
        if (h->kept[i].response)
            MHD_destroy_response(h->kept[i].response);
        h->kept[i].response = NULL;
    }
}
