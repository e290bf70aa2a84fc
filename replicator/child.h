/* One child process on the loop: a program without a shell, with bounded output and a deadline.
 *
 * The program gets an empty standard input or a short text there, our environment with additions,
 * and up to two open files as its descriptors 3 and 4. It is the leader of a process group of its
 * own, and the kernel ends it when we die. Secrets go into the short text, a file in memory that
 * only our user may open, never into arguments or environment. The loop must be the default loop:
 * only that one hears of ended children. */
#ifndef CHILD_H
#define CHILD_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

enum { CHILD_FILES = 2 };

struct child;
/* The process has ended and all its output is here. Always called from the loop; may start the
 * child struct again or free its owner. */
typedef void child_handler(struct child *c);

/* What to run. All of it is borrowed until child_start() returns. */
struct child_program {
    const char *path;               /* absolute */
    const char *const *arguments;   /* with the program's name first, ended by NULL */
    const char *const *environment; /* "NAME=value" replaces, "NAME" removes; ended by NULL */
    int files[CHILD_FILES];         /* become descriptors 3 and 4; -1: none */
    int output_file;                /* becomes standard output; -1: it is kept in `output` */
    const char *input;              /* what it reads from standard input; NULL: nothing */
    double timeout_s;               /* 0: no deadline */
    size_t output_max;              /* bytes kept of each stream */
};

struct child {
    struct ev_loop *loop;
    child_handler *ended;
    void *owner; /* the handler's */
    pid_t pid;   /* 0: none runs */
    struct ev_child exited;
    struct ev_io readable[2]; /* standard output, standard error */
    struct ev_timer deadline;
    struct buf output;
    struct buf errors;
    size_t output_max;
    bool is_cut;       /* more came than output_max: the rest was thrown away */
    bool has_exited;   /* the process is gone, its last output is awaited */
    bool is_timed_out; /* the deadline passed, it was told to end */
    int status;        /* as waitpid() gives it */
    double timeout_s;
};

/* Prepares the struct; runs nothing. */
void child_init(struct child *c, struct ev_loop *loop, child_handler *ended, void *owner);
/* Starts the program; the output of the last one is forgotten. False and the error when there
 * cannot be a process; a program that cannot be executed ends with 127 and says so in `errors`. */
bool child_start(struct child *c, const struct child_program *p, struct error *e);
/* Asks the whole process group to end (SIGTERM) and forgets it: the handler is not called. */
void child_stop(struct child *c);
/* Stops, and frees the output. */
void child_fini(struct child *c);
bool child_is_running(const struct child *c);
/* It ended by itself with exit status 0 and within its deadline. */
bool child_is_success(const struct child *c);
/* Sets the error `what` (printf), with how the process ended and its last words as the detail. */
void child_error(const struct child *c, struct error *e, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

#endif
