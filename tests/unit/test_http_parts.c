/* What the HTTP server is made of: addresses, the histogram, the history, metrics of hostile names.
 */
#include "http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "batch.h"
#include "histogram.h"
#include "history.h"
#include "lead.h"
#include "metrics.h"

static void test_addresses(void **state)
{
    static const char *const good[] = {"127.0.0.1:8080", "0.0.0.0:1", "[::]:65535", "[::1]:80",
                                       "localhost:8080"};
    static const char *const bad[] = {"",           ":80",           "8080",        "127.0.0.1",
                                      "127.0.0.1:", "127.0.0.1:0",   "::1:80",      "[::1]",
                                      "[::1:80",    "example.com:1", "127.1:80",    "1.2.3.4:65536",
                                      "1.2.3.4:-1", "1.2.3.4:99999", "1.2.3.4: 80", "[1.2.3.4]:80"};
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!address_parse(good[i], &a))
            fail_msg("%s is an address", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (address_parse(bad[i], &a))
            fail_msg("%s is no address", bad[i]);
}

static void test_loopback(void **state)
{
    struct address a;

    (void)state;
    assert_true(address_parse("127.9.9.9:1", &a) && address_is_loopback(&a));
    assert_true(address_parse("localhost:1", &a) && address_is_loopback(&a));
    assert_true(address_parse("[::1]:1", &a) && address_is_loopback(&a));
    assert_true(address_parse("0.0.0.0:1", &a) && !address_is_loopback(&a));
    assert_true(address_parse("[::]:1", &a) && !address_is_loopback(&a));
    assert_true(address_parse("10.0.0.127:1", &a) && !address_is_loopback(&a));
    assert_true(address_parse("[::ffff:127.0.0.1]:1", &a) && !address_is_loopback(&a));
}

static void test_histogram(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, 0);
    histogram_add(&h, histogram_bounds[0]);
    histogram_add(&h, 0.02);
    histogram_add(&h, 1e9);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[2], 1);
    assert_int_equal(h.counts[HISTOGRAM_BUCKETS], 1);
    assert_true(h.sum_s > 1e9);
    for (int i = 1; i < HISTOGRAM_BUCKETS; i++)
        assert_true(histogram_bounds[i] > histogram_bounds[i - 1]);
}

static double point_at(const json_t *tree, size_t i)
{
    const json_t *point = json_array_get(json_object_get(tree, "points"), i);

    return json_number_value(json_array_get(point, 0));
}

static void test_history_keeps_an_hour(void **state)
{
    struct history *h = history_new("app");
    json_t *tree;

    (void)state;
    for (int i = 0; i < HISTORY_POINTS + 10; i++)
        history_add(h, (struct history_point){.at = i, .lag_s = i % 2 ? 0.1234567 : -1, .rows = i});
    tree = history_tree(h);
    assert_string_equal(json_string_value(json_object_get(tree, "sync")), "app");
    assert_int_equal(json_array_size(json_object_get(tree, "points")), HISTORY_POINTS);
    assert_true(point_at(tree, 0) == 10);
    assert_true(point_at(tree, HISTORY_POINTS - 1) == HISTORY_POINTS + 9);
    json_decref(tree);
    history_free(h);
}

/* A scrape is refused as a whole for one series that is not valid. */
static void test_hostile_names_in_metrics(void **state)
{
    struct daemon d = {0};
    struct config_sync config = {0};
    struct lead_job lead = {0};
    struct batch_job batch = {0};
    struct sequence_job sequences = {0};
    struct matview_job matviews = {0};
    struct sync s = {.config = &config,
                     .name = "a",
                     .lead = &lead,
                     .batch = &batch,
                     .sequences = &sequences,
                     .matviews = &matviews};
    struct table fine = {.sync = &s, .label = "q\"b\\n\nu\xC3\xA4"};
    struct table broken = {.sync = &s, .label = "x\xFFy"};
    struct table nameless = {.sync = &s, .label = ""};
    struct buf b;

    (void)state;
    list_init(&d.syncs);
    list_init(&s.tables);
    list_append(&d.syncs, &s.in_daemon);
    list_append(&s.tables, &fine.in_sync);
    list_append(&s.tables, &broken.in_sync);
    list_append(&s.tables, &nameless.in_sync);
    buf_init(&b);
    metrics_print(&d, &b);
    assert_non_null(strstr(b.data,
                           "rebeco_table_paused{sync=\"a\",schema=\"\",table=\"q\\\"b\\\\n\\nu"
                           "\xC3\xA4\"} 0\n"));
    assert_non_null(strstr(b.data, "table=\"x?y\"} 0\n"));
    assert_null(strstr(b.data, "table=\"\""));
    assert_null(strstr(b.data, "nan"));
    assert_null(strstr(b.data, "rebeco_sync_lag_seconds{")); /* not known yet: left out */
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_history_keeps_an_hour),
        cmocka_unit_test(test_hostile_names_in_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
