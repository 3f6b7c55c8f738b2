/* The vectors in tests/vectors, which every language runs; DHT_VECTORS names the folder. */
#include "check.h"
#include "json.h"
#include "vectors.h"

struct bytes {
    char *at;
    size_t len;
};

static unsigned digit(char c) {
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void append(struct bytes *all, const json *part, int hex, size_t count) {
    size_t len = hex ? part->len / 2 : part->len, i;
    CHECK(part->kind == JSON_STRING);
    all->at = realloc(all->at, all->len + len * count + 1);
    CHECK(all->at != NULL);
    for (; count > 0; count--) {
        for (i = 0; i < len; i++) {
            all->at[all->len++] =
                hex ? (char)(digit(part->text[2 * i]) * 16 + digit(part->text[2 * i + 1])) : part->text[i];
        }
    }
    all->at[all->len] = 0;
}

/* {"text"} or {"hex"}, or {"parts": [[text or hex, count], ...]} with {"encoding"}. */
static struct bytes content(const json *of) {
    struct bytes all = {NULL, 0};
    const json *parts = json_member(of, "parts");
    size_t i;
    if (parts == NULL) {
        const json *text = json_member(of, "text");
        append(&all, text != NULL ? text : json_at(of, "hex"), text == NULL, 1);
        return all;
    }
    for (i = 0; i < parts->len; i++) {
        const json *part = &parts->items[i];
        append(&all, &part->items[0], strcmp(json_text(of, "encoding"), "hex") == 0, (size_t)part->items[1].number);
    }
    return all;
}

json vectors_of(const char *name, char **text) {
    const char *folder = getenv("DHT_VECTORS");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "tests/vectors", name);
    *text = file_text(path);
    return json_read(*text);
}

dht_status code_of(const char *name) {
    int32_t code;
    for (code = 0; code < 64; code++) {
        if (strcmp(dht_status_name(code), name) == 0) {
            return (dht_status)code;
        }
    }
    fprintf(stderr, "no status is called %s\n", name);
    abort();
}

static void values(dht_t *node) {
    char *text;
    json all = vectors_of("values.json", &text);
    const json *list = json_at(&all, "values");
    size_t i;
    for (i = 0; i < list->len; i++) {
        const json *one = &list->items[i];
        const char *name = json_text(one, "name");
        struct bytes value = content(one);
        uint8_t *found = NULL;
        size_t len = 0;
        char *found_json = NULL;
        int is_json = strcmp(json_text(one, "format"), "json") == 0;
        if (is_json) {
            OK(dht_put(node, name, value.at, NULL, &err));
            OK(dht_get(node, name, &found_json, &err));
            CHECK(strcmp(found_json, value.at) == 0);
            dht_string_free(found_json);
        } else {
            OK(dht_put_bytes(node, (const uint8_t *)name, strlen(name), (const uint8_t *)value.at, value.len, NULL,
                             NULL, &err));
            FAILS(dht_get(node, name, &found_json, &err), DHT_WRONG_FORMAT);
        }
        OK(dht_get_bytes(node, (const uint8_t *)name, strlen(name), NULL, &found, &len, &err));
        CHECK(len == value.len && memcmp(found, value.at, len) == 0);
        dht_bytes_free(found, len);
        free(value.at);
    }
    CHECK(list->len > 20);
    json_free(&all);
    free(text);
}

static void keys(dht_t *node) {
    char *text;
    json all = vectors_of("values.json", &text);
    const json *list = json_at(&all, "keys");
    size_t i;
    for (i = 0; i < list->len; i++) {
        struct bytes key = content(&list->items[i]), value = {NULL, 0};
        char number[32];
        uint8_t *found = NULL;
        snprintf(number, sizeof number, "%lu", (unsigned long)i);
        OK(dht_put_bytes(node, (const uint8_t *)key.at, key.len, (const uint8_t *)number, strlen(number), NULL, NULL,
                         &err));
        OK(dht_get_bytes(node, (const uint8_t *)key.at, key.len, NULL, &found, &value.len, &err));
        CHECK(value.len == strlen(number) && memcmp(found, number, value.len) == 0);
        dht_bytes_free(found, value.len);
        free(key.at);
    }
    CHECK(list->len > 5);
    json_free(&all);
    free(text);
}

static void hash_ids(void) {
    char *text;
    json all = vectors_of("hash_ids.json", &text);
    size_t i;
    for (i = 0; i < all.len; i++) {
        const json *one = &all.items[i], *config = json_at(one, "config");
        char *copy = malloc(config->from_len + 1), *id = NULL;
        dht_t *node = NULL;
        CHECK(copy != NULL);
        memcpy(copy, config->from, config->from_len);
        copy[config->from_len] = 0;
        OK(dht_new(copy, &node, &err));
        OK(dht_hash_key(node, json_text(one, "key"), &id, &err));
        if (strcmp(id, json_text(one, "id")) != 0) {
            fprintf(stderr, "%s of \"%s\": %s instead of %s\n", copy, json_text(one, "key"), id, json_text(one, "id"));
            abort();
        }
        dht_string_free(id);
        dht_free(node);
        free(copy);
    }
    CHECK(all.len > 20);
    json_free(&all);
    free(text);
}

/* One case: what is done to a fresh node of default configuration, and the error that it gives. */
static void error_case(dht_t *node, const json *one) {
    const char *op = json_text(one, "op");
    dht_status expected = code_of(json_text(one, "error"));
    char *out = NULL;
    struct bytes key = {NULL, 0}, input = {NULL, 0};
    if (json_member(one, "key") != NULL) {
        key = content(json_at(one, "key"));
    }
    if (json_member(one, "input") != NULL) {
        input = content(json_at(one, "input"));
    }
    if (strcmp(op, "new") == 0) {
        dht_t *none = NULL;
        FAILS(dht_new(input.at, &none, &err), expected);
        CHECK(none == NULL);
    } else if (strcmp(op, "put_json") == 0) {
        FAILS(dht_put(node, key.at, input.at, NULL, &err), expected);
    } else if (strcmp(op, "put_bytes") == 0) {
        FAILS(dht_put_bytes(node, (const uint8_t *)key.at, key.len, (const uint8_t *)input.at, input.len, NULL, NULL,
                            &err),
              expected);
    } else if (strcmp(op, "get") == 0) {
        FAILS(dht_get_bytes(node, (const uint8_t *)key.at, key.len, NULL, (uint8_t **)&out, &key.len, &err), expected);
    } else if (strcmp(op, "put_options") == 0) {
        FAILS(dht_put_with(node, "k", "1", input.at, NULL, &err), expected);
    } else if (strcmp(op, "get_options") == 0) {
        FAILS(dht_get_with(node, "k", input.at, &out, &err), expected);
    } else if (strcmp(op, "join") == 0) {
        FAILS(dht_join(node, input.at, &err), expected);
    } else if (strcmp(op, "get_bytes_as_json") == 0) {
        OK(dht_put_bytes(node, (const uint8_t *)key.at, key.len, (const uint8_t *)input.at, input.len, NULL, NULL,
                         &err));
        FAILS(dht_get(node, key.at, &out, &err), expected);
    } else {
        fprintf(stderr, "no case is called %s\n", op);
        abort();
    }
    CHECK(out == NULL);
    free(key.at);
    free(input.at);
}

static void errors(dht_t *node) {
    char *text;
    json all = vectors_of("errors.json", &text);
    const json *numbers = json_at(&all, "numbers"), *cases = json_at(&all, "cases");
    size_t i;
    for (i = 0; i < numbers->len; i++) {
        CHECK(code_of(numbers->names[i]) == (dht_status)numbers->items[i].number);
    }
    CHECK(numbers->len == 28);
    for (i = 0; i < cases->len; i++) {
        error_case(node, &cases->items[i]);
    }
    CHECK(cases->len > 20);
    json_free(&all);
    free(text);
}

static void ttls(dht_t *node) {
    char *text;
    json all = vectors_of("ttl.json", &text);
    size_t i;
    for (i = 0; i < all.len; i++) {
        const json *one = &all.items[i], *ttl = json_at(one, "ttl"), *seconds = json_member(one, "seconds");
        char options[128], key[32];
        snprintf(options, sizeof options, "{\"ttl\": %.*s}", (int)ttl->from_len, ttl->from);
        snprintf(key, sizeof key, "ttl %lu", (unsigned long)i);
        if (seconds == NULL) {
            FAILS(dht_put_with(node, key, "1", options, NULL, &err), code_of(json_text(one, "error")));
        } else {
            int64_t left = 0;
            OK(dht_put_with(node, key, "1", options, NULL, &err));
            OK(dht_ttl_ms(node, key, &left, &err));
            if (seconds->kind == JSON_NULL) {
                CHECK(left == -1);
            } else {
                /* At most what was given, and not yet much less. */
                CHECK((double)left <= seconds->number * 1000 + 1 && (double)left > seconds->number * 1000 - 10000);
            }
        }
    }
    CHECK(all.len > 10);
    json_free(&all);
    free(text);
}

static void batch(dht_t *node) {
    char *text;
    json all = vectors_of("batches.json", &text);
    size_t i, k;
    for (i = 0; i < all.len; i++) {
        const json *one = &all.items[i], *found = json_at(one, "found"), *deleted = json_at(one, "deleted");
        char *results = NULL;
        json read;
        OK(dht_put_many(node, json_text(one, "entries"), &results, &err));
        dht_string_free(results);
        OK(dht_get_many(node, json_text(one, "keys"), &results, &err));
        read = json_read(results);
        CHECK(read.len == found->len);
        for (k = 0; k < found->len; k++) {
            const json *value = json_at(&read.items[k], "ok");
            CHECK(strcmp(read.names[k], found->items[k].items[0].text) == 0);
            CHECK(value->from_len == found->items[k].items[1].len);
            CHECK(memcmp(value->from, found->items[k].items[1].text, value->from_len) == 0);
        }
        json_free(&read);
        dht_string_free(results);
        OK(dht_delete_many(node, json_text(one, "keys"), &results, &err));
        read = json_read(results);
        CHECK(read.len == deleted->len);
        for (k = 0; k < deleted->len; k++) {
            CHECK(json_at(json_at(&read, deleted->names[k]), "ok")->number == deleted->items[k].number);
        }
        json_free(&read);
        dht_string_free(results);
    }
    CHECK(all.len > 2);
    json_free(&all);
    free(text);
}

void vectors(void) {
    dht_t *node = started(NULL);
    hash_ids();
    values(node);
    keys(node);
    errors(node);
    ttls(node);
    batch(node);
    dht_free(node);
}
