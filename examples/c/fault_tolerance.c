/* Fault tolerance: of five nodes one stops without a word; nothing is lost, and a new one takes its place.
 *
 * cc fault_tolerance.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT OF THE FIRST NODE]] */
#include <time.h>

#include "example.h"

enum { NODES = 5, VALUES = 200 };

static dht_t *start(int number, const char *address, const char *port, const char *seed) {
    char config[512];
    /* Failures are noticed after a few heartbeats. */
    snprintf(config, sizeof config,
             "{\"node_id\": \"node-%d\", \"address\": \"%s\", \"port\": %s, \"seeds\": [%s], "
             "\"heartbeat_interval\": \"200ms\"}",
             number, address, port, seed);
    return started(config);
}

/* How many values are as they were stored. */
static int right(dht_t *node) {
    char key[32];
    char *value = NULL;
    int i, right = 0;
    for (i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        OK(dht_get(node, key, &value, &err));
        right += atoi(value) == i;
        dht_string_free(value);
    }
    return right;
}

static int ring_size(dht_t *node) {
    char *json = NULL;
    int nodes;
    OK(dht_ring(node, &json, &err));
    nodes = count(json, "\"positions\":");
    dht_string_free(json);
    return nodes;
}

static int fully_replicated(dht_t *node) {
    char *json = NULL;
    int full;
    OK(dht_health(node, &json, &err));
    full = is_true(json, "fully_replicated");
    dht_string_free(json);
    return full;
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    const struct timespec moment = {0, 50000000};
    char seed[128], listens[100], key[32], value[32];
    dht_t *nodes[NODES];
    int i;

    nodes[0] = start(1, address, port, "");
    snprintf(seed, sizeof seed, "\"%s\"", address_of(nodes[0], listens, sizeof listens));
    for (i = 1; i < NODES; i++) {
        nodes[i] = start(i + 1, address, "0", seed);
    }
    for (i = 0; i < NODES; i++) {
        OK(dht_wait_ready(nodes[i], 30000, &err));
    }
    printf("ring of %d nodes\n", ring_size(nodes[0]));

    for (i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        snprintf(value, sizeof value, "%d", i);
        OK(dht_put(nodes[i % NODES], key, value, NULL, &err));
    }
    printf("stored %d values, each on three nodes\n", VALUES);

    /* To the others this is a crash: no hand-over, no goodbye. */
    OK(dht_stop(nodes[2], &err));
    dht_free(nodes[2]);
    printf("node-3 stopped\n");
    nodes[2] = nodes[4];
    printf("read %d of %d values at once\n", right(nodes[3]), VALUES);

    /* The survivors notice, and copy what is now on two nodes only to a third. */
    for (i = 0; i < NODES - 1; i++) {
        while (ring_size(nodes[i]) > NODES - 1 || !fully_replicated(nodes[i])) {
            nanosleep(&moment, NULL);
        }
    }
    printf("%d nodes have three replicas of everything again\n", NODES - 1);

    nodes[4] = start(6, address, "0", seed);
    OK(dht_wait_ready(nodes[4], 30000, &err));
    printf("node-6 joined: ring of %d nodes\n", ring_size(nodes[4]));
    printf("read %d of %d values through it\n", right(nodes[4]), VALUES);

    for (i = 0; i < NODES; i++) {
        OK(dht_stop(nodes[i], &err));
        dht_free(nodes[i]);
    }
    return 0;
}
