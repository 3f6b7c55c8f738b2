/* Concurrent operations: ten threads share three nodes; each stores a hundred values and reads them back elsewhere.
 *
 * cc -pthread concurrent_operations.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT OF THE FIRST NODE]] */
#include <pthread.h>
#include <time.h>

#include "example.h"

enum { NODES = 3, WORKERS = 10, VALUES = 100 };
static dht_t *nodes[NODES];

struct worker {
    int number, right; /* how many values were read back as they were written */
};

/* Every function may be called from every thread, on one handle too. */
static void *work(void *argument) {
    struct worker *self = argument;
    dht_t *writer = nodes[self->number % NODES], *reader = nodes[(self->number + 1) % NODES];
    char key[32], value[32];
    char *found = NULL;
    int i;
    for (i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "%d/%d", self->number, i);
        snprintf(value, sizeof value, "%d", self->number * VALUES + i);
        OK(dht_put(writer, key, value, NULL, &err));
    }
    for (i = 0; i < VALUES; i++) {
        snprintf(key, sizeof key, "%d/%d", self->number, i);
        snprintf(value, sizeof value, "%d", self->number * VALUES + i);
        OK(dht_get(reader, key, &found, &err));
        self->right += strcmp(found, value) == 0;
        dht_string_free(found);
    }
    return NULL;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "0";
    char config[512], seed[128] = "", listens[100];
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    int i, right = 0;
    double begun, took;

    for (i = 0; i < NODES; i++) {
        snprintf(config, sizeof config, "{\"address\": \"%s\", \"port\": %s, \"seeds\": [%s]}", address,
                 i == 0 ? port : "0", seed);
        nodes[i] = started(config);
        if (i == 0) {
            snprintf(seed, sizeof seed, "\"%s\"", address_of(nodes[0], listens, sizeof listens));
        }
    }
    for (i = 0; i < NODES; i++) {
        OK(dht_wait_ready(nodes[i], 30000, &err));
    }

    begun = now();
    for (i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        workers[i].right = 0;
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "no thread\n");
            return 1;
        }
    }
    for (i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        right += workers[i].right;
    }
    took = now() - begun;
    printf("%d workers x %d values: %d of %d are right\n", WORKERS, VALUES, right, WORKERS * VALUES);
    printf("%.0f operations per second\n", 2 * WORKERS * VALUES / took);

    for (i = 0; i < NODES; i++) {
        OK(dht_leave(nodes[i], 10000, &err));
        dht_free(nodes[i]);
    }
    return 0;
}
