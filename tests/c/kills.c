/* Peers that are killed while they are written to: a program that leaves SIGPIPE as it is lives on. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PEERS = 4, KEYS = 64, VALUE_LEN = 8192, ROUNDS = 20 };

/* A member of the ring until it is killed. */
static void peer(const char *seed, int to) {
    char config[256];
    char *address;
    dht_t *node;
    alarm(120);
    snprintf(config, sizeof config, "{\"seeds\": [%s%s%s]}", *seed ? "\"" : "", seed, *seed ? "\"" : "");
    node = started(config);
    address = address_of(node);
    CHECK(write(to, address, strlen(address) + 1) == (ssize_t)strlen(address) + 1);
    for (;;) {
        pause();
    }
}

/* {"k0": "vvv…", …}; the caller frees it. */
static char *entries(void) {
    char *text = malloc(KEYS * (VALUE_LEN + 32) + 3), *at = text;
    int i;
    CHECK(text != NULL);
    *at++ = '{';
    for (i = 0; i < KEYS; i++) {
        at += sprintf(at, "%s\"k%d\": \"", i ? ", " : "", i);
        memset(at, 'v', VALUE_LEN);
        at += VALUE_LEN;
        *at++ = '"';
    }
    strcpy(at, "}");
    return text;
}

void kills(void) {
    pid_t children[PEERS];
    char seed[128] = "", config[256], *batch = entries();
    dht_t *node;
    int i, round, written = 0;
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
    snprintf(config, sizeof config, "{\"seeds\": [\"%s\"], \"request_timeout\": 1}", seed);
    node = started(config);
    OK(dht_wait_ready(node, 60000, &err));
    for (i = 0; i <= PEERS; i++) {
        for (round = 0; round < ROUNDS; round++) {
            char *results = NULL;
            /* In the middle of the rounds, so that the writes before it are on their way. */
            if (round == ROUNDS / 2 && i < PEERS) {
                CHECK(kill(children[i], SIGKILL) == 0);
            }
            /* Some may fail while a node dies; this program must not. */
            if (dht_put_many(node, batch, &results, NULL) == DHT_OK) {
                written++;
            }
            dht_string_free(results);
        }
        if (i < PEERS) {
            int status = 0;
            CHECK(waitpid(children[i], &status, 0) == children[i]);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
    }
    CHECK(written > ROUNDS);
    OK(dht_put(node, "still", "\"here\"", NULL, &err));
    CHECK(holds(node, "still", "\"here\""));
    dht_free(node);
    free(batch);
}
