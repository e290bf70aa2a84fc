/* Where the program starts. Everything is in command.c and behind it. */
#include <signal.h>

#include "command.h"

int main(int argc, char **argv)
{
    /* A reader of our output that goes away, or a connection, is an error where it is written. */
    signal(SIGPIPE, SIG_IGN);
    return command_main(argc, argv);
}
