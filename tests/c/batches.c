/* Many keys in one call: results per key. */
#include "check.h"
#include "json.h"

void batches(void) {
    static const char *const no_object[] = {"", "[]", "1", "{\"a\":}", "{\"a\":NaN}", "{} {}"};
    static const char *const no_list[] = {"", "{}", "[1]", "[\"a\"", "null"};
    dht_t *node = started("{\"max_key_size\": 8}");
    char *results = NULL;
    int64_t left = 0;
    json read;
    size_t i;
    OK(dht_put_many(node, "{\"b\": 1, \"a\": [ 2 ], \"123456789\": 3, \"\": \"\\u0000\", \"b\": -0.0}", &results, &err));
    read = json_read(results);
    CHECK(read.len == 4 && strcmp(read.names[0], "b") == 0 && strcmp(read.names[1], "a") == 0);
    CHECK(json_at(json_at(json_at(&read, "b"), "ok"), "acks")->number == 1);
    CHECK(json_at(json_at(json_at(&read, "123456789"), "error"), "code")->number == DHT_TOO_LARGE);
    CHECK(strcmp(json_text(json_at(json_at(&read, "123456789"), "error"), "name"), "TOO_LARGE") == 0);
    CHECK(json_at(json_at(json_at(&read, "123456789"), "error"), "maybe_applied")->number == 0);
    json_free(&read);
    dht_string_free(results);
    CHECK(holds(node, "b", "-0.0") && holds(node, "a", "[ 2 ]"));

    OK(dht_put_bytes(node, (const uint8_t *)"raw", 3, (const uint8_t *)"\0\xff", 2, NULL, NULL, &err));
    OK(dht_get_many(node, "[\"none\", \"a\", \"raw\", \"b\", \"a\", \"123456789\"]", &results, &err));
    read = json_read(results);
    CHECK(read.len == 4 && strcmp(read.names[0], "a") == 0 && strcmp(read.names[2], "b") == 0);
    CHECK(strncmp(json_at(json_at(&read, "a"), "ok")->from, "[ 2 ]", 5) == 0);
    CHECK(json_at(json_at(json_at(&read, "raw"), "error"), "code")->number == DHT_WRONG_FORMAT);
    CHECK(json_at(json_at(json_at(&read, "123456789"), "error"), "code")->number == DHT_TOO_LARGE);
    json_free(&read);
    dht_string_free(results);

    OK(dht_put_bytes(node, NULL, 0, NULL, 0, "{\"ttl\": 60}", NULL, &err));
    OK(dht_get_many_versioned(node, "[\"none\", \"\", \"a\", \"raw\", \"a\", \"123456789\"]", NULL, &results, &err));
    read = json_read(results);
    CHECK(read.len == 4 && strcmp(read.names[0], "") == 0 && strcmp(read.names[1], "a") == 0);
    CHECK(strcmp(json_text(json_at(json_at(&read, ""), "ok"), "value"), "") == 0);
    CHECK(json_at(json_at(json_at(&read, ""), "ok"), "expires_at")->number > 1e9);
    CHECK(strcmp(json_text(json_at(json_at(&read, "a"), "ok"), "format"), "json") == 0);
    CHECK(strncmp(json_at(json_at(json_at(&read, "a"), "ok"), "value")->from, "[ 2 ]", 5) == 0);
    CHECK(strlen(json_text(json_at(json_at(&read, "a"), "ok"), "version")) == 48);
    CHECK(strcmp(json_text(json_at(json_at(&read, "raw"), "ok"), "format"), "bytes") == 0);
    CHECK(strcmp(json_text(json_at(json_at(&read, "raw"), "ok"), "value"), "00ff") == 0);
    CHECK(json_at(json_at(json_at(&read, "raw"), "ok"), "expires_at")->kind == JSON_NULL);
    CHECK(json_at(json_at(json_at(&read, "123456789"), "error"), "code")->number == DHT_TOO_LARGE);
    json_free(&read);
    dht_string_free(results);

    OK(dht_delete_many(node, "[\"a\", \"none\", \"a\"]", &results, &err));
    CHECK(strcmp(results, "{\"a\":{\"ok\":true},\"none\":{\"ok\":false}}") == 0);
    dht_string_free(results);
    OK(dht_put_many(node, "{}", &results, &err));
    CHECK(strcmp(results, "{}") == 0);
    dht_string_free(results);

    OK(dht_put_many_with(node, "{\"t\": 1}", "{\"ttl\": 1000, \"consistency\": \"all\"}", &results, &err));
    dht_string_free(results);
    OK(dht_ttl_ms(node, "t", &left, &err));
    CHECK(left > 0 && left <= 1000000);
    OK(dht_get_many_with(node, "[\"t\"]", "{\"consistency\": \"one\"}", &results, &err));
    CHECK(strcmp(results, "{\"t\":{\"ok\":1}}") == 0);
    dht_string_free(results);
    OK(dht_delete_many_with(node, "[\"t\"]", "{\"timeout\": 1}", &results, &err));
    CHECK(strcmp(results, "{\"t\":{\"ok\":true}}") == 0);
    dht_string_free(results);

    results = NULL;
    FAILS(dht_put_many_with(node, "{\"t\": 1}", "{\"ttl\": 0}", &results, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_get_many_with(node, "[]", "{\"ttl\": 1}", &results, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_get_many_versioned(node, "[]", "{\"ttl\": 1}", &results, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_delete_many_with(node, "[]", "[]", &results, &err), DHT_INVALID_ARGUMENT);
    for (i = 0; i < sizeof no_object / sizeof no_object[0]; i++) {
        FAILS(dht_put_many(node, no_object[i], &results, &err), DHT_INVALID_ARGUMENT);
    }
    for (i = 0; i < sizeof no_list / sizeof no_list[0]; i++) {
        FAILS(dht_get_many(node, no_list[i], &results, &err), DHT_INVALID_ARGUMENT);
        FAILS(dht_get_many_versioned(node, no_list[i], NULL, &results, &err), DHT_INVALID_ARGUMENT);
        FAILS(dht_delete_many(node, no_list[i], &results, &err), DHT_INVALID_ARGUMENT);
    }
    CHECK(results == NULL);
    dht_free(node);
}
