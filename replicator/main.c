/* Where the program starts. Everything is in command.c and behind it. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "command.h"

/* Credentials in memory do not belong into a core file, nor before the eyes of whoever runs under
 * the same user: this closes /proc/PID/mem and /proc/PID/environ too. The leak sanitizer needs
 * them. */
static void keep_memory_private(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

int main(int argc, char **argv)
{
    /* A reader of our output that goes away, or a connection, is an error where it is written. */
    signal(SIGPIPE, SIG_IGN);
    keep_memory_private();
    return command_main(argc, argv);
}
