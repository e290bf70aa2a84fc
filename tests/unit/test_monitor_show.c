/* The status tree as text: complete, tolerant of what is missing, and clean. */
#include "monitor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct buf out;

static const char *show(const char *json)
{
    json_error_t e;
    json_t *tree = json_loads(json, 0, &e);
    if (tree == NULL)
        fail_msg("%s: %s", e.text, json);
    buf_clear(&out, 0);
    monitor_show(&out, tree);
    json_decref(tree);
    return out.data;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static void test_whole(void **state)
{
    (void)state;
    assert_string_equal(
        show("{\"sync\":\"app\",\"phase\":\"copy\",\"consistent\":false,\"paused\":true,"
             "\"running\":true,"
             "\"failing\":[{\"job\":\"lead\",\"failures\":3,\"what\":\"no way\",\"detail\":null,"
             "\"hint\":\"look\"}],"
             "\"lag\":{\"seconds\":0.014,\"rows\":3},"
             "\"copy\":{\"bytes\":2147483648,\"bytes_done\":536870912,\"bytes_per_s\":104857600,"
             "\"eta_s\":15},"
             "\"batches\":{\"count\":4,\"rows\":50,\"last_ms\":7.4},"
             "\"log\":{\"bytes\":4096,\"limit_bytes\":1073741824,\"oldest_s\":90,\"held_by\":\"pid "
             "7\"},"
             "\"tables\":["
             "{\"schema\":\"public\",\"name\":\"t\",\"state\":\"copy\",\"bytes\":1000,\"bytes_"
             "done\":999},"
             "{\"schema\":\"shop\",\"name\":\"u\",\"state\":\"follow\",\"paused\":\"drift\","
             "\"what\":\"w\",\"detail\":\"d\",\"hint\":\"h\"},"
             "{\"schema\":\"p\",\"name\":\"q\",\"state\":\"index\"},"
             "{\"schema\":\"p\",\"name\":\"r\",\"state\":\"follow\"},"
             "{\"schema\":\"p\",\"name\":\"s\",\"state\":\"follow\"}],"
             "\"problems\":[{\"kind\":\"schema\",\"object\":\"FK "
             "x\",\"message\":\"m\",\"hint\":\"do\"}],"
             "\"daemon\":{\"pid\":5,\"version\":\"0.1.0\",\"started_at\":1767225600.5,"
             "\"peak_rss_bytes\":7340032}}"),
        "sync app: copy, paused, the target is not consistent yet\n"
        "daemon: pid 5, version 0.1.0, up to 7.0 MB of memory, since 2026-01-01 00:00:00 UTC\n"
        "fails now, tried again by itself (3 times so far):\n"
        "      no way\n"
        "      look\n"
        "lag:    0.01 s, 3 rows behind\n"
        "batches: 4 with 50 rows, the last took 7 ms\n"
        "change logs: 4.0 kB of 1.0 GB, the oldest change waits for 90 s\n"
        "  cannot be cleaned because of pid 7\n"
        "copy:   [######..................]  25 %  512 MB of 2.0 GB, 100 MB/s, 15 s left\n"
        "tables: 5\n"
        "  public.t                 [#######################.]  99 %  999 B of 1.0 kB\n"
        "  shop.u                   paused (drift)\n"
        "      w\n"
        "      d\n"
        "      to do: h\n"
        "  p.q                      index\n"
        "  2 follow the source\n"
        "problems: 1\n"
        "  schema: FK x\n"
        "      m\n"
        "      to do: do\n");
}

static void test_missing_and_wrong_keys(void **state)
{
    (void)state;
    assert_string_equal(show("{}"), "sync : \n");
    assert_string_equal(show("{\"sync\":1,\"phase\":[],\"lag\":7,\"copy\":\"x\",\"tables\":{},"
                             "\"problems\":3,\"daemon\":[],\"log\":null,\"batches\":true}"),
                        "sync : \n");
    assert_non_null(strstr(show("{\"tables\":[1,null,{}],\"problems\":[{},2]}"), "tables: 3\n"));
    assert_non_null(strstr(show("{\"running\":false,\"age_s\":7200}"),
                           "none runs now, or it does not reach both servers (its log says more); "
                           "what follows was said 2.0 h ago"));
    assert_non_null(strstr(show("{\"consistent\":true}"), "one committed state of the source\n"));
    assert_non_null(
        strstr(show("{\"consistent\":true,\"tables\":[{\"state\":\"new\",\"paused\":\"drift\"},"
                    "{\"state\":\"follow\",\"paused\":\"drift\"}]}"),
               "of the source, but for 1 table without a part in the sync\n"));
}

static void test_hostile_names(void **state)
{
    (void)state;
    const char *text = show(
        "{\"sync\":\"a\\u001b[2J\",\"phase\":\"x\\ny\",\"tables\":[{\"schema\":\"s\\r\","
        "\"name\":\"\\u0007\\u007f\",\"state\":\"index\"}],\"problems\":[{\"object\":\"o\\n\"}]}");
    assert_null(strpbrk(text, "\033\r\a\x7f"));
    assert_int_equal(strncmp(text, "sync a?[2J: x y\n", 16), 0);
}

static void test_large_objects(void **state)
{
    (void)state;
    assert_non_null(strstr(show("{\"large_objects\":{\"state\":\"copying\",\"seen\":9,"
                                "\"copied\":2,\"bytes\":4096}}"),
                           "large objects: 9 at the source, 2 copied so far (4.0 kB); changes to "
                           "them are not followed\n"));
    assert_non_null(strstr(show("{\"large_objects\":{\"state\":\"copied\",\"seen\":9,\"here\":8}}"),
                           "large objects: 9 at the source, 8 at the target; changes"));
    assert_non_null(strstr(show("{\"large_objects\":{\"state\":\"ignored\",\"seen\":9}}"),
                           "large objects: 9 at the source, not copied\n"));
    assert_null(strstr(show("{\"large_objects\":{\"state\":\"copied\",\"seen\":0}}"), "large"));
}

static void test_a_batch_that_waits(void **state)
{
    (void)state;
    assert_non_null(
        strstr(show("{\"lag\":{\"seconds\":20,\"rows\":3,\"held_by\":\"session 7\"}}"),
               "rows behind\n  the batch waits for a lock at the target that is held by "
               "session 7\n"));
    assert_null(strstr(show("{\"lag\":{\"seconds\":20,\"rows\":3,\"held_by\":null}}"), "waits"));
}

static void test_schema(void **state)
{
    (void)state;
    assert_non_null(strstr(show("{\"schema\":{\"step\":\"pg_restore\",\"done\":3,\"todo\":40,"
                                "\"holds_batches\":true}}"),
                           "schema: pg_restore, 3 of 40 objects; changes wait until the foreign "
                           "keys are there\n"));
    assert_non_null(strstr(show("{\"schema\":{\"step\":\"pg_dump\",\"done\":0,\"todo\":0}}"),
                           "schema: pg_dump\n"));
    assert_null(strstr(show("{\"schema\":null}"), "schema:"));
}

static void test_many_tables(void **state)
{
    (void)state;
    json_t *tree = json_object(), *tables = json_array();
    for (int i = 0; i < 500; i++)
        json_array_append_new(tables, json_pack("{s:s, s:s, s:s}", "schema", "s", "name", "t",
                                                "state", i < 100 ? "copy" : "follow"));
    json_object_set_new(tree, "tables", tables);
    buf_clear(&out, 0);
    monitor_show(&out, tree);
    json_decref(tree);
    assert_non_null(strstr(out.data, "  400 follow the source\n  and 60 more; --json shows all\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_whole, teardown),
        cmocka_unit_test_teardown(test_missing_and_wrong_keys, teardown),
        cmocka_unit_test_teardown(test_hostile_names, teardown),
        cmocka_unit_test_teardown(test_large_objects, teardown),
        cmocka_unit_test_teardown(test_a_batch_that_waits, teardown),
        cmocka_unit_test_teardown(test_schema, teardown),
        cmocka_unit_test_teardown(test_many_tables, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
