/* COPY in both directions, and back-pressure: how one connection waits for another. */
#include "conn.h"

#include "conn_inside.h"

enum { FLUSH_BYTES = 128 * 1024 /* gathered before asking whether the socket took it */ };

void conn_copy_put(struct conn *c, const char *data, int len)
{
    if (!conn_can_send(c) || !c->copying_in)
        return;
    if (PQputCopyData(c->pg, data, len) != 1) {
        conn_lose(c, "COPY data could not be sent");
        return;
    }
    c->unflushed += (size_t)len;
    if (c->unflushed >= FLUSH_BYTES)
        conn_flush_output(c);
}

void conn_copy_end(struct conn *c, const char *abort_reason)
{
    if (!conn_can_send(c) || !c->copying_in)
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
