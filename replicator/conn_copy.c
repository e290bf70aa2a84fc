/* COPY in both directions, and back-pressure: how one connection waits for another. */
#include "conn.h"

#include "conn_inside.h"

/* Rows are gathered, since a message costs both ends much the same however short it is: libpq
 * writes to the socket every 8 kB, and COPY at the server goes back to the protocol for each. A
 * message may begin and end anywhere in a row. With its head of 5 bytes it is as long as what libpq
 * sends at once, so that nothing of it stays behind. */
enum { MESSAGE_BYTES = 64 * 1024 - 5 };

static void send_message(struct conn *c, const char *data, size_t len)
{
    if (PQputCopyData(c->pg, data, (int)len) != 1)
        conn_lose(c, "COPY data could not be sent");
    else
        conn_flush_output(c);
}

static void send_gathered(struct conn *c)
{
    if (c->gathered.len > 0)
        send_message(c, c->gathered.data, c->gathered.len);
    c->gathered.len = 0;
}

void conn_copy_begin(struct conn *c)
{
    c->copying_in = true;
    c->gathered.len = 0;
}

void conn_copy_put(struct conn *c, const char *data, int len)
{
    size_t n = (size_t)len;

    while (n > 0 && conn_can_send(c) && c->copying_in) {
        size_t room = MESSAGE_BYTES - c->gathered.len;
        size_t part = n < room ? n : room;

        if (c->gathered.len == 0 && n >= MESSAGE_BYTES) {
            part = n / MESSAGE_BYTES * MESSAGE_BYTES;
            send_message(c, data, part);
        } else {
            buf_append(&c->gathered, data, part);
        }
        if (c->gathered.len == MESSAGE_BYTES)
            send_gathered(c);
        data += part;
        n -= part;
    }
}

void conn_copy_end(struct conn *c, const char *abort_reason)
{
    if (!conn_can_send(c) || !c->copying_in)
        return;
    if (!abort_reason)
        send_gathered(c);
    if (!conn_can_send(c))
        return;
    c->copying_in = false;
    if (PQputCopyEnd(c->pg, abort_reason) != 1) {
        conn_lose(c, "the end of COPY could not be sent");
        return;
    }
    conn_renew_deadline(c);
    conn_flush_output(c);
    conn_look_later(c);
}

bool conn_is_full(struct conn *c)
{
    if (!conn_can_send(c))
        return false;
    if (ev_is_active(&c->writable))
        c->owes_room = true;
    return c->owes_room;
}

/* COPY OUT: hands over the rows that have arrived. True when the COPY has ended. */
bool conn_take_copy_data(struct conn *c, int *budget)
{
    while (*budget > 0 && !c->reading_paused) {
        char *row;
        int len = PQgetCopyData(c->pg, &row, 1);
        struct conn_message m = {.event = CONN_COPY_DATA, .len = len};
        bool alive;

        if (len == 0)
            return false;
        if (len < 0) {
            c->copying_out = false;
            return true;
        }
        m.data = row;
        --*budget;
        alive = conn_tell(c, &m);
        PQfreemem(row);
        if (!alive)
            return false;
    }
    return false;
}

void conn_pause_reading(struct conn *c)
{
    c->reading_paused = true;
    ev_io_stop(c->loop, &c->readable);
    conn_renew_deadline(c);
}

void conn_resume_reading(struct conn *c)
{
    if (!c->reading_paused)
        return;
    c->reading_paused = false;
    if (!conn_is_open(c))
        return;
    ev_io_start(c->loop, &c->readable);
    conn_renew_deadline(c);
    conn_look_later(c); /* some may have arrived in libpq's buffer already */
}
