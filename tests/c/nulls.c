/* NULL for every pointer: a status, never a crash; nothing is written, nothing is done. */
#include "check.h"

#define REFUSED(call) FAILS(call, DHT_INVALID_ARGUMENT)
/* The same without asking for the error. */
#define SILENT(call) STATUS(call, DHT_INVALID_ARGUMENT)

static void without_a_handle(void) {
    char *text = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    bool flag = false;
    int64_t ttl = 0;
    const uint8_t *k = (const uint8_t *)"k";
    REFUSED(dht_start(NULL, &err));
    REFUSED(dht_stop(NULL, &err));
    REFUSED(dht_leave(NULL, 1, &err));
    REFUSED(dht_wait_ready(NULL, 1, &err));
    REFUSED(dht_join(NULL, "127.0.0.1:1", &err));
    REFUSED(dht_put(NULL, "k", "1", &text, &err));
    REFUSED(dht_put_with_ttl(NULL, "k", "1", 1, &text, &err));
    REFUSED(dht_put_with(NULL, "k", "1", NULL, &text, &err));
    REFUSED(dht_get(NULL, "k", &text, &err));
    REFUSED(dht_get_with(NULL, "k", NULL, &text, &err));
    REFUSED(dht_put_bytes(NULL, k, 1, k, 1, NULL, &text, &err));
    REFUSED(dht_get_bytes(NULL, k, 1, NULL, &bytes, &len, &err));
    REFUSED(dht_delete(NULL, "k", &flag, &err));
    REFUSED(dht_contains(NULL, "k", &flag, &err));
    REFUSED(dht_ttl_ms(NULL, "k", &ttl, &err));
    REFUSED(dht_put_many(NULL, "{}", &text, &err));
    REFUSED(dht_get_many(NULL, "[]", &text, &err));
    REFUSED(dht_delete_many(NULL, "[]", &text, &err));
    REFUSED(dht_hash_key(NULL, "k", &text, &err));
    REFUSED(dht_locate(NULL, "k", &text, &err));
    REFUSED(dht_lookup_trace(NULL, "k", &text, &err));
    REFUSED(dht_node_info(NULL, &text, &err));
    REFUSED(dht_predecessor(NULL, &text, &err));
    REFUSED(dht_successor_list(NULL, &text, &err));
    REFUSED(dht_finger_table(NULL, &text, &err));
    REFUSED(dht_ring(NULL, &text, &err));
    REFUSED(dht_members(NULL, &text, &err));
    REFUSED(dht_statistics(NULL, &text, &err));
    REFUSED(dht_health(NULL, &text, &err));
    CHECK(text == NULL && bytes == NULL);
}

static void without_arguments(dht_t *d) {
    char *text = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    const uint8_t *k = (const uint8_t *)"k";
    REFUSED(dht_new(NULL, NULL, &err));
    REFUSED(dht_join(d, NULL, &err));
    REFUSED(dht_put(d, NULL, "1", &text, &err));
    REFUSED(dht_put(d, "k", NULL, &text, &err));
    REFUSED(dht_put_with_ttl(d, NULL, "1", 1, &text, &err));
    REFUSED(dht_put_with_ttl(d, "k", NULL, 1, &text, &err));
    REFUSED(dht_put_with(d, NULL, "1", NULL, &text, &err));
    REFUSED(dht_put_with(d, "k", NULL, NULL, &text, &err));
    REFUSED(dht_get(d, NULL, &text, &err));
    REFUSED(dht_get(d, "k", NULL, &err));
    REFUSED(dht_get_with(d, NULL, NULL, &text, &err));
    REFUSED(dht_get_with(d, "k", NULL, NULL, &err));
    REFUSED(dht_put_bytes(d, NULL, 1, k, 1, NULL, &text, &err));
    REFUSED(dht_put_bytes(d, k, 1, NULL, 1, NULL, &text, &err));
    REFUSED(dht_put_bytes(d, k, 1, k, (size_t)-1, NULL, &text, &err));
    REFUSED(dht_get_bytes(d, NULL, 1, NULL, &bytes, &len, &err));
    REFUSED(dht_get_bytes(d, k, 1, NULL, NULL, &len, &err));
    REFUSED(dht_get_bytes(d, k, 1, NULL, &bytes, NULL, &err));
    REFUSED(dht_delete(d, NULL, NULL, &err));
    REFUSED(dht_contains(d, NULL, NULL, &err));
    REFUSED(dht_contains(d, "k", NULL, &err));
    REFUSED(dht_ttl_ms(d, NULL, NULL, &err));
    REFUSED(dht_ttl_ms(d, "k", NULL, &err));
    REFUSED(dht_put_many(d, NULL, &text, &err));
    REFUSED(dht_put_many(d, "{\"k\": 1}", NULL, &err));
    REFUSED(dht_get_many(d, NULL, &text, &err));
    REFUSED(dht_get_many(d, "[]", NULL, &err));
    REFUSED(dht_delete_many(d, NULL, &text, &err));
    REFUSED(dht_delete_many(d, "[]", NULL, &err));
    REFUSED(dht_hash_key(d, NULL, &text, &err));
    REFUSED(dht_hash_key(d, "k", NULL, &err));
    REFUSED(dht_locate(d, NULL, &text, &err));
    REFUSED(dht_locate(d, "k", NULL, &err));
    REFUSED(dht_lookup_trace(d, NULL, &text, &err));
    REFUSED(dht_lookup_trace(d, "k", NULL, &err));
    REFUSED(dht_node_info(d, NULL, &err));
    REFUSED(dht_predecessor(d, NULL, &err));
    REFUSED(dht_successor_list(d, NULL, &err));
    REFUSED(dht_finger_table(d, NULL, &err));
    REFUSED(dht_ring(d, NULL, &err));
    REFUSED(dht_members(d, NULL, &err));
    REFUSED(dht_statistics(d, NULL, &err));
    REFUSED(dht_health(d, NULL, &err));
    CHECK(text == NULL && bytes == NULL);
    STATUS(dht_get(d, "k", &text, NULL), DHT_NOT_FOUND);
    SILENT(dht_put(d, "k", NULL, NULL, NULL));
    SILENT(dht_new(NULL, NULL, NULL));
    SILENT(dht_start(NULL, NULL));
}

static void accessors(void) {
    CHECK(dht_error_code(NULL) == DHT_OK);
    CHECK(strcmp(dht_error_message(NULL), "") == 0);
    CHECK(!dht_error_maybe_applied(NULL));
    dht_error_free(NULL);
    dht_string_free(NULL);
    dht_bytes_free(NULL, 0);
    dht_bytes_free(NULL, 12);
    dht_free(NULL);
}

void nulls(void) {
    dht_t *d = started(NULL);
    without_a_handle();
    without_arguments(d);
    accessors();
    dht_free(d);
}
