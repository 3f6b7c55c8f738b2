/* Operations that look at the present value: the vectors of all languages, and what only C has. */
#include "check.h"
#include "json.h"
#include "vectors.h"

/* Writes that later steps name. */
struct writes {
    const char *names[8];
    char versions[8][49];
    size_t len;
};

static void remember(struct writes *writes, const json *step, const char *answer) {
    const json *name = json_member(step, "name");
    json read;
    if (name == NULL) {
        return;
    }
    CHECK(writes->len < sizeof writes->names / sizeof writes->names[0]);
    read = json_read(answer);
    writes->names[writes->len] = name->text;
    strcpy(writes->versions[writes->len++], json_text(&read, "version"));
    json_free(&read);
}

/* The expectation of a step as dht_compare_and_swap takes it. */
static void expectation(const struct writes *writes, const json *step, char *out, size_t size) {
    const json *expected = json_at(step, "expected"), *member;
    size_t i;
    if (json_member(expected, "absent") != NULL) {
        snprintf(out, size, "{\"absent\": true}");
    } else if ((member = json_member(expected, "value")) != NULL) {
        snprintf(out, size, "{\"value\": %s}", member->text);
    } else if ((member = json_member(expected, "hex")) != NULL) {
        snprintf(out, size, "{\"value\": \"%s\", \"format\": \"bytes\"}", member->text);
    } else {
        for (i = 0; strcmp(writes->names[i], json_text(expected, "version_of")) != 0; i++) {
            CHECK(i + 1 < writes->len);
        }
        snprintf(out, size, "{\"version\": \"%s\"}", writes->versions[i]);
    }
}

/* What a swap answers, as the step says. */
static void check_swap(const json *step, const char *swap) {
    json read = json_read(swap);
    const json *swapped = json_at(&read, "swapped"), *value = json_at(&read, "value"), *format = json_at(&read, "format");
    const json *found = json_member(step, "found"), *found_hex = json_member(step, "found_hex");
    CHECK(read.len == 4 && swapped->number == json_at(step, "swapped")->number);
    if (found != NULL && found->kind == JSON_STRING) {
        CHECK(strcmp(format->text, "json") == 0 && value->from_len == found->len);
        CHECK(memcmp(value->from, found->text, found->len) == 0);
    } else if (found_hex != NULL) {
        CHECK(strcmp(format->text, "bytes") == 0 && strcmp(value->text, found_hex->text) == 0);
    } else {
        CHECK(format->kind == JSON_NULL && value->kind == JSON_NULL);
        CHECK(found != NULL || strlen(json_text(&read, "version")) == 48);
    }
    json_free(&read);
}

static void check_text(const json *expected, char *text) {
    CHECK(strcmp(expected->text, text) == 0);
    dht_string_free(text);
}

static void step(dht_t *node, const json *one, struct writes *writes) {
    const char *op = json_text(one, "op"), *key = json_text(one, "key");
    const json *value = json_member(one, "value"), *ttl = json_member(one, "ttl"), *hex = json_member(one, "hex");
    const json *error = json_member(one, "error"), *existed = json_member(one, "existed");
    char options[64] = "{}", expected[256], *answer = NULL;
    bool flag = false;
    uint8_t bytes[2];
    size_t i, len = hex != NULL ? hex->len / 2 : 0;
    for (i = 0; i < len; i++) {
        const char digits[3] = {hex->text[2 * i], hex->text[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    if (ttl != NULL) {
        snprintf(options, sizeof options, "{\"ttl\": %g}", ttl->number);
    }
    if (strcmp(op, "put") == 0) {
        OK(dht_put(node, key, value->text, &answer, &err));
        dht_string_free(answer);
    } else if (strcmp(op, "put_bytes") == 0) {
        OK(dht_put_bytes(node, (const uint8_t *)key, strlen(key), bytes, len, NULL, &answer, &err));
        remember(writes, one, answer);
        dht_string_free(answer);
    } else if (strcmp(op, "delete") == 0) {
        OK(dht_delete(node, key, &flag, &err));
        CHECK(flag == (existed->number == 1));
    } else if (strcmp(op, "put_if_absent") == 0) {
        OK(dht_put_if_absent(node, key, value->text, options, &answer, &err));
        check_swap(one, answer);
        remember(writes, one, answer);
        dht_string_free(answer);
    } else if (strcmp(op, "compare_and_swap") == 0) {
        expectation(writes, one, expected, sizeof expected);
        if (value != NULL) {
            OK(dht_compare_and_swap(node, key, expected, value->text, options, &answer, &err));
        } else {
            OK(dht_compare_and_swap_bytes(node, (const uint8_t *)key, strlen(key), expected, bytes, len, options,
                                          &answer, &err));
        }
        check_swap(one, answer);
        remember(writes, one, answer);
        dht_string_free(answer);
    } else if (strcmp(op, "increment") == 0 && error != NULL) {
        FAILS(dht_increment(node, key, json_text(one, "by"), options, &answer, &err), code_of(error->text));
        CHECK(answer == NULL);
    } else if (strcmp(op, "increment") == 0) {
        OK(dht_increment(node, key, json_text(one, "by"), options, &answer, &err));
        check_text(json_at(one, "sum"), answer);
    } else if (strcmp(op, "get_and_put") == 0) {
        OK(dht_get_and_put(node, key, value->text, options, &answer, &err));
        if (json_at(one, "previous")->kind == JSON_NULL) {
            CHECK(answer == NULL);
        } else {
            check_text(json_at(one, "previous"), answer);
        }
    } else if (strcmp(op, "get_and_delete") == 0) {
        if (json_at(one, "previous")->kind == JSON_NULL) {
            STATUS(dht_get_and_delete(node, key, NULL, &answer, NULL), DHT_NOT_FOUND);
            CHECK(answer == NULL);
        } else {
            OK(dht_get_and_delete(node, key, NULL, &answer, &err));
            check_text(json_at(one, "previous"), answer);
        }
    } else if (strcmp(op, "expire") == 0) {
        OK(dht_expire(node, key, (uint64_t)(ttl->number * 1000), &flag, &err));
        CHECK(flag == (existed->number == 1));
    } else if (strcmp(op, "persist") == 0) {
        OK(dht_persist(node, key, &flag, &err));
        CHECK(flag == (existed->number == 1));
    } else {
        const json *most = json_at(one, "lives_at_most");
        int64_t left = 0;
        CHECK(strcmp(op, "ttl") == 0);
        OK(dht_ttl_ms(node, key, &left, &err));
        CHECK(most->kind == JSON_NULL ? left == -1 : left > 0 && (double)left <= most->number * 1000);
    }
}

static void shared(dht_t *node) {
    char *text;
    json all = vectors_of("atomic.json", &text);
    struct writes writes = {.len = 0};
    size_t i;
    for (i = 0; i < all.len; i++) {
        step(node, &all.items[i], &writes);
    }
    CHECK(all.len > 40 && writes.len > 2);
    json_free(&all);
    free(text);
}

static void versions(dht_t *node) {
    static const uint8_t key[] = {'v', 0, 255};
    char *outcome = NULL, *found = NULL, *swap = NULL, expected[128];
    json written, read;
    STATUS(dht_get_versioned(node, "v", NULL, &found, NULL), DHT_NOT_FOUND);
    STATUS(dht_get_versioned_bytes(node, key, sizeof key, NULL, &found, NULL), DHT_NOT_FOUND);
    CHECK(found == NULL);
    OK(dht_put_with(node, "v", "[ 1 ]", "{\"ttl\": 1000}", &outcome, &err));
    OK(dht_get_versioned(node, "v", "{\"consistency\": \"all\"}", &found, &err));
    written = json_read(outcome);
    read = json_read(found);
    CHECK(read.len == 4 && strcmp(json_text(&read, "version"), json_text(&written, "version")) == 0);
    CHECK(strcmp(json_text(&read, "format"), "json") == 0 && json_at(&read, "expires_at")->number > 1e9);
    CHECK(json_at(&read, "value")->from_len == 5 && memcmp(json_at(&read, "value")->from, "[ 1 ]", 5) == 0);
    snprintf(expected, sizeof expected, "{\"version\": \"%s\"}", json_text(&read, "version"));
    json_free(&written);
    json_free(&read);
    dht_string_free(outcome);
    dht_string_free(found);
    OK(dht_compare_and_swap(node, "v", expected, "2", NULL, NULL, &err));
    CHECK(holds(node, "v", "2"));

    OK(dht_put_bytes(node, key, sizeof key, key, sizeof key, NULL, NULL, &err));
    OK(dht_get_versioned_bytes(node, key, sizeof key, NULL, &found, &err));
    read = json_read(found);
    CHECK(strcmp(json_text(&read, "format"), "bytes") == 0 && strcmp(json_text(&read, "value"), "7600ff") == 0);
    CHECK(json_at(&read, "expires_at")->kind == JSON_NULL);
    snprintf(expected, sizeof expected, "{\"version\": \"%s\"}", json_text(&read, "version"));
    json_free(&read);
    dht_string_free(found);
    OK(dht_compare_and_swap_bytes(node, key, sizeof key, expected, NULL, 0, NULL, &swap, &err));
    CHECK(strncmp(swap, "{\"swapped\":true,\"version\":\"", 27) == 0);
    dht_string_free(swap);
}

static void taking_bytes(dht_t *node) {
    static const uint8_t key[] = {'t', 0}, value[] = {0, 1, 255};
    uint8_t *before = (uint8_t *)"", *found = NULL;
    char *text = NULL;
    size_t len = 77;
    bool flag = false;
    dht_error_t *err = NULL;
    OK(dht_get_and_put_bytes(node, key, sizeof key, value, sizeof value, NULL, &before, &len, &err));
    CHECK(before == NULL && len == 0);
    OK(dht_get_and_put_bytes(node, key, sizeof key, NULL, 0, NULL, &before, &len, &err));
    CHECK(len == sizeof value && memcmp(before, value, len) == 0);
    dht_bytes_free(before, len);
    OK(dht_get_and_put_bytes(node, key, sizeof key, value, 1, NULL, NULL, NULL, &err));
    OK(dht_get_and_delete_bytes(node, key, sizeof key, NULL, &before, &len, &err));
    CHECK(len == 1 && before[0] == 0 && before[1] == 0);
    dht_bytes_free(before, len);
    STATUS(dht_get_and_delete_bytes(node, key, sizeof key, NULL, &found, &len, NULL), DHT_NOT_FOUND);
    CHECK(found == NULL);

    /* Bytes where JSON is wanted: done, and told that it may be. Where nothing is wanted, no error. */
    OK(dht_put_bytes(node, (const uint8_t *)"b", 1, value, sizeof value, NULL, NULL, &err));
    STATUS(dht_get_and_put(node, "b", "1", NULL, &text, &err), DHT_WRONG_FORMAT);
    CHECK(text == NULL && dht_error_maybe_applied(err) && holds(node, "b", "1"));
    dht_error_free(err);
    OK(dht_put_bytes(node, (const uint8_t *)"b", 1, value, sizeof value, NULL, NULL, &err));
    STATUS(dht_get_and_delete(node, "b", NULL, &text, &err), DHT_WRONG_FORMAT);
    CHECK(text == NULL && dht_error_maybe_applied(err));
    dht_error_free(err);
    OK(dht_contains_with(node, "b", "{\"consistency\": \"one\"}", &flag, &err));
    CHECK(!flag);
    OK(dht_put_bytes(node, key, sizeof key, value, sizeof value, NULL, NULL, &err));
    OK(dht_delete_bytes(node, key, sizeof key, "{\"timeout\": 1}", &flag, &err));
    CHECK(flag);
    OK(dht_delete_with(node, "none", "{\"consistency\": \"all\"}", &flag, &err));
    CHECK(!flag);
}

static void refused(dht_t *node) {
    static const char *const expectations[] = {
        "", "{}", "[true]", "{\"absent\": false}", "{\"version\": \"1\"}", "{\"value\": 1, \"absent\": true}",
        "{\"value\": NaN}", "{\"value\": \"0\", \"format\": \"bytes\"}", "{\"other\": 1}",
    };
    static const char *const numbers[] = {"", "\"1\"", "null", "9223372036854775808", "NaN", "1e999"};
    char *text = NULL;
    bool flag = false;
    size_t i;
    for (i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        FAILS(dht_compare_and_swap(node, "r", expectations[i], "1", NULL, &text, &err), DHT_INVALID_ARGUMENT);
    }
    for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        FAILS(dht_increment(node, "r", numbers[i], NULL, &text, &err), DHT_INVALID_VALUE);
    }
    FAILS(dht_compare_and_swap(node, "r", "{\"absent\": true}", "NaN", NULL, &text, &err), DHT_INVALID_VALUE);
    FAILS(dht_put_if_absent(node, "r", "{", NULL, &text, &err), DHT_INVALID_VALUE);
    FAILS(dht_put_if_absent(node, "r", "1", "{\"ttl\": 0}", &text, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_increment(node, "r", "1", "{\"ttl\": 1}", &text, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_get_and_delete(node, "r", "{\"ttl\": 1}", &text, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_delete_with(node, "r", "{\"ttl\": 1}", &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_contains_with(node, "r", "[]", &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_expire(node, "r", 0, &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_expire_with(node, "r", 0, NULL, &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_expire_with(node, "r", 1, "{\"consistency\": \"most\"}", &flag, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_persist_with(node, "r", "{\"ttl\": 1}", &flag, &err), DHT_INVALID_ARGUMENT);
    OK(dht_expire_with(node, "r", 1, "{\"consistency\": \"all\", \"timeout\": 30}", &flag, &err));
    OK(dht_persist_with(node, "r", "{\"consistency\": \"one\"}", NULL, &err));
    STATUS(dht_get(node, "r", &text, NULL), DHT_NOT_FOUND);
    CHECK(text == NULL && !flag);
}

void atomic(void) {
    dht_t *node = started(NULL);
    shared(node);
    versions(node);
    taking_bytes(node);
    refused(node);
    dht_free(node);
}
