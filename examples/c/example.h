/* What the examples share: where to listen, ending on an error, and numbers out of JSON. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <dht.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless the call went well. */
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        dht_error_t *err = NULL;                                                                                       \
        dht_status status = (call);                                                                                    \
        if (status != DHT_OK) {                                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, dht_status_name(status),                            \
                    err ? dht_error_message(err) : "");                                                                \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A started node that listens where the arguments say (127.0.0.1 and a free port without any); `more` is further
 * configuration as JSON members, each with a comma in front, or "". */
static inline dht_t *start_node(const char *address, const char *port, const char *more) {
    char config[2048];
    dht_t *node = NULL;
    snprintf(config, sizeof config, "{\"address\": \"%s\", \"port\": %s%s}", address, port, more);
    OK(dht_new(config, &node, &err));
    OK(dht_start(node, &err));
    return node;
}

static inline const char *argument(int argc, char **argv, int at, const char *otherwise) {
    return argc > at ? argv[at] : otherwise;
}

/* A number in JSON text that has no nested member of that name before it. */
static inline double number_in(const char *json, const char *name) {
    char member[80];
    const char *at;
    snprintf(member, sizeof member, "\"%s\":", name);
    at = strstr(json, member);
    CHECK(at != NULL);
    return strtod(at + strlen(member), NULL);
}

/* The same for a text without escapes; the caller frees it. */
static inline char *text_in(const char *json, const char *name) {
    char member[80], *text;
    const char *at;
    size_t len;
    snprintf(member, sizeof member, "\"%s\":\"", name);
    at = strstr(json, member);
    CHECK(at != NULL);
    at += strlen(member);
    len = strcspn(at, "\"");
    text = malloc(len + 1);
    CHECK(text != NULL);
    memcpy(text, at, len);
    text[len] = '\0';
    return text;
}

static inline char *address_of(dht_t *node) {
    char *info = NULL, *address;
    OK(dht_node_info(node, &info, &err));
    address = text_in(info, "address");
    dht_string_free(info);
    return address;
}

/* How often a text occurs in another. */
static inline int count_in(const char *text, const char *part) {
    int count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        count++;
    }
    return count;
}

#endif
