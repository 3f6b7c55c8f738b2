/* Three nodes of one ring. Here they share a process; they may as well run on three machines.
 *
 * cc multi_node.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]]: of the first; the others take free
 * ports. */
#include "example.h"

static dht_t *start_named(const char *name, const char *address, const char *port, const char *seed) {
    char more[512];
    dht_t *node;
    char *at;
    snprintf(more, sizeof more, ", \"node_id\": \"%s\", \"seeds\": [%s%s%s]", name, *seed ? "\"" : "", seed,
             *seed ? "\"" : "");
    node = start_node(address, port, more);
    at = address_of(node);
    printf("node %s at %s\n", name, at);
    free(at);
    return node;
}

static void reads(dht_t *node, const char *name) {
    char *value = NULL;
    OK(dht_get(node, "user:1", &value, &err));
    CHECK(strcmp(value, "\"Ada\"") == 0);
    printf("%s reads user:1: %.*s\n", name, (int)strlen(value) - 2, value + 1);
    dht_string_free(value);
}

int main(int argc, char **argv) {
    const char *address = argument(argc, argv, 1, "127.0.0.1");
    dht_t *one = start_named("one", address, argument(argc, argv, 2, "0"), "");
    /* Any member's address is enough to join. */
    char *seed = address_of(one), *json = NULL;
    dht_t *two = start_named("two", address, "0", seed);
    dht_t *three = start_named("three", address, "0", seed);
    OK(dht_wait_ready(one, 30000, &err));
    OK(dht_wait_ready(two, 30000, &err));
    OK(dht_wait_ready(three, 30000, &err));
    OK(dht_members(one, &json, &err));
    printf("%d members\n", count_in(json, "\"address\":"));
    dht_string_free(json);

    OK(dht_put(two, "user:1", "\"Ada\"", &json, &err));
    printf("two wrote user:1 on %.0f replicas at least\n", number_in(json, "wanted"));
    dht_string_free(json);
    reads(one, "one");
    OK(dht_locate(three, "user:1", &json, &err));
    printf("user:1 is kept by %d nodes\n", count_in(json, "\"address\":"));
    dht_string_free(json);

    /* A node that leaves hands over first, so nothing is lost. */
    OK(dht_leave(two, 10000, &err));
    printf("two left\n");
    reads(three, "three");

    OK(dht_leave(three, 10000, &err));
    OK(dht_leave(one, 10000, &err));
    printf("all left\n");
    dht_free(one);
    dht_free(two);
    dht_free(three);
    free(seed);
    return 0;
}
