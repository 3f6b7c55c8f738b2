/* One node, alone: it serves at once.
 *
 * cc basic_setup.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include "example.h"

int main(int argc, char **argv) {
    dht_t *node = start_node(argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), "");
    char *address = address_of(node), *outcome = NULL, *value = NULL;
    bool existed = false;
    printf("started a node at %s\n", address);

    /* Values are JSON text; answers too. */
    OK(dht_put(node, "greeting", "\"hello\"", &outcome, &err));
    printf("stored greeting on %.0f of %.0f replicas\n", number_in(outcome, "acks"), number_in(outcome, "set_size"));
    dht_string_free(outcome);

    OK(dht_get(node, "greeting", &value, &err));
    CHECK(strcmp(value, "\"hello\"") == 0);
    printf("read greeting: %.*s\n", (int)strlen(value) - 2, value + 1);
    dht_string_free(value);

    /* A missing key is a status of its own, without an error object. */
    CHECK(dht_get(node, "no such key", &value, NULL) == DHT_NOT_FOUND);
    printf("read a missing key: nothing\n");

    OK(dht_delete(node, "greeting", &existed, &err));
    CHECK(existed);
    printf("deleted greeting\n");

    /* Hands over what only this node holds, if there are others, and says goodbye. */
    OK(dht_leave(node, 10000, &err));
    printf("left\n");
    free(address);
    dht_free(node);
    return 0;
}
