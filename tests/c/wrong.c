/* Input that is wrong because of the machine or of other nodes: the typed error, and nothing left running. */
#include "check.h"

static void starts_with(dht_status expected, const char *config) {
    dht_t *node = NULL;
    OK(dht_new(config, &node, &err));
    FAILS(dht_start(node, &err), expected);
    dht_free(node);
}

void wrong(void) {
    dht_t *there = started("{\"node_id\": \"there\"}"), *node = NULL;
    char *address = address_of(there), config[256], *big;
    size_t len = (16u << 20) + 1;
    snprintf(config, sizeof config, "{\"port\": %s}", strrchr(address, ':') + 1);
    starts_with(DHT_ADDRESS, config);
    starts_with(DHT_ADDRESS, "{\"seeds\": [\"no-such-host.invalid:1\"]}");
    snprintf(config, sizeof config, "{\"seeds\": [\"%s\"], \"hash_bits\": 64}", address);
    starts_with(DHT_INCOMPATIBLE_RING, config);
    snprintf(config, sizeof config, "{\"seeds\": [\"%s\"], \"node_id\": \"there\"}", address);
    starts_with(DHT_NODE_ID_IN_USE, config);
    FAILS(dht_join(there, address, &err), DHT_INVALID_ARGUMENT);
    node = started("{\"request_timeout\": 0.2, \"max_retries\": 0}");
    FAILS(dht_join(node, "127.0.0.1:1", &err), DHT_UNREACHABLE);
    OK(dht_put(node, "k", "1", NULL, &err));
    CHECK(holds(node, "k", "1"));
    dht_free(node);
    /* A value that is too large changes nothing. */
    big = malloc(len + 1);
    CHECK(big != NULL);
    memset(big, '1', len);
    big[len] = 0;
    OK(dht_put(there, "k", "1", NULL, &err));
    FAILS(dht_put(there, "k", big, NULL, &err), DHT_TOO_LARGE);
    CHECK(holds(there, "k", "1"));
    free(big);
    free(address);
    dht_free(there);
}
