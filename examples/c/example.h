/* What the examples have in common: ending at a failure, and reading JSON. A real program has a JSON library. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dht.h>

/* A call with `&err` as its last argument; the program ends if it fails. */
#define OK(call)                                                            \
    do {                                                                    \
        dht_error_t *err = NULL;                                            \
        if ((call) != DHT_OK) {                                             \
            fprintf(stderr, "%s: %s\n", #call, dht_error_message(err));     \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

/* Where the value of the member `name` begins, in the JSON that the library writes; the program ends without it. */
static inline const char *member(const char *json, const char *name) {
    char wanted[64];
    const char *at;
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    at = strstr(json, wanted);
    if (at == NULL) {
        fprintf(stderr, "no %s in %s\n", name, json);
        exit(1);
    }
    return at + strlen(wanted);
}

static inline double number(const char *json, const char *name) {
    return strtod(member(json, name), NULL);
}

static inline int is_true(const char *json, const char *name) {
    return strncmp(member(json, name), "true", 4) == 0;
}

/* A text without escapes, such as a name or an address. */
static inline char *text(const char *json, const char *name, char *out, size_t size) {
    const char *at = member(json, name) + 1;
    snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
    return out;
}

/* How often `piece` stands in `json`: so many nodes have a "positions", and so on. */
static inline int count(const char *json, const char *piece) {
    int found = 0;
    while ((json = strstr(json, piece)) != NULL) {
        json += strlen(piece);
        found++;
    }
    return found;
}

/* "host:port" of a node that was started: what dht_join and "seeds" of others take. */
static inline char *address_of(dht_t *node, char *out, size_t size) {
    char *info = NULL;
    OK(dht_node_info(node, &info, &err));
    text(info, "address", out, size);
    dht_string_free(info);
    return out;
}

/* A node that is started. */
static inline dht_t *started(const char *config_json) {
    dht_t *node = NULL;
    OK(dht_new(config_json, &node, &err));
    OK(dht_start(node, &err));
    return node;
}

#endif
