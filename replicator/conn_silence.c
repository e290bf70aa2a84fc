/* A network that is silent, told from a server that does not read.
 *
 * A server that works on a long statement, or waits for a lock, leaves what comes meanwhile to its
 * kernel, and when that has no more room ours is told so ("zero window") as often as it asks. The
 * network is there, and so is the server: that may last as long as it takes. TCP_USER_TIMEOUT is
 * not for us, because it ends such a connection though every probe is answered (Linux 5.11 and
 * later): what takes longer than it would be begun again and again, and never get through.
 *
 * So the kernel is asked. Lost is a connection on which something that we have sent is not
 * acknowledged, or a probe not answered, and nothing at all was acknowledged for network_timeout.
 * While nothing is on its way TCP's keepalives do the same (conn_start.c). */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "conn_inside.h"
#include "list.h"
#include "steady.h"

enum { LOOKS = 5 /* in network_timeout */ };

static bool is_unanswered(const struct tcp_info *i)
{
    return i->tcpi_unacked > 0 || i->tcpi_probes > 0;
}

static void on_look(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct conn *c = container_of(w, struct conn, silence);
    struct tcp_info info;
    socklen_t len = sizeof info;
    double now = steady_now(), heard_at;

    (void)events;
    if (getsockopt(PQsocket(c->pg), IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
        ev_timer_stop(loop, w); /* a socket of this machine */
        return;
    }
    heard_at = is_unanswered(&info) ? now - info.tcpi_last_ack_recv / 1e3 : now;
    if (heard_at > c->heard_at)
        c->heard_at = heard_at;
    if (now - c->heard_at >= c->network_timeout_s)
        conn_lose(c, "the network is silent");
    else if (!is_unanswered(&info) && !ev_is_active(&c->writable))
        ev_timer_stop(loop, w);
}

void conn_silence_init(struct conn *c)
{
    ev_init(&c->silence, on_look);
}

void conn_watch_silence(struct conn *c)
{
    double every_s = c->network_timeout_s / LOOKS;

    if (ev_is_active(&c->silence) || every_s <= 0)
        return;
    c->heard_at = steady_now();
    ev_timer_set(&c->silence, every_s, every_s);
    ev_timer_start(c->loop, &c->silence);
}
