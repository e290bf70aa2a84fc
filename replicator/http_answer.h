/* What is answered to which request, and to whom. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <microhttpd.h>
#include <stdbool.h>

struct http;

enum { HTTP_ROUTES_MAX = 8 };

/* An answer that serves everybody for a while, so that asking often costs little. */
struct http_kept {
    struct MHD_Response *response; /* NULL: none */
    unsigned status;
    double good_until; /* steady_now */
};

/* The page, from replicator/page.html. */
extern const char http_page[];

/* Queues the answer to a request; false when there is no memory for it. */
bool http_answer(struct http *h, struct MHD_Connection *c, const char *method, const char *path);
/* Frees the answers that are kept. */
void http_answer_forget(struct http *h);

#endif
