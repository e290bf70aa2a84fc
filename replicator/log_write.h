/* Standard error, to which the log's lines go. */
#ifndef LOG_WRITE_H
#define LOG_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a line waits for whoever reads, which is how it begins, or is kept. At the end what is
 * kept is written, as far as it is taken at once. */
void log_write_waits(bool waits);
/* Writes a line, or keeps it; false: it is lost. */
bool log_write(const char *line, size_t len);
/* Writes what is kept, as far as it is taken now. */
void log_write_again(void);

#endif
