/* Peers that are killed while they are written to: a program that leaves SIGPIPE as it is lives on. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PEERS = 6, WORKERS = 8, VALUE_LEN = 2000, PUTS_BETWEEN = 2000 };

/* The peers die faster than their data is repaired, which is not what is tested here: one copy is enough for a put, and
 * another is on its way. */
#define SETTINGS "\"replication_factor\": 2, \"consistency\": \"one\", \"request_timeout\": 1"

static atomic_long begun, written;
static atomic_bool ended;

/* A member of the ring until it is killed. */
static void peer(const char *seed, int to) {
    char config[256];
    char *address;
    dht_t *node;
    alarm(120);
    snprintf(config, sizeof config, "{" SETTINGS ", \"seeds\": [%s%s%s]}", *seed ? "\"" : "", seed,
             *seed ? "\"" : "");
    node = started(config);
    address = address_of(node);
    CHECK(write(to, address, strlen(address) + 1) == (ssize_t)strlen(address) + 1);
    for (;;) {
        pause();
    }
}

/* Puts at once with others, so that several messages leave in one system call. */
static void *put_on(void *node) {
    char value[VALUE_LEN + 1], key[32];
    memset(value, 'v', VALUE_LEN);
    value[0] = value[VALUE_LEN - 1] = '"';
    value[VALUE_LEN] = 0;
    while (!atomic_load(&ended)) {
        long number = atomic_fetch_add(&begun, 1);
        snprintf(key, sizeof key, "k%ld", number % 1000);
        /* Some may fail while a node dies; this program must not. */
        if (dht_put(node, key, value, NULL, NULL) == DHT_OK) {
            atomic_fetch_add(&written, 1);
        }
    }
    return NULL;
}

void kills(void) {
    pid_t children[PEERS];
    pthread_t workers[WORKERS];
    char seed[128] = "", config[256];
    dht_t *node;
    int i;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (i = 0; i < PEERS; i++) {
        int up[2];
        char heard[128];
        size_t n = 0;
        CHECK(pipe(up) == 0);
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) {
            close(up[0]);
            peer(seed, up[1]);
        }
        close(up[1]);
        do {
            CHECK(n < sizeof heard && read(up[0], heard + n, 1) == 1);
        } while (heard[n++] != 0);
        close(up[0]);
        if (i == 0) {
            strcpy(seed, heard);
        }
    }
    snprintf(config, sizeof config, "{" SETTINGS ", \"seeds\": [\"%s\"]}", seed);
    node = started(config);
    OK(dht_wait_ready(node, 60000, &err));
    for (i = 0; i < WORKERS; i++) {
        CHECK(pthread_create(&workers[i], NULL, put_on, node) == 0);
    }
    for (i = 0; i < PEERS; i++) {
        long until = atomic_load(&written) + PUTS_BETWEEN;
        int status = 0;
        while (atomic_load(&written) < until) {
            CHECK(usleep(1000) == 0);
        }
        CHECK(kill(children[i], SIGKILL) == 0);
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    atomic_store(&ended, true);
    for (i = 0; i < WORKERS; i++) {
        CHECK(pthread_join(workers[i], NULL) == 0);
    }
    /* Alone, once it has found out. */
    alarm(120);
    while (dht_put(node, "still", "\"here\"", NULL, NULL) != DHT_OK) {
        CHECK(usleep(1000) == 0);
    }
    alarm(0);
    CHECK(holds(node, "still", "\"here\""));
    dht_free(node);
}
