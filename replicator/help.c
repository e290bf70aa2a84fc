/* What the program says of itself: help for people, and the manual page.
 *
 * Nothing here knows a single command or option: all comes from rows. */
#include "help.h"

#include <string.h>

#include "config_option.h"

enum { HELP_WIDTH = 80, HELP_COLUMN = 26 };

struct help_row {
    const char *name;
    const char *text;
};

static const struct help_row exit_codes[] = {
    {"0", "Done. For `run`: asked to stop; with --until, only when that is reached."},
    {"1", "Failed. The message says what, and what to do."},
    {"2", "Wrong usage or configuration."},
    {"3", "`check` found blockers."},
    {"4", "Cannot go on without a person, and --until was asked."},
    {"5", "Another instance holds this sync."},
    {NULL, NULL},
};

static const struct help_row variables[] = {
    {"REBECO_SOURCE", "The source's URL, where neither --source nor the file says it."},
    {"REBECO_TARGET", "The target's URL, likewise."},
    {"PG*", "libpq's own variables, such as PGPASSFILE, PGSSLROOTCERT and PGSERVICEFILE."},
    {NULL, NULL},
};

/* ---------------------------------------------------------------- for people */

/* A text from `column` on, broken between words; the first line begins at `at`. */
static void print_wrapped(FILE *to, const char *text, int at, int column)
{
    fprintf(to, "%*s", at < column ? column - at : 0, "");
    while (*text != '\0') {
        size_t n = strlen(text), width = (size_t)(HELP_WIDTH - column);
        if (n > width) {
            n = width;
            while (n > 0 && text[n] != ' ')
                n--;
        }
        fprintf(to, "%.*s\n", (int)n, text);
        text += n;
        text += strspn(text, " ");
        fprintf(to, "%*s", *text != '\0' ? column : 0, "");
    }
}

static void print_row(FILE *to, const char *name, const char *text)
{
    int at = fprintf(to, "  %s", name);
    if (at >= HELP_COLUMN - 1) {
        fputc('\n', to);
        at = 0;
    }
    print_wrapped(to, text, at, HELP_COLUMN);
}

static void print_options(FILE *to, const struct command_option *options)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++) {
        char name[64];
        const char *argument = o->argument != NULL ? o->argument : "";
        snprintf(name, sizeof name, "--%s%s%s", o->name, argument[0] != '\0' ? " " : "", argument);
        print_row(to, name, o->help);
    }
}

void help_overview(FILE *to)
{
    fputs("Rebeco copies a live PostgreSQL database and keeps the copy in sync.\n\n"
          "Usage: rebeco [OPTIONS] COMMAND ...\n\nCommands:\n",
          to);
    for (const struct command *c = commands; c->name != NULL; c++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", c->name, c->operands);
        print_row(to, name, c->help);
    }
    fputs("\nOptions, before or after the command:\n", to);
    print_options(to, command_globals);
    fputs("\n`rebeco help COMMAND` says more.\n", to);
}

void help_command(FILE *to, const struct command *c)
{
    fprintf(to, "Usage: rebeco [OPTIONS] %s %s\n\n", c->name, c->operands);
    print_wrapped(to, c->text, 0, 0);
    if (c->options != NULL)
        fputs("\nIts options:\n", to);
    print_options(to, c->options);
    fputs("\nOptions of every command:\n", to);
    print_options(to, command_globals);
}

/* ---------------------------------------------------------------- the manual page */

/* A text as roff takes it: no line begins with a control character, dashes are dashes. */
static void print_roff(FILE *to, const char *text)
{
    for (const char *s = text; *s != '\0'; s++) {
        if (s == text && (*s == '.' || *s == '\''))
            fputs("\\&", to);
        if (*s == '\\')
            fputs("\\e", to);
        else if (*s == '-')
            fputs("\\-", to);
        else
            fputc(*s, to);
    }
    fputc('\n', to);
}

static void roff_row(FILE *to, const char *name, const char *text)
{
    fputs(".TP\n.B ", to);
    print_roff(to, name);
    print_roff(to, text);
}

static void roff_rows(FILE *to, const struct help_row *rows)
{
    for (const struct help_row *r = rows; r->name != NULL; r++)
        roff_row(to, r->name, r->text);
}

static void roff_options(FILE *to, const struct command_option *options)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++) {
        char name[64];
        snprintf(name, sizeof name, "--%s %s", o->name, o->argument != NULL ? o->argument : "");
        roff_row(to, name, o->help);
    }
}

static void roff_commands(FILE *to)
{
    fputs(".SH COMMANDS\n", to);
    for (const struct command *c = commands; c->name != NULL; c++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", c->name, c->operands);
        fputs(".SS ", to);
        print_roff(to, name);
        print_roff(to, c->text);
        roff_options(to, c->options);
    }
}

static void roff_configuration(FILE *to)
{
    fputs(".SH CONFIGURATION\nA YAML file, named with\n.BR \\-\\-config .\n"
          "Every option with its default is printed by\n.BR \"rebeco config sample\" .\n",
          to);
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        roff_row(to, o->path, o->help);
        if (o->standard != NULL && o->standard[0] != '\0') {
            fputs("Default:\n", to);
            print_roff(to, o->standard);
        }
    }
}

void help_man(FILE *to)
{
    fputs(".TH REBECO 1 \"\" \"Rebeco " REBECO_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nrebeco \\- copy a live PostgreSQL database and keep the copy in sync\n"
          ".SH SYNOPSIS\n.B rebeco\n[OPTIONS] COMMAND ...\n"
          ".SH DESCRIPTION\n"
          "Rebeco copies a PostgreSQL database to another server while it is in use, and then "
          "applies every change as it comes, with nothing but tables, triggers and COPY: the "
          "source needs neither superuser nor replication rights. Its state lives in the two "
          "databases, in the schema rebeco; the daemon may be killed and started again at any "
          "moment.\n",
          to);
    fputs(".SH OPTIONS\nBefore or after the command.\n", to);
    roff_options(to, command_globals);
    roff_commands(to);
    roff_configuration(to);
    fputs(".SH EXIT STATUS\n", to);
    roff_rows(to, exit_codes);
    fputs(".SH ENVIRONMENT\n", to);
    roff_rows(to, variables);
}

/* ---------------------------------------------------------------- bash */

static void bash_options(FILE *to, const struct command_option *options)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++)
        fprintf(to, " --%s", o->name);
}

/* The options whose value is a file, and those with any other value. */
static void bash_values(FILE *to, const struct command_option *options)
{
    for (const struct command_option *o = options; o != NULL && o->name != NULL; o++) {
        if (o->argument == NULL)
            continue;
        if (strcmp(o->argument, "FILE") == 0)
            fprintf(to, "        --%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n",
                    o->name);
        else
            fprintf(to, "        --%s) return ;;\n", o->name);
    }
}

void help_bash(FILE *to)
{
    fputs("# Completion of rebeco for bash; printed by `rebeco help --bash`.\n"
          "_rebeco()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command= words i\n"
          "    COMPREPLY=()\n"
          "    case ${COMP_WORDS[COMP_CWORD - 1]} in\n",
          to);
    bash_values(to, command_globals);
    for (const struct command *c = commands; c->name != NULL; c++)
        bash_values(to, c->options);
    fputs("    esac\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n            ",
          to);
    for (const struct command *c = commands; c->name != NULL; c++)
        fprintf(to, "%s%s", c == commands ? "" : "|", c->name);
    fputs(") command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n    words=\"", to);
    bash_options(to, command_globals);
    fputs(" --help\"\n    case $command in\n        '') words+=\"", to);
    for (const struct command *c = commands; c->name != NULL; c++)
        fprintf(to, " %s", c->name);
    fputs("\" ;;\n", to);
    for (const struct command *c = commands; c->name != NULL; c++) {
        fprintf(to, "        %s) words+=\"", c->name);
        bash_options(to, c->options);
        fputs("\" ;;\n", to);
    }
    fputs("    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
          "complete -F _rebeco rebeco\n",
          to);
}
