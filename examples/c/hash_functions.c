/* Hash functions: where each of the seven puts a key on the ring, and how fast it is.
 *
 * cc hash_functions.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#include <time.h>

#include "example.h"

enum { FUNCTIONS = 7, HASHES = 10000, ID = 17 };
static const char *const functions[FUNCTIONS] = {
    "fnv1", "fnv1a", "crc32", "md5", "sha1",
    "sha256",    /* the default: nobody can choose keys that all fall on one node */
    "consistent" /* XXH3: the fast one, where nobody hostile chooses keys */
};
static char ids[HASHES][ID];

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int compare(const void *one, const void *other) {
    return memcmp(one, other, ID);
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    char config[256], key[32];
    int f, i, different;
    double begun, took;

    for (f = 0; f < FUNCTIONS; f++) {
        char *id = NULL, *other = NULL;
        dht_t *node = NULL;
        /* All nodes of a ring have the same function; it is fixed when the ring is founded. */
        snprintf(config, sizeof config,
                 "{\"address\": \"%s\", \"port\": %s, \"hash_function\": \"%s\", \"hash_bits\": 64}", address, port,
                 functions[f]);
        /* Nothing needs to be started to know an id. */
        OK(dht_new(config, &node, &err));
        OK(dht_hash_key(node, "user:0", &id, &err));
        OK(dht_hash_key(node, "user:1", &other, &err));
        printf("%s: user:0 is %s, user:1 is %s\n", functions[f], id, other);
        dht_string_free(id);
        dht_string_free(other);

        begun = now();
        for (i = 0; i < HASHES; i++) {
            snprintf(key, sizeof key, "user:%d", i);
            OK(dht_hash_key(node, key, &id, &err));
            snprintf(ids[i], ID, "%s", id);
            dht_string_free(id);
        }
        took = now() - begun;
        qsort(ids, HASHES, ID, compare);
        different = 1;
        for (i = 1; i < HASHES; i++) {
            different += compare(ids[i - 1], ids[i]) != 0;
        }
        printf("%s: %d hashes, %d different, %.0f per second\n", functions[f], HASHES, different, HASHES / took);
        dht_free(node);
    }
    return 0;
}
