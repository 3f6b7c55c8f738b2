/* Ten workers on one node at once, each with 100 puts and 100 gets. A handle may be used from many threads.
 *
 * cc -pthread concurrent_operations.c $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]] */
#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <pthread.h>
#include <time.h>

enum { WORKERS = 10, KEYS = 100 };

typedef struct {
    dht_t *node;
    int number;
    /* How many values were not what was put. */
    int wrong;
} worker;

static void *work(void *argument) {
    worker *self = argument;
    int n;
    for (n = 0; n < KEYS; n++) {
        char key[64], value[32], *found = NULL;
        snprintf(key, sizeof key, "worker:%d:%d", self->number, n);
        snprintf(value, sizeof value, "%d", self->number * KEYS + n);
        OK(dht_put(self->node, key, value, NULL, &err));
        OK(dht_get(self->node, key, &found, &err));
        self->wrong += strcmp(found, value) != 0;
        dht_string_free(found);
    }
    return NULL;
}

int main(int argc, char **argv) {
    dht_t *node = start_node(argument(argc, argv, 1, "127.0.0.1"), argument(argc, argv, 2, "0"), "");
    pthread_t threads[WORKERS];
    worker workers[WORKERS];
    struct timespec begun, ended;
    int i, wrong = 0, operations = WORKERS * KEYS * 2;
    double seconds;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (i = 0; i < WORKERS; i++) {
        workers[i].node = node;
        workers[i].number = i;
        workers[i].wrong = 0;
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < WORKERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        wrong += workers[i].wrong;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    seconds = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    printf("%d workers made %d operations, %d wrong\n", WORKERS, operations, wrong);
    printf("%.0f operations per second\n", operations / seconds);
    CHECK(wrong == 0);
    OK(dht_leave(node, 10000, &err));
    dht_free(node);
    return 0;
}
