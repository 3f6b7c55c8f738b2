/* Data operations: JSON and bytes, a time to live, levels, batches.
 *
 * cc data_operations.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include <time.h>

#include "example.h"

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    const uint8_t pixels[] = {0, 255, 0}, key[] = {'p', 'h', 'o', 't', 'o'};
    const struct timespec moment = {0, 10000000};
    char config[256], name[32];
    char *json = NULL;
    uint8_t *photo = NULL;
    size_t photo_len = 0;
    int64_t left_ms = 0;
    bool there = true;
    int i;
    dht_t *node;
    snprintf(config, sizeof config, "{\"address\": \"%s\", \"port\": %s}", address, port);
    node = started(config);

    /* JSON text: checked once, then kept as it is. */
    OK(dht_put(node, "user:1", "{\"age\":36,\"name\":\"Ada\"}", NULL, &err));
    OK(dht_get(node, "user:1", &json, &err));
    printf("user:1 is \"%s\" and %.0f years old\n", text(json, "name", name, sizeof name), number(json, "age"));
    dht_string_free(json);

    /* Bytes: of any content, under keys of any content. They stay apart from JSON. */
    OK(dht_put_bytes(node, key, sizeof key, pixels, sizeof pixels, NULL, NULL, &err));
    OK(dht_get_bytes(node, key, sizeof key, NULL, &photo, &photo_len, &err));
    printf("photo has %lu bytes\n", (unsigned long)photo_len);
    dht_bytes_free(photo, photo_len);
    printf("photo as JSON: %s\n", dht_get(node, "photo", &json, NULL) == DHT_WRONG_FORMAT ? "wrong format" : "?");

    /* A time to live: the value is gone afterwards, on all replicas at once. */
    OK(dht_put_with_ttl(node, "session", "\"abc\"", 3600000, NULL, &err));
    OK(dht_ttl_ms(node, "session", &left_ms, &err));
    printf("session lives for %ld minutes\n", (long)((left_ms + 30000) / 60000));
    OK(dht_put_with_ttl(node, "blink", "\"now you see me\"", 100, NULL, &err));
    for (;;) {
        OK(dht_contains(node, "blink", &there, &err));
        if (!there) {
            break;
        }
        nanosleep(&moment, NULL);
    }
    printf("blink is gone\n");

    /* A level and a deadline for one call; the defaults are those of the configuration. */
    OK(dht_put_with(node, "important", "true", "{\"consistency\": \"all\", \"timeout\": 1}", &json, &err));
    printf("important: %.0f of %.0f replicas\n", number(json, "acks"), number(json, "wanted"));
    dht_string_free(json);

    /* Batches: one message for each node that is concerned; for each key {"ok": ...} or {"error": ...}. */
    OK(dht_put_many(node, "{\"item:1\": 1, \"item:2\": 2, \"item:3\": 3}", &json, &err));
    printf("stored %d items\n", count(json, "\"ok\":"));
    dht_string_free(json);
    OK(dht_get_many(node, "[\"item:1\", \"item:2\", \"item:3\", \"item:4\"]", &json, &err));
    for (i = 1; i <= 4; i++) {
        snprintf(name, sizeof name, "item:%d", i);
        if (count(json, name) > 0) {
            printf("%s is %.0f\n", name, number(member(json, name), "ok"));
        } else {
            printf("%s is not there\n", name);
        }
    }
    dht_string_free(json);
    OK(dht_delete_many(node, "[\"item:1\", \"item:2\", \"item:3\", \"item:4\"]", &json, &err));
    printf("deleted %d items\n", count(json, "\"ok\":true"));
    dht_string_free(json);

    OK(dht_leave(node, 10000, &err));
    dht_free(node);
    return 0;
}
