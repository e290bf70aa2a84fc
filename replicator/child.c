/* One child process on the loop.
 *
 * What is always true: while `pid` is not 0, the child watcher is active; a pipe's watcher is
 * active until its end of file. `ended` is called once, after the process is gone and both pipes
 * are at their end - or have stayed silent for a moment, when a grandchild keeps them open. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"

extern char **environ;

enum { READ_BYTES = 16384, TURN_READS = 16, FIRST_FILE = 3, SAFE_FILE = 10 };

#define LAST_WORDS_S 2. /* how long a pipe may stay open after the process has ended */
#define KILL_AFTER_S 5. /* between SIGTERM and SIGKILL when the deadline has passed */

/* ------------------------------------------------------------------ the end */

static bool has_open_pipe(const struct child *c)
{
    return c->readable[0].active || c->readable[1].active;
}

static void close_pipe(struct child *c, struct ev_io *w)
{
    if (!ev_is_active(w))
        return;
    ev_io_stop(c->loop, w);
    close(w->fd);
}

static void forget(struct child *c)
{
    ev_child_stop(c->loop, &c->exited);
    ev_timer_stop(c->loop, &c->deadline);
    close_pipe(c, &c->readable[0]);
    close_pipe(c, &c->readable[1]);
    c->pid = 0;
}

static void end_when_complete(struct child *c)
{
    if (!c->has_exited || has_open_pipe(c))
        return;
    forget(c);
    c->ended(c);
}

/* ------------------------------------------------------------------ events */

static void keep(struct child *c, struct buf *to, const char *bytes, size_t n)
{
    size_t room = to->len < c->output_max ? c->output_max - to->len : 0;

    if (n > room) {
        c->is_cut = true;
        n = room;
    }
    if (n > 0)
        buf_append(to, bytes, n);
}

static void on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct child *c = w->data;
    struct buf *to = w == &c->readable[0] ? &c->output : &c->errors;
    char bytes[READ_BYTES];

    (void)loop;
    (void)events;
    for (int i = 0; i < TURN_READS; i++) {
        ssize_t n = read(w->fd, bytes, sizeof bytes);

        if (n > 0) {
            keep(c, to, bytes, (size_t)n);
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close_pipe(c, w);
        end_when_complete(c);
        return;
    }
}

static void set_timer(struct child *c, double seconds)
{
    ev_timer_stop(c->loop, &c->deadline);
    ev_timer_set(&c->deadline, seconds, 0.);
    ev_timer_start(c->loop, &c->deadline);
}

static void on_exited(struct ev_loop *loop, struct ev_child *w, int events)
{
    struct child *c = w->data;

    (void)events;
    c->has_exited = true;
    c->status = w->rstatus;
    ev_child_stop(loop, w);
    set_timer(c, LAST_WORDS_S);
    end_when_complete(c);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct child *c = w->data;

    (void)loop;
    (void)events;
    if (c->has_exited) {
        close_pipe(c, &c->readable[0]);
        close_pipe(c, &c->readable[1]);
        end_when_complete(c);
        return;
    }
    kill(-c->pid, c->is_timed_out ? SIGKILL : SIGTERM);
    c->is_timed_out = true;
    set_timer(c, KILL_AFTER_S);
}

/* ------------------------------------------------------------------ starting */

static bool replaces(const char *addition, const char *variable)
{
    size_t len = strcspn(addition, "=");

    return strncmp(addition, variable, len) == 0 && variable[len] == '=';
}

/* Our environment with the additions; the strings stay where they are. */
static char **environment_new(const char *const *additions)
{
    size_t n = 0, count = 0;
    char **all;

    while (environ[n])
        n++;
    for (size_t i = 0; additions && additions[i]; i++)
        n++;
    all = mem_alloc((n + 1) * sizeof *all);
    for (size_t i = 0; environ[i]; i++) {
        bool is_replaced = false;

        for (size_t k = 0; additions && additions[k]; k++)
            is_replaced = is_replaced || replaces(additions[k], environ[i]);
        if (!is_replaced)
            all[count++] = environ[i];
    }
    for (size_t k = 0; additions && additions[k]; k++)
        if (strchr(additions[k], '='))
            memcpy(&all[count++], &additions[k], sizeof *all);
    return all;
}

static void say_and_exit(const char *path, int why)
{
    char text[512];
    int n = snprintf(text, sizeof text, "cannot run %s: %s\n", path, strerror(why));

    if (n > 0 && write(STDERR_FILENO, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1))
        _exit(127);
    _exit(127);
}

/* In the new process: puts the descriptors in their places. They are first moved out of the way of
 * each other. */
static void place_files(const struct child_program *p, int in, int out, int err)
{
    int from[] = {in, out, err, p->files[0], p->files[1]};

    for (int i = 0; i < 5; i++)
        if (from[i] >= 0)
            from[i] = fcntl(from[i], F_DUPFD, SAFE_FILE);
    for (int i = 0; i < 5; i++) {
        close(i);
        if (from[i] >= 0) {
            dup2(from[i], i);
            close(from[i]);
        }
    }
}

/* What an ignored or blocked signal is in us must not be so in the program. */
static void reset_signals(void)
{
    static const int ignored_by_daemons[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD};
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored_by_daemons / sizeof *ignored_by_daemons; i++)
        signal(ignored_by_daemons[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn))
become(const struct child_program *p, char **environment, const int ends[3], pid_t parent)
{
    char *const *arguments;

    memcpy(&arguments, &p->arguments, sizeof arguments);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    reset_signals();
    place_files(p, ends[0], p->output_file >= 0 ? p->output_file : ends[1], ends[2]);
    execve(p->path, arguments, environment);
    say_and_exit(p->path, errno);
    _exit(127);
}

static void watch(struct child *c, pid_t pid, const int pipes[2])
{
    c->pid = pid;
    ev_child_set(&c->exited, pid, 0);
    ev_child_start(c->loop, &c->exited);
    for (int i = 0; i < 2; i++) {
        if (pipes[i] < 0)
            continue;
        ev_io_set(&c->readable[i], pipes[i], EV_READ);
        ev_io_start(c->loop, &c->readable[i]);
    }
    if (c->timeout_s > 0)
        set_timer(c, c->timeout_s);
}

/* A pipe of which we read [0] without blocking. */
static bool open_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static void close_both(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static pid_t fork_program(const struct child_program *p, int in, int out, int err)
{
    char **environment = environment_new(p->environment);
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0)
        become(p, environment, (const int[]){in, out, err}, parent);
    if (pid > 0)
        setpgid(pid, pid);
    free(environment);
    return pid;
}

/* Standard input: a file in memory, so that nobody waits for anybody. */
static int open_input(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    int fd =
        text ? memfd_create("rebeco-input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || len == 0)
        return fd;
    if (fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len &&
        lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

bool child_start(struct child *c, const struct child_program *p, struct error *e)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    int in = open_input(p->input);
    bool is_ready = in >= 0 && open_pipe(err) && (p->output_file >= 0 || open_pipe(out));
    pid_t pid = is_ready ? fork_program(p, in, out[1], err[1]) : -1;

    if (in >= 0)
        close(in);

    if (pid < 0) {
        error_set(e, "%s could not be started", p->arguments[0]);
        error_detail(e, "%s", strerror(errno));
        error_hint(e, "Look at the limits for processes and open files.");
        close_both(out);
        close_both(err);
        return false;
    }
    buf_clear(&c->output, 0);
    buf_clear(&c->errors, 0);
    c->output_max = p->output_max;
    c->timeout_s = p->timeout_s;
    c->is_cut = c->has_exited = c->is_timed_out = false;
    c->status = 0;
    close(err[1]);
    if (out[1] >= 0)
        close(out[1]);
    watch(c, pid, (const int[]){out[0], err[0]});
    return true;
}

/* ------------------------------------------------------------------ life */

void child_init(struct child *c, struct ev_loop *loop, child_handler *ended, void *owner)
{
    memset(c, 0, sizeof *c);
    c->loop = loop;
    c->ended = ended;
    c->owner = owner;
    buf_init(&c->output);
    buf_init(&c->errors);
    ev_init(&c->exited, on_exited);
    ev_init(&c->readable[0], on_readable);
    ev_init(&c->readable[1], on_readable);
    ev_init(&c->deadline, on_deadline);
    c->exited.data = c->readable[0].data = c->readable[1].data = c->deadline.data = c;
}

void child_stop(struct child *c)
{
    if (c->pid == 0)
        return;
    if (!c->has_exited)
        kill(-c->pid, SIGTERM);
    forget(c);
}

void child_fini(struct child *c)
{
    child_stop(c);
    buf_fini(&c->output);
    buf_fini(&c->errors);
}

bool child_is_running(const struct child *c)
{
    return c->pid != 0;
}

bool child_is_success(const struct child *c)
{
    return !c->is_timed_out && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

/* The last lines of what it said, as much as fits into an error. */
static const char *last_words(const struct child *c)
{
    size_t max = sizeof((struct error *)0)->detail - 100;
    const char *s = c->errors.len > 0 ? c->errors.data : "";

    if (c->errors.len <= max)
        return s;
    s += c->errors.len - max;
    return s + strcspn(s, "\n");
}

void child_error(const struct child *c, struct error *e, const char *what, ...)
{
    char text[sizeof e->what];
    va_list args;

    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    error_set(e, "%s", text);
    if (c->is_timed_out)
        error_detail(e, "It did not end within %.0f seconds. %s", c->timeout_s, last_words(c));
    else if (WIFSIGNALED(c->status))
        error_detail(e, "It was ended by signal %d. %s", WTERMSIG(c->status), last_words(c));
    else
        error_detail(e, "Exit status %d: %s", WEXITSTATUS(c->status), last_words(c));
}
