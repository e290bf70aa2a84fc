/* An address to listen at: a numeric address and a port, as text and as the kernel wants it. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage socket;
    socklen_t len;
};

/* Reads "127.0.0.1:8080", "[::1]:8080" or "localhost:8080" (which is 127.0.0.1). Names are not
 * looked up. False when the text is nothing of the kind. */
bool address_parse(const char *text, struct address *a);
/* Only this machine can reach it. */
bool address_is_loopback(const struct address *a);

#endif
