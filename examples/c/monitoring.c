/* Monitoring: what a node tells about itself, its neighbours, the ring and its work.
 *
 * cc monitoring.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT OF THE FIRST NODE]] */
#include "example.h"

static const char *yes(int true_or_false) {
    return true_or_false ? "yes" : "no";
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    char config[512], listens[100], name[64], state[32], key[32], value[32];
    const char *at;
    char *json = NULL, *members = NULL;
    double share = 0;
    int i;
    dht_t *first, *second;

    snprintf(config, sizeof config, "{\"node_id\": \"first\", \"address\": \"%s\", \"port\": %s}", address, port);
    first = started(config);
    snprintf(config, sizeof config, "{\"node_id\": \"second\", \"address\": \"%s\", \"seeds\": [\"%s\"]}", address,
             address_of(first, listens, sizeof listens));
    second = started(config);
    OK(dht_wait_ready(first, 30000, &err));
    OK(dht_wait_ready(second, 30000, &err));
    for (i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        snprintf(value, sizeof value, "%d", i);
        OK(dht_put(first, key, value, NULL, &err));
    }
    for (i = 0; i < 60; i++) { /* ten of them are not there */
        snprintf(key, sizeof key, "key:%d", i);
        if (dht_get(first, key, &json, NULL) == DHT_OK) {
            dht_string_free(json);
        }
    }

    /* All of it is JSON; dht.h says which. */
    OK(dht_node_info(first, &json, &err));
    printf("node %s on %s is %s, with %.0f positions\n", text(json, "id", name, sizeof name), listens,
           text(json, "state", state, sizeof state), number(json, "vnodes"));
    dht_string_free(json);
    OK(dht_predecessor(first, &json, &err));
    printf("before it: %s\n", text(json, "id", name, sizeof name));
    dht_string_free(json);
    OK(dht_successor_list(first, &json, &err));
    for (at = strstr(json, "\"id\":"); at != NULL; at = strstr(at + 1, "\"id\":")) {
        printf("after it: %s\n", text(at, "id", name, sizeof name));
    }
    dht_string_free(json);
    OK(dht_finger_table(first, &json, &err));
    printf("fingers: %d\n", count(json, "\"start\":"));
    dht_string_free(json);

    OK(dht_ring(first, &json, &err));
    OK(dht_members(first, &members, &err));
    for (at = strstr(json, "\"share\":"); at != NULL; at = strstr(at + 1, "\"share\":")) {
        share += number(at, "share");
    }
    printf("%d nodes own %.0f %% of the ring; %d nodes are remembered\n", count(json, "\"share\":"), 100 * share,
           count(members, "\"address\":"));
    dht_string_free(json);
    dht_string_free(members);

    /* What a readiness probe asks. */
    OK(dht_health(first, &json, &err));
    printf("joined: %s, storage works: %s\n", yes(is_true(json, "joined")), yes(is_true(json, "storage_ok")));
    dht_string_free(json);

    /* Everything is counted per key, at the node that was called; times are seconds. */
    OK(dht_statistics(first, &json, &err));
    printf("stores: %.0f successful, %.0f failed\n", number(json, "stores_successful"), number(json, "stores_failed"));
    printf("lookups: %.0f successful, %.0f of keys that were not there\n", number(json, "lookups_successful"),
           number(json, "lookups_not_found"));
    printf("records held here: %.0f\n", number(json, "data_items_stored"));
    printf("half of the stores took less than %.6f s, 99 %% less than %.6f s\n", number(json, "store_time_p50"),
           number(json, "store_time_p99"));
    printf("messages: %.0f sent, %.0f received\n", number(json, "messages_sent"), number(json, "messages_received"));
    printf("up for %.1f s\n", number(json, "uptime"));
    dht_string_free(json);

    OK(dht_leave(second, 10000, &err));
    OK(dht_leave(first, 10000, &err));
    dht_free(second);
    dht_free(first);
    return 0;
}
