/* Basic setup: one node, which is a ring by itself; put, get, delete.
 *
 * cc basic_setup.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include "example.h"

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0"; /* 0: the system chooses one */
    char config[256], listens[128];
    char *outcome = NULL, *value = NULL;
    bool there = false;
    dht_t *node = NULL;
    dht_error_t *err = NULL;
    dht_status status;

    /* Every call answers a status. An error, if wanted, tells why; it is freed with dht_error_free. */
    snprintf(config, sizeof config, "{\"node_id\": \"alice\", \"address\": \"%s\", \"port\": %s}", address, port);
    status = dht_new(config, &node, &err);
    if (status != DHT_OK) {
        fprintf(stderr, "%s\n", dht_error_message(err));
        dht_error_free(err);
        return 1;
    }

    /* From here OK of example.h does that. Without seeds a node founds a ring of one, which serves at once. */
    OK(dht_start(node, &err));
    printf("alice listens on %s\n", address_of(node, listens, sizeof listens));

    /* A value is JSON text. */
    OK(dht_put(node, "greeting", "\"hello\"", &outcome, &err));
    printf("stored greeting on %.0f of %.0f replicas\n", number(outcome, "acks"), number(outcome, "set_size"));
    dht_string_free(outcome);

    OK(dht_get(node, "greeting", &value, &err));
    printf("greeting is %s\n", value);
    dht_string_free(value);

    /* A missing key is a status of its own, without an error. */
    status = dht_get(node, "missing", &value, NULL);
    printf("missing is %s\n", status == DHT_NOT_FOUND ? "not there" : "there");

    OK(dht_delete(node, "greeting", &there, &err));
    printf("greeting existed when it was deleted: %s\n", there ? "yes" : "no");
    OK(dht_contains(node, "greeting", &there, &err));
    printf("greeting is still there: %s\n", there ? "yes" : "no");

    /* Leaving hands over what only this node holds; with nobody to hand over to, it is done at once. */
    OK(dht_leave(node, 10000, &err));
    printf("alice left\n");
    dht_free(node);
    return 0;
}
