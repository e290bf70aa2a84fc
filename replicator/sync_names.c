/* The words for phases, states and reasons, in logs, in status and in the database. */
#include "sync.h"

const char *sync_phase_name(enum sync_phase p)
{
    switch (p) {
    case SYNC_STARTING:
        return "starting";
    case SYNC_SCHEMA:
        return "schema";
    case SYNC_CAPTURE:
        return "capture";
    case SYNC_COPY:
        return "copy";
    case SYNC_CATCH_UP:
        return "catch-up";
    case SYNC_FINISH:
        return "finish";
    case SYNC_FOLLOW:
        return "follow";
    }
    return "";
}

const char *table_state_name(enum table_state s)
{
    switch (s) {
    case TABLE_NEW:
        return "new";
    case TABLE_COPY:
        return "copy";
    case TABLE_FOLLOW:
        return "follow";
    }
    return "";
}

const char *table_pause_name(enum table_pause p)
{
    switch (p) {
    case TABLE_RUNS:
        return NULL;
    case TABLE_USER:
        return "user";
    case TABLE_DRIFT:
        return "drift";
    case TABLE_ERROR:
        return "error";
    case TABLE_CAPTURE:
        return "capture";
    case TABLE_OTHER:
        return "other";
    }
    return NULL;
}

const char *table_records_name(enum table_records r)
{
    switch (r) {
    case TABLE_KEY:
        return "key";
    case TABLE_IMAGE:
        return "image";
    case TABLE_NOTHING:
        return "nothing";
    }
    return "";
}
