/* new, start, join, leave, stop, free; in and out of order. */
#include "check.h"

static void wrong_configurations(void) {
    static const char *const wrong[] = {
        "",          "{",          "[]",
        "null",      "{\"prot\": 1}", "{\"port\": -1}",
        "{\"port\": 65536}", "{\"hash_bits\": 0}", "{\"hash_bits\": 257}",
        "{\"replication_factor\": 0}", "{\"request_timeout\": \"soon\"}", "{\"node_id\": \"\xff\"}",
    };
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        dht_t *node = NULL;
        FAILS(dht_new(wrong[i], &node, &err), DHT_CONFIG);
        CHECK(node == NULL);
    }
    {
        dht_t *node = NULL;
        FAILS(dht_new("{\"address\": \"0.0.0.0\"}", &node, &err), DHT_INSECURE);
        CHECK(node == NULL);
    }
}

static void out_of_order(void) {
    dht_t *node = NULL;
    char *text = NULL;
    bool flag = true;
    int64_t ttl = 7;
    OK(dht_new(NULL, &node, &err));
    OK(dht_hash_key(node, "abc", &text, &err));
    CHECK(strcmp(text, "ba7816bf8f01cfea414140de5dae2223b00361a3") == 0);
    dht_string_free(text);
    text = NULL;
    FAILS(dht_put(node, "k", "1", NULL, &err), DHT_NOT_STARTED);
    FAILS(dht_get(node, "k", &text, &err), DHT_NOT_STARTED);
    FAILS(dht_contains(node, "k", &flag, &err), DHT_NOT_STARTED);
    FAILS(dht_ttl_ms(node, "k", &ttl, &err), DHT_NOT_STARTED);
    FAILS(dht_health(node, &text, &err), DHT_NOT_STARTED);
    FAILS(dht_metrics(node, &text, &err), DHT_NOT_STARTED);
    FAILS(dht_join(node, "127.0.0.1:1", &err), DHT_NOT_STARTED);
    FAILS(dht_wait_ready(node, 1, &err), DHT_NOT_STARTED);
    FAILS(dht_leave(node, 1, &err), DHT_NOT_STARTED);
    FAILS(dht_stop(node, &err), DHT_NOT_STARTED);
    CHECK(text == NULL && flag && ttl == 7);
    OK(dht_start(node, &err));
    OK(dht_start(node, &err));
    OK(dht_put(node, "k", "1", NULL, &err));
    OK(dht_stop(node, &err));
    OK(dht_stop(node, &err));
    OK(dht_leave(node, 1, &err));
    FAILS(dht_start(node, &err), DHT_STOPPED);
    FAILS(dht_get(node, "k", &text, &err), DHT_STOPPED);
    FAILS(dht_ring(node, &text, &err), DHT_STOPPED);
    FAILS(dht_metrics(node, &text, &err), DHT_STOPPED);
    CHECK(text == NULL);
    dht_free(node);
    /* A handle that was freed is found out. */
    FAILS(dht_get(node, "k", &text, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_start(node, &err), DHT_INVALID_ARGUMENT);
    dht_free(node);
    dht_free(NULL);
}

static void joins(void) {
    dht_t *first = started("{\"node_id\": \"first\"}"), *second = started("{\"node_id\": \"second\"}"), *third = NULL;
    char *address = address_of(first), config[128];
    OK(dht_put(first, "a", "1", NULL, &err));
    OK(dht_put(second, "b", "2", NULL, &err));
    FAILS(dht_join(second, "", &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_join(second, "nonsense", &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_join(first, address, &err), DHT_INVALID_ARGUMENT);
    OK(dht_join(second, address, &err));
    OK(dht_join(second, address, &err));
    OK(dht_wait_ready(first, 30000, &err));
    OK(dht_wait_ready(second, 30000, &err));
    CHECK(holds(first, "a", "1") && holds(first, "b", "2") && holds(second, "a", "1") && holds(second, "b", "2"));
    snprintf(config, sizeof config, "{\"node_id\": \"third\", \"seeds\": [\"%s\"]}", address);
    third = started(config);
    CHECK(holds(third, "a", "1") && holds(third, "b", "2"));
    OK(dht_leave(second, 10000, &err));
    OK(dht_leave(second, 10000, &err));
    OK(dht_leave(first, 10000, &err));
    CHECK(holds(third, "a", "1") && holds(third, "b", "2"));
    dht_free(first);
    dht_free(second);
    dht_free(third);
    free(address);
}

static void names_and_versions(void) {
    CHECK(dht_abi_version() == DHT_ABI_VERSION);
    CHECK(strcmp(dht_version(), "0.1.0") == 0);
    CHECK(strcmp(dht_status_name(DHT_OK), "OK") == 0 && strcmp(dht_status_name(12), "TOO_LARGE") == 0);
    CHECK(strcmp(dht_status_name(-3), "UNKNOWN") == 0);
}

void life(void) {
    names_and_versions();
    wrong_configurations();
    out_of_order();
    joins();
}
