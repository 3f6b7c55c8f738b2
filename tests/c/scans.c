/* All keys of a prefix: one by one, counted, deleted; and scans that outlive what they scan. */
#include "check.h"

#define KEYS 500

/* A call that is given up does no more. That one ends which is under way is seen in go/dht. */
static void given_up(dht_t *node, uint64_t keys) {
    int32_t flag = 1;
    uint64_t number = 7;
    FAILS(dht_count_until(node, (const uint8_t *)"user:", 5, &flag, &number, &err), DHT_CANCELLED);
    FAILS(dht_clear_until(node, (const uint8_t *)"user:", 5, &flag, &number, &err), DHT_CANCELLED);
    CHECK(number == 7);
    flag = 0;
    OK(dht_count_until(node, (const uint8_t *)"user:", 5, &flag, &number, &err));
    CHECK(number == keys);
    OK(dht_clear_until(node, (const uint8_t *)"none:", 5, NULL, &number, &err));
    CHECK(number == 0);
}

static void every_key_once(dht_t *node) {
    unsigned seen[KEYS] = {0};
    dht_scan_t *scan = NULL;
    uint8_t *key, *value;
    size_t key_len, value_len, found = 0;
    int32_t format;
    uint64_t number = 0;
    unsigned i;
    dht_error_t *err = NULL;
    for (i = 0; i < KEYS; i++) {
        char name[32], text[32];
        snprintf(name, sizeof name, "user:%u", i);
        snprintf(text, sizeof text, " %u ", i);
        OK(dht_put(node, name, text, NULL, &err));
    }
    OK(dht_put(node, "other", "1", NULL, &err));
    OK(dht_put_bytes(node, (const uint8_t *)"raw\0\xff", 5, (const uint8_t *)"\0", 1, NULL, NULL, &err));
    OK(dht_scan(node, (const uint8_t *)"user:", 5, "{\"consistency\": \"all\"}", &scan, &err));
    while (dht_scan_next(scan, &key, &key_len, &value, &value_len, &format, &err) == DHT_OK) {
        CHECK(key_len > 5 && memcmp(key, "user:", 5) == 0 && key[key_len] == 0 && value[value_len] == 0);
        i = (unsigned)atoi((const char *)key + 5);
        CHECK(i < KEYS && atoi((const char *)value) == (int)i && format == 0);
        seen[i]++;
        found++;
        dht_bytes_free(key, key_len);
        dht_bytes_free(value, value_len);
    }
    CHECK(err == NULL && found == KEYS);
    for (i = 0; i < KEYS; i++) {
        CHECK(seen[i] == 1);
    }
    STATUS(dht_scan_next(scan, &key, &key_len, NULL, NULL, NULL, NULL), DHT_NOT_FOUND);
    dht_scan_free(scan);
    FAILS(dht_scan_next(scan, &key, &key_len, NULL, NULL, NULL, &err), DHT_INVALID_ARGUMENT);
    dht_scan_free(scan);

    OK(dht_scan(node, (const uint8_t *)"raw\0", 4, NULL, &scan, &err));
    OK(dht_scan_next(scan, &key, &key_len, NULL, NULL, &format, &err));
    CHECK(key_len == 5 && memcmp(key, "raw\0\xff", 5) == 0 && format == 1);
    dht_bytes_free(key, key_len);
    dht_scan_free(scan);

    OK(dht_count(node, (const uint8_t *)"user:", 5, &number, &err));
    CHECK(number == KEYS);
    OK(dht_count(node, NULL, 0, &number, &err));
    CHECK(number == KEYS + 2);
    OK(dht_len(node, &number, &err));
    CHECK(number == KEYS + 2);
    given_up(node, KEYS);
    OK(dht_clear(node, (const uint8_t *)"user:", 5, &number, &err));
    CHECK(number == KEYS);
    OK(dht_clear(node, NULL, 0, NULL, &err));
    OK(dht_count(node, NULL, 0, &number, &err));
    CHECK(number == 0);
}

static void refused(dht_t *node) {
    dht_scan_t *scan = NULL;
    FAILS(dht_scan(node, NULL, 0, "{\"ttl\": 1}", &scan, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_scan(node, NULL, 0, "[]", &scan, &err), DHT_INVALID_ARGUMENT);
    CHECK(scan == NULL);
}

static void a_scan_outlives_its_node(void) {
    dht_t *node = started(NULL);
    dht_scan_t *scan = NULL;
    uint8_t *key;
    size_t len;
    OK(dht_put(node, "a", "1", NULL, &err));
    OK(dht_scan(node, NULL, 0, NULL, &scan, &err));
    OK(dht_stop(node, &err));
    FAILS(dht_scan_next(scan, &key, &len, NULL, NULL, NULL, &err), DHT_STOPPED);
    dht_free(node);
    FAILS(dht_scan_next(scan, &key, &len, NULL, NULL, NULL, &err), DHT_INVALID_ARGUMENT);
    dht_scan_free(scan);
    OK(dht_new(NULL, &node, &err));
    FAILS(dht_scan(node, NULL, 0, NULL, &scan, &err), DHT_NOT_STARTED);
    dht_free(node);
}

void scans(void) {
    dht_t *node = started(NULL);
    every_key_once(node);
    refused(node);
    dht_free(node);
    a_scan_outlives_its_node();
}
