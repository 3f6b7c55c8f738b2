/* The C side of `make bench-bindings`: for each line on standard input one round, and one line of JSON: nanoseconds per
 * operation. */
#define _POSIX_C_SOURCE 200809L
#include <dht.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 1000, OPERATIONS = 50000 };

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void ok(dht_status status) {
    if (status != DHT_OK) {
        fprintf(stderr, "%s\n", dht_status_name(status));
        exit(1);
    }
}

int main(void) {
    static char keys[KEYS][32];
    char value[101], line[16];
    dht_t *node = NULL;
    int n;
    memset(value, 'v', 100);
    value[0] = value[99] = '"';
    value[100] = 0;
    for (n = 0; n < KEYS; n++) {
        snprintf(keys[n], sizeof keys[n], "user:%08d:profile", n);
    }
    ok(dht_new("{\"consistency\": \"one\"}", &node, NULL));
    ok(dht_start(node, NULL));
    while (fgets(line, sizeof line, stdin) != NULL) {
        double begun = now_ns(), put, get;
        for (n = 0; n < OPERATIONS; n++) {
            ok(dht_put(node, keys[n % KEYS], value, NULL, NULL));
        }
        put = (now_ns() - begun) / OPERATIONS;
        begun = now_ns();
        for (n = 0; n < OPERATIONS; n++) {
            char *found = NULL;
            ok(dht_get(node, keys[n % KEYS], &found, NULL));
            dht_string_free(found);
        }
        get = (now_ns() - begun) / OPERATIONS;
        printf("{\"c put\": %f, \"c get\": %f}\n", put, get);
        fflush(stdout);
    }
    dht_free(node);
    return 0;
}
