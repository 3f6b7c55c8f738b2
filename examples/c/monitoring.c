/* What a node tells about itself: counters, times, health, the ring.
 *
 * cc monitoring.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include "example.h"

int main(int argc, char **argv) {
    dht_t *node = start_node(argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), "");
    char *json = NULL, *address, *state;
    int n;
    for (n = 0; n < 10; n++) {
        char key[32], value[16];
        snprintf(key, sizeof key, "key:%d", n);
        snprintf(value, sizeof value, "%d", n);
        OK(dht_put(node, key, value, NULL, &err));
        OK(dht_get(node, key, &json, &err));
        dht_string_free(json);
    }
    CHECK(dht_get(node, "no such key", &json, NULL) == DHT_NOT_FOUND);

    OK(dht_statistics(node, &json, &err));
    printf("stores: %.0f successful, %.0f failed\n", number_in(json, "stores_successful"),
           number_in(json, "stores_failed"));
    printf("lookups: %.0f successful, %.0f not found\n", number_in(json, "lookups_successful"),
           number_in(json, "lookups_not_found"));
    printf("a store took %.9f s on average\n", number_in(json, "average_store_time"));
    printf("data: %.0f items, %.0f bytes\n", number_in(json, "data_items_stored"),
           number_in(json, "data_bytes_stored"));
    CHECK(number_in(json, "stores_successful") == 10 && number_in(json, "lookups_successful") == 11);
    dht_string_free(json);

    /* What a readiness probe asks for. */
    OK(dht_health(node, &json, &err));
    printf("health: joined %s, fully replicated %s\n", strstr(json, "\"joined\":true") ? "true" : "false",
           strstr(json, "\"fully_replicated\":true") ? "true" : "false");
    dht_string_free(json);

    /* A list of members with positions and shares; there is one. */
    OK(dht_ring(node, &json, &err));
    address = text_in(json, "address");
    state = text_in(json, "state");
    printf("member %s: %s, share %.3f\n", address, state, number_in(json, "share"));
    free(address);
    free(state);
    dht_string_free(json);
    OK(dht_leave(node, 10000, &err));
    dht_free(node);
    return 0;
}
