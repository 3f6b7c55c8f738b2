/* Advanced configuration: every key, each with a reason to change it. The defaults are good; change what you measured.
 *
 * cc advanced_configuration.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include "example.h"

/* JSON has no comments, so they stand between its pieces. Durations are seconds, or text with a unit; sizes likewise. */
static const char *const all_keys =
    "{"
    /* Who it is, and where. A fixed name keeps a node's positions over a restart, so less data moves. */
    "\"node_id\": \"%s\", \"address\": \"%s\", \"port\": %s, \"seeds\": [%s],"
    "\"advertise\": \"\","           /* what others dial, if it is not the bound address: behind NAT, in containers */
    "\"cluster_name\": \"example\"," /* rings of other names are refused */
    "\"zone\": \"\","                /* a rack, room or cloud zone: copies of a key go to distinct ones */
    /* The ring: alike on all its nodes. 4,096 slots are plenty for 8 x 2 nodes x 32 positions. */
    "\"hash_function\": \"sha256\", \"hash_bits\": 256, \"slot_bits\": 12, \"consistent_hashing\": true,"
    "\"virtual_nodes\": 32," /* twice the default: the load is spread more evenly */
    "\"successor_list_size\": 8,"
    "\"routing\": \"one_hop\"," /* "chord": operations walk finger tables */
    "\"max_table_nodes\": 100000,"
    /* Replicas. */
    "\"replication_factor\": 2, \"consistency\": \"all\", \"backup_replicas\": true,"
    "\"min_replicas\": 1,"
    "\"repair_rate\": \"16MiB\"," /* bytes per second */
    "\"tombstone_grace\": \"2h\"," /* longer than a node is usually away */
    "\"max_clock_offset\": 1,"
    /* Upkeep, jittered by 20 %: twice as often as by default finds failures sooner and sends more messages. */
    "\"stabilize_interval\": 0.5, \"fix_finger_interval\": 1, \"check_predecessor\": \"1s\","
    "\"heartbeat_interval\": \"500ms\","
    /* Calls and the network. */
    "\"request_timeout\": 5," /* bounds a whole call with its retries */
    "\"max_retries\": 5, \"buffer_size\": 512, \"max_connections\": 256,"
    "\"network_protocol\": \"tcp\"," /* or udp */
    "\"max_key_size\": \"1KiB\", \"max_value_size\": \"1MiB\","
    /* Storage: in memory without a bound; with a data_dir on disk. */
    "\"data_dir\": null, \"durability\": \"interval\", \"max_memory\": null, \"eviction\": \"reject\","
    /* Security: without key or TLS only loopback is bound, unless the network is trusted. */
    "\"cluster_key\": null, \"tls\": null, \"allow_insecure\": false,"
    /* Telling what happens, on stderr; histograms for statistics; threads of the process-wide runtime; no
       operation in so many is traced. */
    "\"enable_logging\": false, \"enable_metrics\": true, \"worker_threads\": 2, \"trace_sample\": 0"
    "}";

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    char config[2048], seed[128], name[64];
    const char *at;
    char *json = NULL;
    dht_t *first, *second, *wrong = NULL;
    dht_error_t *error = NULL;

    /* A wrong value is refused before anything starts, with key, value and bound. */
    if (dht_new("{\"hash_bits\": 257}", &wrong, &error) == DHT_CONFIG) {
        printf("refused: %s\n", dht_error_message(error) + strlen("CONFIG: "));
        dht_error_free(error);
    }

    snprintf(config, sizeof config, all_keys, "first", address, port, "");
    first = started(config);
    seed[0] = '"';
    address_of(first, seed + 1, sizeof seed - 2);
    strcat(seed, "\"");
    snprintf(config, sizeof config, all_keys, "second", address, "0", seed);
    second = started(config);
    OK(dht_wait_ready(second, 30000, &err));

    OK(dht_ring(second, &json, &err));
    printf("ids of %.0f bits, %d slots, %.0f replicas\n", number(json, "hash_bits"),
           1 << (int)number(json, "slot_bits"), number(json, "replication_factor"));
    for (at = strstr(json, "\"id\":"); at != NULL; at = strstr(at + 1, "\"id\":")) {
        printf("%s has %.0f positions\n", text(at, "id", name, sizeof name), number(at, "vnodes"));
    }
    dht_string_free(json);
    OK(dht_put(first, "key", "\"value\"", &json, &err));
    printf("level all: %.0f of %.0f replicas acknowledged\n", number(json, "acks"), number(json, "wanted"));
    dht_string_free(json);
    OK(dht_hash_key(second, "key", &json, &err));
    printf("an id has %d digits\n", (int)strlen(json));
    dht_string_free(json);

    OK(dht_leave(second, 10000, &err));
    OK(dht_leave(first, 10000, &err));
    dht_free(second);
    dht_free(first);
    return 0;
}
