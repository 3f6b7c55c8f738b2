/* One handle on many threads; free while others are inside calls; many lives in one process. */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "check.h"

enum { WORKERS = 8, KEYS = 200 };

struct work {
    dht_t *node;
    int number;
};

static void *put_and_get(void *argument) {
    struct work *work = argument;
    int i;
    for (i = 0; i < KEYS; i++) {
        char key[32], value[32];
        snprintf(key, sizeof key, "w%d-%d", work->number, i);
        snprintf(value, sizeof value, "[%d,%d]", work->number, i);
        OK(dht_put(work->node, key, value, NULL, &err));
        CHECK(holds(work->node, key, value));
    }
    return NULL;
}

void threads(void) {
    pthread_t ids[WORKERS];
    struct work work[WORKERS];
    dht_t *node = started(NULL);
    int i, k;
    for (i = 0; i < WORKERS; i++) {
        work[i].node = node;
        work[i].number = i;
        CHECK(pthread_create(&ids[i], NULL, put_and_get, &work[i]) == 0);
    }
    for (i = 0; i < WORKERS; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    for (i = 0; i < WORKERS; i++) {
        for (k = 0; k < KEYS; k++) {
            char key[32], value[32];
            snprintf(key, sizeof key, "w%d-%d", i, k);
            snprintf(value, sizeof value, "[%d,%d]", i, k);
            CHECK(holds(node, key, value));
        }
    }
    dht_free(node);
}

/* Calls until the handle is gone; whatever a call answers until then, it answers. */
static void *until_freed(void *node) {
    for (;;) {
        char *text = NULL;
        dht_error_t *err = NULL;
        dht_status put = dht_put(node, "k", "1", NULL, &err);
        dht_status got = dht_get(node, "k", &text, NULL);
        CHECK((got == DHT_OK) == (text != NULL));
        dht_string_free(text);
        if (put != DHT_OK && put != DHT_STOPPED && put != DHT_INVALID_ARGUMENT) {
            fprintf(stderr, "put: %s\n", dht_error_message(err));
            abort();
        }
        dht_error_free(err);
        if (got == DHT_INVALID_ARGUMENT) {
            return NULL;
        }
        CHECK(got == DHT_OK || got == DHT_STOPPED || got == DHT_NOT_FOUND);
    }
}

/* Waits for what cannot be, with a second node silent: a call that is in flight when its node goes. */
static void *blocked(void *node) {
    dht_status status = dht_join(node, "127.0.0.1:1", NULL);
    CHECK(status != DHT_OK);
    return NULL;
}

static size_t entries_of(const char *path) {
    DIR *directory = opendir(path);
    size_t count = 0;
    CHECK(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static long resident_pages(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident;
    CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident;
}

static void one_life(int number) {
    pthread_t ids[3];
    dht_t *node = started(NULL);
    int i, n = number % 4 == 0 ? 3 : 2;
    for (i = 0; i < n; i++) {
        CHECK(pthread_create(&ids[i], NULL, i < 2 ? until_freed : blocked, node) == 0);
    }
    OK(dht_put(node, "mine", "1", NULL, &err));
    if (number % 3 == 0) {
        OK(dht_leave(node, 1000, &err));
    } else if (number % 3 == 1) {
        OK(dht_stop(node, &err));
    }
    dht_free(node);
    for (i = 0; i < n; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
}

/* DHT_CYCLES lives (default 500), calls in flight at the end of each: no threads, descriptors or memory stay. */
void cycles(void) {
    const char *asked = getenv("DHT_CYCLES");
    int count = asked != NULL ? atoi(asked) : 500, i;
    size_t threads_before, files_before;
    long pages_before;
    CHECK(count > 0);
    for (i = 0; i < 50; i++) {
        one_life(i);
    }
    threads_before = entries_of("/proc/self/task");
    files_before = entries_of("/proc/self/fd");
    pages_before = resident_pages();
    for (i = 0; i < count; i++) {
        one_life(i);
    }
    CHECK(entries_of("/proc/self/task") == threads_before);
    CHECK(entries_of("/proc/self/fd") == files_before);
    printf("  %d lives: %ld KiB more\n", count, (resident_pages() - pages_before) * (sysconf(_SC_PAGESIZE) / 1024));
    /* The allocator keeps some; a leak of one node of 16,384 slots would be megabytes per hundred lives. */
#if !defined(__SANITIZE_ADDRESS__)
    CHECK((resident_pages() - pages_before) * sysconf(_SC_PAGESIZE) < 16l << 20);
#endif
}
