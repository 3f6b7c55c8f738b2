/* What one can do with data: objects, bytes, times to live, batches, versions.
 *
 * cc data_operations.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <time.h>

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static bool contains(dht_t *node, const char *key) {
    bool there = false;
    OK(dht_contains(node, key, &there, &err));
    return there;
}

/* The version of a new value; the caller frees it. */
static char *put(dht_t *node, const char *key, const char *value) {
    char *outcome = NULL, *version;
    OK(dht_put(node, key, value, &outcome, &err));
    version = text_in(outcome, "version");
    dht_string_free(outcome);
    return version;
}

int main(int argc, char **argv) {
    static const uint8_t image[] = {0x89, 'P', 'N', 'G'};
    dht_t *node = start_node(argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), "");
    char *json = NULL, *name, *stored = NULL, *found = NULL, *deleted = NULL, *first, *second;
    uint8_t *bytes = NULL;
    size_t len = 0;
    bool existed = false;

    /* JSON text, so that every language can read it. It is stored as it is. */
    OK(dht_put(node, "user:1", "{\"name\":\"Ada\",\"age\":36}", NULL, &err));
    OK(dht_get(node, "user:1", &json, &err));
    name = text_in(json, "name");
    printf("user:1 is %s, %.0f years old\n", name, number_in(json, "age"));
    free(name);
    dht_string_free(json);

    /* Bytes come back as they are. */
    OK(dht_put_bytes(node, (const uint8_t *)"image", 5, image, sizeof image, NULL, NULL, &err));
    OK(dht_get_bytes(node, (const uint8_t *)"image", 5, NULL, &bytes, &len, &err));
    printf("image has %zu bytes\n", len);
    dht_bytes_free(bytes, len);

    /* A value that ends by itself. */
    OK(dht_put_with_ttl(node, "session", "\"token\"", 300, NULL, &err));
    printf("session lives: %s\n", truth(contains(node, "session")));
    while (contains(node, "session")) {
        int64_t left_ms = 0;
        struct timespec pause;
        if (dht_ttl_ms(node, "session", &left_ms, NULL) == DHT_OK && left_ms >= 0) {
            pause.tv_sec = 0;
            pause.tv_nsec = (left_ms + 1) * 1000000;
            nanosleep(&pause, NULL);
        }
    }
    printf("session lives: %s\n", truth(contains(node, "session")));

    /* Many keys at once: grouped by node, one message each, a result for each key. */
    OK(dht_put_many(node, "{\"a\": \"A\", \"b\": \"B\", \"c\": \"C\"}", &stored, &err));
    OK(dht_get_many(node, "[\"a\", \"c\", \"z\"]", &found, &err));
    OK(dht_delete_many(node, "[\"a\", \"b\", \"z\"]", &deleted, &err));
    printf("batch: stored %d, found %d, deleted %d\n", count_in(stored, "\"version\":"), count_in(found, "\"ok\":"),
           count_in(deleted, "true"));
    dht_string_free(stored);
    dht_string_free(found);
    dht_string_free(deleted);

    /* Versions are totally ordered by their texts. */
    first = put(node, "counter", "1");
    second = put(node, "counter", "2");
    printf("the second write is newer: %s\n", truth(strcmp(first, second) < 0));
    free(first);
    free(second);

    OK(dht_delete(node, "user:1", &existed, &err));
    printf("deleted user:1: %s\n", truth(existed));
    OK(dht_delete(node, "user:1", &existed, &err));
    printf("deleted user:1 again: %s\n", truth(existed));
    OK(dht_leave(node, 10000, &err));
    dht_free(node);
    return 0;
}
