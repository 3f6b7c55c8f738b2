/* The seven hash functions: 10,000 keys each, and how fast that is. sha256 is the default; consistent (XXH3) is the fast
 * one.
 *
 * cc hash_functions.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <time.h>

enum { HASHES = 10000 };

int main(int argc, char **argv) {
    static const char *const functions[] = {"fnv1", "fnv1a", "crc32", "md5", "sha1", "sha256", "consistent"};
    size_t i;
    for (i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        struct timespec begun, ended;
        char config[256], *hex = NULL;
        dht_t *node = NULL;
        int n;
        double seconds;
        snprintf(config, sizeof config, "{\"address\": \"%s\", \"port\": %s, \"hash_function\": \"%s\"}",
                 argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), functions[i]);
        /* Hashing needs no running node. */
        OK(dht_new(config, &node, &err));
        clock_gettime(CLOCK_MONOTONIC, &begun);
        for (n = 0; n < HASHES; n++) {
            char key[32];
            snprintf(key, sizeof key, "key_%d", n);
            OK(dht_hash_key(node, key, &hex, &err));
            dht_string_free(hex);
        }
        clock_gettime(CLOCK_MONOTONIC, &ended);
        seconds = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
        OK(dht_hash_key(node, "key_0", &hex, &err));
        printf("%s: %d hashes, %.0f per second; an id has %zu digits\n", functions[i], HASHES, HASHES / seconds,
               strlen(hex));
        dht_string_free(hex);
        dht_free(node);
    }
    return 0;
}
