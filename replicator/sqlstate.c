/* What an SQLSTATE means for us. The most specific row wins: five letters, then the class of two.
 */
#include "sqlstate.h"

#include <string.h>

static const struct {
    const char *code;
    enum sqlstate_action action;
    const char *name;
} states[] = {
    {"08", SQLSTATE_RECONNECT, "connection failure"},
    {"0A000", SQLSTATE_DATA, "not supported by the server"},
    {"22", SQLSTATE_DATA, "a value does not fit"},
    {"23502", SQLSTATE_DATA, "not-null violation"},
    {"23503", SQLSTATE_DATA, "foreign key violation"},
    {"23505", SQLSTATE_CONFLICT, "unique violation"},
    {"23514", SQLSTATE_DATA, "check violation"},
    {"23P01", SQLSTATE_CONFLICT, "exclusion violation"},
    {"23", SQLSTATE_DATA, "constraint violation"},
    {"25006", SQLSTATE_RECONNECT, "read-only server"},
    {"25P02", SQLSTATE_RETRY, "aborted transaction"},
    {"25", SQLSTATE_RETRY, "transaction state"},
    {"28", SQLSTATE_STOP, "login refused"},
    {"3D000", SQLSTATE_STOP, "no such database"},
    {"40001", SQLSTATE_RETRY, "serialization failure"},
    {"40P01", SQLSTATE_RETRY, "deadlock"},
    {"40", SQLSTATE_RETRY, "transaction rolled back"},
    {"42501", SQLSTATE_STOP, "privilege missing"},
    {"42", SQLSTATE_DATA, "object or column does not fit"},
    {"53100", SQLSTATE_RECONNECT, "disk full"},
    {"53200", SQLSTATE_RETRY, "server out of memory"},
    {"53300", SQLSTATE_RECONNECT, "too many connections"},
    {"53", SQLSTATE_RECONNECT, "server short of resources"},
    {"55000", SQLSTATE_RETRY, "object not in the needed state"},
    {"55P03", SQLSTATE_RETRY, "lock not available"},
    {"57014", SQLSTATE_RETRY, "statement cancelled"},
    {"57P01", SQLSTATE_RECONNECT, "server shutting down"},
    {"57P02", SQLSTATE_RECONNECT, "server crashed"},
    {"57P03", SQLSTATE_RECONNECT, "server starting or stopping"},
    {"57P05", SQLSTATE_RECONNECT, "idle session ended"},
    {"57", SQLSTATE_RECONNECT, "operator intervention"},
    {"58", SQLSTATE_RECONNECT, "system error on the server"},
    {"72000", SQLSTATE_RETRY, "snapshot too old"},
    {"P0001", SQLSTATE_DATA, "raised by a function"},
    {"RB010", SQLSTATE_RECONNECT, "another daemon owns the sync"},
    {"RB020", SQLSTATE_DATA, "rows are missing at the target"},
    {"RB030", SQLSTATE_RETRY, "another table at the target"},
    {"RB040", SQLSTATE_DATA, "rows were dropped at the target"},
    {"XX001", SQLSTATE_DATA, "data corrupted"},
    {"XX002", SQLSTATE_DATA, "index corrupted"},
    {"XX", SQLSTATE_RECONNECT, "internal error of the server"},
};

enum { STATES = sizeof states / sizeof states[0] };

static int find(const char *sqlstate)
{
    int found = -1;

    for (int i = 0; i < STATES; i++) {
        size_t len = strlen(states[i].code);

        if (strncmp(sqlstate, states[i].code, len) == 0 &&
            (found < 0 || len > strlen(states[found].code)))
            found = i;
    }
    return found;
}

enum sqlstate_action sqlstate_action(const char *sqlstate)
{
    int i;

    if (sqlstate[0] == '\0')
        return SQLSTATE_RECONNECT;
    i = find(sqlstate);
    return i < 0 ? SQLSTATE_DATA : states[i].action;
}

bool sqlstate_is_of_table(enum sqlstate_action action)
{
    return action == SQLSTATE_DATA || action == SQLSTATE_CONFLICT || action == SQLSTATE_STOP;
}

bool sqlstate_is_of_row(const char *sqlstate)
{
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
           strcmp(sqlstate, "P0001") == 0;
}

bool sqlstate_is_of_name(const char *sqlstate)
{
    return strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "42P01") == 0 ||
           strcmp(sqlstate, "42704") == 0;
}

bool sqlstate_is_foreign_key(const char *sqlstate)
{
    return strcmp(sqlstate, "23503") == 0 || strcmp(sqlstate, "23001") == 0;
}

bool sqlstate_is_of_lock(const char *sqlstate)
{
    return strcmp(sqlstate, SQLSTATE_LOCKED) == 0 || strcmp(sqlstate, SQLSTATE_DEADLOCK) == 0;
}

bool sqlstate_is_of_chance(const char *sqlstate)
{
    return strncmp(sqlstate, "40", 2) == 0;
}

bool sqlstate_is_internal(const char *sqlstate)
{
    return strncmp(sqlstate, "XX", 2) == 0 && sqlstate_action(sqlstate) == SQLSTATE_RECONNECT;
}

const char *sqlstate_name(const char *sqlstate)
{
    int i = sqlstate[0] ? find(sqlstate) : -1;

    return i < 0 ? "" : states[i].name;
}
