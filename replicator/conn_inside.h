/* What the files of a connection share (conn*.c). Nobody else includes it. */
#ifndef CONN_INSIDE_H
#define CONN_INSIDE_H

#include "conn.h"

/* Tells the owner. False when the connection was closed or lost meanwhile. */
bool conn_tell(struct conn *c, const struct conn_message *m);
/* The connection is of no more use: the owner hears of it from the loop. */
void conn_lose(struct conn *c, const char *what);
bool conn_can_send(const struct conn *c);
/* Waits for the socket. */
void conn_watch_socket(struct conn *c, int events);
/* libpq has given up connecting. */
void conn_refused(struct conn *c);
/* Takes the SQLSTATE out of what libpq says of a refused connection; changes nothing when there is
 * none. */
void conn_read_refusal(char *said, char sqlstate[6]);
/* Gives libpq's buffer to the socket, and watches the socket for the rest. */
void conn_flush_output(struct conn *c);
/* Starts the deadline anew, or stops it when nothing is awaited. */
void conn_renew_deadline(struct conn *c);
/* conn_silence.c: prepares the look at the network; looks from here on, until all that was sent has
 * been acknowledged. */
void conn_silence_init(struct conn *c);
void conn_watch_silence(struct conn *c);
/* Looks in the next turn of the loop at what has arrived. */
void conn_look_later(struct conn *c);
/* COPY IN: the server waits for data. */
void conn_copy_begin(struct conn *c);
/* COPY OUT: hands over the rows that have arrived. True when the COPY has ended. */
bool conn_take_copy_data(struct conn *c, int *budget);

#endif
