/* Every key of the configuration that this release supports, set away from its default where that makes sense. Durations
 * are seconds or text.
 *
 * cc advanced_configuration.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include "example.h"

static const char settings[] =
    /* Who we are and which ring this is. */
    ", \"node_id\": \"advanced\", \"cluster_name\": \"example\""
    /* The ring: the same on all nodes, compared when one joins. */
    ", \"hash_function\": \"sha1\", \"hash_bits\": 64, \"slot_bits\": 10, \"consistent_hashing\": true"
    /* Copies, and how many of them answer before a call returns. */
    ", \"replication_factor\": 2, \"consistency\": \"all\", \"backup_replicas\": true, \"tombstone_grace\": 600"
    /* Positions on the ring, and how far this node looks along it. */
    ", \"virtual_nodes\": 8, \"successor_list_size\": 4, \"routing\": \"one_hop\""
    /* How often the ring is looked after; jittered by a fifth. */
    ", \"stabilize_interval\": \"500ms\", \"fix_finger_interval\": \"1s\", \"check_predecessor\": 1"
    ", \"heartbeat_interval\": 0.5"
    /* Calls: a bound for each, its retries included, and for what may wait. */
    ", \"request_timeout\": 1, \"max_retries\": 2, \"buffer_size\": 256, \"max_connections\": 64"
    ", \"network_protocol\": \"tcp\", \"max_clock_offset\": 2"
    /* Sizes. */
    ", \"max_key_size\": 256, \"max_value_size\": \"1MiB\""
    /* What the node tells, and the threads of the runtime that all nodes of the process share. */
    ", \"enable_logging\": false, \"enable_metrics\": true, \"worker_threads\": 2";

int main(int argc, char **argv) {
    dht_t *node = NULL;
    char *json = NULL, *id;
    /* Checked as a whole: a wrong value is named here, with its bound, before anything is started. */
    dht_status wrong = dht_new("{\"replication_factor\": 0}", &node, NULL);
    printf("replication_factor 0: %s\n", wrong == DHT_CONFIG ? "refused" : "accepted");

    node = start_node(argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), settings);
    OK(dht_node_info(node, &json, &err));
    id = text_in(json, "id");
    printf("node %s of %.0f virtual nodes\n", id, number_in(json, "vnodes"));
    free(id);
    dht_string_free(json);
    OK(dht_ring(node, &json, &err));
    printf("ids of %.0f bits in 2^%.0f slots, %.0f copies\n", number_in(json, "hash_bits"),
           number_in(json, "slot_bits"), number_in(json, "replication_factor"));
    dht_string_free(json);
    OK(dht_put(node, "key", "\"value\"", NULL, &err));
    OK(dht_get(node, "key", &json, &err));
    CHECK(strcmp(json, "\"value\"") == 0);
    printf("read key: %.*s\n", (int)strlen(json) - 2, json + 1);
    dht_string_free(json);
    OK(dht_leave(node, 10000, &err));
    printf("left\n");
    dht_free(node);
    return 0;
}
