/* A ring with a cluster_key: whoever knows it is in, over connections and over datagrams; others are told AUTH. */
#include "check.h"

static void with_key(const char *protocol) {
    char config[512], *address;
    dht_t *first, *second, *alone, *stranger = NULL;
    snprintf(config, sizeof config, "{\"cluster_key\": \"the right secret\", \"network_protocol\": \"%s\"}", protocol);
    first = started(config);
    alone = started("{\"request_timeout\": 2}");
    address = address_of(first);
    snprintf(config, sizeof config,
             "{\"cluster_key\": \"the right secret\", \"network_protocol\": \"%s\", \"seeds\": [\"%s\"]}", protocol, address);
    second = started(config);
    OK(dht_put(first, "k", "42", NULL, &err));
    CHECK(holds(second, "k", "42"));
    OK(dht_put(second, "back", "\"there\"", NULL, &err));
    CHECK(holds(first, "back", "\"there\""));
    snprintf(config, sizeof config,
             "{\"cluster_key\": \"the wrong secret\", \"network_protocol\": \"%s\", \"seeds\": [\"%s\"]}", protocol, address);
    OK(dht_new(config, &stranger, &err));
    {
        dht_error_t *err = NULL;
        STATUS(dht_start(stranger, &err), DHT_AUTH);
        CHECK(strstr(dht_error_message(err), "same cluster_key") != NULL);
        CHECK(strstr(dht_error_message(err), "secret") == NULL);
        dht_error_free(err);
    }
    FAILS(dht_join(alone, address, &err), DHT_AUTH);
    OK(dht_put(alone, "own", "1", NULL, &err));
    CHECK(holds(alone, "own", "1"));
    free(address);
    dht_free(stranger);
    dht_free(alone);
    dht_free(second);
    dht_free(first);
}

void secured(void) {
    with_key("tcp");
    with_key("udp");
}
