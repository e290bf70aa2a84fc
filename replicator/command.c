/* The command line: parsing, and the table of commands.
 *
 * Global options may stand before or after the command, a command's own options anywhere too; which
 * of them the command takes is known when the command is. */
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "check.h"
#include "conflicts.h"
#include "daemon.h"
#include "ddl.h"
#include "help.h"
#include "mem.h"
#include "monitor.h"
#include "request.h"
#include "uninstall.h"

enum { COMMAND_OPTIONS_MAX = 64 };

const struct command_option command_globals[] = {
    {"config", "FILE", offsetof(struct config_arguments, file), "the configuration file"},
    {"source", "URL", offsetof(struct config_arguments, source),
     "the source's URL or conninfo, instead of the one in the file"},
    {"target", "URL", offsetof(struct config_arguments, target),
     "the target's URL or conninfo, instead of the one in the file"},
    {"sync", "NAME", offsetof(struct config_arguments, sync),
     "which sync, when the file has several"},
    {"log-format", "FORMAT", offsetof(struct config_arguments, log_format), "text or json"},
    {"log-level", "LEVEL", offsetof(struct config_arguments, log_level),
     "debug, info, notice, warning or error"},
    {NULL, NULL, 0, NULL},
};

/* Reads the configuration, as far as it is needed. */
static bool load(struct command_context *x, enum command_needs needs, struct error *e)
{
    if (needs == COMMAND_NOTHING)
        return true;
    x->arguments.target_is_enough = needs == COMMAND_TARGET;
    x->config = config_load(&x->arguments, e);
    if (x->config == NULL)
        return false;
    log_setup(x->config->log_format, x->config->log_level);
    if (needs != COMMAND_CONFIG)
        x->sync = config_sync_find(x->config, x->arguments.sync, e);
    return !error_is_set(e);
}

/* ---------------------------------------------------------------- commands that live here */

static int run_config(struct command_context *x)
{
    struct error e;
    const char *what = x->operand_count > 0 ? x->operands[0] : "";
    error_clear(&e);
    if (strcmp(what, "sample") == 0) {
        config_print_sample();
        return EXIT_DONE;
    }
    if (strcmp(what, "schema") == 0) {
        config_print_json_schema();
        return EXIT_DONE;
    }
    if (what[0] != '\0') {
        error_set(&e, "`rebeco config` does not know \"%s\"", what);
        error_hint(&e, "It is `config`, `config sample` or `config schema`.");
        return command_usage_error(&e);
    }
    if (!load(x, COMMAND_CONFIG, &e))
        return command_usage_error(&e);
    config_print(x->config);
    return EXIT_DONE;
}

static int run_check(struct command_context *x)
{
    struct error e;
    error_clear(&e);
    if (x->codes) {
        check_print_codes();
        return EXIT_DONE;
    }
    if (!load(x, COMMAND_SYNC, &e))
        return command_usage_error(&e);
    return check_run(x->config, x->sync, x->json);
}

static int run_version(struct command_context *x)
{
    (void)x;
    puts("rebeco " REBECO_VERSION);
    return EXIT_DONE;
}

static int fail_unknown(const char *name)
{
    struct error e;
    error_clear(&e);
    error_set(&e, "there is no command \"%s\"", name);
    error_hint(&e, "`rebeco help` lists the commands.");
    return command_usage_error(&e);
}

static int run_help(struct command_context *x)
{
    if (x->man) {
        help_man(stdout);
        return EXIT_DONE;
    }
    if (x->bash) {
        help_bash(stdout);
        return EXIT_DONE;
    }
    if (x->operand_count == 0) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *c = command_find(x->operands[0]);
    if (c == NULL)
        return fail_unknown(x->operands[0]);
    help_command(stdout, c);
    return EXIT_DONE;
}

static bool parse_until(const char *text, enum config_until *until)
{
    *until = CONFIG_UNTIL_STOPPED;
    if (text == NULL)
        return true;
    if (strcmp(text, "copied") == 0)
        *until = CONFIG_UNTIL_COPIED;
    else if (strcmp(text, "in-sync") == 0)
        *until = CONFIG_UNTIL_IN_SYNC;
    else
        return false;
    return true;
}

static bool parse_role(const struct command_context *x, struct daemon_wish *wish, struct error *e)
{
    wish->is_copier = x->role && strcmp(x->role, "copier") == 0;
    if (x->role && !wish->is_copier) {
        error_set(e, "--role does not know \"%s\"", x->role);
        error_hint(e, "It is `--role copier`; a daemon without it leads.");
        return false;
    }
    if (wish->is_copier && (x->standby || x->until)) {
        error_set(e, "a copier takes neither --standby nor --until");
        error_hint(e, "It ends by itself when there is nothing left to copy.");
        return false;
    }
    return true;
}

static int run_daemon(struct command_context *x)
{
    struct daemon_wish wish = {.is_standby = x->standby};
    struct error e;

    error_clear(&e);
    if (!parse_role(x, &wish, &e))
        return command_usage_error(&e);
    if (parse_until(x->until, &wish.until))
        return daemon_run(x->config, &x->arguments, &wish);
    error_set(&e, "--until does not know \"%s\"", x->until);
    error_hint(&e, "It is `--until copied` or `--until in-sync`.");
    return command_usage_error(&e);
}

/* ---------------------------------------------------------------- the table */

static const struct command_option run_options[] = {
    {"until", "STATE", offsetof(struct command_context, until),
     "end with code 0 when this is reached: copied (the initial copy is done) or in-sync (and "
     "everything since is at the target)"},
    {"standby", NULL, offsetof(struct command_context, standby),
     "when another daemon holds the sync, wait and take over when that one dies, freezes or is cut "
     "off; without it: end with code 5"},
    {"role", "copier", offsetof(struct command_context, role),
     "only help with the initial copy of a sync that another daemon leads, and end with code 0 "
     "when "
     "that is over; any number of them, on any machine, with the same configuration"},
    {NULL, NULL, 0, NULL},
};

static const struct command_option help_options[] = {
    {"man", NULL, offsetof(struct command_context, man), "print the manual page in roff"},
    {"bash", NULL, offsetof(struct command_context, bash), "print the completion for bash"},
    {NULL, NULL, 0, NULL},
};

static const struct command_option check_options[] = {
    {"json", NULL, offsetof(struct command_context, json), "print what is found as JSON"},
    {"codes", NULL, offsetof(struct command_context, codes),
     "print the list of all codes with their meaning and remedy, without looking at anything"},
    {NULL, NULL, 0, NULL},
};

static const struct command_option status_options[] = {
    {"json", NULL, offsetof(struct command_context, json), "print the whole tree as JSON"},
    {"watch", NULL, offsetof(struct command_context, watch), "print it anew every second"},
    {NULL, NULL, 0, NULL},
};

#define TIMEOUT_HELP "how long to wait for the daemon's answer, such as 10s or 5m; 0 is for ever"

static const struct command_option request_options[] = {
    {"timeout", "DURATION", offsetof(struct command_context, timeout), TIMEOUT_HELP},
    {NULL, NULL, 0, NULL},
};

static const struct command_option resync_options[] = {
    {"large-objects", "SCOPE", offsetof(struct command_context, large_objects),
     "copy large objects, instead of tables: new (those that are not at the target yet) or all "
     "(every one is read and compared); either removes those that are gone at the source"},
    {"timeout", "DURATION", offsetof(struct command_context, timeout), TIMEOUT_HELP},
    {NULL, NULL, 0, NULL},
};

static const struct command_option kick_options[] = {
    {"wait", NULL, offsetof(struct command_context, wait),
     "return when everything that was committed at the source before is at the target"},
    {"timeout", "DURATION", offsetof(struct command_context, timeout), TIMEOUT_HELP},
    {NULL, NULL, 0, NULL},
};

static const struct command_option conflicts_options[] = {
    {"table", "TABLE", offsetof(struct command_context, table),
     "only of these tables: schema.table, with * and ? where wanted"},
    {"kind", "KIND", offsetof(struct command_context, kind),
     "only of this kind: insert_exists, update_origin_differs, update_missing (removed at the "
     "target), delete_origin_differs (removed at the source), parent_kept, parent_removed (of a "
     "foreign key)"},
    {"since", "DURATION", offsetof(struct command_context, since),
     "only of the last so much time, such as 10m or 2h"},
    {"json", NULL, offsetof(struct command_context, json), "print all as JSON"},
    {NULL, NULL, 0, NULL},
};

static const struct command_option ddl_options[] = {
    {"only", "END", offsetof(struct command_context, only),
     "target: the source has it already, from the migration of another sync"},
    {"timeout", "DURATION", offsetof(struct command_context, timeout),
     "how long to wait for the target to have everything that was written before, such as 10m; 0 "
     "goes ahead at once, the default is 60s"},
    {NULL, NULL, 0, NULL},
};

static const struct command_option uninstall_options[] = {
    {"only", "END", offsetof(struct command_context, only), "source or target: only this end"},
    {"force", NULL, offsetof(struct command_context, force),
     "even if the target cannot be asked whether a daemon runs, other syncs use the objects, or "
     "objects of yours depend on them and are dropped too"},
    {NULL, NULL, 0, NULL},
};

const struct command commands[] = {
    {"run", "", 0, 0, COMMAND_CONFIG, run_options, "copy everything, then follow every change",
     "The daemon, in the foreground: copies the schema if the target has none, captures changes at "
     "the source, copies all tables, and then applies every change as it is committed, until it is "
     "told to stop (SIGTERM, SIGINT) or what --until asks is reached. It may be stopped and killed "
     "at any moment; the next start goes on where this one was. One daemon runs per sync. A page "
     "at "
     "http://127.0.0.1:8080 shows what goes on (option http.listen).",
     run_daemon},
    {"check", "", 0, 0, COMMAND_NOTHING, check_options,
     "look at both ends for what stands in the way",
     "Connects to both ends and prints every blocker, warning and note, each with a stable code "
     "and what to do. Changes nothing and waits for no lock.",
     run_check},
    {"status", "", 0, 0, COMMAND_TARGET, status_options, "print what goes on now",
     "Prints the phase, the progress of every table with its rate and the time that is left, the "
     "lag, and what stands still and why, as the daemon last wrote it at the target. Also works "
     "while no daemon runs.",
     monitor_run},
    {"pause", "[TABLE...]", 0, -1, COMMAND_TARGET, request_options, "pause the sync, or tables",
     "Asks the running daemon to pause the whole sync, or the tables that are named "
     "(schema.table, with * and ? where wanted). Changes are still captured, and nothing is lost. "
     "The answer \"done\" says that what was begun before has ended: the target stands still. "
     "Waits 30 s for the answer, unless --timeout says otherwise; a request that is not answered "
     "stays and is carried out later.",
     request_run},
    {"resume", "[TABLE...]", 0, -1, COMMAND_TARGET, request_options,
     "let a paused sync, or paused tables, go on",
     "Asks the running daemon to go on with the whole sync, or with the tables that are named, "
     "from where they stopped.",
     request_run},
    {"kick", "", 0, 0, COMMAND_TARGET, kick_options, "apply what there is, now",
     "Wakes the daemon. With --wait it returns when everything that was committed at the source "
     "before is at the target, however long that takes, unless --timeout says otherwise.",
     request_run},
    {"resync", "[TABLE...]", 0, -1, COMMAND_TARGET, resync_options,
     "copy tables, or large objects, again",
     "Asks the running daemon to copy the tables that are named (schema.table, with * and ? where "
     "wanted) again, while everything else goes on. Large objects, whose changes no trigger sees, "
     "are copied by --large-objects alone: once more before a cutover, say. That is answered when "
     "they are there; give --timeout 0 to wait for it.",
     request_run},
    {"accept", "", 0, 0, COMMAND_TARGET, request_options, "begin anew with an end that has changed",
     "When the source was promoted from a standby, restored from a backup, or is another database "
     "than before, the daemon stops: what the target has may not be what this source has. After "
     "you made sure that this source is the right one, this lets the daemon begin anew with it: "
     "every "
     "table is copied again, and its rows at the target are replaced. The same holds for a target "
     "that has lost commits which "
     "the source was told of, as after a failover to a standby that was behind, or a restore. The "
     "daemon finds the request "
     "at its next try, or when it is started.",
     request_run},
    {"retry", "[TABLE...]", 0, -1, COMMAND_TARGET, request_options,
     "try tables that stand still for an error again",
     "Asks the running daemon to try tables that stand still for an error again now, all of them "
     "or those that are named. It does so by itself too, less and less often. Of tables without a "
     "key that do not stand still, the rows that were left out are tried again.",
     request_run},
    {"skip", "TABLE KEY...", 2, -1, COMMAND_TARGET, request_options,
     "leave out the row that keeps a table standing",
     "Leaves out the one row that the target refuses and that `status` names, so that its table "
     "goes on: the table, and the values of the row's key in the order of its columns. The row is "
     "recorded with the error in rebeco.skipped at the target, and tried again when it changes at "
     "the source. Until it is there, the target is not called consistent. A row without a key is "
     "given by the short hash that `status` shows; all rows that look like it are left out and "
     "counted, until they are removed or changed at the source, or `retry` is asked for.",
     request_run},
    {"conflicts", "[show ID | replay ID [source|target]]", 0, 3, COMMAND_TARGET, conflicts_options,
     "what was decided where both ends changed a row",
     "In a two-way sync: lists the rows that both ends have changed before they heard of each "
     "other, newest first, and who won. `show` prints both versions side by side and how the row "
     "is now; `replay` gives the row the version that has lost, or that of the end that is named, "
     "if it has not changed since. That is a write at the target like the application's: the "
     "daemon sends it on, now or when it runs again. Works while no daemon runs.",
     conflicts_run},
    {"direction", "source-to-target|both|target-to-source", 1, 1, COMMAND_TARGET, request_options,
     "close one direction of a two-way sync, or open both",
     "Asks the running daemon to let changes travel in one direction only, or in both again. What "
     "was committed before at the end whose direction is closed is delivered first; when the "
     "command returns it is there, and nothing more comes. What is written at that end later is "
     "kept in its change logs, across restarts, and is delivered when `direction both` opens the "
     "direction again. No write is refused at either end. Refused while a table stands still, "
     "because its changes could not be delivered first.",
     request_run},
    {"ddl", "FILE", 1, 1, COMMAND_SYNC, ddl_options, "run a migration at both ends",
     "Runs the SQL in FILE (- is standard input) at the target and at the source while the daemon "
     "runs, and commits at both or at neither. First the target is to have all that was written "
     "before: else the migration, and then its tables, would wait for the backlog. Nobody waits "
     "for it at the source longer than "
     "lock_timeout for a lock; locked tables are tried again for five minutes. Should the second "
     "commit fail or be cut off, that is recorded, and the same command goes on with that end. A "
     "statement that cannot run in a transaction, such as CREATE INDEX CONCURRENTLY, needs a file "
     "of its own, and waits for locks as long as it takes. The file holds no BEGIN or COMMIT, "
     "and leaves new tables empty: their rows come from the source.",
     ddl_run},
    {"uninstall", "", 0, 0, COMMAND_TARGET, uninstall_options,
     "remove everything of Rebeco from both ends",
     "Removes triggers, change logs and the schema rebeco from source and target, also when some "
     "of it is lost already. Your tables and their rows stay. Refused while a daemon runs, and "
     "while a closed direction of a two-way sync keeps changes that were not sent. Names rows that "
     "were left out with `skip`: the record of them goes; and counts changes that were not sent. "
     "Takes one table per transaction and waits for locks without making others wait; it may be "
     "interrupted and repeated, and `run` refuses to lead what is removed in part. With --sync, "
     "and "
     "when other syncs use the same database, only what belongs to that sync is removed.",
     uninstall_run},
    {"config", "[sample|schema]", 0, 1, COMMAND_NOTHING, NULL, "print the effective configuration",
     "Reads the file, the environment and the options, and prints what would be in force, without "
     "passwords. `config sample` prints every option with its default and its meaning; `config "
     "schema` prints a JSON Schema for editors.",
     run_config},
    {"version", "", 0, 0, COMMAND_NOTHING, NULL, "print the version",
     "Prints the program's version.", run_version},
    {"help", "[COMMAND]", 0, 1, COMMAND_NOTHING, help_options, "print help",
     "Prints the list of commands and global options, or all about one command.", run_help},
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

int command_usage_error(const struct error *e)
{
    error_print(e);
    return EXIT_USAGE;
}

/* ---------------------------------------------------------------- parsing */

/* What stood on the command line, before it is known which command it is for. */
struct given_option {
    const char *name;
    const char *value; /* NULL: it takes none */
};

struct command_line {
    struct arena *arena;                      /* for values that are taken out of argv */
    struct option known[COMMAND_OPTIONS_MAX]; /* of all commands, each name once */
    int known_count;
    struct given_option given[COMMAND_OPTIONS_MAX];
    int given_count;
    bool wants_help;
};

static const struct command_option *find_option(const struct command_option *options,
                                                const char *name)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++) {
        if (strcmp(o->name, name) == 0)
            return o;
    }
    return NULL;
}

static void know(struct command_line *l, const struct command_option *options)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++) {
        int i = 0;
        while (i < l->known_count && strcmp(l->known[i].name, o->name) != 0)
            i++;
        if (i < l->known_count)
            continue;
        if (l->known_count >= COMMAND_OPTIONS_MAX - 2)
            abort(); /* a bug: the tables have outgrown the array */
        int has_argument = o->argument != NULL ? required_argument : no_argument;
        l->known[l->known_count++] = (struct option){o->name, has_argument, NULL, 0};
    }
}

/* A URL may hold a password, and everybody can read a process's arguments. */
static const char *take_value(struct arena *a, const char *name, char *value)
{
    bool is_secret = strcmp(name, "source") == 0 || strcmp(name, "target") == 0;
    if (!is_secret || value == NULL)
        return value;
    const char *copy = arena_strdup(a, value);
    memset(value, '*', strlen(value));
    return copy;
}

static bool parse_options(struct command_line *l, int argc, char **argv)
{
    know(l, command_globals);
    for (const struct command *c = commands; c->name != NULL; c++)
        know(l, c->options);
    l->known[l->known_count++] = (struct option){"help", no_argument, NULL, 'h'};
    for (;;) {
        int index = 0;
        int c = getopt_long(argc, argv, "h", l->known, &index);
        if (c == -1)
            return true;
        if (c == 'h') {
            l->wants_help = true;
            continue;
        }
        if (c != 0 || l->given_count == COMMAND_OPTIONS_MAX)
            return false; /* getopt_long has said why */
        const char *name = l->known[index].name;
        l->given[l->given_count++] =
            (struct given_option){name, take_value(l->arena, name, optarg)};
    }
}

static bool set_option(struct command_context *x, const struct given_option *g, struct error *e)
{
    const struct command_option *o = find_option(command_globals, g->name);
    char *base = (char *)&x->arguments;
    if (o == NULL) {
        o = find_option(x->command->options, g->name);
        base = (char *)x;
    }
    if (o == NULL) {
        error_set(e, "`rebeco %s` does not take --%s", x->command->name, g->name);
        error_hint(e, "`rebeco help %s` lists its options.", x->command->name);
        return false;
    }
    if (o->argument == NULL)
        *(bool *)(void *)(base + o->offset) = true;
    else
        *(const char **)(void *)(base + o->offset) = g->value;
    return true;
}

static bool check_operands(const struct command_context *x, struct error *e)
{
    const struct command *c = x->command;
    bool is_fit = x->operand_count >= c->min_operands &&
                  (c->max_operands < 0 || x->operand_count <= c->max_operands);
    if (is_fit)
        return true;
    error_set(e, "`rebeco %s` has %s", c->name,
              x->operand_count < c->min_operands ? "something missing" : "a word too many");
    error_hint(e, "Usage: rebeco %s %s", c->name, c->operands);
    return false;
}

static bool prepare(struct command_context *x, const struct command_line *l, struct error *e)
{
    for (int i = 0; i < l->given_count; i++) {
        if (!set_option(x, &l->given[i], e))
            return false;
    }
    if (x->command->run == run_daemon)
        daemon_keep_hangup(true);
    return check_operands(x, e) && load(x, x->command->needs, e);
}

static int run_command(struct command_context *x, const struct command_line *l)
{
    struct error e;
    error_clear(&e);
    int code = prepare(x, l, &e) ? x->command->run(x) : command_usage_error(&e);
    config_free(x->config);
    return code;
}

/* Output that could not be written is a failure: a full disk must not look like a good sample. */
static int finish(int code)
{
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (is_written || code != EXIT_DONE)
        return code;
    perror("rebeco: cannot write the output");
    return EXIT_FAILED;
}

static int help_for(const struct command *c)
{
    if (c == NULL)
        help_overview(stdout);
    else
        help_command(stdout, c);
    return EXIT_DONE;
}

static int parse_and_run(struct command_line *l, int argc, char **argv)
{
    struct command_context x = {.command = NULL};
    if (!parse_options(l, argc, argv))
        return EXIT_USAGE;
    if (optind == argc && !l->wants_help) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    if (optind < argc) {
        x.command = command_find(argv[optind]);
        if (x.command == NULL)
            return fail_unknown(argv[optind]);
        x.operands = argv + optind + 1;
        x.operand_count = argc - optind - 1;
    }
    return l->wants_help ? help_for(x.command) : run_command(&x, l);
}

int command_main(int argc, char **argv)
{
    struct command_line line = {.arena = arena_new()};
    int code = finish(parse_and_run(&line, argc, argv));
    arena_free(line.arena);
    return code;
}
