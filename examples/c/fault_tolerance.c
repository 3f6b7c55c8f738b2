/* Five nodes, one of which dies: everything is still there, and the ring restores its copies.
 *
 * cc fault_tolerance.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]]: of the first; the others take
 * free ports. */
#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <time.h>

enum { KEYS = 100 };

static int readable(dht_t *node) {
    int n, found = 0;
    for (n = 0; n < KEYS; n++) {
        char key[32], value[16], *json = NULL;
        snprintf(key, sizeof key, "key:%d", n);
        snprintf(value, sizeof value, "%d", n);
        OK(dht_get(node, key, &json, &err));
        found += strcmp(json, value) == 0;
        dht_string_free(json);
    }
    CHECK(found == KEYS);
    return found;
}

/* Only nodes that live are active, and all their slots have all their copies. */
static bool healed(dht_t *node, int nodes) {
    char *members = NULL, *health = NULL;
    bool well;
    OK(dht_members(node, &members, &err));
    OK(dht_health(node, &health, &err));
    well = count_in(members, "\"state\":\"active\"") <= nodes && strstr(health, "\"fully_replicated\":true") != NULL;
    dht_string_free(members);
    dht_string_free(health);
    return well;
}

int main(int argc, char **argv) {
    const char *address = argument(argc, argv, 1, "127.0.0.1");
    dht_t *nodes[5], *fresh;
    char *seed, joining[512];
    int i;
    nodes[0] = start_node(address, argument(argc, argv, 2, "0"), "");
    seed = address_of(nodes[0]);
    snprintf(joining, sizeof joining, ", \"seeds\": [\"%s\"]", seed);
    for (i = 1; i < 5; i++) {
        nodes[i] = start_node(address, "0", joining);
    }
    for (i = 0; i < 5; i++) {
        OK(dht_wait_ready(nodes[i], 30000, &err));
    }
    for (i = 0; i < KEYS; i++) {
        char key[32], value[16];
        snprintf(key, sizeof key, "key:%d", i);
        snprintf(value, sizeof value, "%d", i);
        OK(dht_put(nodes[0], key, value, NULL, &err));
    }
    printf("5 nodes, %d keys\n", KEYS);

    /* No goodbye, no hand-over: to the others, a crash. */
    OK(dht_stop(nodes[4], &err));
    printf("one stopped without a goodbye\n");
    printf("read back %d keys of %d\n", readable(nodes[1]), KEYS);

    /* The nodes that are left copy what they now have too few copies of. */
    for (i = 0; i < 4; i++) {
        while (!healed(nodes[i], 4)) {
            const struct timespec pause = {0, 20000000};
            nanosleep(&pause, NULL);
        }
    }
    printf("the ring has healed\n");

    fresh = start_node(address, "0", joining);
    OK(dht_wait_ready(fresh, 30000, &err));
    printf("a new node joined\n");
    printf("read back %d keys of %d through it\n", readable(fresh), KEYS);
    for (i = 0; i < 4; i++) {
        OK(dht_leave(nodes[i], 30000, &err));
    }
    OK(dht_leave(fresh, 30000, &err));
    printf("all left\n");
    for (i = 0; i < 5; i++) {
        dht_free(nodes[i]);
    }
    dht_free(fresh);
    free(seed);
    return 0;
}
