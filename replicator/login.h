/* How a database is logged in to, found out anew for every connection: the URL, in which
 * ${file:...} is read again, and what the password command says. So a password may change at any
 * time, and a token may live for minutes. */
#ifndef LOGIN_H
#define LOGIN_H

#include <ev.h>
#include <stdbool.h>

#include "child.h"
#include "config.h"
#include "error.h"

struct login;
/* The password command has ended: l->error is set, or url and password are there. From the loop. */
typedef void login_handler(struct login *l);

struct login {
    struct ev_loop *loop;
    login_handler *ended;
    void *owner;        /* the handler's */
    char *url;          /* (malloc) */
    char *password;     /* (malloc) NULL: what the URL says */
    struct error error; /* names no secret */
    struct child child; /* the password command */
};

void login_init(struct login *l, struct ev_loop *loop, login_handler *ended, void *owner);
/* Begins. True when all is said already: l->error is set, or url and password are there. False
 * while the password command runs, for `timeout_s` at most: `ended` follows. `d` is borrowed until
 * then. */
bool login_start(struct login *l, const struct config_database *d, double timeout_s);
/* Forgets url and password, and ends the command. May be called at any time. */
void login_clear(struct login *l);
void login_fini(struct login *l);
/* Asking again could give something else than before. */
bool login_may_change(const struct config_database *d);

#endif
