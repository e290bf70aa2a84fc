/* Commands in the configuration: a text becomes the words of a command line, as a shell would split
 * it, and the first of them a program. No shell is run: nothing is expanded. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>

#include "error.h"
#include "mem.h"

/* Splits at blanks; '...', "..." and \ keep what they enclose. Answers an array that ends with NULL
 * and has at least one word, all in the arena; NULL and the error when there is no word or a quote
 * is not closed. */
const char **words_split(struct arena *a, const char *text, struct error *e);
/* The path of a program as execvp() would find it; NULL and the error when there is none. */
const char *words_program(struct arena *a, const char *name, struct error *e);

#endif
