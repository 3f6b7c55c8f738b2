/* Keys of any bytes: every operation on one key, under keys that a text cannot name, beside the text that a NUL would leave
 * of them. */
#include "check.h"
#include "json.h"

typedef struct {
    const uint8_t *bytes;
    size_t len;
    const char *id; /* the first 160 bits of its SHA-256, by sha256sum */
} odd_key;

#define KEY(text, id) {(const uint8_t *)(text), sizeof(text) - 1, id}

static const odd_key odd[] = {
    {NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4"},
    KEY("\0", "6e340b9cffb37a989ca544e6bb780a2c78901d3f"),
    KEY("k\0a", "44c338b548249880acdeb5c1947834915b4f2707"),
    KEY("\xff\xfe", "b3d510ef04275ca8e698e5b3cbb0ece3949ef925"),
    KEY("k", "8254c329a92850f6d539dd376f4816ee2764517d"),
};
#define ODD (sizeof odd / sizeof odd[0])
#define K key->bytes, key->len

static void check_text(char *text, const char *expected) {
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "%s instead of %s\n", text, expected);
        abort();
    }
    dht_string_free(text);
}

/* Reads an answer and frees it; `from` of what is read is not to be used. */
static json answer(char *text) {
    json read = json_read(text);
    dht_string_free(text);
    return read;
}

static int is_there(dht_t *node, const odd_key *key) {
    bool flag = false;
    OK(dht_contains_bytes(node, K, NULL, &flag, &err));
    return flag;
}

static void lives(dht_t *node, const odd_key *key) {
    int64_t left = 0;
    bool flag = true;
    CHECK(!is_there(node, key));
    OK(dht_ttl_ms_bytes(node, K, &left, &err));
    CHECK(left == -1);
    OK(dht_expire_bytes(node, K, 1000, NULL, &flag, &err));
    CHECK(!flag);
    OK(dht_put_bytes(node, K, NULL, 0, NULL, NULL, &err));
    OK(dht_contains_bytes(node, K, "{\"consistency\": \"all\"}", &flag, &err));
    CHECK(flag);
    OK(dht_expire_bytes(node, K, 3600000, "{\"consistency\": \"all\", \"timeout\": 30}", &flag, &err));
    CHECK(flag);
    OK(dht_ttl_ms_bytes(node, K, &left, &err));
    CHECK(left > 3590000 && left <= 3600000);
    OK(dht_persist_bytes(node, K, "{\"consistency\": \"all\"}", &flag, &err));
    CHECK(flag);
    OK(dht_persist_bytes(node, K, NULL, NULL, &err));
    OK(dht_ttl_ms_bytes(node, K, &left, &err));
    CHECK(left == -1);
    FAILS(dht_contains_bytes(node, K, "{\"ttl\": 1}", &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_expire_bytes(node, K, 0, NULL, &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_expire_bytes(node, K, 1, "{\"ttl\": 1}", &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_persist_bytes(node, K, "{\"ttl\": 1}", &flag, &err), DHT_INVALID_ARGUMENT);
    OK(dht_delete_bytes(node, K, NULL, &flag, &err));
    CHECK(flag && !is_there(node, key));
}

static void counts(dht_t *node, const odd_key *key) {
    char *text = NULL;
    OK(dht_increment_bytes(node, K, "5", NULL, &text, &err));
    check_text(text, "5");
    OK(dht_increment_bytes(node, K, "-7", "{\"consistency\": \"all\"}", &text, &err));
    check_text(text, "-2");
    text = NULL;
    FAILS(dht_increment_bytes(node, K, "one", NULL, &text, &err), DHT_INVALID_VALUE);
    FAILS(dht_increment_bytes(node, K, "1", "{\"ttl\": 1}", &text, &err), DHT_INVALID_ARGUMENT);
    CHECK(text == NULL);
    OK(dht_get_json(node, K, NULL, &text, &err));
    check_text(text, "-2");
    OK(dht_delete_bytes(node, K, NULL, NULL, &err));
}

static void bytes_if_absent(dht_t *node, const odd_key *key) {
    char *text = NULL;
    json read;
    int64_t left = 0;
    OK(dht_put_if_absent_bytes(node, K, (const uint8_t *)"\0\xff", 2, "{\"ttl\": 60}", &text, &err));
    read = answer(text);
    CHECK(json_at(&read, "swapped")->number == 1 && json_at(&read, "value")->kind == JSON_NULL);
    json_free(&read);
    OK(dht_ttl_ms_bytes(node, K, &left, &err));
    CHECK(left > 0 && left <= 60000);
    OK(dht_put_if_absent_bytes(node, K, NULL, 0, NULL, &text, &err));
    read = answer(text);
    CHECK(json_at(&read, "swapped")->number == 0 && strcmp(json_text(&read, "value"), "00ff") == 0);
    CHECK(strcmp(json_text(&read, "format"), "bytes") == 0);
    json_free(&read);
    text = NULL;
    FAILS(dht_put_if_absent_bytes(node, K, NULL, 0, "{\"ttl\": 0}", &text, &err), DHT_INVALID_ARGUMENT);
    /* Bytes are no JSON, under these keys too. */
    FAILS(dht_get_json(node, K, NULL, &text, &err), DHT_WRONG_FORMAT);
    FAILS(dht_get_and_delete_json(node, K, NULL, &text, &err), DHT_WRONG_FORMAT);
    CHECK(text == NULL && !is_there(node, key));
}

static void holds_json(dht_t *node, const odd_key *key) {
    uint8_t *bytes = NULL;
    char *text = NULL;
    size_t len = 0;
    int64_t left = 0;
    json read;
    STATUS(dht_get_json(node, K, NULL, &text, NULL), DHT_NOT_FOUND);
    STATUS(dht_get_and_delete_json(node, K, NULL, &text, NULL), DHT_NOT_FOUND);
    FAILS(dht_put_json(node, K, "NaN", NULL, &text, &err), DHT_INVALID_VALUE);
    FAILS(dht_put_json(node, K, "1", "[]", &text, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_compare_and_swap_json(node, K, "{}", "1", NULL, &text, &err), DHT_INVALID_ARGUMENT);
    CHECK(text == NULL && !is_there(node, key));
    OK(dht_put_json(node, K, " [ 1 ] ", "{\"ttl\": 60}", &text, &err));
    read = answer(text);
    CHECK(strlen(json_text(&read, "version")) == 48);
    json_free(&read);
    OK(dht_ttl_ms_bytes(node, K, &left, &err));
    CHECK(left > 0 && left <= 60000);
    OK(dht_get_json(node, K, "{\"consistency\": \"one\"}", &text, &err));
    check_text(text, " [ 1 ] ");
    OK(dht_get_bytes(node, K, NULL, &bytes, &len, &err));
    CHECK(len == 7 && memcmp(bytes, " [ 1 ] ", len) == 0);
    dht_bytes_free(bytes, len);
    OK(dht_put_if_absent_json(node, K, "2", NULL, &text, &err));
    read = json_read(text);
    CHECK(json_at(&read, "swapped")->number == 0 && strcmp(json_text(&read, "format"), "json") == 0);
    json_free(&read);
    dht_string_free(text);
    OK(dht_compare_and_swap_json(node, K, "{\"value\": [1]}", "3", NULL, &text, &err));
    read = answer(text);
    CHECK(json_at(&read, "swapped")->number == 1);
    json_free(&read);
    OK(dht_get_and_put_json(node, K, "4", NULL, &text, &err));
    check_text(text, "3");
    OK(dht_get_and_delete_json(node, K, NULL, &text, &err));
    check_text(text, "4");
    OK(dht_get_and_put_json(node, K, "5", NULL, &text, &err));
    CHECK(text == NULL && is_there(node, key));
    OK(dht_delete_bytes(node, K, NULL, NULL, &err));
    OK(dht_put_if_absent_json(node, K, "6", NULL, NULL, &err));
    OK(dht_get_and_delete_json(node, K, NULL, &text, &err));
    check_text(text, "6");
}

static void lies_somewhere(dht_t *node, const odd_key *key) {
    char *text = NULL;
    json read;
    OK(dht_hash_key_bytes(node, K, &text, &err));
    check_text(text, key->id);
    OK(dht_locate_bytes(node, K, &text, &err));
    read = answer(text);
    CHECK(read.kind == JSON_LIST && read.len == 1 && strlen(json_text(&read.items[0], "id")) > 0);
    json_free(&read);
    OK(dht_lookup_trace_bytes(node, K, &text, &err));
    read = answer(text);
    CHECK(strcmp(json_text(&read, "key_id"), key->id) == 0);
    json_free(&read);
    OK(dht_put_bytes(node, K, NULL, 0, NULL, NULL, &err));
    OK(dht_trace_bytes(node, K, "{\"consistency\": \"all\"}", &text, &err));
    read = answer(text);
    CHECK(strcmp(json_text(&read, "key_id"), key->id) == 0 && json_at(&read, "found")->number == 1);
    json_free(&read);
    OK(dht_delete_bytes(node, K, NULL, NULL, &err));
}

/* Keys of one byte too many. */
static void too_large(void) {
    dht_t *node = started("{\"max_key_size\": 2}");
    const odd_key long_key = KEY("a\0b", ""), *key = &long_key;
    char *text = NULL;
    bool flag = false;
    int64_t left = 77;
    FAILS(dht_put_json(node, K, "1", NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_get_json(node, K, NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_contains_bytes(node, K, NULL, &flag, &err), DHT_TOO_LARGE);
    FAILS(dht_ttl_ms_bytes(node, K, &left, &err), DHT_TOO_LARGE);
    FAILS(dht_expire_bytes(node, K, 1, NULL, &flag, &err), DHT_TOO_LARGE);
    FAILS(dht_persist_bytes(node, K, NULL, &flag, &err), DHT_TOO_LARGE);
    FAILS(dht_put_if_absent_bytes(node, K, NULL, 0, NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_put_if_absent_json(node, K, "1", NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_increment_bytes(node, K, "1", NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_get_and_put_json(node, K, "1", NULL, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_hash_key_bytes(node, K, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_locate_bytes(node, K, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_lookup_trace_bytes(node, K, &text, &err), DHT_TOO_LARGE);
    FAILS(dht_trace_bytes(node, K, NULL, &text, &err), DHT_TOO_LARGE);
    CHECK(text == NULL && !flag && left == 77);
    dht_free(node);
}

void odd_keys(void) {
    dht_t *node = started(NULL);
    size_t i;
    uint64_t number = 77;
    for (i = 0; i < ODD; i++) {
        const odd_key *key = &odd[i];
        int is_text = key->len == 1 && key->bytes[0] == 'k';
        /* What a key that ends at its NUL would meet. */
        if (!is_text) {
            OK(dht_put(node, "k", "\"beside\"", NULL, &err));
        }
        lives(node, key);
        counts(node, key);
        bytes_if_absent(node, key);
        holds_json(node, key);
        lies_somewhere(node, key);
        if (!is_text) {
            CHECK(holds(node, "k", "\"beside\""));
            OK(dht_delete(node, "k", NULL, &err));
        }
    }
    OK(dht_count(node, NULL, 0, &number, &err));
    CHECK(number == 0);
    dht_free(node);
    too_large();
}
