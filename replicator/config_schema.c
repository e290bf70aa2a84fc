/* The JSON Schema of the configuration, for editors, from the table of options. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_option.h"
#include "config_value.h"

/* Any value may be put together from ${...}: then it is a string until it is read. */
static const char *const substitution = "\\$\\{";

static json_t *group_schema(const struct config_option *parent);

static json_t *substituted(void)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", substitution);
}

/* Either the given schema, which is taken over, or a string with ${...}. */
static json_t *or_substituted(json_t *schema)
{
    return json_pack("{s:[o, o]}", "anyOf", schema, substituted());
}

static json_t *words_schema(const struct config_option *o)
{
    json_t *words = json_array();
    for (int i = 0; o->words[i] != NULL; i++)
        json_array_append_new(words, json_string(o->words[i]));
    return json_pack("{s:o}", "enum", words);
}

static json_t *number_schema(const struct config_option *o)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)o->min, "maximum",
                     (json_int_t)o->max);
}

/* A number with its unit; only 0, and of OPTION_BYTES every number, may stand without. */
static json_t *unit_schema(enum option_type type, const char *units)
{
    char pattern[128];
    json_t *plain = type == OPTION_BYTES ? json_pack("{s:s}", "type", "integer")
                                         : json_pack("{s:[i]}", "enum", 0);
    snprintf(pattern, sizeof pattern, "^(0|[0-9]+(\\.[0-9]*)? *(%s))$", units);
    return json_pack("{s:[o, {s:s, s:s}, o]}", "anyOf", plain, "type", "string", "pattern", pattern,
                     substituted());
}

static json_t *refresh_schema(const struct config_option *o)
{
    json_t *item =
        json_pack("{s:[o, o]}", "anyOf", or_substituted(words_schema(o)), group_schema(o));
    return json_pack("{s:s, s:o}", "type", "array", "items", item);
}

static json_t *value_schema(const struct config_option *o)
{
    switch (o->type) {
    case OPTION_GROUP:
        return group_schema(o);
    case OPTION_DATABASES:
        return json_pack("{s:[s, s], s:o}", "type", "object", "null", "additionalProperties",
                         group_schema(o));
    case OPTION_SYNCS:
        return json_pack("{s:[s, s], s:o}", "type", "array", "null", "items", group_schema(o));
    case OPTION_BOOL:
        return or_substituted(
            json_pack("{s:[b, b, s, s, s, s]}", "enum", true, false, "yes", "no", "on", "off"));
    case OPTION_INT:
    case OPTION_COUNT:
        return or_substituted(number_schema(o));
    case OPTION_BYTES:
        return unit_schema(o->type, "|B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB");
    case OPTION_RATE:
        return unit_schema(o->type, "B/s|kB/s|KB/s|KiB/s|MB/s|MiB/s|GB/s|GiB/s");
    case OPTION_DURATION:
        return unit_schema(o->type, "ms|s|m|h|d");
    case OPTION_WORD:
    case OPTION_ENUM:
        return or_substituted(words_schema(o));
    case OPTION_POLICIES:
        return json_pack("{s:[s, s], s:{s:s}}", "type", "object", "null", "additionalProperties",
                         "type", "string");
    case OPTION_PATTERNS:
        return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
    case OPTION_TEXTS:
    case OPTION_RENAMES:
        return json_pack("{s:[s, s], s:{s:s}}", "type", "object", "null", "additionalProperties",
                         "type", "string");
    case OPTION_LISTS:
        return json_pack("{s:[s, s], s:{s:s, s:{s:s}}}", "type", "object", "null",
                         "additionalProperties", "type", "array", "items", "type", "string");
    case OPTION_REFRESH:
        return refresh_schema(o);
    case OPTION_NAME:
    case OPTION_URL:
    case OPTION_ADDRESS:
    case OPTION_PATH:
    case OPTION_COMMAND:
    case OPTION_POLICY:
    case OPTION_DATABASE:
        break;
    }
    return json_pack("{s:s}", "type", "string");
}

/* The default in the type that a file has. */
static json_t *default_value(const struct config_option *o)
{
    if (config_value_is_list(o))
        return o->standard[0] != '\0' ? json_pack("[s]", o->standard) : json_array();
    if (o->type == OPTION_BOOL)
        return json_boolean(strcmp(o->standard, "true") == 0);
    if (o->type == OPTION_INT || o->type == OPTION_COUNT)
        return json_integer(strtoll(o->standard, NULL, 10));
    return json_string(o->standard);
}

/* The mapping below `parent`; NULL: the whole file. */
static json_t *group_schema(const struct config_option *parent)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        size_t len;
        if (!config_option_is_child(o, parent))
            continue;
        const char *key = config_option_key(o, &len);
        json_t *schema = value_schema(o);
        json_object_set_new(schema, "description", json_string(o->help));
        if (o->standard != NULL)
            json_object_set_new(schema, "default", default_value(o));
        json_object_setn_new(properties, key, len, schema);
        if (o->required)
            json_array_append_new(required, json_stringn(key, len));
    }
    json_t *group = json_pack("{s:[s, s], s:b, s:o}", "type", "object", "null",
                              "additionalProperties", false, "properties", properties);
    if (json_array_size(required) > 0) {
        json_object_set_new(group, "type", json_string("object"));
        json_object_set(group, "required", required);
    }
    json_decref(required);
    return group;
}

void config_print_json_schema(void)
{
    json_t *root = json_pack("{s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#",
                             "title", "Rebeco's configuration file");
    json_t *group = group_schema(NULL);
    json_object_update(root, group);
    json_decref(group);
    json_dumpf(root, stdout, JSON_INDENT(2));
    fputc('\n', stdout);
    json_decref(root);
}
