/* A ring of three nodes: here in one process, usually one in each of many. Every node reads what the others wrote.
 *
 * cc multi_node.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT OF THE FIRST NODE]] */
#include "example.h"

enum { NODES = 3 };
static const char *const names[NODES] = {"one", "two", "three"};

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    char config[512], key[64], value[64], seed[128] = "", listens[128];
    char *json = NULL;
    dht_t *nodes[NODES];
    int i, j;

    /* The first node founds the ring; the others join through it. Any member would do as a seed. */
    for (i = 0; i < NODES; i++) {
        snprintf(config, sizeof config, "{\"node_id\": \"%s\", \"address\": \"%s\", \"port\": %s, \"seeds\": [%s]}",
                 names[i], address, i == 0 ? port : "0", seed);
        nodes[i] = started(config);
        printf("%s listens on %s\n", names[i], address_of(nodes[i], listens, sizeof listens));
        if (i == 0) {
            snprintf(seed, sizeof seed, "\"%.100s\"", listens);
        }
    }
    /* Not needed for correct answers, only to see a ring that has come to rest. */
    for (i = 0; i < NODES; i++) {
        OK(dht_wait_ready(nodes[i], 30000, &err));
    }
    OK(dht_ring(nodes[0], &json, &err));
    printf("one sees a ring of %d nodes\n", count(json, "\"positions\":"));
    dht_string_free(json);

    for (i = 0; i < NODES; i++) {
        snprintf(key, sizeof key, "from %s", names[i]);
        snprintf(value, sizeof value, "\"hello from %s\"", names[i]);
        OK(dht_put(nodes[i], key, value, &json, &err));
        printf("%s wrote, and at least %.0f of %.0f replicas have it\n", names[i], number(json, "wanted"),
               number(json, "set_size"));
        dht_string_free(json);
    }
    for (i = 0; i < NODES; i++) {
        for (j = 0; j < NODES; j++) {
            snprintf(key, sizeof key, "from %s", names[j]);
            OK(dht_get(nodes[i], key, &json, &err));
            printf("%s reads %s\n", names[i], json);
            dht_string_free(json);
        }
    }
    OK(dht_locate(nodes[1], "from one", &json, &err));
    printf("\"from one\" is kept by %d nodes\n", count(json, "\"address\":"));
    dht_string_free(json);

    /* A node that leaves hands its data over first. */
    OK(dht_leave(nodes[2], 10000, &err));
    OK(dht_get(nodes[0], "from three", &json, &err));
    printf("three left; one still reads %s\n", json);
    dht_string_free(json);

    for (i = 0; i < NODES; i++) {
        OK(dht_leave(nodes[i], 10000, &err)); /* succeeds at once where it was done */
        dht_free(nodes[i]);
    }
    return 0;
}
