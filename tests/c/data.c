/* put, get, delete, contains, ttl; JSON and bytes; what is refused. */
#include "check.h"
#include "json.h"

static void text_comes_back_as_it_was(dht_t *node) {
    static const char *const values[] = {
        "null", "-0.0", "9007199254740993", " [1, 2 ,3] ", "\"gr\xc3\xbc\xc3\x9f\\u0000e\"", "{\"b\":1,\"a\":{}}", "1e999",
    };
    static const char *const wrong[] = {"", "NaN", "Infinity", "{", "'a'", "[1,]", "\"\xff\"", "1 2", "undefined"};
    char *outcome = NULL, *found = NULL;
    size_t i;
    json read;
    for (i = 0; i < sizeof values / sizeof values[0]; i++) {
        OK(dht_put(node, "", values[i], &outcome, &err));
        read = json_read(outcome);
        CHECK(strlen(json_text(&read, "version")) == 48 && json_at(&read, "degraded")->number == 1);
        CHECK(json_at(&read, "acks")->number == 1 && json_at(&read, "wanted")->number == 1);
        CHECK(json_at(&read, "set_size")->number == 1 && read.len == 5);
        json_free(&read);
        dht_string_free(outcome);
        CHECK(holds(node, "", values[i]));
    }
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        outcome = NULL;
        FAILS(dht_put(node, "wrong", wrong[i], &outcome, &err), DHT_INVALID_VALUE);
        CHECK(outcome == NULL);
    }
    STATUS(dht_get(node, "wrong", &found, NULL), DHT_NOT_FOUND);
    CHECK(found == NULL);
    FAILS(dht_put(node, "\xff\xfe", "1", NULL, &err), DHT_INVALID_ARGUMENT);
}

static void a_miss_sets_no_error(dht_t *node) {
    dht_error_t *err = NULL;
    char *found = NULL;
    uint8_t *bytes = NULL;
    size_t len = 77;
    bool flag = true;
    int64_t ttl = 7;
    STATUS(dht_get(node, "none", &found, &err), DHT_NOT_FOUND);
    STATUS(dht_get_with(node, "none", NULL, &found, &err), DHT_NOT_FOUND);
    STATUS(dht_get_bytes(node, (const uint8_t *)"none", 4, NULL, &bytes, &len, &err), DHT_NOT_FOUND);
    CHECK(err == NULL && found == NULL && bytes == NULL && len == 77);
    OK(dht_contains(node, "none", &flag, &err));
    CHECK(!flag);
    OK(dht_ttl_ms(node, "none", &ttl, &err));
    CHECK(ttl == -1);
    flag = true;
    OK(dht_delete(node, "none", &flag, &err));
    CHECK(!flag);
}

static void bytes_are_not_json(dht_t *node) {
    static const uint8_t key[] = {0, 255, 'k', 0}, value[] = {0, 1, 254, 255, 0};
    uint8_t *found = NULL;
    size_t len = 0;
    char *text = NULL, *outcome = NULL;
    OK(dht_put_bytes(node, key, sizeof key, value, sizeof value, NULL, &outcome, &err));
    dht_string_free(outcome);
    OK(dht_get_bytes(node, key, sizeof key, NULL, &found, &len, &err));
    CHECK(len == sizeof value && memcmp(found, value, len) == 0 && found[len] == 0);
    dht_bytes_free(found, len);
    OK(dht_put_bytes(node, (const uint8_t *)"b", 1, NULL, 0, NULL, NULL, &err));
    OK(dht_get_bytes(node, (const uint8_t *)"b", 1, "{\"consistency\": \"one\"}", &found, &len, &err));
    CHECK(len == 0 && found != NULL);
    dht_bytes_free(found, len);
    FAILS(dht_get(node, "b", &text, &err), DHT_WRONG_FORMAT);
    CHECK(text == NULL);
    OK(dht_put(node, "j", "{\"a\": 1}", NULL, &err));
    OK(dht_get_bytes(node, (const uint8_t *)"j", 1, NULL, &found, &len, &err));
    CHECK(len == 8 && memcmp(found, "{\"a\": 1}", len) == 0);
    dht_bytes_free(found, len);
    dht_bytes_free(NULL, 0);
    dht_string_free(NULL);
    dht_error_free(NULL);
}

static void options(dht_t *node) {
    static const char *const wrong[] = {
        "", "[]", "{\"tll\": 1}", "{\"ttl\": 0}", "{\"ttl\": -1}", "{\"consistency\": \"most\"}", "{\"timeout\": 0}",
    };
    char *found = NULL;
    int64_t ttl = 0;
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        FAILS(dht_put_with(node, "o", "1", wrong[i], NULL, &err), DHT_INVALID_ARGUMENT);
        FAILS(dht_get_with(node, "o", wrong[i], &found, &err), DHT_INVALID_ARGUMENT);
    }
    FAILS(dht_get_with(node, "o", "{\"ttl\": 1}", &found, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_put_with_ttl(node, "o", "1", 0, NULL, &err), DHT_INVALID_ARGUMENT);
    STATUS(dht_get(node, "o", &found, NULL), DHT_NOT_FOUND);
    OK(dht_put_with(node, "o", "1", "{\"ttl\": \"1h\", \"consistency\": \"all\", \"timeout\": 1.5}", NULL, &err));
    OK(dht_ttl_ms(node, "o", &ttl, &err));
    CHECK(ttl > 3590000 && ttl <= 3600000);
    OK(dht_put_with_ttl(node, "o", "2", UINT64_MAX, NULL, &err));
    CHECK(holds(node, "o", "2"));
    OK(dht_put_with(node, "o", "3", NULL, NULL, &err));
    OK(dht_ttl_ms(node, "o", &ttl, &err));
    CHECK(ttl == -1 && holds(node, "o", "3"));
    OK(dht_put_with_ttl(node, "o", "4", 1, NULL, &err));
    /* It expires by itself; until then it may be seen. */
    while (dht_get(node, "o", &found, NULL) == DHT_OK) {
        dht_string_free(found);
    }
    STATUS(dht_get(node, "o", &found, NULL), DHT_NOT_FOUND);
}

static void sizes(void) {
    dht_t *node = started("{\"max_key_size\": 8, \"max_value_size\": 16}");
    char *found = NULL;
    OK(dht_put(node, "12345678", "12345678901234", NULL, &err));
    FAILS(dht_put(node, "123456789", "1", NULL, &err), DHT_TOO_LARGE);
    FAILS(dht_get(node, "123456789", &found, &err), DHT_TOO_LARGE);
    FAILS(dht_hash_key(node, "123456789", &found, &err), DHT_TOO_LARGE);
    FAILS(dht_put(node, "k", "12345678901234567", NULL, &err), DHT_TOO_LARGE);
    CHECK(found == NULL);
    dht_free(node);
}

static void deletion(dht_t *node) {
    bool flag = false;
    OK(dht_put(node, "d", "1", NULL, &err));
    OK(dht_contains(node, "d", &flag, &err));
    CHECK(flag);
    flag = false;
    OK(dht_delete(node, "d", &flag, &err));
    CHECK(flag);
    OK(dht_delete(node, "d", NULL, &err));
    OK(dht_contains(node, "d", &flag, &err));
    CHECK(!flag);
}

void data(void) {
    dht_t *node = started(NULL);
    text_comes_back_as_it_was(node);
    a_miss_sets_no_error(node);
    bytes_are_not_json(node);
    options(node);
    deletion(node);
    dht_free(node);
    sizes();
}
