/* What a node tells: shapes and units. */
#include "check.h"
#include "json.h"

#include <unistd.h>

typedef dht_status (*tell)(dht_t *, char **, dht_error_t **);

static json told(dht_t *d, tell ask) {
    char *text = NULL;
    json read;
    OK(ask(d, &text, &err));
    read = json_read(text);
    /* `from` is not needed here. */
    dht_string_free(text);
    return read;
}

static void is_node_info(const json *info) {
    static const char *const members[] = {"id", "address", "state", "last_seen", "incarnation", "vnodes", "zone"};
    size_t i;
    for (i = 0; i < sizeof members / sizeof members[0]; i++) {
        CHECK(json_member(info, members[i]) != NULL);
    }
}

static void statistics(dht_t *d) {
    static const char *const members[] = {
        "start_time", "uptime", "messages_sent", "messages_received", "bytes_sent", "bytes_received",
        "stores_successful", "stores_failed", "lookups_successful", "lookups_failed", "lookups_not_found",
        "average_store_time", "average_lookup_time", "store_time_p50", "store_time_p99", "lookup_time_p50",
        "lookup_time_p99", "data_items_stored", "data_bytes_stored", "nodes_joined", "nodes_left", "network_errors",
        "stabilize_operations", "finger_table_updates", "heartbeats_sent", "replications_sent",
        "lookup_success_rate", "store_success_rate", "node_availability", "finger_table_accuracy",
        "conflicts_resolved", "under_replicated_slots", "hits", "misses", "evictions", "expirations",
        "misbehaviours",
    };
    char *text = NULL;
    json all;
    size_t i;
    OK(dht_put(d, "s", "1", NULL, &err));
    CHECK(holds(d, "s", "1"));
    STATUS(dht_get(d, "no such key", &text, NULL), DHT_NOT_FOUND);
    all = told(d, dht_statistics);
    for (i = 0; i < sizeof members / sizeof members[0]; i++) {
        CHECK(json_member(&all, members[i]) != NULL && json_member(&all, members[i])->kind == JSON_NUMBER);
    }
    CHECK(json_at(&all, "errors")->kind == JSON_OBJECT);
    CHECK(json_at(&all, "misbehaviour_kinds")->kind == JSON_OBJECT);
    CHECK(json_at(&all, "misbehaving_peers")->kind == JSON_OBJECT);
    CHECK(json_at(&all, "stores_successful")->number == 1 && json_at(&all, "data_items_stored")->number == 1);
    CHECK(json_at(&all, "lookups_successful")->number == 2 && json_at(&all, "lookups_not_found")->number == 1);
    json_free(&all);
}

/* The text for Prometheus has the numbers of the statistics. */
static void metrics(dht_t *d) {
    char *text = NULL;
    OK(dht_metrics(d, &text, &err));
    CHECK(strncmp(text, "# HELP dht_start_time_seconds ", 30) == 0 && text[strlen(text) - 1] == '\n');
    CHECK(strstr(text, "\n# TYPE dht_stores_successful_total counter\ndht_stores_successful_total 1\n") != NULL);
    CHECK(strstr(text, "\ndht_lookups_not_found_total 1\n") != NULL);
    CHECK(strstr(text, "\ndht_data_items_stored 1\n") != NULL && strstr(text, "\ndht_joined 1\n") != NULL);
    CHECK(strstr(text, "\ndht_store_duration_seconds{quantile=\"0.99\"} ") != NULL);
    dht_string_free(text);
}

/* The trace of a key ends at its owner. Returns how many nodes were asked. */
static size_t traced(dht_t *d, const char *key) {
    char *text = NULL, *hex = NULL;
    json trace, keepers;
    const json *hops;
    size_t i, asked;
    OK(dht_locate(d, key, &text, &err));
    keepers = json_read(text);
    dht_string_free(text);
    OK(dht_lookup_trace(d, key, &text, &err));
    trace = json_read(text);
    dht_string_free(text);
    is_node_info(json_at(&trace, "owner"));
    CHECK(strcmp(json_text(json_at(&trace, "owner"), "id"), json_text(&keepers.items[0], "id")) == 0);
    OK(dht_hash_key(d, key, &hex, &err));
    CHECK(strcmp(json_text(&trace, "key_id"), hex) == 0 && strlen(json_text(&trace, "target")) == strlen(hex));
    dht_string_free(hex);
    CHECK(json_at(&trace, "slot")->number >= 0 && json_at(&trace, "slot")->number < 1 << 14);
    CHECK(json_at(&trace, "one_hop")->number == 1 && json_at(&trace, "took")->number >= 0);
    hops = json_at(&trace, "hops");
    asked = hops->len;
    for (i = 0; i < asked; i++) {
        CHECK(strcmp(json_text(&hops->items[i], "outcome"), "owner") == 0 || i + 1 < asked);
        CHECK(strlen(json_text(&hops->items[i], "position")) == 40 && json_at(&hops->items[i], "took")->number > 0);
        CHECK(strchr(json_text(json_at(&hops->items[i], "node"), "address"), ':') != NULL);
        CHECK(strlen(json_text(json_at(&hops->items[i], "node"), "id")) > 0);
    }
    json_free(&keepers);
    json_free(&trace);
    return asked;
}

/* A read shows what was done for it; the records of a node go into a file, and from there into another ring. */
static void traced_and_restored(dht_t *d) {
    char *text = NULL, *path = NULL, config[32];
    const char *dir = getenv("TMPDIR");
    json read;
    dht_t *other = started("{}");
    int32_t given_up = 1;
    size_t room;
    OK(dht_put(d, "kept", "[1]", NULL, &err));
    OK(dht_trace(d, "kept", "{\"consistency\": \"all\"}", &text, &err));
    read = json_read(text);
    dht_string_free(text);
    CHECK(json_at(&read, "found")->number == 1 && json_at(&read, "error")->kind == JSON_NULL);
    CHECK(strcmp(json_text(&read, "operation"), "get") == 0 && strcmp(json_text(&read, "level"), "all") == 0);
    CHECK(json_at(&read, "spans")->len >= 2 && strlen(json_text(&read, "trace_id")) == 16);
    CHECK(strcmp(json_text(&json_at(&read, "spans")->items[0], "what"), "fetch") == 0);
    CHECK(strcmp(json_text(&json_at(&read, "spans")->items[0], "outcome"), "done") == 0);
    json_free(&read);
    text = NULL;
    FAILS(dht_trace(d, "kept", "{\"ttl\": 1}", &text, &err), DHT_INVALID_ARGUMENT);
    CHECK(text == NULL);

    dir = dir != NULL ? dir : "/tmp";
    snprintf(config, sizeof config, "%ld", (long)getpid());
    room = strlen(dir) + strlen(config) + 32;
    path = malloc(room);
    CHECK(path != NULL);
    snprintf(path, room, "%s/dht-snapshot-c-%s", dir, config);
    remove(path);
    OK(dht_snapshot(d, path, &text, &err));
    read = json_read(text);
    dht_string_free(text);
    CHECK(json_at(&read, "records")->number >= 1 && json_at(&read, "bytes")->number > 0);
    json_free(&read);
    FAILS(dht_snapshot(d, path, NULL, &err), DHT_INVALID_ARGUMENT);
    FAILS(dht_restore_until(other, path, &given_up, NULL, &err), DHT_CANCELLED);
    given_up = 0;
    OK(dht_restore_until(other, path, &given_up, &text, &err));
    read = json_read(text);
    dht_string_free(text);
    CHECK(json_at(&read, "records")->number >= 1 && json_at(&read, "superseded")->number == 0);
    json_free(&read);
    OK(dht_get(other, "kept", &text, &err));
    CHECK(strcmp(text, "[1]") == 0);
    dht_string_free(text);
    OK(dht_restore(other, path, NULL, &err));
    CHECK(remove(path) == 0);
    FAILS(dht_restore(other, path, NULL, &err), DHT_STORAGE);
    free(path);
    dht_free(other);
}

void topology(void) {
    dht_t *d = started("{\"node_id\": \"alone\"}"), *other, *client;
    char *address = address_of(d), *text = NULL, config[128];
    json all = told(d, dht_node_info);
    is_node_info(&all);
    CHECK(strcmp(json_text(&all, "id"), "alone") == 0 && strcmp(json_text(&all, "state"), "active") == 0);
    CHECK(json_at(&all, "vnodes")->number == 16 && strcmp(json_text(&all, "zone"), "") == 0);
    json_free(&all);
    all = told(d, dht_predecessor);
    CHECK(all.kind == JSON_NULL);
    json_free(&all);
    all = told(d, dht_successor_list);
    CHECK(all.kind == JSON_LIST && all.len == 0);
    json_free(&all);
    statistics(d);
    metrics(d);
    CHECK(traced(d, "k") == 0);

    snprintf(config, sizeof config, "{\"node_id\": \"other\", \"seeds\": [\"%s\"]}", address);
    other = started(config);
    OK(dht_wait_ready(other, 30000, &err));
    OK(dht_wait_ready(d, 30000, &err));
    all = told(d, dht_predecessor);
    is_node_info(&all);
    CHECK(strcmp(json_text(&all, "id"), "other") == 0);
    json_free(&all);
    all = told(other, dht_successor_list);
    CHECK(all.len == 1 && strcmp(json_text(&all.items[0], "address"), address) == 0);
    json_free(&all);
    all = told(d, dht_finger_table);
    CHECK(all.kind == JSON_LIST);
    json_free(&all);
    all = told(d, dht_members);
    CHECK(all.len == 2);
    json_free(&all);
    all = told(d, dht_ring);
    CHECK(json_at(&all, "hash_bits")->number == 160 && json_at(&all, "slot_bits")->number == 14);
    CHECK(json_at(&all, "nodes")->len == 2);
    is_node_info(&json_at(&all, "nodes")->items[0]);
    CHECK(json_at(&json_at(&all, "nodes")->items[0], "positions")->len == 16);
    json_free(&all);
    all = told(d, dht_health);
    CHECK(json_at(&all, "joined")->number == 1 && json_at(&all, "storage_ok")->number == 1);
    json_free(&all);
    OK(dht_locate(d, "k", &text, &err));
    all = json_read(text);
    CHECK(all.len == 2);
    is_node_info(&all.items[0]);
    json_free(&all);
    dht_string_free(text);
    CHECK(traced(d, "k") <= 1 && traced(other, "k") <= 1);
    traced_and_restored(d);
    /* A client has to ask. */
    snprintf(config, sizeof config, "{\"virtual_nodes\": 0, \"seeds\": [\"%s\"]}", address);
    client = started(config);
    OK(dht_wait_ready(client, 30000, &err));
    CHECK(traced(client, "k") >= 1);
    dht_free(client);
    dht_free(other);
    dht_free(d);
    FAILS(dht_lookup_trace(d, "k", &text, &err), DHT_INVALID_ARGUMENT);
    free(address);
}
