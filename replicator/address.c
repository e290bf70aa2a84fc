/* Addresses to listen at. Pure: nothing is looked up, because that would block. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A port from 1 to 65535; 0 when the text is none. */
static in_port_t parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = digits > 0 && digits < 6 && text[digits] == '\0' ? strtol(text, NULL, 10) : 0;

    return port <= 65535 ? (in_port_t)port : 0;
}

static bool set_v4(struct address *a, const char *host, in_port_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4.sin_addr) != 1)
        return false;
    memcpy(&a->socket, &v4, sizeof v4);
    a->len = sizeof v4;
    return true;
}

static bool set_v6(struct address *a, const char *host, in_port_t port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    memcpy(&a->socket, &v6, sizeof v6);
    a->len = sizeof v6;
    return true;
}

bool address_parse(const char *text, struct address *a)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    in_port_t port = colon ? parse_port(colon + 1) : 0;

    memset(a, 0, sizeof *a);
    if (port == 0 || n == 0 || n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] != '[' || host[n - 1] != ']')
        return set_v4(a, host, port);
    host[n - 1] = '\0';
    return set_v6(a, host + 1, port);
}

bool address_is_loopback(const struct address *a)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (a->socket.ss_family == AF_INET) {
        memcpy(&v4, &a->socket, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, &a->socket, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}
